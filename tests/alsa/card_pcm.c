/* A sound card for tests on machines that have none: an ALSA plugin that behaves as hardware does towards libasound, inside the client's
 * process. Its clock runs, or is moved by the test; what is played is kept frame by frame, and captured from there again. It runs dry and
 * over as a card does, can be absent, taken, pulled out, frozen, and stand still: card_page.h says what a test can set and read.
 *
 * Both directions of one card are meant to run at one rate. A client's fd of poll() is a timer: it fires when the stream wants something,
 * and now and then without need, since what the test changes rings no bell; poll_revents tells these apart. */
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "card_page.h"

enum { BYTE_OF_STREAMS = 8 };    /* where in its file the lock of the first direction lies: any two bytes will do */
#define LOOK_AGAIN_NS 10000000   /* how late a fault may be noticed by who only polls */
#define LOOK_AGAIN_STEPPED_NS 1000000

struct stream {
	snd_pcm_ioplug_t io;
	struct card card;
	struct card_stream *told;
	int timer;
	bool running;
	uint64_t base;        /* the device's frame when the stream began */
	uint64_t position;    /* frames the device has done since */
	snd_pcm_uframes_t avail_min, stop_threshold;
	double *waiting;      /* what was written before the start: as long as the buffer */
};

/* ---- Samples: full scale is 1 ---- */

static double sample(const snd_pcm_channel_area_t *area, snd_pcm_uframes_t frame, snd_pcm_format_t format)
{
	const unsigned char *at = (const unsigned char *)area->addr + (area->first + area->step * frame) / 8;
	int16_t word;
	int32_t integer;
	float real;
	switch (format) {
	case SND_PCM_FORMAT_S16_LE:
		memcpy(&word, at, sizeof word);
		return word / 32768.0;
	case SND_PCM_FORMAT_S24_LE:
	case SND_PCM_FORMAT_S24_3LE: /* of four bytes the highest says nothing */
		return (int32_t)((uint32_t)at[0] << 8 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 24) / 2147483648.0;
	case SND_PCM_FORMAT_S32_LE:
		memcpy(&integer, at, sizeof integer);
		return integer / 2147483648.0;
	default:
		memcpy(&real, at, sizeof real);
		return (double)real;
	}
}

static int32_t rounded(double value, double scale)
{
	return (int32_t)fmax(fmin(rint(value * scale), scale - 1), -scale);
}

static void put_sample(const snd_pcm_channel_area_t *area, snd_pcm_uframes_t frame, snd_pcm_format_t format, double value)
{
	unsigned char *at = (unsigned char *)area->addr + (area->first + area->step * frame) / 8;
	int16_t word;
	int32_t integer;
	float real;
	switch (format) {
	case SND_PCM_FORMAT_S16_LE:
		word = (int16_t)rounded(value, 32768);
		memcpy(at, &word, sizeof word);
		break;
	case SND_PCM_FORMAT_S24_LE: /* the highest byte stays 0, also of negative values: clients may not rely on it */
		at[3] = 0;
		/* fall through */
	case SND_PCM_FORMAT_S24_3LE:
		integer = rounded(value, 8388608);
		memcpy(at, &integer, 3);
		break;
	case SND_PCM_FORMAT_S32_LE:
		integer = rounded(value, 2147483648.0);
		memcpy(at, &integer, sizeof integer);
		break;
	default:
		real = (float)value;
		memcpy(at, &real, sizeof real);
	}
}

/* ---- Frames ---- */

static void play(const struct stream *s, uint64_t frame, const double *samples)
{
	struct card_slot *slot = card_slot(&s->card, frame);
	__atomic_store_n(&slot->stamp, 0, __ATOMIC_RELEASE);
	memset(slot->samples, 0, s->card.page->channels_max * sizeof(double));
	memcpy(slot->samples, samples, s->io.channels * sizeof(double));
	__atomic_store_n(&slot->stamp, frame + 1, __ATOMIC_RELEASE);
}

