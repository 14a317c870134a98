/* [control] A core that is refused memory, at every single allocation of whatever it is asked to make. It says so, leaves nothing behind (the
 * leak checker looks), and what was there goes on as if nothing had been asked: what a running engine gives is the same bits. */
#include "any_node.h"

#include "../memory.h"

#include <sys/resource.h>

/* Lets the first, then the second, … allocation of an attempt fail, until it has all that it asks for. Gives how many that were. */
static long starve(tz_status (*attempt)(void *), void *context)
{
	for (long n = 0;; n++) {
		tz_fail_allocation(n);
		const tz_status status = attempt(context);
		const long made = tz_fail_allocation(-1);
		if (made <= n) {
			CHECK(status == TZ_OK);
			return made;
		}
		CHECK(status == TZ_NO_MEMORY);
	}
}

/* ---- Things by themselves ---- */

struct birth {
	const struct tz_node_type *type;
	struct settings_values *values;
	uint32_t channels[2 * MOST_PORTS], input_count, output_count;
	struct tz_ring *ring;
};

static tz_status new_node(void *context)
{
	const struct birth *birth = context;
	struct tz_node *node = NULL;
	const tz_status status = tz_node_new(birth->type->name, RATE, BLOCK, birth->values->records, birth->input_count, birth->output_count,
	                                     birth->channels, birth->values->values, birth->ring, &node);
	CHECK((node != NULL) == (status == TZ_OK));
	tz_node_release(node);
	return status;
}

static void try_type(const struct tz_node_type *type, enum how how)
{
	static struct settings_values values;
	values.records = some_records(type, how);
	fill(type, how, NULL, &values);
	uint32_t outputs[MOST_PORTS];
	struct birth birth = {.type = type, .values = &values};
	const uint32_t width = 1 + below(4);
	const struct tz_shape shape = shape_for(type, &values, width, BLOCK, birth.channels, outputs);
	birth.input_count = shape.input_count;
	birth.output_count = shape.output_count;
	memcpy(birth.channels + shape.input_count, outputs, shape.output_count * sizeof *outputs);
	if (type->flags & TZ_USES_RING)
		birth.ring = tz_ring_new(width, BLOCK, RATE);
	CHECK(starve(new_node, &birth) >= 4); /* the object, its channels, settings and state at least */
	tz_ring_release(birth.ring);
}

static void every_node_type_is_survived(void)
{
	uint32_t tried = 0;
	for (const struct tz_node_type *const *type = __start_tz_node_types; type < __stop_tz_node_types; type++, tried++)
		for (enum how how = INITIAL; how <= ANYHOW; how++)
			try_type(*type, how);
	CHECK(tried >= 10);
}

static tz_status new_ring(void *unused)
{
	(void)unused;
	struct tz_ring *ring = tz_ring_new(2, 1000, RATE);
	tz_ring_release(ring);
	return ring ? TZ_OK : TZ_NO_MEMORY;
}

static tz_status new_link(void *unused)
{
	(void)unused;
	struct tz_link *link = tz_link_new(true);
	tz_link_release(link);
	return link ? TZ_OK : TZ_NO_MEMORY;
}

static tz_status new_engine(void *unused)
{
	(void)unused;
	struct tz_engine *engine = NULL;
	const tz_status status = tz_engine_new(RATE, BLOCK, TZ_CLOCK_FREEWHEEL, 0, &engine);
	CHECK((engine != NULL) == (status == TZ_OK));
	tz_engine_release(engine);
	return status;
}

static void no_more_files_is_no_memory(void)
{
	struct rlimit limit, none;
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK(new_engine(NULL) == TZ_NO_MEMORY); /* its eventfd is a file */
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(new_engine(NULL) == TZ_OK);
}

/* ---- A transaction while it plays ---- */

enum { BLOCKS = 40, ACTS_AT_FIRST = 8, DELAY_MS = 4 };

/* source → old → gain → sink. A transaction puts another delay in the place of the old one, with its state, in the midst of its fades. */
struct scene {
	struct tz_engine *engine;
	struct tz_ring *given, *taken;
	struct tz_node *source, *old, *gain, *sink;
	struct tz_link *into_old, *out_of_old, *last;
	struct tz_node *successor;
	struct tz_link *into_successor, *out_of_successor;
	uint64_t commits;
};

