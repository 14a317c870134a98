/* [control] Numbering of ports and channels, and a counting sort of the routes. */
#include "wiring.h"

#include "memory.h"

static bool routes_fit(struct tz_node *const *nodes, uint32_t node_count, const struct tz_route *routes, uint32_t route_count)
{
	for (uint32_t r = 0; r < route_count; r++) {
		const struct tz_route *route = &routes[r];
		if (!route->link || route->source >= node_count || route->target >= node_count)
			return false;
		const struct tz_shape *source = &nodes[route->source]->shape, *target = &nodes[route->target]->shape;
		if (route->source_port >= source->output_count || route->target_port >= target->input_count)
			return false;
		uint32_t from = source->output_channels[route->source_port], to = target->input_channels[route->target_port];
		if (from != to && !(from == 1 && to == 2) && !(from == 2 && to == 1))
			return false;
	}
	return true;
}

static void number_channels(struct tz_wiring *w, struct tz_node *const *nodes, uint32_t node_count)
{
	uint32_t in_port = 0, out_port = 0, in_channel = 0, out_channel = 0;
	for (uint32_t n = 0; n < node_count; n++) {
		const struct tz_shape *shape = &nodes[n]->shape;
		w->in_port_base[n] = in_port;
		w->out_port_base[n] = out_port;
		for (uint32_t p = 0; p < shape->input_count; p++) {
			w->in_channel_base[in_port++] = in_channel;
			in_channel += shape->input_channels[p];
		}
		for (uint32_t p = 0; p < shape->output_count; p++) {
			w->out_channel_base[out_port++] = out_channel;
			out_channel += shape->output_channels[p];
		}
	}
	w->in_port_base[node_count] = in_port;
	w->out_port_base[node_count] = out_port;
	w->in_channel_base[in_port] = w->in_channels = in_channel;
	w->out_channel_base[out_port] = w->out_channels = out_channel;
}

static uint32_t target_port(const struct tz_wiring *w, const struct tz_route *route)
{
	return w->in_port_base[route->target] + route->target_port;
}

static void sort_routes(struct tz_wiring *w, const struct tz_route *routes)
{
	uint32_t *first = w->first_route; /* two more than ports: counted one further on, so that filling moves each to its place */
	for (uint32_t r = 0; r < w->route_count; r++)
		first[target_port(w, &routes[r]) + 2]++;
	for (uint32_t p = 2; p < w->in_ports + 2; p++)
		first[p] += first[p - 1];
	for (uint32_t r = 0; r < w->route_count; r++)
		w->routes[first[target_port(w, &routes[r]) + 1]++] = routes[r];
}

tz_status tz_wiring_make(struct tz_node *const *nodes, uint32_t node_count, const struct tz_route *routes, uint32_t route_count,
                         struct tz_wiring *w)
{
	*w = (struct tz_wiring){.route_count = route_count};
	if (!routes_fit(nodes, node_count, routes, route_count))
		return TZ_BAD_ARGUMENT;
	for (uint32_t n = 0; n < node_count; n++) {
		w->in_ports += nodes[n]->shape.input_count;
		w->out_ports += nodes[n]->shape.output_count;
	}
	size_t words = 2 * ((size_t)node_count + 1) + w->in_ports + 1 + w->out_ports + 1 + w->in_ports + 2;
	w->block = tz_allocate(route_count * sizeof *routes + words * sizeof(uint32_t));
	if (!w->block)
		return TZ_NO_MEMORY;
	w->routes = w->block;
	w->in_port_base = (uint32_t *)(w->routes + route_count);
	w->out_port_base = w->in_port_base + node_count + 1;
	w->in_channel_base = w->out_port_base + node_count + 1;
	w->out_channel_base = w->in_channel_base + w->in_ports + 1;
	w->first_route = w->out_channel_base + w->out_ports + 1;
	number_channels(w, nodes, node_count);
	sort_routes(w, routes);
	return TZ_OK;
}

void tz_wiring_free(struct tz_wiring *wiring)
{
	tz_free(wiring->block);
	*wiring = (struct tz_wiring){0};
}
