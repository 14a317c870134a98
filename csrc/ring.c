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

/* Memory of a ring. One that is resized has several in a row for a while: the writer goes on in the next one, and the reader follows
 * when it has read all that is in its own. */
struct tz_stretch {
	uint32_t capacity; /* a power of two */
	uint64_t base;     /* its first frame, counted as `written` and `read` are */
	uint64_t end;      /* where the next one begins, once there is one */
	_Atomic(struct tz_stretch *) next;
	float samples[]; /* channel after channel, capacity each */
};

struct tz_ring {
	atomic_uint references;
	uint32_t channels;
	uint32_t rate;                /* frames in a second */
	_Atomic uint32_t capacity;    /* [outside] what was asked for last */
	struct tz_stretch *oldest;    /* [outside] not freed yet */
	_Atomic(struct tz_stretch *) offered; /* by an outside that reads, for the audio side to go on in */
	_Alignas(TZ_CACHE_LINE) _Atomic uint64_t written;
	struct tz_stretch *writing; /* the writer's */
	_Alignas(TZ_CACHE_LINE) _Atomic uint64_t read;
	_Atomic(struct tz_stretch *) reading; /* set by the reader */
	_Alignas(TZ_CACHE_LINE) _Atomic uint64_t missed;
	_Atomic bool closed;
	_Atomic uint32_t outside_moved; /* futex: the outside wrote, read or closed */
	_Atomic uint32_t audio_moved;   /* futex: a waiting clock ran a block, or somebody called tz_ring_wake */
	_Atomic uint32_t wakes;
	uint32_t wakes_heard; /* the outside's alone: those that have ended a wait */
	_Alignas(TZ_CACHE_LINE) struct tz_pace pace;
};

static struct tz_stretch *new_stretch(uint32_t channels, uint32_t frames)
{
	if (frames == 0 || frames > (1u << 30))
		return NULL;
	uint32_t capacity = 1;
	while (capacity < frames)
		capacity <<= 1;
	struct tz_stretch *stretch = tz_allocate(sizeof *stretch + (size_t)channels * capacity * sizeof *stretch->samples);
	if (stretch)
		stretch->capacity = capacity;
	return stretch;
}

struct tz_ring *tz_ring_new(uint32_t channels, uint32_t frames, uint32_t rate)
{
	struct tz_ring *ring = channels && rate ? tz_allocate(sizeof *ring) : NULL;
	struct tz_stretch *stretch = ring ? new_stretch(channels, frames) : NULL;
	if (!stretch) {
		tz_free(ring);
		return NULL;
	}
	ring->channels = channels;
	ring->rate = rate;
	ring->oldest = ring->writing = stretch;
	atomic_init(&ring->capacity, stretch->capacity);
	atomic_init(&ring->reading, stretch);
	atomic_init(&ring->references, 1);
	return ring;
}

struct tz_ring *tz_ring_retain(struct tz_ring *ring)
{
	if (ring)
		atomic_fetch_add_explicit(&ring->references, 1, memory_order_relaxed);
	return ring;
}

static void free_until(struct tz_ring *ring, const struct tz_stretch *kept)
{
	while (ring->oldest != kept) {
		struct tz_stretch *gone = ring->oldest;
		ring->oldest = atomic_load_explicit(&gone->next, memory_order_relaxed);
		tz_free(gone);
	}
}

