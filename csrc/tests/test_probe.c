/* [both] Probes come, move and go while blocks run: what they see is what was played, nobody hears that they look, and nothing leaks. */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

enum { BLOCKS = 40, FRAMES = BLOCKS * BLOCK, FADE = 48 };

struct bench {
	struct tz_engine *engine;
	struct tz_ring *in, *out;
	struct tz_node *source, *sink;
	struct tz_link *link;
	uint64_t commits;
};

static const double unity[] = {0.0, 0.0};

static void take_back(struct bench *bench)
{
	struct tz_event events[64];
	while (tz_engine_events(bench->engine, events, 64) == 64)
		;
}

static void submit(struct bench *bench, struct tz_commit *commit)
{
	tz_status status;
	while ((status = tz_engine_submit(bench->engine, commit)) == TZ_BUSY) { /* as many as there is room for are on their way */
		take_back(bench);
		sched_yield();
	}
	CHECK(status == TZ_OK);
}

static struct tz_commit *commit_of(struct bench *bench, struct tz_plan *plan)
{
	struct tz_commit *commit = tz_commit_new(++bench->commits, plan);
	CHECK(commit);
	return commit;
}

static void play_through(struct bench *bench, struct tz_node *source)
{
	struct tz_node *nodes[] = {source, bench->sink};
	const struct tz_route route = {.link = bench->link, .source = 0, .target = 1};
	struct tz_plan *plan = NULL;
	CHECK(tz_plan_build(nodes, 2, &route, 1, BLOCK, &plan) == TZ_OK);
	submit(bench, commit_of(bench, plan));
}

static struct bench make_bench(tz_clock clock, float *sound)
{
	struct bench bench = {0};
	CHECK(tz_engine_new(RATE, BLOCK, clock, 0, &bench.engine) == TZ_OK);
	bench.in = tz_ring_new(1, FRAMES, RATE);
	bench.out = tz_ring_new(1, FRAMES, RATE);
	CHECK(bench.in && bench.out);
	for (int i = 0; i < FRAMES; i++)
		sound[i] = (float)(i % 997) / 997.0f - 0.5f;
	CHECK(tz_ring_write(bench.in, sound, FRAMES, FRAMES) == FRAMES);
	tz_ring_close(bench.in);
	bench.source = make_node("ring_source", 0, 1, unity, bench.in);
	bench.sink = make_node("ring_sink", 1, 0, unity, bench.out);
	bench.link = tz_link_new(true);
	CHECK(bench.link);
	play_through(&bench, bench.source);
	return bench;
}

static void end_bench(struct bench *bench)
{
	tz_engine_release(bench->engine);
	tz_link_release(bench->link);
	tz_node_release(bench->source);
	tz_node_release(bench->sink);
	tz_ring_release(bench->in);
	tz_ring_release(bench->out);
}

static void step(struct bench *bench, uint32_t blocks)
{
	CHECK(tz_engine_step(bench->engine, blocks, 1000) == TZ_OK);
	take_back(bench);
}

static void probe(struct bench *bench, struct tz_probe *probe, struct tz_node *from, struct tz_node *to)
{
	struct tz_commit *commit = commit_of(bench, NULL);
	CHECK(tz_commit_probe(commit, probe, from, to) == TZ_OK);
	submit(bench, commit);
}

static void test_a_tap_keeps_the_newest(void)
{
	float sound[FRAMES], heard[FRAMES];
	struct bench bench = make_bench(TZ_CLOCK_STEP, sound);
	struct tz_probe *tap = tz_tap_new(false, 0, 1, 4 * BLOCK), *other = tz_tap_new(true, 0, 1, 4 * BLOCK);
	CHECK(tap && other);
	uint64_t begin, end;
	tz_tap_span(tap, &begin, &end);
	CHECK(begin == 0 && end == 0);
	step(&bench, 2);
	probe(&bench, tap, NULL, bench.source);
	probe(&bench, other, NULL, bench.sink);
	step(&bench, 3);
	tz_tap_span(tap, &begin, &end);
	CHECK(begin == 2 * BLOCK && end == 5 * BLOCK);
	CHECK(tz_tap_read(tap, begin, heard, FRAMES, 3 * BLOCK));
	CHECK(memcmp(heard, sound + begin, 3 * BLOCK * sizeof *heard) == 0);
	CHECK(tz_tap_read(other, begin, heard, FRAMES, 3 * BLOCK));
	CHECK(memcmp(heard, sound + begin, 3 * BLOCK * sizeof *heard) == 0);
	step(&bench, 20);
	tz_tap_span(tap, &begin, &end);
	CHECK(end == 25 * BLOCK && begin == 21 * BLOCK);
	CHECK(tz_tap_read(tap, begin, heard, FRAMES, 4 * BLOCK));
	CHECK(memcmp(heard, sound + begin, 4 * BLOCK * sizeof *heard) == 0);
	CHECK(!tz_tap_read(tap, begin - 1, heard, FRAMES, 8) && !tz_tap_read(tap, end - 7, heard, FRAMES, 8));
	/* away and back: what it had does not go on */
	probe(&bench, tap, NULL, NULL);
	step(&bench, 1);
	probe(&bench, tap, NULL, bench.source);
	step(&bench, 1);
	tz_tap_span(tap, &begin, &end);
	CHECK(begin == 26 * BLOCK && end == 27 * BLOCK);
	probe(&bench, tap, NULL, NULL);
	probe(&bench, tap, NULL, NULL); /* it is gone already */
	probe(&bench, other, NULL, NULL);
	CHECK(tz_ring_read(bench.out, heard, FRAMES, FRAMES) == 27 * BLOCK);
	CHECK(memcmp(heard, sound, 27 * BLOCK * sizeof *heard) == 0); /* nobody hears it */
	step(&bench, 1);
	tz_probe_release(tap);
	tz_probe_release(other);
	end_bench(&bench);
}

