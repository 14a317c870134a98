/* [audio] Output channels as sums of input channels times gains: what mixers and matrices are. The terms are added in their order,
 * whatever the grouping, so a silent term more changes no bit of a sum. */
#ifndef TZ_WEIGHTED_SUM_H
#define TZ_WEIGHTED_SUM_H

#include "ramp.h"

/* What one or several sums, the rows, are made of. */
struct tz_terms {
	const uint32_t *source; /* per term its place in a list of channels */
	const float *gain;      /* per term one for each row */
	uint32_t count;
};

/* A tile's sums stay in registers while all terms pass, and hide from one another how long an addition takes: eight vectors do, of the
 * sixteen that processors have at least. Several rows share the work of reading the sources; how many at best was measured. */
enum { TZ_SUM_VECTORS = 8, TZ_SUM_ROWS = TZ_WIDTH == 16 ? 8 : 2 };

/* `rows` and `vectors` are known where this is inlined. */
TZ_INLINE void tz_sum_tile(const uint32_t rows, const uint32_t vectors, float *const *sums, const float *const *sources,
    const struct tz_terms *terms, uint32_t first)
{
	tz_wide total[TZ_SUM_VECTORS] = {0};
	for (uint32_t n = 0; n < terms->count; n++) {
		const tz_wide_anywhere *source = (const tz_wide_anywhere *)(sources[terms->source[n]] + first);
#pragma GCC unroll 8
		for (uint32_t vector = 0; vector < vectors; vector++)
#pragma GCC unroll 8
			for (uint32_t row = 0; row < rows; row++)
				total[row * vectors + vector] += source[vector] * terms->gain[n * rows + row];
	}
#pragma GCC unroll 8
	for (uint32_t row = 0; row < rows; row++)
#pragma GCC unroll 8
		for (uint32_t vector = 0; vector < vectors; vector++)
			((tz_wide_anywhere *)(sums[row] + first))[vector] = total[row * vectors + vector];
}

/* `rows`, 1 or TZ_SUM_ROWS, is known where this is inlined. Sums and sources alike begin at frame `first`. */
TZ_INLINE void tz_sum_terms(const uint32_t rows, float *const *sums, const float *const *sources, const struct tz_terms *terms, uint32_t first,
    uint32_t frames)
{
	const uint32_t most = TZ_SUM_VECTORS / rows, end = first + frames;
	for (; end - first >= most * TZ_WIDTH; first += most * TZ_WIDTH)
		tz_sum_tile(rows, most, sums, sources, terms, first);
	for (; end - first >= TZ_WIDTH; first += TZ_WIDTH)
		tz_sum_tile(rows, 1, sums, sources, terms, first);
	for (uint32_t row = 0; row < rows; row++) {
		float *restrict sum = sums[row];
		for (uint32_t frame = first; frame < end; frame++)
			sum[frame] = 0.0f;
		for (uint32_t n = 0; n < terms->count; n++) {
			const float *restrict source = sources[terms->source[n]];
			for (uint32_t frame = first; frame < end; frame++)
				sum[frame] += source[frame] * terms->gain[n * rows + row];
		}
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
