/* [control] Builds a plan: checks what it is given, lays out the steps in order, and shares buffers as soon as their last reader
 * is through, so that few of them are in use at a time and stay in the nearest cache. */
#include "plan.h"

#include "link.h"
#include "memory.h"
#include "plan_order.h"
#include "wiring.h"

#include <stdio.h>
#include <string.h>

#define NO_BUFFER UINT32_MAX
#define SILENCE 0u /* the first buffer */

struct use { /* a step that touched a buffer, in a list per buffer */
	uint32_t step, next;
};

struct build {
	struct tz_plan *plan;
	struct tz_order order;
	struct tz_wiring wires;

	uint32_t *in_buffer, *out_buffer; /* per channel: which buffer it reads or writes */
	uint32_t *sum_buffer;             /* per input channel that needs a sum: what the sum writes */
	uint32_t *readers_left;           /* per output port: routes whose step is still to come */

	uint32_t *free_buffers, free_count;
	uint32_t *writer, *uses; /* per buffer: the step that filled it; head of its list of uses (0: none) */
	struct use *use_pool;
	uint32_t use_count, read_limit; /* read_limit: channels that all steps together read */

	uint32_t *after, after_count; /* all steps' dependencies, one after another */
	uint32_t *after_first;        /* per step */
	uint32_t *marked;             /* per step: 1 + the step that already waits for it */

	/* what ends up in the plan's arena */
	struct tz_member *members;
	struct tz_node **member_nodes;
	struct tz_term *terms;
	uint32_t term_count;
	const float **in_pointer, **out_pointer, **sum_pointer;         /* per channel */
	const float *const **in_port_pointer, *const **out_port_pointer; /* per port */
};

/* ---- Memory: one arena for the plan, one block of scratch for the build ---- */

struct carving {
	char *block;
	size_t used;
};

static void *carve(struct carving *carving, size_t count, size_t bytes)
{
	size_t at = carving->used;
	carving->used += (count * bytes + 15) / 16 * 16; /* 16: enough for any type here */
	return carving->block ? carving->block + at : NULL;
}

/* Run twice: first to measure, then to carve. */
static void lay_arena(struct build *b, struct carving *c, uint32_t node_count)
{
	uint32_t step_limit = node_count + b->wires.in_ports;
	b->plan->steps = carve(c, step_limit, sizeof *b->plan->steps);
	b->plan->nodes = carve(c, node_count, sizeof *b->plan->nodes);
	b->plan->links = carve(c, b->wires.route_count, sizeof *b->plan->links);
	b->plan->ring_nodes = carve(c, node_count, sizeof *b->plan->ring_nodes);
	b->members = carve(c, node_count, sizeof *b->members);
	b->member_nodes = carve(c, node_count, sizeof *b->member_nodes);
	b->terms = carve(c, b->wires.route_count, sizeof *b->terms);
	b->in_pointer = carve(c, b->wires.in_channels, sizeof *b->in_pointer);
	b->out_pointer = carve(c, b->wires.out_channels, sizeof *b->out_pointer);
	b->sum_pointer = carve(c, b->wires.in_channels, sizeof *b->sum_pointer);
	b->in_port_pointer = carve(c, b->wires.in_ports, sizeof *b->in_port_pointer);
	b->out_port_pointer = carve(c, b->wires.out_ports, sizeof *b->out_port_pointer);
	/* A dependency comes from a read (its writer) or from taking a buffer over (its earlier users), and each use is taken over once. */
	b->after = carve(c, 2 * (size_t)b->read_limit + b->wires.in_channels + b->wires.out_channels, sizeof *b->after);
}

static void lay_scratch(struct build *b, struct carving *c, uint32_t node_count)
{
	uint32_t step_limit = node_count + b->wires.in_ports, buffer_limit = 1 + b->wires.in_channels + b->wires.out_channels;
	b->in_buffer = carve(c, b->wires.in_channels, sizeof *b->in_buffer);
	b->out_buffer = carve(c, b->wires.out_channels, sizeof *b->out_buffer);
	b->sum_buffer = carve(c, b->wires.in_channels, sizeof *b->sum_buffer);
	b->readers_left = carve(c, b->wires.out_ports, sizeof *b->readers_left);
	b->free_buffers = carve(c, buffer_limit, sizeof *b->free_buffers);
	b->writer = carve(c, buffer_limit, sizeof *b->writer);
	b->uses = carve(c, buffer_limit, sizeof *b->uses);
	b->use_pool = carve(c, 1 + b->read_limit + b->wires.in_channels + b->wires.out_channels, sizeof *b->use_pool);
	b->after_first = carve(c, (size_t)step_limit + 1, sizeof *b->after_first);
	b->marked = carve(c, step_limit, sizeof *b->marked);
}

