/* [both] Parametric equalizer. A band is one section, or for steep low-pass and high-pass bands a cascade of up to four. */
#include <string.h>

#include "../band.h"
#include "../node_type.h"
#include "../section_lanes.h"

enum { MOST_BANDS = 32, BAND_SECTIONS = TZ_BAND_SECTIONS };
enum { TYPE, FREQUENCY, GAIN_DB, Q, SLOPE, ENABLED, BAND_VALUES }; /* the list comes first, then gain_db */

static const char *const band_types[] = {
	[TZ_PEAKING] = "peaking", [TZ_LOW_SHELF] = "low_shelf", [TZ_HIGH_SHELF] = "high_shelf", [TZ_LOW_PASS] = "low_pass",
	[TZ_HIGH_PASS] = "high_pass", [TZ_BAND_PASS] = "band_pass", [TZ_NOTCH] = "notch", [TZ_ALL_PASS] = "all_pass", NULL,
};

static const struct tz_parameter band_fields[] = {
	[TYPE] = {.name = "type", .kind = TZ_CHOICE, .unit = "", .choices = band_types, .initial = TZ_PEAKING, .help = "What the band does."},
	[FREQUENCY] = {.name = "frequency", .kind = TZ_FLOAT, .unit = "Hz", .flags = TZ_LOG_SCALE, .minimum = 10, .maximum = 24000, .initial = 1000,
	               .help = "Its centre, or its corner. Held below 0.49 of the sample rate."},
	[GAIN_DB] = {.name = "gain_db", .kind = TZ_FLOAT, .unit = "dB", .minimum = -30, .maximum = 30, .initial = 0, .step = 0.1,
	             .help = "For peaking and shelves: how much it raises or lowers."},
	[Q] = {.name = "q", .kind = TZ_FLOAT, .unit = "", .flags = TZ_LOG_SCALE, .minimum = 0.1, .maximum = 40, .initial = 0.7071, .step = 0.01,
	       .help = "The higher, the narrower; 0.7071 is the flattest a pass band can be. Not for slopes of 6 dB."},
	[SLOPE] = {.name = "slope_db_oct", .kind = TZ_INT, .unit = "dB", .minimum = 6, .maximum = 48, .initial = 12, .step = 6,
	           .help = "For low_pass and high_pass: decibels per octave, in steps of 6 (the nearest is taken)."},
	[ENABLED] = {.name = "enabled", .kind = TZ_BOOL, .unit = "", .initial = 1, .help = "Whether the band does anything. It fades in and out."},
	{0},
};

static const struct tz_parameter parameters[] = {
	{.name = "bands", .kind = TZ_LIST, .unit = "", .fields = band_fields, .count_minimum = 1, .count_maximum = MOST_BANDS, .count_initial = 5,
	 .help = "The bands, one after the other. Another number of bands is a new equalizer, which fades in and keeps the sound of those both have."},
	{.name = "gain_db", .kind = TZ_FLOAT, .unit = "dB", .minimum = -30, .maximum = 30, .initial = 0, .step = 0.1, .help = "The level of the whole."},
	{0},
};

static const struct tz_port ports[] = {
	{.name = "in", .direction = TZ_INPUT, .rule = TZ_FOLLOW, .help = "The sound."},
	{.name = "out", .direction = TZ_OUTPUT, .rule = TZ_FOLLOW, .help = "The sound equalized."},
	{0},
};

struct settings {
	uint32_t own_frames;
	float factor;
	struct tz_band band[];
};

/* A section's place in the chain. One that is neither wanted nor on its way out does not run and holds no sound. */
struct slot {
	bool wanted, running;
	struct tz_section_glide glide;
	struct tz_coefficients steady;
};

struct state {
	uint32_t channels, slots, own_frames;
	struct tz_glide glide;
	struct tz_ramp factor;
	struct tz_memory *memory; /* one per slot and channel, at the end of this block */
	struct slot slot[];
};

static size_t settings_size(const struct tz_shape *shape)
{
	return sizeof(struct settings) + shape->list_count * sizeof(struct tz_band);
}

static size_t state_size(const struct tz_shape *shape, const double *values)
{
	(void)values;
	const size_t slots = (size_t)shape->list_count * BAND_SECTIONS;
	return sizeof(struct state) + slots * (sizeof(struct slot) + shape->output_channels[0] * sizeof(struct tz_memory));
}

/* ---- [control] From parameters to sections ---- */

