/* [both] The ring: positions that only grow, one acquire load of the other side's, one release store of one's own. */
#include "ring.h"

#include "futex.h"
#include "memory.h"
#include "realtime.h"

#include <stdatomic.h>
#include <string.h>

/* A real-time audio thread wakes nobody: a thread outside naps for as long as it takes to move what it waits for. Frames move a block
 * at a time, so a little longer, or it would often wake just before: 10 ms are two of the usual blocks. */
#define NAP_MORE_NS 10000000

struct tz_ring {
	atomic_uint references;
	uint32_t channels, capacity; /* capacity: a power of two */
	uint32_t rate;               /* frames in a second */
	float *samples;              /* channel after channel, capacity each */
	_Alignas(TZ_CACHE_LINE) _Atomic uint64_t written;
	_Alignas(TZ_CACHE_LINE) _Atomic uint64_t read;
	_Alignas(TZ_CACHE_LINE) _Atomic uint64_t missed;
	_Atomic bool closed;
	_Atomic uint32_t outside_moved; /* futex: the outside wrote, read or closed */
	_Atomic uint32_t audio_moved;   /* futex: a waiting clock ran a block, or somebody called tz_ring_wake */
	_Atomic uint32_t wakes;
	uint32_t wakes_heard; /* the outside's alone: those that have ended a wait */
	_Alignas(TZ_CACHE_LINE) struct tz_pace pace;
};

struct tz_ring *tz_ring_new(uint32_t channels, uint32_t frames, uint32_t rate)
{
	if (channels == 0 || frames == 0 || frames > (1u << 30) || rate == 0)
		return NULL;
	uint32_t capacity = 1;
	while (capacity < frames)
		capacity <<= 1;
	struct tz_ring *ring = tz_allocate(sizeof *ring);
	if (!ring)
		return NULL;
	ring->samples = tz_allocate_array((size_t)channels * capacity, sizeof(float));
	if (!ring->samples) {
		tz_free(ring);
		return NULL;
	}
	ring->channels = channels;
	ring->capacity = capacity;
	ring->rate = rate;
	atomic_init(&ring->references, 1);
	return ring;
}

struct tz_ring *tz_ring_retain(struct tz_ring *ring)
{
	if (ring)
		atomic_fetch_add_explicit(&ring->references, 1, memory_order_relaxed);
	return ring;
}

void tz_ring_release(struct tz_ring *ring)
{
	if (ring && atomic_fetch_sub_explicit(&ring->references, 1, memory_order_acq_rel) == 1) {
		tz_free(ring->samples);
		tz_free(ring);
	}
}

struct tz_pace *tz_ring_pace(struct tz_ring *ring)
{
	return &ring->pace;
}

uint32_t tz_ring_channels(const struct tz_ring *ring)
{
	return ring->channels;
}

uint32_t tz_ring_capacity(const struct tz_ring *ring)
{
	return ring->capacity;
}

/* ---- Copying: two spans at most, since the ring wraps once ---- */

static void copy_in(struct tz_ring *ring, uint32_t channel, uint64_t at, const float *from, uint32_t frames)
{
	uint32_t begin = (uint32_t)(at & (ring->capacity - 1));
	uint32_t first = frames < ring->capacity - begin ? frames : ring->capacity - begin;
	float *to = ring->samples + (size_t)channel * ring->capacity;
	memcpy(to + begin, from, first * sizeof *to);
	memcpy(to, from + first, (frames - first) * sizeof *to);
}

static void copy_out(const struct tz_ring *ring, uint32_t channel, uint64_t at, float *to, uint32_t frames)
{
	uint32_t begin = (uint32_t)(at & (ring->capacity - 1));
	uint32_t first = frames < ring->capacity - begin ? frames : ring->capacity - begin;
	const float *from = ring->samples + (size_t)channel * ring->capacity;
	memcpy(to, from + begin, first * sizeof *to);
	memcpy(to + first, from, (frames - first) * sizeof *to);
}

/* What the writer may put in: its own position relaxed, the other side's acquired. */
static uint32_t space(const struct tz_ring *ring)
{
	uint64_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
	uint64_t read = atomic_load_explicit(&ring->read, memory_order_acquire);
	return ring->capacity - (uint32_t)(written - read);
}

/* What the reader may take out. */
static uint32_t fill(const struct tz_ring *ring)
{
	uint64_t written = atomic_load_explicit(&ring->written, memory_order_acquire);
	uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
	return (uint32_t)(written - read);
}

static uint32_t lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* ---- The audio side ---- */

static void count_missed(struct tz_ring *ring, uint32_t frames)
{
	if (frames && !atomic_load_explicit(&ring->closed, memory_order_relaxed))
		atomic_fetch_add_explicit(&ring->missed, frames, memory_order_relaxed);
}

uint32_t tz_ring_pull(struct tz_ring *ring, float *const *channels, uint32_t frames)
{
	uint32_t taken = lesser(fill(ring), frames);
	uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
	for (uint32_t c = 0; c < ring->channels; c++)
		copy_out(ring, c, read, channels[c], taken);
	atomic_store_explicit(&ring->read, read + taken, memory_order_release);
	count_missed(ring, frames - taken);
	return taken;
}

