/* [both] A life as hard as it gets: one thread commits plans in which nodes, links and rings come, go and hand over their state, one starts, stops
 * and steps the engine meanwhile, and every ring has its own at the other end. One way through all of it is left alone but for its end, which is
 * swapped for another recorder again and again: what these hear, one after the other, is all that went in, in order, nothing lost or twice.
 * The rest is for the sanitizers to judge. tests/csrc/test_programs.py takes what keeps threads apart away, and expects them to see it. */
#include "outside.h"

#include <stdatomic.h>

enum { COMMITS = 3000, SLOTS = 10, TWINS = 4 };

/* ---- What is on stage ---- */

struct slot {
	struct tz_node *node; /* NULL: empty */
	struct outside *outside;
	const struct tz_node_type *type;
	struct settings_values structure;
	struct tz_shape shape;
	uint32_t inputs[MOST_PORTS], outputs[MOST_PORTS], records;
	struct {
		struct tz_link *link; /* NULL: not connected */
		uint32_t source;
	} wires[MOST_PORTS];
};

struct stage {
	struct tz_engine *engine;
	struct slot kept_source, kept_gain, kept_sink; /* the way that is left alone, and its end */
	struct slot slots[SLOTS];                      /* the wild rest; wires lead from lower to higher ones */
	struct outside *leaving;                       /* the recorder whose end was committed as number `leaving_with` */
	uint64_t leaving_with;
	uint32_t expected; /* what the next recorder has to begin with */
	struct tz_node *twins[TWINS]; /* into which states are being copied */
	uint64_t commits, adopted, frame;
	uint32_t swaps, transfers, copies, let_go;
};

#define COPYING UINT64_MAX /* the number of a commit that copies states: it is told when it is done, and others overtake it */

/* ANYHOW, but for the structure: delay lines of a minute are no test of plans. */
static const double *some_values(const struct slot *slot)
{
	static struct settings_values values;
	values.records = slot->structure.records;
	fill(slot->type, ANYHOW, &slot->structure, &values);
	return values.values;
}

static void fill_slot(struct slot *slot, const struct tz_node_type *type, enum how how)
{
	*slot = (struct slot){.type = type};
	slot->structure.records = some_records(type, INITIAL);
	fill(type, INITIAL, NULL, &slot->structure);
	const bool rings = type->flags & TZ_USES_RING;
	slot->shape = shape_for(type, &slot->structure, rings ? 1 : 1 + below(2), BLOCK, slot->inputs, slot->outputs);
	if (rings)
		slot->outside = sit_down(type->ports->direction == TZ_OUTPUT ? count_in : how == INITIAL ? check_count : drop_all);
	uint32_t channels[2 * MOST_PORTS];
	memcpy(channels, slot->inputs, slot->shape.input_count * sizeof *channels);
	memcpy(channels + slot->shape.input_count, slot->outputs, slot->shape.output_count * sizeof *channels);
	CHECK(tz_node_new(type->name, RATE, BLOCK, slot->structure.records, slot->shape.input_count, slot->shape.output_count, channels,
	                  how == INITIAL ? slot->structure.values : some_values(slot), rings ? slot->outside->ring : NULL, &slot->node) == TZ_OK);
}

/* A node object like the slot's, which nobody plays. */
static struct tz_node *twin_of(const struct slot *slot)
{
	struct tz_node *twin = NULL;
	uint32_t channels[2 * MOST_PORTS];
	memcpy(channels, slot->inputs, slot->shape.input_count * sizeof *channels);
	memcpy(channels + slot->shape.input_count, slot->outputs, slot->shape.output_count * sizeof *channels);
	CHECK(tz_node_new(slot->type->name, RATE, BLOCK, slot->structure.records, slot->shape.input_count, slot->shape.output_count, channels,
	                  some_values(slot), NULL, &twin) == TZ_OK);
	return twin;
}

static const struct tz_node_type *some_type(void)
{
	return __start_tz_node_types[below((uint32_t)(__stop_tz_node_types - __start_tz_node_types))];
}

