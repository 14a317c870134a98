/* [both] Channel map: every output channel is a mix of input channels. What turns mono into stereo, swaps sides, folds 5.1 down. */
#include <math.h>
#include <string.h>

#include "../elementary.h"
#include "../node_type.h"
#include "../weighted_sum.h"

enum { MOST_CHANNELS = 64 };
enum { IN_CHANNELS, OUT_CHANNELS, MATRIX_DB };

static const struct tz_parameter parameters[] = {
	[IN_CHANNELS] = {.name = "in_channels", .kind = TZ_INT, .unit = "", .flags = TZ_STRUCTURE, .minimum = 1, .maximum = MOST_CHANNELS, .initial = 2,
	                 .help = "How many channels come in."},
	[OUT_CHANNELS] = {.name = "out_channels", .kind = TZ_INT, .unit = "", .flags = TZ_STRUCTURE, .minimum = 1, .maximum = MOST_CHANNELS, .initial = 2,
	                  .help = "How many channels go out."},
	[MATRIX_DB] = {.name = "matrix_db", .kind = TZ_MATRIX, .unit = "dB", .minimum = -120, .maximum = 12, .initial = -INFINITY, .step = 0.1,
	               .rows = "out_channels", .columns = "in_channels",
	               .help = "One row for each output channel, one gain in it for each input channel; null is off. "
	                       "Without it channels go straight through: more outputs repeat the inputs in turn, fewer share them out and average."},
	{0},
};

static const struct tz_port ports[] = {
	{.name = "in", .direction = TZ_INPUT, .rule = TZ_PARAMETER, .channels_parameter = "in_channels", .help = "The channels to map."},
	{.name = "out", .direction = TZ_OUTPUT, .rule = TZ_PARAMETER, .channels_parameter = "out_channels", .help = "The channels mapped."},
	{0},
};

struct settings {
	uint32_t own_frames;
	float factor[]; /* row by row */
};

struct state {
	uint32_t rows, columns;
	struct tz_glide glide;
	struct tz_terms terms[MOST_CHANNELS]; /* of the rows that are summed together from here on: what does not rest at 0 in all of them */
	float *gain;                          /* theirs; at the end of this block, as are their sources */
	uint32_t *source;
	struct tz_ramp factor[];
};

static size_t cells(const struct tz_shape *shape)
{
	return (size_t)shape->output_channels[0] * shape->input_channels[0];
}

static size_t settings_size(const struct tz_shape *shape)
{
	return sizeof(struct settings) + cells(shape) * sizeof(float);
}

static size_t state_size(const struct tz_shape *shape, const double *values)
{
	(void)values;
	return sizeof(struct state) + cells(shape) * (sizeof(struct tz_ramp) + sizeof(float) + sizeof(uint32_t));
}

/* A cell of which nothing was said (NaN). */
static double straight_through(uint32_t row, uint32_t column, uint32_t rows, uint32_t columns)
{
	if (rows >= columns)
		return row % columns == column ? 1.0 : 0.0;
	const uint32_t sharing = (columns - row + rows - 1) / rows; /* the columns row, row + rows, row + 2 rows … */
	return column % rows == row ? 1.0 / sharing : 0.0;
}

static void prepare(const struct tz_shape *shape, const double *values, void *block)
{
	struct settings *settings = block;
	const uint32_t rows = shape->output_channels[0], columns = shape->input_channels[0];
	settings->own_frames = tz_frames(TZ_OWN_RAMP_MS, shape->sample_rate);
	for (uint32_t row = 0; row < rows; row++)
		for (uint32_t column = 0; column < columns; column++) {
			const uint32_t cell = row * columns + column;
			const double decibels = values[MATRIX_DB + cell];
			settings->factor[cell] = (float)(isnan(decibels) ? straight_through(row, column, rows, columns) : tz_factor(decibels));
		}
}

