/* [audio] One output channel as the sum of input channels times gains: what mixers and matrices are. The terms are added in their
 * order, whatever the grouping, so a silent term more changes no bit of the sum. */
#ifndef TZ_WEIGHTED_SUM_H
#define TZ_WEIGHTED_SUM_H

#include "ramp.h"

struct tz_share {
	uint32_t source; /* its place in a list of channels */
	float gain;
};

/* Eight terms and the sum so far fit the registers; the sum is loaded and stored once for all eight. */
enum { TZ_SHARE_GROUP = 8 };

/* sum[frame] (or 0, if `fresh`) + shares[0 … count) of source[first + frame]: count is known where this is inlined. */
TZ_INLINE void tz_add_shares(float *restrict sum, const float *const *sources, const struct tz_share *shares, const uint32_t count, bool fresh,
    uint32_t first, uint32_t frames)
{
	const float *source[TZ_SHARE_GROUP];
	float gain[TZ_SHARE_GROUP];
	for (uint32_t n = 0; n < count; n++) {
		source[n] = sources[shares[n].source] + first;
		gain[n] = shares[n].gain;
	}
	for (uint32_t frame = 0; frame < frames; frame++) {
		float total = fresh ? 0.0f : sum[frame];
#pragma GCC unroll 8
		for (uint32_t n = 0; n < count; n++)
			total += source[n][frame] * gain[n];
		sum[frame] = total;
	}
}

TZ_INLINE void tz_sum_shares(float *restrict sum, const float *const *sources, const struct tz_share *shares, uint32_t count, uint32_t first,
    uint32_t frames)
{
	uint32_t done = 0;
	bool fresh = true;
	for (; count - done >= TZ_SHARE_GROUP; done += TZ_SHARE_GROUP, fresh = false)
		tz_add_shares(sum, sources, shares + done, TZ_SHARE_GROUP, fresh, first, frames);
	for (; count - done >= 2; done += 2, fresh = false)
		tz_add_shares(sum, sources, shares + done, 2, fresh, first, frames);
	if (done < count || fresh)
		tz_add_shares(sum, sources, shares + done, count - done, fresh, first, frames);
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
