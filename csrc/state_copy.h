/* [both] Nodes' states copied while they sound, as all of them are at one block boundary. What is small is copied there and then. Lines
 * may be large; they are copied over as many blocks as that takes, each of them always well ahead of where its node writes on, so that
 * they too are as they were at that boundary. */
#ifndef TZ_STATE_COPY_H
#define TZ_STATE_COPY_H

#include "node.h"

struct tz_copy {
	struct tz_node *from, *to; /* alike */
	struct tz_field source[TZ_MOST_FIELDS], target[TZ_MOST_FIELDS];
	uint32_t count;
	uint32_t done[TZ_MOST_FIELDS]; /* of a line: how many of its columns have been copied */
	struct tz_copy *next;          /* at the same boundary */
};

/* [control] NULL: no memory, or the nodes are not alike. */
struct tz_copy *tz_copy_new(struct tz_node *from, struct tz_node *to);
void tz_copies_release(struct tz_copy *first);

/* [audio] At the boundary; then once before each block, until it says that all is done. */
void tz_copies_begin(struct tz_copy *first);
bool tz_copies_go_on(struct tz_copy *first);

/* Bytes of a field's cell. */
size_t tz_cell_size(enum tz_cell cell);

#endif