static void prepare(const struct tz_shape *shape, const double *values, void *block)
{
	struct settings *settings = block;
	settings->own_frames = tz_frames(TZ_OWN_RAMP_MS, shape->sample_rate);
	settings->factor = (float)tz_factor(values[shape->list_count * BAND_VALUES]);
	for (uint32_t n = 0; n < shape->list_count; n++) {
		const double *value = values + n * BAND_VALUES;
		const struct tz_band_wish wish = {(enum tz_section_kind)value[TYPE], value[FREQUENCY], value[GAIN_DB], value[Q], value[SLOPE], value[ENABLED] != 0.0};
		settings->band[n] = tz_band_design(&wish, shape->sample_rate);
	}
}

/* ---- [audio] Moving ---- */

static void settle(struct state *state)
{
	for (uint32_t n = 0; n < state->slots; n++) {
		struct slot *slot = &state->slot[n];
		slot->running = slot->wanted;
		slot->steady = tz_section_at(&slot->glide, 0.0f);
		if (!slot->running)
			memset(&state->memory[n * state->channels], 0, state->channels * sizeof(struct tz_memory));
	}
}

static void adopt(void *block, const void *new_settings, int32_t ramp_frames)
{
	struct state *state = block;
	const struct settings *settings = new_settings;
	const float way = tz_way(&state->glide, state->glide.left);
	tz_ramp_to(&state->factor, way, settings->factor);
	for (uint32_t n = 0; n < state->slots; n++) {
		struct slot *slot = &state->slot[n];
		const struct tz_band *band = &settings->band[n / BAND_SECTIONS];
		for (uint32_t value = 0; value < TZ_SECTION_VALUES; value++)
			tz_ramp_to(&slot->glide.value[value], way, band->section[n % BAND_SECTIONS].value[value]);
		slot->wanted = n % BAND_SECTIONS < band->sections;
		slot->running |= slot->wanted;
	}
	tz_glide_start(&state->glide, ramp_frames, settings->own_frames);
	if (state->glide.left == 0)
		settle(state);
}

static void init(const struct tz_shape *shape, const double *values, const void *settings, void *block)
{
	(void)values;
	struct state *state = block;
	state->channels = shape->output_channels[0];
	state->slots = shape->list_count * BAND_SECTIONS;
	state->memory = (struct tz_memory *)&state->slot[state->slots];
	adopt(state, settings, 0);
}

static void reset(void *block)
{
	struct state *state = block;
	state->glide.left = 0;
	settle(state);
	memset(state->memory, 0, (size_t)state->slots * state->channels * sizeof(struct tz_memory));
}

static void transfer(void *block, const void *predecessor)
{
	struct state *state = block;
	const struct state *old = predecessor;
	for (uint32_t n = 0; n < tz_least(state->slots, old->slots); n++)
		for (uint32_t channel = 0; state->slot[n].running && channel < state->channels; channel++)
			state->memory[n * state->channels + channel] = old->memory[n * old->channels + tz_least(channel, old->channels - 1)];
}

static uint32_t fields(void *block, struct tz_field *field)
{
	struct state *state = block;
	field[0] = (struct tz_field){.name = "sections", .cell = TZ_FLOAT32, .rows = state->slots, .columns = state->channels * 2, .at = state->memory};
	return 1;
}

/* Only sections that run hold sound; and they run as the settings want them. */
static void restored(void *block, uint32_t seam)
{
	(void)seam;
	settle(block);
}

/* ---- [audio] Sounding ---- */

/* One section's coefficients in each frame of a piece. */
struct moving_coefficients {
	float decay[TZ_PIECE], feed[TZ_PIECE], rise[TZ_PIECE], direct[TZ_PIECE], band[TZ_PIECE], low[TZ_PIECE];
};

TZ_INLINE void move(const struct tz_section_glide *glide, const float *way, uint32_t frames, struct moving_coefficients *moving)
{
	for (uint32_t frame = 0; frame < frames; frame++) {
		const struct tz_coefficients c = tz_section_at(glide, way[frame]);
		moving->decay[frame] = c.decay;
		moving->feed[frame] = c.feed;
		moving->rise[frame] = c.rise;
		moving->direct[frame] = c.direct;
		moving->band[frame] = c.band;
		moving->low[frame] = c.low;
	}
}

/* One section over two channels (which may be one and the same), in place. */
TZ_INLINE void step_moving(const struct moving_coefficients *moving, struct tz_memory *left, struct tz_memory *right, float *one, float *other,
    uint32_t frames)
{
	struct tz_memory left_memory = *left, right_memory = *right;
	for (uint32_t frame = 0; frame < frames; frame++) {
		const struct tz_coefficients c = {moving->decay[frame], moving->feed[frame], moving->rise[frame],
		                                  moving->direct[frame], moving->band[frame], moving->low[frame]};
		const float left_in = one[frame], right_in = other[frame];
		one[frame] = tz_section_step(&c, &left_memory, left_in);
		other[frame] = tz_section_step(&c, &right_memory, right_in);
	}
	*left = left_memory;
	*right = right_memory;
}