static const struct tz_node_type *type_called(const char *name)
{
	const struct tz_node_type *const *type = __start_tz_node_types;
	while (strcmp((*type)->name, name) != 0)
		CHECK(++type < __stop_tz_node_types);
	return *type;
}

/* ---- Commits ---- */

static struct tz_plan *build(struct stage *stage)
{
	struct tz_node *nodes[SLOTS + 3] = {stage->kept_source.node, stage->kept_gain.node, stage->kept_sink.node};
	struct tz_route routes[SLOTS * MOST_PORTS + 2];
	uint32_t place[SLOTS], node_count = 3, route_count = 2;
	routes[0] = (struct tz_route){.link = stage->kept_gain.wires[0].link, .source = 0, .target = 1};
	routes[1] = (struct tz_route){.link = stage->kept_sink.wires[0].link, .source = 1, .target = 2};
	for (uint32_t s = 0; s < SLOTS; s++) {
		struct slot *slot = &stage->slots[s];
		if (!slot->node)
			continue;
		nodes[place[s] = node_count++] = slot->node;
		for (uint32_t p = 0; p < slot->shape.input_count; p++)
			if (slot->wires[p].link) {
				const uint32_t source = slot->wires[p].source; /* SLOTS: the kept way, which may be listened to */
				routes[route_count++] = (struct tz_route){.link = slot->wires[p].link, .source = source == SLOTS ? 1 : place[source],
				                                          .target = place[s], .target_port = p, .fading = true};
			}
	}
	struct tz_plan *plan = NULL;
	CHECK(tz_plan_build(nodes, node_count, routes, route_count, BLOCK, &plan) == TZ_OK);
	return plan;
}

/* All that was copied is there by now, and is read. */
static void read_twins(struct stage *stage)
{
	for (uint32_t t = 0; t < TWINS && stage->twins[t]; t++) {
		struct tz_state_field fields[TZ_MOST_FIELDS];
		const uint32_t count = tz_node_state(stage->twins[t], fields, TZ_MOST_FIELDS);
		for (uint32_t f = 0; f < count; f++) {
			void *cells = malloc((size_t)fields[f].rows * fields[f].columns * 8 + 1);
			CHECK(cells);
			tz_node_state_read(stage->twins[t], f, cells);
			free(cells);
		}
		tz_node_release(stage->twins[t]);
		stage->twins[t] = NULL;
		stage->copies++;
	}
}

static void take_events(struct stage *stage)
{
	struct tz_event events[64];
	const uint32_t count = tz_engine_events(stage->engine, events, 64);
	for (uint32_t i = 0; i < count; i++) {
		if (events[i].kind != TZ_EVENT_ADOPTED)
			continue;
		if (events[i].id == COPYING) {
			read_twins(stage);
			continue;
		}
		CHECK(events[i].id == stage->adopted + 1); /* in order, none lost, none twice */
		CHECK(events[i].frame >= stage->frame && events[i].frame % BLOCK == 0);
		stage->adopted = events[i].id;
		stage->frame = events[i].frame;
	}
	if (stage->leaving && stage->adopted >= stage->leaving_with) {
		CHECK(tz_ring_frames_missed(stage->leaving->ring) == 0);
		get_up(stage->leaving);
		CHECK(!stage->leaving->heard || stage->leaving->first == stage->expected);
		stage->expected = stage->leaving->heard ? stage->leaving->next : stage->expected;
		free(stage->leaving);
		stage->leaving = NULL;
	}
}

static void submit(struct stage *stage, struct tz_commit *commit)
{
	tz_status status;
	while ((status = tz_engine_submit(stage->engine, commit)) == TZ_BUSY)
		take_events(stage);
	CHECK(status == TZ_OK);
}

static struct tz_commit *begin(struct stage *stage, bool planned)
{
	struct tz_commit *commit = tz_commit_new(++stage->commits, planned ? build(stage) : NULL);
	CHECK(commit);
	return commit;
}

