/* [both] What the audio thread and a thread outside tell each other about time, over a ring. Either side says "at this moment I was due at
 * this frame of the ring", and the other draws the line on from there: so a card learns how the engine's clock runs beside its own, and
 * the engine, where that card is its clock, how the card's does. Frames are those of the ring since it was made, times those of
 * CLOCK_MONOTONIC. */
#ifndef TZ_PACE_H
#define TZ_PACE_H

#include "moment.h"

#include <stdbool.h>

struct tz_pace {
	struct tz_told_moment engine; /* told by the audio thread: where it is due to have got to with this ring */
	struct tz_told_moment card;   /* told by the thread outside: where the card's clock wants the audio thread to have got to */
	_Atomic bool alive;           /* the card runs: it may be a clock */
	_Atomic bool leads;           /* the engine has chosen it as its clock */
	_Atomic uint32_t target;      /* frames of a card that plays to keep ready in the ring; frames that one that captures brings at a time */
};

#endif
