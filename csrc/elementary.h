/* [both] Exponential, logarithm, sine and tangent made of + − × ÷ alone. The C library picks its versions by processor, and their last
 * bits differ; these are the same everywhere, and the float ones have no branch, so that loops around them become vector code. */
#ifndef TZ_ELEMENTARY_H
#define TZ_ELEMENTARY_H

#include <math.h>
#include <stdbool.h>

#include "kernel.h"

/* ---- [audio] float: one per frame ---- */

union tz_float_bits {
	float value;
	int32_t bits;
};

/* 2^x, within 1.5e-7 of its size, exact where x is whole; x is held to ±126, NaN counts as −126. */
TZ_INLINE float tz_exp2f(float x)
{
	const float magic = 12582912.0f; /* 1.5 × 2^23: adding it leaves no room for a fraction */
	x = x > -126.0f ? x : -126.0f;
	x = x < 126.0f ? x : 126.0f;
	const union tz_float_bits rounded = {.value = x + magic}, zero = {.value = magic};
	const union tz_float_bits scale = {.bits = (rounded.bits - zero.bits + 127) << 23};
	const float rest = x - (rounded.value - magic); /* −0.5 … 0.5 */
	float sum = 1.5345812e-4f;
	sum = sum * rest + 1.3399931e-3f;
	sum = sum * rest + 9.6184890e-3f;
	sum = sum * rest + 5.5503288e-2f;
	sum = sum * rest + 2.4022647e-1f;
	sum = sum * rest + 6.9314721e-1f;
	return (sum * rest + 1.0f) * scale.value;
}

/* log2 of a normal number above 0, within 3e-7. */
TZ_INLINE float tz_log2f(float x)
{
	const union tz_float_bits whole = {.value = x}, half_root = {.value = 0.70710678f};
	const int32_t exponent = (whole.bits - half_root.bits) >> 23;
	const union tz_float_bits mantissa = {.bits = whole.bits - exponent * (1 << 23)}; /* √½ … √2 */
	const float ratio = (mantissa.value - 1.0f) / (mantissa.value + 1.0f), square = ratio * ratio;
	float sum = 0.41219859f; /* 2 / (7 ln 2): the series of the area tangent */
	sum = sum * square + 0.57707802f;
	sum = sum * square + 0.96179669f;
	sum = sum * square + 2.8853901f;
	return (float)exponent + ratio * sum;
}

/* sin(2π phase / 2^32), within 1.2e-7 absolutely: the quarter wave is folded in whole numbers, so no digit is lost near the zeros. */
TZ_INLINE float tz_triangle_turn(uint32_t phase)
{
	const uint32_t mirrored = 0x80000000u - phase;
	const int32_t folded = (int32_t)((phase + 0x40000000u) & 0x80000000u ? mirrored : phase); /* ±2^30 */
	return (float)folded * 0x1p-30f;
}

TZ_INLINE float tz_sine_turn(uint32_t phase)
{
	const float x = tz_triangle_turn(phase), square = x * x;
	float sum = 1.5167853e-4f;
	sum = sum * square - 4.6741575e-3f;
	sum = sum * square + 7.9689927e-2f;
	sum = sum * square - 6.4596376e-1f;
	return x * (sum * square + 1.5707963f);
}

/* ---- [control] double: for prepare() ---- */

static inline double tz_exp2(double x)
{
	if (!(x > -1000.0))
		return 0.0;
	const int whole = (int)(x < 0.0 ? x - 0.5 : x + 0.5);
	const double power = (x - whole) * 0.693147180559945309417;
	double sum = 1.0;
	for (int n = 16; n > 0; n--)
		sum = 1.0 + sum * power / n;
	return ldexp(sum, whole);
}

/* x above 0 */
static inline double tz_log2(double x)
{
	int exponent;
	double mantissa = frexp(x, &exponent); /* 0.5 … 1 */
	if (mantissa < 0.70710678118654752) {
		mantissa *= 2.0;
		exponent--;
	}
	const double ratio = (mantissa - 1.0) / (mantissa + 1.0), square = ratio * ratio;
	double sum = 0.0;
	for (int n = 25; n > 0; n -= 2)
		sum = 1.0 / n + sum * square;
	return exponent + 2.88539008177792681472 * ratio * sum;
}

/* tan(π turns), turns 0 … below ½ */
static inline double tz_tan_half_turns(double turns)
{
	const bool mirrored = turns > 0.25;
	const double x = 3.14159265358979323846 * (mirrored ? 0.5 - turns : turns), square = x * x;
	double sine = 1.0, cosine = 1.0;
	for (int n = 18; n > 0; n -= 2) {
		sine = 1.0 - sine * square / (n * (n + 1));
		cosine = 1.0 - cosine * square / (n * (n - 1));
	}
	return mirrored ? cosine / (x * sine) : x * sine / cosine;
}

/* sin(π turns), turns 0 … ½ */
static inline double tz_sin_half_turns(double turns)
{
	const double half = tz_tan_half_turns(turns / 2.0);
	return 2.0 * half / (1.0 + half * half);
}

/* A gain in dB as a factor; −INFINITY is 0. */
static inline double tz_factor(double decibels)
{
	return tz_exp2(decibels * 0.166096404744368117394);
}

#endif
