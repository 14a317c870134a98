/* [both] Single-writer single-reader ring of planar float32 frames: the only way samples cross between the audio thread and
 * the threads outside. Neither side ever waits for the other on the audio thread; a full or empty ring is counted.
 * Its memory may be exchanged for another, larger or smaller, while both sides are at work; that is counted through.
 * Invariant: `written` and `read` count frames since creation and only grow; read ≤ written ≤ read + capacity. */
#ifndef TZ_RING_H
#define TZ_RING_H

#include "pace.h"
#include "tonnetz_core.h"

/* [audio] Copies up to `frames` frames out / in, returns how many. Counts what was missing. Never blocks. */
uint32_t tz_ring_pull(struct tz_ring *ring, float *const *channels, uint32_t frames);
uint32_t tz_ring_push(struct tz_ring *ring, const float *const *channels, uint32_t frames);

struct tz_ring *tz_ring_retain(struct tz_ring *ring);
struct tz_pace *tz_ring_pace(struct tz_ring *ring);

/* [card] */
void tz_ring_reopen(struct tz_ring *ring); /* after tz_ring_close: the outside is back */
uint32_t tz_ring_fill(const struct tz_ring *ring);
uint32_t tz_ring_channels(const struct tz_ring *ring);
void tz_ring_skip(struct tz_ring *ring, uint32_t frames); /* the reader drops so many of those that are there */

/* [audio] For clocks that may wait (freewheel, step): is there a block to pull, is there room to push one, or will there never be? */
bool tz_ring_can_pull(const struct tz_ring *ring, uint32_t frames);
bool tz_ring_can_push(const struct tz_ring *ring, uint32_t frames);
/* [audio] For a clock that goes by a card that plays: has it taken so much that another block belongs into the ring? */
bool tz_ring_wants_block(const struct tz_ring *ring, uint32_t frames);
/* [audio] Clocks that wait: sleep until the outside moved or the time is over; tell the outside that a block has run. */
void tz_ring_await_outside(struct tz_ring *ring, bool (*ready)(const struct tz_ring *, uint32_t), uint32_t frames, long timeout_ns);
void tz_ring_nudge(struct tz_ring *ring);

#endif