uint32_t tz_ring_push(struct tz_ring *ring, const float *const *channels, uint32_t frames)
{
	uint32_t given = lesser(space(ring), frames);
	uint64_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
	for (uint32_t c = 0; c < ring->channels; c++)
		copy_in(ring, c, written, channels[c], given);
	atomic_store_explicit(&ring->written, written + given, memory_order_release);
	count_missed(ring, frames - given);
	return given;
}

bool tz_ring_can_pull(const struct tz_ring *ring, uint32_t frames)
{
	return atomic_load_explicit(&ring->closed, memory_order_acquire) || fill(ring) >= frames;
}

bool tz_ring_can_push(const struct tz_ring *ring, uint32_t frames)
{
	return atomic_load_explicit(&ring->closed, memory_order_acquire) || space(ring) >= frames;
}

bool tz_ring_wants_block(const struct tz_ring *ring, uint32_t frames)
{
	return atomic_load_explicit(&ring->closed, memory_order_acquire)
	       || fill(ring) + frames <= atomic_load_explicit(&ring->pace.target, memory_order_relaxed);
}

void tz_ring_await_outside(struct tz_ring *ring, bool (*ready)(const struct tz_ring *, uint32_t), uint32_t frames, long timeout_ns)
{
	uint32_t seen = atomic_load(&ring->outside_moved);
	if (!ready(ring, frames))
		tz_futex_wait(&ring->outside_moved, seen, timeout_ns);
}

void tz_ring_nudge(struct tz_ring *ring)
{
	atomic_fetch_add(&ring->audio_moved, 1);
	tz_futex_wake(&ring->audio_moved);
}

/* ---- The outside ---- */

static void outside_moved(struct tz_ring *ring)
{
	atomic_fetch_add(&ring->outside_moved, 1);
	tz_futex_wake(&ring->outside_moved);
}

uint32_t tz_ring_write(struct tz_ring *ring, const float *planar, uint32_t stride, uint32_t frames)
{
	uint32_t taken = lesser(space(ring), frames);
	uint64_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
	for (uint32_t c = 0; c < ring->channels; c++)
		copy_in(ring, c, written, planar + (size_t)c * stride, taken);
	atomic_store_explicit(&ring->written, written + taken, memory_order_release);
	if (taken)
		outside_moved(ring);
	return taken;
}

uint32_t tz_ring_read(struct tz_ring *ring, float *planar, uint32_t stride, uint32_t frames)
{
	uint32_t given = lesser(fill(ring), frames);
	uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
	for (uint32_t c = 0; c < ring->channels; c++)
		copy_out(ring, c, read, planar + (size_t)c * stride, given);
	atomic_store_explicit(&ring->read, read + given, memory_order_release);
	if (given)
		outside_moved(ring);
	return given;
}

uint32_t tz_ring_fill(const struct tz_ring *ring)
{
	return fill(ring);
}

void tz_ring_skip(struct tz_ring *ring, uint32_t frames)
{
	uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
	atomic_store_explicit(&ring->read, read + lesser(fill(ring), frames), memory_order_release);
	outside_moved(ring);
}

static uint32_t wait_until(struct tz_ring *ring, uint32_t (*measure)(const struct tz_ring *), uint32_t frames, uint32_t timeout_ms)
{
	int64_t deadline = tz_clock_ns(CLOCK_MONOTONIC) + (int64_t)timeout_ms * 1000000;
	for (;;) {
		uint32_t seen = atomic_load(&ring->audio_moved);
		uint32_t measured = measure(ring), wakes = atomic_load(&ring->wakes);
		int64_t left = deadline - tz_clock_ns(CLOCK_MONOTONIC);
		if (measured >= frames || left <= 0 || atomic_load(&ring->closed) || wakes != ring->wakes_heard) {
			ring->wakes_heard = wakes;
			return measured;
		}
		int64_t nap = (int64_t)(frames - measured) * 1000000000 / ring->rate + NAP_MORE_NS;
		tz_futex_wait(&ring->audio_moved, seen, left < nap ? (long)left : (long)nap);
	}
}

uint32_t tz_ring_wait_space(struct tz_ring *ring, uint32_t frames, uint32_t timeout_ms)
{
	return wait_until(ring, space, lesser(frames, ring->capacity), timeout_ms);
}

uint32_t tz_ring_wait_frames(struct tz_ring *ring, uint32_t frames, uint32_t timeout_ms)
{
	return wait_until(ring, fill, lesser(frames, ring->capacity), timeout_ms);
}

void tz_ring_close(struct tz_ring *ring)
{
	atomic_store_explicit(&ring->closed, true, memory_order_release);
	outside_moved(ring);
	tz_ring_wake(ring);
}

void tz_ring_reopen(struct tz_ring *ring)
{
	atomic_store_explicit(&ring->closed, false, memory_order_release);
}

bool tz_ring_closed(const struct tz_ring *ring)
{
	return atomic_load_explicit(&ring->closed, memory_order_acquire);
}

void tz_ring_wake(struct tz_ring *ring)
{
	atomic_fetch_add(&ring->wakes, 1);
	tz_ring_nudge(ring);
}

uint64_t tz_ring_frames_written(const struct tz_ring *ring)
{
	return atomic_load_explicit(&ring->written, memory_order_acquire);
}

uint64_t tz_ring_frames_read(const struct tz_ring *ring)
{
	return atomic_load_explicit(&ring->read, memory_order_acquire);
}

uint64_t tz_ring_frames_missed(const struct tz_ring *ring)
{
	return atomic_load_explicit(&ring->missed, memory_order_relaxed);
}