static void test_an_injection_is_added_and_leaves_nothing_behind(void)
{
	float sound[FRAMES], heard[FRAMES], added[10 * BLOCK];
	for (int i = 0; i < 10 * BLOCK; i++)
		added[i] = 0.25f;
	struct bench bench = make_bench(TZ_CLOCK_STEP, sound);
	struct tz_probe *injection = tz_injection_new(0, 1, added, 10 * BLOCK, FADE, BLOCK);
	struct tz_probe *second = tz_injection_new(0, 1, added, 10 * BLOCK, FADE, BLOCK);
	struct tz_probe *tap = tz_tap_new(true, 0, 1, FRAMES);
	CHECK(injection && second && tap);
	probe(&bench, tap, NULL, bench.sink);
	step(&bench, 4);
	probe(&bench, injection, NULL, bench.sink);
	probe(&bench, second, NULL, bench.sink);
	step(&bench, 5);
	tz_injection_stop(second);
	step(&bench, 11);
	CHECK(tz_injection_left(injection) == 0 && tz_injection_left(second) == 0);
	CHECK(tz_ring_read(bench.out, heard, FRAMES, FRAMES) == 20 * BLOCK);
	CHECK(memcmp(heard, sound, 4 * BLOCK * sizeof *heard) == 0);
	CHECK(memcmp(heard + 14 * BLOCK, sound + 14 * BLOCK, 6 * BLOCK * sizeof *heard) == 0);
	float before = 0.0f;
	for (int i = 4 * BLOCK; i < 14 * BLOCK; i++) {
		const float more = heard[i] - sound[i], move = more - before;
		before = more;
		CHECK(more > -1e-6f && more < 0.5f + 1e-6f);
		CHECK(move < 0.02f && move > -0.02f); /* two raised cosines of 48 frames rise by 2 * 0.25 * pi / 2 / 48 at most */
		if (i >= 4 * BLOCK + FADE && i < 9 * BLOCK)
			CHECK(more > 0.5f - 1e-6f);
		if (i >= 9 * BLOCK + FADE && i < 13 * BLOCK - FADE)
			CHECK(more > 0.25f - 1e-6f && more < 0.25f + 1e-6f);
	}
	float seen[20 * BLOCK];
	CHECK(tz_tap_read(tap, 0, seen, 20 * BLOCK, 20 * BLOCK));
	CHECK(memcmp(seen, heard, sizeof seen) == 0); /* a tap at the input hears what was added */
	probe(&bench, injection, NULL, NULL);
	probe(&bench, second, NULL, NULL);
	probe(&bench, tap, NULL, NULL);
	step(&bench, 1);
	tz_probe_release(injection);
	tz_probe_release(second);
	tz_probe_release(tap);
	end_bench(&bench);
}

static void test_a_trace_has_a_line_for_each_block(void)
{
	float sound[FRAMES];
	struct bench bench = make_bench(TZ_CLOCK_STEP, sound);
	struct tz_probe *trace = tz_trace_new(3);
	struct tz_trace_line lines[4];
	CHECK(trace && tz_trace_read(trace, 0, lines, 4) == 0);
	step(&bench, 1);
	probe(&bench, trace, NULL, bench.source);
	step(&bench, 5);
	CHECK(tz_trace_read(trace, 0, lines, 4) == 3);
	for (int i = 0; i < 3; i++) {
		float peak = 0.0f;
		for (int k = 0; k < BLOCK; k++) {
			const float sample = sound[(i + 1) * BLOCK + k], magnitude = sample < 0 ? -sample : sample;
			peak = magnitude > peak ? magnitude : peak;
		}
		CHECK(lines[i].frame == (uint64_t)(i + 1) * BLOCK && lines[i].in_peak == 0.0f && lines[i].faults == 0);
		CHECK(lines[i].out_peak == peak);
		CHECK(i == 0 || lines[i].begin_ns >= lines[i - 1].begin_ns + lines[i - 1].busy_ns);
	}
	CHECK(tz_trace_read(trace, 2, lines, 4) == 1 && lines[0].frame == 3 * BLOCK);
	probe(&bench, trace, NULL, NULL);
	step(&bench, 1);
	tz_probe_release(trace);
	end_bench(&bench);
}

