/* [card] A sound card as the core has it: a thread of its own that opens the PCM, moves frames between it and the ring of a node, and tries
 * again where it fails. The audio thread never touches libasound: it meets the card in the ring alone, also where the card is its clock,
 * so that a driver or a sound server that hangs stops nobody but this thread. */
#ifndef TZ_CARD_H
#define TZ_CARD_H

#include "alsa_pcm.h"
#include "drift.h"
#include "resample.h"
#include "ring.h"

#include <pthread.h>
#include <stdatomic.h>

/* Told by the card's thread, read by anybody, relaxed: each value by itself is right, that is enough for showing. */
struct tz_card_counts {
	_Atomic int state;
	_Atomic uint32_t rate, period_frames, buffer_frames;
	_Atomic int format;
	_Atomic bool mapped;
	_Atomic uint64_t xruns, silent_frames, resyncs, clipped, losses, xrun_ns;
	_Atomic double ppm, fill_ms, latency_ms;
	_Atomic int64_t answered_ns; /* when the driver last did */
};

struct tz_card {
	atomic_uint references; /* the owner's and the thread's */
	struct tz_card_order order;
	char *device;
	struct tz_ring *ring;
	pthread_t thread;
	_Atomic bool started, gone;    /* gone: the thread has nothing left to do */
	_Atomic uint64_t length;       /* of a card that plays: the end, in frames of the ring; UINT64_MAX: none is in sight */
	int wake, bell;                /* eventfds: ends its waits; tells the owner */
	struct tz_card_counts counts;
	pthread_mutex_t words_lock;
	char words[320];

	/* the thread's alone */
	uint32_t busy;         /* times in a row that somebody else had the device */
	struct tz_drift drift; /* outlives an xrun and a card that was away: its crystal is the same */
};

/* One stretch of running, from a PCM that was just opened until it is lost. */
struct tz_stream {
	struct tz_card *card;
	struct tz_pcm *pcm;
	struct tz_pcm_facts facts;
	double ring_per_card;            /* frames of the ring for one of the card, by the nominal rates */
	struct tz_resampler *resampler;  /* playing: from the ring's rate to the card's; capturing: the other way */
	double resting_step;
	float *scratch;                  /* planar: a period on its way */
	uint32_t scratch_frames;
	bool in_step;                    /* the two clocks' store is where it should be, and sound passes */
	bool ever_in_step;
	int32_t fade_at, fade_frames;    /* after a hole the sound comes back in the middle of something; below 0: what the resampler still holds */
	uint64_t other_side;             /* what the audio thread had written or read when last seen to move */
	int64_t moved_ns, looked_ns;     /* when that was; when the card was looked at last */
	uint64_t moved_frames;           /* since it began, of the card */
	int64_t began_ns;
	uint64_t pending_silence;        /* frames of silence that count if the other side turns out to have been late only */
};

bool tz_card_ending(const struct tz_card *card);
void tz_card_runs(struct tz_card *card); /* told when its clock has begun to run */

/* Run until told to end (0) or the card is lost or has had an xrun (libasound's error). */
int tz_card_play(struct tz_stream *stream);
int tz_card_capture(struct tz_stream *stream);

/* ---- What playing and capturing have in common (card_stream.c) ---- */

int tz_stream_begin(struct tz_stream *stream, struct tz_card *card); /* what it needs for a PCM that is open; -ENOMEM */
void tz_stream_end(struct tz_stream *stream);
/* Notes what the audio thread has written or read; whether it moves: it did within the last quarter of a second. */
bool tz_stream_sees_move(struct tz_stream *stream, uint64_t other_side, int64_t now);
bool tz_stream_leads(const struct tz_stream *stream);
/* Where the engine's clock has it at that ring by now. False: it has no time, or stands. */
bool tz_stream_engine_frame(const struct tz_stream *stream, int64_t now, double *frame);
/* Follows the engine: `surplus` frames of the ring too many are stored. False: so many that only a new beginning helps. */
bool tz_stream_follow(struct tz_stream *stream, double surplus, int64_t now);
void tz_stream_lose_step(struct tz_stream *stream);
void tz_stream_gain_step(struct tz_stream *stream);
void tz_stream_fade(struct tz_stream *stream, uint32_t frames); /* the scratch's first frames, as far as a fade is due */
/* Between two looks: a card that is always ready would take the core for itself. */
void tz_stream_rest(const struct tz_stream *stream);
/* Counts a period. False: the card takes or gives them as fast as it is asked, so nobody should go by its clock. */
bool tz_stream_counts(struct tz_stream *stream, int64_t now);
void tz_stream_tell_pace(const struct tz_stream *stream, double frame, int64_t now);

#endif
