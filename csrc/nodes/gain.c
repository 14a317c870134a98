/* [both] Gain: a level, a mute and a polarity, and a control input through which another node can drive the level. */
#include <math.h>

#include "../elementary.h"
#include "../node_type.h"
#include "../ramp.h"

enum { GAIN_DB, MUTE, INVERT, RAMP_MS };

static const struct tz_parameter parameters[] = {
	[GAIN_DB] = {.name = "gain_db", .kind = TZ_FLOAT, .unit = "dB", .minimum = -120, .maximum = 24, .initial = 0, .step = 0.1,
	             .help = "How much louder or softer the sound becomes."},
	[MUTE] = {.name = "mute", .kind = TZ_BOOL, .unit = "", .help = "Silence, reached by a ramp."},
	[INVERT] = {.name = "invert", .kind = TZ_BOOL, .unit = "", .help = "Turns the polarity round."},
	[RAMP_MS] = {.name = "ramp_ms", .kind = TZ_FLOAT, .unit = "ms", .minimum = 0, .maximum = 10000, .initial = TZ_OWN_RAMP_MS, .step = 1,
	             .help = "How long a change takes, where the edit does not say."},
	{0},
};

static const struct tz_port ports[] = {
	{.name = "in", .direction = TZ_INPUT, .rule = TZ_FOLLOW, .help = "The sound."},
	{.name = "gain_db", .direction = TZ_INPUT, .signal = TZ_CONTROL, .rule = TZ_FIXED, .channels = 1, .optional = true,
	 .help = "Decibels to add to gain_db, frame by frame."},
	{.name = "out", .direction = TZ_OUTPUT, .rule = TZ_FOLLOW, .help = "The sound at its new level."},
	{0},
};

struct settings {
	float factor;
	uint32_t own_frames;
};

struct state {
	uint32_t channels;
	uint32_t own_frames;
	struct tz_glide glide;
	struct tz_ramp factor;
};

static size_t settings_size(const struct tz_shape *shape)
{
	(void)shape;
	return sizeof(struct settings);
}

static size_t state_size(const struct tz_shape *shape, const double *values)
{
	(void)shape;
	(void)values;
	return sizeof(struct state);
}

static void prepare(const struct tz_shape *shape, const double *values, void *block)
{
	struct settings *settings = block;
	const double factor = values[MUTE] != 0.0 ? 0.0 : tz_factor(values[GAIN_DB]);
	settings->factor = (float)(values[INVERT] != 0.0 ? -factor : factor);
	settings->own_frames = tz_frames(values[RAMP_MS], shape->sample_rate);
}

static void adopt(void *block, const void *new_settings, int32_t ramp_frames)
{
	struct state *state = block;
	const struct settings *settings = new_settings;
	tz_ramp_to(&state->factor, tz_way(&state->glide, state->glide.left), settings->factor);
	tz_glide_start(&state->glide, ramp_frames, settings->own_frames);
}

static void init(const struct tz_shape *shape, const double *values, const void *settings, void *block)
{
	(void)values;
	struct state *state = block;
	state->channels = shape->output_channels[0];
	adopt(state, settings, 0);
}

static void reset(void *block)
{
	struct state *state = block;
	state->glide.left = 0;
}

/* A driven gain follows every value of its control: −120 dB and less is as good as silence, +60 dB the most it can do. */
TZ_INLINE float driven(float decibels)
{
	decibels = decibels > -120.0f ? decibels : -120.0f;
	decibels = decibels < 60.0f ? decibels : 60.0f;
	return tz_exp2f(decibels * 0.16609640f);
}

TZ_INLINE void multiply(float *restrict out, const float *restrict in, float factor, uint32_t frames)
{
	for (uint32_t frame = 0; frame < frames; frame++)
		out[frame] = in[frame] * factor;
}

TZ_INLINE void run(struct state *state, const struct tz_member *member, uint32_t first, uint32_t frames)
{
	const struct tz_glide glide = state->glide;
	const struct tz_ramp factor = state->factor;
	for (uint32_t channel = 0; channel < state->channels; channel++) {
		const float *restrict in = member->in[0][channel] + first;
		float *restrict out = member->out[0][channel] + first;
		if (glide.left > 0)
			for (uint32_t frame = 0; frame < frames; frame++)
				out[frame] = in[frame] * tz_ramp_at(&factor, tz_way(&glide, glide.left - 1 - frame));
		else
			multiply(out, in, factor.target, frames);
	}
	if (member->in[1] == NULL)
		return;
	const float *restrict control = member->in[1][0] + first;
	for (uint32_t done = 0; done < frames; done += TZ_PIECE) {
		const uint32_t piece = tz_least(frames - done, TZ_PIECE);
		float drive[TZ_PIECE];
		for (uint32_t frame = 0; frame < piece; frame++)
			drive[frame] = driven(control[done + frame]);
		for (uint32_t channel = 0; channel < state->channels; channel++) {
			float *restrict out = member->out[0][channel] + first + done;
			for (uint32_t frame = 0; frame < piece; frame++)
				out[frame] *= drive[frame];
		}
	}
}

static void process_moving(const struct tz_member *member, uint32_t frames)
{
	struct state *state = member->state;
	const uint32_t gliding = tz_least(frames, state->glide.left);
	if (gliding > 0)
		run(state, member, 0, gliding);
	state->glide.left -= gliding;
	if (gliding < frames)
		run(state, member, gliding, frames - gliding);
}

/* Most gains stand still and are not driven: they go without what the others put on the stack. */
static void process(const struct tz_member *members, uint32_t count, uint32_t frames)
{
	for (const struct tz_member *member = members; member < members + count; member++) {
		const struct state *state = member->state;
		if (state->glide.left > 0 || member->in[1] != NULL) {
			process_moving(member, frames);
			continue;
		}
		for (uint32_t channel = 0; channel < state->channels; channel++)
			multiply(member->out[0][channel], member->in[0][channel], state->factor.target, frames);
	}
}

TZ_NODE_TYPE(gain) = {
	.name = "gain",
	.category = "processor",
	.help = "Changes the level. Mutes, turns the polarity, and follows a control signal if one is connected.",
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
