/* [control] The wires of a plan, numbered flat: every port and every channel of all nodes gets one number, and the routes lie
 * sorted by the input port they lead to. */
#ifndef TZ_WIRING_H
#define TZ_WIRING_H

#include "node.h"

struct tz_wiring {
	struct tz_route *routes; /* by input port, in the given order within one */
	uint32_t route_count;
	uint32_t *first_route; /* per input port, and one more: where its routes begin */

	uint32_t *in_port_base, *out_port_base;       /* per node, and one more: the number of its first port */
	uint32_t *in_channel_base, *out_channel_base; /* per port, and one more: the number of its first channel */
	uint32_t in_ports, out_ports, in_channels, out_channels;
	void *block;
};

/* TZ_BAD_ARGUMENT where a route names what is not there or joins channel counts that do not fit. */
tz_status tz_wiring_make(struct tz_node *const *nodes, uint32_t node_count, const struct tz_route *routes, uint32_t route_count,
                         struct tz_wiring *wiring);
void tz_wiring_free(struct tz_wiring *wiring);

static inline uint32_t tz_source_port(const struct tz_wiring *wiring, const struct tz_route *route)
{
	return wiring->out_port_base[route->source] + route->source_port;
}

#endif
