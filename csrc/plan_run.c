/* [audio] Runs one block of a plan: sums, groups, and the look at every output that feeds meters and the NaN guard. */
#include "kernel.h"
#include "link.h"
#include "look.h"
#include "plan.h"
#include "probe.h"
#include "realtime.h"
#include "ring.h"

#include <string.h>

static uint64_t monotonic_ns(void)
{
	return (uint64_t)tz_clock_ns(CLOCK_MONOTONIC);
}

/* ---- Sums ---- */

TZ_KERNEL static void add(float *restrict target, const float *restrict source, uint32_t frames)
{
	for (uint32_t i = 0; i < frames; i++)
		target[i] += source[i];
}

TZ_KERNEL static void add_scaled(float *restrict target, const float *restrict source, const float *restrict gains, uint32_t frames)
{
	for (uint32_t i = 0; i < frames; i++)
		target[i] += source[i] * gains[i];
}

/* Stereo to mono as Web Audio's "speakers" has it: half of each. */
TZ_KERNEL static void add_half(float *restrict target, const float *restrict left, const float *restrict right, uint32_t frames)
{
	for (uint32_t i = 0; i < frames; i++)
		target[i] += 0.5f * (left[i] + right[i]);
}

TZ_KERNEL static void add_half_scaled(float *restrict target, const float *restrict left, const float *restrict right,
                                      const float *restrict gains, uint32_t frames)
{
	for (uint32_t i = 0; i < frames; i++)
		target[i] += 0.5f * (left[i] + right[i]) * gains[i];
}

/* `end`: the frame at which the block ends. */
static void run_sum(const struct tz_sum *sum, float *gains, uint32_t frames, uint64_t end)
{
	for (uint32_t c = 0; c < sum->target_channels; c++)
		memset(sum->target[c], 0, frames * sizeof(float));
	for (uint32_t t = 0; t < sum->term_count; t++) {
		const struct tz_term *term = &sum->terms[t];
		if (term->fading)
			tz_link_hear(term->link, term->source, term->source_channels, frames, end);
		bool scaled = term->fading && !tz_link_at_unity(term->link);
		if (term->fading && tz_link_silent(term->link))
			continue;
		if (scaled)
			tz_link_gains(term->link, gains, frames);
		bool to_mono = term->source_channels == 2 && sum->target_channels == 1;
		for (uint32_t c = 0; c < sum->target_channels; c++) {
			float *target = sum->target[c];
			const float *source = term->source[term->source_channels == 1 ? 0 : c];
			if (to_mono && scaled)
				add_half_scaled(target, term->source[0], term->source[1], gains, frames);
			else if (to_mono)
				add_half(target, term->source[0], term->source[1], frames);
			else if (scaled)
				add_scaled(target, source, gains, frames);
			else
				add(target, source, frames);
		}
	}
}

/* ---- The look at an output ---- */

/* The best for this processor; in some builds there is one only. */
static void (*look)(const float *samples, uint32_t frames, struct tz_level *level) = tz_look;

__attribute__((constructor)) static void choose_look(void)
{
#if defined(__x86_64__)
	if (tz_look_v3 && __builtin_cpu_supports("x86-64-v3"))
		look = tz_look_v3;
	if (tz_look_v4 && __builtin_cpu_supports("x86-64-v4"))
		look = tz_look_v4;
#endif
}

/* A sum of squares is finite if and only if no sample is NaN, Inf or beyond 1e19, which no sound is. */
static bool is_sound(const struct tz_level *level)
{
	return level->square_sum <= 3.0e38f;
}

static void mute(struct tz_node *node, const struct tz_member *member, uint32_t frames, struct tz_telemetry *telemetry, uint64_t frame)
{
	for (uint32_t p = 0; p < node->shape.output_count; p++)
		for (uint32_t c = 0; c < node->shape.output_channels[p]; c++)
			memset(member->out[p][c], 0, frames * sizeof(float));
	if (node->type->reset)
		node->type->reset(node->state);
	uint64_t faults = atomic_fetch_add_explicit(&node->faults, 1, memory_order_relaxed) + 1;
	atomic_fetch_add_explicit(&telemetry->faults, 1, memory_order_relaxed);
	/* Told at the 1st, 2nd, 4th, 8th … time: a node that fails in every block must not flood anybody. */
	if ((faults & (faults - 1)) == 0)
		tz_telemetry_post(telemetry, TZ_EVENT_FAULT, atomic_load_explicit(&node->tag, memory_order_relaxed), frame, (double)faults);
}

