/* [audio] What a thread outside writes into a ring, as a node: the sounding half of players and network inputs. */
#include "../kernel.h"
#include "../node_type.h"
#include "../ring.h"

#include <math.h>
#include <string.h>

enum { GAIN_DB };

static const struct tz_parameter parameters[] = {
	[GAIN_DB] = {.name = "gain_db", .unit = "dB", .help = "Level of what is played.", .kind = TZ_FLOAT, .minimum = -60, .maximum = 24},
	{0},
};

static const struct tz_port ports[] = {
	{.name = "out", .help = "What comes in from outside.", .direction = TZ_OUTPUT, .rule = TZ_PARAMETER, .channels_parameter = "channels"},
	{0},
};

struct settings {
	float gain;
	uint32_t own_ramp_frames;
};

struct state {
	struct tz_ring *ring;
	uint32_t channels;
	float gain, gain_step, target;
	uint32_t ramp_left;
	/* After a hole the sound comes back in the middle of something: fade it in. */
	bool began, hole;
	uint32_t fade_at, fade_frames;
};

static size_t settings_size(const struct tz_shape *shape)
{
	(void)shape;
	return sizeof(struct settings);
}

static size_t state_size(const struct tz_shape *shape, const double *values)
{
	(void)shape, (void)values;
	return sizeof(struct state);
}

static void prepare(const struct tz_shape *shape, const double *values, void *block)
{
	struct settings *settings = block;
	settings->gain = (float)pow(10.0, values[GAIN_DB] / 20.0);
	settings->own_ramp_frames = (uint32_t)(0.020 * shape->sample_rate); /* 20 ms, the project's default */
}

static void init(const struct tz_shape *shape, const double *values, const void *block, void *memory)
{
	const struct settings *settings = block;
	struct state *state = memory;
	(void)values;
	state->ring = shape->ring;
	state->channels = shape->output_channels[0];
	state->gain = state->target = settings->gain;
	state->fade_frames = (uint32_t)(0.005 * shape->sample_rate); /* 5 ms: short enough to lose no syllable, long enough not to click */
	state->fade_at = state->fade_frames;
}

static void adopt(void *memory, const void *block, int32_t ramp_frames)
{
	const struct settings *settings = block;
	struct state *state = memory;
	state->target = settings->gain;
	state->ramp_left = ramp_frames < 0 ? settings->own_ramp_frames : (uint32_t)ramp_frames;
	if (state->ramp_left)
		state->gain_step = (state->target - state->gain) / (float)state->ramp_left;
	else
		state->gain = state->target;
}

TZ_KERNEL static void scale(float *samples, float gain, uint32_t frames)
{
	for (uint32_t i = 0; i < frames; i++)
		samples[i] *= gain;
}

static void apply_gain(struct state *state, float *const *out, uint32_t frames)
{
	for (uint32_t i = 0; i < frames && state->ramp_left; i++) {
		state->gain += state->gain_step;
		if (--state->ramp_left == 0)
			state->gain = state->target;
		for (uint32_t c = 0; c < state->channels; c++)
			out[c][i] *= state->gain;
		if (state->ramp_left == 0) {
			for (uint32_t c = 0; c < state->channels; c++)
				scale(out[c] + i + 1, state->gain, frames - i - 1);
			return;
		}
	}
	if (state->ramp_left == 0 && state->gain != 1.0f)
		for (uint32_t c = 0; c < state->channels; c++)
			scale(out[c], state->gain, frames);
}

static void fade_in(struct state *state, float *const *out, uint32_t frames)
{
	for (uint32_t i = 0; i < frames && state->fade_at < state->fade_frames; i++, state->fade_at++)
		for (uint32_t c = 0; c < state->channels; c++)
			out[c][i] *= (float)state->fade_at / (float)state->fade_frames;
}

static void process(const struct tz_member *members, uint32_t count, uint32_t frames)
{
	for (uint32_t m = 0; m < count; m++) {
		struct state *state = members[m].state;
		float *const *out = members[m].out[0];
		uint32_t taken = tz_ring_pull(state->ring, out, frames);
		for (uint32_t c = 0; c < state->channels; c++)
			memset(out[c] + taken, 0, (frames - taken) * sizeof(float));
		if (taken && state->hole) {
			state->hole = false;
			state->fade_at = 0;
		}
		fade_in(state, out, taken);
		state->began |= taken > 0;
		state->hole |= state->began && taken < frames;
		apply_gain(state, out, frames);
	}
}

static void reset(void *memory)
{
	struct state *state = memory;
	state->gain = state->target;
	state->ramp_left = 0;
	state->fade_at = state->fade_frames;
	state->began = state->hole = false;
}

TN_NODE_TYPE(ring_source) = {
	.name = "ring_source",
	.category = "source",
	.help = "Plays what a thread outside writes into its ring.",
	.flags = TZ_USES_RING | TZ_INTERNAL | TZ_GUARDED,
	.parameters = parameters,
	.ports = ports,
	.settings_size = settings_size,
	.state_size = state_size,
	.prepare = prepare,
	.init = init,
	.adopt = adopt,
	.process = process,
	.reset = reset,
};
