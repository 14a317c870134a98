/* [control] Sound cards as their owner sees them, and the life of a card's thread: open, run, and where that fails, say why and try again. */
#include "card.h"

#include "memory.h"
#include "realtime.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	RETRY_MS = 1000,
	BUSY_RETRY_MS = 20, /* somebody has it: often the node that this one replaces, whose fade is soon over */
	BUSY_RETRIES = 100, /* then it is somebody else, and a second will do */
	LOST_RETRY_MS = 100, /* a driver that was reloaded is back soon */
	DEFAULT_PERIODS = 3
};

/* ---- What it tells ---- */

static void ring_bell(const struct tz_card *card)
{
	const uint64_t one = 1;
	const ssize_t ignored = write(card->bell, &one, sizeof one); /* fails only with the counter full, and then the reader is due */
	(void)ignored;
}

static void become(struct tz_card *card, tz_card_state state, const char *format, ...)
{
	char words[sizeof card->words];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(words, sizeof words, format, arguments);
	va_end(arguments);
	pthread_mutex_lock(&card->words_lock);
	const bool same = atomic_load(&card->counts.state) == (int)state && strcmp(card->words, words) == 0;
	memcpy(card->words, words, sizeof words);
	atomic_store(&card->counts.state, (int)state);
	pthread_mutex_unlock(&card->words_lock);
	if (!same)
		ring_bell(card);
}

bool tz_card_ending(const struct tz_card *card)
{
	return atomic_load(&card->length) != UINT64_MAX;
}

void tz_card_runs(struct tz_card *card)
{
	atomic_store_explicit(&card->counts.answered_ns, tz_clock_ns(CLOCK_MONOTONIC), memory_order_relaxed);
	become(card, TZ_CARD_RUNNING, "%s", "");
}

/* ---- The thread ---- */

static void take_priority(int priority)
{
	/* Above the audio thread's: it does little, and what it does is due at once. Without the right to it, ordinary scheduling. */
	const struct sched_param parameter = {.sched_priority = priority < 98 ? priority + 1 : 99};
	if (priority > 0)
		pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameter);
}

static void rest(const struct tz_card *card, int ms)
{
	struct pollfd told = {.fd = card->wake, .events = POLLIN};
	if (!tz_card_ending(card))
		poll(&told, 1, ms);
}

static void tell_facts(struct tz_card *card, const struct tz_pcm_facts *facts)
{
	atomic_store_explicit(&card->counts.rate, facts->rate, memory_order_relaxed);
	atomic_store_explicit(&card->counts.period_frames, facts->period_frames, memory_order_relaxed);
	atomic_store_explicit(&card->counts.buffer_frames, facts->buffer_frames, memory_order_relaxed);
	atomic_store_explicit(&card->counts.format, (int)facts->format, memory_order_relaxed);
	atomic_store_explicit(&card->counts.mapped, facts->mapped, memory_order_relaxed);
}

/* After an xrun, or a sleep of the machine: prepared anew, with what that took on the count. */
static int recover(struct tz_stream *stream, int error)
{
	struct tz_card *card = stream->card;
	if (error != -EPIPE && error != -ESTRPIPE)
		return error;
	error = tz_pcm_prepare(stream->pcm);
	if (error < 0)
		return error;
	tz_stream_lose_step(stream);
	tz_resampler_clear(stream->resampler);
	const int64_t lost = stream->looked_ns ? tz_clock_ns(CLOCK_MONOTONIC) - stream->looked_ns : 0;
	atomic_fetch_add_explicit(&card->counts.xruns, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&card->counts.xrun_ns, (uint64_t)lost, memory_order_relaxed);
	ring_bell(card);
	return 0;
}

static const char *why_lost(int error)
{
	switch (-error) {
	case ETIMEDOUT: return "for two seconds it asked for nothing and gave nothing";
	case EOVERFLOW: return "it has no clock, but takes and gives as fast as it is asked";
	default: return strerror(-error);
	}
}

/* Until it is told to end (0) or the card is lost. */
static int run(struct tz_card *card, struct tz_pcm *pcm, const struct tz_pcm_facts *facts)
{
	struct tz_stream stream = {.pcm = pcm, .facts = *facts};
	int error = tz_stream_begin(&stream, card);
	if (error >= 0) {
		tell_facts(card, facts);
		tz_ring_reopen(card->ring);
		do
			error = card->order.capture ? tz_card_capture(&stream) : tz_card_play(&stream);
		while (error < 0 && (error = recover(&stream, error)) == 0);
		atomic_store(&tz_ring_pace(card->ring)->alive, false);
		tz_ring_close(card->ring);
	}
	tz_stream_end(&stream);
	return error;
}

static void open_and_run(struct tz_card *card)
{
	const struct tz_card_order *order = &card->order;
	const struct tz_pcm_wish wish = {
		.device = card->device,
		.capture = order->capture,
		.channels = order->channels,
		.rate = order->rate,
		.near_rate = (uint32_t)order->engine_rate,
		.format = order->format,
		.period_frames = order->period_frames ? order->period_frames : order->block_frames,
		.periods = order->periods ? order->periods : DEFAULT_PERIODS,
	};
	struct tz_pcm *pcm;
	struct tz_pcm_facts facts = {0};
	char why[240] = "";
	int error = tz_pcm_open(&wish, &pcm, &facts, why, sizeof why);
	if (error < 0) {
		become(card, TZ_CARD_RETRYING, "%s: %s.", card->device, why);
		card->busy = error == -EBUSY ? card->busy + 1 : 0;
		rest(card, card->busy && card->busy < BUSY_RETRIES ? BUSY_RETRY_MS : RETRY_MS);
		return;
	}
	card->busy = 0;
	error = run(card, pcm, &facts);
	tz_pcm_close(pcm);
	if (error < 0 && !tz_card_ending(card)) {
		atomic_fetch_add_explicit(&card->counts.losses, 1, memory_order_relaxed);
		become(card, TZ_CARD_RETRYING, "%s was lost while it ran: %s.", card->device, why_lost(error));
		rest(card, error == -EOVERFLOW ? RETRY_MS : LOST_RETRY_MS);
	}
}

