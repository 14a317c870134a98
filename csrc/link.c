/* [both] The fade of a connection. */
#include "link.h"

#include "memory.h"

#include <math.h>
#include <stdatomic.h>

/* Raised cosine by table: 1024 steps with linear interpolation are within 6e-7 (-124 dB) of the true curve, and the curve
 * is symmetric, so a fade in and a fade out of the same length add up to 1. */
#define CURVE_STEPS 1024

/* −100 dBFS: below the noise of any 16-bit recording, and of any room. */
#define INAUDIBLE 1e-5f

static float curve[CURVE_STEPS + 2]; /* one more than the last, so that interpolation may read past 1.0 */

__attribute__((constructor)) static void fill_curve(void)
{
	for (int i = 0; i <= CURVE_STEPS; i++)
		curve[i] = (float)(0.5 - 0.5 * cos(3.14159265358979323846 * i / CURVE_STEPS));
	curve[CURVE_STEPS + 1] = 1.0f;
}

struct tz_link {
	atomic_uint references;
	/* the audio thread's alone from the first commit on */
	bool sounding;
	uint32_t position, length; /* 0 = silent, length = unity */
	uint32_t wait;             /* frames until it moves */
	/* of one that drains */
	bool draining;
	struct tz_drain drain; /* quiet: how many frames are still to be so */
	uint32_t quiet_needed;
	/* told to the control thread */
	_Atomic uint64_t let_go; /* 0: it has not */
};

struct tz_link *tz_link_new(bool sounding)
{
	struct tz_link *link = tz_allocate(sizeof *link);
	if (!link)
		return NULL;
	atomic_init(&link->references, 1);
	link->length = 1;
	link->position = sounding;
	link->sounding = sounding;
	return link;
}

struct tz_link *tz_link_retain(struct tz_link *link)
{
	atomic_fetch_add_explicit(&link->references, 1, memory_order_relaxed);
	return link;
}

void tz_link_release(struct tz_link *link)
{
	if (link && atomic_fetch_sub_explicit(&link->references, 1, memory_order_acq_rel) == 1)
		tz_free(link);
}

void tz_link_turn(struct tz_link *link, bool sounding, uint32_t frames, uint32_t wait)
{
	if (link->wait == 0 && link->length == 1)
		link->position = link->sounding; /* what was put off until now, to be at once, has come */
	link->sounding = sounding;
	link->wait = wait;
	if (frames == 0 && wait > 0)
		frames = 1; /* at once, when the time has come */
	if (frames == 0) {
		link->length = 1;
		link->position = sounding;
	} else {
		link->position = (uint32_t)(((uint64_t)link->position * frames + link->length / 2) / link->length);
		link->length = frames;
	}
}

void tz_link_follow(struct tz_link *link, const struct tz_link *leader)
{
	link->sounding = leader->sounding;
	link->position = leader->position;
	link->length = leader->length;
	link->wait = leader->wait;
	link->draining = leader->draining;
	link->drain = leader->drain;
	link->quiet_needed = leader->quiet_needed;
	atomic_store_explicit(&link->let_go, atomic_load_explicit(&leader->let_go, memory_order_relaxed), memory_order_relaxed);
}

void tz_link_drain(struct tz_link *link, const struct tz_drain *drain)
{
	link->draining = true;
	link->drain = *drain;
	link->quiet_needed = drain->quiet;
}

static bool is_loud(const float *samples, uint32_t frames)
{
	bool loud = false;
	for (uint32_t i = 0; i < frames; i++)
		loud |= samples[i] > INAUDIBLE || samples[i] < -INAUDIBLE;
	return loud;
}

void tz_link_hear(struct tz_link *link, const float *const *source, uint32_t channels, uint32_t frames, uint64_t end)
{
	if (!link->draining)
		return;
	bool loud = false;
	for (uint32_t c = 0; c < channels; c++)
		loud |= is_loud(source[c], frames);
	struct tz_drain *drain = &link->drain;
	drain->quiet = loud ? link->quiet_needed : drain->quiet > frames ? drain->quiet - frames : 0;
	drain->limit = drain->limit > frames ? drain->limit - frames : 0;
	if (drain->quiet > 0 && drain->limit > 0)
		return;
	link->draining = false;
	tz_link_turn(link, false, drain->fade, 0);
	atomic_store_explicit(&link->let_go, end, memory_order_release);
}

uint64_t tz_link_let_go(const struct tz_link *link)
{
	return atomic_load_explicit(&link->let_go, memory_order_acquire);
}

bool tz_link_at_unity(const struct tz_link *link)
{
	return link->sounding && link->position == link->length;
}

bool tz_link_silent(const struct tz_link *link)
{
	return !link->sounding && link->position == 0;
}

void tz_link_gains(struct tz_link *link, float *gains, uint32_t frames)
{
	float scale = (float)CURVE_STEPS / (float)link->length;
	for (uint32_t i = 0; i < frames; i++) {
		if (link->wait > 0)
			link->wait--;
		else if (link->sounding && link->position < link->length)
			link->position++;
		else if (!link->sounding && link->position > 0)
			link->position--;
		float at = (float)link->position * scale;
		uint32_t step = (uint32_t)at;
		if (step > CURVE_STEPS)
			step = CURVE_STEPS;
		gains[i] = link->position == link->length ? 1.0f : curve[step] + (at - (float)step) * (curve[step + 1] - curve[step]);
	}
}
