/* [audio] How inner loops are compiled. Node types are compiled for three levels of x86-64 (build_core.py), and the core chooses when it
 * makes a node; TZ_KERNEL does the same for a function elsewhere, which the loader then chooses. TZ_INLINE helpers become part of
 * whichever called them. ISO C mode contracts no multiply-add and reorders no sum, so every level gives the same bits: only the
 * speed differs. */
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

/* Vectors as wide as this level of the processor has them. Wider ones would be legal, but live in memory and not in registers. */
#if defined(__AVX512F__)
#define TZ_WIDTH 16
#elif defined(__AVX__)
#define TZ_WIDTH 8
#else
#define TZ_WIDTH 4
#endif
typedef float tz_wide __attribute__((vector_size(4 * TZ_WIDTH)));
typedef float tz_wide_anywhere __attribute__((vector_size(4 * TZ_WIDTH), aligned(4), may_alias)); /* in an array of floats */
typedef int32_t tz_wide_mask __attribute__((vector_size(4 * TZ_WIDTH)));

/* Intermediate values of a node live on the stack in pieces of this many frames: a multiple of every vector, small beside L1. */
enum { TZ_PIECE = 64 };

TZ_INLINE uint32_t tz_least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

#endif
