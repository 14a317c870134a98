/* [card] PCMs of libasound: setting one up, and moving samples through its memory where it shows it, else through read and write. */
#include "alsa_pcm.h"

#include "memory.h"
#include "sample_format.h"

#include <alsa/asoundlib.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_CHANNELS = 64, MOST_DESCRIPTORS = 16 };

struct tz_pcm {
	snd_pcm_t *handle;
	uint32_t channels;
	tz_sample_format format;
	bool mapped, interleaved;
	uint32_t sample_bytes;
	/* of a PCM that shows no memory: a period on its way */
	char *bounce;
	uint32_t bounce_frames;
};

/* ---- What libasound says in words ---- */

/* It would print to stderr. Here it is kept, per thread, for the one who asks why something failed. */
static _Thread_local char last_words[200];

static void keep_words(const char *file, int line, const char *function, int error, const char *format, va_list arguments)
{
	(void)file, (void)line, (void)function, (void)error;
	if (!last_words[0]) /* the first is the cause, what follows are consequences */
		vsnprintf(last_words, sizeof last_words, format, arguments);
}

/* "channels: 6 can't be had (Invalid argument)" and, where there are any, libasound's own words. */
static int refuse(int error, char *why, size_t size, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	const int used = vsnprintf(why, size, format, arguments);
	va_end(arguments);
	if (used >= 0 && (size_t)used < size)
		snprintf(why + used, size - (size_t)used, last_words[0] ? " (%s: %s)" : " (%s)", snd_strerror(error), last_words);
	return error;
}

/* ---- Setting up ---- */

struct format_choice {
	tz_sample_format format;
	snd_pcm_format_t alsa;
	uint32_t bytes;
	const char *name;
};

/* The finest first: float and 32 bits lose nothing of what the graph makes. */
static const struct format_choice choices[] = {
	{TZ_FORMAT_F32, SND_PCM_FORMAT_FLOAT, 4, "f32"},    {TZ_FORMAT_S32, SND_PCM_FORMAT_S32, 4, "s32"},
	{TZ_FORMAT_S24_4, SND_PCM_FORMAT_S24, 4, "s24_4"},  {TZ_FORMAT_S24_3, SND_PCM_FORMAT_S24_3LE, 3, "s24_3"},
	{TZ_FORMAT_S16, SND_PCM_FORMAT_S16, 2, "s16"},      {TZ_FORMAT_S24_4_LEFT, SND_PCM_FORMAT_S32, 4, "s24_4_left"},
};
enum { CHOICES = sizeof choices / sizeof *choices };

static int choose_format(snd_pcm_t *handle, snd_pcm_hw_params_t *hardware, tz_sample_format wanted, const struct format_choice **chosen)
{
	for (size_t i = 0; i < CHOICES; i++) {
		const bool asked_for = wanted == TZ_FORMAT_AUTO || wanted == choices[i].format;
		if (asked_for && snd_pcm_hw_params_set_format(handle, hardware, choices[i].alsa) == 0) {
			*chosen = &choices[i];
			return 0;
		}
	}
	return -EINVAL;
}

static int choose_access(struct tz_pcm *pcm, snd_pcm_hw_params_t *hardware)
{
	static const struct {
		snd_pcm_access_t access;
		bool mapped, interleaved;
	} ways[] = {
		{SND_PCM_ACCESS_MMAP_INTERLEAVED, true, true},     {SND_PCM_ACCESS_MMAP_NONINTERLEAVED, true, false},
		{SND_PCM_ACCESS_MMAP_COMPLEX, true, false},        {SND_PCM_ACCESS_RW_INTERLEAVED, false, true},
		{SND_PCM_ACCESS_RW_NONINTERLEAVED, false, false},
	};
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		if (snd_pcm_hw_params_set_access(pcm->handle, hardware, ways[i].access) == 0) {
			pcm->mapped = ways[i].mapped;
			pcm->interleaved = ways[i].interleaved;
			return 0;
		}
	return -EINVAL;
}

/* What the device does offer, for the message. */
static int refuse_format(int error, snd_pcm_t *handle, snd_pcm_hw_params_t *hardware, char *why, size_t size)
{
	char offered[80] = "";
	for (size_t i = 0; i < CHOICES; i++)
		if (snd_pcm_hw_params_test_format(handle, hardware, choices[i].alsa) == 0)
			snprintf(offered + strlen(offered), sizeof offered - strlen(offered), "%s%s", offered[0] ? ", " : "", choices[i].name);
	return refuse(error, why, size, "it does not take this format; it takes %s", offered[0] ? offered : "none that is known here");
}

