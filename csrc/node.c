/* [both] Making, measuring and releasing node objects. */
#include "node.h"

#include "memory.h"
#include "ring.h"

#include <string.h>

static void destroy(struct tz_node *node)
{
	tz_ring_release(node->shape.ring);
	tz_free(node->settings);
	tz_free(node->state);
	tz_free(node->channels);
	tz_free((void *)node->peak);
	tz_free((void *)node->mean_square);
	tz_free(node);
}

static uint32_t sum(const uint32_t *counts, uint32_t count)
{
	uint32_t total = 0;
	for (uint32_t i = 0; i < count; i++)
		total += counts[i];
	return total;
}

/* `channels`: of the inputs, then of the outputs. */
static struct tz_shape shape_of(double sample_rate, uint32_t block_frames, uint32_t list_count, uint32_t input_count, uint32_t output_count,
                                const uint32_t *channels)
{
	return (struct tz_shape){
		.sample_rate = sample_rate,
		.block_frames = block_frames,
		.list_count = list_count,
		.input_count = input_count,
		.output_count = output_count,
		.input_channels = channels,
		.output_channels = channels + input_count,
	};
}

/* The node's own copy of its shape. */
static bool take_shape(struct tz_node *node, const struct tz_shape *shape)
{
	uint32_t ports = shape->input_count + shape->output_count;
	node->channels = tz_allocate_array(ports, sizeof *node->channels);
	if (!node->channels)
		return false;
	memcpy(node->channels, shape->input_channels, ports * sizeof *node->channels);
	node->shape = *shape;
	node->shape.input_channels = node->channels;
	node->shape.output_channels = node->channels + shape->input_count;
	node->shape.ring = tz_ring_retain(shape->ring);
	return true;
}

static bool make_parts(struct tz_node *node, const double *values)
{
	const struct tz_shape *shape = &node->shape;
	node->meter_count = shape->output_count ? sum(shape->output_channels, shape->output_count)
	                                        : sum(shape->input_channels, shape->input_count);
	node->peak = tz_allocate_array(node->meter_count, sizeof *node->peak);
	node->mean_square = tz_allocate_array(node->meter_count, sizeof *node->mean_square);
	node->settings = tz_node_prepare(node, values);
	node->state = tz_allocate(node->type->state_size ? node->type->state_size(shape, values) : 0);
	return node->peak && node->mean_square && node->settings && node->state;
}

const struct tz_port *tz_single_input(const struct tz_node_type *type, uint32_t input)
{
	uint32_t number = 0;
	for (const struct tz_port *port = type->ports; port && port->name; port++)
		if (port->direction == TZ_INPUT && number++ == input)
			return port->repeat ? NULL : port;
	return NULL;
}

tz_status tz_node_new(const char *type_name, double sample_rate, uint32_t block_frames, uint32_t list_count, uint32_t input_count,
                      uint32_t output_count, const uint32_t *channels, const double *values, struct tz_ring *ring, struct tz_node **made)
{
	const struct tz_node_type *type = tz_node_type_find(type_name);
	if (!type)
		return TZ_NO_SUCH_TYPE;
	for (uint32_t i = 0; i < input_count + output_count; i++) {
		const struct tz_port *port = i < input_count ? tz_single_input(type, i) : NULL;
		if (channels[i] == 0 && !(port && port->deciding))
			return TZ_BAD_ARGUMENT;
	}
	if (!(sample_rate > 0) || block_frames == 0 || !!ring != !!(type->flags & TZ_USES_RING))
		return TZ_BAD_ARGUMENT;
	struct tz_shape shape = shape_of(sample_rate, block_frames, list_count, input_count, output_count, channels);
	shape.ring = ring;
	struct tz_node *node = tz_allocate(sizeof *node);
	if (!node)
		return TZ_NO_MEMORY;
	node->type = type;
	atomic_init(&node->references, 1);
	atomic_init(&node->cost_minimum, UINT64_MAX);
	if (!take_shape(node, &shape) || !make_parts(node, values)) {
		destroy(node);
		return TZ_NO_MEMORY;
	}
	if (type->init)
		type->init(&node->shape, values, node->settings, node->state);
	*made = node;
	return TZ_OK;
}

struct tz_node *tz_node_retain(struct tz_node *node)
{
	atomic_fetch_add_explicit(&node->references, 1, memory_order_relaxed);
	return node;
}

void tz_node_release(struct tz_node *node)
{
	if (node && atomic_fetch_sub_explicit(&node->references, 1, memory_order_acq_rel) == 1)
		destroy(node);
}

void *tz_node_prepare(const struct tz_node *node, const double *values)
{
	void *settings = tz_allocate(node->type->settings_size ? node->type->settings_size(&node->shape) : 0);
	if (settings && node->type->prepare)
		node->type->prepare(&node->shape, values, settings);
	return settings;
}

