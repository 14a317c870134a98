/* [both] A ring between two threads: every frame arrives once, in order, whatever the sizes of the pieces. */
#include "check.h"

#include "../ring.h"

#include <pthread.h>
#include <unistd.h>

enum { FRAMES = 2000000, PIECE = 500 };

static void *write_all(void *context)
{
	struct tz_ring *ring = context;
	float piece[2][PIECE];
	uint32_t next = 0, size = 1;
	while (next < FRAMES) {
		uint32_t count = next + size < FRAMES ? size : FRAMES - next;
		for (uint32_t i = 0; i < count; i++) {
			piece[0][i] = (float)(next + i); /* exact: below 2^24 */
			piece[1][i] = -(float)(next + i);
		}
		tz_ring_wait_space(ring, count, 1000);
		next += tz_ring_write(ring, piece[0], PIECE, count);
		size = size % PIECE + 1;
	}
	return NULL;
}

static void *push_slowly(void *ring)
{
	static const float piece[PIECE];
	const float *channels[] = {piece};
	for (int i = 0; i < 20; i++) {
		usleep(2000);
		tz_ring_push(ring, channels, PIECE);
	}
	return NULL;
}

static void frames_arrive_in_order(void)
{
	struct tz_ring *ring = tz_ring_new(2, 1000, 48000);
	pthread_t writer;
	CHECK(ring && pthread_create(&writer, NULL, write_all, ring) == 0);
	float left[PIECE], right[PIECE];
	float *channels[] = {left, right};
	uint32_t next = 0, size = PIECE;
	while (next < FRAMES) {
		uint32_t got = tz_ring_pull(ring, channels, size);
		for (uint32_t i = 0; i < got; i++)
			CHECK(left[i] == (float)(next + i) && right[i] == -(float)(next + i));
		next += got;
		size = size > 1 ? size - 1 : PIECE;
		tz_ring_nudge(ring);
	}
	pthread_join(writer, NULL);
	CHECK(tz_ring_frames_written(ring) == FRAMES && tz_ring_frames_read(ring) == FRAMES);
	tz_ring_release(ring);
}

enum { RESIZED_FRAMES = 400000 };

/* An outside that writes and resizes at random, while the audio side pulls. */
static void *write_and_resize(void *context)
{
	struct tz_ring *ring = context;
	float piece[PIECE];
	uint32_t next = 0, turn = 0;
	while (next < RESIZED_FRAMES) {
		uint32_t size = 1 + turn * 7919u % PIECE, count = next + size < RESIZED_FRAMES ? size : RESIZED_FRAMES - next;
		if (turn++ % 5 == 0)
			CHECK(tz_ring_resize(ring, 16u << turn % 9, true) == TZ_OK);
		for (uint32_t i = 0; i < count; i++)
			piece[i] = (float)(next + i);
		tz_ring_wait_space(ring, 1, 1000);
		next += tz_ring_write(ring, piece, PIECE, count);
	}
	return NULL;
}

static void a_writer_may_resize(void)
{
	struct tz_ring *ring = tz_ring_new(1, 100, 48000);
	pthread_t writer;
	CHECK(ring && pthread_create(&writer, NULL, write_and_resize, ring) == 0);
	float sound[PIECE], *channels[] = {sound};
	for (uint32_t next = 0, size = 1; next < RESIZED_FRAMES; size = size % PIECE + 1) {
		uint32_t got = tz_ring_pull(ring, channels, size);
		for (uint32_t i = 0; i < got; i++)
			CHECK(sound[i] == (float)(next + i));
		next += got;
		tz_ring_nudge(ring);
	}
	pthread_join(writer, NULL);
	CHECK(tz_ring_frames_written(ring) == RESIZED_FRAMES && tz_ring_frames_read(ring) == RESIZED_FRAMES);
	tz_ring_release(ring);
}

/* The audio side pushes; of what finds no room it tries again, so that all has to arrive. */
static void *push_all(void *context)
{
	struct tz_ring *ring = context;
	float piece[PIECE];
	const float *channels[] = {piece};
	for (uint32_t next = 0, size = 1; next < RESIZED_FRAMES; size = size % PIECE + 1) {
		uint32_t count = next + size < RESIZED_FRAMES ? size : RESIZED_FRAMES - next;
		for (uint32_t i = 0; i < count; i++)
			piece[i] = (float)(next + i);
		next += tz_ring_push(ring, channels, count);
		tz_ring_nudge(ring);
	}
	return NULL;
}

