/* [both] One error enum for the whole core, and its texts. */
#ifndef TZ_STATUS_H
#define TZ_STATUS_H

#include "tonnetz_core.h"

const char *tz_status_text(tz_status status);

#endif
