"""Which ways are held back, by how much, and what is kept from plan to plan."""

from __future__ import annotations

from collections.abc import Mapping

from tonnetz.daemon.graph.alignment import COMPENSATION, MOST, Aligned, align
from tonnetz.daemon.graph.plan import EMPTY, Plan, PlanNode, Wire
from tonnetz.daemon.graph.ports import NodeChannels
from tonnetz.daemon.graph.spec import NodeSpec

SPEC = NodeSpec(type="any", category="processor", help="Any.", parameters=(), ports=(), core_type="any")


def made(*wires: str, nodes: Mapping[str, PlanNode] | None = None) -> Plan:
    """A plan of wires such as `a > b.1`, from the only output into an input by its number."""
    known = dict(nodes or {})
    channels = NodeChannels({"in_1": 2, "in_2": 2}, {"out": 2})
    found = []
    for text in wires:
        source, _, target = text.partition(" > ")
        target, _, port = target.partition(".")
        for name in (source, target):
            known.setdefault(name, PlanNode(name, SPEC, 0, channels, ()))
        found.append(Wire(known[source], 0, known[target], int(port or 0)))
    return Plan(known, {"all": tuple(found)}, frozenset(found))


def aligned(plan: Plan, latencies: Mapping[str, int], previous: Plan = EMPTY, compensate: bool = True) -> Plan:
    late = {node: latencies[node.id] for node in plan.objects if node.id in latencies}
    return align(plan, late, previous, compensate)


def ways(plan: Plan) -> list[str]:
    """`a > b.1` where it is direct, `a +5> b.1` where it is held back by 5 frames."""
    found = []
    for wire in plan.wires:
        if wire.target.spec is COMPENSATION:
            continue
        source, delay = wire.source.id, ""
        if wire.source.spec is COMPENSATION:
            (before,) = (one for one in plan.wires if one.target is wire.source)
            source, delay = before.source.id, f"+{dict(wire.source.structure)['frames']}"
        found.append(f"{source} {delay}> {wire.target.id}.{wire.target_port}")
    return sorted(found)


def test_without_latency_a_plan_stays_the_same_object() -> None:
    plan = made("a > b", "a > c", "b > c.1")
    assert aligned(plan, {}) is plan and plan.base is plan


def test_the_sooner_of_two_ways_is_held_back() -> None:
    plan = made("a > late", "late > mix", "a > mix.1")
    found = aligned(plan, {"late": 240})
    assert ways(found) == ["a +240> mix.1", "a > late.0", "late > mix.0"]
    assert found.base is plan and found.lateness == {"a": 0, "late": 240, "mix": 240}


def test_also_in_a_sum_into_one_input() -> None:
    assert ways(aligned(made("a > late", "late > mix", "a > mix"), {"late": 5})) == [
        "a +5> mix.0",
        "a > late.0",
        "late > mix.0",
    ]


def test_latencies_add_up_on_a_way_and_the_longest_counts() -> None:
    plan = made("a > x", "x > y", "y > mix", "a > z", "z > mix.1", "a > mix.1", "mix > end", "a > end.1")
    found = aligned(plan, {"x": 10, "y": 20, "z": 5, "mix": 3})
    assert found.lateness == {"a": 0, "x": 10, "y": 30, "z": 5, "mix": 33, "end": 33}
    assert [way for way in ways(found) if "+" in way] == ["a +30> mix.1", "a +33> end.1", "z +25> mix.1"]


def test_one_delay_serves_all_who_want_it() -> None:
    plan = made("a > late", "late > b", "late > c", "a > b.1", "a > c.1")
    found = aligned(plan, {"late": 7})
    assert [node.id for node in found.nodes.values() if node.spec is COMPENSATION] == ["a.0+7"]


def test_what_compensates_is_kept_while_it_delays_the_same_node_object() -> None:
    plan = made("a > late", "late > mix", "a > mix.1")
    first = aligned(plan, {"late": 240})
    more = made("a > late", "late > mix", "a > mix.1", "b > mix", nodes=plan.nodes)
    assert aligned(more, {"late": 240}, first).nodes["a.0+240"] is first.nodes["a.0+240"]
    other = made("a > late", "late > mix", "a > mix.1", nodes={"late": plan.nodes["late"]})
    assert aligned(other, {"late": 240}, first).nodes["a.0+240"] is not first.nodes["a.0+240"]
    assert "a.0+240" not in aligned(more, {"late": 100}, first).nodes


def test_switched_off_it_only_tells() -> None:
    plan = made("a > late", "late > mix", "a > mix.1")
    found = aligned(plan, {"late": 240}, compensate=False)
    assert isinstance(found, Aligned) and found.wires == plan.wires and found.lateness["mix"] == 240


def test_ways_too_unlike_are_left() -> None:
    assert ways(aligned(made("a > late", "late > mix", "a > mix.1"), {"late": MOST + 1})) == [
        "a > late.0",
        "a > mix.1",
        "late > mix.0",
    ]