static const struct tz_node_type *type_called(const char *name)
{
	for (const struct tz_node_type *const *type = __start_tz_node_types; type < __stop_tz_node_types; type++)
		if (strcmp((*type)->name, name) == 0)
			return *type;
	CHECK(!"a type of that name");
	return NULL;
}

/* Mono, and as it is at first but for its first parameter, if it has any. */
static tz_status make_playing(const char *name, double first_value, uint32_t inputs, uint32_t outputs, struct tz_ring *ring, struct tz_node **node)
{
	static struct settings_values values;
	const uint32_t channels[] = {1, 1, 1};
	fill(type_called(name), INITIAL, NULL, &values);
	values.values[0] = first_value;
	return tz_node_new(name, RATE, BLOCK, 0, inputs, outputs, channels, values.values, ring, node);
}

static tz_status put_acts(struct scene *scene, struct tz_commit *commit)
{
	static struct settings_values values;
	fill(type_called("gain"), INITIAL, NULL, &values);
	values.values[0] = -6.0;
	tz_status status = tz_commit_follow(commit, scene->into_successor, scene->into_old);
	if (status == TZ_OK)
		status = tz_commit_fade(commit, scene->out_of_successor, true, 300, 0);
	if (status == TZ_OK)
		status = tz_commit_fade(commit, scene->out_of_old, false, 300, 0);
	if (status == TZ_OK)
		status = tz_commit_transfer(commit, scene->old, scene->successor);
	for (uint32_t i = 0; i < 2 * ACTS_AT_FIRST && status == TZ_OK; i++) /* so many that room for them is made twice */
		status = tz_commit_set(commit, scene->gain, values.values, (int32_t)(100 * i));
	return status;
}

static tz_status submit(struct scene *scene)
{
	struct tz_node *nodes[] = {scene->source, scene->old, scene->gain, scene->sink, scene->successor};
	const struct tz_route routes[] = {
		{.link = scene->into_old, .source = 0, .target = 1, .fading = true},
		{.link = scene->out_of_old, .source = 1, .target = 2, .fading = true},
		{.link = scene->last, .source = 2, .target = 3},
		{.link = scene->into_successor, .source = 0, .target = 4, .fading = true},
		{.link = scene->out_of_successor, .source = 4, .target = 2, .fading = true},
	};
	const bool first = !scene->successor;
	struct tz_plan *plan = NULL;
	tz_status status = tz_plan_build(nodes, first ? 4 : 5, routes, first ? 3 : 5, BLOCK, &plan);
	CHECK((plan != NULL) == (status == TZ_OK));
	if (status != TZ_OK)
		return status;
	struct tz_commit *commit = tz_commit_new(scene->commits + 1, plan);
	if (!commit) {
		tz_plan_release(plan);
		return TZ_NO_MEMORY;
	}
	status = first ? tz_commit_fade(commit, scene->into_old, true, 1000, 0) : put_acts(scene, commit);
	if (status == TZ_OK)
		status = tz_engine_submit(scene->engine, commit);
	if (status == TZ_OK)
		scene->commits++;
	else
		tz_commit_release(commit);
	return status;
}

static void drop_successor(struct scene *scene)
{
	tz_node_release(scene->successor);
	tz_link_release(scene->into_successor);
	tz_link_release(scene->out_of_successor);
	scene->successor = NULL;
	scene->into_successor = scene->out_of_successor = NULL;
}

static tz_status put_successor(void *context)
{
	struct scene *scene = context;
	tz_status status = make_playing("delay", DELAY_MS, 1, 1, NULL, &scene->successor);
	scene->into_successor = tz_link_new(false);
	scene->out_of_successor = tz_link_new(false);
	if (status == TZ_OK && scene->into_successor && scene->out_of_successor)
		status = submit(scene);
	else
		status = TZ_NO_MEMORY;
	if (status != TZ_OK)
		drop_successor(scene);
	return status;
}

/* One commit, each act of which is refused once for every allocation and then given again: what it has so far stays in it. */
static tz_status retune(void *context)
{
	struct scene *scene = context;
	static struct settings_values values;
	fill(type_called("gain"), INITIAL, NULL, &values);
	struct tz_commit *commit = tz_commit_new(scene->commits + 1, NULL);
	CHECK(commit);
	for (uint32_t i = 0; i < 2 * ACTS_AT_FIRST + 1; i++) {
		values.values[0] = -1.0 * i;
		for (long n = 0;; n++) {
			tz_fail_allocation(n);
			const tz_status status = tz_commit_set(commit, scene->gain, values.values, 50);
			if (tz_fail_allocation(-1) <= n) {
				CHECK(status == TZ_OK);
				break;
			}
			CHECK(status == TZ_NO_MEMORY);
		}
	}
	scene->commits++;
	return tz_engine_submit(scene->engine, commit);
}