static int refuse_channels(int error, snd_pcm_hw_params_t *hardware, uint32_t wanted, char *why, size_t size)
{
	unsigned least = 0, most = 0;
	snd_pcm_hw_params_get_channels_min(hardware, &least);
	snd_pcm_hw_params_get_channels_max(hardware, &most);
	return refuse(error, why, size, "it does not do %u channels, but %u to %u", wanted, least, most);
}

static int choose_rate(snd_pcm_t *handle, snd_pcm_hw_params_t *hardware, const struct tz_pcm_wish *wish, uint32_t *rate, char *why, size_t size)
{
	unsigned near = wish->rate ? wish->rate : wish->near_rate, least = 0, most = 0;
	const unsigned wanted = near;
	snd_pcm_hw_params_get_rate_min(hardware, &least, NULL);
	snd_pcm_hw_params_get_rate_max(hardware, &most, NULL);
	const int error = snd_pcm_hw_params_set_rate_near(handle, hardware, &near, NULL);
	if (error < 0 || (wish->rate && near != wanted))
		return refuse(error < 0 ? error : -EINVAL, why, size, "it does not do %u Hz; its rates lie between %u and %u", wanted, least, most);
	*rate = near;
	return 0;
}

static int set_hardware(struct tz_pcm *pcm, const struct tz_pcm_wish *wish, struct tz_pcm_facts *facts, char *why, size_t size)
{
	snd_pcm_hw_params_t *hardware;
	snd_pcm_hw_params_alloca(&hardware);
	int error = snd_pcm_hw_params_any(pcm->handle, hardware);
	if (error < 0)
		return refuse(error, why, size, "it offers no configuration");
	/* Rates are changed by the node's own resampler, which follows the clocks as well. */
	snd_pcm_hw_params_set_rate_resample(pcm->handle, hardware, 0);
	if ((error = choose_access(pcm, hardware)) < 0)
		return refuse(error, why, size, "it offers no way to move samples");
	const struct format_choice *format = NULL;
	if ((error = choose_format(pcm->handle, hardware, wish->format, &format)) < 0)
		return refuse_format(error, pcm->handle, hardware, why, size);
	if ((error = snd_pcm_hw_params_set_channels(pcm->handle, hardware, wish->channels)) < 0)
		return refuse_channels(error, hardware, wish->channels, why, size);
	if ((error = choose_rate(pcm->handle, hardware, wish, &facts->rate, why, size)) < 0)
		return error;
	/* Periods are as long as asked for at the engine's rate. */
	snd_pcm_uframes_t period = (snd_pcm_uframes_t)((uint64_t)wish->period_frames * facts->rate / wish->near_rate);
	int direction = 0;
	if ((error = snd_pcm_hw_params_set_period_size_near(pcm->handle, hardware, &period, &direction)) < 0)
		return refuse(error, why, size, "it does not do periods near %u frames", wish->period_frames);
	snd_pcm_uframes_t buffer = period * wish->periods;
	if ((error = snd_pcm_hw_params_set_buffer_size_near(pcm->handle, hardware, &buffer)) < 0)
		return refuse(error, why, size, "it does not do %u periods of %lu frames", wish->periods, period);
	if ((error = snd_pcm_hw_params(pcm->handle, hardware)) < 0)
		return refuse(error, why, size, "it refuses %u Hz, %u channels, %s, periods of %lu, a buffer of %lu", facts->rate, wish->channels,
		              format->name, period, buffer);
	snd_pcm_hw_params_get_period_size(hardware, &period, &direction);
	snd_pcm_hw_params_get_buffer_size(hardware, &buffer);
	if (buffer < 2 * period)
		return refuse(-EINVAL, why, size, "its buffer of %lu frames does not hold two periods of %lu", buffer, period);
	facts->format = pcm->format = format->format;
	facts->mapped = pcm->mapped;
	facts->period_frames = (uint32_t)period;
	facts->buffer_frames = (uint32_t)buffer;
	pcm->sample_bytes = format->bytes;
	return 0;
}

