/* [card] Playing: from the ring through the resampler to the card, a period at a time. */
#include "card.h"

#include "realtime.h"

#include <errno.h>
#include <string.h>

#define SPARE_S 0.001          /* in the store between two clocks, for an engine that is late by as much */
#define NAP_NS 250000          /* looking again for an engine that is late */
#define POLL_MS 100            /* a card that asks for nothing: time to look whether the end has come */
#define STUCK_NS 2000000000    /* a card that asks for nothing for so long is lost */
#define LAST_WAIT_NS 500000000 /* how long the end waits for frames that have yet to come */

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	return b ? common_divisor(b, a % b) : a;
}

/* Frames that the engine keeps ready where this card is its clock: a period's worth after each of its blocks, whatever the two sizes. */
static uint32_t ready_frames(const struct tz_stream *stream)
{
	const struct tz_card_order *order = &stream->card->order;
	const uint32_t period = stream->facts.period_frames;
	if (stream->resting_step == 1.0)
		return period + order->block_frames - common_divisor(period, order->block_frames) + order->buffer_frames;
	return (uint32_t)(period * stream->ring_per_card) + 3 + order->block_frames + order->buffer_frames;
}

/* From where the engine is due to have written to what is in the air. */
static double stored(const struct tz_stream *stream, double engine_frame, int64_t delay)
{
	const double heard = (double)tz_ring_frames_read(stream->card->ring) - tz_resampler_holds(stream->resampler) - (double)delay * stream->ring_per_card;
	return engine_frame - heard;
}

/* What has to be stored so that each period finds its frames: the card's buffer, the resampler, and a block, since they come in blocks. */
static double wanted_store(const struct tz_stream *stream)
{
	const struct tz_card_order *order = &stream->card->order;
	return stream->facts.buffer_frames * stream->ring_per_card + tz_resampler_holds(stream->resampler) + order->block_frames + order->buffer_frames +
	       SPARE_S * order->engine_rate;
}

static int put_silence(struct tz_stream *stream, uint32_t frames)
{
	uint64_t clipped = 0;
	memset(stream->scratch, 0, (size_t)tz_ring_channels(stream->card->ring) * stream->scratch_frames * sizeof *stream->scratch);
	for (uint32_t done = 0, piece; done < frames; done += piece) {
		piece = frames - done < stream->scratch_frames ? frames - done : stream->scratch_frames;
		const int error = tz_pcm_write(stream->pcm, stream->scratch, stream->scratch_frames, piece, &clipped);
		if (error < 0)
			return error;
	}
	return 0;
}

/* ---- Coming into step ---- */

/* Drops what is too much; false: there is too little yet. */
static bool find_step(struct tz_stream *stream, int64_t now, int64_t delay)
{
	struct tz_ring *ring = stream->card->ring;
	const uint32_t fill = tz_ring_fill(ring), needed = tz_resampler_needs(stream->resampler, stream->facts.period_frames);
	double engine_frame;
	if (tz_stream_leads(stream)) {
		if (fill > ready_frames(stream))
			tz_ring_skip(ring, fill - ready_frames(stream));
	} else if (tz_stream_engine_frame(stream, now, &engine_frame)) {
		const double surplus = stored(stream, engine_frame, delay) - wanted_store(stream);
		if (surplus < 0)
			return false;
		tz_ring_skip(ring, (uint32_t)surplus);
	}
	return tz_ring_fill(ring) >= needed;
}

static bool keep_step(struct tz_stream *stream, int64_t now, int64_t delay)
{
	double engine_frame;
	if (tz_stream_leads(stream) || !tz_stream_engine_frame(stream, now, &engine_frame)) {
		tz_resampler_set_step(stream->resampler, stream->resting_step);
		return true;
	}
	return tz_stream_follow(stream, stored(stream, engine_frame, delay) - wanted_store(stream), now);
}

/* The engine is late. There is time while the card has frames left: half of those it holds. */
static uint32_t await_frames(const struct tz_stream *stream, uint32_t needed, int64_t delay)
{
	const int64_t deadline = tz_clock_ns(CLOCK_MONOTONIC) + delay * 500000000 / stream->facts.rate;
	const struct timespec nap = {.tv_nsec = NAP_NS};
	uint32_t fill;
	while ((fill = tz_ring_fill(stream->card->ring)) < needed && tz_clock_ns(CLOCK_MONOTONIC) < deadline)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	return fill;
}

/* ---- A period ---- */

/* Silence counts once the engine has shown, by moving again, that it was late and not paused. */
static void count_silence(struct tz_stream *stream, bool moves)
{
	if (moves && stream->in_step)
		atomic_fetch_add_explicit(&stream->card->counts.silent_frames, stream->pending_silence, memory_order_relaxed);
	if (stream->in_step || !moves)
		stream->pending_silence = 0;
}

