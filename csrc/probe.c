/* [both] Probes come, move and go with commits; around each block of their node they play and look. */
#include "probe.h"

#include "commit.h"
#include "memory.h"

/* ---- Their life ---- */

void tz_probe_begin(struct tz_probe *probe, const struct tz_probe_kind *kind)
{
	probe->kind = kind;
	atomic_init(&probe->references, 1);
}

static struct tz_probe *retain(struct tz_probe *probe)
{
	atomic_fetch_add_explicit(&probe->references, 1, memory_order_relaxed);
	return probe;
}

void tz_probe_release(struct tz_probe *probe)
{
	if (probe && atomic_fetch_sub_explicit(&probe->references, 1, memory_order_acq_rel) == 1) {
		probe->kind->discard(probe);
		tz_free(probe);
	}
}

tz_status tz_commit_probe(struct tz_commit *commit, struct tz_probe *probe, struct tz_node *from, struct tz_node *to)
{
	struct tz_probing *probing = tz_allocate(sizeof *probing);
	if (!probing)
		return TZ_NO_MEMORY;
	*probing = (struct tz_probing){
		.next = commit->probings,
		.probe = retain(probe),
		.from = from ? tz_node_retain(from) : NULL,
		.to = to ? tz_node_retain(to) : NULL,
	};
	commit->probings = probing;
	return TZ_OK;
}

void tz_probings_release(struct tz_probing *probings)
{
	while (probings) {
		struct tz_probing *next = probings->next;
		tz_probe_release(probings->probe);
		tz_node_release(probings->from);
		tz_node_release(probings->to);
		tz_free(probings);
		probings = next;
	}
}

/* ---- Where they hang ---- */

static void hang(struct tz_probe *probe, struct tz_node *node)
{
	probe->node = node;
	probe->next = node->probes;
	node->probes = probe;
}

static struct tz_node *take_down(struct tz_probe *probe)
{
	struct tz_node *node = probe->node;
	struct tz_probe **place = &node->probes;
	while (*place != probe)
		place = &(*place)->next;
	*place = probe->next;
	probe->node = NULL;
	return node;
}

/* References change hands, so that nothing is counted, let alone freed, on this thread: what a probe lets go of goes home with the commit. */
void tz_probings_adopt(struct tz_probing *probings, uint32_t *attached)
{
	for (struct tz_probing *probing = probings; probing; probing = probing->next) {
		struct tz_probe *probe = probing->probe;
		if (!probing->to) { /* it goes, wherever it is */
			if (probe->node) {
				probing->to = take_down(probe);
				--*attached;
				atomic_fetch_sub_explicit(&probe->references, 1, memory_order_relaxed); /* the commit has another */
			}
		} else if (probe->node == probing->from && probe->node != probing->to) { /* else it went, or moved, in the meantime */
			struct tz_node *old = probe->node ? take_down(probe) : NULL;
			if (!old) {
				++*attached;
				atomic_fetch_add_explicit(&probe->references, 1, memory_order_relaxed);
			}
			hang(probe, probing->to);
			probing->to = old;
		}
	}
}

/* ---- Around a block ---- */

bool tz_probes_play(struct tz_node *const *nodes, const struct tz_member *members, uint32_t count, uint32_t frames)
{
	bool timed = false;
	for (uint32_t i = 0; i < count; i++)
		for (struct tz_probe *probe = nodes[i]->probes; probe; probe = probe->next) {
			timed |= probe->kind->timed;
			if (probe->kind->play)
				probe->kind->play(probe, &members[i], frames);
		}
	return timed;
}

static void restore(struct tz_probe *probe, const struct tz_member *member)
{
	if (!probe)
		return;
	restore(probe->next, member); /* as many deep as probes hang here */
	if (probe->kind->restore)
		probe->kind->restore(probe, member);
}

void tz_probes_look(struct tz_node *const *nodes, const struct tz_member *members, uint32_t count, const struct tz_probed_block *block)
{
	for (uint32_t i = 0; i < count; i++) {
		struct tz_probed_block own = *block;
		own.node = nodes[i];
		own.member = &members[i];
		for (struct tz_probe *probe = nodes[i]->probes; probe; probe = probe->next)
			if (probe->kind->look)
				probe->kind->look(probe, &own);
		restore(nodes[i]->probes, &members[i]);
	}
}
