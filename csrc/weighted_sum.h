/* [audio] One output channel as the sum of input channels times gains: what mixers and matrices are. The terms are added in their
 * order, whatever the grouping, so a silent term more changes no bit of the sum. */
#ifndef TZ_WEIGHTED_SUM_H
#define TZ_WEIGHTED_SUM_H

#include "ramp.h"

struct tz_share {
	uint32_t source; /* its place in a list of channels */
	float gain;
};

/* So many frames at a time: their sums stay in registers while all terms pass, and hide from one another how long an addition takes.
 * Wide vectors, which the compiler splits where the machine has narrower ones. */
typedef float tz_sum_lanes __attribute__((vector_size(64), aligned(4), may_alias));
enum { TZ_SUM_LANES = 16, TZ_SUM_VECTORS = 8, TZ_SUM_TILE = TZ_SUM_LANES * TZ_SUM_VECTORS };

TZ_INLINE void tz_sum_tile(float *sum, const float *const *sources, const struct tz_share *shares, uint32_t count, uint32_t first)
{
	tz_sum_lanes total[TZ_SUM_VECTORS] = {0};
	for (uint32_t n = 0; n < count; n++) {
		const tz_sum_lanes *source = (const tz_sum_lanes *)(sources[shares[n].source] + first);
		const float gain = shares[n].gain;
#pragma GCC unroll 8
		for (uint32_t vector = 0; vector < TZ_SUM_VECTORS; vector++)
			total[vector] += source[vector] * gain;
	}
#pragma GCC unroll 8
	for (uint32_t vector = 0; vector < TZ_SUM_VECTORS; vector++)
		((tz_sum_lanes *)sum)[vector] = total[vector];
}

TZ_INLINE void tz_sum_shares(float *restrict sum, const float *const *sources, const struct tz_share *shares, uint32_t count, uint32_t first,
    uint32_t frames)
{
	uint32_t done = 0;
	for (; frames - done >= TZ_SUM_TILE; done += TZ_SUM_TILE)
		tz_sum_tile(sum + done, sources, shares, count, first + done);
	for (uint32_t frame = done; frame < frames; frame++)
		sum[frame] = 0.0f;
	for (uint32_t n = 0; n < count; n++) {
		const float *restrict source = sources[shares[n].source] + first;
		for (uint32_t frame = done; frame < frames; frame++)
			sum[frame] += source[frame] * shares[n].gain;
	}
}

/* One more term while its gain glides; frames ≤ glide->left. */
TZ_INLINE void tz_add_gliding(float *restrict sum, const float *restrict source, const struct tz_ramp *gain, const struct tz_glide *glide,
    uint32_t frames)
{
	const struct tz_ramp ramp = *gain;
	for (uint32_t frame = 0; frame < frames; frame++)
		sum[frame] += source[frame] * tz_ramp_at(&ramp, tz_way(glide, glide->left - 1 - frame));
}

#endif
