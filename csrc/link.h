/* [both] A link is one connection's fade: a raised-cosine gain whose position moves one step a frame, up or down.
 * Positions are whole frames, so a fade is the same samples whatever the block size, and a fade that is turned round, or given
 * another length, goes on from the gain it has reached. */
#ifndef TZ_LINK_H
#define TZ_LINK_H

#include "tonnetz_core.h"

struct tz_link *tz_link_retain(struct tz_link *link);

/* [audio] */
void tz_link_turn(struct tz_link *link, bool sounding, uint32_t frames, uint32_t wait); /* 0 frames: at once, after `wait` */
void tz_link_follow(struct tz_link *link, const struct tz_link *leader); /* from now on it is where the leader is */
void tz_link_drain(struct tz_link *link, const struct tz_drain *drain); /* from now on it may let go by itself */
/* A block that comes from its source and ends at frame `end`, before its gains are asked for. */
void tz_link_hear(struct tz_link *link, const float *const *source, uint32_t channels, uint32_t frames, uint64_t end);
bool tz_link_at_unity(const struct tz_link *link);
bool tz_link_silent(const struct tz_link *link);
void tz_link_gains(struct tz_link *link, float *gains, uint32_t frames); /* the next frames' gains; moves on */

#endif