static int set_software(const struct tz_pcm *pcm, const struct tz_pcm_facts *facts, char *why, size_t size)
{
	snd_pcm_sw_params_t *software;
	snd_pcm_uframes_t boundary;
	snd_pcm_sw_params_alloca(&software);
	int error = snd_pcm_sw_params_current(pcm->handle, software);
	if (error >= 0)
		error = snd_pcm_sw_params_get_boundary(software, &boundary);
	if (error >= 0) /* never by itself: tz_pcm_start() */
		error = snd_pcm_sw_params_set_start_threshold(pcm->handle, software, boundary);
	if (error >= 0)
		error = snd_pcm_sw_params_set_avail_min(pcm->handle, software, facts->period_frames);
	if (error >= 0)
		error = snd_pcm_sw_params(pcm->handle, software);
	return error < 0 ? refuse(error, why, size, "it refuses how it is to be woken") : 0;
}

int tz_pcm_open(const struct tz_pcm_wish *wish, struct tz_pcm **opened, struct tz_pcm_facts *facts, char *why, size_t size)
{
	struct tz_pcm *pcm = tz_allocate(sizeof *pcm);
	if (!pcm)
		return refuse(-ENOMEM, why, size, "no memory for it");
	pcm->channels = wish->channels;
	last_words[0] = '\0';
	snd_lib_error_set_local(keep_words);
	int error = snd_pcm_open(&pcm->handle, wish->device, wish->capture ? SND_PCM_STREAM_CAPTURE : SND_PCM_STREAM_PLAYBACK, SND_PCM_NONBLOCK);
	if (error < 0) {
		pcm->handle = NULL;
		refuse(error, why, size, "it can't be opened");
	}
	if (error >= 0)
		error = set_hardware(pcm, wish, facts, why, size);
	if (error >= 0)
		error = set_software(pcm, facts, why, size);
	if (error >= 0 && !pcm->mapped) {
		pcm->bounce_frames = facts->period_frames;
		pcm->bounce = tz_allocate_array((size_t)pcm->bounce_frames * pcm->channels, pcm->sample_bytes);
		error = pcm->bounce ? 0 : refuse(-ENOMEM, why, size, "no memory for it");
	}
	if (error < 0) {
		tz_pcm_close(pcm);
		return error;
	}
	*opened = pcm;
	return 0;
}

void tz_pcm_close(struct tz_pcm *pcm)
{
	if (pcm->handle)
		snd_pcm_close(pcm->handle);
	tz_free(pcm->bounce);
	tz_free(pcm);
}

/* ---- Running ---- */

int tz_pcm_prepare(struct tz_pcm *pcm)
{
	return snd_pcm_prepare(pcm->handle);
}

int tz_pcm_start(struct tz_pcm *pcm)
{
	return snd_pcm_start(pcm->handle);
}

int tz_pcm_wait(struct tz_pcm *pcm, int wake, int timeout_ms)
{
	struct pollfd descriptors[MOST_DESCRIPTORS + 1];
	const int count = snd_pcm_poll_descriptors(pcm->handle, descriptors, MOST_DESCRIPTORS);
	if (count < 0)
		return count;
	descriptors[count] = (struct pollfd){.fd = wake, .events = POLLIN};
	if (poll(descriptors, (nfds_t)count + 1, timeout_ms) < 0)
		return errno == EINTR ? 0 : -errno;
	unsigned short happened = 0;
	const int error = snd_pcm_poll_descriptors_revents(pcm->handle, descriptors, (unsigned)count, &happened);
	if (error < 0)
		return error;
	/* POLLERR is an xrun or a card that is gone: the next look tells which. */
	return (happened & (POLLIN | POLLOUT | POLLERR | POLLHUP | POLLNVAL)) ? 1 : 0;
}

int tz_pcm_look(struct tz_pcm *pcm, uint32_t *available, int64_t *delay)
{
	snd_pcm_sframes_t ready = 0, late = 0;
	const int error = snd_pcm_avail_delay(pcm->handle, &ready, &late);
	if (error < 0)
		return error;
	*available = ready > 0 ? (uint32_t)ready : 0;
	*delay = late;
	return 0;
}

/* Where a channel's samples lie from `frame` on, and how far apart. */
struct place {
	char *first;
	size_t step;
};

static struct place mapped_place(const snd_pcm_channel_area_t *area, snd_pcm_uframes_t frame)
{
	return (struct place){(char *)area->addr + (area->first + frame * area->step) / 8, area->step / 8};
}

