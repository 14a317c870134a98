/* [card] The loop that holds two clocks together, in minutes that pass at once: what it finds, how soon, and how quiet it is. */
#include "check.h"

#include "../drift.h"

#include <math.h>

/* An evenly spread number in -1 … 1, the same in every run. */
static double noise(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed / 2147483648.0 - 1.0;
}

struct outcome {
	double found, farthest, rest, wander; /* ppm; s at most off; s off in the end; ppm that the pitch moves by in the end */
};

/* Two clocks `ppm` apart. The store is looked at every period, where reports of it are uneven by up to `uneven` s. */
static struct outcome hold(double ppm, double period, double uneven, double seconds)
{
	struct tz_drift drift = {0};
	struct outcome outcome = {0};
	double stored = 0.0, low = 1.0, high = -1.0;
	uint32_t seed = 1;
	for (double time = 0.0; time < seconds; time += period) {
		const double share = tz_drift_follow(&drift, stored + uneven * noise(&seed), period);
		stored += (ppm * 1e-6 - share) * period;
		outcome.farthest = fmax(outcome.farthest, fabs(stored));
		if (time > seconds - 10) {
			low = fmin(low, share);
			high = fmax(high, share);
		}
	}
	outcome.found = drift.found * 1e6;
	outcome.rest = fabs(stored);
	outcome.wander = (high - low) * 1e6;
	printf("%+.0f ppm, uneven by %.1f ms: found %+.2f after %.0f s, off by %.3f ms at most, %.4f in the end, wanders by %.2f ppm\n", ppm, uneven * 1e3,
	       outcome.found, seconds, outcome.farthest * 1e3, outcome.rest * 1e3, outcome.wander);
	return outcome;
}

static void it_finds_the_drift(void)
{
	static const double drifts[] = {0, 20, -200, 200, 1000, -1000};
	for (size_t i = 0; i < sizeof drifts / sizeof *drifts; i++) {
		const struct outcome even = hold(drifts[i], 256 / 48000.0, 0, 60);
		CHECK(fabs(even.found - drifts[i]) < 0.5);
		CHECK(even.farthest < fabs(drifts[i]) * 1e-6 + 1e-9); /* a second's worth of drift at most */
		CHECK(even.rest < 1e-5 && even.wander < 2);
	}
}

static void it_has_found_it_soon(void)
{
	CHECK(fabs(hold(200, 256 / 48000.0, 0, 5).found - 200) < 10);
}

static void uneven_reports_stay_out_of_the_pitch(void)
{
	const struct outcome rough = hold(150, 256 / 48000.0, 0.001, 120);
	CHECK(fabs(rough.found - 150) < 5 && rough.rest < 2e-4 && rough.wander < 40); /* 40 ppm: a fifteenth of a cent */
	const struct outcome coarse = hold(-150, 1024 / 48000.0, 0.005, 120); /* a server that reports by periods */
	CHECK(fabs(coarse.found + 150) < 30);
}

static void it_has_its_limit(void)
{
	struct tz_drift drift = {0};
	for (int i = 0; i < 100000; i++)
		CHECK(fabs(tz_drift_follow(&drift, i % 2 ? 1.0 : 0.9, 0.01)) <= TZ_DRIFT_LIMIT);
	CHECK(drift.found == TZ_DRIFT_LIMIT);
	for (int i = 0; i < 200; i++) /* and lets go of it soon */
		tz_drift_follow(&drift, -0.05, 0.01);
	CHECK(drift.found < TZ_DRIFT_LIMIT / 2);
}

static void a_stop_of_the_thread_does_not_throw_it(void)
{
	struct tz_drift drift = {0};
	for (int i = 0; i < 10000; i++)
		tz_drift_follow(&drift, 0.0, 0.005);
	const double share = tz_drift_follow(&drift, 0.001, 30.0);
	CHECK(fabs(share) < 1e-3);
}

int main(void)
{
	it_finds_the_drift();
	it_has_found_it_soon();
	uneven_reports_stay_out_of_the_pitch();
	it_has_its_limit();
	a_stop_of_the_thread_does_not_throw_it();
	puts("drift: done");
	return 0;
}
