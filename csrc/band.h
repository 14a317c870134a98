/* [control] A band of an equalizer as sections: one, or for steep low-pass and high-pass bands a cascade of up to four. */
#ifndef TZ_BAND_H
#define TZ_BAND_H

#include "section.h"

#include <string.h>

enum { TZ_BAND_SECTIONS = 4 };

struct tz_band {
	uint32_t sections;
	struct tz_section section[TZ_BAND_SECTIONS]; /* those beyond are flat */
};

struct tz_band_wish {
	enum tz_section_kind kind;
	double frequency, gain_db, q, slope_db_oct;
	bool enabled;
};

/* A pass band of order n: a first-order section if n is odd, and the pairs of poles, the dull ones before the peaky ones. */
static inline void tz_band_pass(const struct tz_band_wish *wish, double pitch, struct tz_band *band)
{
	const uint32_t order = (uint32_t)(wish->slope_db_oct / 6.0 + 0.5);
	uint32_t made = 0;
	if (order % 2 == 1)
		band->section[made++] = tz_section_first_order(wish->kind, pitch);
	for (uint32_t pair = order / 2; pair > 0; pair--)
		band->section[made++] = tz_section_design(wish->kind, pitch, tz_butterworth_q(order, pair) * wish->q / 0.70710678118654752, 0.0);
	band->sections = made;
}

static inline struct tz_band tz_band_design(const struct tz_band_wish *wish, double sample_rate)
{
	const double pitch = tz_section_pitch(wish->frequency, sample_rate);
	const struct tz_section flat = tz_section_make(pitch, 1.0 / wish->q, 1.0, 0.0, 0.0);
	struct tz_band band = {.sections = 1};
	for (uint32_t n = 0; n < TZ_BAND_SECTIONS; n++)
		band.section[n] = flat;
	if (wish->kind == TZ_LOW_PASS || wish->kind == TZ_HIGH_PASS)
		tz_band_pass(wish, pitch, &band);
	else
		band.section[0] = tz_section_design(wish->kind, pitch, wish->q, wish->gain_db);
	for (uint32_t n = 0; !wish->enabled && n < band.sections; n++) /* they run on unheard, ready to be heard again */
		memcpy(&band.section[n].value[TZ_DIRECT], &flat.value[TZ_DIRECT], 3 * sizeof(float));
	return band;
}

#endif
