/* [audio] What a thread outside writes into a ring, as a node: the sounding half of players and network inputs. */
#include "../elementary.h"
#include "../node_type.h"
#include "../ramp.h"
#include "../ring.h"

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
	uint32_t own_frames;
};

struct state {
	struct tz_ring *ring;
	uint32_t channels;
	struct tz_glide glide;
	struct tz_ramp gain;
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
	settings->gain = (float)tz_factor(values[GAIN_DB]);
	settings->own_frames = tz_frames(TZ_OWN_RAMP_MS, shape->sample_rate);
}

static void adopt(void *block, const void *new_settings, int32_t ramp_frames)
{
	const struct settings *settings = new_settings;
	struct state *state = block;
	tz_ramp_to(&state->gain, tz_way(&state->glide, state->glide.left), settings->gain);
	tz_glide_start(&state->glide, ramp_frames, settings->own_frames);
}

static void init(const struct tz_shape *shape, const double *values, const void *settings, void *block)
{
	struct state *state = block;
	(void)values;
	state->ring = shape->ring;
	state->channels = shape->output_channels[0];
	state->fade_frames = tz_frames(5.0, shape->sample_rate); /* 5 ms: loses no syllable, and does not click */
	state->fade_at = state->fade_frames;
	adopt(state, settings, 0);
}

TZ_INLINE void apply_gain(struct state *state, float *restrict samples, uint32_t frames)
{
	const uint32_t gliding = tz_least(frames, state->glide.left);
	for (uint32_t i = 0; i < gliding; i++)
		samples[i] *= tz_ramp_at(&state->gain, tz_way(&state->glide, state->glide.left - 1 - i));
	if (state->gain.target != 1.0f)
		for (uint32_t i = gliding; i < frames; i++)
			samples[i] *= state->gain.target;
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
		const uint32_t taken = tz_ring_pull(state->ring, out, frames);
		if (taken && state->hole) {
			state->hole = false;
			state->fade_at = 0;
		}
		fade_in(state, out, taken);
		for (uint32_t c = 0; c < state->channels; c++) {
			memset(out[c] + taken, 0, (frames - taken) * sizeof(float));
			apply_gain(state, out[c], frames);
		}
		state->began |= taken > 0;
		state->hole |= state->began && taken < frames;
		state->glide.left -= tz_least(frames, state->glide.left);
	}
}

static void reset(void *block)
{
	struct state *state = block;
	state->glide.left = 0;
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
