/* [both] Copying a state field by field. */
#include "state_copy.h"

#include "memory.h"

#include <string.h>

/* So much is copied before a block at most: 50 µs from memory. But of each line at least twice the columns that a block overwrites. */
#define BYTES_PER_BLOCK (256u << 10)

size_t tz_cell_size(enum tz_cell cell)
{
	return cell == TZ_FLOAT32 || cell == TZ_UINT32 ? 4 : 8;
}

struct tz_copy *tz_copy_new(struct tz_node *from, struct tz_node *to)
{
	if (from->type != to->type || from->shape.block_frames != to->shape.block_frames)
		return NULL;
	struct tz_copy *copy = tz_allocate(sizeof *copy);
	if (!copy)
		return NULL;
	copy->from = tz_node_retain(from);
	copy->to = tz_node_retain(to);
	copy->count = from->type->fields ? from->type->fields(from->state, copy->source) : 0;
	bool alike = !from->type->fields || from->type->fields(to->state, copy->target) == copy->count;
	for (uint32_t f = 0; alike && f < copy->count; f++)
		alike = copy->source[f].rows == copy->target[f].rows && copy->source[f].columns == copy->target[f].columns;
	if (alike)
		return copy;
	tz_copy_release(copy);
	return NULL;
}

void tz_copy_release(struct tz_copy *copy)
{
	if (!copy)
		return;
	tz_node_release(copy->from);
	tz_node_release(copy->to);
	tz_free(copy);
}

void tz_copy_begin(struct tz_copy *copy)
{
	for (uint32_t f = 0; f < copy->count; f++) {
		const struct tz_field *source = &copy->source[f], *target = &copy->target[f];
		if (!source->position) {
			memcpy(target->at, source->at, (size_t)source->rows * source->columns * tz_cell_size(source->cell));
			continue;
		}
		*target->position = *source->position;
		if (source->filled)
			*target->filled = *source->filled;
	}
}

/* Columns begin … end of all rows. */
static void copy_columns(const struct tz_field *source, const struct tz_field *target, uint32_t begin, uint32_t end)
{
	for (uint32_t row = 0; row < source->rows; row++) {
		const size_t at = (size_t)row * source->columns + begin;
		memcpy((float *)target->at + at, (const float *)source->at + at, (end - begin) * sizeof(float));
	}
}

static uint32_t columns_per_block(const struct tz_copy *copy, const struct tz_field *line)
{
	const uint32_t wanted = 2 * copy->from->shape.block_frames, possible = BYTES_PER_BLOCK / (4 * line->rows);
	return possible > wanted ? possible : wanted;
}

/* From the oldest on: there the node will write next. */
bool tz_copy_some(struct tz_copy *copy)
{
	for (; copy->at < copy->count; copy->at++, copy->done = 0) {
		const struct tz_field *source = &copy->source[copy->at], *target = &copy->target[copy->at];
		if (!source->position)
			continue;
		const uint32_t filled = target->filled ? *target->filled : target->columns, left = filled - copy->done;
		const uint32_t piece = columns_per_block(copy, source), some = left < piece ? left : piece;
		if (some > 0) {
			const uint32_t begin = (*target->position + source->columns - left) % source->columns;
			const uint32_t first = some < source->columns - begin ? some : source->columns - begin;
			copy_columns(source, target, begin, begin + first);
			copy_columns(source, target, 0, some - first);
		}
		copy->done += some;
		if (copy->done < filled)
			return false;
	}
	return true;
}
