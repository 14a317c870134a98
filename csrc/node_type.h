/* [both] What a node type is. A type is one file in nodes/ that ends in one record, TZ_NODE_TYPE(name) = { … };
 * the linker gathers the records into a list, so no other file names a type.
 *
 * A type's file never allocates, locks or blocks. The core gives it two blocks of zeroed, 64-byte aligned memory:
 *   settings  what the parameters mean (gains, coefficients), made by prepare() off the audio thread and immutable from then on;
 *   state     what the sound leaves behind (filter memory, delay lines), touched by the audio thread alone.
 * A parameter change is a new settings block that the audio thread adopts between two blocks: state stays as it is. */
#ifndef TZ_NODE_TYPE_H
#define TZ_NODE_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tz_ring;

/* ---- Parameters -------------------------------------------------------------------------------------------------- */

enum tz_parameter_kind {
	TZ_FLOAT,
	TZ_INT,
	TZ_BOOL,   /* 0 or 1 */
	TZ_CHOICE, /* index into choices */
	TZ_LIST,   /* list_count records of fields[]; at most one list in a type */
	TZ_MATRIX, /* rows × columns floats, counted by two int parameters of the type; null in a cell = "off" = -INFINITY */
};

enum tz_parameter_flag {
	TZ_STRUCTURE = 1, /* a change needs a new node object, which takes over with a cross-fade */
	TZ_LOG_SCALE = 2, /* a form should show it on a logarithmic scale */
};

struct tz_parameter {
	const char *name; /* NULL ends a list of parameters */
	const char *unit; /* "Hz", "dB", "dBFS", "ms", "s", "%", or "" */
	const char *help;
	enum tz_parameter_kind kind;
	unsigned flags;
	double minimum, maximum, initial;  /* TZ_FLOAT, TZ_INT, TZ_BOOL (initial only); a matrix's cells */
	double step;                       /* a form's step; 0: none */
	const char *const *choices;        /* TZ_CHOICE: NULL-terminated; initial is an index */
	const struct tz_parameter *fields; /* TZ_LIST: scalar parameters */
	uint32_t count_minimum, count_maximum, count_initial; /* TZ_LIST: how many records */
	const char *rows, *columns;        /* TZ_MATRIX: names of the int parameters that count them */
};

/* ---- Ports ------------------------------------------------------------------------------------------------------- */

enum tz_port_signal { TZ_AUDIO, TZ_CONTROL }; /* a control port carries one value per frame in one channel */
enum tz_port_direction { TZ_INPUT, TZ_OUTPUT };

enum tz_channel_rule {
	TZ_FIXED,      /* `channels` of them */
	TZ_PARAMETER,  /* as many as the int parameter `channels_parameter` says */
	TZ_FOLLOW,     /* the node's width: the widest source on any TZ_FOLLOW input, 2 while none is connected */
	TZ_CONNECTED,  /* each such input is as wide as its own widest source, 2 while none is connected (0 if `deciding`) */
	TZ_WIDEST,     /* an output as wide as the widest of all inputs, at least `channels` */
};

struct tz_port {
	const char *name; /* NULL ends a list of ports; "in_#" with `repeat` stands for in_1 … in_N */
	const char *help;
	enum tz_port_direction direction;
	enum tz_port_signal signal;
	enum tz_channel_rule rule;
	uint32_t channels;
	const char *channels_parameter;
	const char *repeat; /* the list parameter whose length counts the ports */
	bool optional;      /* inputs: with nothing connected process() sees NULL, else a channel of silence */
	/* Inputs: whether something is connected decides what the node is. With nothing connected the port has no channels, and when that
	 * changes another node object takes over and fades against the old one. For what asks at every block whether there is sound
	 * (`optional`), a connection that fades out is one to its end, and it can't be told from silence. */
	bool deciding;
};

/* ---- The life of a node ------------------------------------------------------------------------------------------ */

/* What a node object is built for; it never changes in the object's life. */
struct tz_shape {
	double sample_rate;
	uint32_t block_frames; /* the most frames process() is ever asked for */
	uint32_t list_count;   /* records in the type's list parameter */
	uint32_t input_count, output_count;
	const uint32_t *input_channels, *output_channels; /* one count per port */
	struct tz_ring *ring;  /* the ring of a TZ_USES_RING type, else NULL */
};

/* One node's part in a call of process(). */
struct tz_member {
	void *state;
	const float *const *const *in; /* in[port][channel][frame]; in[port] is NULL where an optional input is open */
	float *const *const *out;      /* out[port][channel][frame]; never aliases an input */
};

