/* [both] The engine: the running plan, the two queues of commits, the clock and its thread. Everything the audio thread touches
 * is in this struct or hangs from it. */
#ifndef TZ_ENGINE_H
#define TZ_ENGINE_H

#include "commit.h"
#include "queue.h"

#include <pthread.h>

/* Who may run blocks and carry out commits: one thread at a time. */
enum tz_holder {
	TZ_NOBODY, /* stopped: whoever comes may take the engine for a moment */
	TZ_THREAD, /* the engine's own thread */
	TZ_CALLER, /* a thread that steps it, or adopts a commit by hand */
};

struct tz_engine {
	double sample_rate;
	uint32_t block_frames;
	tz_clock clock;
	int wanted_priority;

	/* the holder's alone */
	struct tz_plan *plan; /* NULL before the first */
	struct tz_node *pacer; /* the node of the card that is the clock; NULL: the timer is */
	uint32_t probes;      /* that hang anywhere */
	uint64_t frame;       /* samples since the engine was made: the first of the next block */
	struct tz_commit *due[TZ_QUEUE_SLOTS]; /* commits that wait for their frame, in the order in which they came: a ring */
	uint32_t due_first, due_count;         /* never more than `outstanding` */
	struct tz_commit *copying;             /* adopted, its copies not done; or NULL */

	struct tz_queue incoming, outgoing; /* commits to carry out; commits carried out */
	uint32_t outstanding;               /* [control] submitted and not yet taken back: never more than fit in `outgoing` */
	bool copies_outstanding;            /* [control] one of them copies states */
	_Atomic int holder;
	_Atomic bool stop;
	_Atomic bool metered;
	pthread_t thread;
	bool has_thread;
	struct tz_telemetry telemetry;
};

/* [audio] Carries out what has come in, then runs one block. Returns nothing and cannot fail. */
void tz_block_cycle(struct tz_engine *engine);
/* [audio] Goes on copying states: for a block's worth, or `whole`. */
void tz_copy_on(struct tz_engine *engine, bool whole);
/* [audio] Carries out waiting commits at the present frame. */
void tz_adopt_waiting(struct tz_engine *engine);
/* [audio] For clocks that may wait: sleeps until the endpoints are ready for a block; false after timeout_ns or a stop. */
bool tz_wait_for_endpoints(struct tz_engine *engine, int64_t timeout_ns);
/* [audio] Lets waiting threads outside know that a block has run. */
void tz_nudge_endpoints(struct tz_engine *engine);

/* [audio] Tells cards where the engine is due to be with their rings: at `time_ns` by as many frames beyond what it has written and read.
 * A time of 0: this clock has none. */
void tz_tell_pace(const struct tz_engine *engine, double frames, int64_t time_ns);

/* [audio] The thread's body, by clock. */
void tz_clock_run(struct tz_engine *engine);

#endif
