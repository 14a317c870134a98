/* [both] A second-order filter section as a state-variable filter with trapezoidal integrators (Simper's form). Its two memories are
 * what the analogue filter's capacitors hold, so they stay meaningful while pitch, damping and output mix glide, frame by frame; and
 * it keeps its accuracy at low frequencies in 32 bits. Responses are those of Bristow-Johnson's cookbook. */
#ifndef TZ_SECTION_H
#define TZ_SECTION_H

#include "elementary.h"
#include "ramp.h"

/* What a section is; all five glide. The output is direct × input + band × band-pass + low × low-pass. */
enum { TZ_PITCH, TZ_DAMPING, TZ_DIRECT, TZ_BAND, TZ_LOW, TZ_SECTION_VALUES };

struct tz_section {
	float value[TZ_SECTION_VALUES]; /* pitch: log2 tan(π f / rate); damping: log2 1/q */
};

struct tz_section_glide {
	struct tz_ramp value[TZ_SECTION_VALUES];
};

/* What a frame of it needs. */
struct tz_coefficients {
	float decay, feed, rise;  /* how the memories change */
	float direct, band, low;  /* the output mix; band and low are halved, for they go with the sum of old and new memory */
};

struct tz_memory {
	float band, low;
};

/* ---- [control] Designs ---- */

enum tz_section_kind { TZ_PEAKING, TZ_LOW_SHELF, TZ_HIGH_SHELF, TZ_LOW_PASS, TZ_HIGH_PASS, TZ_BAND_PASS, TZ_NOTCH, TZ_ALL_PASS };

static inline struct tz_section tz_section_make(double pitch, double damping, double direct, double band, double low)
{
	return (struct tz_section){{(float)tz_log2(pitch), (float)tz_log2(damping), (float)direct, (float)band, (float)low}};
}

static inline double tz_section_pitch(double frequency, double sample_rate)
{
	const double turns = frequency / sample_rate; /* nothing above the highest frequency but one */
	return tz_tan_half_turns(turns < 0.49 ? turns : 0.49);
}

static inline struct tz_section tz_section_design(enum tz_section_kind kind, double pitch, double q, double gain_db)
{
	const double root = tz_factor(gain_db / 2.0), gain = root * root, k = 1.0 / q, tilt = tz_factor(gain_db / 4.0);
	switch (kind) {
	case TZ_PEAKING: return tz_section_make(pitch, k / root, 1.0, k / root * (gain - 1.0), 0.0);
	case TZ_LOW_SHELF: return tz_section_make(pitch / tilt, k, 1.0, k * (root - 1.0), gain - 1.0);
	case TZ_HIGH_SHELF: return tz_section_make(pitch * tilt, k, gain, k * (1.0 - root) * root, 1.0 - gain);
	case TZ_LOW_PASS: return tz_section_make(pitch, k, 0.0, 0.0, 1.0);
	case TZ_HIGH_PASS: return tz_section_make(pitch, k, 1.0, -k, -1.0);
	case TZ_BAND_PASS: return tz_section_make(pitch, k, 0.0, k, 0.0);
	case TZ_NOTCH: return tz_section_make(pitch, k, 1.0, -k, 0.0);
	case TZ_ALL_PASS: return tz_section_make(pitch, k, 1.0, -2.0 * k, 0.0);
	}
	return tz_section_make(pitch, k, 1.0, 0.0, 0.0);
}

/* First-order low-pass and high-pass: with q ½ the denominator is (s + 1)², and the mix puts one (s + 1) above it. */
static inline struct tz_section tz_section_first_order(enum tz_section_kind kind, double pitch)
{
	return kind == TZ_LOW_PASS ? tz_section_make(pitch, 2.0, 0.0, 1.0, 1.0) : tz_section_make(pitch, 2.0, 1.0, -1.0, -1.0);
}

/* The quality of the n-th pair of poles, 1 … order / 2, of a Butterworth filter; the highest comes first. */
static inline double tz_butterworth_q(uint32_t order, uint32_t n)
{
	return 0.5 / tz_sin_half_turns((2.0 * n - 1.0) / (2.0 * order));
}

/* ---- [audio] ---- */

TZ_INLINE struct tz_coefficients tz_section_coefficients(float pitch, float damping, float direct, float band, float low)
{
	const float g = tz_exp2f(pitch), k = tz_exp2f(damping), sum = g + k;
	const float feed = 2.0f * g / (1.0f + g * sum);
	return (struct tz_coefficients){-sum * feed, feed, g * feed, direct, 0.5f * band, 0.5f * low};
}

TZ_INLINE struct tz_coefficients tz_section_at(const struct tz_section_glide *glide, float way)
{
	const struct tz_ramp *value = glide->value;
	return tz_section_coefficients(tz_ramp_at(&value[TZ_PITCH], way), tz_ramp_at(&value[TZ_DAMPING], way), tz_ramp_at(&value[TZ_DIRECT], way),
	    tz_ramp_at(&value[TZ_BAND], way), tz_ramp_at(&value[TZ_LOW], way));
}

TZ_INLINE float tz_section_step(const struct tz_coefficients *c, struct tz_memory *memory, float in)
{
	const float across = in - memory->low;
	const float band_step = c->decay * memory->band + c->feed * across, low_step = c->feed * memory->band + c->rise * across;
	const struct tz_memory before = *memory;
	memory->band += band_step;
	memory->low += low_step;
	return c->direct * in + (c->band * (before.band + memory->band) + c->low * (before.low + memory->low));
}

#endif
