/* [card] What playing and capturing have in common: the resampler, following the engine's clock, coming back from a hole. */
#include "card.h"

#include "memory.h"
#include "realtime.h"

#include <errno.h>

#define FADE_MS 5.0             /* loses no syllable, and does not click */
#define STANDS_NS 250000000     /* an engine that has not moved for so long is paused, or has lost time for good (clock.c) */
#define OUT_OF_STEP_S 0.02      /* the resampler would need minutes to bring this in */
#define NS 1e-9
/* Half again as fast as its rate, beyond a second: no crystal is, but ALSA's null device and its like are. */
#define RUNAWAY 1.5
#define RUNAWAY_GRACE_S 1.0

int tz_stream_begin(struct tz_stream *stream, struct tz_card *card)
{
	const double engine_rate = card->order.engine_rate;
	const uint32_t channels = tz_ring_channels(card->ring), period = stream->facts.period_frames;
	stream->card = card;
	stream->ring_per_card = engine_rate / stream->facts.rate;
	stream->resting_step = card->order.capture ? 1.0 / stream->ring_per_card : stream->ring_per_card;
	stream->scratch_frames = card->order.capture ? (uint32_t)(period * stream->ring_per_card * 1.05) + 16 : period;
	stream->resampler = tz_resampler_new(channels, stream->resting_step, period);
	stream->scratch = tz_allocate_array((size_t)channels * stream->scratch_frames, sizeof(float));
	stream->fade_frames = (int32_t)(FADE_MS * 1e-3 * (card->order.capture ? engine_rate : stream->facts.rate));
	return stream->resampler && stream->scratch ? 0 : -ENOMEM;
}

void tz_stream_end(struct tz_stream *stream)
{
	tz_resampler_free(stream->resampler);
	tz_free(stream->scratch);
}

bool tz_stream_sees_move(struct tz_stream *stream, uint64_t other_side, int64_t now)
{
	if (other_side != stream->other_side) {
		stream->other_side = other_side;
		stream->moved_ns = now;
	}
	return stream->moved_ns && now - stream->moved_ns < STANDS_NS;
}

bool tz_stream_leads(const struct tz_stream *stream)
{
	return atomic_load_explicit(&tz_ring_pace(stream->card->ring)->leads, memory_order_relaxed);
}

bool tz_stream_engine_frame(const struct tz_stream *stream, int64_t now, double *frame)
{
	const struct tz_moment moment = tz_moment_read(&tz_ring_pace(stream->card->ring)->engine);
	if (!moment.time_ns || now - moment.time_ns > STANDS_NS)
		return false;
	*frame = tz_moment_frame_at(moment, now, stream->card->order.engine_rate);
	return true;
}

bool tz_stream_follow(struct tz_stream *stream, double surplus, int64_t now)
{
	struct tz_card *card = stream->card;
	const double error = surplus / card->order.engine_rate, passed = (double)(now - stream->looked_ns) * NS;
	if (error > OUT_OF_STEP_S || error < -OUT_OF_STEP_S)
		return false;
	if (!card->order.follow)
		return true;
	const double share = tz_drift_follow(&card->drift, error, passed);
	stream->looked_ns = now; /* several periods of one look count once */
	tz_resampler_set_step(stream->resampler, stream->resting_step * (1.0 + share));
	/* A quick card plays more frames of its own for one of the engine's, and captures more. */
	atomic_store_explicit(&card->counts.ppm, (card->order.capture ? 1e6 : -1e6) * card->drift.found, memory_order_relaxed);
	return true;
}

void tz_stream_lose_step(struct tz_stream *stream)
{
	stream->in_step = false;
}

void tz_stream_gain_step(struct tz_stream *stream)
{
	if (stream->ever_in_step)
		atomic_fetch_add_explicit(&stream->card->counts.resyncs, 1, memory_order_relaxed);
	stream->in_step = stream->ever_in_step = true;
	stream->fade_at = -(int32_t)(tz_resampler_holds(stream->resampler) / stream->resting_step);
	tz_drift_settle(&stream->card->drift);
}

void tz_stream_fade(struct tz_stream *stream, uint32_t frames)
{
	const uint32_t channels = tz_ring_channels(stream->card->ring);
	for (uint32_t i = 0; i < frames && stream->fade_at < stream->fade_frames; i++, stream->fade_at++)
		for (uint32_t c = 0; c < channels; c++)
			stream->scratch[(size_t)c * stream->scratch_frames + i] *= stream->fade_at < 0 ? 0.0f : (float)stream->fade_at / (float)stream->fade_frames;
}

void tz_stream_rest(const struct tz_stream *stream)
{
	/* A quarter of a period: a card in order is ready once in a period, and this is over long before. */
	const int64_t until = stream->looked_ns + (int64_t)(0.25e9 * stream->facts.period_frames / stream->facts.rate);
	const struct timespec date = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
	if (until > tz_clock_ns(CLOCK_MONOTONIC))
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &date, NULL);
}

bool tz_stream_counts(struct tz_stream *stream, int64_t now)
{
	if (!stream->began_ns)
		stream->began_ns = now;
	stream->moved_frames += stream->facts.period_frames;
	const double due = ((double)(now - stream->began_ns) * NS * RUNAWAY + RUNAWAY_GRACE_S) * stream->facts.rate;
	return (double)stream->moved_frames <= due + stream->facts.buffer_frames;
}

void tz_stream_tell_pace(const struct tz_stream *stream, double frame, int64_t now)
{
	struct tz_pace *pace = tz_ring_pace(stream->card->ring);
	atomic_store_explicit(&stream->card->counts.answered_ns, now, memory_order_relaxed);
	tz_moment_tell(&pace->card, (struct tz_moment){frame, now});
	atomic_store_explicit(&pace->alive, true, memory_order_release);
}
