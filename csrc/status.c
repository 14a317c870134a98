/* [both] The texts of the error enum. No default in the switch: the compiler finds a missing case. */
#include "status.h"

const char *tz_status_text(tz_status status)
{
	switch (status) {
	case TZ_OK: return "done";
	case TZ_NO_MEMORY: return "out of memory";
	case TZ_BAD_ARGUMENT: return "an argument is out of range or does not fit the others";
	case TZ_NO_SUCH_TYPE: return "no such node type in the core";
	case TZ_CYCLE: return "the connections close a loop";
	case TZ_BUSY: return "the engine is busy: its queue of commits is full, or its own thread runs";
	case TZ_NO_THREAD: return "the audio thread could not be started";
	case TZ_STARVED: return "a block waited too long for an endpoint";
	}
	return "unknown status";
}

const char *tz_build(void)
{
	return TZ_BUILD;
}
