/* [audio] How inner loops are compiled. TZ_KERNEL before a process() makes the compiler build it for three x86-64 levels and the
 * loader choose one; TZ_INLINE helpers become part of whichever called them. ISO C mode contracts no multiply-add and reorders
 * no sum, so every level gives the same bits: only the speed differs. */
#ifndef TZ_KERNEL_H
#define TZ_KERNEL_H

#include <stdint.h> /* also says whether this is glibc: the choice needs its loader */

/* Sanitizers are not up yet when the loader chooses, so their builds define TZ_NO_CLONES. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(TZ_NO_CLONES)
#define TZ_KERNEL __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TZ_KERNEL
#endif

#define TZ_INLINE static inline __attribute__((always_inline))

/* Intermediate values of a node live on the stack in pieces of this many frames: a multiple of every vector, small beside L1. */
enum { TZ_PIECE = 64 };

TZ_INLINE uint32_t tz_least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

#endif
