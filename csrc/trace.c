/* [both] A trace: a line about each of the next blocks of a node. */
#include "probe.h"

#include "look.h"
#include "memory.h"

struct trace {
	struct tz_probe probe;
	uint32_t capacity;
	_Atomic uint32_t count;
	struct tz_trace_line *lines;
};

/* Of all channels. A port that nobody feeds has none. */
static float peak_of(const float *const *sound, uint32_t channels, uint32_t frames)
{
	float peak = 0.0f;
	for (uint32_t c = 0; sound && c < channels; c++) {
		struct tz_level level;
		tz_look(sound[c], frames, &level);
		peak = level.peak > peak ? level.peak : peak;
	}
	return peak;
}

static void look(struct tz_probe *probe, const struct tz_probed_block *block)
{
	struct trace *trace = (struct trace *)probe;
	const uint32_t count = atomic_load_explicit(&trace->count, memory_order_relaxed);
	if (count == trace->capacity)
		return;
	const struct tz_shape *shape = &block->node->shape;
	struct tz_trace_line *line = &trace->lines[count];
	*line = (struct tz_trace_line){
		.frame = block->frame,
		.begin_ns = block->begin_ns,
		.busy_ns = block->busy_ns,
		.faults = atomic_load_explicit(&block->node->faults, memory_order_relaxed),
	};
	for (uint32_t p = 0; p < shape->input_count; p++) {
		const float peak = peak_of(block->member->in[p], shape->input_channels[p], block->frames);
		line->in_peak = peak > line->in_peak ? peak : line->in_peak;
	}
	for (uint32_t p = 0; p < shape->output_count; p++) {
		const float peak = peak_of((const float *const *)block->member->out[p], shape->output_channels[p], block->frames);
		line->out_peak = peak > line->out_peak ? peak : line->out_peak;
	}
	atomic_store_explicit(&trace->count, count + 1, memory_order_release);
}

static void discard(struct tz_probe *probe)
{
	tz_free(((struct trace *)probe)->lines);
}

static const struct tz_probe_kind kind = {.timed = true, .look = look, .discard = discard};

struct tz_probe *tz_trace_new(uint32_t blocks)
{
	struct trace *trace = tz_allocate(sizeof *trace);
	if (!trace)
		return NULL;
	trace->capacity = blocks;
	trace->lines = tz_allocate_array(blocks, sizeof *trace->lines);
	if (!trace->lines) {
		tz_free(trace);
		return NULL;
	}
	tz_probe_begin(&trace->probe, &kind);
	return &trace->probe;
}

uint32_t tz_trace_read(const struct tz_probe *probe, uint32_t from, struct tz_trace_line *lines, uint32_t capacity)
{
	const struct trace *trace = (const struct trace *)probe;
	const uint32_t count = atomic_load_explicit(&trace->count, memory_order_acquire);
	uint32_t given = 0;
	while (given < capacity && from + given < count) {
		lines[given] = trace->lines[from + given];
		given++;
	}
	return given;
}
