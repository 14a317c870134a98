/* [control] Levels by Kahn's algorithm, then groups of like nodes within each level. */
#include "plan_order.h"

#include "memory.h"

#include <stdlib.h>
#include <string.h>

struct sorting {
	struct tz_node *const *nodes;
	const uint32_t *level;
};

/* Orders nodes by everything that makes them like each other. */
static int compare_shapes(const struct tz_node *a, const struct tz_node *b)
{
	if (a->type != b->type)
		return strcmp(a->type->name, b->type->name);
	const struct tz_shape *x = &a->shape, *y = &b->shape;
	if (x->list_count != y->list_count)
		return x->list_count < y->list_count ? -1 : 1;
	if (x->input_count != y->input_count)
		return x->input_count < y->input_count ? -1 : 1;
	if (x->output_count != y->output_count)
		return x->output_count < y->output_count ? -1 : 1;
	return memcmp(a->channels, b->channels, (x->input_count + x->output_count) * sizeof *a->channels);
}

static int compare(const void *left, const void *right, void *context)
{
	const struct sorting *sorting = context;
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	if (sorting->level[a] != sorting->level[b])
		return sorting->level[a] < sorting->level[b] ? -1 : 1;
	int shapes = compare_shapes(sorting->nodes[a], sorting->nodes[b]);
	return shapes ? shapes : (a > b) - (a < b); /* the given order decides last: the same graph always gives the same plan */
}

/* Fills level[]; false where a loop keeps some node from ever being reached. */
static bool find_levels(uint32_t node_count, const struct tz_route *routes, uint32_t route_count, uint32_t *level, uint32_t *waiting,
                        uint32_t *first, uint32_t *by_source, uint32_t *queue)
{
	for (uint32_t r = 0; r < route_count; r++) {
		first[routes[r].source + 1]++;
		waiting[routes[r].target]++;
	}
	for (uint32_t n = 0; n < node_count; n++)
		first[n + 1] += first[n];
	for (uint32_t r = 0; r < route_count; r++) /* fills each source's span from its end; first[] is restored by the count down */
		by_source[--first[routes[r].source + 1]] = r;
	uint32_t head = 0, tail = 0;
	for (uint32_t n = 0; n < node_count; n++)
		if (waiting[n] == 0)
			queue[tail++] = n;
	while (head < tail) {
		uint32_t n = queue[head++];
		uint32_t end = n + 2 <= node_count ? first[n + 2] : route_count;
		for (uint32_t i = first[n + 1]; i < end; i++) {
			uint32_t target = routes[by_source[i]].target;
			if (level[target] < level[n] + 1)
				level[target] = level[n] + 1;
			if (--waiting[target] == 0)
				queue[tail++] = target;
		}
	}
	return tail == node_count;
}

tz_status tz_order_make(struct tz_node *const *nodes, uint32_t node_count, const struct tz_route *routes, uint32_t route_count,
                        struct tz_order *order)
{
	*order = (struct tz_order){0};
	/* level, waiting and queue per node, first per node and two more, by_source per route */
	uint32_t *scratch = tz_allocate_array(4 * (size_t)node_count + 2 + route_count, sizeof *scratch);
	order->nodes = tz_allocate_array(node_count, sizeof *order->nodes);
	order->groups = tz_allocate_array((size_t)node_count + 1, sizeof *order->groups);
	tz_status status = scratch && order->nodes && order->groups ? TZ_OK : TZ_NO_MEMORY;
	if (status == TZ_OK) {
		uint32_t *level = scratch, *waiting = level + node_count, *queue = waiting + node_count, *first = queue + node_count;
		uint32_t *by_source = first + node_count + 2;
		if (!find_levels(node_count, routes, route_count, level, waiting, first, by_source, queue))
			status = TZ_CYCLE;
		for (uint32_t n = 0; n < node_count; n++)
			order->nodes[n] = n;
		struct sorting sorting = {.nodes = nodes, .level = level};
		qsort_r(order->nodes, node_count, sizeof *order->nodes, compare, &sorting);
		for (uint32_t i = 0; i < node_count; i++) {
			uint32_t previous = order->nodes[i ? i - 1 : 0], current = order->nodes[i];
			if (i == 0 || level[previous] != level[current] || compare_shapes(nodes[previous], nodes[current]) != 0)
				order->groups[order->group_count++] = i;
		}
		order->groups[order->group_count] = node_count;
	}
	tz_free(scratch);
	if (status != TZ_OK)
		tz_order_free(order);
	return status;
}

void tz_order_free(struct tz_order *order)
{
	tz_free(order->nodes);
	tz_free(order->groups);
	*order = (struct tz_order){0};
}
