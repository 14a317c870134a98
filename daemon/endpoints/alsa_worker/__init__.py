"""What ALSA tells of sound cards: which there are, what they can do, where their volumes stand. What they play is the
core's.

Asking may hang, with a sound server that hangs or a driver that does, and pyalsaaudio holds the interpreter meanwhile.
So all of it happens in a worker process, which is ended and replaced when it does not answer.
"""

MOST_WATCHED = 32  # mixers whose changes are told, as many as ALSA has cards; beyond that the first are forgotten
