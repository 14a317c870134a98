/* [both] The level of what a node takes from its ring or gives to it: the parameter `gain_db`, and how it glides. For nodes that have no
 * other parameter, so that what is here is all of their settings. */
#ifndef TZ_RING_GAIN_H
#define TZ_RING_GAIN_H

#include "elementary.h"
#include "node_type.h"
#include "ramp.h"

static const struct tz_parameter tz_ring_gain_parameters[] = {
	{.name = "gain_db", .unit = "dB", .help = "Level of what is played.", .kind = TZ_FLOAT, .minimum = -60, .maximum = 24},
	{0},
};

struct tz_ring_gain_settings {
	float target;
	uint32_t own_frames;
};

struct tz_ring_gain {
	struct tz_glide glide;
	struct tz_ramp ramp;
};

/* [control] */
static size_t tz_ring_gain_settings_size(const struct tz_shape *shape)
{
	(void)shape;
	return sizeof(struct tz_ring_gain_settings);
}

static void tz_ring_gain_prepare(const struct tz_shape *shape, const double *values, void *block)
{
	struct tz_ring_gain_settings *settings = block;
	settings->target = (float)tz_factor(values[0]);
	settings->own_frames = tz_frames(TZ_OWN_RAMP_MS, shape->sample_rate);
}

/* [audio] */
static inline void tz_ring_gain_adopt(struct tz_ring_gain *gain, const struct tz_ring_gain_settings *settings, int32_t ramp_frames)
{
	tz_ramp_to(&gain->ramp, tz_way(&gain->glide, gain->glide.left), settings->target);
	tz_glide_start(&gain->glide, ramp_frames, settings->own_frames);
}

TZ_INLINE bool tz_ring_gain_does_nothing(const struct tz_ring_gain *gain)
{
	return gain->glide.left == 0 && gain->ramp.target == 1.0f;
}

/* One channel, from `in` to `out`, which may be the same. Call tz_ring_gain_pass() after the last. */
TZ_INLINE void tz_ring_gain_apply(const struct tz_ring_gain *gain, float *out, const float *in, uint32_t frames)
{
	const uint32_t gliding = tz_least(frames, gain->glide.left);
	for (uint32_t i = 0; i < gliding; i++)
		out[i] = in[i] * tz_ramp_at(&gain->ramp, tz_way(&gain->glide, gain->glide.left - 1 - i));
	if (out == in && gain->ramp.target == 1.0f)
		return;
	for (uint32_t i = gliding; i < frames; i++)
		out[i] = in[i] * gain->ramp.target;
}

TZ_INLINE void tz_ring_gain_pass(struct tz_ring_gain *gain, uint32_t frames)
{
	gain->glide.left -= tz_least(frames, gain->glide.left);
}

#endif