static void *live(void *handle)
{
	struct tz_card *card = handle;
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL); /* the program's signals are for its other threads */
	take_priority(card->order.realtime_priority);
	while (!tz_card_ending(card))
		open_and_run(card);
	tz_ring_close(card->ring);
	become(card, TZ_CARD_ENDED, "%s", "");
	atomic_store(&card->gone, true);
	tz_card_release(card);
	return NULL;
}

/* ---- The owner ---- */

struct tz_card *tz_card_new(const char *device, const struct tz_card_order *order, struct tz_ring *ring)
{
	struct tz_card *card = tz_allocate(sizeof *card);
	if (!card)
		return NULL;
	const size_t length = strlen(device) + 1;
	card->device = tz_allocate(length);
	card->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	card->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	atomic_init(&card->references, 1);
	atomic_init(&card->length, UINT64_MAX);
	pthread_mutex_init(&card->words_lock, NULL);
	card->order = *order;
	card->ring = tz_ring_retain(ring);
	if (!card->device || card->wake < 0 || card->bell < 0) {
		tz_card_release(card);
		return NULL;
	}
	memcpy(card->device, device, length);
	tz_ring_close(ring); /* until the card is there, nobody waits for it, and nothing counts as missing */
	return card;
}

void tz_card_release(struct tz_card *card)
{
	if (!card)
		return;
	tz_card_end(card, 0);
	if (atomic_fetch_sub(&card->references, 1) != 1)
		return;
	if (card->wake >= 0)
		close(card->wake);
	if (card->bell >= 0)
		close(card->bell);
	pthread_mutex_destroy(&card->words_lock);
	tz_ring_release(card->ring);
	tz_free(card->device);
	tz_free(card);
}

tz_status tz_card_start(struct tz_card *card)
{
	if (atomic_exchange(&card->started, true))
		return TZ_OK;
	atomic_fetch_add(&card->references, 1);
	if (pthread_create(&card->thread, NULL, live, card) != 0) {
		atomic_fetch_sub(&card->references, 1);
		atomic_store(&card->started, false);
		return TZ_NO_THREAD;
	}
	pthread_detach(card->thread); /* one that hangs in a driver can't be waited for */
	return TZ_OK;
}

void tz_card_end(struct tz_card *card, uint64_t length)
{
	uint64_t known = atomic_load(&card->length);
	while (length < known && !atomic_compare_exchange_weak(&card->length, &known, length))
		;
	const uint64_t one = 1;
	const ssize_t ignored = write(card->wake, &one, sizeof one);
	(void)ignored;
}

bool tz_card_join(struct tz_card *card, uint32_t timeout_ms)
{
	const int64_t deadline = tz_clock_ns(CLOCK_MONOTONIC) + (int64_t)timeout_ms * 1000000;
	while (atomic_load(&card->started) && !atomic_load(&card->gone)) {
		if (tz_clock_ns(CLOCK_MONOTONIC) >= deadline)
			return false;
		poll(NULL, 0, 2);
	}
	return true;
}

int tz_card_event_fd(const struct tz_card *card)
{
	return card->bell;
}

void tz_card_status(const struct tz_card *card, struct tz_card_status *status)
{
	const struct tz_card_counts *counts = &card->counts;
	const int64_t answered = atomic_load_explicit(&counts->answered_ns, memory_order_relaxed);
	*status = (struct tz_card_status){
		.state = (tz_card_state)atomic_load(&counts->state),
		.leads = atomic_load_explicit(&tz_ring_pace(card->ring)->leads, memory_order_relaxed),
		.rate = atomic_load_explicit(&counts->rate, memory_order_relaxed),
		.period_frames = atomic_load_explicit(&counts->period_frames, memory_order_relaxed),
		.buffer_frames = atomic_load_explicit(&counts->buffer_frames, memory_order_relaxed),
		.format = (tz_sample_format)atomic_load_explicit(&counts->format, memory_order_relaxed),
		.mapped = atomic_load_explicit(&counts->mapped, memory_order_relaxed),
		.xruns = atomic_load_explicit(&counts->xruns, memory_order_relaxed),
		.silent_frames = atomic_load_explicit(&counts->silent_frames, memory_order_relaxed),
		.resyncs = atomic_load_explicit(&counts->resyncs, memory_order_relaxed),
		.clipped = atomic_load_explicit(&counts->clipped, memory_order_relaxed),
		.losses = atomic_load_explicit(&counts->losses, memory_order_relaxed),
		.xrun_ms = (double)atomic_load_explicit(&counts->xrun_ns, memory_order_relaxed) * 1e-6,
		.quiet_s = answered ? (double)(tz_clock_ns(CLOCK_MONOTONIC) - answered) * 1e-9 : 0.0,
		.ppm = atomic_load_explicit(&counts->ppm, memory_order_relaxed),
		.fill_ms = atomic_load_explicit(&counts->fill_ms, memory_order_relaxed),
		.latency_ms = atomic_load_explicit(&counts->latency_ms, memory_order_relaxed),
	};
}

size_t tz_card_message(struct tz_card *card, char *text, size_t capacity)
{
	pthread_mutex_lock(&card->words_lock);
	const int needed = snprintf(text, capacity, "%s", card->words);
	pthread_mutex_unlock(&card->words_lock);
	return needed < 0 ? 0 : (size_t)needed;
}
