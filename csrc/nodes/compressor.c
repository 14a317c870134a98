/* [both] Compressor: feed-forward, all channels turned down together. Level, static curve and gain are in dB; the smoothing between curve
 * and gain is what attack and release are. */
#include <string.h>

#include "../elementary.h"
#include "../node_type.h"
#include "../ramp.h"

enum { THRESHOLD_DB, RATIO, ATTACK_MS, RELEASE_MS, KNEE_DB, MAKEUP_DB, DETECTOR, LOOKAHEAD_MS, MIX };
enum { IN, SIDECHAIN };
enum { OUT, GAIN_REDUCTION_DB };

/* The window of the rms detector, and how long the peak detector takes to forget: time constants, in ms. Long beside a period of
 * speech or music, short beside any release. */
#define DETECTOR_MS 10.0

static const char *const detectors[] = {"peak", "rms", NULL};

static const struct tz_parameter parameters[] = {
	[THRESHOLD_DB] = {.name = "threshold_db", .kind = TZ_FLOAT, .unit = "dBFS", .minimum = -60, .maximum = 0, .initial = -20, .step = 0.1,
	                  .help = "The level above which the sound is turned down."},
	[RATIO] = {.name = "ratio", .kind = TZ_FLOAT, .unit = "", .flags = TZ_LOG_SCALE, .minimum = 1, .maximum = 100, .initial = 4,
	           .step = 0.1,
	           .help = "So many dB more coming in, above the threshold, are one dB more going out."},
	[ATTACK_MS] = {.name = "attack_ms", .kind = TZ_FLOAT, .unit = "ms", .minimum = 0, .maximum = 200, .initial = 10, .step = 0.1,
	               .help = "How fast it turns down: the time for 63 % of the way, in dB."},
	[RELEASE_MS] = {.name = "release_ms", .kind = TZ_FLOAT, .unit = "ms", .flags = TZ_LOG_SCALE, .minimum = 1, .maximum = 5000, .initial = 100,
	                .step = 1,
	                .help = "How fast it turns up again: the time for 63 % of the way, in dB."},
	[KNEE_DB] = {.name = "knee_db", .kind = TZ_FLOAT, .unit = "dB", .minimum = 0, .maximum = 24, .initial = 6, .step = 0.1,
	             .help = "Over so many dB around the threshold the ratio sets in by and by."},
	[MAKEUP_DB] = {.name = "makeup_db", .kind = TZ_FLOAT, .unit = "dB", .minimum = -12, .maximum = 24, .initial = 0, .step = 0.1,
	               .help = "Gain after compression."},
	[DETECTOR] = {.name = "detector", .kind = TZ_CHOICE, .unit = "", .choices = detectors, .initial = 1,
	              .help = "What level is: the highest peak, or the mean power over 10 ms (rms; a full-scale sine counts -3 dBFS). "
	                      "The loudest channel decides."},
	[LOOKAHEAD_MS] = {.name = "lookahead_ms", .kind = TZ_FLOAT, .unit = "ms", .flags = TZ_STRUCTURE, .minimum = 0, .maximum = 20, .initial = 0,
	                  .step = 0.1,
	                  .help = "Delays the sound, not the detector, so that the gain is down before a peak comes."},
	[MIX] = {.name = "mix", .kind = TZ_FLOAT, .unit = "", .minimum = 0, .maximum = 1, .initial = 1, .step = 0.01,
	         .help = "How much of the output is compressed; the rest is the sound as it came."},
	{0},
};

static const struct tz_port ports[] = {
	{.name = "in", .direction = TZ_INPUT, .rule = TZ_FOLLOW, .help = "The sound."},
	{.name = "sidechain", .direction = TZ_INPUT, .rule = TZ_CONNECTED, .deciding = true,
	 .help = "If connected, its level decides instead of that of in."},
	{.name = "out", .direction = TZ_OUTPUT, .rule = TZ_FOLLOW, .help = "The sound compressed."},
	{.name = "gain_reduction_db", .direction = TZ_OUTPUT, .signal = TZ_CONTROL, .rule = TZ_FIXED, .channels = 1,
	 .help = "What compression does to the level in each frame, 0 or below; makeup and mix left out."},
	{0},
};