static void test_a_probe_follows_to_the_next_object(void)
{
	float sound[FRAMES];
	struct bench bench = make_bench(TZ_CLOCK_STEP, sound);
	struct tz_ring *silence = tz_ring_new(1, BLOCK, RATE);
	CHECK(silence);
	tz_ring_close(silence);
	struct tz_node *other = make_node("ring_source", 0, 1, unity, silence);
	struct tz_probe *tap = tz_tap_new(false, 0, 1, FRAMES);
	uint64_t begin, end;
	float heard[FRAMES];
	probe(&bench, tap, NULL, bench.source);
	step(&bench, 2);
	play_through(&bench, other);
	probe(&bench, tap, bench.source, other);
	probe(&bench, tap, bench.source, other); /* it is there already */
	step(&bench, 2);
	tz_tap_span(tap, &begin, &end);
	CHECK(begin == 0 && end == 4 * BLOCK);
	CHECK(tz_tap_read(tap, 0, heard, FRAMES, 4 * BLOCK));
	for (int i = 0; i < 4 * BLOCK; i++)
		CHECK(heard[i] == (i < 2 * BLOCK ? sound[i] : 0.0f));
	/* its node leaves the plan and is let go of: the probe holds it until it goes itself */
	play_through(&bench, bench.source);
	tz_node_release(other);
	tz_ring_release(silence);
	step(&bench, 2);
	tz_tap_span(tap, &begin, &end);
	CHECK(end == 4 * BLOCK);
	probe(&bench, tap, NULL, NULL);
	step(&bench, 1);
	tz_probe_release(tap);
	end_bench(&bench);
}

/* ---- While the audio thread runs ---- */

struct reading {
	struct tz_probe *tap;
	_Atomic bool stop;
	uint64_t read, overtaken;
};

/* Whatever it reads must be a stretch of what is played: sawteeth whose steps are all alike. */
static void *read_on(void *argument)
{
	struct reading *reading = argument;
	float heard[2 * BLOCK];
	while (!atomic_load(&reading->stop)) {
		uint64_t begin, end;
		tz_tap_span(reading->tap, &begin, &end);
		if (end - begin < 2 * BLOCK)
			continue;
		if (!tz_tap_read(reading->tap, begin, heard, 2 * BLOCK, 2 * BLOCK)) {
			reading->overtaken++;
			continue;
		}
		for (int i = 1; i < 2 * BLOCK; i++) {
			const float step = heard[i] - heard[i - 1];
			CHECK((step > 0.0009f && step < 0.0011f) || step < -0.9f || heard[i] == 0.0f);
		}
		reading->read++;
	}
	return NULL;
}

static void test_reading_while_blocks_run(void)
{
	float sound[FRAMES];
	struct bench bench = make_bench(TZ_CLOCK_FREEWHEEL, sound);
	struct reading reading = {.tap = tz_tap_new(false, 0, 1, 2 * BLOCK)};
	CHECK(reading.tap);
	pthread_t reader;
	CHECK(pthread_create(&reader, NULL, read_on, &reading) == 0);
	tz_ring_close(bench.out);
	CHECK(tz_engine_start(bench.engine) == TZ_OK);
	for (int i = 0; i < 400; i++) {
		struct tz_probe *trace = tz_trace_new(4), *injection = tz_injection_new(0, 1, sound, 3 * BLOCK, 16, BLOCK);
		CHECK(trace && injection);
		probe(&bench, reading.tap, NULL, i % 8 == 7 ? NULL : bench.source);
		probe(&bench, trace, NULL, bench.source);
		probe(&bench, injection, NULL, bench.sink);
		struct tz_trace_line lines[4];
		tz_trace_read(trace, 0, lines, 4);
		tz_injection_stop(injection);
		probe(&bench, injection, NULL, NULL);
		probe(&bench, trace, NULL, NULL);
		tz_probe_release(trace);
		tz_probe_release(injection);
		take_back(&bench);
	}
	probe(&bench, reading.tap, NULL, NULL);
	CHECK(tz_engine_stop(bench.engine) == TZ_OK);
	atomic_store(&reading.stop, true);
	CHECK(pthread_join(reader, NULL) == 0);
	tz_probe_release(reading.tap);
	end_bench(&bench);
}

int main(void)
{
	test_a_tap_keeps_the_newest();
	test_an_injection_is_added_and_leaves_nothing_behind();
	test_a_trace_has_a_line_for_each_block();
	test_a_probe_follows_to_the_next_object();
	test_reading_while_blocks_run();
	puts("done");
	return 0;
}
