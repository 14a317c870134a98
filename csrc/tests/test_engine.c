/* [both] An engine under fire: plans exchanged, faded and retuned as fast as they can be made while the audio thread runs. What comes
 * out of the sink must be a sum of what the plans in force say, and nothing may leak, race or be used after it was freed. */
#include "check.h"

#include <math.h>
#include <string.h>
#include <time.h>

enum { PLANS = 3000 };

struct scene {
	struct tz_engine *engine;
	struct tz_ring *source_ring, *sink_ring;
	struct tz_node *source, *sink;
	struct tz_link *link;
};

static const double unity[] = {0.0, 0.0};

static struct scene make_scene(tz_clock clock)
{
	struct scene scene;
	CHECK(tz_engine_new(RATE, BLOCK, clock, 0, &scene.engine) == TZ_OK);
	scene.source_ring = tz_ring_new(1, RATE, RATE);
	scene.sink_ring = tz_ring_new(1, RATE, RATE);
	CHECK(scene.source_ring && scene.sink_ring);
	scene.source = make_node("ring_source", 0, 1, unity, scene.source_ring);
	scene.sink = make_node("ring_sink", 1, 0, unity, scene.sink_ring);
	scene.link = tz_link_new(true);
	CHECK(scene.link);
	return scene;
}

static void end_scene(struct scene *scene)
{
	tz_engine_release(scene->engine);
	tz_link_release(scene->link);
	tz_node_release(scene->source);
	tz_node_release(scene->sink);
	tz_ring_release(scene->source_ring);
	tz_ring_release(scene->sink_ring);
}

static tz_status submit(struct scene *scene, uint64_t id, bool connected, bool fading)
{
	struct tz_node *nodes[] = {scene->sink, scene->source}; /* against the flow: the order is the plan's business */
	struct tz_route route = {.link = scene->link, .source = 1, .target = 0, .fading = fading};
	struct tz_plan *plan = NULL;
	tz_status status = tz_plan_build(nodes, 2, &route, connected, BLOCK, &plan);
	if (status != TZ_OK)
		return status;
	struct tz_commit *commit = tz_commit_new(id, plan);
	if (!commit) {
		tz_plan_release(plan);
		return TZ_NO_MEMORY;
	}
	status = tz_commit_set(commit, scene->source, unity, 100);
	if (status == TZ_OK && fading)
		status = tz_commit_fade(commit, scene->link, id % 2, (uint32_t)(id % 500), 0);
	if (status == TZ_OK)
		status = tz_engine_submit(scene->engine, commit);
	if (status != TZ_OK)
		tz_commit_release(commit);
	return status;
}

static uint32_t take_events(struct scene *scene, uint64_t *last_id, uint64_t *last_frame)
{
	struct tz_event events[64];
	uint32_t count = tz_engine_events(scene->engine, events, 64), adopted = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (events[i].kind != TZ_EVENT_ADOPTED)
			continue;
		CHECK(events[i].id == *last_id + 1); /* in order, none lost, none twice */
		CHECK(events[i].frame >= *last_frame && events[i].frame % BLOCK == 0);
		*last_id = events[i].id;
		*last_frame = events[i].frame;
		adopted++;
	}
	return adopted;
}

static void plans_are_exchanged_while_it_runs(void)
{
	struct scene scene = make_scene(TZ_CLOCK_FREEWHEEL);
	tz_ring_close(scene.source_ring); /* nobody plays and nobody records: nobody is waited for */
	tz_ring_close(scene.sink_ring);
	CHECK(tz_engine_start(scene.engine) == TZ_OK);
	uint64_t last_id = 0, last_frame = 0;
	uint32_t adopted = 0;
	for (uint64_t id = 1; id <= PLANS;) {
		tz_status status = submit(&scene, id, id % 3 != 0, id % 4 == 0);
		CHECK(status == TZ_OK || status == TZ_BUSY);
		id += status == TZ_OK;
		adopted += take_events(&scene, &last_id, &last_frame);
		if (id % 1000 == 0) { /* the thread comes and goes, commits do not notice */
			CHECK(tz_engine_stop(scene.engine) == TZ_OK);
			CHECK(tz_engine_start(scene.engine) == TZ_OK);
		}
	}
	CHECK(tz_engine_stop(scene.engine) == TZ_OK); /* what is still waiting is adopted by hand */
	while (adopted < PLANS) {
		uint32_t more = take_events(&scene, &last_id, &last_frame);
		CHECK(more > 0);
		adopted += more;
	}
	end_scene(&scene);
}