/* What glides. An envelope is max(peak × power, keep × envelope + mean × power). */
enum { THRESHOLD, SLOPE, KNEE, MAKEUP, WET, PEAK, MEAN, VALUES };

struct settings {
	uint32_t own_frames;
	float value[VALUES];
	float keep, attack, release;
};

struct state {
	uint32_t channels, key_channels; /* of in, of sidechain */
	struct tz_glide glide;
	struct tz_ramp value[VALUES];
	float keep, attack, release;
	double reduction;   /* dB, 0 or below; a long release moves it by less than a float can say */
	uint32_t ahead;     /* frames of look-ahead */
	uint32_t position;  /* of the oldest frame in the lines */
	uint32_t envelopes;
	float *envelope;    /* one per channel of in or sidechain */
	float *line;        /* look-ahead: `ahead` frames per channel */
};

static uint32_t latency(const struct tz_shape *shape, const double *values)
{
	return tz_frames(values[LOOKAHEAD_MS], shape->sample_rate);
}

static uint32_t envelope_count(const struct tz_shape *shape)
{
	return shape->input_channels[IN] > shape->input_channels[SIDECHAIN] ? shape->input_channels[IN] : shape->input_channels[SIDECHAIN];
}

static size_t settings_size(const struct tz_shape *shape)
{
	(void)shape;
	return sizeof(struct settings);
}

static size_t state_size(const struct tz_shape *shape, const double *values)
{
	const size_t line = (size_t)latency(shape, values) * shape->input_channels[IN];
	return sizeof(struct state) + (envelope_count(shape) + line) * sizeof(float);
}

/* The part of the way a one-pole smoother goes in one frame. */
static double share_per_frame(double milliseconds, double sample_rate)
{
	const double log2_e = 1.44269504088896340736;
	return milliseconds > 0.0 ? 1.0 - tz_exp2(-log2_e / (milliseconds * 1e-3 * sample_rate)) : 1.0;
}

static void prepare(const struct tz_shape *shape, const double *values, void *block)
{
	struct settings *settings = block;
	const double forget = share_per_frame(DETECTOR_MS, shape->sample_rate);
	const bool rms = values[DETECTOR] != 0.0;
	settings->own_frames = tz_frames(TZ_OWN_RAMP_MS, shape->sample_rate);
	settings->value[THRESHOLD] = (float)values[THRESHOLD_DB];
	settings->value[SLOPE] = (float)(1.0 / values[RATIO] - 1.0);
	settings->value[KNEE] = (float)(values[KNEE_DB] > 0.001 ? values[KNEE_DB] : 0.001); /* a divisor */
	settings->value[MAKEUP] = (float)values[MAKEUP_DB];
	settings->value[WET] = (float)values[MIX];
	settings->value[PEAK] = rms ? 0.0f : 1.0f;
	settings->value[MEAN] = rms ? (float)forget : 0.0f;
	settings->keep = (float)(1.0 - forget);
	settings->attack = (float)share_per_frame(values[ATTACK_MS], shape->sample_rate);
	settings->release = (float)share_per_frame(values[RELEASE_MS], shape->sample_rate);
}

static void adopt(void *block, const void *new_settings, int32_t ramp_frames)
{
	struct state *state = block;
	const struct settings *settings = new_settings;
	const float way = tz_way(&state->glide, state->glide.left);
	for (uint32_t n = 0; n < VALUES; n++)
		tz_ramp_to(&state->value[n], way, settings->value[n]);
	state->keep = settings->keep;
	state->attack = settings->attack;
	state->release = settings->release;
	tz_glide_start(&state->glide, ramp_frames, settings->own_frames);
}

static void init(const struct tz_shape *shape, const double *values, const void *settings, void *block)
{
	struct state *state = block;
	state->channels = shape->input_channels[IN];
	state->key_channels = shape->input_channels[SIDECHAIN];
	state->ahead = latency(shape, values);
	state->envelopes = envelope_count(shape);
	state->envelope = (float *)(state + 1);
	state->line = state->envelope + state->envelopes;
	adopt(state, settings, 0);
}

