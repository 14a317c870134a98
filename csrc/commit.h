/* [both] A commit: everything of one transaction. Made and freed off the audio thread; the audio thread carries it out whole
 * between two blocks and hands it back with what it displaced (the old plan, old settings) inside. */
#ifndef TZ_COMMIT_H
#define TZ_COMMIT_H

#include "plan.h"
#include "probe.h"
#include "state_copy.h"

#include <stdatomic.h>

struct tz_act {
	enum { TZ_ACT_SET, TZ_ACT_FADE, TZ_ACT_FOLLOW, TZ_ACT_DRAIN, TZ_ACT_TRANSFER, TZ_ACT_PACE } kind;
	struct tz_node *node; /* set: whose; transfer: the successor; pace: the card that becomes the clock, afterwards the one that was */
	union {
		struct {
			void *settings; /* before adoption the new ones, after it the old */
			int32_t ramp_frames;
		};
		struct {
			struct tz_link *link, *leader; /* leader: of one that follows */
			struct tz_drain drain;
			uint32_t fade_frames, wait_frames;
			bool sounding;
		};
		struct tz_node *predecessor;
	};
};

/* Whether a commit that waits for its frame is carried out or taken back: whoever changes the fate first has decided it. */
enum tz_fate { TZ_FATE_OPEN, TZ_FATE_TAKEN, TZ_FATE_WITHDRAWN };

struct tz_commit {
	uint64_t id;
	uint64_t due;         /* not before this frame; 0: at the next boundary */
	_Atomic int fate;
	uint64_t frame;       /* where it was adopted */
	struct tz_plan *plan; /* before adoption the new plan or NULL, after it the old one or NULL */
	struct tz_copy *copies; /* or NULL */
	struct tz_act *acts;
	uint32_t act_count, act_capacity;
	struct tz_probing *probings;
};

/* [audio] Whether it is still to be carried out; from here on it can't be withdrawn. */
bool tz_commit_take(struct tz_commit *commit);
/* [audio] Carries a commit out. `running` is the engine's current plan, `pacer` the node of the card that is its clock, if one is. Cannot fail. */
void tz_commit_adopt(struct tz_commit *commit, struct tz_plan **running, struct tz_node **pacer, uint64_t frame);

#endif
