/* [audio] Sections of one chain side by side in vector lanes. One section after the other is slow: each frame waits for the frame before,
 * and the machine idles. Here every section works at the same time, each on a frame two earlier than the section before it; lanes
 * fill at the start of a call and empty at its end, so nothing is late. Each lane does the very operations of tz_section_step(), so
 * the bits are the same. Vectors of 16 bytes: every 64-bit machine has them, and what bounds the speed is latency, not width. */
#ifndef TZ_SECTION_LANES_H
#define TZ_SECTION_LANES_H

#include "section.h"

/* A vector holds two sections of two channels: s0 left, s0 right, s1 left, s1 right. */
enum { TZ_LANES = 4, TZ_MOST_VECTORS = 4, TZ_MOST_SIDE_BY_SIDE = 2 * TZ_MOST_VECTORS };

typedef float tz_lanes __attribute__((vector_size(4 * TZ_LANES)));
typedef int32_t tz_lane_mask __attribute__((vector_size(4 * TZ_LANES)));

/* Coefficients and memories as lanes. Unused ones must let everything pass. */
struct tz_lane_sections {
	tz_lanes decay, feed, rise, direct, mix_band, mix_low;
	tz_lanes band, low;   /* the memories */
	tz_lanes newer, older; /* what came out one and two steps ago */
};

TZ_INLINE void tz_lanes_set(struct tz_lane_sections *vectors, uint32_t section, uint32_t side, const struct tz_coefficients *c,
    struct tz_memory memory)
{
	struct tz_lane_sections *vector = &vectors[section / 2];
	const uint32_t lane = section % 2 * 2 + side;
	vector->decay[lane] = c->decay;
	vector->feed[lane] = c->feed;
	vector->rise[lane] = c->rise;
	vector->direct[lane] = c->direct;
	vector->mix_band[lane] = c->band;
	vector->mix_low[lane] = c->low;
	vector->band[lane] = memory.band;
	vector->low[lane] = memory.low;
}

TZ_INLINE struct tz_memory tz_lanes_memory(const struct tz_lane_sections *vectors, uint32_t section, uint32_t side)
{
	const uint32_t lane = section % 2 * 2 + side;
	return (struct tz_memory){vectors[section / 2].band[lane], vectors[section / 2].low[lane]};
}

/* Two channels, in and out; out may be in. */
struct tz_lane_channels {
	const float *in[2];
	float *out[2];
	uint32_t frames;
};

TZ_INLINE tz_lanes tz_lanes_chosen(tz_lane_mask mask, tz_lanes yes, tz_lanes no)
{
	return (tz_lanes)(((tz_lane_mask)yes & mask) | ((tz_lane_mask)no & ~mask));
}

/* Steps first … last; in the `partial` ones some lanes have no frame to work on. `count` and `partial` are known where this is inlined. */
TZ_INLINE void tz_lanes_steps(struct tz_lane_sections *vectors, const uint32_t count, const struct tz_lane_channels *channels, const bool partial,
    uint32_t first, uint32_t last)
{
	const uint32_t late = 4 * count - 2; /* steps from a frame's entry to its exit */
	const tz_lane_mask turn = {0, 0, 2, 2};
	const int32_t frames = (int32_t)channels->frames;
	struct tz_lane_sections vector[TZ_MOST_VECTORS]; /* a copy of its own, which registers can hold */
#pragma GCC unroll 4
	for (uint32_t n = 0; n < count; n++)
		vector[n] = vectors[n];
	for (uint32_t step = first; step < last; step++) {
		const bool entering = !partial || step < channels->frames;
		tz_lanes before = {0.0f, 0.0f, entering ? channels->in[0][step] : 0.0f, entering ? channels->in[1][step] : 0.0f};
#pragma GCC unroll 4
		for (uint32_t n = 0; n < count; n++) {
			struct tz_lane_sections *v = &vector[n];
			const tz_lanes in = __builtin_shufflevector(before, v->older, 2, 3, 4, 5);
			const tz_lanes across = in - v->low;
			tz_lanes band = v->band + (v->decay * v->band + v->feed * across);
			tz_lanes low = v->low + (v->feed * v->band + v->rise * across);
			if (partial) {
				const tz_lane_mask frame = (int32_t)step - (int32_t)(4 * n) - turn, working = (frame >= 0) & (frame < frames);
				band = tz_lanes_chosen(working, band, v->band);
				low = tz_lanes_chosen(working, low, v->low);
			}
			before = v->older;
			v->older = v->newer;
			v->newer = v->direct * in + (v->mix_band * (v->band + band) + v->mix_low * (v->low + low));
			v->band = band;
			v->low = low;
		}
		if (!partial || step >= late) {
			channels->out[0][step - late] = vector[count - 1].newer[2];
			channels->out[1][step - late] = vector[count - 1].newer[3];
		}
	}
#pragma GCC unroll 4
	for (uint32_t n = 0; n < count; n++)
		vectors[n] = vector[n];
}

/* Two channels through `count` × 2 sections. */
TZ_INLINE void tz_lanes_run(struct tz_lane_sections *vectors, const uint32_t count, const struct tz_lane_channels *channels)
{
	const uint32_t late = 4 * count - 2, full = late < channels->frames ? channels->frames : late;
	tz_lanes_steps(vectors, count, channels, true, 0, late);
	tz_lanes_steps(vectors, count, channels, false, late, full);
	tz_lanes_steps(vectors, count, channels, true, full, channels->frames + late);
}

#endif
