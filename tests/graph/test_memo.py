"""What is worked out once per object."""

from __future__ import annotations

from tonnetz.daemon.graph.memo import CAPACITY, once_per_object


def test_an_answer_is_remembered_per_object_not_per_value() -> None:
    asked = []
    length = once_per_object(lambda subject: asked.append(subject) or len(subject))
    one, same = [1], [1]
    assert [length(one), length(one), length(same)] == [1, 1, 1]
    assert len(asked) == 2


def test_the_memory_has_an_end_and_objects_that_are_gone_confuse_nobody() -> None:
    first = once_per_object(lambda subject: subject[0])
    for value in range(3 * CAPACITY):
        assert first([value]) == value  # lists that die at once: their addresses come round again
