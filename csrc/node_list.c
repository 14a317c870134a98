/* [control] The list of node types that the linker built, and its description as JSON: the single source from which Python,
 * forms, documentation and the contract tests know every type. */
#include "node.h"
#include "text.h"

#include <math.h>
#include <string.h>

extern const struct tz_node_type *const __start_tz_node_types[] __attribute__((visibility("hidden")));
extern const struct tz_node_type *const __stop_tz_node_types[] __attribute__((visibility("hidden")));

/* The same types again, compiled for newer processors; not in every build. */
extern const struct tz_node_type *const __start_tz_node_types_v3[] __attribute__((weak, visibility("hidden")));
extern const struct tz_node_type *const __stop_tz_node_types_v3[] __attribute__((weak, visibility("hidden")));
extern const struct tz_node_type *const __start_tz_node_types_v4[] __attribute__((weak, visibility("hidden")));
extern const struct tz_node_type *const __stop_tz_node_types_v4[] __attribute__((weak, visibility("hidden")));

static const struct tz_node_type *find(const char *name, const struct tz_node_type *const *type, const struct tz_node_type *const *end)
{
	for (; type < end; type++)
		if (strcmp((*type)->name, name) == 0)
			return *type;
	return NULL;
}

const struct tz_node_type *tz_node_type_find(const char *name)
{
#if defined(__x86_64__)
	const struct tz_node_type *found = NULL;
	if (__builtin_cpu_supports("x86-64-v4"))
		found = find(name, __start_tz_node_types_v4, __stop_tz_node_types_v4);
	if (!found && __builtin_cpu_supports("x86-64-v3"))
		found = find(name, __start_tz_node_types_v3, __stop_tz_node_types_v3);
	if (found)
		return found;
#endif
	return find(name, __start_tz_node_types, __stop_tz_node_types);
}

/* ---- JSON ---- */

static void put_string(struct tz_text *text, const char *string)
{
	tz_text_put(text, "\"");
	for (const char *c = string ? string : ""; *c; c++) {
		if (*c == '"' || *c == '\\')
			tz_text_put(text, "\\%c", *c);
		else if (*c == '\n')
			tz_text_put(text, "\\n");
		else
			tz_text_put(text, "%c", *c);
	}
	tz_text_put(text, "\"");
}

static void put_text_member(struct tz_text *text, const char *key, const char *value)
{
	tz_text_put(text, "\"%s\": ", key);
	put_string(text, value);
	tz_text_put(text, ", ");
}

static void put_number_member(struct tz_text *text, const char *key, double value)
{
	if (isfinite(value))
		tz_text_put(text, "\"%s\": %.17g, ", key, value);
	else
		tz_text_put(text, "\"%s\": null, ", key); /* an "off" cell, or no bound */
}

static const char *kind_name(enum tz_parameter_kind kind)
{
	switch (kind) {
	case TZ_FLOAT: return "float";
	case TZ_INT: return "int";
	case TZ_BOOL: return "bool";
	case TZ_CHOICE: return "choice";
	case TZ_LIST: return "list";
	case TZ_MATRIX: return "matrix";
	}
	return "";
}

static const char *rule_name(enum tz_channel_rule rule)
{
	switch (rule) {
	case TZ_FIXED: return "fixed";
	case TZ_PARAMETER: return "parameter";
	case TZ_FOLLOW: return "follow";
	case TZ_CONNECTED: return "connected";
	case TZ_WIDEST: return "widest";
	}
	return "";
}

static void put_parameters(struct tz_text *text, const struct tz_parameter *parameters)
{
	tz_text_put(text, "[");
	for (const struct tz_parameter *p = parameters; p && p->name; p++) {
		tz_text_put(text, p == parameters ? "{" : ", {");
		put_text_member(text, "name", p->name);
		put_text_member(text, "unit", p->unit);
		put_text_member(text, "help", p->help);
		put_number_member(text, "minimum", p->minimum);
		put_number_member(text, "maximum", p->maximum);
		put_number_member(text, "initial", p->initial);
		put_number_member(text, "step", p->step);
		tz_text_put(text, "\"structure\": %s, ", p->flags & TZ_STRUCTURE ? "true" : "false");
		tz_text_put(text, "\"log_scale\": %s, ", p->flags & TZ_LOG_SCALE ? "true" : "false");
		tz_text_put(text, "\"choices\": [");
		for (const char *const *choice = p->choices; choice && *choice; choice++) {
			tz_text_put(text, choice == p->choices ? "" : ", ");
			put_string(text, *choice);
		}
		tz_text_put(text, "], \"fields\": ");
		put_parameters(text, p->fields);
		tz_text_put(text, ", \"count_minimum\": %u, \"count_maximum\": %u, \"count_initial\": %u, ", p->count_minimum, p->count_maximum,
		    p->count_initial);
		put_text_member(text, "rows", p->rows);
		put_text_member(text, "columns", p->columns);
		tz_text_put(text, "\"kind\": \"%s\"}", kind_name(p->kind));
	}
	tz_text_put(text, "]");
}

static void put_ports(struct tz_text *text, const struct tz_port *ports)
{
	tz_text_put(text, "[");
	for (const struct tz_port *p = ports; p && p->name; p++) {
		tz_text_put(text, p == ports ? "{" : ", {");
		put_text_member(text, "name", p->name);
		put_text_member(text, "help", p->help);
		put_text_member(text, "channels_parameter", p->channels_parameter);
		put_text_member(text, "repeat", p->repeat);
		tz_text_put(text, "\"direction\": \"%s\", ", p->direction == TZ_INPUT ? "input" : "output");
		tz_text_put(text, "\"signal\": \"%s\", ", p->signal == TZ_AUDIO ? "audio" : "control");
		tz_text_put(text, "\"rule\": \"%s\", \"channels\": %u, ", rule_name(p->rule), p->channels);
		tz_text_put(text, "\"optional\": %s, \"deciding\": %s}", p->optional ? "true" : "false", p->deciding ? "true" : "false");
	}
	tz_text_put(text, "]");
}

size_t tz_catalogue_json(char *at, size_t capacity)
{
	struct tz_text text = {.at = at, .capacity = capacity};
	tz_text_put(&text, "[");
	for (const struct tz_node_type *const *entry = __start_tz_node_types; entry < __stop_tz_node_types; entry++) {
		const struct tz_node_type *type = *entry;
		tz_text_put(&text, entry == __start_tz_node_types ? "{" : ",\n{");
		put_text_member(&text, "type", type->name);
		put_text_member(&text, "category", type->category);
		put_text_member(&text, "help", type->help);
		tz_text_put(&text, "\"internal\": %s, ", type->flags & TZ_INTERNAL ? "true" : "false");
		tz_text_put(&text, "\"parameters\": ");
		put_parameters(&text, type->parameters);
		tz_text_put(&text, ", \"ports\": ");
		put_ports(&text, type->ports);
		tz_text_put(&text, "}");
	}
	tz_text_put(&text, "]");
	return text.needed;
}
