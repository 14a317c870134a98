/* [audio] Sections side by side in vector lanes. One section after the other is slow: each frame waits for the frame before, and the
 * machine idles. Here all sections of a chain work at the same time, each on a frame two earlier than the section before it; lanes
 * fill at the start of a call and empty at its end, so nothing is late. Short chains that have nothing to do with one another work
 * side by side as well. Each lane does the very operations of tz_section_step(), so the bits are the same. */
#ifndef TZ_SECTION_LANES_H
#define TZ_SECTION_LANES_H

#include "section.h"

/* A vector holds sections of two channels: s0 left, s0 right, s1 left, s1 right and so on. Four vectors keep the machine busy while
 * each of them waits for itself. */
enum { TZ_VECTOR_SECTIONS = TZ_WIDTH / 2, TZ_MOST_VECTORS = 4, TZ_MOST_SIDE_BY_SIDE = TZ_VECTOR_SECTIONS * TZ_MOST_VECTORS };

/* How chains lie in several vectors: one through all of them; a chain in each; a chain in each half of them. */
enum tz_lane_layout { TZ_ONE_CHAIN, TZ_CHAIN_EACH, TZ_CHAIN_EACH_HALF };

TZ_INLINE uint32_t tz_lanes_chains(enum tz_lane_layout layout, uint32_t count)
{
	return layout == TZ_ONE_CHAIN ? 1 : layout == TZ_CHAIN_EACH ? count : 2 * count;
}

/* Coefficients and memories as lanes. Unused ones must let everything pass. */
struct tz_lane_sections {
	tz_wide decay, feed, rise, direct, mix_band, mix_low;
	tz_wide band, low;    /* the memories */
	tz_wide newer, older; /* what came out one and two steps ago */
};

TZ_INLINE void tz_lanes_set(struct tz_lane_sections *vectors, uint32_t section, uint32_t side, const struct tz_coefficients *c,
    struct tz_memory memory)
{
	struct tz_lane_sections *vector = &vectors[section / TZ_VECTOR_SECTIONS];
	const uint32_t lane = section % TZ_VECTOR_SECTIONS * 2 + side;
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
	const struct tz_lane_sections *vector = &vectors[section / TZ_VECTOR_SECTIONS];
	const uint32_t lane = section % TZ_VECTOR_SECTIONS * 2 + side;
	return (struct tz_memory){vector->band[lane], vector->low[lane]};
}

/* Two channels, in and out; out may be in. */
struct tz_lane_channels {
	const float *in[2];
	float *out[2];
};

TZ_INLINE tz_wide tz_lanes_chosen(tz_wide_mask mask, tz_wide yes, tz_wide no)
{
	return (tz_wide)(((tz_wide_mask)yes & mask) | ((tz_wide_mask)no & ~mask));
}

typedef uint64_t tz_wide_pairs __attribute__((vector_size(4 * TZ_WIDTH)));

/* A frame in all pairs of lanes. */
TZ_INLINE tz_wide tz_lanes_frame(const struct tz_lane_channels *channels, uint32_t frame)
{
	const union {
		float side[2];
		uint64_t both;
	} sound = {{channels->in[0][frame], channels->in[1][frame]}};
	const tz_wide_pairs none = {0};
	return (tz_wide)(none + sound.both);
}

/* What each section takes in: the first that of `before`'s last pair, the others what the section before them gave out. */
TZ_INLINE tz_wide tz_lanes_moved_up(tz_wide before, tz_wide lanes)
{
#if TZ_WIDTH == 16
	return __builtin_shufflevector(before, lanes, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29);
#elif TZ_WIDTH == 8
	return __builtin_shufflevector(before, lanes, 6, 7, 8, 9, 10, 11, 12, 13);
#else
	return __builtin_shufflevector(before, lanes, 2, 3, 4, 5);
#endif
}

/* The same where a half of the vector is a chain of its own. */
TZ_INLINE tz_wide tz_lanes_halves_moved_up(tz_wide before, tz_wide lanes)
{
#if TZ_WIDTH == 16
	return __builtin_shufflevector(before, lanes, 6, 7, 16, 17, 18, 19, 20, 21, 14, 15, 24, 25, 26, 27, 28, 29);
#elif TZ_WIDTH == 8
	return __builtin_shufflevector(before, lanes, 2, 3, 8, 9, 6, 7, 12, 13);
#else
	(void)lanes; /* one section in each half */
	return before;
#endif
}

