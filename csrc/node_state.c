/* [control] A node's state as bytes: read from one that does not sound (a copy), written into one that has yet to. */
#include "memory.h"
#include "state_copy.h"

#include <math.h>
#include <string.h>

static uint32_t fields_of(struct tz_node *node, struct tz_field *fields)
{
	return node->type->fields ? node->type->fields(node->state, fields) : 0;
}

static uint32_t filled(const struct tz_field *line)
{
	return line->filled ? *line->filled : line->columns;
}

size_t tz_node_state_size(struct tz_node *node)
{
	struct tz_field fields[TZ_MOST_FIELDS];
	size_t size = 0;
	for (uint32_t f = 0, count = fields_of(node, fields); f < count; f++)
		size += (size_t)fields[f].rows * fields[f].columns * tz_cell_size(fields[f].cell);
	return size;
}

uint32_t tz_node_state(struct tz_node *node, struct tz_state_field *told, uint32_t capacity)
{
	struct tz_field fields[TZ_MOST_FIELDS];
	const uint32_t count = fields_of(node, fields), room = count < capacity ? count : capacity;
	for (uint32_t f = 0; f < room; f++)
		told[f] = (struct tz_state_field){
			.name = fields[f].name,
			.cell = (uint32_t)fields[f].cell,
			.rows = fields[f].rows,
			.columns = fields[f].position ? filled(&fields[f]) : fields[f].columns,
			.capacity = fields[f].columns,
			.is_line = fields[f].position != NULL,
		};
	return count;
}

static void read_line(const struct tz_field *line, float *cells)
{
	const uint32_t columns = filled(line), begin = columns ? (*line->position + line->columns - columns) % line->columns : 0;
	const uint32_t first = columns < line->columns - begin ? columns : line->columns - begin;
	for (uint32_t row = 0; row < line->rows; row++) {
		const float *from = (const float *)line->at + (size_t)row * line->columns;
		memcpy(cells + (size_t)row * columns, from + begin, first * sizeof *cells);
		memcpy(cells + (size_t)row * columns + first, from, (columns - first) * sizeof *cells);
	}
}

void tz_node_state_read(struct tz_node *node, uint32_t number, void *cells)
{
	struct tz_field fields[TZ_MOST_FIELDS];
	if (number >= fields_of(node, fields))
		return;
	const struct tz_field *field = &fields[number];
	if (field->position)
		read_line(field, cells);
	else
		memcpy(cells, field->at, (size_t)field->rows * field->columns * tz_cell_size(field->cell));
}

static bool all_finite(enum tz_cell cell, const void *cells, size_t count)
{
	bool finite = true;
	for (size_t i = 0; i < count && cell == TZ_FLOAT32; i++)
		finite &= isfinite(((const float *)cells)[i]) != 0;
	for (size_t i = 0; i < count && cell == TZ_FLOAT64; i++)
		finite &= isfinite(((const double *)cells)[i]) != 0;
	return finite;
}

/* The newest column lies at the end of the line, as if it had just come round. */
static void write_line(const struct tz_field *line, const float *cells, uint32_t columns)
{
	for (uint32_t row = 0; row < line->rows; row++) {
		float *end = (float *)line->at + (size_t)(row + 1) * line->columns;
		memcpy(end - columns, cells + (size_t)row * columns, columns * sizeof *cells);
	}
	*line->position = 0;
	if (line->filled)
		*line->filled = columns;
}

tz_status tz_node_state_write(struct tz_node *node, uint32_t number, const void *cells, uint32_t rows, uint32_t columns)
{
	struct tz_field fields[TZ_MOST_FIELDS];
	if (number >= fields_of(node, fields))
		return TZ_BAD_ARGUMENT;
	const struct tz_field *field = &fields[number];
	if (rows != field->rows || columns > field->columns || (!field->position && columns != field->columns))
		return TZ_BAD_ARGUMENT;
	if (!all_finite(field->cell, cells, (size_t)rows * columns))
		return TZ_BAD_ARGUMENT;
	if (field->position)
		write_line(field, cells, columns);
	else
		memcpy(field->at, cells, (size_t)rows * columns * tz_cell_size(field->cell));
	return TZ_OK;
}

void tz_node_state_written(struct tz_node *node, uint32_t seam)
{
	if (node->type->restored)
		node->type->restored(node->state, seam);
}