/* ---- What a state is made of, for saving and restoring it ----------------------------------------------------------- */

enum tz_cell { TZ_FLOAT32, TZ_FLOAT64, TZ_UINT32, TZ_UINT64 };

/* A part of a state that sound has left there: rows × columns cells. What only follows from settings and shape is none. */
struct tz_field {
	const char *name;
	enum tz_cell cell;
	uint32_t rows, columns;
	void *at; /* row after row */
	/* Of a line, which is written round and holds float32: where the next column goes, in all rows alike, and how many before it
	 * hold sound (NULL: all). A line is saved from its oldest column to its newest. NULL: the field is no line. */
	uint32_t *position, *filled;
};

enum { TZ_MOST_FIELDS = 8 };

enum tz_type_flag {
	TZ_USES_RING = 1, /* talks to a thread outside through shape->ring */
	TZ_INTERNAL = 2,  /* not in the catalogue: a Python node type stands before it */
	TZ_LATE = 8,      /* what comes in may come out much later, when a new node's fade is over: its input has to fade as well */
	TZ_GUARDED = 4,   /* feedback or outside data can make NaN/Inf here: outputs are checked in every block */
};

struct tz_node_type {
	const char *name;
	const char *category; /* "source", "processor" or "sink" */
	const char *help;     /* the first sentence is the summary */
	unsigned flags;
	const struct tz_parameter *parameters; /* NULL: none */
	const struct tz_port *ports;

	/* A type leaves out what it does not need: only process() is a must.
	 * [control] Sizes in bytes. `values` are the parameters flattened in the order of their declaration: one double per
	 * scalar, list_count × fields for a list (record by record), rows × columns for a matrix. They are complete and in range. */
	size_t (*settings_size)(const struct tz_shape *shape);
	size_t (*state_size)(const struct tz_shape *shape, const double *values);
	/* [control] Fills a zeroed settings block. */
	void (*prepare)(const struct tz_shape *shape, const double *values, void *settings);
	/* [control] Fills the zeroed state of a new node, sounding at its settings at once. The state may point into itself. */
	void (*init)(const struct tz_shape *shape, const double *values, const void *settings, void *state);
	/* [audio] Moves to new settings: glide over ramp_frames, 0 = at once, from wherever the last glide has come to.
	 * ramp_frames < 0: as long as the type itself finds right (a transaction that names no fade). The settings stay alive until the next adopt. */
	void (*adopt)(void *state, const void *settings, int32_t ramp_frames);
	/* [audio] One block (or part of one) for `count` nodes of this type with the same channel counts. */
	void (*process)(const struct tz_member *members, uint32_t count, uint32_t frames);
	/* [audio] Forgets all sound, keeps the settings. */
	void (*reset)(void *state);
	/* [audio] Takes what it can use from the state of the node it replaces (same type, other shape). What glides goes on from where it
	 * was there, if that would be heard later on: adopt() follows, with the successor's own settings. NULL: starts fresh. */
	void (*transfer)(void *state, const void *predecessor);
	/* [control] Names what the state is made of: fills at most TZ_MOST_FIELDS and returns how many. Counts and addresses hold for the
	 * state's whole life. What they say has to be all that the sound to come depends on, but for settings that have arrived. NULL: nothing. */
	uint32_t (*fields)(void *state, struct tz_field *fields);
	/* [control] Fields were filled with what another state of the same shape held, or with anything finite: make good what does not
	 * go together. Lines are full up to their last column; what had come in lately is to end in a fade of `seam` frames (0: none), as
	 * something else will come in now. NULL: anything goes together. */
	void (*restored)(void *state, uint32_t seam);
	/* [control] Frames by which the output is late. NULL: 0. */
	uint32_t (*latency)(const struct tz_shape *shape, const double *values);
	/* [control] Frames that sound may spend in the state without a sign: a delay's time. NULL: as many as its latency. */
	uint32_t (*reach)(const struct tz_shape *shape, const double *values);
};

/* The linker gathers pointers to the records in a section of their own (node_list.c walks it). There is one more for each level of
 * the processor for which build_core.py has the types compiled. */
#ifndef TZ_NODE_TYPES
#define TZ_NODE_TYPES "tz_node_types"
#endif
#define TZ_NODE_TYPE(identifier)                                                                                                                     \
	static const struct tz_node_type type_##identifier;                                                                                          \
	__attribute__((used, section(TZ_NODE_TYPES))) static const struct tz_node_type *const entry_##identifier = &type_##identifier;             \
	static const struct tz_node_type type_##identifier

#endif
