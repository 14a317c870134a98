/* [card] One opened PCM of libasound: what was asked for, what was got, and samples in and out. Errors are libasound's, negative. None of
 * this runs on the audio thread: plug-ins of libasound allocate, lock and, with a server that hangs, wait for ever. */
#ifndef TZ_ALSA_PCM_H
#define TZ_ALSA_PCM_H

#include "tonnetz_core.h"

struct tz_pcm;

struct tz_pcm_wish {
	const char *device;
	bool capture;
	uint32_t channels;
	uint32_t rate;         /* 0: `near_rate`, or what is nearest to it */
	uint32_t near_rate;
	tz_sample_format format; /* TZ_FORMAT_AUTO: the finest there is */
	uint32_t period_frames, periods; /* what is nearest to them */
};

struct tz_pcm_facts {
	uint32_t rate, period_frames, buffer_frames;
	tz_sample_format format;
	bool mapped; /* samples are written where the card reads them */
};

/* Opens without waiting and sets everything up; on failure `why` says in words what could not be had. */
int tz_pcm_open(const struct tz_pcm_wish *wish, struct tz_pcm **pcm, struct tz_pcm_facts *facts, char *why, size_t why_size);
void tz_pcm_close(struct tz_pcm *pcm);

int tz_pcm_prepare(struct tz_pcm *pcm);
int tz_pcm_start(struct tz_pcm *pcm);
/* Sleeps until a period can be moved (1), the eventfd `wake` rings (0, it stays rung), or the time is over (0). */
int tz_pcm_wait(struct tz_pcm *pcm, int wake, int timeout_ms);
/* Frames that can be moved now, and frames between this side and the loudspeaker or the microphone. */
int tz_pcm_look(struct tz_pcm *pcm, uint32_t *available, int64_t *delay);
/* All `frames`, of which tz_pcm_look found that there is room for them or that they are there. */
int tz_pcm_write(struct tz_pcm *pcm, const float *planar, uint32_t stride, uint32_t frames, uint64_t *clipped);
int tz_pcm_read(struct tz_pcm *pcm, float *planar, uint32_t stride, uint32_t frames);

#endif
