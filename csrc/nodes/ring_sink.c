/* [audio] What a thread outside reads from a ring, as a node: the hearing half of recorders. */
#include "../node_type.h"
#include "../ring.h"

static const struct tz_port ports[] = {
	{.name = "in", .help = "What goes out.", .direction = TZ_INPUT, .rule = TZ_PARAMETER, .channels_parameter = "channels"},
	{0},
};

struct state {
	struct tz_ring *ring;
};

static size_t state_size(const struct tz_shape *shape, const double *values)
{
	(void)shape, (void)values;
	return sizeof(struct state);
}

static void init(const struct tz_shape *shape, const double *values, const void *settings, void *memory)
{
	struct state *state = memory;
	(void)values, (void)settings;
	state->ring = shape->ring;
}

static void process(const struct tz_member *members, uint32_t count, uint32_t frames)
{
	for (uint32_t m = 0; m < count; m++) {
		struct state *state = members[m].state;
		tz_ring_push(state->ring, members[m].in[0], frames);
	}
}

TZ_NODE_TYPE(ring_sink) = {
	.name = "ring_sink",
	.category = "sink",
	.help = "Gives what comes in to a thread outside.",
	.flags = TZ_USES_RING | TZ_INTERNAL,
	.ports = ports,
	.state_size = state_size,
	.init = init,
	.process = process,
};
