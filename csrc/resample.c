/* [card] The resampler. Own rather than libsamplerate's or soxr's: measured three to four times as fast as the fastest of theirs whose ratio can
 * move, at a lower error (docs/performance.md has the figures), a copy at 1:1, and one library less to install. */
#include "resample.h"

#include "kernel.h"
#include "memory.h"

#include <math.h>
#include <string.h>

/* 64 taps at 48 kHz pass everything to 21 kHz and let nothing through beyond 27 kHz; a Kaiser window of 12.3 keeps what remains 120 dB
 * down. 1024 phases: straight lines between them are 122 dB right at 20 kHz, and better the lower. */
enum { TAPS = 64, PHASES = 1024, LANES = 16 };
#define KAISER 12.3
#define PI 3.14159265358979323846

typedef float lanes __attribute__((vector_size(4 * LANES)));

struct tz_resampler {
	uint32_t channels, taps, capacity;
	double step, resting_step;
	uint32_t first, filled; /* frames of history: where the next output's first tap lies, and how many there are */
	double part;            /* of a frame beyond that */
	float *history;         /* channel after channel, capacity each */
	float *table;           /* PHASES + 1 rows of taps */
	float *row;             /* the taps between two phases */
};

/* ---- The table ---- */

static double bessel(double x)
{
	double sum = 1.0, term = 1.0;
	for (int k = 1; term > sum * 1e-17; k++) {
		term *= x / (2.0 * k) * (x / (2.0 * k));
		sum += term;
	}
	return sum;
}

/* But for a factor, which fill_table takes out. */
static double windowed_sinc(double x, double cutoff, double half_width)
{
	const double side = x / half_width;
	if (side <= -1.0 || side >= 1.0)
		return 0.0;
	const double window = bessel(KAISER * sqrt(1.0 - side * side)), turn = PI * cutoff * x;
	return (fabs(turn) < 1e-9 ? 1.0 : sin(turn) / turn) * window;
}

static void fill_table(struct tz_resampler *resampler, double cutoff)
{
	const int32_t taps = (int32_t)resampler->taps, centre = taps / 2 - 1;
	for (uint32_t phase = 0; phase <= PHASES; phase++) {
		float *row = resampler->table + (size_t)phase * resampler->taps;
		double sum = 0.0;
		for (int32_t tap = 0; tap < taps; tap++)
			sum += windowed_sinc(tap - centre - (double)phase / PHASES, cutoff, taps / 2);
		for (int32_t tap = 0; tap < taps; tap++) /* by their sum, so that a constant stays one in every phase */
			row[tap] = (float)(windowed_sinc(tap - centre - (double)phase / PHASES, cutoff, taps / 2) / sum);
	}
}

struct tz_resampler *tz_resampler_new(uint32_t channels, double step, uint32_t most)
{
	struct tz_resampler *resampler = tz_allocate(sizeof *resampler);
	if (!resampler)
		return NULL;
	const double widening = step > 1.0 ? step : 1.0; /* towards a lower rate the filter becomes longer, and lower */
	resampler->channels = channels;
	resampler->taps = ((uint32_t)ceil(TAPS * widening) + LANES - 1) / LANES * LANES;
	resampler->resting_step = step;
	/* what one call makes of at the fastest step, what one call brings, and the filter's length */
	resampler->capacity = (uint32_t)(most * (step > 1.0 ? step : 1.0) * 1.05) + most + 2 * resampler->taps + LANES;
	resampler->history = tz_allocate_array((size_t)channels * resampler->capacity, sizeof(float));
	resampler->table = tz_allocate_array((size_t)(PHASES + 1) * resampler->taps, sizeof(float));
	resampler->row = tz_allocate_array(resampler->taps, sizeof(float));
	if (!resampler->history || !resampler->table || !resampler->row) {
		tz_resampler_free(resampler);
		return NULL;
	}
	fill_table(resampler, 1.0 / widening);
	tz_resampler_clear(resampler);
	return resampler;
}

void tz_resampler_free(struct tz_resampler *resampler)
{
	if (!resampler)
		return;
	tz_free(resampler->history);
	tz_free(resampler->table);
	tz_free(resampler->row);
	tz_free(resampler);
}

void tz_resampler_clear(struct tz_resampler *resampler)
{
	memset(resampler->history, 0, (size_t)resampler->channels * resampler->capacity * sizeof(float));
	resampler->first = 0;
	resampler->part = 0.0;
	resampler->step = resampler->resting_step;
	/* Silence in all of it but one frame: from the first call on it needs as many frames as it makes. */
	resampler->filled = resampler->taps - 1;
}

