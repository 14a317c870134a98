/* [both] Mixer: any number of inputs, each with its level, its place between left and right, mute and solo, summed in one pass. */
#include <string.h>

#include "../elementary.h"
#include "../node_type.h"
#include "../weighted_sum.h"

enum { MOST_INPUTS = 128 };
enum { GAIN_DB, PAN, MUTE, SOLO, STRIP_VALUES }; /* the list comes first, then: */
enum { MASTER_DB, PAN_LAW_DB };

static const struct tz_parameter strip_fields[] = {
	[GAIN_DB] = {.name = "gain_db", .kind = TZ_FLOAT, .unit = "dB", .minimum = -120, .maximum = 12, .initial = 0, .step = 0.1,
	             .help = "The level of this input."},
	[PAN] = {.name = "pan", .kind = TZ_FLOAT, .unit = "", .minimum = -1, .maximum = 1, .initial = 0, .step = 0.01,
	         .help = "-1 is left, 1 is right. A mono input is placed, a stereo input is balanced, wider ones are left alone."},
	[MUTE] = {.name = "mute", .kind = TZ_BOOL, .unit = "", .help = "Silences this input."},
	[SOLO] = {.name = "solo", .kind = TZ_BOOL, .unit = "", .help = "Silences every input that has no solo. Mute is stronger."},
	{0},
};

static const struct tz_parameter parameters[] = {
	{.name = "inputs", .kind = TZ_LIST, .unit = "", .fields = strip_fields, .count_minimum = 1, .count_maximum = MOST_INPUTS, .count_initial = 2,
	 .help = "One record for each input port: in_1, in_2 and so on."},
	{.name = "gain_db", .kind = TZ_FLOAT, .unit = "dB", .minimum = -120, .maximum = 12, .initial = 0, .step = 0.1, .help = "The level of the sum."},
	{.name = "pan_law_db", .kind = TZ_FLOAT, .unit = "dB", .minimum = -6, .maximum = 0, .initial = -3, .step = 1.5,
	 .help = "The level of a mono input on both sides when it is in the middle; at the ends it is 0 dB on one side. "
	         "-3 keeps the power, -6 keeps the sum of both sides, 0 turns only the far side down."},
	{0},
};

static const struct tz_port ports[] = {
	{.name = "in_#", .repeat = "inputs", .direction = TZ_INPUT, .rule = TZ_CONNECTED, .help = "A sound to mix."},
	{.name = "out", .direction = TZ_OUTPUT, .rule = TZ_WIDEST, .channels = 2, .help = "The sum."},
	{0},
};

/* What an input contributes to the left and right output. Inputs wider than stereo use the first for all their channels. */
struct settings {
	uint32_t own_frames;
	float factor[][2];
};

struct strip_state {
	uint32_t channels;
	struct tz_ramp factor[2];
};

struct state {
	uint32_t inputs, channels;
	struct tz_glide glide;
	struct strip_state strip[];
};

static size_t settings_size(const struct tz_shape *shape)
{
	return sizeof(struct settings) + shape->input_count * sizeof(float[2]);
}

static size_t state_size(const struct tz_shape *shape, const double *values)
{
	(void)values;
	return sizeof(struct state) + shape->input_count * sizeof(struct strip_state);
}

/* The pan curves at `place` 0 … 1 of the way to a side: three laws have names, the others lie between their neighbours
 * (geometrically, so −4.5 dB is what consoles mean by it). Each is 0 at the far end, 1 at the near one and the law in the middle. */
static double pan_factor(double place, double law_db)
{
	const double named_db = 3.0102999566398120; /* 20 log10 √2 */
	const double linear = place;                              /* −6 dB */
	const double sine = tz_sin_half_turns(place / 2.0);       /* −3 dB */
	const double near_only = place < 0.5 ? 2.0 * place : 1.0; /*  0 dB */
	const bool low = law_db < -named_db;
	const double lower = low ? linear : sine, upper = low ? sine : near_only;
	if (lower <= 0.0)
		return 0.0;
	const double toward_upper = law_db / named_db + (low ? 2.0 : 1.0); /* 0 … 1 */
	return tz_exp2((1.0 - toward_upper) * tz_log2(lower) + toward_upper * tz_log2(upper));
}