static void a_reader_may_resize(void)
{
	struct tz_ring *ring = tz_ring_new(1, 100, 48000);
	pthread_t writer;
	CHECK(ring && pthread_create(&writer, NULL, push_all, ring) == 0);
	float sound[PIECE];
	for (uint32_t next = 0, turn = 0; next < RESIZED_FRAMES; turn++) {
		if (turn % 5 == 0)
			CHECK(tz_ring_resize(ring, 16u << turn % 9, false) == TZ_OK); /* one may replace another that was not taken yet */
		uint32_t got = tz_ring_read(ring, sound, PIECE, 1 + turn * 7919u % PIECE);
		for (uint32_t i = 0; i < got; i++)
			CHECK(sound[i] == (float)(next + i));
		next += got;
	}
	pthread_join(writer, NULL);
	CHECK(tz_ring_frames_written(ring) == RESIZED_FRAMES && tz_ring_frames_read(ring) == RESIZED_FRAMES);
	tz_ring_release(ring);
}

static void what_is_in_a_resized_ring_counts(void)
{
	struct tz_ring *ring = tz_ring_new(1, 16, 48000);
	float in[64], out[64];
	for (uint32_t i = 0; i < 64; i++)
		in[i] = (float)i;
	CHECK(tz_ring_write(ring, in, 64, 64) == 16 && tz_ring_resize(ring, 32, true) == TZ_OK && tz_ring_capacity(ring) == 32);
	CHECK(tz_ring_write(ring, in + 16, 48, 48) == 32); /* the new one is empty, whatever is left in the old one */
	CHECK(tz_ring_resize(ring, 0, true) == TZ_NO_MEMORY && tz_ring_capacity(ring) == 32);
	CHECK(tz_ring_can_pull(ring, 48) && !tz_ring_can_pull(ring, 49));
	float *channels[] = {out};
	CHECK(tz_ring_pull(ring, channels, 40) == 40 && tz_ring_pull(ring, channels, 1) == 1 && out[0] == 40.0f);
	CHECK(tz_ring_write(ring, in, 64, 64) == 25); /* what was read of it is free again */
	tz_ring_release(ring);
}

static void what_is_missing_is_counted(void)
{
	struct tz_ring *ring = tz_ring_new(1, 100, 48000);
	float samples[200] = {0};
	float *channels[] = {samples};
	const float *given[] = {samples};
	CHECK(tz_ring_pull(ring, channels, 10) == 0 && tz_ring_frames_missed(ring) == 10);
	CHECK(tz_ring_push(ring, given, 200) == 128); /* 100 rounded up to a power of two */
	CHECK(tz_ring_frames_missed(ring) == 82);
	CHECK(tz_ring_wait_space(ring, 1, 10) == 0);
	CHECK(!tz_ring_can_push(ring, 1));
	tz_ring_close(ring);
	CHECK(tz_ring_can_push(ring, 1) && tz_ring_can_pull(ring, 1000));
	CHECK(tz_ring_push(ring, given, 1) == 0 && tz_ring_frames_missed(ring) == 82);
	tz_ring_release(ring);
}

/* Nobody nudges this reader: it has to look by itself. */
static void waiting_needs_no_nudge(void)
{
	struct tz_ring *ring = tz_ring_new(1, FRAMES, 48000);
	pthread_t writer;
	CHECK(ring && pthread_create(&writer, NULL, push_slowly, ring) == 0);
	CHECK(tz_ring_wait_frames(ring, 20 * PIECE, 60000) >= 20 * PIECE);
	pthread_join(writer, NULL);
	tz_ring_release(ring);
}

static void a_wake_is_never_lost(void)
{
	struct tz_ring *ring = tz_ring_new(1, 100, 1);
	tz_ring_wake(ring);
	CHECK(tz_ring_wait_frames(ring, 100, 3600000) == 0); /* came before the wait, which by itself would take 100 s */
	tz_ring_release(ring);
}

int main(void)
{
	frames_arrive_in_order();
	waiting_needs_no_nudge();
	a_wake_is_never_lost();
	a_writer_may_resize();
	a_reader_may_resize();
	what_is_in_a_resized_ring_counts();
	what_is_missing_is_counted();
	puts("ring: done");
	return 0;
}