static void look_at_outputs(struct tz_node *node, const struct tz_member *member, uint32_t frames, bool metered,
                            struct tz_telemetry *telemetry, uint64_t frame)
{
	uint32_t meter = 0;
	bool guarded = node->type->flags & TZ_GUARDED;
	for (uint32_t p = 0; p < node->shape.output_count; p++)
		for (uint32_t c = 0; c < node->shape.output_channels[p]; c++, meter++) {
			struct tz_level level;
			look(member->out[p][c], frames, &level);
			if (guarded && !is_sound(&level)) {
				mute(node, member, frames, telemetry, frame);
				return;
			}
			if (metered)
				tz_node_meter(node, meter, level.peak, level.square_sum / (float)frames);
		}
}

static void look_at_inputs(struct tz_node *node, const struct tz_member *member, uint32_t frames)
{
	uint32_t meter = 0;
	for (uint32_t p = 0; p < node->shape.input_count; p++)
		for (uint32_t c = 0; c < node->shape.input_channels[p]; c++, meter++) {
			struct tz_level level = {0};
			if (member->in[p])
				look(member->in[p][c], frames, &level);
			tz_node_meter(node, meter, level.peak, level.square_sum / (float)frames);
		}
}

/* ---- A block ---- */

static void look_at_group(const struct tz_group *group, uint32_t frames, bool metered, struct tz_telemetry *telemetry, uint64_t frame)
{
	for (uint32_t i = 0; i < group->count; i++) {
		if (group->nodes[i]->shape.output_count)
			look_at_outputs(group->nodes[i], &group->members[i], frames, metered, telemetry, frame);
		else if (metered)
			look_at_inputs(group->nodes[i], &group->members[i], frames);
	}
}

/* Like nodes cost alike. `start`: of the block. Returns when this group was over. */
static uint64_t count_cost(const struct tz_group *group, uint64_t start, uint64_t begin)
{
	const uint64_t end = monotonic_ns(), each = (end - begin) / group->count;
	for (uint32_t i = 0; i < group->count; i++)
		tz_node_count_cost(group->nodes[i], each, begin - start);
	return end;
}

/* A group that may have probes hanging on it. */
static void process_probed(const struct tz_group *group, uint32_t frames, struct tz_probed_block *block)
{
	const bool timed = tz_probes_play(group->nodes, group->members, group->count, frames);
	block->begin_ns = timed ? (int64_t)monotonic_ns() : 0;
	group->type->process(group->members, group->count, frames);
	block->busy_ns = timed ? (uint32_t)(((int64_t)monotonic_ns() - block->begin_ns) / group->count) : 0;
}

void tz_plan_run(struct tz_plan *plan, struct tz_attention attention, struct tz_telemetry *telemetry, uint64_t frame)
{
	const bool timed = attention.timed;
	const uint32_t frames = plan->block_frames;
	struct tz_probed_block block = {.frame = frame, .frames = frames};
	/* One step's end is the next one's begin: to read the clock costs as much as a small node. */
	const uint64_t start = timed ? monotonic_ns() : 0;
	uint64_t begin = start;
	for (const struct tz_step *step = plan->steps; step < plan->steps + plan->step_count; step++) {
		if (step->kind == TZ_STEP_SUM) {
			run_sum(&step->sum, plan->fade_gains, frames, frame + frames);
			if (timed)
				begin = monotonic_ns();
			continue;
		}
		const struct tz_group *group = &step->group;
		if (attention.probed)
			process_probed(group, frames, &block);
		else
			group->type->process(group->members, group->count, frames);
		if (timed)
			begin = count_cost(group, start, begin);
		if (!attention.metered && !attention.probed && !(group->type->flags & TZ_GUARDED))
			continue;
		if (attention.metered || (group->type->flags & TZ_GUARDED))
			look_at_group(group, frames, attention.metered, telemetry, frame);
		if (attention.probed)
			tz_probes_look(group->nodes, group->members, group->count, &block);
		if (timed)
			begin = monotonic_ns();
	}
}

struct tz_node *tz_plan_waits_for(const struct tz_plan *plan)
{
	for (uint32_t i = 0; i < plan->ring_count; i++) {
		struct tz_node *node = plan->ring_nodes[i];
		bool source = node->shape.output_count > 0;
		if (source ? !tz_ring_can_pull(node->shape.ring, plan->block_frames) : !tz_ring_can_push(node->shape.ring, plan->block_frames))
			return node;
	}
	return NULL;
}