/* Two frames, one in each half. */
TZ_INLINE tz_wide tz_lanes_two_frames(const struct tz_lane_channels *channels, uint32_t frame)
{
	const tz_wide one = tz_lanes_frame(&channels[0], frame), other = tz_lanes_frame(&channels[1], frame);
#if TZ_WIDTH == 16
	return __builtin_shufflevector(one, other, 0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31);
#elif TZ_WIDTH == 8
	return __builtin_shufflevector(one, other, 0, 1, 2, 3, 12, 13, 14, 15);
#else
	return __builtin_shufflevector(one, other, 0, 1, 6, 7);
#endif
}

/* Steps first … last of `count` vectors; in the `partial` steps some lanes have no frame to work on. What is constant here is known where
 * this is inlined. */
TZ_INLINE void tz_lanes_steps(struct tz_lane_sections *vectors, const uint32_t count, const enum tz_lane_layout layout, const struct tz_lane_channels *channels,
    uint32_t frames, const bool partial, uint32_t first, uint32_t last)
{
	const uint32_t chains = tz_lanes_chains(layout, count), length = count * TZ_WIDTH / chains; /* in lanes */
	const uint32_t late = length - 2;                                                        /* steps from a frame's entry to its exit */
	tz_wide_mask turn = {0};
	for (uint32_t lane = 0; lane < TZ_WIDTH; lane++)
		turn[lane] = (int32_t)(lane % length / 2 * 2);
	struct tz_lane_sections vector[TZ_MOST_VECTORS]; /* a copy of its own, which registers can hold */
#pragma GCC unroll 4
	for (uint32_t n = 0; n < count; n++)
		vector[n] = vectors[n];
	for (uint32_t step = first; step < last; step++) {
		const uint32_t entering = !partial || step < frames ? step : frames - 1; /* what comes in late is of no consequence */
		tz_wide before = {0};
#pragma GCC unroll 4
		for (uint32_t n = 0; n < count; n++) {
			struct tz_lane_sections *v = &vector[n];
			if (layout == TZ_CHAIN_EACH_HALF)
				before = tz_lanes_two_frames(&channels[2 * n], entering);
			else if (layout == TZ_CHAIN_EACH || n == 0)
				before = tz_lanes_frame(&channels[n], entering);
			const bool halves = layout == TZ_CHAIN_EACH_HALF;
			const tz_wide in = halves ? tz_lanes_halves_moved_up(before, v->older) : tz_lanes_moved_up(before, v->older);
			const tz_wide across = in - v->low;
			tz_wide band = v->band + (v->decay * v->band + v->feed * across);
			tz_wide low = v->low + (v->feed * v->band + v->rise * across);
			if (partial) {
				const int32_t begin = layout == TZ_ONE_CHAIN ? (int32_t)(TZ_WIDTH * n) : 0;
				const tz_wide_mask frame = (int32_t)step - begin - turn, working = (frame >= 0) & (frame < (int32_t)frames);
				band = tz_lanes_chosen(working, band, v->band);
				low = tz_lanes_chosen(working, low, v->low);
			}
			before = v->older;
			v->older = v->newer;
			v->newer = v->direct * in + (v->mix_band * (v->band + band) + v->mix_low * (v->low + low));
			v->band = band;
			v->low = low;
		}
		if (partial && step < late)
			continue;
#pragma GCC unroll 8
		for (uint32_t chain = 0; chain < chains; chain++) {
			const uint32_t end = (chain + 1) * length; /* of the chain, in the lanes of all vectors */
			const tz_wide out = vector[(end - 1) / TZ_WIDTH].newer;
			channels[chain].out[0][step - late] = out[(end - 2) % TZ_WIDTH];
			channels[chain].out[1][step - late] = out[(end - 1) % TZ_WIDTH];
		}
	}
#pragma GCC unroll 4
	for (uint32_t n = 0; n < count; n++)
		vectors[n] = vector[n];
}

/* Two channels for each chain of `count` vectors. */
TZ_INLINE void tz_lanes_run(struct tz_lane_sections *vectors, const uint32_t count, const enum tz_lane_layout layout,
    const struct tz_lane_channels *channels, uint32_t frames)
{
	const uint32_t late = count * TZ_WIDTH / tz_lanes_chains(layout, count) - 2, full = late < frames ? frames : late;
	tz_lanes_steps(vectors, count, layout, channels, frames, true, 0, late);
	tz_lanes_steps(vectors, count, layout, channels, frames, false, late, full);
	tz_lanes_steps(vectors, count, layout, channels, frames, true, full, frames + late);
}

#endif
