/* [both] The fade of a connection. */
#include "link.h"

#include "memory.h"

#include <math.h>
#include <stdatomic.h>

/* Raised cosine by table: 1024 steps with linear interpolation are within 6e-7 (-124 dB) of the true curve, and the curve
 * is symmetric, so a fade in and a fade out of the same length add up to 1. */
#define CURVE_STEPS 1024
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

void tz_link_turn(struct tz_link *link, bool sounding, uint32_t frames)
{
	link->sounding = sounding;
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
		if (link->sounding && link->position < link->length)
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