/* At most TZ_PIECE frames of a glide. */
TZ_INLINE void run_gliding(struct state *state, const struct tz_member *member, uint32_t first, uint32_t frames)
{
	float way[TZ_PIECE];
	for (uint32_t frame = 0; frame < frames; frame++)
		way[frame] = tz_way(&state->glide, state->glide.left - 1 - frame);
	for (uint32_t channel = 0; channel < state->channels; channel++)
		memcpy(member->out[0][channel] + first, member->in[0][channel] + first, frames * sizeof(float));
	for (uint32_t n = 0; n < state->slots; n++) {
		if (!state->slot[n].running)
			continue;
		struct moving_coefficients moving;
		move(&state->slot[n].glide, way, frames, &moving);
		struct tz_memory *memory = &state->memory[n * state->channels];
		for (uint32_t left = 0; left < state->channels; left += 2) {
			const uint32_t right = tz_least(left + 1, state->channels - 1);
			step_moving(&moving, &memory[left], &memory[right], member->out[0][left] + first, member->out[0][right] + first, frames);
		}
	}
	for (uint32_t channel = 0; channel < state->channels; channel++) {
		float *restrict sound = member->out[0][channel] + first;
		for (uint32_t frame = 0; frame < frames; frame++)
			sound[frame] *= tz_ramp_at(&state->factor, way[frame]);
	}
}

/* Some sections of a node over two of its channels (which may be one and the same). */
struct stretch {
	struct state *state;
	uint32_t slot[TZ_MOST_SIDE_BY_SIDE], count;
	uint32_t channel[2];
};

/* Into the lanes from section `first` on. Of `room` sections those that it does not need let everything pass. */
TZ_INLINE void load(const struct stretch *stretch, struct tz_lane_sections *lanes, uint32_t first, uint32_t room)
{
	static const struct tz_coefficients pass = {.direct = 1.0f};
	const struct state *state = stretch->state;
	for (uint32_t n = 0; n < room; n++)
		for (uint32_t side = 0; side < 2; side++) {
			if (n < stretch->count)
				tz_lanes_set(lanes, first + n, side, &state->slot[stretch->slot[n]].steady,
				    state->memory[stretch->slot[n] * state->channels + stretch->channel[side]]);
			else
				tz_lanes_set(lanes, first + n, side, &pass, (struct tz_memory){0});
		}
}

TZ_INLINE void keep(const struct stretch *stretch, const struct tz_lane_sections *lanes, uint32_t first)
{
	struct state *state = stretch->state;
	for (uint32_t n = 0; n < stretch->count; n++)
		for (uint32_t side = 0; side < 2; side++)
			state->memory[stretch->slot[n] * state->channels + stretch->channel[side]] = tz_lanes_memory(lanes, first + n, side);
}

/* The level of the whole, once all its sections are through. */
TZ_INLINE void turn_up(const struct stretch *stretch, const struct tz_lane_channels *sound, uint32_t frames)
{
	const float factor = stretch->state->factor.target;
	const uint32_t sides = stretch->channel[0] == stretch->channel[1] ? 1 : 2;
	for (uint32_t side = 0; factor != 1.0f && side < sides; side++) {
		float *restrict out = sound->out[side];
		for (uint32_t frame = 0; frame < frames; frame++)
			out[frame] *= factor;
	}
}

/* Each number of vectors has its own unrolled loop. */
TZ_INLINE void run_lanes(struct tz_lane_sections *lanes, uint32_t vectors, const enum tz_lane_layout layout, const struct tz_lane_channels *sounds,
    uint32_t frames)
{
	switch (vectors) {
	case 1: tz_lanes_run(lanes, 1, layout, sounds, frames); break;
	case 2: tz_lanes_run(lanes, 2, layout, sounds, frames); break;
	case 3: tz_lanes_run(lanes, 3, layout, sounds, frames); break;
	default: tz_lanes_run(lanes, TZ_MOST_VECTORS, layout, sounds, frames); break;
	}
}

__attribute__((noinline)) static void run_chain(const struct stretch *stretch, const struct tz_lane_channels *sound, uint32_t frames)
{
	struct tz_lane_sections lanes[TZ_MOST_VECTORS] = {0};
	const uint32_t vectors = (stretch->count + TZ_VECTOR_SECTIONS - 1) / TZ_VECTOR_SECTIONS;
	load(stretch, lanes, 0, vectors * TZ_VECTOR_SECTIONS);
	run_lanes(lanes, vectors, TZ_ONE_CHAIN, sound, frames);
	keep(stretch, lanes, 0);
}

/* Stretches that need a vector each, or half of one, wait until there are enough of them, perhaps of several nodes. */
struct waiting {
	struct stretch stretch[2 * TZ_MOST_VECTORS];
	struct tz_lane_channels sound[2 * TZ_MOST_VECTORS];
	uint32_t count;
};

