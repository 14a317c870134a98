/* [control] Text into a buffer that may be too small: writes what fits and counts what it would need. */
#ifndef TZ_TEXT_H
#define TZ_TEXT_H

#include <stddef.h>

struct tz_text {
	char *at;
	size_t capacity, needed;
};

__attribute__((format(printf, 2, 3))) void tz_text_put(struct tz_text *text, const char *format, ...);

#endif
