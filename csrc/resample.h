/* [card] Changes the rate of a planar stream by any ratio, which may move while it runs: a windowed sinc in 1024 phases, between which
 * it draws straight lines. A ratio of exactly 1 is a copy, bit for bit; from there it sets out without a step, since what it reads is the
 * same stretch of sound. */
#ifndef TZ_RESAMPLE_H
#define TZ_RESAMPLE_H

#include <stdbool.h>
#include <stdint.h>

struct tz_resampler;

/* `step`: frames of the input for one of the output, at rest. `most`: frames that a call takes or makes at most. NULL: no memory. */
struct tz_resampler *tz_resampler_new(uint32_t channels, double step, uint32_t most);
void tz_resampler_free(struct tz_resampler *resampler);

void tz_resampler_set_step(struct tz_resampler *resampler, double step); /* within 5 % of the one at rest */
void tz_resampler_clear(struct tz_resampler *resampler);                 /* silence in it, and as it was when new */

/* Frames that have to be put in before so many can be made; 0: they can. */
uint32_t tz_resampler_needs(const struct tz_resampler *resampler, uint32_t frames);
/* Where the next `frames` input frames go, channel after channel, `stride` apart; tz_resampler_put says that they are there. */
float *tz_resampler_room(struct tz_resampler *resampler, uint32_t *stride);
void tz_resampler_put(struct tz_resampler *resampler, uint32_t frames);
/* Makes up to `most` frames of planar output; how many it could. */
uint32_t tz_resampler_make(struct tz_resampler *resampler, float *planar, uint32_t stride, uint32_t most);
/* Input frames that are in it and have not been heard yet. */
double tz_resampler_holds(const struct tz_resampler *resampler);

#endif
