/* [both] Delay: a line per channel, read `time` frames behind its end. Another time cross-fades from one reading place to the other. */
#include <string.h>

#include "../elementary.h"
#include "../node_type.h"
#include "../ramp.h"

enum { TIME_MS, MAX_MS, FEEDBACK, MIX };

static const struct tz_parameter parameters[] = {
	[TIME_MS] = {.name = "time_ms", .kind = TZ_FLOAT, .unit = "ms", .minimum = 0, .maximum = 60000, .initial = 0, .step = 1,
	             .help = "How much later the sound comes, to the nearest frame; at most max_ms. A change cross-fades to the new time."},
	[MAX_MS] = {.name = "max_ms", .kind = TZ_FLOAT, .unit = "ms", .flags = TZ_STRUCTURE, .minimum = 1, .maximum = 60000, .initial = 2000, .step = 1,
	            .help = "The longest time it can be set to; memory is laid out for it (48 kHz stereo: 384 kB per second)."},
	[FEEDBACK] = {.name = "feedback", .kind = TZ_FLOAT, .unit = "", .minimum = 0, .maximum = 0.99, .initial = 0, .step = 0.01,
	              .help = "How much of each echo is delayed again. Without effect while time_ms is 0."},
	[MIX] = {.name = "mix", .kind = TZ_FLOAT, .unit = "", .minimum = 0, .maximum = 1, .initial = 1, .step = 0.01,
	         .help = "How much of the output is delayed; the rest is the sound as it came."},
	{0},
};

static const struct tz_port ports[] = {
	{.name = "in", .direction = TZ_INPUT, .rule = TZ_FOLLOW, .help = "The sound."},
	{.name = "out", .direction = TZ_OUTPUT, .rule = TZ_FOLLOW, .help = "The sound delayed."},
	{0},
};

struct settings {
	uint32_t own_frames;
	uint32_t time; /* frames */
	float feedback, mix;
};

struct state {
	uint32_t channels, own_frames;
	struct tz_change time;
	struct tz_glide glide;
	struct tz_ramp feedback, mix;
	uint32_t length;   /* of each line */
	uint32_t position; /* where the next frame goes */
	uint32_t filled;   /* so many frames before it hold sound, the others count as silence: forgetting costs nothing */
	float line[];
};

static uint32_t line_length(const struct tz_shape *shape, const double *values)
{
	const uint32_t frames = tz_frames(values[MAX_MS], shape->sample_rate);
	return frames > 0 ? frames : 1;
}

static uint32_t reach(const struct tz_shape *shape, const double *values)
{
	return tz_least(tz_frames(values[TIME_MS], shape->sample_rate), line_length(shape, values));
}

static size_t settings_size(const struct tz_shape *shape)
{
	(void)shape;
	return sizeof(struct settings);
}

static size_t state_size(const struct tz_shape *shape, const double *values)
{
	return sizeof(struct state) + (size_t)line_length(shape, values) * shape->output_channels[0] * sizeof(float);
}

static void prepare(const struct tz_shape *shape, const double *values, void *block)
{
	struct settings *settings = block;
	settings->own_frames = tz_frames(TZ_OWN_RAMP_MS, shape->sample_rate);
	settings->time = reach(shape, values);
	settings->feedback = (float)values[FEEDBACK];
	settings->mix = (float)values[MIX];
}

static void adopt(void *block, const void *new_settings, int32_t ramp_frames)
{
	struct state *state = block;
	const struct settings *settings = new_settings;
	const float way = tz_way(&state->glide, state->glide.left);
	state->own_frames = settings->own_frames;
	tz_ramp_to(&state->feedback, way, settings->feedback);
	tz_ramp_to(&state->mix, way, settings->mix);
	tz_glide_start(&state->glide, ramp_frames, settings->own_frames);
	tz_change_to(&state->time, settings->time, ramp_frames, settings->own_frames);
}

static void init(const struct tz_shape *shape, const double *values, const void *settings, void *block)
{
	struct state *state = block;
	state->channels = shape->output_channels[0];
	state->length = line_length(shape, values);
	adopt(state, settings, 0);
}

