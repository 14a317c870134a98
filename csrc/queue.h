/* [both] Single-writer single-reader queue of pointers: how commits reach the audio thread and how they come back. */
#ifndef TZ_QUEUE_H
#define TZ_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TZ_QUEUE_SLOTS 1024u /* commits under way; at 2,000 edits a second and 5 ms blocks some 10 are */

struct tz_queue {
	_Alignas(64) _Atomic uint32_t pushed;
	_Alignas(64) _Atomic uint32_t popped;
	void *slots[TZ_QUEUE_SLOTS];
};

static inline bool tz_queue_push(struct tz_queue *queue, void *item)
{
	uint32_t pushed = atomic_load_explicit(&queue->pushed, memory_order_relaxed);
	if (pushed - atomic_load_explicit(&queue->popped, memory_order_acquire) == TZ_QUEUE_SLOTS)
		return false;
	queue->slots[pushed % TZ_QUEUE_SLOTS] = item;
	/* seq_cst: who pushes then looks whether somebody holds the engine, who gives it up then looks whether something was pushed, and
	 * one of the two has to see the other (BREAK_ORDER in models/commits.pml) */
	atomic_store_explicit(&queue->pushed, pushed + 1, memory_order_seq_cst);
	return true;
}

static inline void *tz_queue_pop(struct tz_queue *queue)
{
	uint32_t popped = atomic_load_explicit(&queue->popped, memory_order_relaxed);
	if (popped == atomic_load_explicit(&queue->pushed, memory_order_acquire))
		return NULL;
	void *item = queue->slots[popped % TZ_QUEUE_SLOTS];
	atomic_store_explicit(&queue->popped, popped + 1, memory_order_release);
	return item;
}

static inline bool tz_queue_empty(struct tz_queue *queue)
{
	return atomic_load_explicit(&queue->popped, memory_order_relaxed) == atomic_load_explicit(&queue->pushed, memory_order_seq_cst);
}

#endif
