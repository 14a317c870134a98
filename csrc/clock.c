/* [audio] The clocks that drive blocks: the timer, a sound card in its place, and the freewheel that runs as fast as the endpoints allow. */
#include "engine.h"
#include "realtime.h"
#include "ring.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>

/* Held up for longer than this (a stopped process, a machine taken away), the clock does not run after lost time block by block:
 * it counts a gap and goes on from now. Below it, rings and their half second absorb the burst. */
#define CATCH_UP_LIMIT_NS 250000000

/* The kernel holds a real-time thread that takes 950 ms of a second, for 50 ms and more. So whoever has taken nine tenths of the core for
 * 700 ms steps down: to work off a quarter of a second that was lost takes less, if there is any room at all. */
#define HOG_LIMIT_NS 700000000
#define HOG_LOOK_NS 100000000

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

/* Goes by the thread's own clock of work, as the kernel does: nobody hogs a core while the process, or the machine, is stopped. */
struct watch {
	int64_t looked, worked, hogged;
};

static bool hogs(struct watch *watch, int64_t now)
{
	int64_t passed = now - watch->looked;
	if (passed < HOG_LOOK_NS)
		return false;
	int64_t worked = tz_clock_ns(CLOCK_THREAD_CPUTIME_ID), taken = worked - watch->worked;
	watch->hogged = taken * 10 > passed * 9 ? watch->hogged + taken : 0;
	watch->looked = now;
	watch->worked = worked;
	return watch->hogged > HOG_LIMIT_NS;
}

static void step_down(struct tz_engine *engine, const struct watch *watch)
{
	set_priority(engine, 0);
	tz_telemetry_post(&engine->telemetry, TZ_EVENT_STEPPED_DOWN, 0, engine->frame, (double)watch->hogged * 1e-9);
}

/* ---- A card as the clock ---- */

/* The ring of the card that is the clock, while that runs. */
static struct tz_ring *pacing_ring(const struct tz_engine *engine)
{
	struct tz_ring *ring = engine->pacer ? engine->pacer->shape.ring : NULL;
	return ring && atomic_load_explicit(&tz_ring_pace(ring)->alive, memory_order_acquire) ? ring : NULL;
}

static double ready_seconds(const struct tz_engine *engine, struct tz_ring *ring)
{
	return atomic_load_explicit(&tz_ring_pace(ring)->target, memory_order_relaxed) / engine->sample_rate;
}

/* Waits until the card wants a block. False: it does not run, or has not moved for so long that the timer takes over, until it does. */
static bool await_card(struct tz_engine *engine, const struct tz_ring **given_up)
{
	struct tz_ring *ring = pacing_ring(engine);
	if (!ring)
		return false;
	bool (*const ready)(const struct tz_ring *, uint32_t) = engine->pacer->shape.output_count > 0 ? tz_ring_can_pull : tz_ring_wants_block;
	const int64_t deadline = tz_clock_ns(CLOCK_MONOTONIC) + CATCH_UP_LIMIT_NS + (int64_t)(2e9 * ready_seconds(engine, ring));
	while (!ready(ring, engine->block_frames)) {
		if (*given_up == ring || pacing_ring(engine) != ring || atomic_load_explicit(&engine->stop, memory_order_relaxed))
			return false;
		if (tz_clock_ns(CLOCK_MONOTONIC) > deadline) {
			*given_up = ring;
			return false;
		}
		tz_ring_await_outside(ring, ready, engine->block_frames, 20000000); /* 20 ms at a time, so that a stop is seen soon */
	}
	*given_up = NULL;
	return pacing_ring(engine) == ring; /* a ring that closes is ready as well */
}