static void reset(void *block)
{
	struct state *state = block;
	tz_change_settle(&state->time, state->time.wish);
	state->glide.left = 0;
	state->position = 0;
	state->filled = 0;
}

/* The newest frames of one of the predecessor's channels, before `end`. */
static void copy_newest(float *end, const struct state *old, uint32_t channel, uint32_t frames)
{
	const float *line = old->line + (size_t)tz_least(channel, old->channels - 1) * old->length;
	const uint32_t newest = tz_least(frames, old->position); /* those before the old line's seam */
	memcpy(end - newest, line + old->position - newest, newest * sizeof(float));
	memcpy(end - frames, line + old->length - (frames - newest), (frames - newest) * sizeof(float));
}

/* Two channels go to one as half of each, as wherever they are joined. */
static void halve_with_right(float *end, const struct state *old, uint32_t frames)
{
	const float *right = old->line + old->length;
	for (uint32_t age = 1; age <= frames; age++)
		end[-(ptrdiff_t)age] = 0.5f * (end[-(ptrdiff_t)age] + right[old->position >= age ? old->position - age : old->position + old->length - age]);
}

/* Takes over what can sound at the present time: a minute of line would hold up the audio thread. Before that comes a fade, in
 * case of a longer time later on. */
static void transfer(void *block, const void *predecessor)
{
	struct state *state = block;
	const struct state *old = predecessor;
	uint32_t longest = state->time.to;
	/* The old one's time, or its change from one to another, goes on, or the echoes would tell; adopt() changes it to the own one. */
	if (old->time.from <= state->length && old->time.to <= state->length)
		state->time = old->time;
	longest = state->time.from > longest ? state->time.from : longest;
	longest = state->time.to > longest ? state->time.to : longest;
	const uint32_t needed = tz_least(tz_least(longest, state->length), old->filled);
	const uint32_t frames = tz_least(tz_least(needed + state->own_frames, state->length), old->filled);
	for (uint32_t channel = 0; channel < state->channels; channel++) {
		float *end = state->line + (size_t)(channel + 1) * state->length;
		copy_newest(end, old, channel, frames);
		if (state->channels == 1 && old->channels == 2)
			halve_with_right(end, old, frames);
		for (uint32_t age = needed + 1; age <= frames && frames < old->filled; age++)
			end[-(ptrdiff_t)age] *= tz_smooth((float)(frames - age) / (float)(frames - needed));
	}
	state->position = 0;
	state->filled = frames;
	/* Feedback glides from where it was: a jump would be heard with the echoes. One in the mix fades with the whole node. */
	state->feedback = old->feedback;
	state->glide = old->glide;
	state->mix.span = 0.0f;
}

static uint32_t fields(void *block, struct tz_field *field)
{
	struct state *state = block;
	field[0] = (struct tz_field){.name = "line", .cell = TZ_FLOAT32, .rows = state->channels, .columns = state->length, .at = state->line,
	                             .position = &state->position, .filled = &state->filled};
	return 1;
}

/* Echoes go on: what fades at the end of the line is what had come in, without them. */
static void restored(void *block, uint32_t seam)
{
	struct state *state = block;
	const uint32_t faded = tz_least(seam, state->filled), time = state->time.to;
	for (uint32_t channel = 0; channel < state->channels; channel++) {
		const float *end = state->line + (size_t)(channel + 1) * state->length;
		for (uint32_t age = faded; age > 0; age--) { /* the oldest first: its echo may be among the newer ones */
			float *sound = state->line + (size_t)(channel + 1) * state->length - age;
			const bool echoes = time > 0 && age + time <= state->filled;
			const float echo = echoes ? state->feedback.target * end[-(ptrdiff_t)(age + time)] : 0.0f;
			*sound = echo + (*sound - echo) * tz_smooth((float)(age - 1) / (float)faded);
		}
	}
}

/* A place to read from. */
struct tap {
	uint32_t time, at; /* `at` from the start of the line */
	bool silent;       /* nothing was written there yet */
};