/* Another link takes the place of the scene's, in the middle of its fade. */
static void exchange_link(struct scene *scene, uint64_t id)
{
	struct tz_node *nodes[] = {scene->source, scene->sink};
	struct tz_link *fresh = tz_link_new(true);
	CHECK(fresh);
	struct tz_route route = {.link = fresh, .source = 0, .target = 1, .fading = true};
	struct tz_plan *plan = NULL;
	CHECK(tz_plan_build(nodes, 2, &route, 1, BLOCK, &plan) == TZ_OK);
	struct tz_commit *commit = tz_commit_new(id, plan);
	CHECK(commit);
	CHECK(tz_commit_follow(commit, fresh, scene->link) == TZ_OK);
	CHECK(tz_engine_submit(scene->engine, commit) == TZ_OK);
	tz_link_release(scene->link);
	scene->link = fresh;
}

static void a_fade_is_a_raised_cosine(bool exchanged)
{
	struct scene scene = make_scene(TZ_CLOCK_STEP);
	float ones[10 * BLOCK], heard[10 * BLOCK];
	for (uint32_t i = 0; i < 10 * BLOCK; i++)
		ones[i] = 1.0f;
	CHECK(tz_ring_write(scene.source_ring, ones, 10 * BLOCK, 10 * BLOCK) == 10 * BLOCK);
	tz_link_release(scene.link);
	scene.link = tz_link_new(false);
	CHECK(submit(&scene, 301, true, true) == TZ_OK); /* odd: up; 301 frames */
	CHECK(tz_engine_step(scene.engine, 1, 1000) == TZ_OK);
	if (exchanged)
		exchange_link(&scene, 302);
	CHECK(tz_engine_step(scene.engine, 9, 1000) == TZ_OK);
	CHECK(tz_engine_step(scene.engine, 1, 10) == TZ_STARVED);
	CHECK(tz_ring_read(scene.sink_ring, heard, 10 * BLOCK, 10 * BLOCK) == 10 * BLOCK);
	for (uint32_t i = 0; i < 10 * BLOCK; i++) {
		double expected = i + 1 >= 301 ? 1.0 : 0.5 - 0.5 * cos(3.14159265358979 * (i + 1) / 301.0);
		CHECK(fabs(heard[i] - expected) < 1e-6);
	}
	end_scene(&scene);
}

/* A stop comes while the engine waits for a recorder, whose ring is full: what it has no room for is played after the next start. */
static void a_stop_loses_nothing(void)
{
	struct scene scene = make_scene(TZ_CLOCK_FREEWHEEL);
	tz_ring_close(scene.source_ring);
	CHECK(submit(&scene, 1, true, false) == TZ_OK);
	CHECK(tz_engine_start(scene.engine) == TZ_OK);
	while (tz_ring_frames_written(scene.sink_ring) + BLOCK <= 65536) /* RATE, rounded up */
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	CHECK(tz_engine_stop(scene.engine) == TZ_OK);
	CHECK(tz_ring_frames_missed(scene.sink_ring) == 0);
	end_scene(&scene);
}

static void nonsense_is_refused(void)
{
	struct scene scene = make_scene(TZ_CLOCK_STEP);
	struct tz_node *node = NULL, *loop[] = {scene.sink};
	struct tz_plan *plan = NULL;
	const uint32_t channels[] = {1, 0};
	CHECK(tz_node_new("no_such_type", RATE, BLOCK, 0, 0, 1, channels, unity, NULL, &node) == TZ_NO_SUCH_TYPE);
	CHECK(tz_node_new("ring_sink", RATE, BLOCK, 0, 1, 0, channels, unity, NULL, &node) == TZ_BAD_ARGUMENT);
	CHECK(tz_node_new("null_output", RATE, BLOCK, 0, 1, 1, channels, unity, NULL, &node) == TZ_BAD_ARGUMENT);
	struct tz_route wrong = {.link = scene.link, .source = 0, .target = 0};
	CHECK(tz_plan_build(loop, 1, &wrong, 1, BLOCK, &plan) == TZ_BAD_ARGUMENT); /* a sink has no output */
	CHECK(tz_plan_build(loop, 1, NULL, 0, 2 * BLOCK, &plan) == TZ_BAD_ARGUMENT);
	CHECK(strlen(tz_status_text(TZ_STARVED)) > 0 && plan == NULL && node == NULL);
	end_scene(&scene);
}

struct dated {
	struct tz_commit *commit;
	uint64_t id, due;
};

static struct dated submit_dated(struct scene *scene, uint64_t id, uint64_t due)
{
	struct tz_commit *commit = tz_commit_new(id, NULL);
	CHECK(commit && tz_commit_set(commit, scene->source, unity, 100) == TZ_OK);
	tz_commit_at(commit, due);
	CHECK(tz_engine_submit(scene->engine, commit) == TZ_OK);
	return (struct dated){commit, id, due};
}