/* ---- Buffers ---- */

static void wait_for(struct build *b, uint32_t step, uint32_t earlier)
{
	if (earlier != step && b->marked[earlier] != step + 1) {
		b->marked[earlier] = step + 1;
		b->after[b->after_count++] = earlier;
	}
}

static void note_use(struct build *b, uint32_t buffer, uint32_t step)
{
	b->use_pool[++b->use_count] = (struct use){.step = step, .next = b->uses[buffer]};
	b->uses[buffer] = b->use_count;
}

static uint32_t take_buffer(struct build *b, uint32_t step)
{
	uint32_t buffer = b->free_count ? b->free_buffers[--b->free_count] : b->plan->buffer_count++;
	for (uint32_t use = b->uses[buffer]; use; use = b->use_pool[use].next)
		wait_for(b, step, b->use_pool[use].step);
	b->uses[buffer] = 0;
	b->writer[buffer] = step;
	note_use(b, buffer, step);
	return buffer;
}

static void read_buffer(struct build *b, uint32_t buffer, uint32_t step)
{
	wait_for(b, step, b->writer[buffer]);
	note_use(b, buffer, step);
}

static uint32_t port_channels(const uint32_t *channel_base, uint32_t port)
{
	return channel_base[port + 1] - channel_base[port];
}

static void read_port(struct build *b, const struct tz_route *route, uint32_t step)
{
	uint32_t port = tz_source_port(&b->wires, route);
	for (uint32_t c = b->wires.out_channel_base[port]; c < b->wires.out_channel_base[port + 1]; c++)
		read_buffer(b, b->out_buffer[c], step);
}

static void free_port(struct build *b, uint32_t port)
{
	for (uint32_t c = b->wires.out_channel_base[port]; c < b->wires.out_channel_base[port + 1]; c++)
		b->free_buffers[b->free_count++] = b->out_buffer[c];
}

static void finish_route(struct build *b, const struct tz_route *route)
{
	uint32_t port = tz_source_port(&b->wires, route);
	if (--b->readers_left[port] == 0)
		free_port(b, port);
}

/* ---- Steps ---- */

static struct tz_step *begin_step(struct build *b, uint32_t kind)
{
	b->after_first[b->plan->step_count] = b->after_count;
	struct tz_step *step = &b->plan->steps[b->plan->step_count++];
	step->kind = kind;
	return step;
}

static bool mapped_by_pointer(uint32_t source_channels, uint32_t target_channels)
{
	return source_channels == target_channels || source_channels == 1;
}

static bool needs_sum(const struct build *b, uint32_t begin, uint32_t end, uint32_t target_channels)
{
	return end - begin > 1 || b->wires.routes[begin].fading
	       || !mapped_by_pointer(port_channels(b->wires.out_channel_base, tz_source_port(&b->wires, &b->wires.routes[begin])), target_channels);
}

static void add_sum(struct build *b, uint32_t begin, uint32_t end, uint32_t in_port)
{
	struct tz_step *step = begin_step(b, TZ_STEP_SUM);
	uint32_t number = b->plan->step_count - 1, base = b->wires.in_channel_base[in_port];
	uint32_t channels = port_channels(b->wires.in_channel_base, in_port);
	for (uint32_t c = 0; c < channels; c++)
		b->in_buffer[base + c] = b->sum_buffer[base + c] = take_buffer(b, number);
	step->sum = (struct tz_sum){
		.target = (float *const *)&b->sum_pointer[base],
		.target_channels = channels,
		.terms = b->terms + b->term_count,
		.term_count = end - begin,
	};
	for (uint32_t r = begin; r < end; r++) {
		const struct tz_route *route = &b->wires.routes[r];
		uint32_t port = tz_source_port(&b->wires, route);
		read_port(b, route, number);
		b->terms[b->term_count++] = (struct tz_term){
			.link = route->link,
			.source = (const float *const *)&b->out_pointer[b->wires.out_channel_base[port]],
			.source_channels = port_channels(b->wires.out_channel_base, port),
			.fading = route->fading,
		};
	}
	for (uint32_t r = begin; r < end; r++)
		finish_route(b, &b->wires.routes[r]);
}