static void reset(void *block)
{
	struct state *state = block;
	state->glide.left = 0;
	state->reduction = 0.0;
	state->position = 0;
	memset(state->envelope, 0, (state->envelopes + (size_t)state->ahead * state->channels) * sizeof(float));
}

static void transfer(void *block, const void *predecessor)
{
	struct state *state = block;
	const struct state *old = predecessor;
	state->reduction = old->reduction;
	for (uint32_t channel = 0; channel < state->envelopes; channel++)
		state->envelope[channel] = old->envelope[tz_least(channel, old->envelopes - 1)];
	for (uint32_t channel = 0; channel < state->channels; channel++) {
		float *line = state->line + (size_t)channel * state->ahead;
		const float *old_line = old->line + (size_t)tz_least(channel, old->channels - 1) * old->ahead;
		for (uint32_t age = 1; age <= tz_least(state->ahead, old->ahead); age++)
			line[(state->position + state->ahead - age) % state->ahead] = old_line[(old->position + old->ahead - age) % old->ahead];
	}
}

static uint32_t fields(void *block, struct tz_field *field)
{
	struct state *state = block;
	field[0] = (struct tz_field){.name = "reduction_db", .cell = TZ_FLOAT64, .rows = 1, .columns = 1, .at = &state->reduction};
	field[1] = (struct tz_field){.name = "envelope", .cell = TZ_FLOAT32, .rows = state->envelopes, .columns = 1, .at = state->envelope};
	field[2] = (struct tz_field){.name = "lookahead", .cell = TZ_FLOAT32, .rows = state->channels, .columns = state->ahead, .at = state->line,
	                             .position = &state->position};
	return 3;
}

static void restored(void *block, uint32_t seam)
{
	struct state *state = block;
	const uint32_t faded = tz_least(seam, state->ahead);
	for (uint32_t channel = 0; channel < state->channels; channel++)
		for (uint32_t age = 1; age <= faded; age++)
			state->line[(size_t)(channel + 1) * state->ahead - age] *= tz_smooth((float)(age - 1) / (float)faded);
}

/* Nodes of a call that are worked on together. What waits for itself, envelope and smoothing, takes no longer for several than for one;
 * the rest goes frame by frame through the lanes of vectors. */
enum { SIDE_BY_SIDE = 4, VOICES = 8 };

/* A piece of the sound: at most TZ_PIECE frames. */
typedef float piece[TZ_PIECE];

/* A value in a frame of a piece. `way`: what is left of the glide in each frame, NULL where the node rests. */
TZ_INLINE float value_at(const struct state *state, uint32_t value, const float *way, uint32_t frame)
{
	return way ? tz_ramp_at(&state->value[value], way[frame]) : state->value[value].target;
}

/* Envelopes of some channels, of whatever nodes. */
struct voices {
	uint32_t count;
	float *envelope[VOICES], keep[VOICES];
	float *power[VOICES]; /* where the loudest of a node's is wanted */
	piece peak[VOICES], mean[VOICES];
};

/* `count`, of which those that are not in use stay silent, is known where this is inlined. */
TZ_INLINE void follow(const uint32_t count, struct voices *voices, uint32_t frames)
{
	float now[VOICES] = {0}, keep[VOICES] = {0};
	for (uint32_t n = 0; n < voices->count; n++) {
		now[n] = *voices->envelope[n];
		keep[n] = voices->keep[n];
	}
	for (uint32_t frame = 0; frame < frames; frame++)
#pragma GCC unroll 8
		for (uint32_t n = 0; n < count; n++) {
			const float mean = voices->mean[n][frame] + keep[n] * now[n], peak = voices->peak[n][frame];
			voices->peak[n][frame] = now[n] = peak > mean ? peak : mean;
		}
	for (uint32_t n = 0; n < voices->count; n++) {
		*voices->envelope[n] = now[n];
		float *restrict power = voices->power[n];
		for (uint32_t frame = 0; frame < frames; frame++)
			power[frame] = power[frame] > voices->peak[n][frame] ? power[frame] : voices->peak[n][frame];
	}
	voices->count = 0;
}

