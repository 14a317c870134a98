/* [both] Tone: test signals. Phases are whole numbers that wrap, so they neither drift nor depend on how blocks are cut. */
#include <string.h>

#include "../elementary.h"
#include "../node_type.h"
#include "../ramp.h"

enum { WAVE, FREQUENCY, LEVEL_DB, DUTY, SWEEP_S, SEED, CHANNELS };
enum wave { SINE, SQUARE, SAW, TRIANGLE, WHITE, PINK, SWEEP, IMPULSE, SILENCE };

static const char *const waves[] = {
	[SINE] = "sine", [SQUARE] = "square", [SAW] = "saw", [TRIANGLE] = "triangle", [WHITE] = "white",
	[PINK] = "pink", [SWEEP] = "sweep", [IMPULSE] = "impulse", [SILENCE] = "silence", NULL,
};

static const struct tz_parameter parameters[] = {
	[WAVE] = {.name = "wave", .kind = TZ_CHOICE, .unit = "", .choices = waves, .initial = SINE,
	          .help = "The wave form. sweep rises from 20 Hz to 20 kHz, the same time for every octave, and starts again; "
	                  "impulse is one frame at every period of frequency; square, saw and triangle are band-limited."},
	[FREQUENCY] = {.name = "frequency", .kind = TZ_FLOAT, .unit = "Hz", .flags = TZ_LOG_SCALE, .minimum = 0.1, .maximum = 24000, .initial = 1000,
	               .help = "Periods per second; held below 0.49 of the sample rate. Not for noise, sweep and silence."},
	[LEVEL_DB] = {.name = "level_db", .kind = TZ_FLOAT, .unit = "dBFS", .minimum = -120, .maximum = 0, .initial = -20, .step = 0.1,
	              .help = "The peak. White noise is spread evenly up to it; pink noise has its rms 12 dB below it and is clipped there."},
	[DUTY] = {.name = "duty", .kind = TZ_FLOAT, .unit = "%", .minimum = 1, .maximum = 99, .initial = 50, .step = 1,
	          .help = "How much of a period a square is up."},
	[SWEEP_S] = {.name = "sweep_s", .kind = TZ_FLOAT, .unit = "s", .flags = TZ_LOG_SCALE, .minimum = 0.1, .maximum = 600, .initial = 10, .step = 0.1,
	             .help = "How long one sweep takes."},
	[SEED] = {.name = "seed", .kind = TZ_INT, .unit = "", .flags = TZ_STRUCTURE, .minimum = 0, .maximum = 2147483647, .initial = 1,
	          .help = "Chooses the noise: the same seed gives the same noise, another one for each channel."},
	[CHANNELS] = {.name = "channels", .kind = TZ_INT, .unit = "", .flags = TZ_STRUCTURE, .minimum = 1, .maximum = 64, .initial = 2,
	              .help = "How many channels; all have the same wave, but noise of their own."},
	{0},
};

static const struct tz_port ports[] = {
	{.name = "out", .direction = TZ_OUTPUT, .rule = TZ_PARAMETER, .channels_parameter = "channels", .help = "The tone."},
	{0},
};

/* Pink noise is white noise through low-passes in parallel, their corners a factor apart and their gains falling with its root. The
 * factors were fitted for 10 dB per decade: within 0.25 dB of it from 20 Hz to 20 kHz at rates from 44.1 to 192 kHz. */
enum { POLES = 8 };
#define HIGHEST_CORNER 0.16 /* of the sample rate */
#define CORNERS_APART 4.5
#define HIGHEST_GAIN 1.66 /* more than its share, for what is missing above it */
#define PINK_RMS 0.25

struct pink_pole {
	float share, gain; /* memory += share × (white − memory) */
};

struct settings {
	uint32_t own_frames, wave;
	int64_t step;                /* of the phase, per frame; a turn is 2^64 */
	uint64_t sweep_step;         /* of the position in the sweep; the whole of it is 2^64 */
	float sweep_first, octaves;  /* where the sweep starts, as a phase step, and how far it goes */
	float level, duty;
	struct pink_pole pole[POLES];
};

struct pink_memory {
	float pole[POLES];
};

struct state {
	uint32_t channels, own_frames, seed;
	const struct settings *settings;
	struct tz_change wave;
	struct tz_glide glide;
	struct tz_ramp level, duty;
	int64_t step, step_rise; /* what it is to be, and how much it changes per frame until then */
	uint64_t phase, sweep_phase, sweep_position;
	uint32_t age; /* frames since the start; noise repeats when it wraps, after a day at 48 kHz */
	struct pink_memory pink[];
};