/* Prepares one node's inputs: sums where needed, else the source's own buffers; open inputs read silence. */
static void join_inputs(struct build *b, uint32_t n)
{
	for (uint32_t in_port = b->wires.in_port_base[n]; in_port < b->wires.in_port_base[n + 1]; in_port++) {
		uint32_t begin = b->wires.first_route[in_port], end = b->wires.first_route[in_port + 1];
		uint32_t base = b->wires.in_channel_base[in_port], channels = port_channels(b->wires.in_channel_base, in_port);
		if (begin == end) {
			for (uint32_t c = 0; c < channels; c++)
				b->in_buffer[base + c] = SILENCE;
		} else if (needs_sum(b, begin, end, channels)) {
			add_sum(b, begin, end, in_port);
		} else {
			uint32_t port = tz_source_port(&b->wires, &b->wires.routes[begin]), source_channels = port_channels(b->wires.out_channel_base, port);
			for (uint32_t c = 0; c < channels; c++)
				b->in_buffer[base + c] = b->out_buffer[b->wires.out_channel_base[port] + (source_channels == 1 ? 0 : c)];
		}
	}
}

/* What a node's inputs read is used by this step, and free after it. */
static void use_inputs(struct build *b, uint32_t n, uint32_t step, bool finish)
{
	for (uint32_t in_port = b->wires.in_port_base[n]; in_port < b->wires.in_port_base[n + 1]; in_port++) {
		uint32_t begin = b->wires.first_route[in_port], end = b->wires.first_route[in_port + 1];
		bool summed = begin != end && b->sum_buffer[b->wires.in_channel_base[in_port]] != NO_BUFFER;
		for (uint32_t c = b->wires.in_channel_base[in_port]; summed && c < b->wires.in_channel_base[in_port + 1]; c++) {
			if (finish)
				b->free_buffers[b->free_count++] = b->sum_buffer[c];
			else
				read_buffer(b, b->sum_buffer[c], step);
		}
		if (begin != end && !summed) {
			if (finish)
				finish_route(b, &b->wires.routes[begin]);
			else
				read_port(b, &b->wires.routes[begin], step);
		}
	}
}

static void point_member(struct build *b, uint32_t n, struct tz_member *member)
{
	struct tz_node *node = b->plan->nodes[n];
	for (uint32_t p = 0; p < node->shape.input_count; p++) {
		uint32_t in_port = b->wires.in_port_base[n] + p;
		const struct tz_port *port = tz_single_input(node->type, p);
		bool open = b->wires.first_route[in_port] == b->wires.first_route[in_port + 1] && port && port->optional;
		b->in_port_pointer[in_port] = open ? NULL : (const float *const *)&b->in_pointer[b->wires.in_channel_base[in_port]];
	}
	for (uint32_t p = 0; p < node->shape.output_count; p++) {
		uint32_t port = b->wires.out_port_base[n] + p;
		b->out_port_pointer[port] = (const float *const *)&b->out_pointer[b->wires.out_channel_base[port]];
	}
	*member = (struct tz_member){
		.state = node->state,
		.in = (const float *const *const *)&b->in_port_pointer[b->wires.in_port_base[n]],
		.out = (float *const *const *)&b->out_port_pointer[b->wires.out_port_base[n]],
	};
}

static void add_group(struct build *b, uint32_t g)
{
	uint32_t begin = b->order.groups[g], end = b->order.groups[g + 1];
	for (uint32_t i = begin; i < end; i++)
		join_inputs(b, b->order.nodes[i]);
	struct tz_step *step = begin_step(b, TZ_STEP_GROUP);
	uint32_t number = b->plan->step_count - 1;
	for (uint32_t i = begin; i < end; i++) {
		uint32_t n = b->order.nodes[i];
		uint32_t first = b->wires.out_channel_base[b->wires.out_port_base[n]], last = b->wires.out_channel_base[b->wires.out_port_base[n + 1]];
		use_inputs(b, n, number, false);
		for (uint32_t c = first; c < last; c++)
			b->out_buffer[c] = take_buffer(b, number);
		point_member(b, n, &b->members[i]);
		b->member_nodes[i] = b->plan->nodes[n];
	}
	for (uint32_t i = begin; i < end; i++) {
		uint32_t n = b->order.nodes[i];
		use_inputs(b, n, number, true);
		for (uint32_t port = b->wires.out_port_base[n]; port < b->wires.out_port_base[n + 1]; port++)
			if (b->readers_left[port] == 0)
				free_port(b, port);
	}
	step->group = (struct tz_group){
		.type = b->member_nodes[begin]->type,
		.members = b->members + begin,
		.nodes = b->member_nodes + begin,
		.count = end - begin,
	};
}

/* ---- The whole ---- */