TZ_INLINE void follow_all(struct voices *voices, uint32_t frames)
{
	if (voices->count > 2)
		follow(VOICES, voices, frames);
	else if (voices->count > 0)
		follow(2, voices, frames);
}

/* The power of each node's loudest channel. */
TZ_INLINE void detect(const struct tz_member *members, uint32_t count, uint32_t first, const float *const *ways, piece *power, uint32_t frames)
{
	struct voices voices;
	voices.count = 0;
	for (uint32_t m = 0; m < count; m++) {
		struct state *state = members[m].state;
		const bool keyed = state->key_channels > 0;
		const float *const *key = keyed ? members[m].in[SIDECHAIN] : members[m].in[IN];
		const uint32_t channels = keyed ? state->key_channels : state->channels;
		const float *way = ways[m];
		for (uint32_t frame = 0; frame < frames; frame++)
			power[m][frame] = 0.0f;
		for (uint32_t channel = 0; channel < channels; channel++) {
			const uint32_t n = voices.count++;
			const float *restrict sound = key[channel] + first;
			voices.envelope[n] = &state->envelope[channel];
			voices.keep[n] = state->keep;
			voices.power[n] = power[m];
			for (uint32_t frame = 0; frame < frames; frame++) {
				const float square = sound[frame] * sound[frame];
				voices.peak[n][frame] = value_at(state, PEAK, way, frame) * square;
				voices.mean[n][frame] = value_at(state, MEAN, way, frame) * square;
			}
			if (voices.count == VOICES)
				follow_all(&voices, frames);
		}
	}
	follow_all(&voices, frames);
}

/* Powers become the reductions that the static curve asks for, in dB, 0 or below. */
TZ_INLINE void look_up(const struct state *state, const float *way, float *restrict value, uint32_t frames)
{
	for (uint32_t frame = 0; frame < frames; frame++) {
		const float knee = value_at(state, KNEE, way, frame);
		const float level = 3.0103000f * tz_log2f(value[frame] + 1e-20f); /* −200 dBFS is silence */
		const float above = level - value_at(state, THRESHOLD, way, frame) + 0.5f * knee; /* the foot of the knee */
		float bend = above > 0.0f ? above : 0.0f;
		bend = bend < knee ? bend : knee;
		const float straight = above > knee ? above - knee : 0.0f;
		value[frame] = value_at(state, SLOPE, way, frame) * (bend * bend / (2.0f * knee) + straight);
	}
}

/* Frame after frame. `count` is known where this is inlined. */
TZ_INLINE void smooth(const uint32_t count, const struct tz_member *members, uint32_t first, const piece *wanted, uint32_t frames)
{
	double attack[SIDE_BY_SIDE], release[SIDE_BY_SIDE], now[SIDE_BY_SIDE];
	float *reduction[SIDE_BY_SIDE];
	for (uint32_t m = 0; m < count; m++) {
		const struct state *state = members[m].state;
		attack[m] = state->attack;
		release[m] = state->release;
		now[m] = state->reduction;
		reduction[m] = members[m].out[GAIN_REDUCTION_DB][0] + first;
	}
	for (uint32_t frame = 0; frame < frames; frame++)
#pragma GCC unroll 4
		for (uint32_t m = 0; m < count; m++) {
			const double apart = (double)wanted[m][frame] - now[m], down = attack[m] * apart, up = release[m] * apart;
			now[m] += apart < 0.0 ? down : up;
			reduction[m][frame] = (float)now[m];
		}
	for (uint32_t m = 0; m < count; m++)
		((struct state *)members[m].state)->reduction = now[m];
}

