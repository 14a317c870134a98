/* [both] Filling a commit, carrying it out, freeing what it brought back. */
#include "commit.h"

#include "link.h"
#include "memory.h"
#include "ring.h"

#include <string.h>

struct tz_commit *tz_commit_new(uint64_t id, struct tz_plan *plan)
{
	struct tz_commit *commit = tz_allocate(sizeof *commit);
	if (commit) {
		commit->id = id;
		commit->plan = plan;
	}
	return commit;
}

void tz_commit_release(struct tz_commit *commit)
{
	if (!commit)
		return;
	for (uint32_t i = 0; i < commit->act_count; i++) {
		struct tz_act *act = &commit->acts[i];
		if (act->kind == TZ_ACT_SET)
			tz_free(act->settings);
		else if (act->kind == TZ_ACT_TRANSFER)
			tz_node_release(act->predecessor);
		else if (act->kind != TZ_ACT_PACE) {
			tz_link_release(act->link);
			tz_link_release(act->leader);
		}
		tz_node_release(act->node);
	}
	tz_probings_release(commit->probings);
	tz_copies_release(commit->copies);
	tz_plan_release(commit->plan);
	tz_free(commit->acts);
	tz_free(commit);
}

void tz_commit_at(struct tz_commit *commit, uint64_t frame)
{
	commit->due = frame;
}

static bool decide(struct tz_commit *commit, enum tz_fate fate)
{
	int open = TZ_FATE_OPEN;
	return atomic_compare_exchange_strong(&commit->fate, &open, fate);
}

bool tz_commit_withdraw(struct tz_commit *commit)
{
	return decide(commit, TZ_FATE_WITHDRAWN);
}

bool tz_commit_take(struct tz_commit *commit)
{
	return decide(commit, TZ_FATE_TAKEN);
}

/* Room for one more act, zeroed; NULL: no memory. */
static struct tz_act *next_act(struct tz_commit *commit)
{
	if (commit->act_count == commit->act_capacity) {
		uint32_t capacity = commit->act_capacity ? 2 * commit->act_capacity : 8;
		struct tz_act *acts = tz_allocate_array(capacity, sizeof *acts);
		if (!acts)
			return NULL;
		if (commit->act_count)
			memcpy(acts, commit->acts, commit->act_count * sizeof *acts);
		tz_free(commit->acts);
		commit->acts = acts;
		commit->act_capacity = capacity;
	}
	return &commit->acts[commit->act_count];
}

tz_status tz_commit_set(struct tz_commit *commit, struct tz_node *node, const double *values, int32_t ramp_frames)
{
	struct tz_act *act = next_act(commit);
	void *settings = act ? tz_node_prepare(node, values) : NULL;
	if (!settings)
		return TZ_NO_MEMORY;
	*act = (struct tz_act){.kind = TZ_ACT_SET, .node = tz_node_retain(node), .settings = settings, .ramp_frames = ramp_frames};
	commit->act_count++;
	return TZ_OK;
}

tz_status tz_commit_fade(struct tz_commit *commit, struct tz_link *link, bool sounding, uint32_t frames, uint32_t wait)
{
	struct tz_act *act = next_act(commit);
	if (!act)
		return TZ_NO_MEMORY;
	*act = (struct tz_act){.kind = TZ_ACT_FADE, .link = tz_link_retain(link), .sounding = sounding, .fade_frames = frames, .wait_frames = wait};
	commit->act_count++;
	return TZ_OK;
}

tz_status tz_commit_follow(struct tz_commit *commit, struct tz_link *link, struct tz_link *leader)
{
	struct tz_act *act = next_act(commit);
	if (!act)
		return TZ_NO_MEMORY;
	*act = (struct tz_act){.kind = TZ_ACT_FOLLOW, .link = tz_link_retain(link), .leader = tz_link_retain(leader)};
	commit->act_count++;
	return TZ_OK;
}

tz_status tz_commit_drain(struct tz_commit *commit, struct tz_link *link, const struct tz_drain *drain)
{
	struct tz_act *act = next_act(commit);
	if (!act)
		return TZ_NO_MEMORY;
	*act = (struct tz_act){.kind = TZ_ACT_DRAIN, .link = tz_link_retain(link), .drain = *drain};
	commit->act_count++;
	return TZ_OK;
}

tz_status tz_commit_transfer(struct tz_commit *commit, struct tz_node *predecessor, struct tz_node *successor)
{
	if (predecessor->type != successor->type || !predecessor->type->transfer)
		return TZ_BAD_ARGUMENT;
	struct tz_act *act = next_act(commit);
	if (!act)
		return TZ_NO_MEMORY;
	*act = (struct tz_act){.kind = TZ_ACT_TRANSFER, .node = tz_node_retain(successor), .predecessor = tz_node_retain(predecessor)};
	commit->act_count++;
	return TZ_OK;
}

tz_status tz_commit_pace(struct tz_commit *commit, struct tz_node *node)
{
	if (node && !node->shape.ring)
		return TZ_BAD_ARGUMENT;
	struct tz_act *act = next_act(commit);
	if (!act)
		return TZ_NO_MEMORY;
	*act = (struct tz_act){.kind = TZ_ACT_PACE, .node = node ? tz_node_retain(node) : NULL};
	commit->act_count++;
	return TZ_OK;
}

tz_status tz_commit_copy(struct tz_commit *commit, struct tz_node *from, struct tz_node *to)
{
	if (from->type != to->type)
		return TZ_BAD_ARGUMENT;
	struct tz_copy *copy = tz_copy_new(from, to);
	if (!copy)
		return TZ_NO_MEMORY;
	copy->next = commit->copies;
	commit->copies = copy;
	return TZ_OK;
}

static void tell_lead(const struct tz_node *pacer, bool leads)
{
	if (pacer)
		atomic_store_explicit(&tz_ring_pace(pacer->shape.ring)->leads, leads, memory_order_relaxed);
}

void tz_commit_adopt(struct tz_commit *commit, struct tz_plan **running, struct tz_node **pacer, uint64_t frame)
{
	for (uint32_t i = 0; i < commit->act_count; i++) {
		struct tz_act *act = &commit->acts[i];
		if (act->kind == TZ_ACT_SET) {
			void *old = act->node->settings;
			act->node->settings = act->settings;
			if (act->node->type->adopt)
				act->node->type->adopt(act->node->state, act->settings, act->ramp_frames);
			act->settings = old;
		} else if (act->kind == TZ_ACT_FADE) {
			tz_link_turn(act->link, act->sounding, act->fade_frames, act->wait_frames);
		} else if (act->kind == TZ_ACT_FOLLOW) {
			tz_link_follow(act->link, act->leader);
		} else if (act->kind == TZ_ACT_PACE) {
			struct tz_node *old = *pacer;
			*pacer = act->node;
			act->node = old;
			tell_lead(old, false);
			tell_lead(*pacer, true);
		} else if (act->kind == TZ_ACT_DRAIN) {
			tz_link_drain(act->link, &act->drain);
		} else {
			act->node->type->transfer(act->node->state, act->predecessor->state);
			if (act->node->type->adopt) /* from where the predecessor was to its own settings */
				act->node->type->adopt(act->node->state, act->node->settings, -1);
		}
	}
	tz_copies_begin(commit->copies);
	if (commit->plan) {
		struct tz_plan *old = *running;
		*running = commit->plan;
		commit->plan = old;
	}
	commit->frame = frame;
}
