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

static void give_back(struct tz_engine *engine, struct tz_commit *commit)
{
	tz_queue_push(&engine->outgoing, commit); /* has room: see `outstanding` */
	engine->telemetry.ring_the_bell = true;
}

static void settle(struct tz_engine *engine, struct tz_commit *commit)
{
	if (tz_commit_take(commit)) {
		tz_commit_adopt(commit, &engine->plan, &engine->pacer, engine->frame);
		tz_probings_adopt(commit->probings, &engine->probes);
		atomic_fetch_add_explicit(&engine->telemetry.commits, 1, memory_order_relaxed);
		if (commit->copies) {
			engine->copying = commit; /* the only one: see `copies_outstanding` */
			return;
		}
	}
	give_back(engine, commit);
}

void tz_copy_on(struct tz_engine *engine, bool whole)
{
	struct tz_commit *commit = engine->copying;
	if (!commit)
		return;
	bool done;
	do
		done = tz_copies_go_on(commit->copies);
	while (!done && whole);
	if (done) {
		engine->copying = NULL;
		give_back(engine, commit);
	}
}

/* Those that wait come in the order of their frames: what is behind one that is not due is not due either. */
static void settle_due(struct tz_engine *engine)
{
	while (engine->due_count > 0) {
		struct tz_commit *commit = engine->due[engine->due_first];
		if (commit->due > engine->frame && atomic_load_explicit(&commit->fate, memory_order_relaxed) == TZ_FATE_OPEN)
			return;
		engine->due_first = (engine->due_first + 1) % TZ_QUEUE_SLOTS;
		engine->due_count--;
		settle(engine, commit);
	}
}

/* What is due first: what comes in with the same frame relies on it. */
void tz_adopt_waiting(struct tz_engine *engine)
{
	settle_due(engine);
	for (int i = 0; i < COMMITS_PER_BLOCK; i++) {
		struct tz_commit *commit = tz_queue_pop(&engine->incoming);
		if (!commit)
			return;
		if (commit->due > engine->frame)
			engine->due[(engine->due_first + engine->due_count++) % TZ_QUEUE_SLOTS] = commit;
		else
			settle(engine, commit);
	}
}

void tz_block_cycle(struct tz_engine *engine)
{
	struct tz_telemetry *telemetry = &engine->telemetry;
	int64_t begin = tz_clock_ns(CLOCK_MONOTONIC);
	tz_adopt_waiting(engine);
	tz_copy_on(engine, false);
	tz_moment_tell(&telemetry->moment, (struct tz_moment){(double)engine->frame, tz_clock_ns(CLOCK_REALTIME)});
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
	/* Released: who sees this count sees all that these blocks did. */
	atomic_store_explicit(&telemetry->blocks, block + 1, memory_order_release);
	double busy = (double)(tz_clock_ns(CLOCK_MONOTONIC) - begin) * 1e-9;
	tz_telemetry_load(telemetry, busy * engine->sample_rate / engine->block_frames);
	tz_telemetry_ring(telemetry);
}

bool tz_wait_for_endpoints(struct tz_engine *engine, int64_t timeout_ns)
{
	tz_adopt_waiting(engine); /* what that brings on stage is waited for as well */
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