static size_t settings_size(const struct tz_shape *shape)
{
	(void)shape;
	return sizeof(struct settings);
}

static size_t state_size(const struct tz_shape *shape, const double *values)
{
	(void)values;
	return sizeof(struct state) + shape->output_channels[0] * sizeof(struct pink_memory);
}

/* ---- [control] ---- */

static void prepare_pink(double sample_rate, struct pink_pole *pole)
{
	double share[POLES], gain[POLES], power = 0.0, corner = HIGHEST_CORNER;
	for (uint32_t n = POLES; n-- > 0; corner /= CORNERS_APART) {
		share[n] = 1.0 - tz_exp2(-9.06472028365438761 * corner); /* 2π log2 e */
		gain[n] = (n == POLES - 1 ? HIGHEST_GAIN : 1.0) * tz_exp2(-0.5 * tz_log2(corner * sample_rate));
	}
	for (uint32_t a = 0; a < POLES; a++) /* what comes out of two of them goes together so far */
		for (uint32_t b = 0; b < POLES; b++)
			power += gain[a] * gain[b] * share[a] * share[b] / (1.0 - (1.0 - share[a]) * (1.0 - share[b])) / 3.0;
	for (uint32_t n = 0; n < POLES; n++)
		pole[n] = (struct pink_pole){(float)share[n], (float)(gain[n] * PINK_RMS * tz_exp2(-0.5 * tz_log2(power)))};
}

static void prepare(const struct tz_shape *shape, const double *values, void *block)
{
	struct settings *settings = block;
	const double turns = values[FREQUENCY] / shape->sample_rate, last_turns = 20000.0 / shape->sample_rate;
	settings->own_frames = tz_frames(TZ_OWN_RAMP_MS, shape->sample_rate);
	settings->wave = (uint32_t)values[WAVE];
	settings->step = (int64_t)((turns < 0.49 ? turns : 0.49) * (0x1p64 + 0x1p14)); /* never short of a turn after a whole number of frames */
	settings->sweep_step = (uint64_t)(0x1p64 / (values[SWEEP_S] * shape->sample_rate));
	settings->sweep_first = (float)(20.0 / shape->sample_rate * 0x1p64);
	settings->octaves = (float)tz_log2((last_turns < 0.49 ? last_turns : 0.49) * shape->sample_rate / 20.0);
	settings->level = (float)tz_factor(values[LEVEL_DB]);
	settings->duty = (float)(values[DUTY] / 100.0);
	prepare_pink(shape->sample_rate, settings->pole);
}

static void adopt(void *block, const void *new_settings, int32_t ramp_frames)
{
	struct state *state = block;
	const struct settings *settings = new_settings;
	const float way = tz_way(&state->glide, state->glide.left);
	const int64_t step = state->step - state->step_rise * (int64_t)state->glide.left;
	state->settings = settings;
	state->own_frames = settings->own_frames;
	tz_ramp_to(&state->level, way, settings->level);
	tz_ramp_to(&state->duty, way, settings->duty);
	tz_glide_start(&state->glide, ramp_frames, settings->own_frames);
	state->step = settings->step;
	state->step_rise = state->glide.left > 0 ? (settings->step - step) / (int64_t)state->glide.left : 0;
	if (settings->wave == SWEEP && state->wave.from != SWEEP && state->wave.to != SWEEP && state->wave.wish != SWEEP)
		state->sweep_position = state->sweep_phase = 0;
	tz_change_to(&state->wave, settings->wave, ramp_frames, settings->own_frames);
}

static void init(const struct tz_shape *shape, const double *values, const void *settings, void *block)
{
	struct state *state = block;
	state->channels = shape->output_channels[0];
	state->seed = (uint32_t)values[SEED];
	adopt(state, settings, 0);
}

static void reset(void *block)
{
	struct state *state = block;
	tz_change_settle(&state->wave, state->wave.wish);
	state->glide.left = 0;
	state->phase = state->sweep_phase = state->sweep_position = state->age = 0;
	memset(state->pink, 0, state->channels * sizeof(struct pink_memory));
}

static void transfer(void *block, const void *predecessor)
{
	struct state *state = block;
	const struct state *old = predecessor;
	state->phase = old->phase;
	state->sweep_phase = old->sweep_phase;
	state->sweep_position = old->sweep_position;
	state->age = old->age;
	memcpy(state->pink, old->pink, tz_least(state->channels, old->channels) * sizeof(struct pink_memory));
}

