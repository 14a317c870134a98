/* [control] The core's only allocator. */
#include "memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static atomic_long countdown = -1;
static atomic_long made;

long tz_fail_allocation(long n)
{
	atomic_store(&countdown, n);
	return atomic_exchange(&made, 0);
}

void *tz_allocate(size_t bytes)
{
	atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
	if (atomic_load_explicit(&countdown, memory_order_relaxed) >= 0 && atomic_fetch_sub(&countdown, 1) == 0)
		return NULL;
	if (bytes > SIZE_MAX - TZ_CACHE_LINE)
		return NULL;
	/* aligned_alloc wants a multiple of the alignment */
	size_t rounded = (bytes + TZ_CACHE_LINE - 1) / TZ_CACHE_LINE * TZ_CACHE_LINE;
	if (rounded == 0)
		rounded = TZ_CACHE_LINE;
	void *block = aligned_alloc(TZ_CACHE_LINE, rounded);
	if (block)
		memset(block, 0, rounded); /* also touches every page, so that the audio thread never faults one in */
	return block;
}

void *tz_allocate_array(size_t count, size_t bytes)
{
	if (bytes && count > SIZE_MAX / bytes)
		return NULL;
	return tz_allocate(count * bytes);
}

void tz_free(void *block)
{
	free(block);
}