/* What has left the stage belongs to the plans and commits alone from now on. A player or recorder may still be at work in the running one. */
static void drop(struct slot *slot)
{
	for (uint32_t p = 0; p < MOST_PORTS; p++)
		tz_link_release(slot->wires[p].link);
	tz_node_release(slot->node);
	if (slot->outside) {
		get_up(slot->outside);
		free(slot->outside);
	}
	slot->node = NULL;
}

static void connect(struct stage *stage, uint32_t target)
{
	struct slot *slot = &stage->slots[target];
	for (uint32_t p = 0; p < slot->shape.input_count; p++) {
		uint32_t source = below(target + 1);
		source = source == target ? SLOTS : source;
		if (source != SLOTS && (!stage->slots[source].node || !stage->slots[source].shape.output_count))
			continue;
		slot->wires[p].source = source;
		slot->wires[p].link = tz_link_new(below(2));
		CHECK(slot->wires[p].link);
	}
}

/* Nobody hears this slot any more. */
static void disconnect_from(struct stage *stage, uint32_t source)
{
	for (uint32_t s = source + 1; s < SLOTS; s++)
		for (uint32_t p = 0; p < MOST_PORTS; p++)
			if (stage->slots[s].wires[p].source == source) {
				tz_link_release(stage->slots[s].wires[p].link);
				stage->slots[s].wires[p].link = NULL;
			}
}

/* Something else in a slot: nothing, another type, or another object of the type, which takes the state over. */
static void change_slot(struct stage *stage)
{
	const uint32_t number = below(SLOTS);
	struct slot *slot = &stage->slots[number], old = *slot;
	const bool heir = old.node && old.type->transfer && below(3);
	disconnect_from(stage, number);
	*slot = (struct slot){0};
	if (heir || below(4)) {
		fill_slot(slot, heir ? old.type : some_type(), ANYHOW);
		connect(stage, number);
	}
	struct tz_commit *commit = begin(stage, true);
	if (heir) {
		CHECK(tz_commit_transfer(commit, old.node, slot->node) == TZ_OK);
		stage->transfers++;
	}
	if (heir && old.wires[0].link && slot->wires[0].link)
		CHECK(tz_commit_follow(commit, slot->wires[0].link, old.wires[0].link) == TZ_OK);
	submit(stage, commit);
	drop(&old);
}

/* New settings and turning fades; the plan may stay as it is. */
static void retune(struct stage *stage)
{
	struct tz_commit *commit = begin(stage, below(2));
	CHECK(tz_commit_set(commit, stage->kept_gain.node, stage->kept_gain.structure.values, 500) == TZ_OK);
	for (uint32_t n = below(6); n > 0; n--) {
		struct slot *slot = &stage->slots[below(SLOTS)];
		if (!slot->node)
			continue;
		CHECK(tz_commit_set(commit, slot->node, some_values(slot), (int32_t)below(1000) - 1) == TZ_OK);
		struct tz_link *link = slot->wires[0].link;
		const struct tz_drain drain = {below(1000), below(10000), below(1000)};
		if (link)
			CHECK((below(4) ? tz_commit_fade(commit, link, below(2), below(1000), below(1000)) : tz_commit_drain(commit, link, &drain)) == TZ_OK);
		stage->let_go += link && tz_link_let_go(link) > 0;
	}
	submit(stage, commit);
}

/* The states of some nodes, as they are at one boundary. */
static void copy_states(struct stage *stage)
{
	if (stage->twins[0])
		return;
	struct tz_commit *commit = tz_commit_new(COPYING, NULL);
	CHECK(commit);
	for (uint32_t s = 0, t = 0; s < SLOTS && t < TWINS; s++) {
		const struct slot *slot = &stage->slots[s];
		if (!slot->node || slot->outside || tz_node_state_size(slot->node) == 0)
			continue;
		stage->twins[t] = twin_of(slot);
		CHECK(tz_commit_copy(commit, slot->node, stage->twins[t++]) == TZ_OK);
	}
	if (stage->twins[0])
		submit(stage, commit);
	else
		tz_commit_release(commit);
}

