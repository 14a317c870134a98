/* [both] What the audio thread tells: counters anybody may read, a ring of events, and one eventfd that it writes at most once
 * per block. */
#ifndef TZ_TELEMETRY_H
#define TZ_TELEMETRY_H

#include "moment.h"
#include "tonnetz_core.h"

#include <stdatomic.h>

#define TZ_EVENT_SLOTS 1024 /* faults and gaps are rare; a burst of more is counted in the totals, not told one by one */
#define TZ_LATENESS_BUCKETS 24 /* [k]: less than 2^k microseconds; the last also what is later, from 4 s on */

struct tz_telemetry {
	/* events: written by the audio thread, read by the control thread */
	_Alignas(64) _Atomic uint32_t written;
	_Alignas(64) _Atomic uint32_t read;
	struct tz_event events[TZ_EVENT_SLOTS];
	bool ring_the_bell; /* [audio] something was posted in this block */
	uint64_t late_told; /* [audio] the block after that of which a late one was told last */
	int event_fd;

	_Atomic uint64_t blocks, late_blocks, gaps, gap_frames, commits, faults;
	_Atomic uint64_t lateness[TZ_LATENESS_BUCKETS];
	_Atomic uint32_t load_average; /* millionths of a block's time */
	_Atomic uint32_t load_maximum, load_maximum_before; /* in this stretch of blocks, and in the one before */
	_Atomic int realtime_priority;
	struct tz_told_moment moment; /* the begin of the newest block, by CLOCK_REALTIME */
};

tz_status tz_telemetry_open(struct tz_telemetry *telemetry);
void tz_telemetry_close(struct tz_telemetry *telemetry);

/* [audio] */
void tz_telemetry_post(struct tz_telemetry *telemetry, enum tz_event_kind kind, uint64_t id, uint64_t frame, double value);
void tz_telemetry_ring(struct tz_telemetry *telemetry); /* at the end of a block: the eventfd, if anything was posted */
void tz_telemetry_lateness(struct tz_telemetry *telemetry, int64_t late_ns);
void tz_telemetry_late(struct tz_telemetry *telemetry, uint64_t frame, int64_t began_ns, int64_t took_ns); /* a block was done after its time */
void tz_telemetry_load(struct tz_telemetry *telemetry, double load);

/* [control] */
uint32_t tz_telemetry_take(struct tz_telemetry *telemetry, struct tz_event *events, uint32_t capacity);
void tz_telemetry_status(struct tz_telemetry *telemetry, struct tz_engine_status *status);

#endif
