/* [card] The loop that holds two clocks together: from how many seconds the store between them is off its target, by how much the ratio of
 * a resampler has to differ from the rates' own. A second-order loop (its memory is the drift itself, so the store comes to rest on the
 * target), behind two more poles that keep the unevenness of a card's reports out of the pitch. */
#ifndef TZ_DRIFT_H
#define TZ_DRIFT_H

#include <math.h>

/* It begins quick, to find a card's drift within seconds, and becomes slow, so that nothing is heard of it: 0.2 Hz for 5 s, then falling to
 * 0.015 Hz by a factor of e every 5 s. A card may be off by 0.5 %, ten times what any crystal is. */
#define TZ_DRIFT_QUICK_HZ 0.2
#define TZ_DRIFT_SLOW_HZ 0.015
#define TZ_DRIFT_HURRY_S 5.0
#define TZ_DRIFT_LIMIT 0.005
#define TZ_DRIFT_FAR_S 0.003 /* so far off, it is in a hurry again */

struct tz_drift {
	double age;              /* s since it was in a hurry */
	double once, twice;      /* the error behind one pole, behind two */
	double found;            /* the drift */
};

/* The store was filled to its target: nothing is off, and the drift is what it was found to be. */
static inline void tz_drift_settle(struct tz_drift *drift)
{
	drift->once = drift->twice = 0.0;
}

static inline double tz_drift_within(double value, double limit)
{
	return value > limit ? limit : value < -limit ? -limit : value;
}

/* `error`: seconds by which the store is too full; `passed`: seconds since the last call. Gives the share by which more has to be taken out. */
static inline double tz_drift_follow(struct tz_drift *drift, double error, double passed)
{
	passed = passed < 0.5 ? passed : 0.5; /* a thread that was stopped for long saw nothing meanwhile */
	const double spare = drift->age - TZ_DRIFT_HURRY_S;
	const double hertz = TZ_DRIFT_SLOW_HZ + (TZ_DRIFT_QUICK_HZ - TZ_DRIFT_SLOW_HZ) * (spare > 0 ? exp(-spare / TZ_DRIFT_HURRY_S) : 1.0);
	const double turn = 2.0 * 3.14159265358979 * hertz, pole = 1.0 - exp(-20.0 * turn * passed); /* poles 20 times higher leave the loop damped */
	drift->once += pole * (tz_drift_within(error, 0.05) - drift->once);
	drift->twice += pole * (drift->once - drift->twice);
	drift->found = tz_drift_within(drift->found + turn * turn * drift->twice * passed, TZ_DRIFT_LIMIT);
	drift->age = fabs(drift->twice) > TZ_DRIFT_FAR_S ? 0.0 : drift->age + passed;
	return tz_drift_within(drift->found + 2.0 * turn * drift->twice, TZ_DRIFT_LIMIT);
}

#endif
