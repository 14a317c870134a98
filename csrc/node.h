/* [both] A node object: one type's settings and state, and what the audio thread tells about it. Shared by every plan it is in,
 * so its state survives an edit by construction. */
#ifndef TZ_NODE_H
#define TZ_NODE_H

#include "node_type.h"
#include "tonnetz_core.h"

#include <stdatomic.h>

struct tz_node {
	atomic_uint references;
	_Atomic uint64_t tag;
	const struct tz_node_type *type;
	struct tz_shape shape; /* its channel counts point into `channels` */
	uint32_t *channels;
	void *settings; /* what the audio thread goes by; commits exchange it */
	void *state;
	struct tz_probe *probes; /* [audio] those that hang here */

	/* Told by the audio thread, read by anybody, relaxed: each value by itself is right, that is enough for showing. */
	uint32_t meter_count; /* channels of all outputs; of a sink, of all inputs */
	_Atomic float *peak, *mean_square;
	_Atomic uint64_t faults;
	_Atomic uint64_t timed_blocks, cost_minimum, cost_total, cost_maximum, wait_total; /* ns; wait: from the block's begin to the node's turn */
};

struct tz_node *tz_node_retain(struct tz_node *node);

/* [control] A settings block for this node from flattened parameter values; NULL: no memory. Freed with tz_free. */
void *tz_node_prepare(const struct tz_node *node, const double *values);

/* [audio] */
void tz_node_count_cost(struct tz_node *node, uint64_t ns, uint64_t wait_ns);
void tz_node_meter(struct tz_node *node, uint32_t channel, float peak, float mean_square);

const struct tz_node_type *tz_node_type_find(const char *name);
const struct tz_port *tz_single_input(const struct tz_node_type *type, uint32_t input); /* NULL: it is one of a repeated port's */

#endif
