/* [audio] The look at an output, compiled for each level of the processor. */
#include "look.h"

#include "kernel.h"

#include <string.h>

#ifndef TZ_AT_LEVEL
#define TZ_AT_LEVEL(name) name
#endif

/* Partial results side by side, as many whatever the width, so that the sum is the same; and the loop needs no reassociation. */
enum { LANES = 16, VECTORS = LANES / TZ_WIDTH };

void TZ_AT_LEVEL(tz_look)(const float *restrict samples, uint32_t frames, struct tz_level *level)
{
	tz_wide peak[VECTORS] = {0}, square[VECTORS] = {0};
	const uint32_t whole = frames - frames % LANES;
	for (uint32_t i = 0; i < whole; i += LANES)
#pragma GCC unroll 4
		for (uint32_t n = 0; n < VECTORS; n++) {
			tz_wide sound;
			memcpy(&sound, samples + i + n * TZ_WIDTH, sizeof sound);
			const tz_wide magnitude = (tz_wide)((tz_wide_mask)sound & INT32_MAX);
			const tz_wide_mask louder = magnitude > peak[n]; /* no NaN is */
			peak[n] = (tz_wide)(((tz_wide_mask)magnitude & louder) | ((tz_wide_mask)peak[n] & ~louder));
			square[n] += sound * sound;
		}
	for (uint32_t i = whole; i < frames; i++) {
		const float magnitude = samples[i] < 0 ? -samples[i] : samples[i];
		peak[0][0] = magnitude > peak[0][0] ? magnitude : peak[0][0];
		square[0][0] += samples[i] * samples[i];
	}
	*level = (struct tz_level){0};
	for (uint32_t lane = 0; lane < LANES; lane++) {
		const float highest = peak[lane / TZ_WIDTH][lane % TZ_WIDTH];
		level->peak = highest > level->peak ? highest : level->peak;
		level->square_sum += square[lane / TZ_WIDTH][lane % TZ_WIDTH];
	}
}