/* Each is adopted at the first boundary at or after its frame, those without a date before it; what is taken back never is. */
static void commits_wait_for_their_frames(void)
{
	struct scene scene = make_scene(TZ_CLOCK_STEP);
	tz_ring_close(scene.source_ring);
	tz_ring_close(scene.sink_ring);
	struct tz_event told[8];
	submit_dated(&scene, 1, 3 * BLOCK);
	struct dated back = submit_dated(&scene, 2, 3 * BLOCK + 1), never = submit_dated(&scene, 3, 4 * BLOCK);
	submit_dated(&scene, 4, 0);
	CHECK(tz_engine_events(scene.engine, told, 8) == 1 && told[0].id == 4 && told[0].frame == 0);
	CHECK(tz_commit_withdraw(never.commit) && tz_commit_withdraw(back.commit) && !tz_commit_withdraw(back.commit));
	submit_dated(&scene, 5, 3 * BLOCK + 1);
	submit_dated(&scene, 6, 1000 * BLOCK); /* released with the engine */
	CHECK(tz_engine_step(scene.engine, 8, 1000) == TZ_OK);
	CHECK(tz_engine_events(scene.engine, told, 8) == 2);
	CHECK(told[0].id == 1 && told[0].frame == 3 * BLOCK && told[1].id == 5 && told[1].frame == 4 * BLOCK);
	end_scene(&scene);
}

/* Some are taken back, the last first, while the thread may be taking the first. Each comes to pass or is taken back, never both. */
static void dated_commits_are_taken_back_while_it_runs(void)
{
	struct scene scene = make_scene(TZ_CLOCK_FREEWHEEL);
	tz_ring_close(scene.source_ring);
	tz_ring_close(scene.sink_ring);
	CHECK(tz_engine_start(scene.engine) == TZ_OK);
	struct tz_engine_status now;
	uint64_t id = 0, adopted = 0, kept = 0;
	for (uint32_t round = 0; round < 2000; round++) {
		struct dated row[4];
		tz_engine_status(scene.engine, &now);
		for (uint32_t i = 0; i < 4; i++)
			row[i] = submit_dated(&scene, ++id, now.frame + (round % 5 + i) * BLOCK);
		uint32_t certain = 4;
		while (certain > 0 && tz_commit_withdraw(row[certain - 1].commit))
			certain--;
		kept += certain;
		const uint64_t past = now.frame + 16 * BLOCK;
		uint32_t seen = 0;
		do { /* until all frames are past: those taken back have come back by then, and are freed here */
			struct tz_event told[8];
			tz_engine_status(scene.engine, &now);
			uint32_t count = tz_engine_events(scene.engine, told, 8);
			for (uint32_t i = 0; i < count; i++, seen++) {
				CHECK(told[i].kind == TZ_EVENT_ADOPTED && told[i].id == row[seen].id);
				CHECK(told[i].frame >= row[seen].due && told[i].frame % BLOCK == 0);
			}
			adopted += count;
		} while (seen < certain || now.frame < past);
	}
	CHECK(tz_engine_stop(scene.engine) == TZ_OK);
	CHECK(adopted == kept && kept < id);
	end_scene(&scene);
}

/* Whoever looks takes it from nobody. */
static void the_load_of_the_slowest_block_stays_for_a_while(void)
{
	struct scene scene = make_scene(TZ_CLOCK_STEP);
	tz_ring_close(scene.source_ring);
	tz_ring_close(scene.sink_ring);
	struct tz_engine_status first, again;
	CHECK(tz_engine_step(scene.engine, 100, 1000) == TZ_OK);
	tz_engine_status(scene.engine, &first);
	tz_engine_status(scene.engine, &again);
	CHECK(first.load_maximum > 0 && first.load_maximum == again.load_maximum);
	CHECK(tz_engine_frame(scene.engine) == 100 * BLOCK);
	CHECK(tz_engine_step(scene.engine, 924, 1000) == TZ_OK);
	tz_engine_status(scene.engine, &again);
	CHECK(again.load_maximum >= first.load_maximum);
	end_scene(&scene);
}

int main(void)
{
	the_load_of_the_slowest_block_stays_for_a_while();
	commits_wait_for_their_frames();
	dated_commits_are_taken_back_while_it_runs();
	a_fade_is_a_raised_cosine(false);
	a_fade_is_a_raised_cosine(true);
	a_stop_loses_nothing();
	nonsense_is_refused();
	plans_are_exchanged_while_it_runs();
	puts("engine: done");
	return 0;
}
