/* [both] Every node type there is, at random: widths, settings, edits, gliding times and cuts. What comes out is finite, is the same bit for
 * bit however the blocks are cut, and after a reset the same as from a new node. A successor of another shape takes over what it
 * can. Only the ways of node_type.h are gone, on memory that is exactly as large as asked for, so the sanitizers see every slip.
 * The last line tells a sum over all sound: however the core is compiled, for whatever processor, it has to be the same. */
#include "any_node.h"

enum { FRAMES = 1500, LONGEST = 600, MOST_CHANNELS = 64, CASES = 30 };

/* ---- Nodes ---- */

struct node {
	const struct tz_node_type *type;
	struct tz_shape shape;
	uint32_t inputs[MOST_PORTS], outputs[MOST_PORTS];
	void *settings, *state;
	float sound[MOST_PORTS][MOST_CHANNELS][FRAMES];
};

/* aligned_alloc() would want a size that is a multiple of the alignment: then the sanitizer would miss the last bytes. */
__attribute__((noinline)) static void *zeroed(size_t size)
{
	void *block = NULL;
	CHECK(posix_memalign(&block, 64, size ? size : 1) == 0);
	return memset(block, 0, size);
}

static void *prepared(const struct node *node, const struct settings_values *values)
{
	void *settings = zeroed(node->type->settings_size(&node->shape));
	node->type->prepare(&node->shape, values->values, settings);
	return settings;
}

/* `like` gives the shape, else `width` does. */
static struct node *make(const struct tz_node_type *type, const struct settings_values *values, const struct node *like, uint32_t width)
{
	struct node *node = zeroed(sizeof *node);
	node->type = type;
	if (like) {
		memcpy(node->inputs, like->inputs, sizeof node->inputs);
		memcpy(node->outputs, like->outputs, sizeof node->outputs);
		node->shape = like->shape;
		node->shape.input_channels = node->inputs;
		node->shape.output_channels = node->outputs;
	} else {
		node->shape = shape_for(type, values, width, LONGEST, node->inputs, node->outputs);
	}
	node->settings = prepared(node, values);
	node->state = zeroed(type->state_size(&node->shape, values->values));
	type->init(&node->shape, values->values, node->settings, node->state);
	return node;
}

static void drop(struct node *node)
{
	free(node->settings);
	free(node->state);
	free(node);
}

static void adopt(struct node *node, const struct settings_values *values, int32_t ramp_frames)
{
	void *old = node->settings;
	node->settings = prepared(node, values);
	node->type->adopt(node->state, node->settings, ramp_frames);
	free(old); /* as the engine does: nobody may look at it any more */
}

/* ---- Sound ---- */

static float heard[MOST_PORTS][MOST_CHANNELS][FRAMES];

static void make_noise(void)
{
	for (uint32_t i = 0; i < sizeof heard / sizeof(float); i++)
		((float *)heard)[i] = (float)between(-1.0, 1.0);
}

/* Frames first … last, in pieces of random length, or in one; `open` inputs are not connected, where they may be. */
static void play(struct node *node, uint32_t first, uint32_t last, bool cut, bool open)
{
	for (uint32_t piece; first < last; first += piece) {
		const uint32_t longest = last - first < LONGEST ? last - first : LONGEST;
		piece = cut ? 1 + below(below(2) ? longest : longest < 5 ? longest : 5) : longest;
		const float *in[MOST_PORTS][MOST_CHANNELS];
		float *out[MOST_PORTS][MOST_CHANNELS];
		const float *const *ins[MOST_PORTS];
		float *const *outs[MOST_PORTS];
		uint32_t number = 0;
		for (const struct tz_port *port = node->type->ports; port->name; port++)
			for (uint32_t n = 0; port->direction == TZ_INPUT && n < (port->repeat ? node->shape.list_count : 1); n++, number++) {
				for (uint32_t c = 0; c < node->inputs[number]; c++)
					in[number][c] = heard[number][c] + first;
				ins[number] = open && port->optional ? NULL : in[number];
			}
		for (uint32_t p = 0; p < node->shape.output_count; p++) {
			for (uint32_t c = 0; c < node->outputs[p]; c++)
				out[p][c] = node->sound[p][c] + first;
			outs[p] = out[p];
		}
		const struct tz_member member = {node->state, ins, outs};
		node->type->process(&member, 1, piece);
	}
}

static void check_finite(const struct node *node, uint32_t frames)
{
	for (uint32_t p = 0; p < node->shape.output_count; p++)
		for (uint32_t c = 0; c < node->outputs[p]; c++)
			for (uint32_t frame = 0; frame < frames; frame++)
				CHECK(isfinite(node->sound[p][c][frame]));
}