void tz_node_tag(struct tz_node *node, uint64_t tag)
{
	atomic_store_explicit(&node->tag, tag, memory_order_relaxed);
}

bool tz_node_transfers(const struct tz_node *node)
{
	return node->type->transfer != NULL;
}

bool tz_node_is_late(const struct tz_node *node)
{
	return node->type->flags & TZ_LATE;
}

/* Latency depends on structure alone (look-ahead and the like), so it is asked once, from the values the node was made of. */
uint32_t tz_node_latency(const struct tz_node *node, const double *values)
{
	return node->type->latency ? node->type->latency(&node->shape, values) : 0;
}

bool tz_type_is_late(const char *type_name)
{
	const struct tz_node_type *type = tz_node_type_find(type_name);
	return type && type->latency;
}

uint32_t tz_type_latency(const char *type_name, double sample_rate, uint32_t block_frames, uint32_t list_count, uint32_t input_count,
                         uint32_t output_count, const uint32_t *channels, const double *values)
{
	const struct tz_node_type *type = tz_node_type_find(type_name);
	const struct tz_shape shape = shape_of(sample_rate, block_frames, list_count, input_count, output_count, channels);
	return type && type->latency ? type->latency(&shape, values) : 0;
}

uint32_t tz_node_reach(const struct tz_node *node, const double *values)
{
	return node->type->reach ? node->type->reach(&node->shape, values) : tz_node_latency(node, values);
}

uint64_t tz_node_faults(const struct tz_node *node)
{
	return atomic_load_explicit(&node->faults, memory_order_relaxed);
}

void tz_node_count_cost(struct tz_node *node, uint64_t ns, uint64_t wait_ns)
{
	/* one writer: plain loads and stores will do */
	uint64_t blocks = atomic_load_explicit(&node->timed_blocks, memory_order_relaxed);
	uint64_t total = atomic_load_explicit(&node->cost_total, memory_order_relaxed);
	if (ns < atomic_load_explicit(&node->cost_minimum, memory_order_relaxed))
		atomic_store_explicit(&node->cost_minimum, ns, memory_order_relaxed);
	if (ns > atomic_load_explicit(&node->cost_maximum, memory_order_relaxed))
		atomic_store_explicit(&node->cost_maximum, ns, memory_order_relaxed);
	atomic_store_explicit(&node->cost_total, total + ns, memory_order_relaxed);
	atomic_store_explicit(&node->wait_total, atomic_load_explicit(&node->wait_total, memory_order_relaxed) + wait_ns, memory_order_relaxed);
	atomic_store_explicit(&node->timed_blocks, blocks + 1, memory_order_relaxed);
}

void tz_node_cost(const struct tz_node *node, struct tz_cost *cost)
{
	uint64_t blocks = atomic_load_explicit(&node->timed_blocks, memory_order_relaxed);
	*cost = (struct tz_cost){.blocks = blocks};
	if (!blocks)
		return;
	cost->minimum_ns = (double)atomic_load_explicit(&node->cost_minimum, memory_order_relaxed);
	cost->average_ns = (double)atomic_load_explicit(&node->cost_total, memory_order_relaxed) / (double)blocks;
	cost->maximum_ns = (double)atomic_load_explicit(&node->cost_maximum, memory_order_relaxed);
	cost->wait_ns = (double)atomic_load_explicit(&node->wait_total, memory_order_relaxed) / (double)blocks;
}

void tz_node_meter(struct tz_node *node, uint32_t channel, float peak, float mean_square)
{
	/* A reader that empties the peak between the load and the store can cost one block's peak: meters are for looking at. */
	if (peak > atomic_load_explicit(&node->peak[channel], memory_order_relaxed))
		atomic_store_explicit(&node->peak[channel], peak, memory_order_relaxed);
	atomic_store_explicit(&node->mean_square[channel], mean_square, memory_order_relaxed);
}

static uint32_t meters_of(struct tz_node *node, float *peak, float *mean_square, uint32_t capacity)
{
	uint32_t count = node->meter_count < capacity ? node->meter_count : capacity;
	for (uint32_t c = 0; c < count; c++) {
		peak[c] = atomic_exchange_explicit(&node->peak[c], 0.0f, memory_order_relaxed);
		mean_square[c] = atomic_load_explicit(&node->mean_square[c], memory_order_relaxed);
	}
	return count;
}

uint32_t tz_meters(struct tz_node *const *nodes, uint32_t node_count, float *peak, float *mean_square, uint32_t capacity)
{
	uint32_t count = 0;
	for (uint32_t n = 0; n < node_count; n++)
		count += meters_of(nodes[n], peak + count, mean_square + count, capacity - count);
	return count;
}
