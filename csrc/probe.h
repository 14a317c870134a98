/* [both] Probes: what somebody looks at a port through, or plays into it with, while it runs. They hang on node objects, beside the
 * graph: no plan knows of them, so nothing that nobody probes changes by a bit. A commit brings them, moves them to the object that takes
 * over from theirs, and takes them away. */
#ifndef TZ_PROBE_H
#define TZ_PROBE_H

#include "node.h"

/* A node's block, as a probe sees it when it is over. */
struct tz_probed_block {
	const struct tz_node *node;
	const struct tz_member *member;
	uint64_t frame; /* its first one */
	uint32_t frames;
	int64_t begin_ns; /* CLOCK_MONOTONIC; 0 where nobody wants to know */
	uint32_t busy_ns; /* the node's share of its group's time */
};

struct tz_probe_kind {
	bool timed;
	/* [audio] Before the node's block: it may put another input in place of the member's. NULL: it does not. */
	void (*play)(struct tz_probe *probe, const struct tz_member *member, uint32_t frames);
	/* [audio] After it. NULL: it does not care. */
	void (*look)(struct tz_probe *probe, const struct tz_probed_block *block);
	/* [audio] Last, and in the other order: what `play` has put in place is taken away. */
	void (*restore)(struct tz_probe *probe, const struct tz_member *member);
	/* [control] What the probe holds besides itself. */
	void (*discard)(struct tz_probe *probe);
};

struct tz_probe {
	const struct tz_probe_kind *kind;
	atomic_uint references;
	/* [audio] */
	struct tz_node *node;  /* where it hangs, with a reference of its own; NULL: nowhere */
	struct tz_probe *next; /* at the same node */
};

/* [control] */
void tz_probe_begin(struct tz_probe *probe, const struct tz_probe_kind *kind);

/* What a commit does to probes. */
struct tz_probing {
	struct tz_probing *next;
	struct tz_probe *probe;
	struct tz_node *from, *to;
};

void tz_probings_release(struct tz_probing *probings); /* [control] */
/* [audio] `attached` counts all probes that hang anywhere. */
void tz_probings_adopt(struct tz_probing *probings, uint32_t *attached);

/* [audio] Around a group's block. `tz_probes_play` tells whether somebody wants to know the time that it takes. */
bool tz_probes_play(struct tz_node *const *nodes, const struct tz_member *members, uint32_t count, uint32_t frames);
void tz_probes_look(struct tz_node *const *nodes, const struct tz_member *members, uint32_t count, const struct tz_probed_block *block);

/* The samples of a port in this block, one pointer per channel; NULL: an input that is open. */
static inline const float *const *tz_port_samples(const struct tz_member *member, bool input, uint32_t port)
{
	return input ? member->in[port] : (const float *const *)member->out[port];
}

#endif
