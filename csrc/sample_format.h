/* [card] How sound cards write a sample down, and how it becomes float and back. Full scale is ±1. */
#ifndef TZ_SAMPLE_FORMAT_H
#define TZ_SAMPLE_FORMAT_H

#include "tonnetz_core.h"

/* Rounds to the nearest, holds what is beyond full scale there, and says how many samples that were (none in TZ_FORMAT_F32). NaN
 * becomes silence. `step`: bytes from one sample of the channel to its next. */
uint32_t tz_samples_put(tz_sample_format format, const float *from, void *to, size_t step, uint32_t frames);
void tz_samples_get(tz_sample_format format, const void *from, size_t step, float *to, uint32_t frames);

#endif
