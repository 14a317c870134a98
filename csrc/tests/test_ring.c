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
	what_is_missing_is_counted();
	puts("ring: done");
	return 0;
}
