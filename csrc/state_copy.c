/* [both] Copying states field by field. */
#include "state_copy.h"

#include "memory.h"

#include <string.h>

/* So much is copied before a block at most: 50 µs from memory. But of each line at least twice the columns that a block overwrites, which
 * is as much again for 64 of stereo with blocks of 256. */
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
	tz_copies_release(copy);
	return NULL;
}

void tz_copies_release(struct tz_copy *first)
{
	for (struct tz_copy *copy = first, *next; copy; copy = next) {
		next = copy->next;
		tz_node_release(copy->from);
		tz_node_release(copy->to);
		tz_free(copy);
	}
}

static void begin(const struct tz_copy *copy)
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

void tz_copies_begin(struct tz_copy *first)
{
	for (const struct tz_copy *copy = first; copy; copy = copy->next)
		begin(copy);
}

/* Columns first … end of all rows. */
static void copy_columns(const struct tz_field *source, const struct tz_field *target, uint32_t first, uint32_t end)
{
	for (uint32_t row = 0; row < source->rows; row++) {
		const size_t at = (size_t)row * source->columns + first;
		memcpy((float *)target->at + at, (const float *)source->at + at, (end - first) * sizeof(float));
	}
}

/* Of a line, how many columns are still to be copied. */
static uint32_t left_of(const struct tz_copy *copy, uint32_t field)
{
	const struct tz_field *target = &copy->target[field];
	if (!target->position)
		return 0;
	return (target->filled ? *target->filled : target->columns) - copy->done[field];
}

/* From the oldest on: there the node will write next. `bytes`: this line's share. */
static void copy_piece(struct tz_copy *copy, uint32_t field, uint32_t left, uint32_t bytes)
{
	const struct tz_field *source = &copy->source[field], *target = &copy->target[field];
	const uint32_t wanted = 2 * copy->from->shape.block_frames, possible = bytes / (4 * source->rows);
	const uint32_t piece = possible > wanted ? possible : wanted, some = left < piece ? left : piece;
	const uint32_t from = (*target->position + source->columns - left) % source->columns;
	const uint32_t straight = some < source->columns - from ? some : source->columns - from;
	copy_columns(source, target, from, from + straight);
	copy_columns(source, target, 0, some - straight);
	copy->done[field] += some;
}

bool tz_copies_go_on(struct tz_copy *first)
{
	uint32_t lines = 0, unfinished = 0;
	for (const struct tz_copy *copy = first; copy; copy = copy->next)
		for (uint32_t f = 0; f < copy->count; f++)
			lines += left_of(copy, f) > 0;
	for (struct tz_copy *copy = first; copy; copy = copy->next)
		for (uint32_t f = 0; f < copy->count; f++) {
			const uint32_t left = left_of(copy, f);
			if (left > 0)
				copy_piece(copy, f, left, BYTES_PER_BLOCK / lines);
			unfinished += left_of(copy, f) > 0;
		}
	return unfinished == 0;
}