void tz_resampler_set_step(struct tz_resampler *resampler, double step)
{
	resampler->step = step;
}

/* ---- Input ---- */

uint32_t tz_resampler_needs(const struct tz_resampler *resampler, uint32_t frames)
{
	if (frames == 0)
		return 0;
	const double last = resampler->part + resampler->step * (frames - 1);
	/* one more than its own arithmetic says: sums of steps may round up over a whole frame */
	const uint32_t wanted = resampler->first + (uint32_t)(last + 1e-6) + resampler->taps;
	return wanted > resampler->filled ? wanted - resampler->filled : 0;
}

float *tz_resampler_room(struct tz_resampler *resampler, uint32_t *stride)
{
	if (resampler->first > 0) {
		const uint32_t kept = resampler->filled - resampler->first;
		for (uint32_t c = 0; c < resampler->channels; c++) {
			float *channel = resampler->history + (size_t)c * resampler->capacity;
			memmove(channel, channel + resampler->first, kept * sizeof *channel);
		}
		resampler->filled = kept;
		resampler->first = 0;
	}
	*stride = resampler->capacity;
	return resampler->history + resampler->filled;
}

void tz_resampler_put(struct tz_resampler *resampler, uint32_t frames)
{
	resampler->filled += frames;
}

/* ---- Output ---- */

TZ_INLINE void mix_rows(const float *low, const float *high, float share, float *row, uint32_t taps)
{
	for (uint32_t i = 0; i < taps; i += LANES) {
		lanes below, above;
		memcpy(&below, low + i, sizeof below);
		memcpy(&above, high + i, sizeof above);
		below += share * (above - below);
		memcpy(row + i, &below, sizeof below);
	}
}

TZ_INLINE float weigh(const float *sound, const float *row, uint32_t taps)
{
	lanes sum = {0};
	for (uint32_t i = 0; i < taps; i += LANES) {
		lanes samples, weights;
		memcpy(&samples, sound + i, sizeof samples);
		memcpy(&weights, row + i, sizeof weights);
		sum += samples * weights;
	}
	/* Halves upon each other: four steps where one by one it takes sixteen. */
	sum += __builtin_shufflevector(sum, sum, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
	sum += __builtin_shufflevector(sum, sum, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
	sum += __builtin_shufflevector(sum, sum, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3);
	return sum[0] + sum[1];
}

static uint32_t copy(struct tz_resampler *resampler, float *planar, uint32_t stride, uint32_t most)
{
	const uint32_t ready = resampler->filled - resampler->first;
	uint32_t count = ready < resampler->taps ? 0 : ready - resampler->taps + 1;
	if (count > most)
		count = most;
	for (uint32_t c = 0; c < resampler->channels; c++)
		memcpy(planar + (size_t)c * stride, resampler->history + (size_t)c * resampler->capacity + resampler->first + resampler->taps / 2 - 1,
		       count * sizeof(float));
	resampler->first += count;
	return count;
}

TZ_KERNEL static uint32_t interpolate(struct tz_resampler *resampler, float *planar, uint32_t stride, uint32_t most)
{
	const uint32_t taps = resampler->taps;
	uint32_t made = 0;
	for (; made < most && resampler->first + taps <= resampler->filled; made++) {
		const double phase = resampler->part * PHASES;
		const uint32_t below = (uint32_t)phase;
		const float *low = resampler->table + (size_t)below * taps;
		mix_rows(low, low + taps, (float)(phase - below), resampler->row, taps);
		for (uint32_t c = 0; c < resampler->channels; c++)
			planar[(size_t)c * stride + made] = weigh(resampler->history + (size_t)c * resampler->capacity + resampler->first, resampler->row, taps);
		resampler->part += resampler->step;
		const uint32_t whole = (uint32_t)resampler->part;
		resampler->first += whole;
		resampler->part -= whole;
	}
	return made;
}

uint32_t tz_resampler_make(struct tz_resampler *resampler, float *planar, uint32_t stride, uint32_t most)
{
	const bool copies = resampler->step == 1.0 && resampler->part == 0.0;
	return copies ? copy(resampler, planar, stride, most) : interpolate(resampler, planar, stride, most);
}

double tz_resampler_holds(const struct tz_resampler *resampler)
{
	return (double)resampler->filled - resampler->first - resampler->part - (resampler->taps / 2 - 1);
}
