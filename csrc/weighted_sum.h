/* [audio] One output channel as the sum of input channels times gains: what mixers and matrices are. The terms are added in their
 * order, whatever the grouping, so a silent term more changes no bit of the sum. */
#ifndef TZ_WEIGHTED_SUM_H
#define TZ_WEIGHTED_SUM_H

#include "ramp.h"

struct tz_term {
	const float *source;
	struct tz_ramp gain;
};

/* Eight terms and the sum so far fit the registers; the sum is loaded and stored once for all eight. */
enum { TZ_TERM_GROUP = 8 };

/* sum[frame] (or 0, if `fresh`) + terms[0 … count): count is known where this is inlined. */
TZ_INLINE void tz_add_terms(float *restrict sum, const struct tz_term *terms, const uint32_t count, bool fresh, uint32_t frames)
{
	const float *source[TZ_TERM_GROUP];
	float gain[TZ_TERM_GROUP];
	for (uint32_t n = 0; n < count; n++) {
		source[n] = terms[n].source;
		gain[n] = terms[n].gain.target;
	}
	for (uint32_t frame = 0; frame < frames; frame++) {
		float total = fresh ? 0.0f : sum[frame];
#pragma GCC unroll 8
		for (uint32_t n = 0; n < count; n++)
			total += source[n][frame] * gain[n];
		sum[frame] = total;
	}
}

TZ_INLINE void tz_sum_steady(float *restrict sum, const struct tz_term *terms, uint32_t count, uint32_t frames)
{
	uint32_t done = 0;
	bool fresh = true;
	for (; count - done >= TZ_TERM_GROUP; done += TZ_TERM_GROUP, fresh = false)
		tz_add_terms(sum, terms + done, TZ_TERM_GROUP, fresh, frames);
	for (; count - done >= 2; done += 2, fresh = false)
		tz_add_terms(sum, terms + done, 2, fresh, frames);
	if (done < count || fresh)
		tz_add_terms(sum, terms + done, count - done, fresh, frames);
}

/* The same during a glide with `left` frames to go before the first of these; frames ≤ left. */
TZ_INLINE void tz_sum_gliding(float *restrict sum, const struct tz_term *terms, uint32_t count, const struct tz_glide *glide, uint32_t frames)
{
	for (uint32_t frame = 0; frame < frames; frame++)
		sum[frame] = 0.0f;
	for (uint32_t n = 0; n < count; n++) {
		const float *source = terms[n].source;
		const struct tz_ramp gain = terms[n].gain;
		for (uint32_t frame = 0; frame < frames; frame++)
			sum[frame] += source[frame] * tz_ramp_at(&gain, tz_way(glide, glide->left - 1 - frame));
	}
}

#endif