static void prepare(const struct tz_shape *shape, const double *values, void *block)
{
	struct settings *settings = block;
	const double *master = values + shape->input_count * STRIP_VALUES;
	bool any_solo = false;
	for (uint32_t n = 0; n < shape->input_count; n++)
		any_solo |= values[n * STRIP_VALUES + SOLO] != 0.0;
	settings->own_frames = tz_frames(TZ_OWN_RAMP_MS, shape->sample_rate);
	for (uint32_t n = 0; n < shape->input_count; n++) {
		const double *value = values + n * STRIP_VALUES;
		if (value[MUTE] != 0.0 || (any_solo && value[SOLO] == 0.0))
			continue; /* 0 on both sides */
		const double level = tz_factor(value[GAIN_DB] + master[MASTER_DB]), pan = value[PAN];
		double left = 1.0, right = 1.0;
		if (shape->input_channels[n] == 1) {
			left = pan_factor((1.0 - pan) / 2.0, master[PAN_LAW_DB]);
			right = pan_factor((1.0 + pan) / 2.0, master[PAN_LAW_DB]);
		} else if (shape->input_channels[n] == 2) {
			left = pan > 0.0 ? 1.0 - pan : 1.0;
			right = pan < 0.0 ? 1.0 + pan : 1.0;
		}
		settings->factor[n][0] = (float)(level * left);
		settings->factor[n][1] = (float)(level * right);
	}
}

static void adopt(void *block, const void *new_settings, int32_t ramp_frames)
{
	struct state *state = block;
	const struct settings *settings = new_settings;
	const float way = tz_way(&state->glide, state->glide.left);
	for (uint32_t n = 0; n < state->inputs; n++)
		for (uint32_t side = 0; side < 2; side++)
			tz_ramp_to(&state->strip[n].factor[side], way, settings->factor[n][side]);
	tz_glide_start(&state->glide, ramp_frames, settings->own_frames);
}

static void init(const struct tz_shape *shape, const double *values, const void *settings, void *block)
{
	(void)values;
	struct state *state = block;
	state->inputs = shape->input_count;
	state->channels = shape->output_channels[0];
	for (uint32_t n = 0; n < state->inputs; n++)
		state->strip[n].channels = shape->input_channels[n];
	adopt(state, settings, 0);
}

static void reset(void *block)
{
	struct state *state = block;
	state->glide.left = 0;
}

/* What of an input sounds in an output channel, NULL if nothing. */
TZ_INLINE const float *sounding(const struct strip_state *strip, const float *const *in, uint32_t channel)
{
	if (strip->channels == 1 && channel < 2)
		return in[0]; /* placed by its pan */
	return channel < strip->channels ? in[channel] : NULL;
}

TZ_INLINE const struct tz_ramp *factor_of(const struct strip_state *strip, uint32_t channel)
{
	return &strip->factor[strip->channels <= 2 ? channel : 0];
}

/* `gliding` of these frames are still in a glide. */
TZ_INLINE void run(const struct state *state, const struct tz_member *member, uint32_t channel, uint32_t gliding, uint32_t frames)
{
	float *out = member->out[0][channel];
	const float *sources[MOST_INPUTS];
	uint32_t places[MOST_INPUTS], count = 0;
	float gains[MOST_INPUTS];
	memset(out, 0, gliding * sizeof(float));
	for (uint32_t n = 0; n < state->inputs; n++) {
		const float *source = sounding(&state->strip[n], member->in[n], channel);
		if (source == NULL)
			continue;
		const struct tz_ramp *factor = factor_of(&state->strip[n], channel);
		tz_add_gliding(out, source, factor, &state->glide, gliding);
		if (factor->target == 0.0f)
			continue; /* silenced and come to rest */
		sources[count] = source;
		gains[count] = factor->target;
		places[count] = count;
		count++;
	}
	const struct tz_terms terms = {.source = places, .gain = gains, .count = count};
	if (gliding < frames)
		tz_sum_terms(1, &out, sources, &terms, gliding, frames - gliding);
}

static void process(const struct tz_member *members, uint32_t count, uint32_t frames)
{
	for (uint32_t n = 0; n < count; n++) {
		struct state *state = members[n].state;
		const uint32_t gliding = tz_least(frames, state->glide.left);
		for (uint32_t channel = 0; channel < state->channels; channel++)
			run(state, &members[n], channel, gliding, frames);
		state->glide.left -= gliding;
	}
}

TN_NODE_TYPE(mixer) = {
	.name = "mixer",
	.category = "processor",
	.help = "Mixes any number of inputs. Each has a level, a pan, mute and solo; mono inputs are placed between left and right.",
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