/* What was written and will not be played, as the stream has been stopped. */
static void forget(const struct stream *s)
{
	for (uint64_t k = s->position; k < s->io.appl_ptr; k++) {
		struct card_slot *slot = card_slot(&s->card, s->base + k);
		if (slot->stamp == s->base + k + 1)
			__atomic_store_n(&slot->stamp, 0, __ATOMIC_RELEASE);
	}
}

/* ---- Where the stream is ---- */

static bool plays(const struct stream *s)
{
	return s->io.stream == SND_PCM_STREAM_PLAYBACK;
}

/* Frames that the client may write or read. */
static int64_t available(const struct stream *s)
{
	int64_t ahead = (int64_t)s->position - (int64_t)s->io.appl_ptr;
	return plays(s) ? ahead + (int64_t)s->io.buffer_size : ahead;
}

static void tell(const struct stream *s)
{
	s->told->frames = s->io.appl_ptr;
	s->told->running = s->running;
}

/* Follows the clock: 0, or -EPIPE when the stream has run dry or over. */
static int move_on(struct stream *s)
{
	uint64_t frame = s->running ? card_frame(s->card.page, s->io.rate) : 0;
	if (frame > s->base + s->position)
		s->position = frame - s->base;
	bool draining = s->io.state == SND_PCM_STATE_DRAINING;
	if (draining && plays(s) && s->position > s->io.appl_ptr)
		s->position = s->io.appl_ptr;
	if (s->running && !draining && available(s) >= (int64_t)s->stop_threshold) {
		s->running = false;
		s->told->xruns++;
		tell(s);
		return -EPIPE;
	}
	tell(s);
	return 0;
}

static bool wants_client(const struct stream *s)
{
	switch (s->io.state) {
	case SND_PCM_STATE_PREPARED:
	case SND_PCM_STATE_RUNNING:
		return available(s) >= (int64_t)s->avail_min;
	case SND_PCM_STATE_DRAINING:
		return available(s) >= (int64_t)(plays(s) ? s->io.buffer_size : s->avail_min);
	default:
		return true; /* to learn what is wrong */
	}
}