static void add_steps(struct build *b)
{
	for (uint32_t r = 0; r < b->wires.route_count; r++)
		b->readers_left[tz_source_port(&b->wires, &b->wires.routes[r])]++;
	for (uint32_t c = 0; c < b->wires.in_channels; c++)
		b->sum_buffer[c] = NO_BUFFER;
	b->plan->buffer_count = 1; /* silence */
	for (uint32_t g = 0; g < b->order.group_count; g++)
		add_group(b, g);
	b->after_first[b->plan->step_count] = b->after_count;
	for (uint32_t s = 0; s < b->plan->step_count; s++) {
		b->plan->steps[s].after = b->after + b->after_first[s];
		b->plan->steps[s].after_count = b->after_first[s + 1] - b->after_first[s];
	}
}

/* Samples from the begin of a buffer to that of the next. Whole cache lines, and an odd number of them: buffers a power of two apart
 * would share a few sets of the nearest cache and drive one another out, where a node reads many. */
static size_t buffer_stride(uint32_t block_frames)
{
	const size_t line = 64 / sizeof(float);
	return ((block_frames + line - 1) / line | 1) * line;
}

static tz_status add_buffers(struct build *b)
{
	struct tz_plan *plan = b->plan;
	const size_t stride = plan->buffer_stride = buffer_stride(plan->block_frames);
	/* one more than there are buffers: the scratch for fades */
	plan->samples = tz_allocate_array((plan->buffer_count + 1) * stride, sizeof *plan->samples);
	if (!plan->samples)
		return TZ_NO_MEMORY;
	plan->fade_gains = plan->samples + plan->buffer_count * stride;
	for (uint32_t c = 0; c < b->wires.in_channels; c++) {
		b->in_pointer[c] = plan->samples + b->in_buffer[c] * stride;
		if (b->sum_buffer[c] != NO_BUFFER)
			b->sum_pointer[c] = plan->samples + b->sum_buffer[c] * stride;
	}
	for (uint32_t c = 0; c < b->wires.out_channels; c++)
		b->out_pointer[c] = plan->samples + b->out_buffer[c] * stride;
	return TZ_OK;
}

static void hold_nodes_and_links(struct build *b, struct tz_node *const *nodes, uint32_t node_count)
{
	struct tz_plan *plan = b->plan;
	for (uint32_t n = 0; n < node_count; n++) {
		plan->nodes[plan->node_count++] = tz_node_retain(nodes[n]);
		if (nodes[n]->shape.ring)
			plan->ring_nodes[plan->ring_count++] = nodes[n];
	}
	for (uint32_t r = 0; r < b->wires.route_count; r++)
		plan->links[plan->link_count++] = tz_link_retain(b->wires.routes[r].link);
}

static tz_status build(struct build *b, struct tz_node *const *nodes, uint32_t node_count)
{
	b->read_limit = b->wires.in_channels; /* reads of sums and of sources by pointer */
	for (uint32_t r = 0; r < b->wires.route_count; r++)
		b->read_limit += port_channels(b->wires.out_channel_base, tz_source_port(&b->wires, &b->wires.routes[r]));
	struct carving arena = {0}, scratch = {0};
	lay_arena(b, &arena, node_count);
	lay_scratch(b, &scratch, node_count);
	b->plan->arena = arena.block = tz_allocate(arena.used);
	scratch.block = tz_allocate(scratch.used);
	tz_status status = TZ_NO_MEMORY;
	if (arena.block && scratch.block) {
		arena.used = scratch.used = 0;
		lay_arena(b, &arena, node_count);
		lay_scratch(b, &scratch, node_count);
		hold_nodes_and_links(b, nodes, node_count);
		add_steps(b);
		status = add_buffers(b);
	}
	tz_free(scratch.block);
	return status;
}

tz_status tz_plan_build(struct tz_node *const *nodes, uint32_t node_count, const struct tz_route *routes, uint32_t route_count,
                        uint32_t block_frames, struct tz_plan **made)
{
	for (uint32_t n = 0; n < node_count; n++)
		if (nodes[n]->shape.block_frames < block_frames)
			return TZ_BAD_ARGUMENT;
	struct build b = {.plan = tz_allocate(sizeof *b.plan)};
	if (!b.plan)
		return TZ_NO_MEMORY;
	b.plan->block_frames = block_frames;
	tz_status status = tz_wiring_make(nodes, node_count, routes, route_count, &b.wires);
	if (status == TZ_OK)
		status = tz_order_make(nodes, node_count, routes, route_count, &b.order);
	if (status == TZ_OK)
		status = build(&b, nodes, node_count);
	tz_order_free(&b.order);
	tz_wiring_free(&b.wires);
	if (status == TZ_OK)
		*made = b.plan;
	else
		tz_plan_release(b.plan);
	return status;
}
