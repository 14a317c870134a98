/* [both] A tap: the newest seconds of a port, written by the audio thread over and over, read by whoever likes, as often as they like.
 * Nobody takes anything out and nobody is waited for: a reader that is overtaken is told so. Places are the engine's frames. */
#include "probe.h"

#include "memory.h"

struct tap {
	struct tz_probe probe;
	bool input;
	uint32_t port, channels, capacity; /* capacity: a power of two */
	/* Before it overwrites samples the audio thread says how far it will get, afterwards that it has: a reader that looks at `reach` when it
	 * is done knows which of them it may have read in the middle. */
	_Atomic uint64_t begin, end, reach;
	_Atomic float *samples; /* channel after channel, capacity each */
};

static void look(struct tz_probe *probe, const struct tz_probed_block *block)
{
	struct tap *tap = (struct tap *)probe;
	const float *const *sound = tz_port_samples(block->member, tap->input, tap->port);
	const uint64_t end = block->frame + block->frames;
	if (atomic_load_explicit(&tap->end, memory_order_relaxed) != block->frame) /* the first block, or the first after a time away */
		atomic_store_explicit(&tap->begin, block->frame, memory_order_release);
	atomic_store_explicit(&tap->reach, end, memory_order_relaxed);
	for (uint32_t c = 0; c < tap->channels; c++) {
		_Atomic float *to = tap->samples + (size_t)c * tap->capacity;
		for (uint32_t i = 0; i < block->frames; i++) /* release: no sample is seen before its `reach` */
			atomic_store_explicit(&to[(block->frame + i) & (tap->capacity - 1)], sound ? sound[c][i] : 0.0f, memory_order_release);
	}
	atomic_store_explicit(&tap->end, end, memory_order_release);
}

static void discard(struct tz_probe *probe)
{
	tz_free((void *)((struct tap *)probe)->samples);
}

static const struct tz_probe_kind kind = {.look = look, .discard = discard};

struct tz_probe *tz_tap_new(bool input, uint32_t port, uint32_t channels, uint32_t frames)
{
	uint32_t capacity = 1;
	while (capacity < frames && capacity < 1u << 30)
		capacity <<= 1;
	struct tap *tap = tz_allocate(sizeof *tap);
	if (!tap)
		return NULL;
	tap->samples = tz_allocate_array((size_t)channels * capacity, sizeof *tap->samples);
	if (!tap->samples) {
		tz_free(tap);
		return NULL;
	}
	tap->input = input;
	tap->port = port;
	tap->channels = channels;
	tap->capacity = capacity;
	atomic_init(&tap->end, UINT64_MAX); /* no block begins there */
	tz_probe_begin(&tap->probe, &kind);
	return &tap->probe;
}

void tz_tap_span(const struct tz_probe *probe, uint64_t *begin, uint64_t *end)
{
	const struct tap *tap = (const struct tap *)probe;
	*end = atomic_load_explicit(&tap->end, memory_order_acquire);
	if (*end == UINT64_MAX)
		*end = 0;
	const uint64_t first = atomic_load_explicit(&tap->begin, memory_order_acquire);
	const uint64_t reach = atomic_load_explicit(&tap->reach, memory_order_relaxed);
	const uint64_t oldest = reach > tap->capacity ? reach - tap->capacity : 0;
	*begin = first > oldest ? first : oldest;
	if (*begin > *end)
		*begin = *end;
}

bool tz_tap_read(const struct tz_probe *probe, uint64_t from, float *planar, uint32_t stride, uint32_t frames)
{
	const struct tap *tap = (const struct tap *)probe;
	uint64_t begin, end;
	tz_tap_span(probe, &begin, &end);
	if (from < begin || from + frames > end)
		return false;
	for (uint32_t c = 0; c < tap->channels; c++) {
		const _Atomic float *samples = tap->samples + (size_t)c * tap->capacity;
		for (uint32_t i = 0; i < frames; i++)
			planar[(size_t)c * stride + i] = atomic_load_explicit(&samples[(from + i) & (tap->capacity - 1)], memory_order_acquire);
	}
	const uint64_t reach = atomic_load_explicit(&tap->reach, memory_order_relaxed);
	return from + tap->capacity >= reach;
}
