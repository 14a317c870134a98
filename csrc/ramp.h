/* [audio] How parameters move. A glide counts the frames that are still to go; every value that glides along knows its target
 * and its distance from there. A value depends on that count alone, so blocks may be cut anywhere and give the same bits,
 * and at 0 it is the target exactly. */
#ifndef TZ_RAMP_H
#define TZ_RAMP_H

#include "kernel.h"

struct tz_glide {
	uint32_t left;
	float per_frame; /* 1 / length */
	float bend;      /* 1: it begins at rest, and gently; 0: it goes on from another one, straight */
};

struct tz_ramp {
	float target, span;
};

/* From 1 to 0 without a corner at either end. */
TZ_INLINE float tz_smooth(float way)
{
	return way * way * (3.0f - 2.0f * way);
}

/* What is left of the way, 1 … 0, with so many frames to go. A corner splashes into other frequencies: a single change is 22 dB softer
 * there without one. Where changes follow each other faster than they are gone through, as when a knob is dragged, each gentle
 * begin would be a halt; straight on, they are 8 to 15 dB softer. */
TZ_INLINE float tz_way(const struct tz_glide *glide, uint32_t left)
{
	const float straight = (float)(int32_t)left * glide->per_frame;
	return straight + glide->bend * (tz_smooth(straight) - straight);
}

TZ_INLINE float tz_ramp_at(const struct tz_ramp *ramp, float way)
{
	return ramp->target - ramp->span * way;
}

/* From where it is, `way` before its old target, towards a new one. Call tz_glide_start() after the last. */
static inline void tz_ramp_to(struct tz_ramp *ramp, float way, float target)
{
	ramp->span = target - tz_ramp_at(ramp, way);
	ramp->target = target;
}

/* ramp_frames as adopt() gets it. */
static inline void tz_glide_start(struct tz_glide *glide, int32_t ramp_frames, uint32_t own_frames)
{
	const uint32_t frames = ramp_frames < 0 ? own_frames : (uint32_t)ramp_frames;
	glide->bend = glide->left > 0 ? 0.0f : 1.0f;
	glide->left = tz_least(frames, 1u << 24); /* a float counts no further; 43 s at 384 kHz */
	glide->per_frame = glide->left > 0 ? 1.0f / (float)glide->left : 0.0f;
}

/* Frames in so much time. */
static inline uint32_t tz_frames(double milliseconds, double sample_rate)
{
	return (uint32_t)(milliseconds * 1e-3 * sample_rate + 0.5);
}

/* The length of a glide where nothing else is said: too short to hear as a fade, too long to hear as a click. */
#define TZ_OWN_RAMP_MS 20.0

/* A choice that cannot glide (a delay time, a wave form): what it was cross-fades into what it is to be. A wish that comes
 * meanwhile waits for the end of the fade, and hurries it. */
struct tz_change {
	uint32_t from, to, wish;
	int32_t wish_ramp;
	struct tz_glide glide;
};

static inline void tz_change_settle(struct tz_change *change, uint32_t choice)
{
	*change = (struct tz_change){.from = choice, .to = choice, .wish = choice};
}

static inline void tz_change_begin(struct tz_change *change, uint32_t own_frames)
{
	change->from = change->to;
	change->to = change->wish;
	tz_glide_start(&change->glide, change->from == change->to ? 0 : change->wish_ramp, own_frames);
}

static inline void tz_change_to(struct tz_change *change, uint32_t choice, int32_t ramp_frames, uint32_t own_frames)
{
	change->wish = choice;
	change->wish_ramp = ramp_frames;
	if (ramp_frames == 0) {
		tz_change_settle(change, choice);
	} else if (change->glide.left == 0) {
		tz_change_begin(change, own_frames);
	} else if (choice != change->to && change->glide.left > own_frames) {
		change->glide.per_frame *= (float)(int32_t)change->glide.left / (float)(int32_t)own_frames; /* from where it is */
		change->glide.left = own_frames;
	}
}

/* After `frames` (≤ left) of the fade have sounded. */
static inline void tz_change_pass(struct tz_change *change, uint32_t frames, uint32_t own_frames)
{
	change->glide.left -= frames;
	if (change->glide.left == 0)
		tz_change_begin(change, own_frames);
}

#endif
