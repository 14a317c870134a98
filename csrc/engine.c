/* [control] Making an engine, starting and stopping its thread, handing it commits and taking them back. */
#include "engine.h"

#include "memory.h"
#include "realtime.h"

tz_status tz_engine_new(double sample_rate, uint32_t block_frames, tz_clock clock, int realtime_priority, struct tz_engine **made)
{
	if (!(sample_rate >= 1000 && sample_rate <= 1000000) || block_frames < 1 || block_frames > 65536)
		return TZ_BAD_ARGUMENT;
	struct tz_engine *engine = tz_allocate(sizeof *engine);
	if (!engine)
		return TZ_NO_MEMORY;
	engine->sample_rate = sample_rate;
	engine->block_frames = block_frames;
	engine->clock = clock;
	engine->wanted_priority = realtime_priority;
	tz_status status = tz_telemetry_open(&engine->telemetry);
	if (status != TZ_OK) {
		tz_free(engine);
		return status;
	}
	*made = engine;
	return TZ_OK;
}

void tz_engine_release(struct tz_engine *engine)
{
	if (!engine)
		return;
	tz_engine_stop(engine);
	void *commit;
	while ((commit = tz_queue_pop(&engine->incoming)))
		tz_commit_release(commit);
	while ((commit = tz_queue_pop(&engine->outgoing)))
		tz_commit_release(commit);
	for (uint32_t i = 0; i < engine->due_count; i++)
		tz_commit_release(engine->due[(engine->due_first + i) % TZ_QUEUE_SLOTS]);
	tz_commit_release(engine->copying);
	tz_plan_release(engine->plan);
	tz_node_release(engine->pacer);
	tz_telemetry_close(&engine->telemetry);
	tz_free(engine);
}

/* ---- The thread ---- */

static void *thread_body(void *engine)
{
	tz_clock_run(engine);
	return NULL;
}

static bool take(struct tz_engine *engine, int holder)
{
	int nobody = TZ_NOBODY;
	return atomic_compare_exchange_strong(&engine->holder, &nobody, holder);
}

/* Gives the engine up, and carries out what came in while it was held: whoever submitted in between relied on it. */
static void give_up(struct tz_engine *engine)
{
	do {
		tz_copy_on(engine, true); /* no block waits for its time */
		tz_telemetry_ring(&engine->telemetry);
		atomic_store(&engine->holder, TZ_NOBODY);
		if (tz_queue_empty(&engine->incoming) || !take(engine, TZ_CALLER))
			return;
		tz_adopt_waiting(engine);
	} while (true);
}

tz_status tz_engine_start(struct tz_engine *engine)
{
	if (engine->clock == TZ_CLOCK_STEP || engine->has_thread)
		return TZ_OK;
	if (!take(engine, TZ_THREAD))
		return TZ_BUSY;
	atomic_store(&engine->stop, false);
	if (pthread_create(&engine->thread, NULL, thread_body, engine) != 0) {
		give_up(engine);
		return TZ_NO_THREAD;
	}
	engine->has_thread = true;
	return TZ_OK;
}

tz_status tz_engine_stop(struct tz_engine *engine)
{
	if (!engine->has_thread)
		return TZ_OK;
	atomic_store(&engine->stop, true);
	pthread_join(engine->thread, NULL);
	engine->has_thread = false;
	atomic_store(&engine->stop, false);
	give_up(engine);
	return TZ_OK;
}

tz_status tz_engine_step(struct tz_engine *engine, uint32_t blocks, uint32_t timeout_ms)
{
	if (!take(engine, TZ_CALLER))
		return TZ_BUSY;
	tz_status status = TZ_OK;
	uint64_t floats = tz_floats_flush();
	for (uint32_t i = 0; i < blocks; i++) {
		if (!tz_wait_for_endpoints(engine, (int64_t)timeout_ms * 1000000)) {
			status = TZ_STARVED;
			break;
		}
		tz_block_cycle(engine);
		tz_tell_pace(engine, 0.0, 0);
		tz_nudge_endpoints(engine);
	}
	tz_floats_restore(floats);
	give_up(engine);
	return status;
}

/* ---- Commits ---- */

tz_status tz_engine_submit(struct tz_engine *engine, struct tz_commit *commit)
{
	if (engine->outstanding == TZ_QUEUE_SLOTS || (commit->copies && engine->copies_outstanding))
		return TZ_BUSY;
	engine->outstanding++;
	engine->copies_outstanding |= commit->copies != NULL;
	tz_queue_push(&engine->incoming, commit); /* has room: `outstanding` counts these too */
	if (take(engine, TZ_CALLER)) {
		tz_adopt_waiting(engine);
		give_up(engine);
	}
	return TZ_OK;
}

uint32_t tz_engine_events(struct tz_engine *engine, struct tz_event *events, uint32_t capacity)
{
	uint32_t count = 0;
	struct tz_commit *commit;
	while (count < capacity && (commit = tz_queue_pop(&engine->outgoing))) {
		if (atomic_load(&commit->fate) == TZ_FATE_TAKEN)
			events[count++] = (struct tz_event){.kind = TZ_EVENT_ADOPTED, .id = commit->id, .frame = commit->frame};
		engine->outstanding--;
		engine->copies_outstanding &= commit->copies == NULL;
		tz_commit_release(commit);
	}
	return count + tz_telemetry_take(&engine->telemetry, events + count, capacity - count);
}

int tz_engine_event_fd(const struct tz_engine *engine)
{
	return engine->telemetry.event_fd;
}

uint64_t tz_engine_frame(const struct tz_engine *engine)
{
	return atomic_load_explicit(&engine->telemetry.blocks, memory_order_acquire) * engine->block_frames;
}

void tz_engine_meter(struct tz_engine *engine, bool on)
{
	atomic_store_explicit(&engine->metered, on, memory_order_relaxed);
}

void tz_engine_status(struct tz_engine *engine, struct tz_engine_status *status)
{
	tz_telemetry_status(&engine->telemetry, status);
}
