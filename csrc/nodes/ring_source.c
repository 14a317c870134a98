/* [audio] What a thread outside writes into a ring, as a node: the sounding half of players and of cards that capture. */
#include "../node_type.h"
#include "../ring.h"
#include "../ring_gain.h"

#include <string.h>

static const struct tz_port ports[] = {
	{.name = "out", .help = "What comes in from outside.", .direction = TZ_OUTPUT, .rule = TZ_PARAMETER, .channels_parameter = "channels"},
	{0},
};

struct state {
	struct tz_ring *ring;
	uint32_t channels;
	struct tz_ring_gain gain;
	/* After a hole the sound comes back in the middle of something: fade it in. */
	bool began, hole;
	uint32_t fade_at, fade_frames;
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
	state->channels = shape->output_channels[0];
	state->fade_frames = tz_frames(5.0, shape->sample_rate); /* 5 ms: loses no syllable, and does not click */
	state->fade_at = state->fade_frames;
	adopt(state, settings, 0);
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
			tz_ring_gain_apply(&state->gain, out[c], out[c], frames);
		}
		state->began |= taken > 0;
		state->hole |= state->began && taken < frames;
		tz_ring_gain_pass(&state->gain, frames);
	}
}

static void reset(void *block)
{
	struct state *state = block;
	state->gain.glide.left = 0;
	state->fade_at = state->fade_frames;
	state->began = state->hole = false;
}

TZ_NODE_TYPE(ring_source) = {
	.name = "ring_source",
	.category = "source",
	.help = "Plays what a thread outside writes into its ring.",
	.flags = TZ_USES_RING | TZ_INTERNAL | TZ_GUARDED,
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
