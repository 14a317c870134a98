/* [control] The order of a plan: which nodes can run side by side, and in which sequence. */
#ifndef TZ_PLAN_ORDER_H
#define TZ_PLAN_ORDER_H

#include "node.h"

struct tz_order {
	uint32_t *nodes;  /* node indexes in running order */
	uint32_t *groups; /* where in `nodes` each group begins; one more than there are groups */
	uint32_t group_count;
};

/* A node's level is one more than the highest level that feeds it; like nodes (type and channel counts) of one level are a group.
 * TZ_CYCLE where the routes close a loop. Free with tz_order_free. */
tz_status tz_order_make(struct tz_node *const *nodes, uint32_t node_count, const struct tz_route *routes, uint32_t route_count,
                        struct tz_order *order);
void tz_order_free(struct tz_order *order);

#endif
