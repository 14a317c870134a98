/* [audio] What a sound card plays, as a node: into its ring, with a gain of its own. */
#include "../node_type.h"
#include "../ring.h"
#include "../ring_gain.h"

enum { MOST_CHANNELS = 64 };

static const struct tz_port ports[] = {
	{.name = "in", .help = "What is played.", .direction = TZ_INPUT, .rule = TZ_PARAMETER, .channels_parameter = "channels"},
	{0},
};

struct state {
	struct tz_ring *ring;
	uint32_t channels;
	struct tz_ring_gain gain;
};

static size_t state_size(const struct tz_shape *shape, const double *values)
{
	(void)shape, (void)values;
	return sizeof(struct state);
}

static void adopt(void *block, const void *settings, int32_t ramp_frames)
{
	struct state *state = block;
	tz_ring_gain_adopt(&state->gain, settings, ramp_frames);
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
	for (uint32_t c = 0; c < state->channels; c++) {
		tz_ring_gain_apply(&state->gain, scaled[c], in[c] + first, frames);
		channels[c] = scaled[c];
	}
	tz_ring_gain_pass(&state->gain, frames);
	tz_ring_push(state->ring, channels, frames);
}

static void process(const struct tz_member *members, uint32_t count, uint32_t frames)
{
	for (uint32_t m = 0; m < count; m++) {
		struct state *state = members[m].state;
		const float *const *in = members[m].in[0];
		if (tz_ring_gain_does_nothing(&state->gain)) {
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
	state->gain.glide.left = 0;
}

TZ_NODE_TYPE(ring_output) = {
	.name = "ring_output",
	.category = "sink",
	.help = "Gives what comes in to a sound card.",
	.flags = TZ_USES_RING | TZ_INTERNAL,
	.parameters = tz_ring_gain_parameters,
	.ports = ports,
	.settings_size = tz_ring_gain_settings_size,
	.state_size = state_size,
	.prepare = tz_ring_gain_prepare,
	.init = init,
	.adopt = adopt,
	.process = process,
	.reset = reset,
};