/* Another recorder at the end of the kept way, from one block to the next. */
static void swap_recorder(struct stage *stage)
{
	if (stage->leaving)
		return;
	struct slot old = stage->kept_sink;
	fill_slot(&stage->kept_sink, old.type, INITIAL);
	stage->kept_sink.wires[0].link = old.wires[0].link;
	struct tz_commit *commit = begin(stage, true);
	stage->leaving = old.outside;
	stage->leaving_with = stage->commits;
	submit(stage, commit);
	tz_node_release(old.node);
	stage->swaps++;
}

/* What a monitor asks while all of it goes on. */
static void look(struct stage *stage)
{
	float peak[8], square[8];
	struct tz_cost cost;
	struct tz_engine_status status;
	tz_engine_meter(stage->engine, below(2));
	tz_engine_status(stage->engine, &status);
	CHECK(status.frame % BLOCK == 0);
	const struct slot *slot = &stage->slots[below(SLOTS)];
	if (slot->node) {
		tz_node_tag(slot->node, below(100));
		tz_meters(&slot->node, 1, peak, square, 8);
		tz_node_cost(slot->node, &cost);
	}
}

/* ---- The engine comes and goes ---- */

static atomic_bool over;

static void *run(void *context)
{
	struct tz_engine *engine = context;
	while (!atomic_load(&over)) {
		while (tz_engine_start(engine) == TZ_BUSY) /* a commit is being carried out by hand */
			nap(10);
		nap(2000);
		CHECK(tz_engine_stop(engine) == TZ_OK);
		for (int i = 0; i < 3; i++)
			tz_engine_step(engine, 2, 100);
		nap(100);
	}
	return NULL;
}

int main(void)
{
	struct stage stage = {0};
	CHECK(tz_engine_new(RATE, BLOCK, TZ_CLOCK_FREEWHEEL, 0, &stage.engine) == TZ_OK);
	fill_slot(&stage.kept_source, type_called("ring_source"), INITIAL);
	fill_slot(&stage.kept_gain, type_called("gain"), INITIAL);
	fill_slot(&stage.kept_sink, type_called("ring_sink"), INITIAL);
	stage.kept_gain.wires[0].link = tz_link_new(true);
	stage.kept_sink.wires[0].link = tz_link_new(true);
	tz_ring_wait_frames(stage.kept_source.outside->ring, BLOCK, 5000); /* a player that is late would be counted, and heard */
	submit(&stage, begin(&stage, true));
	pthread_t runner;
	CHECK(pthread_create(&runner, NULL, run, stage.engine) == 0);
	while (stage.commits < COMMITS) {
		const uint32_t what = below(20);
		if (what < 8)
			change_slot(&stage);
		else if (what < 18)
			retune(&stage);
		else
			swap_recorder(&stage);
		copy_states(&stage);
		look(&stage);
		take_events(&stage);
	}
	atomic_store(&over, true);
	pthread_join(runner, NULL);
	swap_recorder(&stage);
	while (stage.adopted < stage.commits || stage.twins[0])
		take_events(&stage);
	CHECK(!stage.leaving);
	for (uint32_t s = 0; s < SLOTS; s++)
		drop(&stage.slots[s]);
	tz_engine_release(stage.engine);
	drop(&stage.kept_source);
	drop(&stage.kept_gain);
	drop(&stage.kept_sink);
	CHECK(stage.swaps > 30 && stage.transfers > 100 && stage.copies > 100 && stage.let_go > 10 && stage.frame > 1000 * BLOCK);
	printf("done: %llu frames, %u recorders one after the other, %u transfers, %u states copied, %u times a link had let go\n",
	       (unsigned long long)stage.frame, stage.swaps, stage.transfers, stage.copies, stage.let_go);
	return 0;
}
