/* [both] A plan: everything that happens in one block, as a flat list of steps over buffers that the plan owns. Immutable once
 * built, apart from the samples in its buffers; nodes and links are shared with the plans before and after it.
 *
 * A step is either a sum (what flows into an input that needs adding, fading or channel mapping) or a group: one call of a node
 * type for all like nodes of one level, so that a type may put them side by side in SIMD lanes. An input fed by a single steady
 * connection is no step at all: its group reads the source's buffer. */
#ifndef TZ_PLAN_H
#define TZ_PLAN_H

#include "node.h"
#include "telemetry.h"

struct tz_term { /* one connection's part in a sum */
	struct tz_link *link;
	const float *const *source; /* its channels */
	uint32_t source_channels;
	bool fading;
};

struct tz_sum {
	float *const *target;
	uint32_t target_channels;
	const struct tz_term *terms;
	uint32_t term_count;
};

struct tz_group {
	const struct tz_node_type *type;
	const struct tz_member *members;
	struct tz_node *const *nodes;
	uint32_t count;
};

struct tz_step {
	enum { TZ_STEP_SUM, TZ_STEP_GROUP } kind;
	union {
		struct tz_sum sum;
		struct tz_group group;
	};
	/* The steps that must be over before this one, for what it reads and for the buffers it writes again: worker threads go by it. */
	const uint32_t *after;
	uint32_t after_count;
};

struct tz_plan {
	uint32_t block_frames;
	struct tz_step *steps;
	uint32_t step_count;
	struct tz_node **nodes; /* all, in the order given; the plan holds a reference on each */
	uint32_t node_count;
	struct tz_link **links;
	uint32_t link_count;
	struct tz_node **ring_nodes; /* those that meet the outside: clocks that may wait ask them */
	uint32_t ring_count;
	float *samples;    /* all buffers; the first is silence and stays it */
	size_t buffer_stride; /* samples from one buffer to the next */
	uint32_t buffer_count;
	float *fade_gains; /* one block of gains, scratch for fading terms */
	void *arena;       /* steps, members, pointers: one block of memory, freed at once */
};

/* What is looked at in a block: what each group costs, the nodes' meters, the probes that hang on nodes. */
struct tz_attention {
	bool timed, metered, probed;
};

/* [audio] Runs one block. Posts faults to telemetry. */
void tz_plan_run(struct tz_plan *plan, struct tz_attention attention, struct tz_telemetry *telemetry, uint64_t frame);

/* [audio] May this plan run a block without missing samples from, or losing samples to, the outside? The ring to wait for, or NULL. */
struct tz_node *tz_plan_waits_for(const struct tz_plan *plan);

#endif