/* Finds the place, and shortens `frames` to what can be read there before something changes. */
TZ_INLINE struct tap find(const struct state *state, uint32_t time, uint32_t *frames)
{
	struct tap tap = {.time = time, .silent = time > state->filled};
	if (time == 0)
		return tap;
	tap.at = state->position >= time ? state->position - time : state->position + state->length - time;
	*frames = tz_least(*frames, tz_least(time, state->length - tap.at)); /* not what this very call writes, not over the seam */
	if (tap.silent)
		*frames = tz_least(*frames, time - state->filled);
	return tap;
}

/* A time of 0 reads the input itself. */
TZ_INLINE const float *read_from(const struct tap *tap, const float *line, const float *in)
{
	static const float silence[TZ_PIECE];
	return tap->time == 0 ? in : tap->silent ? silence : line + tap->at;
}

/* How feedback, mix and the fade between two times stand in each frame of a piece. */
struct course {
	float feedback[TZ_PIECE], mix[TZ_PIECE], fade[TZ_PIECE];
};

TZ_INLINE void plot(const struct state *state, struct course *course, uint32_t frames)
{
	for (uint32_t frame = 0; frame < frames; frame++) {
		const float way = frame + 1 < state->glide.left ? tz_way(&state->glide, state->glide.left - 1 - frame) : 0.0f;
		course->feedback[frame] = tz_ramp_at(&state->feedback, way);
		course->mix[frame] = tz_ramp_at(&state->mix, way);
	}
	for (uint32_t frame = 0; frame < frames; frame++)
		course->fade[frame] = state->time.glide.left > 0 ? tz_way(&state->time.glide, state->time.glide.left - 1 - frame) : 0.0f;
}

/* Frames that lie in one piece wherever they are read or written; returns how many that were. */
TZ_INLINE uint32_t run(struct state *state, const struct tz_member *member, uint32_t first, uint32_t frames)
{
	frames = tz_least(tz_least(frames, TZ_PIECE), state->length - state->position);
	if (state->time.glide.left > 0)
		frames = tz_least(frames, state->time.glide.left);
	const struct tap from = find(state, state->time.from, &frames), to = find(state, state->time.to, &frames);
	const float from_echoes = from.time > 0 ? 1.0f : 0.0f, to_echoes = to.time > 0 ? 1.0f : 0.0f;
	struct course course;
	plot(state, &course, frames);
	for (uint32_t channel = 0; channel < state->channels; channel++) {
		float *line = state->line + (size_t)channel * state->length;
		const float *restrict in = member->in[0][channel] + first;
		float *restrict out = member->out[0][channel] + first;
		const float *old = read_from(&from, line, in), *new = read_from(&to, line, in);
		float wet[TZ_PIECE], echo[TZ_PIECE];
		for (uint32_t frame = 0; frame < frames; frame++) {
			const float fade = course.fade[frame];
			wet[frame] = new[frame] + (old[frame] - new[frame]) * fade;
			echo[frame] = to_echoes * new[frame] + (from_echoes * old[frame] - to_echoes * new[frame]) * fade;
		}
		float *restrict end = line + state->position;
		for (uint32_t frame = 0; frame < frames; frame++) {
			end[frame] = in[frame] + echo[frame] * course.feedback[frame];
			out[frame] = in[frame] * (1.0f - course.mix[frame]) + wet[frame] * course.mix[frame];
		}
	}
	state->position = state->position + frames == state->length ? 0 : state->position + frames;
	state->filled = tz_least(state->filled + frames, state->length);
	state->glide.left -= tz_least(frames, state->glide.left);
	if (state->time.glide.left > 0)
		tz_change_pass(&state->time, frames, state->own_frames);
	return frames;
}

static void process(const struct tz_member *members, uint32_t count, uint32_t frames)
{
	for (uint32_t n = 0; n < count; n++)
		for (uint32_t done = 0; done < frames;)
			done += run(members[n].state, &members[n], done, frames - done);
}

TZ_NODE_TYPE(delay) = {
	.name = "delay",
	.category = "processor",
	.help = "Plays the sound later, with echoes if wanted. The time can be changed without a click.",
	.flags = TZ_GUARDED | TZ_LATE,
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
	.reach = reach,
};
