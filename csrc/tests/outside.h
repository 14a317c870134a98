/* Who sits at the other end of a ring in test_torture.c: threads that count into it, check what was counted, or drop what comes. */
#ifndef OUTSIDE_H
#define OUTSIDE_H

#include "any_node.h"

#include <pthread.h>
#include <time.h>

enum { RING_FRAMES = 16 * BLOCK, PIECE = 100, WRAP = 1 << 22 /* what a float still counts exactly */ };

static void nap(long microseconds)
{
	nanosleep(&(struct timespec){.tv_nsec = microseconds * 1000}, NULL);
}

struct outside {
	struct tz_ring *ring;
	pthread_t thread;
	uint32_t first, next; /* of a reader: what it heard begins and would go on with */
	bool heard;
};

/* Counts into the ring until it is closed. */
static void *count_in(void *context)
{
	struct outside *outside = context;
	float piece[PIECE];
	for (uint32_t next = 0; !tz_ring_closed(outside->ring);) {
		for (uint32_t i = 0; i < PIECE; i++)
			piece[i] = (float)((next + i) % WRAP);
		tz_ring_wait_space(outside->ring, PIECE, 20);
		next = (next + tz_ring_write(outside->ring, piece, PIECE, PIECE)) % WRAP;
	}
	return NULL;
}

/* Takes out what there is until the ring is closed and empty. */
static uint32_t take_out(struct outside *outside, float *piece)
{
	for (;;) {
		const bool over = tz_ring_closed(outside->ring); /* asked first: what came before the end is there now */
		const uint32_t got = tz_ring_read(outside->ring, piece, PIECE, PIECE);
		if (got || over)
			return got;
		tz_ring_wait_frames(outside->ring, PIECE, 20);
	}
}

static void *check_count(void *context)
{
	struct outside *outside = context;
	float piece[PIECE];
	uint32_t got, count = 0;
	while ((got = take_out(outside, piece)) > 0) {
		if (!outside->heard)
			outside->first = outside->next = (uint32_t)piece[0];
		outside->heard = true;
		for (uint32_t i = 0; i < got; i++) {
			CHECK(piece[i] == (float)outside->next);
			outside->next = (outside->next + 1) % WRAP;
		}
		if (++count % 50 == 0)
			nap(5000); /* long enough for the ring to be full, and for a stop to come meanwhile */
	}
	return NULL;
}

static void *drop_all(void *context)
{
	float piece[PIECE];
	while (take_out(context, piece) > 0)
		;
	return NULL;
}

static struct outside *sit_down(void *(*work)(void *))
{
	struct outside *outside = calloc(1, sizeof *outside);
	CHECK(outside);
	outside->ring = tz_ring_new(1, RING_FRAMES, RATE);
	CHECK(outside->ring && pthread_create(&outside->thread, NULL, work, outside) == 0);
	return outside;
}

/* What the ring still holds is read to the end. */
static void get_up(struct outside *outside)
{
	tz_ring_close(outside->ring);
	pthread_join(outside->thread, NULL);
	tz_ring_release(outside->ring);
}

#endif
