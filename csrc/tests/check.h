/* [control] What the standalone C tests share: one macro, and a source, a wire and a sink to play with. */
#ifndef TZ_CHECK_H
#define TZ_CHECK_H

#include "../tonnetz_core.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK(truth)                                                                                                                                 \
	do {                                                                                                                                         \
		if (!(truth)) {                                                                                                                      \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #truth);                                                        \
			exit(1);                                                                                                                     \
		}                                                                                                                                    \
	} while (0)

enum { RATE = 48000, BLOCK = 64 };

static inline struct tz_node *make_node(const char *type, uint32_t inputs, uint32_t outputs, const double *values, struct tz_ring *ring)
{
	const uint32_t channels[] = {1, 1};
	struct tz_node *node = NULL;
	CHECK(tz_node_new(type, RATE, BLOCK, 0, inputs, outputs, channels, values, ring, &node) == TZ_OK);
	return node;
}

#endif
