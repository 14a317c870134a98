/* [both] A frame and the time that belongs to it, told by one thread and read by others. */
#ifndef TZ_MOMENT_H
#define TZ_MOMENT_H

#include <stdatomic.h>
#include <stdint.h>

struct tz_moment {
	double frame;
	int64_t time_ns; /* 0: nothing was told, or time has no meaning (a clock that waits) */
};

/* One writer. A reader that comes while it writes reads again: the writer is done within nanoseconds. */
struct tz_told_moment {
	_Atomic uint32_t version; /* odd while it is being written */
	_Atomic double frame;
	_Atomic int64_t time_ns;
};

static inline void tz_moment_tell(struct tz_told_moment *told, struct tz_moment moment)
{
	uint32_t version = atomic_load_explicit(&told->version, memory_order_relaxed);
	atomic_store_explicit(&told->version, version + 1, memory_order_seq_cst);
	atomic_store_explicit(&told->frame, moment.frame, memory_order_seq_cst);
	atomic_store_explicit(&told->time_ns, moment.time_ns, memory_order_seq_cst);
	atomic_store_explicit(&told->version, version + 2, memory_order_seq_cst);
}

static inline struct tz_moment tz_moment_read(const struct tz_told_moment *told)
{
	for (;;) {
		uint32_t version = atomic_load(&told->version);
		struct tz_moment moment = {atomic_load(&told->frame), atomic_load(&told->time_ns)};
		if (!(version & 1) && version == atomic_load(&told->version))
			return moment;
	}
}

/* Where the line has come to by `now`, at so many frames a second. */
static inline double tz_moment_frame_at(struct tz_moment moment, int64_t now_ns, double rate)
{
	return moment.frame + (double)(now_ns - moment.time_ns) * 1e-9 * rate;
}

#endif
