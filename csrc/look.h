/* [audio] The look at an output, which feeds meters and the guard against NaN: peak and sum of squares in one pass. */
#ifndef TZ_LOOK_H
#define TZ_LOOK_H

#include <stdint.h>

struct tz_level {
	float peak, square_sum;
};

void tz_look(const float *samples, uint32_t frames, struct tz_level *level);

/* The same for newer processors, not in every build (build_core.py). */
void tz_look_v3(const float *samples, uint32_t frames, struct tz_level *level) __attribute__((weak, visibility("hidden")));
void tz_look_v4(const float *samples, uint32_t frames, struct tz_level *level) __attribute__((weak, visibility("hidden")));

#endif
