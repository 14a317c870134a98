/* [both] Cards beside an engine that steps, on ALSA's null device, whose clock is as fast as its reader: threads that come and go while frames
 * pass, commits make one or the other the clock, and somebody asks how they are. For the thread sanitizer above all. */
#include "check.h"

#include "../memory.h"

#include <string.h>

enum { ROUNDS = 60 };

static struct tz_card *begin_card(bool capture, struct tz_ring *ring)
{
	const struct tz_card_order order = {.capture = capture, .channels = 1, .follow = true, .engine_rate = RATE, .block_frames = BLOCK};
	struct tz_card *card = tz_card_new("null", &order, ring);
	CHECK(card && tz_card_start(card) == TZ_OK && tz_card_start(card) == TZ_OK);
	return card;
}

static void take_events(struct tz_engine *engine)
{
	struct tz_event events[64];
	while (tz_engine_events(engine, events, 64) == 64)
		;
}

static void commit_plan(struct tz_engine *engine, struct tz_node *source, struct tz_node *sink, struct tz_node *pacer)
{
	struct tz_node *nodes[] = {source, sink};
	struct tz_link *link = tz_link_new(true);
	const struct tz_route route = {.link = link, .source = 0, .target = 1};
	struct tz_plan *plan;
	CHECK(tz_plan_build(nodes, 2, &route, 1, BLOCK, &plan) == TZ_OK);
	struct tz_commit *commit = tz_commit_new(1, plan);
	CHECK(commit && tz_commit_pace(commit, pacer) == TZ_OK && tz_engine_submit(engine, commit) == TZ_OK);
	tz_link_release(link);
	take_events(engine);
}

static void look_at(struct tz_card *card)
{
	struct tz_card_status status;
	char words[16];
	tz_card_status(card, &status);
	CHECK(status.state <= TZ_CARD_ENDED && status.xruns < 1000000);
	CHECK(tz_card_message(card, words, sizeof words) == strlen(words) || strlen(words) == sizeof words - 1);
}

static void cards_come_and_go(tz_clock clock)
{
	struct tz_engine *engine;
	CHECK(tz_engine_new(RATE, BLOCK, clock, 0, &engine) == TZ_OK && tz_engine_start(engine) == TZ_OK);
	for (int round = 0; round < ROUNDS; round++) {
		const double unity = 0;
		struct tz_ring *heard = tz_ring_new(1, 4096, RATE), *played = tz_ring_new(1, 4096, RATE);
		struct tz_node *source = make_node("ring_source", 0, 1, &unity, heard), *sink = make_node("ring_output", 1, 0, &unity, played);
		struct tz_card *microphone = begin_card(true, heard), *speaker = begin_card(false, played);
		struct tz_node *const pacers[] = {source, sink, NULL};
		commit_plan(engine, source, sink, pacers[round % 3]);
		for (int i = 0; i < 5; i++) {
			if (clock == TZ_CLOCK_STEP)
				CHECK(tz_engine_step(engine, 3, 10000) == TZ_OK);
			look_at(microphone);
			look_at(speaker);
		}
		if (round % 2) { /* half of them are ended by whoever lets go of them last */
			tz_card_end(speaker, tz_ring_frames_written(played));
			tz_card_end(microphone, 0);
			CHECK(tz_card_join(speaker, 20000) && tz_card_join(microphone, 20000));
		}
		tz_card_release(speaker);
		tz_card_release(microphone);
		tz_node_release(source);
		tz_node_release(sink);
		tz_ring_release(heard);
		tz_ring_release(played);
	}
	tz_engine_stop(engine);
	tz_engine_release(engine);
}

static void a_card_that_is_not_there_says_so(void)
{
	struct tz_ring *ring = tz_ring_new(2, 4096, RATE);
	const struct tz_card_order order = {.channels = 2, .engine_rate = RATE, .block_frames = BLOCK};
	struct tz_card *card = tz_card_new("no_such_device", &order, ring);
	CHECK(card && tz_card_join(card, 0)); /* one that was never started is not waited for */
	CHECK(tz_card_start(card) == TZ_OK);
	char words[200] = "";
	for (int i = 0; i < 2000 && !words[0]; i++) {
		tz_card_join(card, 5);
		tz_card_message(card, words, sizeof words);
	}
	CHECK(strncmp(words, "no_such_device: it can't be opened", 34) == 0);
	tz_card_end(card, 0);
	CHECK(tz_card_join(card, 20000) && tz_ring_closed(ring));
	tz_card_release(card);
	tz_ring_release(ring);
}

static void memory_may_be_refused(void)
{
	struct tz_ring *ring = tz_ring_new(2, 4096, RATE);
	const struct tz_card_order order = {.channels = 2, .engine_rate = RATE, .block_frames = BLOCK};
	long n = 0;
	for (struct tz_card *card = NULL; !card; n++) {
		tz_fail_allocation(n);
		card = tz_card_new("null", &order, ring);
		tz_fail_allocation(-1);
		tz_card_release(card);
	}
	CHECK(n == 3);
	tz_ring_release(ring);
}

int main(void)
{
	a_card_that_is_not_there_says_so();
	memory_may_be_refused();
	cards_come_and_go(TZ_CLOCK_STEP);
	cards_come_and_go(TZ_CLOCK_INTERNAL);
	puts("card: done");
	return 0;
}
