/* [control] Any settings and any shape that a node type may have, made of its own record: what tests need that try every type there is. */
#ifndef TZ_ANY_NODE_H
#define TZ_ANY_NODE_H

#include "check.h"

#include "../node_type.h"

#include <math.h>
#include <string.h>

enum { MOST_PORTS = 8, MOST_RECORDS = 6, MOST_VALUES = 4200 };

extern const struct tz_node_type *const __start_tz_node_types[] __attribute__((visibility("hidden")));
extern const struct tz_node_type *const __stop_tz_node_types[] __attribute__((visibility("hidden")));

/* ---- Chance ---- */

static uint64_t chance = 1;

static inline uint32_t below(uint32_t limit)
{
	chance = chance * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((chance >> 33) % limit);
}

static inline double between(double least, double most)
{
	return least + (most - least) * below(1u << 20) / ((1u << 20) - 1.0);
}

/* ---- Settings ---- */

enum how { INITIAL, MINIMUM, MAXIMUM, ANYHOW };

static inline uint32_t choice_count(const struct tz_parameter *parameter)
{
	uint32_t count = 0;
	while (parameter->choices[count])
		count++;
	return count;
}

static inline double value_of(const struct tz_parameter *parameter, enum how how)
{
	double least = parameter->minimum, most = parameter->maximum;
	if (parameter->kind == TZ_BOOL || parameter->kind == TZ_CHOICE) {
		least = 0.0;
		most = parameter->kind == TZ_BOOL ? 1.0 : choice_count(parameter) - 1.0;
	}
	double any = how == ANYHOW ? between(0.0, 1.0) : 0.0;
	if (below(2)) /* half of them small: a delay of a minute is no test of the delay */
		any = pow(any, 12.0);
	any = least + (most - least) * any;
	switch (how) {
	case INITIAL: return parameter->initial;
	case MINIMUM: return least;
	case MAXIMUM: return most;
	case ANYHOW: return parameter->kind == TZ_FLOAT ? any : floor(any + 0.5);
	}
	return 0.0;
}

static inline double cell_of(const struct tz_parameter *matrix, enum how how)
{
	if (how == MAXIMUM)
		return matrix->maximum;
	const uint32_t kind = how == ANYHOW ? below(3) : how;
	const double unlike[] = {(double)NAN, -(double)INFINITY}; /* not given, off */
	return kind < 2 ? unlike[kind] : between(matrix->minimum, matrix->maximum);
}

struct settings_values {
	uint32_t records;
	bool open; /* nothing is connected to deciding ports: the same for all nodes that are made of these */
	double values[MOST_VALUES];
};

/* Where a scalar parameter stands in the values. */
static inline uint32_t place_of(const struct tz_node_type *type, uint32_t records, const char *name)
{
	uint32_t place = 0;
	for (const struct tz_parameter *p = type->parameters; p->name; p++) {
		if (strcmp(p->name, name) == 0)
			return place;
		uint32_t fields = 0;
		while (p->kind == TZ_LIST && p->fields[fields].name)
			fields++;
		place += p->kind == TZ_LIST ? records * fields : 1;
	}
	CHECK(!"a parameter of that name");
	return 0;
}

/* Structure parameters (and so the counts of a matrix) come from `structure`, if there is one. */
static inline void fill(const struct tz_node_type *type, enum how how, const struct settings_values *structure, struct settings_values *filled)
{
	uint32_t count = 0;
	filled->open = structure ? structure->open : how == ANYHOW && below(2);
	for (const struct tz_parameter *p = type->parameters; p && p->name; p++) {
		if (p->kind == TZ_LIST) {
			for (uint32_t record = 0; record < filled->records; record++)
				for (const struct tz_parameter *field = p->fields; field->name; field++)
					filled->values[count++] = value_of(field, how);
		} else if (p->kind == TZ_MATRIX) {
			const double rows = filled->values[place_of(type, filled->records, p->rows)];
			const double columns = filled->values[place_of(type, filled->records, p->columns)];
			for (uint32_t cell = 0; cell < rows * columns; cell++)
				filled->values[count++] = cell_of(p, how);
		} else {
			filled->values[count] = structure && p->flags & TZ_STRUCTURE ? structure->values[count] : value_of(p, how);
			count++;
		}
		CHECK(count < MOST_VALUES);
	}
}

static inline uint32_t some_records(const struct tz_node_type *type, enum how how)
{
	for (const struct tz_parameter *p = type->parameters; p && p->name; p++)
		if (p->kind == TZ_LIST) {
			const uint32_t most = p->count_maximum < MOST_RECORDS ? p->count_maximum : MOST_RECORDS;
			return how == ANYHOW ? p->count_minimum + below(most - p->count_minimum + 1) : p->count_initial;
		}
	return 0;
}

/* ---- Shape ---- */

static inline uint32_t channels_of(const struct tz_node_type *type, const struct tz_port *port, const struct settings_values *values, uint32_t width,
                                   uint32_t widest)
{
	switch (port->rule) {
	case TZ_FIXED: return port->channels;
	case TZ_PARAMETER:
		if (type->flags & TZ_USES_RING)
			return width; /* the type in Python that stands before it has the parameter */
		return (uint32_t)values->values[place_of(type, values->records, port->channels_parameter)];
	case TZ_FOLLOW: return width;
	case TZ_CONNECTED: return port->deciding && values->open ? 0 : 1 + below(width);
	case TZ_WIDEST: return widest > port->channels ? widest : port->channels;
	}
	return 0;
}

/* For sources of this width. The channels per port go into `inputs` and `outputs`, MOST_PORTS long, which the shape refers to. */
static inline struct tz_shape shape_for(const struct tz_node_type *type, const struct settings_values *values, uint32_t width, uint32_t block_frames,
                                        uint32_t *inputs, uint32_t *outputs)
{
	struct tz_shape shape = {.sample_rate = RATE, .block_frames = block_frames, .list_count = values->records};
	uint32_t widest = 0;
	for (const struct tz_port *port = type->ports; port->name; port++)
		for (uint32_t n = 0; port->direction == TZ_INPUT && n < (port->repeat ? values->records : 1); n++) {
			const uint32_t channels = channels_of(type, port, values, width, 0);
			widest = channels > widest ? channels : widest;
			inputs[shape.input_count++] = channels;
		}
	for (const struct tz_port *port = type->ports; port->name; port++)
		if (port->direction == TZ_OUTPUT)
			outputs[shape.output_count++] = channels_of(type, port, values, width, widest);
	CHECK(shape.input_count <= MOST_PORTS && shape.output_count <= MOST_PORTS);
	shape.input_channels = inputs;
	shape.output_channels = outputs;
	return shape;
}

#endif
