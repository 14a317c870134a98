/* [audio] What a sound card plays, as a node: into its ring, with a gain of its own. */
#include "../elementary.h"
#include "../node_type.h"
#include "../ramp.h"
#include "../ring.h"

enum { GAIN_DB };
enum { MOST_CHANNELS = 64 };

static const struct tz_parameter parameters[] = {
	[GAIN_DB] = {.name = "gain_db", .unit = "dB", .help = "Level of what is played.", .kind = TZ_FLOAT, .minimum = -60, .maximum = 24},
	{0},
};

static const struct tz_port ports[] = {
	{.name = "in", .help = "What is played.", .direction = TZ_INPUT, .rule = TZ_PARAMETER, .channels_parameter = "channels"},
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
	state->channels = shape->input_channels[0];
	adopt(state, settings, 0);
}

/* At most TZ_PIECE frames from `first` on. */
TZ_INLINE void push_scaled(struct state *state, const float *const *in, uint32_t first, uint32_t frames)
{
	float scaled[MOST_CHANNELS][TZ_PIECE];
	const float *channels[MOST_CHANNELS];
	const uint32_t gliding = tz_least(frames, state->glide.left);
	for (uint32_t c = 0; c < state->channels; c++) {
		for (uint32_t i = 0; i < gliding; i++)
			scaled[c][i] = in[c][first + i] * tz_ramp_at(&state->gain, tz_way(&state->glide, state->glide.left - 1 - i));
		for (uint32_t i = gliding; i < frames; i++)
			scaled[c][i] = in[c][first + i] * state->gain.target;
		channels[c] = scaled[c];
	}
	state->glide.left -= gliding;
	tz_ring_push(state->ring, channels, frames);
}

static void process(const struct tz_member *members, uint32_t count, uint32_t frames)
{
	for (uint32_t m = 0; m < count; m++) {
		struct state *state = members[m].state;
		const float *const *in = members[m].in[0];
		if (state->glide.left == 0 && state->gain.target == 1.0f) {
			tz_ring_push(state->ring, in, frames);
			continue;
		}
		for (uint32_t first = 0; first < frames; first += TZ_PIECE)
			push_scaled(state, in, first, tz_least(frames - first, TZ_PIECE));
	}
}

static void reset(void *block)
{
	struct state *state = block;
	state->glide.left = 0;
}

TN_NODE_TYPE(ring_output) = {
	.name = "ring_output",
	.category = "sink",
	.help = "Gives what comes in to a sound card.",
	.flags = TZ_USES_RING | TZ_INTERNAL,
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
