/* [both] Compensation: holds the sound of a short way back until that of a longer one has come, so that both meet in time. The plan puts
 * it where ways of unlike latency come together; nobody else does. */
#include <string.h>

#include "../kernel.h"
#include "../node_type.h"

enum { FRAMES };

static const struct tz_parameter parameters[] = {
	[FRAMES] = {.name = "frames", .kind = TZ_INT, .unit = "", .flags = TZ_STRUCTURE, .minimum = 1, .maximum = 1 << 20, .initial = 1,
	            .help = "How many frames later the sound comes."},
	{0},
};

static const struct tz_port ports[] = {
	{.name = "in", .direction = TZ_INPUT, .rule = TZ_FOLLOW, .help = "The sound."},
	{.name = "out", .direction = TZ_OUTPUT, .rule = TZ_FOLLOW, .help = "The same, later."},
	{0},
};

struct state {
	uint32_t channels, frames;
	uint32_t position; /* of the oldest frame, which the next one takes the place of */
	float line[];
};

static uint32_t latency(const struct tz_shape *shape, const double *values)
{
	(void)shape;
	return (uint32_t)values[FRAMES];
}

static size_t settings_size(const struct tz_shape *shape)
{
	(void)shape;
	return 0;
}

static size_t state_size(const struct tz_shape *shape, const double *values)
{
	return sizeof(struct state) + (size_t)latency(shape, values) * shape->output_channels[0] * sizeof(float);
}

static void prepare(const struct tz_shape *shape, const double *values, void *settings)
{
	(void)shape, (void)values, (void)settings;
}

static void init(const struct tz_shape *shape, const double *values, const void *settings, void *block)
{
	(void)settings;
	struct state *state = block;
	state->channels = shape->output_channels[0];
	state->frames = latency(shape, values);
}

static void adopt(void *state, const void *settings, int32_t ramp_frames)
{
	(void)state, (void)settings, (void)ramp_frames;
}

static void reset(void *block)
{
	struct state *state = block;
	state->position = 0;
	memset(state->line, 0, (size_t)state->channels * state->frames * sizeof(float));
}

static void process(const struct tz_member *members, uint32_t count, uint32_t frames)
{
	for (uint32_t n = 0; n < count; n++) {
		struct state *state = members[n].state;
		for (uint32_t done = 0; done < frames;) {
			const uint32_t piece = tz_least(frames - done, state->frames - state->position);
			for (uint32_t channel = 0; channel < state->channels; channel++) {
				float *line = state->line + (size_t)channel * state->frames + state->position;
				memcpy(members[n].out[0][channel] + done, line, piece * sizeof(float));
				memcpy(line, members[n].in[0][channel] + done, piece * sizeof(float));
			}
			state->position = state->position + piece == state->frames ? 0 : state->position + piece;
			done += piece;
		}
	}
}

TZ_NODE_TYPE(compensation) = {
	.name = "compensation",
	.category = "processor",
	.help = "Delays a short way by what a longer one is late.",
	.flags = TZ_INTERNAL,
	.parameters = parameters,
	.ports = ports,
	.settings_size = settings_size,
	.state_size = state_size,
	.prepare = prepare,
	.init = init,
	.adopt = adopt,
	.process = process,
	.reset = reset,
	.latency = latency,
};
