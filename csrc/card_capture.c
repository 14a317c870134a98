/* [card] Capturing: from the card through the resampler into the ring, as it comes. */
#include "card.h"

#include "realtime.h"

#include <errno.h>
#include <string.h>

#define SPARE_S 0.002       /* in the store between two clocks, for this thread when it is late by as much */
#define POLL_MS 100         /* a card that gives nothing: time to look whether the end has come */
#define STUCK_NS 2000000000 /* a card that gives nothing for so long is lost */

/* From where the engine is due to have read to what the microphone hears. */
static double stored(const struct tz_stream *stream, double engine_frame, uint32_t available)
{
	const double inside = (tz_resampler_holds(stream->resampler) + available) * stream->ring_per_card;
	return (double)tz_ring_frames_written(stream->card->ring) + inside - engine_frame;
}

/* What has to be stored so that each block finds its frames: a period, since they come in periods, and what the resampler holds. */
static double wanted_store(const struct tz_stream *stream)
{
	const struct tz_card_order *order = &stream->card->order;
	const double card_frames = stream->facts.period_frames + tz_resampler_holds(stream->resampler);
	return card_frames * stream->ring_per_card + order->buffer_frames + SPARE_S * order->engine_rate;
}

static void put_into_ring(struct tz_stream *stream, uint32_t frames, bool moves)
{
	const uint32_t put = tz_ring_write(stream->card->ring, stream->scratch, stream->scratch_frames, frames);
	if (put < frames && moves)
		atomic_fetch_add_explicit(&stream->card->counts.silent_frames, frames - put, memory_order_relaxed);
}

static void put_silence(struct tz_stream *stream, uint32_t frames)
{
	memset(stream->scratch, 0, (size_t)tz_ring_channels(stream->card->ring) * stream->scratch_frames * sizeof *stream->scratch);
	for (uint32_t done = 0, piece; done < frames; done += piece) {
		piece = frames - done < stream->scratch_frames ? frames - done : stream->scratch_frames;
		put_into_ring(stream, piece, false);
	}
}

/* ---- Keeping step ---- */

/* Fills the store up, or gives back how many frames of the ring are to be left out. */
static uint32_t find_step(struct tz_stream *stream, double engine_frame, uint32_t available)
{
	const double surplus = stored(stream, engine_frame, available) - wanted_store(stream);
	tz_stream_gain_step(stream);
	if (surplus >= 0)
		return (uint32_t)surplus;
	put_silence(stream, (uint32_t)-surplus);
	return 0;
}

/* Whether sound passes now; `skip`: how many of the next frames for the ring do not. */
static bool keep_step(struct tz_stream *stream, int64_t now, uint32_t available, bool moves, uint32_t *skip)
{
	const struct tz_card_order *order = &stream->card->order;
	double engine_frame;
	const bool timed = tz_stream_engine_frame(stream, now, &engine_frame);
	if (tz_stream_leads(stream) || (!timed && !tz_moment_read(&tz_ring_pace(stream->card->ring)->engine).time_ns)) {
		/* The engine comes for what there is. While it stands still, a block and a period wait for it, the newest. */
		tz_resampler_set_step(stream->resampler, stream->resting_step);
		if (!stream->in_step)
			tz_stream_gain_step(stream);
		return moves || !tz_stream_leads(stream) ||
		       tz_ring_fill(stream->card->ring) <= order->block_frames + stream->facts.period_frames * stream->ring_per_card;
	}
	if (!timed) { /* paused: what it missed is not for later */
		tz_stream_lose_step(stream);
		return false;
	}
	if (stream->in_step && !tz_stream_follow(stream, stored(stream, engine_frame, available) - wanted_store(stream), now))
		tz_stream_lose_step(stream);
	if (!stream->in_step)
		*skip = find_step(stream, engine_frame, available);
	return true;
}

/* ---- What came in ---- */

static int capture_piece(struct tz_stream *stream, uint32_t frames, bool passes, bool moves, uint32_t *skip)
{
	uint32_t stride;
	float *room = tz_resampler_room(stream->resampler, &stride);
	const int error = tz_pcm_read(stream->pcm, room, stride, frames);
	if (error < 0)
		return error;
	tz_resampler_put(stream->resampler, frames);
	for (;;) {
		const bool skips = *skip > 0;
		const uint32_t most = skips && *skip < stream->scratch_frames ? *skip : stream->scratch_frames;
		const uint32_t made = tz_resampler_make(stream->resampler, stream->scratch, stream->scratch_frames, most);
		if (made == 0)
			return 0;
		if (skips) {
			*skip -= made;
		} else if (passes) {
			tz_stream_fade(stream, made);
			put_into_ring(stream, made, moves);
		}
	}
}

static void tell(const struct tz_stream *stream, uint32_t available, int64_t delay, int64_t now)
{
	const struct tz_card *card = stream->card;
	const double fill = tz_ring_fill(card->ring), rate = card->order.engine_rate;
	const double behind = fill + (tz_resampler_holds(stream->resampler) + (double)delay) * stream->ring_per_card;
	tz_stream_tell_pace(stream, (double)tz_ring_frames_written(card->ring) + available * stream->ring_per_card, now);
	atomic_store_explicit(&stream->card->counts.fill_ms, fill / rate * 1e3, memory_order_relaxed);
	atomic_store_explicit(&stream->card->counts.latency_ms, behind / rate * 1e3, memory_order_relaxed);
}

int tz_card_capture(struct tz_stream *stream)
{
	struct tz_card *card = stream->card;
	const uint32_t period = stream->facts.period_frames;
	atomic_store_explicit(&tz_ring_pace(card->ring)->target, (uint32_t)(period * stream->ring_per_card), memory_order_relaxed);
	int error = tz_pcm_start(stream->pcm);
	if (error >= 0)
		tz_card_runs(card);
	int64_t last_period = tz_clock_ns(CLOCK_MONOTONIC);
	uint32_t skip = 0;
	while (error >= 0 && !tz_card_ending(card)) {
		uint32_t available;
		int64_t delay;
		tz_stream_rest(stream);
		error = tz_pcm_wait(stream->pcm, card->wake, POLL_MS);
		if (error >= 0)
			error = tz_pcm_look(stream->pcm, &available, &delay);
		if (error < 0)
			break;
		const int64_t now = tz_clock_ns(CLOCK_MONOTONIC);
		tell(stream, available, delay, now);
		if (available >= period)
			last_period = now;
		else if (now - last_period > STUCK_NS)
			return -ETIMEDOUT;
		const bool moves = tz_stream_sees_move(stream, tz_ring_frames_read(card->ring), now);
		const bool passes = keep_step(stream, now, available, moves, &skip);
		for (; error >= 0 && available >= period; available -= period)
			error = !tz_stream_counts(stream, now) ? -EOVERFLOW : capture_piece(stream, period, passes, moves, &skip);
		stream->looked_ns = now;
	}
	return error;
}
