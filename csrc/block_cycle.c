/* [audio] One block: adopt what has come in, run the plan, tell. */
#include "engine.h"
#include "realtime.h"
#include "ring.h"

/* So many commits are carried out at one boundary at most; each is whole, the rest follow one block later. Far above what can
 * come in during a block, it only bounds the worst case. */
#define COMMITS_PER_BLOCK 256

/* Every so many blocks all groups are timed: at 48 kHz and 256 frames some 12 times a second, so that two clock readings per group
 * (50 ns) do not weigh on graphs of a thousand nodes. */
#define BLOCKS_PER_TIMING 16

void tz_adopt_waiting(struct tz_engine *engine)
{
	for (int i = 0; i < COMMITS_PER_BLOCK; i++) {
		struct tz_commit *commit = tz_queue_pop(&engine->incoming);
		if (!commit)
			return;
		tz_commit_adopt(commit, &engine->plan, &engine->pacer, engine->frame);
		tz_probings_adopt(commit->probings, &engine->probes);
		tz_queue_push(&engine->outgoing, commit); /* has room: see `outstanding` */
		atomic_fetch_add_explicit(&engine->telemetry.commits, 1, memory_order_relaxed);
		engine->telemetry.ring_the_bell = true;
	}
}

void tz_block_cycle(struct tz_engine *engine)
{
	struct tz_telemetry *telemetry = &engine->telemetry;
	int64_t begin = tz_clock_ns(CLOCK_MONOTONIC);
	tz_adopt_waiting(engine);
	tz_telemetry_moment(telemetry, engine->frame, (uint64_t)tz_clock_ns(CLOCK_REALTIME));
	uint64_t block = atomic_load_explicit(&telemetry->blocks, memory_order_relaxed);
	if (engine->plan) {
		const struct tz_attention attention = {
			.timed = block % BLOCKS_PER_TIMING == 0,
			.metered = atomic_load_explicit(&engine->metered, memory_order_relaxed),
			.probed = engine->probes > 0,
		};
		tz_plan_run(engine->plan, attention, telemetry, engine->frame);
	}
	engine->frame += engine->block_frames;
	atomic_store_explicit(&telemetry->blocks, block + 1, memory_order_relaxed);
	double busy = (double)(tz_clock_ns(CLOCK_MONOTONIC) - begin) * 1e-9;
	tz_telemetry_load(telemetry, busy * engine->sample_rate / engine->block_frames);
	tz_telemetry_ring(telemetry);
}

bool tz_wait_for_endpoints(struct tz_engine *engine, int64_t timeout_ns)
{
	int64_t deadline = tz_clock_ns(CLOCK_MONOTONIC) + timeout_ns;
	for (;;) {
		struct tz_node *node = engine->plan ? tz_plan_waits_for(engine->plan) : NULL;
		if (!node)
			return true;
		int64_t left = deadline - tz_clock_ns(CLOCK_MONOTONIC);
		if (left <= 0 || atomic_load_explicit(&engine->stop, memory_order_relaxed))
			return false;
		bool source = node->shape.output_count > 0;
		/* 20 ms at a time, so that a stop is seen soon */
		tz_ring_await_outside(node->shape.ring, source ? tz_ring_can_pull : tz_ring_can_push, engine->block_frames,
		                      left < 20000000 ? (long)left : 20000000);
	}
}

void tz_nudge_endpoints(struct tz_engine *engine)
{
	for (uint32_t i = 0; engine->plan && i < engine->plan->ring_count; i++)
		tz_ring_nudge(engine->plan->ring_nodes[i]->shape.ring);
}

void tz_tell_pace(const struct tz_engine *engine, double frames, int64_t time_ns)
{
	for (uint32_t i = 0; engine->plan && i < engine->plan->ring_count; i++) {
		const struct tz_node *node = engine->plan->ring_nodes[i];
		struct tz_ring *ring = node->shape.ring;
		const uint64_t moved = node->shape.output_count > 0 ? tz_ring_frames_read(ring) : tz_ring_frames_written(ring);
		tz_moment_tell(&tz_ring_pace(ring)->engine, (struct tz_moment){(double)moved + frames, time_ns});
	}
}