__attribute__((noinline)) static void run_waiting(struct waiting *waiting, const uint32_t in_a_vector, uint32_t frames)
{
	struct tz_lane_sections lanes[TZ_MOST_VECTORS] = {0};
	const uint32_t vectors = waiting->count / in_a_vector, paired = vectors * in_a_vector, room = TZ_VECTOR_SECTIONS / in_a_vector;
	for (uint32_t n = 0; n < paired; n++)
		load(&waiting->stretch[n], lanes, n * room, room);
	if (vectors > 0 && in_a_vector == 1)
		run_lanes(lanes, vectors, TZ_CHAIN_EACH, waiting->sound, frames);
	else if (vectors > 0)
		run_lanes(lanes, vectors, TZ_CHAIN_EACH_HALF, waiting->sound, frames);
	for (uint32_t n = 0; n < paired; n++)
		keep(&waiting->stretch[n], lanes, n * room);
	if (paired < waiting->count) /* one half alone */
		run_chain(&waiting->stretch[paired], &waiting->sound[paired], frames);
	for (uint32_t n = 0; n < waiting->count; n++)
		turn_up(&waiting->stretch[n], &waiting->sound[n], frames);
	waiting->count = 0;
}

TZ_INLINE void wait(struct waiting *waiting, const uint32_t in_a_vector, const struct stretch *stretch, const struct tz_lane_channels *sound,
    uint32_t frames)
{
	waiting->stretch[waiting->count] = *stretch;
	waiting->sound[waiting->count++] = *sound;
	if (waiting->count == in_a_vector * TZ_MOST_VECTORS)
		run_waiting(waiting, in_a_vector, frames);
}

/* Two channels of a node that rests from frame `first` on. Where that is all of the call, and a vector does, they wait. */
TZ_INLINE void run_steady(const struct tz_member *member, const uint32_t *running, uint32_t count, uint32_t left, uint32_t first, uint32_t frames,
    struct waiting waiting[2])
{
	struct state *state = member->state;
	struct stretch stretch = {.state = state, .channel = {left, tz_least(left + 1, state->channels - 1)}};
	struct tz_lane_channels sound;
	for (uint32_t side = 0; side < 2; side++) {
		sound.in[side] = member->in[0][stretch.channel[side]] + first;
		sound.out[side] = member->out[0][stretch.channel[side]] + first;
	}
	for (uint32_t done = 0; done < count; done += stretch.count) {
		stretch.count = tz_least(count - done, TZ_MOST_SIDE_BY_SIDE);
		memcpy(stretch.slot, running + done, stretch.count * sizeof *running);
		if (first == 0 && count <= TZ_VECTOR_SECTIONS / 2) {
			wait(&waiting[1], 2, &stretch, &sound, frames);
			return;
		}
		if (first == 0 && count <= TZ_VECTOR_SECTIONS) {
			wait(&waiting[0], 1, &stretch, &sound, frames);
			return;
		}
		run_chain(&stretch, &sound, frames);
		sound.in[0] = sound.out[0];
		sound.in[1] = sound.out[1];
	}
	turn_up(&stretch, &sound, frames);
}

/* As far as it glides. Returns how many frames that was. */
TZ_INLINE uint32_t glide(const struct tz_member *member, uint32_t frames)
{
	struct state *state = member->state;
	uint32_t done = 0;
	while (done < frames && state->glide.left > 0) {
		const uint32_t piece = tz_least(tz_least(frames - done, TZ_PIECE), state->glide.left);
		run_gliding(state, member, done, piece);
		state->glide.left -= piece;
		done += piece;
		if (state->glide.left == 0)
			settle(state);
	}
	return done;
}

static void process(const struct tz_member *members, uint32_t count, uint32_t frames)
{
	struct waiting waiting[2]; /* those that need a vector, and those that need half of one */
	waiting[0].count = waiting[1].count = 0;
	for (const struct tz_member *member = members; member < members + count; member++) {
		const struct state *state = member->state;
		const uint32_t done = glide(member, frames);
		uint32_t running[MOST_BANDS * BAND_SECTIONS], sections = 0;
		for (uint32_t n = 0; n < state->slots; n++)
			if (state->slot[n].running)
				running[sections++] = n;
		for (uint32_t left = 0; done < frames && left < state->channels; left += 2)
			run_steady(member, running, sections, left, done, frames - done, waiting);
	}
	run_waiting(&waiting[0], 1, frames);
	run_waiting(&waiting[1], 2, frames);
}

TZ_NODE_TYPE(equalizer) = {
	.name = "equalizer",
	.category = "processor",
	.help = "Parametric equalizer with up to 32 bands. Bands can be moved while sound goes through them.",
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
};
