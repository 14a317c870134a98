/* [audio] A sink that hears nothing: gives a branch somewhere to go, with meters. */
#include "../node_type.h"

static const struct tz_port ports[] = {
	{.name = "in", .help = "Whatever should go nowhere.", .direction = TZ_INPUT, .rule = TZ_FOLLOW},
	{0},
};

static void process(const struct tz_member *members, uint32_t count, uint32_t frames)
{
	(void)members, (void)count, (void)frames;
}

TZ_NODE_TYPE(null_output) = {
	.name = "null_output",
	.category = "sink",
	.help = "Takes sound and drops it. Useful to hear meters of a branch, or to give a test graph an end.",
	.ports = ports,
	.process = process,
};