static struct place bounced_place(const struct tz_pcm *pcm, uint32_t channel)
{
	if (pcm->interleaved)
		return (struct place){pcm->bounce + (size_t)channel * pcm->sample_bytes, (size_t)pcm->channels * pcm->sample_bytes};
	return (struct place){pcm->bounce + (size_t)channel * pcm->bounce_frames * pcm->sample_bytes, pcm->sample_bytes};
}

/* One stretch of memory that the card shows: at most `frames`; how many it was. */
static snd_pcm_sframes_t move_mapped(struct tz_pcm *pcm, const float *out, float *in, uint32_t stride, uint32_t frames, uint64_t *clipped)
{
	const snd_pcm_channel_area_t *areas;
	snd_pcm_uframes_t at, count = frames;
	const int error = snd_pcm_mmap_begin(pcm->handle, &areas, &at, &count);
	if (error < 0)
		return error;
	for (uint32_t c = 0; c < pcm->channels; c++) {
		const struct place place = mapped_place(&areas[c], at);
		if (out)
			*clipped += tz_samples_put(pcm->format, out + (size_t)c * stride, place.first, place.step, (uint32_t)count);
		else
			tz_samples_get(pcm->format, place.first, place.step, in + (size_t)c * stride, (uint32_t)count);
	}
	return snd_pcm_mmap_commit(pcm->handle, at, count);
}

static snd_pcm_sframes_t pass_bounce(struct tz_pcm *pcm, bool out, uint32_t frames)
{
	if (pcm->interleaved)
		return out ? snd_pcm_writei(pcm->handle, pcm->bounce, frames) : snd_pcm_readi(pcm->handle, pcm->bounce, frames);
	void *channels[MOST_CHANNELS];
	for (uint32_t c = 0; c < pcm->channels; c++)
		channels[c] = bounced_place(pcm, c).first;
	return out ? snd_pcm_writen(pcm->handle, channels, frames) : snd_pcm_readn(pcm->handle, channels, frames);
}

static snd_pcm_sframes_t move_bounced(struct tz_pcm *pcm, const float *out, float *in, uint32_t stride, uint32_t frames, uint64_t *clipped)
{
	const uint32_t count = frames < pcm->bounce_frames ? frames : pcm->bounce_frames;
	uint64_t beyond = 0;
	for (uint32_t c = 0; out && c < pcm->channels; c++) {
		const struct place place = bounced_place(pcm, c);
		beyond += tz_samples_put(pcm->format, out + (size_t)c * stride, place.first, place.step, count);
	}
	const snd_pcm_sframes_t moved = pass_bounce(pcm, out != NULL, count);
	for (uint32_t c = 0; in && moved > 0 && c < pcm->channels; c++) {
		const struct place place = bounced_place(pcm, c);
		tz_samples_get(pcm->format, place.first, place.step, in + (size_t)c * stride, (uint32_t)moved);
	}
	if (out && moved == (snd_pcm_sframes_t)count)
		*clipped += beyond;
	return moved;
}

/* A device that does not move what it said it would is tried again for so often, 1 ms apart. */
enum { TRIES = 50 };

static int move(struct tz_pcm *pcm, const float *out, float *in, uint32_t stride, uint32_t frames, uint64_t *clipped)
{
	for (uint32_t done = 0, tries = 0; done < frames;) {
		snd_pcm_sframes_t moved = pcm->mapped ? move_mapped(pcm, out ? out + done : NULL, in ? in + done : NULL, stride, frames - done, clipped)
		                                      : move_bounced(pcm, out ? out + done : NULL, in ? in + done : NULL, stride, frames - done, clipped);
		if (moved == -EAGAIN || moved == -EINTR)
			moved = 0;
		if (moved < 0)
			return (int)moved;
		done += (uint32_t)moved;
		if (moved == 0) {
			if (++tries == TRIES)
				return -EIO;
			poll(NULL, 0, 1);
		}
	}
	return 0;
}

int tz_pcm_write(struct tz_pcm *pcm, const float *planar, uint32_t stride, uint32_t frames, uint64_t *clipped)
{
	return move(pcm, planar, NULL, stride, frames, clipped);
}

int tz_pcm_read(struct tz_pcm *pcm, float *planar, uint32_t stride, uint32_t frames)
{
	return move(pcm, NULL, planar, stride, frames, NULL);
}
