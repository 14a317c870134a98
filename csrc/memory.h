/* [control] The core's only allocator: zeroed, cache-line aligned. One place, so that tests can make any allocation fail. */
#ifndef TZ_MEMORY_H
#define TZ_MEMORY_H

#include <stddef.h>

#define TZ_CACHE_LINE 64 /* bytes on every x86-64 and most aarch64; also the widest SIMD register (AVX-512) */

void *tz_allocate(size_t bytes); /* NULL: no memory; a size of 0 gives a valid block */
void *tz_allocate_array(size_t count, size_t bytes);
void tz_free(void *block);

/* Tests: let the n-th allocation from now fail (0: the next one); negative: none. Returns how many were made since the last call.
 * Not declared for Python: a test finds it by its name in the shared library, hence the visibility. */
__attribute__((visibility("default"))) long tz_fail_allocation(long n);

#endif
