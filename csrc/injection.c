/* [both] An injection: samples that are added to what comes into a port, faded in and out. Before it begins and after it ends the node
 * reads its input from where it always does. */
#include "probe.h"

#include "link.h"
#include "memory.h"

#include <string.h>

struct injection {
	struct tz_probe probe;
	uint32_t port, channels, frames, fade_frames, block_frames;
	_Atomic bool stop; /* [control] fade out now */
	_Atomic uint32_t played;
	/* [audio] */
	bool ending;
	struct tz_link *link;
	const float *const *heard; /* what the node would read, while something else is in its place */
	float *samples;            /* channel after channel, `frames` each */
	float *mixed;              /* channel after channel, a block each; then the gains of the fade */
	const float **channel;     /* into `mixed` */
};

static const float *const **place_of(const struct injection *injection, const struct tz_member *member)
{
	return (const float *const **)(uintptr_t)&member->in[injection->port]; /* plans keep these pointers in memory of their own */
}

static void play(struct tz_probe *probe, const struct tz_member *member, uint32_t frames)
{
	struct injection *injection = (struct injection *)probe;
	const uint32_t played = atomic_load_explicit(&injection->played, memory_order_relaxed);
	injection->heard = NULL;
	if (played == 0 && !injection->ending)
		tz_link_turn(injection->link, true, injection->fade_frames, 0);
	const bool last = injection->frames - played <= injection->fade_frames + frames;
	if (!injection->ending && (last || atomic_load_explicit(&injection->stop, memory_order_relaxed))) {
		injection->ending = true;
		tz_link_turn(injection->link, false, injection->fade_frames, 0);
	}
	if (played == injection->frames || (injection->ending && tz_link_silent(injection->link))) {
		atomic_store_explicit(&injection->played, injection->frames, memory_order_release);
		return;
	}
	const uint32_t count = frames < injection->frames - played ? frames : injection->frames - played;
	const float *const *heard = member->in[injection->port];
	float *gains = injection->mixed + (size_t)injection->channels * injection->block_frames;
	tz_link_gains(injection->link, gains, frames);
	for (uint32_t c = 0; c < injection->channels; c++) {
		float *mixed = injection->mixed + (size_t)c * injection->block_frames;
		const float *samples = injection->samples + (size_t)c * injection->frames + played;
		if (heard)
			memcpy(mixed, heard[c], frames * sizeof *mixed);
		else
			memset(mixed, 0, frames * sizeof *mixed);
		for (uint32_t i = 0; i < count; i++)
			mixed[i] += samples[i] * gains[i];
	}
	injection->heard = heard;
	*place_of(injection, member) = injection->channel;
	atomic_store_explicit(&injection->played, played + count, memory_order_release);
}

static void restore(struct tz_probe *probe, const struct tz_member *member)
{
	const struct injection *injection = (const struct injection *)probe;
	if (member->in[injection->port] == injection->channel)
		*place_of(injection, member) = injection->heard;
}

static void discard(struct tz_probe *probe)
{
	struct injection *injection = (struct injection *)probe;
	tz_link_release(injection->link);
	tz_free(injection->samples);
	tz_free(injection->mixed);
	tz_free((void *)injection->channel);
}

static const struct tz_probe_kind kind = {.play = play, .restore = restore, .discard = discard};

struct tz_probe *tz_injection_new(uint32_t port, uint32_t channels, const float *planar, uint32_t frames, uint32_t fade_frames, uint32_t block_frames)
{
	struct injection *injection = tz_allocate(sizeof *injection);
	if (!injection)
		return NULL;
	injection->port = port;
	injection->channels = channels;
	injection->frames = frames;
	injection->fade_frames = fade_frames;
	injection->block_frames = block_frames;
	injection->link = tz_link_new(false);
	injection->samples = tz_allocate_array((size_t)channels * frames, sizeof *injection->samples);
	injection->mixed = tz_allocate_array(((size_t)channels + 1) * block_frames, sizeof *injection->mixed);
	injection->channel = tz_allocate_array(channels, sizeof *injection->channel);
	tz_probe_begin(&injection->probe, &kind);
	if (!injection->link || !injection->samples || !injection->mixed || !injection->channel) {
		tz_probe_release(&injection->probe);
		return NULL;
	}
	memcpy(injection->samples, planar, (size_t)channels * frames * sizeof *planar);
	for (uint32_t c = 0; c < channels; c++)
		injection->channel[c] = injection->mixed + (size_t)c * block_frames;
	return &injection->probe;
}

void tz_injection_stop(struct tz_probe *probe)
{
	atomic_store_explicit(&((struct injection *)probe)->stop, true, memory_order_relaxed);
}

uint32_t tz_injection_left(const struct tz_probe *probe)
{
	const struct injection *injection = (const struct injection *)probe;
	return injection->frames - atomic_load_explicit(&injection->played, memory_order_acquire);
}