static int play_sound(struct tz_stream *stream, uint32_t from_ring, uint32_t needed)
{
	const uint32_t period = stream->facts.period_frames, channels = tz_ring_channels(stream->card->ring);
	uint32_t stride;
	float *room = tz_resampler_room(stream->resampler, &stride);
	const uint32_t got = tz_ring_read(stream->card->ring, room, stride, from_ring);
	for (uint32_t c = 0; c < channels; c++)
		memset(room + (size_t)c * stride + got, 0, (needed - got) * sizeof *room);
	tz_resampler_put(stream->resampler, needed);
	tz_resampler_make(stream->resampler, stream->scratch, stream->scratch_frames, period);
	tz_stream_fade(stream, period);
	uint64_t clipped = 0;
	const int error = tz_pcm_write(stream->pcm, stream->scratch, stream->scratch_frames, period, &clipped);
	atomic_fetch_add_explicit(&stream->card->counts.clipped, clipped, memory_order_relaxed);
	return error;
}

static int play_period(struct tz_stream *stream, int64_t now, int64_t delay)
{
	struct tz_ring *ring = stream->card->ring;
	const bool moves = tz_stream_sees_move(stream, tz_ring_frames_written(ring), now);
	if (stream->in_step && !keep_step(stream, now, delay))
		tz_stream_lose_step(stream);
	if (!stream->in_step && find_step(stream, now, delay))
		tz_stream_gain_step(stream);
	if (stream->in_step) {
		const uint32_t needed = tz_resampler_needs(stream->resampler, stream->facts.period_frames);
		if (tz_ring_fill(ring) >= needed || (moves && await_frames(stream, needed, delay) >= needed)) {
			count_silence(stream, moves);
			return play_sound(stream, needed, needed);
		}
		tz_stream_lose_step(stream);
	}
	count_silence(stream, moves);
	if (stream->ever_in_step)
		stream->pending_silence += stream->facts.period_frames;
	return put_silence(stream, stream->facts.period_frames);
}

/* ---- The end: what belongs to it is played, and then heard ---- */

static int play_last(struct tz_stream *stream, int64_t *waited_since, uint32_t *silent, int64_t now)
{
	struct tz_ring *ring = stream->card->ring;
	const uint32_t period = stream->facts.period_frames;
	if (!stream->in_step) {
		*silent += period;
		return put_silence(stream, period);
	}
	const uint64_t length = atomic_load(&stream->card->length), read = tz_ring_frames_read(ring), left = length > read ? length - read : 0;
	const uint32_t needed = tz_resampler_needs(stream->resampler, period), fill = tz_ring_fill(ring);
	const uint32_t take = left < needed ? (uint32_t)left : needed;
	if (fill < take && now - *waited_since < LAST_WAIT_NS)
		return put_silence(stream, period);
	if (fill >= take)
		*waited_since = now;
	*silent = take && fill ? 0 : *silent + period;
	return play_sound(stream, take, needed);
}

static void tell(const struct tz_stream *stream, uint32_t available, int64_t delay, int64_t now)
{
	const struct tz_card *card = stream->card;
	const double fill = tz_ring_fill(card->ring), rate = card->order.engine_rate;
	const double ahead = fill + tz_resampler_holds(stream->resampler) + (double)delay * stream->ring_per_card;
	tz_stream_tell_pace(stream, (double)tz_ring_frames_read(card->ring) + available * stream->ring_per_card + ready_frames(stream), now);
	atomic_store_explicit(&stream->card->counts.fill_ms, fill / rate * 1e3, memory_order_relaxed);
	atomic_store_explicit(&stream->card->counts.latency_ms, ahead / rate * 1e3, memory_order_relaxed);
}

int tz_card_play(struct tz_stream *stream)
{
	struct tz_card *card = stream->card;
	const uint32_t period = stream->facts.period_frames, hurry = stream->facts.buffer_frames + period;
	atomic_store_explicit(&tz_ring_pace(card->ring)->target, ready_frames(stream), memory_order_relaxed);
	int error = put_silence(stream, stream->facts.buffer_frames);
	if (error >= 0)
		error = tz_pcm_start(stream->pcm);
	if (error >= 0)
		tz_card_runs(card);
	int64_t last_period = tz_clock_ns(CLOCK_MONOTONIC), ending_since = 0;
	uint32_t silent = 0;
	while (error >= 0 && silent < hurry) {
		const bool ending = tz_card_ending(card);
		uint32_t available;
		int64_t delay;
		tz_stream_rest(stream);
		error = tz_pcm_wait(stream->pcm, ending ? -1 : card->wake, POLL_MS);
		if (error >= 0)
			error = tz_pcm_look(stream->pcm, &available, &delay);
		if (error < 0)
			break;
		const int64_t now = tz_clock_ns(CLOCK_MONOTONIC);
		if (ending && !ending_since)
			ending_since = now;
		tell(stream, available, delay, now);
		if (available >= period)
			last_period = now;
		else if (now - last_period > STUCK_NS)
			return -ETIMEDOUT;
		for (; error >= 0 && available >= period && silent < hurry; available -= period, delay += period)
			error = !tz_stream_counts(stream, now) ? -EOVERFLOW : ending ? play_last(stream, &ending_since, &silent, now) : play_period(stream, now, delay);
		stream->looked_ns = now;
	}
	return error;
}