/* Sets the timer of poll(): at once, or when the stream will want something, but not much later than now. */
static void arm(const struct stream *s)
{
	const struct card_page *page = s->card.page;
	int64_t now = card_now(), at = now;
	if (!wants_client(s)) {
		at = now + (page->stepped ? LOOK_AGAIN_STEPPED_NS : LOOK_AGAIN_NS);
		bool drains = s->io.state == SND_PCM_STATE_DRAINING;
		int64_t missing = (int64_t)(drains && plays(s) ? s->io.buffer_size : s->avail_min) - available(s);
		int64_t due = s->running ? card_time(page, s->base + s->position + (uint64_t)missing, s->io.rate) : INT64_MAX;
		at = due < at ? due : at;
	}
	struct itimerspec when = {.it_value = {at / 1000000000, at % 1000000000}};
	timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Waits while the card is frozen; false when it has been pulled out, which ends the stream. */
static bool is_there(struct stream *s)
{
	if (card_there(&s->card))
		return true;
	s->running = false;
	snd_pcm_ioplug_set_state(&s->io, SND_PCM_STATE_DISCONNECTED);
	tell(s);
	return false;
}

/* ---- What libasound calls ---- */

static int on_hw_params(snd_pcm_ioplug_t *io, snd_pcm_hw_params_t *params)
{
	struct stream *s = io->private_data;
	(void)params;
	if (!is_there(s))
		return -ENODEV;
	if (io->buffer_size > s->card.page->slots / 2) /* what is being captured would be overwritten by what is played next */
		return -EINVAL;
	free(s->waiting);
	s->waiting = calloc(io->buffer_size * io->channels, sizeof(double));
	if (!s->waiting)
		return -ENOMEM;
	s->avail_min = io->period_size;
	s->stop_threshold = io->buffer_size;
	s->told->rate = io->rate;
	s->told->channels = io->channels;
	s->told->access = (uint32_t)io->access;
	s->told->format = (uint32_t)io->format;
	s->told->period_frames = (uint32_t)io->period_size;
	s->told->buffer_frames = (uint32_t)io->buffer_size;
	return 0;
}

static int on_sw_params(snd_pcm_ioplug_t *io, snd_pcm_sw_params_t *params)
{
	struct stream *s = io->private_data;
	if (!is_there(s))
		return -ENODEV;
	snd_pcm_sw_params_get_avail_min(params, &s->avail_min);
	snd_pcm_sw_params_get_stop_threshold(params, &s->stop_threshold);
	arm(s);
	return 0;
}

static int on_prepare(snd_pcm_ioplug_t *io)
{
	struct stream *s = io->private_data;
	if (!is_there(s))
		return -ENODEV;
	s->running = false;
	s->base = s->position = 0;
	memset(s->waiting, 0, io->buffer_size * io->channels * sizeof(double));
	tell(s);
	io->state = SND_PCM_STATE_PREPARED; /* libasound will set it too, but the timer asks before */
	arm(s);
	return 0;
}

static int on_start(snd_pcm_ioplug_t *io)
{
	struct stream *s = io->private_data;
	if (!is_there(s))
		return -ENODEV;
	s->base = card_frame(s->card.page, io->rate);
	s->running = true;
	for (uint64_t k = 0; plays(s) && k < io->appl_ptr; k++)
		play(s, s->base + k, s->waiting + k % io->buffer_size * io->channels);
	s->told->start_frame = s->base;
	s->told->starts++;
	tell(s);
	arm(s);
	return 0;
}

static int on_stop(snd_pcm_ioplug_t *io)
{
	struct stream *s = io->private_data;
	if (is_there(s) && s->running) {
		move_on(s);
		if (plays(s))
			forget(s);
	}
	s->running = false;
	tell(s);
	return 0;
}

static snd_pcm_sframes_t on_pointer(snd_pcm_ioplug_t *io)
{
	struct stream *s = io->private_data;
	if (is_there(s) && move_on(s) < 0)
		return -EPIPE;
	return (snd_pcm_sframes_t)s->position; /* of a lost card too: only so its state stays DISCONNECTED */
}

static int on_delay(snd_pcm_ioplug_t *io, snd_pcm_sframes_t *delay)
{
	struct stream *s = io->private_data;
	if (!is_there(s))
		return -ENODEV;
	if (move_on(s) < 0)
		snd_pcm_ioplug_set_state(io, SND_PCM_STATE_XRUN);
	if (io->state == SND_PCM_STATE_XRUN)
		return -EPIPE;
	*delay = (snd_pcm_sframes_t)(plays(s) ? (int64_t)io->buffer_size - available(s) : available(s));
	return 0;
}

/* Of an mmap stream, playback comes here when it commits, capture when it begins: `appl_ptr` is where in both cases. */
static snd_pcm_sframes_t on_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t offset,
                                     snd_pcm_uframes_t frames)
{
	struct stream *s = io->private_data;
	if (!is_there(s))
		return -ENODEV;
	uint64_t now = s->running ? card_frame(s->card.page, io->rate) : 0;
	double values[io->channels];
	for (snd_pcm_uframes_t i = 0; i < frames; i++) {
		uint64_t k = io->appl_ptr + i;
		if (plays(s)) {
			for (unsigned c = 0; c < io->channels; c++)
				values[c] = sample(&areas[c], offset + i, io->format);
			if (!s->running)
				memcpy(s->waiting + k % io->buffer_size * io->channels, values, sizeof values);
			else if (s->base + k >= now) /* what comes too late is not heard */
				play(s, s->base + k, values);
			continue;
		}
		const struct card_slot *slot = card_slot(&s->card, s->base + k);
		bool live = __atomic_load_n(&slot->stamp, __ATOMIC_ACQUIRE) == s->base + k + 1;
		for (unsigned c = 0; c < io->channels; c++)
			put_sample(&areas[c], offset + i, io->format, live ? slot->samples[c] : 0);
	}
	s->told->frames = io->appl_ptr + frames;
	return (snd_pcm_sframes_t)frames;
}

