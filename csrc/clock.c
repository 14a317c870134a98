/* [audio] The clocks that drive blocks: the internal timer, and the freewheel that runs as fast as the endpoints allow. */
#include "engine.h"
#include "realtime.h"

#include <errno.h>
#include <sched.h>

/* Held up for longer than this (a stopped process, a machine taken away), the clock does not run after lost time block by block:
 * it counts a gap and goes on from now. Below it, rings and their half second absorb the burst. */
#define CATCH_UP_LIMIT_NS 250000000

/* The kernel throttles a real-time thread that takes 950 ms of a second, and then for 50 ms and more: step down long before. */
#define HOG_LIMIT_NS 300000000

static void set_priority(struct tz_engine *engine, int priority)
{
	struct sched_param parameter = {.sched_priority = priority};
	int error = pthread_setschedparam(pthread_self(), priority ? SCHED_FIFO : SCHED_OTHER, &parameter);
	/* Without the right to it the thread runs at ordinary priority; the status says so. */
	atomic_store_explicit(&engine->telemetry.realtime_priority, error ? 0 : priority, memory_order_relaxed);
}

static void sleep_until(int64_t deadline)
{
	struct timespec until = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static void count_gap(struct tz_engine *engine, int64_t late_ns)
{
	struct tz_telemetry *telemetry = &engine->telemetry;
	uint64_t frames = (uint64_t)((double)late_ns * 1e-9 * engine->sample_rate);
	atomic_fetch_add_explicit(&telemetry->gaps, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&telemetry->gap_frames, frames, memory_order_relaxed);
	tz_telemetry_post(telemetry, TZ_EVENT_GAP, 0, engine->frame, (double)frames);
}

static void run_internal(struct tz_engine *engine)
{
	if (engine->wanted_priority > 0)
		set_priority(engine, engine->wanted_priority);
	struct tz_telemetry *telemetry = &engine->telemetry;
	double block_ns = 1e9 * engine->block_frames / engine->sample_rate;
	int64_t start = tz_clock_ns(CLOCK_MONOTONIC), slept = start;
	uint64_t block = 0; /* since `start`: deadlines are multiples from one origin, so rounding never adds up to drift */
	while (!atomic_load_explicit(&engine->stop, memory_order_relaxed)) {
		int64_t due = start + (int64_t)(block_ns * (double)block), next = start + (int64_t)(block_ns * (double)(block + 1));
		int64_t now = tz_clock_ns(CLOCK_MONOTONIC);
		if (now < due) {
			sleep_until(due);
			now = slept = tz_clock_ns(CLOCK_MONOTONIC);
		}
		tz_telemetry_lateness(telemetry, now - due);
		if (now - due > CATCH_UP_LIMIT_NS) {
			count_gap(engine, now - due);
			start = slept = now;
			block = 0;
			next = start + (int64_t)block_ns;
		}
		tz_block_cycle(engine);
		now = tz_clock_ns(CLOCK_MONOTONIC);
		if (now > next)
			atomic_fetch_add_explicit(&telemetry->late_blocks, 1, memory_order_relaxed);
		if (now - slept > HOG_LIMIT_NS && atomic_load_explicit(&telemetry->realtime_priority, memory_order_relaxed)) {
			set_priority(engine, 0);
			tz_telemetry_post(telemetry, TZ_EVENT_STEPPED_DOWN, 0, engine->frame, 0);
		}
		block++;
	}
}

static void run_freewheel(struct tz_engine *engine)
{
	while (!atomic_load_explicit(&engine->stop, memory_order_relaxed)) {
		/* An endpoint that stays away for a second is not waited for in this block: what is missing is silence, and counted. */
		tz_wait_for_endpoints(engine, 1000000000);
		tz_block_cycle(engine);
		tz_nudge_endpoints(engine);
	}
}

void tz_clock_run(struct tz_engine *engine)
{
	tz_floats_flush();
	if (engine->clock == TZ_CLOCK_FREEWHEEL)
		run_freewheel(engine);
	else
		run_internal(engine);
}