static void check_same(const struct node *a, const struct node *b)
{
	for (uint32_t p = 0; p < a->shape.output_count; p++)
		for (uint32_t c = 0; c < a->outputs[p]; c++)
			CHECK(memcmp(a->sound[p][c], b->sound[p][c], sizeof a->sound[p][c]) == 0);
}

static uint64_t sum_of_sound = 14695981039346656037u; /* FNV-1a over the bits */

static void add_to_sum(const struct node *node)
{
	for (uint32_t p = 0; p < node->shape.output_count; p++)
		for (uint32_t c = 0; c < node->outputs[p]; c++)
			for (uint32_t frame = 0; frame < FRAMES; frame++) {
				uint32_t bits;
				memcpy(&bits, &node->sound[p][c][frame], sizeof bits);
				sum_of_sound = (sum_of_sound ^ bits) * 1099511628211u;
			}
}

static void try_type(const struct tz_node_type *type, enum how how)
{
	static const int32_t ramps[] = {-1, 0, 1, 37, 400, 100000};
	static struct settings_values values, first_values;
	values.records = some_records(type, how);
	fill(type, how, NULL, &values);
	first_values = values;
	const uint32_t width = 1 + below(4);
	struct node *whole = make(type, &values, NULL, width), *cut = make(type, &values, whole, 0);
	make_noise();
	uint32_t done = 0;
	while (done < FRAMES) {
		const uint32_t until = done + 1 + below(FRAMES - done);
		const bool open = below(2);
		play(whole, done, until, false, open);
		play(cut, done, until, true, open);
		done = until;
		const int32_t ramp = ramps[below(sizeof ramps / sizeof *ramps)];
		fill(type, below(2) ? ANYHOW : how, &first_values, &values);
		adopt(whole, &values, ramp);
		adopt(cut, &values, ramp);
	}
	check_finite(whole, FRAMES);
	check_same(whole, cut);
	add_to_sum(whole);

	struct node *fresh = make(type, &values, whole, 0);
	type->reset(cut->state);
	play(fresh, 0, FRAMES, false, false);
	play(cut, 0, FRAMES, true, false);
	check_same(fresh, cut);
	drop(fresh);

	if (type->transfer) {
		values.records = some_records(type, ANYHOW);
		fill(type, ANYHOW, NULL, &values);
		struct node *successor = make(type, &values, NULL, 1 + below(4));
		type->transfer(successor->state, whole->state);
		play(successor, 0, FRAMES, true, false);
		check_finite(successor, FRAMES);
		drop(successor);
	}
	drop(whole);
	drop(cut);
}

/* A stereo node whose sound is taken over by one of the same settings and width, or a mono one by a stereo one that is fed the same in
 * both channels: every channel of the successor goes on as the predecessor would have. */
static void try_succession(const struct tz_node_type *type, bool wider)
{
	static struct settings_values values;
	values.records = some_records(type, ANYHOW);
	fill(type, ANYHOW, NULL, &values);
	struct node *node = make(type, &values, NULL, wider ? 1 : 2);
	struct node *successor = wider ? make(type, &values, NULL, 2) : make(type, &values, node, 0);
	make_noise();
	for (uint32_t port = 0; wider && port < MOST_PORTS; port++)
		memcpy(heard[port][1], heard[port][0], sizeof heard[port][0]);
	play(node, 0, FRAMES / 2, true, true);
	type->transfer(successor->state, node->state);
	play(node, FRAMES / 2, FRAMES, true, true);
	play(successor, FRAMES / 2, FRAMES, true, true);
	for (uint32_t p = 0; p < node->shape.output_count; p++)
		for (uint32_t c = 0; c < successor->outputs[p]; c++)
			CHECK(memcmp(successor->sound[p][c] + FRAMES / 2, node->sound[p][c < node->outputs[p] ? c : 0] + FRAMES / 2,
			             FRAMES / 2 * sizeof(float)) == 0);
	drop(node);
	drop(successor);
}

int main(void)
{
	uint32_t tried = 0;
	for (const struct tz_node_type *const *type = __start_tz_node_types; type < __stop_tz_node_types; type++) {
		if ((*type)->flags & TZ_USES_RING || !(*type)->parameters)
			continue;
		const bool follows = (*type)->ports->direction == TZ_INPUT && (*type)->ports->rule == TZ_FOLLOW;
		for (uint32_t n = 0; n < CASES; n++) {
			try_type(*type, n < ANYHOW ? (enum how)n : ANYHOW);
			if ((*type)->transfer)
				try_succession(*type, follows && n % 2);
		}
		tried++;
	}
	CHECK(tried >= 7);
	printf("done: %u types, sum of sound %016llx\n", tried, (unsigned long long)sum_of_sound);
	return 0;
}