/* A block that the card asked for. It is late when it was not there before the card had used up what was ready. */
static int64_t run_for_card(struct tz_engine *engine)
{
	struct tz_ring *ring = engine->pacer->shape.ring;
	const bool captures = engine->pacer->shape.output_count > 0;
	const struct tz_moment asked = tz_moment_read(&tz_ring_pace(ring)->card);
	const int64_t begun = tz_clock_ns(CLOCK_MONOTONIC);
	tz_telemetry_lateness(&engine->telemetry, begun - asked.time_ns);
	tz_block_cycle(engine);
	const double moved = (double)(captures ? tz_ring_frames_read(ring) : tz_ring_frames_written(ring));
	tz_tell_pace(engine, tz_moment_frame_at(asked, begun, engine->sample_rate) - moved, begun);
	const int64_t now = tz_clock_ns(CLOCK_MONOTONIC);
	if ((double)(now - asked.time_ns) * 1e-9 > ready_seconds(engine, ring))
		tz_telemetry_late(&engine->telemetry, engine->frame - engine->block_frames, begun - asked.time_ns, now - begun);
	return now;
}

/* ---- The timer ---- */

struct timer {
	int64_t start;  /* 0: to be set when a block is due by it */
	uint64_t block; /* since `start`: deadlines are multiples from one origin, so rounding never adds up to drift */
};

static int64_t run_by_timer(struct tz_engine *engine, struct timer *timer)
{
	struct tz_telemetry *telemetry = &engine->telemetry;
	const double block_ns = 1e9 * engine->block_frames / engine->sample_rate;
	int64_t now = tz_clock_ns(CLOCK_MONOTONIC);
	if (!timer->start)
		*timer = (struct timer){.start = now};
	int64_t due = timer->start + (int64_t)(block_ns * (double)timer->block);
	if (now < due) {
		sleep_until(due);
		now = tz_clock_ns(CLOCK_MONOTONIC);
	}
	tz_telemetry_lateness(telemetry, now - due);
	if (now - due > CATCH_UP_LIMIT_NS) {
		count_gap(engine, now - due);
		*timer = (struct timer){.start = now};
		due = now;
	}
	const int64_t begun = now;
	tz_block_cycle(engine);
	tz_tell_pace(engine, 0.0, due);
	timer->block++;
	now = tz_clock_ns(CLOCK_MONOTONIC);
	if (now > timer->start + (int64_t)(block_ns * (double)timer->block))
		tz_telemetry_late(telemetry, engine->frame - engine->block_frames, begun - due, now - begun);
	return now;
}

static void run_timed(struct tz_engine *engine)
{
	if (engine->wanted_priority > 0)
		set_priority(engine, engine->wanted_priority);
	struct watch watch = {.looked = tz_clock_ns(CLOCK_MONOTONIC), .worked = tz_clock_ns(CLOCK_THREAD_CPUTIME_ID)};
	struct timer timer = {0};
	const struct tz_ring *given_up = NULL;
	while (!atomic_load_explicit(&engine->stop, memory_order_relaxed)) {
		int64_t now;
		if (await_card(engine, &given_up)) {
			timer.start = 0;
			now = run_for_card(engine);
		} else {
			now = run_by_timer(engine, &timer);
		}
		if (atomic_load_explicit(&engine->telemetry.realtime_priority, memory_order_relaxed) && hogs(&watch, now))
			step_down(engine, &watch);
	}
}

static void run_freewheel(struct tz_engine *engine)
{
	for (;;) {
		/* An endpoint that stays away for a second is not waited for in this block: what is missing is silence, and counted. */
		tz_wait_for_endpoints(engine, 1000000000);
		if (atomic_load_explicit(&engine->stop, memory_order_relaxed))
			return; /* which also ended the wait: a block now would lose what the endpoints were not ready for */
		tz_block_cycle(engine);
		tz_tell_pace(engine, 0.0, 0);
		tz_nudge_endpoints(engine);
	}
}

/* Handlers of the program's signals are for its other threads. What says that this thread did wrong has to come to it. */
static void leave_signals_to_others(void)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP, SIGABRT};
	sigset_t others;
	sigfillset(&others);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		sigdelset(&others, own[i]);
	pthread_sigmask(SIG_BLOCK, &others, NULL);
}

void tz_clock_run(struct tz_engine *engine)
{
	leave_signals_to_others();
	tz_floats_flush();
	if (engine->clock == TZ_CLOCK_FREEWHEEL)
		run_freewheel(engine);
	else
		run_timed(engine);
}