void tz_ring_release(struct tz_ring *ring)
{
	if (ring && atomic_fetch_sub_explicit(&ring->references, 1, memory_order_acq_rel) == 1) {
		free_until(ring, NULL);
		tz_free(atomic_load_explicit(&ring->offered, memory_order_relaxed));
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

/* ---- Copying: two spans at most, since a stretch wraps once ---- */

static void copy_in(const struct tz_ring *ring, uint32_t channel, uint64_t at, const float *from, uint32_t frames)
{
	struct tz_stretch *stretch = ring->writing;
	uint32_t begin = (uint32_t)(at & (stretch->capacity - 1));
	uint32_t first = frames < stretch->capacity - begin ? frames : stretch->capacity - begin;
	float *to = stretch->samples + (size_t)channel * stretch->capacity;
	memcpy(to + begin, from, first * sizeof *to);
	memcpy(to, from + first, (frames - first) * sizeof *to);
}

static void copy_out(const struct tz_stretch *stretch, uint32_t channel, uint64_t at, float *to, uint32_t frames)
{
	uint32_t begin = (uint32_t)(at & (stretch->capacity - 1));
	uint32_t first = frames < stretch->capacity - begin ? frames : stretch->capacity - begin;
	const float *from = stretch->samples + (size_t)channel * stretch->capacity;
	memcpy(to, from + begin, first * sizeof *to);
	memcpy(to + first, from, (frames - first) * sizeof *to);
}

/* What the writer may put in: its own position relaxed, the other side's acquired. */
static uint32_t space(const struct tz_ring *ring)
{
	const struct tz_stretch *stretch = ring->writing;
	uint64_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
	uint64_t read = atomic_load_explicit(&ring->read, memory_order_acquire);
	return stretch->capacity - (uint32_t)(written - (read > stretch->base ? read : stretch->base));
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

/* Where a reader wants a channel's frames: in arrays of their own, or one behind the other; or nowhere. */
struct destination {
	float *const *channels;
	float *planar;
	uint32_t stride;
};

/* Takes out up to so many frames, from one stretch after the other. */
static uint32_t take(struct tz_ring *ring, const struct destination *to, uint32_t frames)
{
	/* `written` first: a stretch that has no next one by then holds all of it. */
	const uint64_t written = atomic_load_explicit(&ring->written, memory_order_acquire);
	uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
	struct tz_stretch *stretch = atomic_load_explicit(&ring->reading, memory_order_relaxed);
	const uint32_t taken = lesser((uint32_t)(written - read), frames);
	for (uint32_t done = 0; done < taken;) {
		struct tz_stretch *next = atomic_load_explicit(&stretch->next, memory_order_acquire);
		const uint64_t end = next ? stretch->end : written;
		const uint32_t some = end - read < taken - done ? (uint32_t)(end - read) : taken - done;
		for (uint32_t c = 0; (to->channels || to->planar) && c < ring->channels; c++)
			copy_out(stretch, c, read, (to->channels ? to->channels[c] : to->planar + (size_t)c * to->stride) + done, some);
		done += some;
		read += some;
		if (next && read == end) {
			stretch = next;
			atomic_store_explicit(&ring->reading, stretch, memory_order_release);
		}
	}
	atomic_store_explicit(&ring->read, read, memory_order_release);
	return taken;
}

/* The writer goes on in another stretch. */
static void write_on_in(struct tz_ring *ring, struct tz_stretch *stretch)
{
	struct tz_stretch *old = ring->writing;
	stretch->base = old->end = atomic_load_explicit(&ring->written, memory_order_relaxed);
	ring->writing = stretch;
	atomic_store_explicit(&old->next, stretch, memory_order_release); /* from here on the reader may leave it, and it may be freed */
}

/* ---- The audio side ---- */

static void count_missed(struct tz_ring *ring, uint32_t frames)
{
	if (frames && !atomic_load_explicit(&ring->closed, memory_order_relaxed))
		atomic_fetch_add_explicit(&ring->missed, frames, memory_order_relaxed);
}

uint32_t tz_ring_pull(struct tz_ring *ring, float *const *channels, uint32_t frames)
{
	uint32_t taken = take(ring, &(struct destination){.channels = channels}, frames);
	count_missed(ring, frames - taken);
	return taken;
}

uint32_t tz_ring_push(struct tz_ring *ring, const float *const *channels, uint32_t frames)
{
	if (atomic_load_explicit(&ring->offered, memory_order_relaxed))
		write_on_in(ring, atomic_exchange_explicit(&ring->offered, NULL, memory_order_acquire));
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
	uint32_t given = take(ring, &(struct destination){.planar = planar, .stride = stride}, frames);
	free_until(ring, atomic_load_explicit(&ring->reading, memory_order_relaxed));
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
	take(ring, &(struct destination){0}, frames);
	outside_moved(ring);
}

tz_status tz_ring_resize(struct tz_ring *ring, uint32_t frames, bool writes)
{
	struct tz_stretch *stretch = new_stretch(ring->channels, frames);
	if (!stretch)
		return TZ_NO_MEMORY;
	atomic_store_explicit(&ring->capacity, stretch->capacity, memory_order_relaxed);
	if (writes) {
		write_on_in(ring, stretch);
		free_until(ring, atomic_load_explicit(&ring->reading, memory_order_acquire));
	} else {
		tz_free(atomic_exchange_explicit(&ring->offered, stretch, memory_order_acq_rel)); /* one that was not taken yet */
	}
	return TZ_OK;
}

uint32_t tz_ring_capacity(const struct tz_ring *ring)
{
	return atomic_load_explicit(&ring->capacity, memory_order_relaxed);
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
	return wait_until(ring, space, lesser(frames, tz_ring_capacity(ring)), timeout_ms);
}

uint32_t tz_ring_wait_frames(struct tz_ring *ring, uint32_t frames, uint32_t timeout_ms)
{
	return wait_until(ring, fill, lesser(frames, tz_ring_capacity(ring)), timeout_ms);
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
