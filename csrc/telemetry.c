/* [both] Counters, events and the eventfd. */
#include "telemetry.h"

#include <sys/eventfd.h>
#include <unistd.h>

tz_status tz_telemetry_open(struct tz_telemetry *telemetry)
{
	telemetry->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return telemetry->event_fd < 0 ? TZ_NO_MEMORY : TZ_OK;
}

void tz_telemetry_close(struct tz_telemetry *telemetry)
{
	if (telemetry->event_fd >= 0)
		close(telemetry->event_fd);
}

void tz_telemetry_post(struct tz_telemetry *telemetry, enum tz_event_kind kind, uint64_t id, uint64_t frame, double value)
{
	uint32_t written = atomic_load_explicit(&telemetry->written, memory_order_relaxed);
	uint32_t read = atomic_load_explicit(&telemetry->read, memory_order_acquire);
	telemetry->ring_the_bell = true;
	if (written - read == TZ_EVENT_SLOTS)
		return;
	telemetry->events[written % TZ_EVENT_SLOTS] = (struct tz_event){.kind = kind, .id = id, .frame = frame, .value = value};
	atomic_store_explicit(&telemetry->written, written + 1, memory_order_release);
}

void tz_telemetry_ring(struct tz_telemetry *telemetry)
{
	if (!telemetry->ring_the_bell)
		return;
	telemetry->ring_the_bell = false;
	/* Fails only with the counter full, and then the reader is already due. */
	uint64_t one = 1;
	ssize_t ignored = write(telemetry->event_fd, &one, sizeof one);
	(void)ignored;
}

uint32_t tz_telemetry_take(struct tz_telemetry *telemetry, struct tz_event *events, uint32_t capacity)
{
	uint32_t written = atomic_load_explicit(&telemetry->written, memory_order_acquire);
	uint32_t read = atomic_load_explicit(&telemetry->read, memory_order_relaxed);
	uint32_t count = 0;
	for (; read != written && count < capacity; read++)
		events[count++] = telemetry->events[read % TZ_EVENT_SLOTS];
	atomic_store_explicit(&telemetry->read, read, memory_order_release);
	return count;
}

void tz_telemetry_lateness(struct tz_telemetry *telemetry, int64_t late_ns)
{
	uint32_t bucket = 0;
	for (int64_t limit = 1000; bucket < TZ_LATENESS_BUCKETS - 1 && late_ns >= limit; limit *= 2)
		bucket++;
	atomic_fetch_add_explicit(&telemetry->lateness[bucket], 1, memory_order_relaxed);
}

/* Told at most every so many blocks, some three times a second: a machine that can't keep up is late with every block. */
#define BLOCKS_PER_LATE 64

void tz_telemetry_late(struct tz_telemetry *telemetry, uint64_t frame, int64_t began_ns, int64_t took_ns)
{
	atomic_fetch_add_explicit(&telemetry->late_blocks, 1, memory_order_relaxed);
	const uint64_t block = atomic_load_explicit(&telemetry->blocks, memory_order_relaxed);
	if (telemetry->late_told && block < telemetry->late_told + BLOCKS_PER_LATE)
		return;
	telemetry->late_told = block;
	tz_telemetry_post(telemetry, TZ_EVENT_LATE, began_ns > 0 ? (uint64_t)began_ns : 0, frame, (double)took_ns);
}

/* Whoever looks sees the maximum of at least so many blocks, some five seconds, whoever else has looked meanwhile. */
#define BLOCKS_PER_MAXIMUM 1024

void tz_telemetry_load(struct tz_telemetry *telemetry, double load)
{
	/* 1/64 of the way each block: about a third of a second at 48 kHz and 256 frames */
	double average = (double)atomic_load_explicit(&telemetry->load_average, memory_order_relaxed);
	double millionths = load < 4000.0 ? load * 1e6 : 4e9;
	atomic_store_explicit(&telemetry->load_average, (uint32_t)(average + (millionths - average) / 64), memory_order_relaxed);
	uint32_t maximum = atomic_load_explicit(&telemetry->load_maximum, memory_order_relaxed);
	if (atomic_load_explicit(&telemetry->blocks, memory_order_relaxed) % BLOCKS_PER_MAXIMUM == 0) {
		atomic_store_explicit(&telemetry->load_maximum_before, maximum, memory_order_relaxed);
		maximum = 0;
	}
	maximum = (uint32_t)millionths > maximum ? (uint32_t)millionths : maximum;
	atomic_store_explicit(&telemetry->load_maximum, maximum, memory_order_relaxed);
}

void tz_telemetry_status(struct tz_telemetry *telemetry, struct tz_engine_status *status)
{
	const struct tz_moment moment = tz_moment_read(&telemetry->moment);
	status->frame = (uint64_t)moment.frame;
	status->frame_time_ns = (uint64_t)moment.time_ns;
	status->blocks = atomic_load_explicit(&telemetry->blocks, memory_order_relaxed);
	status->late_blocks = atomic_load_explicit(&telemetry->late_blocks, memory_order_relaxed);
	status->gaps = atomic_load_explicit(&telemetry->gaps, memory_order_relaxed);
	status->gap_frames = atomic_load_explicit(&telemetry->gap_frames, memory_order_relaxed);
	status->commits = atomic_load_explicit(&telemetry->commits, memory_order_relaxed);
	status->faults = atomic_load_explicit(&telemetry->faults, memory_order_relaxed);
	for (uint32_t k = 0; k < TZ_LATENESS_BUCKETS; k++)
		status->lateness[k] = atomic_load_explicit(&telemetry->lateness[k], memory_order_relaxed);
	status->load_average = atomic_load_explicit(&telemetry->load_average, memory_order_relaxed) / 1e6;
	const uint32_t maximum = atomic_load_explicit(&telemetry->load_maximum, memory_order_relaxed);
	const uint32_t before = atomic_load_explicit(&telemetry->load_maximum_before, memory_order_relaxed);
	status->load_maximum = (maximum > before ? maximum : before) / 1e6;
	status->realtime_priority = atomic_load_explicit(&telemetry->realtime_priority, memory_order_relaxed);
}