/* Exchanges a channel's newest frames for its oldest in the look-ahead. */
TZ_INLINE const float *look_ahead(const struct state *state, const float *in, uint32_t channel, float *restrict late, uint32_t frames)
{
	if (state->ahead == 0)
		return in;
	float *restrict line = state->line + (size_t)channel * state->ahead;
	for (uint32_t done = 0, at = state->position; done < frames; at = 0) {
		const uint32_t part = tz_least(frames - done, state->ahead - at);
		for (uint32_t frame = 0; frame < part; frame++) {
			late[done + frame] = line[at + frame];
			line[at + frame] = in[done + frame];
		}
		done += part;
	}
	return late;
}

TZ_INLINE void turn_down(const struct tz_member *member, uint32_t first, const float *way, uint32_t frames)
{
	struct state *state = member->state;
	const float *restrict reduction = member->out[GAIN_REDUCTION_DB][0] + first;
	piece factor, late;
	for (uint32_t frame = 0; frame < frames; frame++) {
		const float wet = value_at(state, WET, way, frame);
		const float compressed = tz_exp2f(0.16609640f * (reduction[frame] + value_at(state, MAKEUP, way, frame)));
		factor[frame] = wet * compressed + (1.0f - wet);
	}
	for (uint32_t channel = 0; channel < state->channels; channel++) {
		const float *sound = look_ahead(state, member->in[IN][channel] + first, channel, late, frames);
		float *restrict out = member->out[OUT][channel] + first;
		for (uint32_t frame = 0; frame < frames; frame++)
			out[frame] = sound[frame] * factor[frame];
	}
	state->position = state->ahead > 0 ? (state->position + frames) % state->ahead : 0;
	state->glide.left -= tz_least(frames, state->glide.left);
}

/* `count`, one or SIDE_BY_SIDE, and whether any of the nodes glides are known where this is inlined. */
TZ_INLINE void run(const uint32_t count, const bool glides, const struct tz_member *members, uint32_t first, uint32_t frames)
{
	piece way[SIDE_BY_SIDE], wanted[SIDE_BY_SIDE];
	const float *ways[SIDE_BY_SIDE] = {NULL};
	for (uint32_t m = 0; glides && m < count; m++) {
		const struct tz_glide glide = ((const struct state *)members[m].state)->glide;
		for (uint32_t frame = 0; frame < frames; frame++)
			way[m][frame] = frame + 1 < glide.left ? tz_way(&glide, glide.left - 1 - frame) : 0.0f;
		ways[m] = way[m];
	}
	detect(members, count, first, ways, wanted, frames);
	for (uint32_t m = 0; m < count; m++)
		look_up(members[m].state, ways[m], wanted[m], frames);
	smooth(count, members, first, wanted, frames);
	for (uint32_t m = 0; m < count; m++)
		turn_down(&members[m], first, ways[m], frames);
}

TZ_INLINE void run_pieces(const uint32_t count, const struct tz_member *members, uint32_t frames)
{
	for (uint32_t done = 0; done < frames; done += TZ_PIECE) {
		const uint32_t part = tz_least(frames - done, TZ_PIECE);
		bool glides = false;
		for (uint32_t m = 0; m < count; m++)
			glides |= ((const struct state *)members[m].state)->glide.left > 0;
		if (glides)
			run(count, true, members, done, part);
		else
			run(count, false, members, done, part);
	}
}

static void process(const struct tz_member *members, uint32_t count, uint32_t frames)
{
	for (; count >= SIDE_BY_SIDE; count -= SIDE_BY_SIDE, members += SIDE_BY_SIDE)
		run_pieces(SIDE_BY_SIDE, members, frames);
	for (; count > 0; count--, members++)
		run_pieces(1, members, frames);
}

TZ_NODE_TYPE(compressor) = {
	.name = "compressor",
	.category = "processor",
	.help = "Turns loud passages down. Feed-forward, soft knee, all channels together, with side chain and look-ahead.",
	.flags = TZ_GUARDED,
	.parameters = parameters,
	.ports = ports,
	.settings_size = settings_size,
	.state_size = state_size,
	.prepare = prepare,
	.init = init,
	.adopt = adopt,
	.process = process,
	.reset = reset,
	.transfer = transfer,
	.fields = fields,
	.restored = restored,
	.latency = latency,
};