static int on_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *fds, unsigned count, unsigned short *revents)
{
	struct stream *s = io->private_data;
	unsigned short event = plays(s) ? POLLOUT : POLLIN;
	*revents = 0;
	if (count < 1 || !fds[0].revents)
		return 0;
	if (!is_there(s)) {
		*revents = POLLERR | POLLHUP | POLLNVAL;
	} else {
		if (move_on(s) < 0)
			snd_pcm_ioplug_set_state(io, SND_PCM_STATE_XRUN);
		if (wants_client(s))
			*revents = event;
		if (io->state != SND_PCM_STATE_PREPARED && io->state != SND_PCM_STATE_RUNNING && io->state != SND_PCM_STATE_DRAINING)
			*revents |= POLLERR;
	}
	arm(s);
	return 0;
}

static int on_close(snd_pcm_ioplug_t *io)
{
	struct stream *s = io->private_data;
	is_there(s);
	close(s->timer);
	card_close(&s->card); /* which lets go of the lock */
	free(s->waiting);
	free(s);
	return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
	.start = on_start,
	.stop = on_stop,
	.pointer = on_pointer,
	.transfer = on_transfer,
	.close = on_close,
	.hw_params = on_hw_params,
	.sw_params = on_sw_params,
	.prepare = on_prepare,
	.poll_revents = on_poll_revents,
	.delay = on_delay,
};

/* ---- Opening ---- */

/* One client per direction, in whatever process: the lock goes with the open file. */
static int claim(const struct card *card, snd_pcm_stream_t stream)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = BYTE_OF_STREAMS + (int)stream, .l_len = 1};
	return fcntl(card->file, F_OFD_SETLK, &lock) < 0 ? -EBUSY : 0;
}

static int limit(snd_pcm_ioplug_t *io, const struct card_page *page)
{
	unsigned accesses[] = {SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_RW_NONINTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED,
	                       SND_PCM_ACCESS_MMAP_NONINTERLEAVED};
	unsigned formats[64], count = 0;
	for (unsigned format = 0; format < 64; format++)
		if (page->formats >> format & 1)
			formats[count++] = format;
	const struct {
		int parameter;
		unsigned least, most;
	} ranges[] = {
		{SND_PCM_IOPLUG_HW_CHANNELS, page->channels_min, page->channels_max},
		{SND_PCM_IOPLUG_HW_RATE, page->rate_min, page->rate_max},
		{SND_PCM_IOPLUG_HW_PERIOD_BYTES, page->period_bytes_min, page->period_bytes_max},
		{SND_PCM_IOPLUG_HW_BUFFER_BYTES, page->buffer_bytes_min, page->buffer_bytes_max},
		{SND_PCM_IOPLUG_HW_PERIODS, page->periods_min, page->periods_max},
	};
	int error = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, page->mmap ? 4 : 2, accesses);
	if (!error)
		error = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, count, formats);
	for (size_t i = 0; !error && i < sizeof ranges / sizeof *ranges; i++)
		error = snd_pcm_ioplug_set_param_minmax(io, ranges[i].parameter, ranges[i].least, ranges[i].most);
	return error;
}

SND_PCM_PLUGIN_DEFINE_FUNC(tzcard)
{
	(void)root;
	const char *file = card_file(conf);
	if (!file)
		return -EINVAL;
	struct stream *s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	int error = card_open(&s->card, file);
	if (error) {
		free(s);
		return error;
	}
	error = claim(&s->card, stream);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (!error && s->timer < 0)
		error = -errno;
	s->told = &s->card.page->streams[stream];
	s->io = (snd_pcm_ioplug_t){
		.version = SND_PCM_IOPLUG_VERSION,
		.name = "virtual card",
		.flags = SND_PCM_IOPLUG_FLAG_MONOTONIC | SND_PCM_IOPLUG_FLAG_BOUNDARY_WA,
		.poll_fd = s->timer,
		.poll_events = POLLIN,
		.callback = &callbacks,
		.private_data = s,
	};
	if (!error)
		error = snd_pcm_ioplug_create(&s->io, name, stream, mode);
	if (error) {
		on_close(&s->io);
		return error;
	}
	error = limit(&s->io, s->card.page);
	if (error) {
		snd_pcm_ioplug_delete(&s->io);
		return error;
	}
	s->told->opens++;
	*pcmp = s->io.pcm;
	return 0;
}

SND_PCM_PLUGIN_SYMBOL(tzcard);