static struct scene make_scene(void)
{
	struct scene scene = {.given = tz_ring_new(1, BLOCKS * BLOCK, RATE), .taken = tz_ring_new(1, BLOCKS * BLOCK, RATE)};
	CHECK(scene.given && scene.taken);
	CHECK(tz_engine_new(RATE, BLOCK, TZ_CLOCK_STEP, 0, &scene.engine) == TZ_OK);
	CHECK(make_playing("ring_source", 0.0, 0, 1, scene.given, &scene.source) == TZ_OK);
	CHECK(make_playing("delay", DELAY_MS, 1, 1, NULL, &scene.old) == TZ_OK);
	CHECK(make_playing("gain", 0.0, 2, 1, NULL, &scene.gain) == TZ_OK);
	CHECK(make_playing("ring_sink", 0.0, 1, 0, scene.taken, &scene.sink) == TZ_OK);
	scene.into_old = tz_link_new(false);
	scene.out_of_old = tz_link_new(true);
	scene.last = tz_link_new(true);
	CHECK(scene.into_old && scene.out_of_old && scene.last);
	CHECK(submit(&scene) == TZ_OK);
	float noise[BLOCKS * BLOCK];
	chance = 7;
	for (uint32_t i = 0; i < BLOCKS * BLOCK; i++)
		noise[i] = (float)between(-1.0, 1.0);
	CHECK(tz_ring_write(scene.given, noise, BLOCKS * BLOCK, BLOCKS * BLOCK) == BLOCKS * BLOCK);
	return scene;
}

static void end_scene(struct scene *scene)
{
	drop_successor(scene);
	tz_engine_release(scene->engine);
	struct tz_node *nodes[] = {scene->source, scene->old, scene->gain, scene->sink};
	struct tz_link *links[] = {scene->into_old, scene->out_of_old, scene->last};
	for (uint32_t i = 0; i < 4; i++)
		tz_node_release(nodes[i]);
	for (uint32_t i = 0; i < 3; i++)
		tz_link_release(links[i]);
	tz_ring_release(scene->given);
	tz_ring_release(scene->taken);
}

static void step(struct scene *scene, uint32_t blocks)
{
	struct tz_event events[8];
	CHECK(tz_engine_step(scene->engine, blocks, 1000) == TZ_OK);
	tz_engine_events(scene->engine, events, 8);
}

/* What is heard of BLOCKS blocks, with the transactions of above at fixed places, each starved before it comes through or not. */
static void play(bool starved, float *heard)
{
	struct scene scene = make_scene();
	step(&scene, 10); /* in the midst of the fade into the old delay */
	if (starved)
		CHECK(starve(put_successor, &scene) > 30);
	else
		CHECK(put_successor(&scene) == TZ_OK);
	step(&scene, 20);
	CHECK(retune(&scene) == TZ_OK);
	step(&scene, 10);
	CHECK(tz_ring_read(scene.taken, heard, BLOCKS * BLOCK, BLOCKS * BLOCK) == BLOCKS * BLOCK);
	end_scene(&scene);
}

static void a_refused_transaction_is_not_heard(void)
{
	static float calm[BLOCKS * BLOCK], starved[BLOCKS * BLOCK];
	play(false, calm);
	play(true, starved);
	CHECK(memcmp(calm, starved, sizeof calm) == 0);
	float loudest = 0.0f;
	for (uint32_t i = 35 * BLOCK; i < BLOCKS * BLOCK; i++)
		loudest = fmaxf(loudest, fabsf(calm[i]));
	CHECK(loudest > 0.01f && loudest < 0.5f); /* the last of the new gains, -16 dB, is heard */
}

int main(void)
{
	every_node_type_is_survived();
	CHECK(starve(new_ring, NULL) == 2);
	CHECK(starve(new_link, NULL) == 1);
	CHECK(starve(new_engine, NULL) >= 1);
	no_more_files_is_no_memory();
	a_refused_transaction_is_not_heard();
	puts("no memory: done");
	return 0;
}
