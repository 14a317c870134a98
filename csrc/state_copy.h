/* [both] A node's state copied while it sounds, as it is at one block boundary. What is small is copied there and then. Lines may be
 * large; they are copied over as many blocks as that takes, always well ahead of where the node writes on, so that they too are as
 * they were at that boundary. */
#ifndef TZ_STATE_COPY_H
#define TZ_STATE_COPY_H

#include "node.h"

struct tz_copy {
	struct tz_node *from, *to; /* alike */
	struct tz_field source[TZ_MOST_FIELDS], target[TZ_MOST_FIELDS];
	uint32_t count;
	uint32_t at, done; /* the line that is being copied, and how many of its columns have been */
};

/* [control] NULL: no memory, or the nodes are not alike. */
struct tz_copy *tz_copy_new(struct tz_node *from, struct tz_node *to);
void tz_copy_release(struct tz_copy *copy);

/* [audio] At the boundary; then once before each block, until it says that all is done. */
void tz_copy_begin(struct tz_copy *copy);
bool tz_copy_some(struct tz_copy *copy);

/* Bytes of a field's cell. */
size_t tz_cell_size(enum tz_cell cell);

#endif
