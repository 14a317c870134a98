/* [card] Samples as cards write them. Whole numbers of up to 24 bits go both ways without losing one. */
#include "sample_format.h"

#include <math.h>
#include <string.h>

/* A sample as a whole number of `bits` bits. */
static int32_t quantise(float sample, unsigned bits, uint32_t *clipped)
{
	const double full = (double)(1u << (bits - 1)), scaled = (double)sample * full;
	if (scaled >= -full - 0.5 && scaled < full - 0.5) /* halves go to the even number: below that is -full, above it full, which is too much */
		return (int32_t)lrint(scaled);
	if (isnan(sample))
		return 0;
	++*clipped;
	return scaled < 0 ? (int32_t)-full : (int32_t)(full - 1);
}

/* Packed in three bytes, the lowest first on every machine: that is what S24_3LE says. */
static void put_packed(char *to, int32_t value)
{
	const uint32_t bits = (uint32_t)value;
	const unsigned char bytes[3] = {(unsigned char)bits, (unsigned char)(bits >> 8), (unsigned char)(bits >> 16)};
	memcpy(to, bytes, sizeof bytes);
}

static int32_t get_packed(const char *from)
{
	unsigned char bytes[3];
	memcpy(bytes, from, sizeof bytes);
	const uint32_t top = (uint32_t)bytes[2] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[0] << 8;
	return (int32_t)top / 256;
}

uint32_t tz_samples_put(tz_sample_format format, const float *from, void *target, size_t step, uint32_t frames)
{
	char *to = target;
	uint32_t clipped = 0;
	for (uint32_t i = 0; i < frames; i++, to += step) {
		int32_t wide;
		int16_t narrow;
		float sample;
		switch (format) {
		case TZ_FORMAT_AUTO:
		case TZ_FORMAT_F32:
			sample = isnan(from[i]) ? 0.0f : from[i];
			memcpy(to, &sample, sizeof sample);
			break;
		case TZ_FORMAT_S16:
			narrow = (int16_t)quantise(from[i], 16, &clipped);
			memcpy(to, &narrow, sizeof narrow);
			break;
		case TZ_FORMAT_S24_3:
			put_packed(to, quantise(from[i], 24, &clipped));
			break;
		case TZ_FORMAT_S24_4:
			wide = quantise(from[i], 24, &clipped);
			memcpy(to, &wide, sizeof wide);
			break;
		case TZ_FORMAT_S24_4_LEFT:
			wide = quantise(from[i], 24, &clipped) * 256;
			memcpy(to, &wide, sizeof wide);
			break;
		case TZ_FORMAT_S32:
			wide = quantise(from[i], 32, &clipped);
			memcpy(to, &wide, sizeof wide);
			break;
		}
	}
	return clipped;
}

void tz_samples_get(tz_sample_format format, const void *source, size_t step, float *to, uint32_t frames)
{
	const char *from = source;
	for (uint32_t i = 0; i < frames; i++, from += step) {
		int32_t wide;
		int16_t narrow;
		switch (format) {
		case TZ_FORMAT_AUTO:
		case TZ_FORMAT_F32:
			memcpy(&to[i], from, sizeof to[i]);
			break;
		case TZ_FORMAT_S16:
			memcpy(&narrow, from, sizeof narrow);
			to[i] = (float)narrow * 0x1p-15f;
			break;
		case TZ_FORMAT_S24_3:
			to[i] = (float)get_packed(from) * 0x1p-23f;
			break;
		case TZ_FORMAT_S24_4: /* what stands in the highest byte means nothing */
			memcpy(&wide, from, sizeof wide);
			to[i] = (float)((int32_t)((uint32_t)wide << 8) / 256) * 0x1p-23f;
			break;
		case TZ_FORMAT_S24_4_LEFT:
		case TZ_FORMAT_S32:
			memcpy(&wide, from, sizeof wide);
			to[i] = (float)wide * 0x1p-31f;
			break;
		}
	}
}
