/* [both] The clocks, and what a thread needs before it may run blocks. */
#ifndef TZ_REALTIME_H
#define TZ_REALTIME_H

#include <stdint.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

static inline int64_t tz_clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Denormals cost 145 times a normal multiply-add, and a fading filter is full of them: flush them to zero, in this thread only.
 * Returns what to give back to tz_floats_restore. */
static inline uint64_t tz_floats_flush(void)
{
#if defined(__x86_64__)
	unsigned old = _mm_getcsr();
	_mm_setcsr(old | 0x8040); /* FTZ and DAZ */
	return old;
#elif defined(__aarch64__)
	uint64_t old;
	__asm__ volatile("mrs %0, fpcr" : "=r"(old));
	__asm__ volatile("msr fpcr, %0" : : "r"(old | (UINT64_C(1) << 24))); /* FZ */
	return old;
#else
	return 0;
#endif
}

static inline void tz_floats_restore(uint64_t old)
{
#if defined(__x86_64__)
	_mm_setcsr((unsigned)old);
#elif defined(__aarch64__)
	__asm__ volatile("msr fpcr, %0" : : "r"(old));
#else
	(void)old;
#endif
}

#endif