static uint32_t fields(void *block, struct tz_field *field)
{
	struct state *state = block;
	field[0] = (struct tz_field){.name = "phase", .cell = TZ_UINT64, .rows = 1, .columns = 1, .at = &state->phase};
	field[1] = (struct tz_field){.name = "sweep_phase", .cell = TZ_UINT64, .rows = 1, .columns = 1, .at = &state->sweep_phase};
	field[2] = (struct tz_field){.name = "sweep_position", .cell = TZ_UINT64, .rows = 1, .columns = 1, .at = &state->sweep_position};
	field[3] = (struct tz_field){.name = "age", .cell = TZ_UINT32, .rows = 1, .columns = 1, .at = &state->age};
	field[4] = (struct tz_field){.name = "pink", .cell = TZ_FLOAT32, .rows = state->channels, .columns = POLES, .at = state->pink};
	return 5;
}

/* ---- [audio] ---- */

/* Phases and their steps in each frame of a piece, and the sweep's phases. A step is below half a turn. */
struct course {
	uint32_t frames;
	uint64_t phase[TZ_PIECE], sweep_phase[TZ_PIECE];
	int64_t step[TZ_PIECE];
	float duty[TZ_PIECE], level[TZ_PIECE];
};

TZ_INLINE void plot(struct state *state, struct course *course)
{
	for (uint32_t frame = 0; frame < course->frames; frame++) {
		const uint32_t left = frame + 1 < state->glide.left ? state->glide.left - 1 - frame : 0;
		const float way = tz_way(&state->glide, left);
		course->step[frame] = state->step - state->step_rise * (int64_t)left;
		course->duty[frame] = tz_ramp_at(&state->duty, way);
		course->level[frame] = tz_ramp_at(&state->level, way);
	}
	for (uint32_t frame = 0; frame < course->frames; frame++) {
		course->phase[frame] = state->phase;
		state->phase += (uint64_t)course->step[frame];
	}
}

TZ_INLINE void plot_sweep(struct state *state, struct course *course)
{
	for (uint32_t frame = 0; frame < course->frames; frame++) {
		course->sweep_phase[frame] = state->sweep_phase;
		const float position = (float)(int32_t)(state->sweep_position >> 40) * 0x1p-24f;
		state->sweep_phase += (uint64_t)(state->settings->sweep_first * tz_exp2f(state->settings->octaves * position));
		state->sweep_position += state->settings->sweep_step;
	}
}

/* How far a frame is from a corner of the wave, in frames, −1 … 1 where it matters: there the corner is rounded (polyBLEP). */
TZ_INLINE float frames_from(uint64_t phase, uint64_t corner, int64_t step)
{
	return (float)(int64_t)(phase - corner) / (float)step;
}

/* What rounds a jump from −1 to 1. */
TZ_INLINE float round_jump(float distance)
{
	const float near = 1.0f - fabsf(distance), square = near > 0.0f ? near * near : 0.0f;
	return distance < 0.0f ? square : -square;
}

/* What rounds a bend where the slope, per frame, rises by 1. */
TZ_INLINE float round_bend(float distance)
{
	const float near = 1.0f - fabsf(distance);
	return near > 0.0f ? near * near * near * (1.0f / 6.0f) : 0.0f;
}

/* One number for each frame, channel and seed, spread evenly over all 32 bits: the frame number hashed (Murmur3's finaliser), a key
 * put in half-way so that channels are no shifted copies of each other. */
TZ_INLINE uint32_t scrambled(uint32_t number, uint32_t key)
{
	number ^= number >> 16;
	number *= 0x85ebca6bu;
	number ^= (number >> 13) ^ key;
	number *= 0xc2b2ae35u;
	return number ^ number >> 16;
}

TZ_INLINE void white(const struct state *state, uint32_t channel, uint32_t frames, float *restrict out)
{
	const uint32_t key = scrambled(channel + 1, scrambled(state->seed, 0)), number = state->age;
	for (uint32_t frame = 0; frame < frames; frame++)
		out[frame] = (float)(int32_t)scrambled(number + frame, key) * 0x1p-31f;
}

TZ_INLINE void pink(struct state *state, uint32_t channel, uint32_t frames, float *restrict sound)
{
	const struct pink_pole *pole = state->settings->pole;
	struct pink_memory memory = state->pink[channel];
	for (uint32_t frame = 0; frame < frames; frame++) {
		float sum = 0.0f;
		for (uint32_t n = 0; n < POLES; n++) {
			memory.pole[n] += pole[n].share * (sound[frame] - memory.pole[n]);
			sum += pole[n].gain * memory.pole[n];
		}
		sum = sum < 1.0f ? sum : 1.0f;
		sound[frame] = sum > -1.0f ? sum : -1.0f;
	}
	state->pink[channel] = memory;
}