/* How many rows from this one on are summed together. */
TZ_INLINE uint32_t rows_together(const struct state *state, uint32_t first)
{
	return state->rows - first < TZ_SUM_ROWS ? 1 : TZ_SUM_ROWS;
}

/* Lists what will sound once the glide is over. */
static void list_terms(struct state *state)
{
	for (uint32_t first = 0, rows; first < state->rows; first += rows) {
		rows = rows_together(state, first);
		float *gain = state->gain + first * state->columns;
		uint32_t *source = state->source + first * state->columns, count = 0;
		for (uint32_t column = 0; column < state->columns; column++) {
			bool sounds = false;
			for (uint32_t row = 0; row < rows; row++) {
				gain[count * rows + row] = state->factor[(first + row) * state->columns + column].target;
				sounds |= gain[count * rows + row] != 0.0f;
			}
			if (sounds)
				source[count++] = column;
		}
		state->terms[first] = (struct tz_terms){.source = source, .gain = gain, .count = count};
	}
}

static void adopt(void *block, const void *new_settings, int32_t ramp_frames)
{
	struct state *state = block;
	const struct settings *settings = new_settings;
	const float way = tz_way(&state->glide, state->glide.left);
	for (uint32_t cell = 0; cell < state->rows * state->columns; cell++)
		tz_ramp_to(&state->factor[cell], way, settings->factor[cell]);
	list_terms(state);
	tz_glide_start(&state->glide, ramp_frames, settings->own_frames);
}

static void init(const struct tz_shape *shape, const double *values, const void *settings, void *block)
{
	(void)values;
	struct state *state = block;
	state->rows = shape->output_channels[0];
	state->columns = shape->input_channels[0];
	state->gain = (float *)&state->factor[cells(shape)];
	state->source = (void *)(state->gain + cells(shape));
	adopt(state, settings, 0);
}

static void reset(void *block)
{
	struct state *state = block;
	state->glide.left = 0;
}

TZ_INLINE void run_gliding(const struct state *state, const struct tz_member *member, uint32_t frames)
{
	for (uint32_t row = 0; row < state->rows; row++) {
		float *out = member->out[0][row];
		memset(out, 0, frames * sizeof(float));
		for (uint32_t column = 0; column < state->columns; column++)
			tz_add_gliding(out, member->in[0][column], &state->factor[row * state->columns + column], &state->glide, frames);
	}
}

/* Piece by piece, so that all inputs of a piece (16 kB) stay in the nearest cache (32 kB) while rows and rows want them. */
TZ_INLINE void run_steady(const struct state *state, const struct tz_member *member, uint32_t first, uint32_t frames)
{
	for (uint32_t done = 0; done < frames; done += TZ_PIECE)
		for (uint32_t row = 0, rows; row < state->rows; row += rows) {
			const uint32_t piece = tz_least(frames - done, TZ_PIECE);
			rows = rows_together(state, row);
			if (rows == TZ_SUM_ROWS)
				tz_sum_terms(TZ_SUM_ROWS, member->out[0] + row, member->in[0], &state->terms[row], first + done, piece);
			else
				tz_sum_terms(1, member->out[0] + row, member->in[0], &state->terms[row], first + done, piece);
		}
}

static void process(const struct tz_member *members, uint32_t count, uint32_t frames)
{
	for (uint32_t n = 0; n < count; n++) {
		struct state *state = members[n].state;
		const uint32_t gliding = tz_least(frames, state->glide.left);
		if (gliding > 0)
			run_gliding(state, &members[n], gliding);
		if (gliding < frames)
			run_steady(state, &members[n], gliding, frames - gliding);
		state->glide.left -= gliding;
	}
}

TZ_NODE_TYPE(channel_map) = {
	.name = "channel_map",
	.category = "processor",
	.help = "Mixes input channels into output channels by a matrix of gains. Turns mono into stereo, swaps sides, folds surround sound down.",
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
