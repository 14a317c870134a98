/* [control] Bounded text. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>

void tz_text_put(struct tz_text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	size_t room = text->needed < text->capacity ? text->capacity - text->needed : 0;
	int written = vsnprintf(room ? text->at + text->needed : NULL, room, format, arguments);
	text->needed += written > 0 ? (size_t)written : 0;
	va_end(arguments);
}