TZ_INLINE void render(struct state *state, enum wave wave, uint32_t channel, const struct course *course, float *restrict out)
{
	const uint32_t frames = course->frames;
	const uint64_t quarter = 1ull << 62;
	switch (wave) {
	case SINE:
		for (uint32_t frame = 0; frame < frames; frame++)
			out[frame] = tz_sine_turn((uint32_t)(course->phase[frame] >> 32));
		break;
	case SQUARE:
		for (uint32_t frame = 0; frame < frames; frame++) {
			const uint64_t phase = course->phase[frame], down = (uint64_t)(int64_t)(course->duty[frame] * 0x1p62f) << 2;
			const int64_t step = course->step[frame];
			out[frame] = (phase < down ? 1.0f : -1.0f) + round_jump(frames_from(phase, 0, step)) - round_jump(frames_from(phase, down, step));
		}
		break;
	case SAW:
		for (uint32_t frame = 0; frame < frames; frame++) {
			const uint64_t phase = course->phase[frame]; /* rises through 0 at the start, as a sine does, and falls half a turn later */
			out[frame] = (float)(int64_t)phase * 0x1p-63f - round_jump(frames_from(phase, 2 * quarter, course->step[frame]));
		}
		break;
	case TRIANGLE:
		for (uint32_t frame = 0; frame < frames; frame++) {
			const uint64_t phase = course->phase[frame];
			const int64_t step = course->step[frame];
			const float bend = 8.0f * 0x1p-64f * (float)step; /* it falls and rises by 4 in a turn */
			out[frame] = tz_triangle_turn((uint32_t)(phase >> 32)) +
			             bend * (round_bend(frames_from(phase, 3 * quarter, step)) - round_bend(frames_from(phase, quarter, step)));
		}
		break;
	case WHITE:
		white(state, channel, frames, out);
		break;
	case PINK:
		white(state, channel, frames, out);
		pink(state, channel, frames, out);
		break;
	case SWEEP:
		for (uint32_t frame = 0; frame < frames; frame++)
			out[frame] = tz_sine_turn((uint32_t)(course->sweep_phase[frame] >> 32));
		break;
	case IMPULSE:
		for (uint32_t frame = 0; frame < frames; frame++)
			out[frame] = course->phase[frame] < (uint64_t)course->step[frame] ? 1.0f : 0.0f;
		break;
	case SILENCE:
		memset(out, 0, frames * sizeof(float));
		break;
	}
}

/* At most TZ_PIECE frames. Returns how many it did: a cross-fade of waves ends with a piece. */
TZ_INLINE uint32_t run(struct state *state, const struct tz_member *member, uint32_t first, uint32_t frames)
{
	const enum wave from = (enum wave)state->wave.from, to = (enum wave)state->wave.to;
	const bool changing = state->wave.glide.left > 0, each_its_own = from == WHITE || from == PINK || to == WHITE || to == PINK;
	struct course course = {.frames = changing ? tz_least(frames, state->wave.glide.left) : frames};
	float sound[TZ_PIECE], before[TZ_PIECE];
	plot(state, &course);
	if (from == SWEEP || to == SWEEP)
		plot_sweep(state, &course);
	for (uint32_t channel = 0; channel < state->channels; channel++) {
		if (channel == 0 || each_its_own) {
			render(state, to, channel, &course, sound);
			if (changing)
				render(state, from, channel, &course, before);
			for (uint32_t frame = 0; changing && frame < course.frames; frame++)
				sound[frame] += (before[frame] - sound[frame]) * tz_way(&state->wave.glide, state->wave.glide.left - 1 - frame);
			for (uint32_t frame = 0; frame < course.frames; frame++)
				sound[frame] *= course.level[frame];
		}
		memcpy(member->out[0][channel] + first, sound, course.frames * sizeof(float));
	}
	state->age += course.frames;
	state->glide.left -= tz_least(course.frames, state->glide.left);
	if (changing)
		tz_change_pass(&state->wave, course.frames, state->own_frames);
	return course.frames;
}

static void process(const struct tz_member *members, uint32_t count, uint32_t frames)
{
	for (uint32_t n = 0; n < count; n++)
		for (uint32_t done = 0; done < frames;)
			done += run(members[n].state, &members[n], done, tz_least(frames - done, TZ_PIECE));
}

TZ_NODE_TYPE(tone) = {
	.name = "tone",
	.category = "source",
	.help = "Test signals: sine, square, saw, triangle, noise, sweep, impulses.",
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
};
