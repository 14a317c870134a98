/* [card] The resampler against sines that are known in between: its error, its copy at 1:1, setting out from there, and its arithmetic of
 * how many frames it needs. */
#include "check.h"

#include "../memory.h"
#include "../resample.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846
enum { PERIOD = 256, SETTLED = 4096 };

struct run {
	double frequency;      /* of the input's rate */
	uint64_t put, made;
	double position;       /* of the input, where the next frame of output lies: what the steps add up to */
	double worst;          /* error, of full scale */
};

static void feed(struct tz_resampler *resampler, struct run *run, uint32_t frames)
{
	uint32_t stride;
	float *room = tz_resampler_room(resampler, &stride);
	for (uint32_t i = 0; i < frames; i++, run->put++) {
		room[i] = (float)sin(2 * PI * run->frequency * (double)run->put);
		room[stride + i] = (float)cos(2 * PI * run->frequency * (double)run->put);
	}
	tz_resampler_put(resampler, frames);
}

/* A period of output, which must take just what was said to be needed. */
static void make(struct tz_resampler *resampler, struct run *run, double step)
{
	float out[2 * PERIOD];
	feed(resampler, run, tz_resampler_needs(resampler, PERIOD));
	CHECK(tz_resampler_needs(resampler, PERIOD) == 0);
	CHECK(tz_resampler_make(resampler, out, PERIOD, PERIOD) == PERIOD);
	for (uint32_t i = 0; i < PERIOD; i++, run->position += step, run->made++) {
		if (run->made < SETTLED)
			continue;
		run->worst = fmax(run->worst, fabs(out[i] - sin(2 * PI * run->frequency * run->position)));
		run->worst = fmax(run->worst, fabs(out[PERIOD + i] - cos(2 * PI * run->frequency * run->position)));
	}
}

static struct tz_resampler *begin(double step, double frequency, struct run *run)
{
	struct tz_resampler *resampler = tz_resampler_new(2, step, PERIOD);
	CHECK(resampler);
	*run = (struct run){.frequency = frequency, .position = -tz_resampler_holds(resampler)};
	return resampler;
}

static double worst_db(double step, double frequency)
{
	struct run run;
	struct tz_resampler *resampler = begin(step, frequency, &run);
	for (int period = 0; period < 200; period++)
		make(resampler, &run, step);
	tz_resampler_free(resampler);
	const double db = 20 * log10(run.worst);
	printf("step %.6f, %.4f of the rate: %.1f dB\n", step, frequency, db);
	return db;
}

static void errors_are_small(void)
{
	CHECK(worst_db(1.0002, 1000.0 / 48000) < -122); /* what 32 bits leave of a sum of 64 */
	CHECK(worst_db(0.9998, 10000.0 / 48000) < -116);
	CHECK(worst_db(1.0002, 20000.0 / 48000) < -100);
	CHECK(worst_db(44100.0 / 48000, 1000.0 / 44100) < -122);
	CHECK(worst_db(48000.0 / 44100, 18000.0 / 48000) < -100);
	CHECK(worst_db(2.0, 0.2) < -100);
	CHECK(worst_db(6.0, 1000.0 / 48000) < -110);
	CHECK(worst_db(0.125, 0.4) < -100);
}

static double level_beyond(double step, double frequency)
{
	struct tz_resampler *resampler = tz_resampler_new(2, step, PERIOD);
	struct run run = {.frequency = frequency};
	float out[2 * PERIOD];
	double loudest = 0;
	for (int period = 0; period < 100; period++) {
		feed(resampler, &run, tz_resampler_needs(resampler, PERIOD));
		tz_resampler_make(resampler, out, PERIOD, PERIOD);
		for (uint32_t i = 0; period > 20 && i < PERIOD; i++)
			loudest = fmax(loudest, fabsf(out[i]));
	}
	tz_resampler_free(resampler);
	return 20 * log10(loudest);
}

static void what_a_lower_rate_cannot_hold_is_left_out(void)
{
	CHECK(level_beyond(2.0, 0.29) < -110); /* 27.8 kHz at 96 kHz, on its way to 48 kHz */
	CHECK(level_beyond(6.0, 0.12) < -110);
}

static void one_to_one_is_a_copy(void)
{
	struct run run;
	struct tz_resampler *resampler = begin(1.0, 0.123, &run);
	float out[2 * PERIOD];
	const uint32_t behind = (uint32_t)tz_resampler_holds(resampler);
	for (int period = 0; period < 50; period++) {
		CHECK(tz_resampler_needs(resampler, PERIOD) == PERIOD); /* from the first period on */
		feed(resampler, &run, PERIOD);
		CHECK(tz_resampler_make(resampler, out, PERIOD, PERIOD) == PERIOD);
		for (uint32_t i = 0; i < PERIOD; i++) {
			const int64_t at = (int64_t)period * PERIOD + i - behind;
			CHECK(out[i] == (at < 0 ? 0.0f : (float)sin(2 * PI * 0.123 * (double)at)));
		}
	}
	tz_resampler_free(resampler);
}

static void it_sets_out_from_a_copy_without_a_step(void)
{
	struct run run;
	struct tz_resampler *resampler = begin(1.0, 1000.0 / 48000, &run);
	for (int period = 0; period < 40; period++)
		make(resampler, &run, 1.0);
	CHECK(run.worst == 0.0 || run.worst < 1e-7);
	for (int period = 0; period < 400; period++) { /* ever other steps: where it is stays what they add up to */
		const double step = 1.0 + 0.004 * sin(0.1 * period);
		tz_resampler_set_step(resampler, step);
		make(resampler, &run, step);
	}
	printf("moving steps: %.1f dB\n", 20 * log10(run.worst));
	CHECK(20 * log10(run.worst) < -118);
	tz_resampler_free(resampler);
}

/* Capturing: pieces of any size go in, all that can be made comes out. */
static void all_that_goes_in_comes_out(void)
{
	const double step = 0.7;
	struct tz_resampler *resampler = tz_resampler_new(2, step, PERIOD);
	struct run run = {.frequency = 0.01};
	float out[2 * 512];
	uint64_t made = 0, now;
	for (uint32_t piece = 1; piece < 2000; piece++) {
		feed(resampler, &run, piece % PERIOD + 1);
		while ((now = tz_resampler_make(resampler, out, 512, 512)))
			made += now;
		const double heard = (double)run.put - tz_resampler_holds(resampler);
		CHECK(fabs(heard - ((double)made * step - 32)) < 1e-3); /* half a filter of silence came first */
	}
	tz_resampler_free(resampler);
}

static void memory_may_be_refused(void)
{
	long n = 0;
	for (struct tz_resampler *resampler = NULL; !resampler; n++) {
		tz_fail_allocation(n);
		resampler = tz_resampler_new(2, 1.0, PERIOD);
		tz_fail_allocation(-1);
		tz_resampler_free(resampler);
	}
	CHECK(n == 5); /* four pieces of memory, each of which was refused once */
}

int main(void)
{
	errors_are_small();
	what_a_lower_rate_cannot_hold_is_left_out();
	one_to_one_is_a_copy();
	it_sets_out_from_a_copy_without_a_step();
	all_that_goes_in_comes_out();
	memory_may_be_refused();
	puts("resample: done");
	return 0;
}
