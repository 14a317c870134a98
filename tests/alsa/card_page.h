/* The first page of a virtual card's file. The plugin maps it, and virtual_card.py reads this very text to know where everything is,
 * so a field is named here alone. After the page come the slots: what was played in each frame of the card's recent past. */
#ifndef CARD_PAGE_H
#define CARD_PAGE_H

#include <alsa/asoundlib.h>
#include <stdint.h>

/* For Python: begin */

#define CARD_MAGIC 0x7475736b617274
#define CARD_PAGE_BYTES 4096
#define CARD_MIXER_TOP 120    /* the highest step of a volume */
#define CARD_MIXER_STEP 50    /* hundredths of a dB from step to step; the highest is 0 dB */

/* Device time: `device_ns` at `anchor_ns` of CLOCK_MONOTONIC, and `speed` times as fast since. */
struct card_clock {
	int64_t anchor_ns;
	double device_ns;
	double speed;
};

/* One direction, as the plugin tells it. Counts start with the card, frames with the stream. */
struct card_stream {
	uint32_t opens, starts, xruns;
	uint32_t running;
	uint32_t rate, channels, access, format;    /* the last two in ALSA's numbers */
	uint32_t period_frames, buffer_frames;
	uint64_t start_frame;     /* device frame at which the stream began */
	uint64_t frames;          /* how many the client has written or read since it was prepared */
};

/* A volume in steps and a switch, two channels each. */
struct card_fader {
	int32_t volume[2];
	int32_t on[2];
};

struct card_page {
	uint64_t magic;

	/* What the card can do: fixed from the beginning. */
	uint64_t formats;    /* a bit for each of ALSA's numbers */
	uint32_t rate_min, rate_max, channels_min, channels_max;
	uint32_t period_bytes_min, period_bytes_max, buffer_bytes_min, buffer_bytes_max, periods_min, periods_max;
	uint32_t mmap;       /* whether clients may write into the buffer themselves */
	uint32_t stepped;    /* device time is `frame`, which the test moves; otherwise a clock */
	uint32_t slots;

	/* The clock: the test fills the other one of the two, then turns to it. */
	uint32_t clock;
	struct card_clock clocks[2];
	uint64_t frame;

	/* Faults, as the test sets them. */
	int32_t open_error;    /* the error that opening gives, 0 for none */
	uint32_t unplugged;    /* how often the card was pulled out; who was there before is gone for good */
	uint32_t frozen;       /* every call waits */

	struct card_stream streams[2];    /* playback, capture */
	struct card_fader faders[3];      /* playback, capture, and one that tells no decibels and has no switch */
};

/* For Python: end */

/* Frame f is in slot f % slots, behind f + 1 if anything was played in it: `channels_max` samples of full scale 1. */
struct card_slot {
	uint64_t stamp;
	double samples[];
};

struct card {
	struct card_page *page;
	int file;
	uint32_t unplugged;    /* the count when this was opened */
};

/* The card's file as an asound.conf names it, in `file`; NULL, and a message, where it does not. */
const char *card_file(snd_config_t *conf);

/* Maps a card's file. 0, or -ENODEV if there is none, or what the test has set as the error of opening. */
int card_open(struct card *card, const char *path);
void card_close(struct card *card);

/* Waits while the card is frozen; then whether it is still there. */
int card_there(const struct card *card);

struct card_slot *card_slot(const struct card *card, uint64_t frame);

/* The device's frame now, at a rate. */
uint64_t card_frame(const struct card_page *page, uint32_t rate);

/* When it will be at a frame, in ns of CLOCK_MONOTONIC; INT64_MAX if no clock says. */
int64_t card_time(const struct card_page *page, uint64_t frame, uint32_t rate);

int64_t card_now(void);

#endif
