/* [both] Every function that Python may call. The cffi declarations are cut from this file between the two marks (build_core.py),
 * so what Python sees is what the compiler checked. Handles are opaque; whoever made one releases it; the core keeps its own
 * references while the audio thread can still see a thing. All functions here are [control] unless said otherwise. */
#ifndef TONNETZ_CORE_H
#define TONNETZ_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* cffi: begin */

typedef enum {
	TZ_OK,
	TZ_NO_MEMORY,
	TZ_BAD_ARGUMENT,
	TZ_NO_SUCH_TYPE,
	TZ_CYCLE,      /* the plan's links close a loop */
	TZ_BUSY,       /* the queue of commits is full, or the engine runs and may not be stepped by hand */
	TZ_NO_THREAD,  /* the audio thread could not be started */
	TZ_STARVED,    /* a stepped block waited too long for an endpoint */
} tz_status;

const char *tz_status_text(tz_status status);
const char *tz_build(void); /* "release", "debug", "asan", "tsan" or "ubsan" */

/* ---- Node types: the catalogue as one JSON text (docs in daemon/node_catalogue.py) ---- */
size_t tz_catalogue_json(char *text, size_t capacity); /* length it needs; writes what fits, always terminated */

/* ---- Rings ---- */
struct tz_ring;
/* Capacity is rounded up to a power of two. `rate`: frames a second that the audio thread moves, by which others wait for it. NULL: no memory. */
struct tz_ring *tz_ring_new(uint32_t channels, uint32_t frames, uint32_t rate);
void tz_ring_release(struct tz_ring *ring);
/* Interleave-free: planar[channel * stride + frame]. Return the frames taken or given; they never wait. */
uint32_t tz_ring_write(struct tz_ring *ring, const float *planar, uint32_t stride, uint32_t frames);
uint32_t tz_ring_read(struct tz_ring *ring, float *planar, uint32_t stride, uint32_t frames);
/* Other memory for so many frames, while the audio side goes on: what is in the ring is read to the end, what comes now goes into the new
 * one; no frame is lost, doubled or out of order. `writes`: whether the caller is the thread that writes (else the one that reads). */
tz_status tz_ring_resize(struct tz_ring *ring, uint32_t frames, bool writes);
uint32_t tz_ring_capacity(const struct tz_ring *ring); /* frames; of what was asked for last */
/* Wait (the calling thread sleeps, for at most timeout_ms) until so many frames fit / are there, the ring is closed or it is woken; returns what fits / is there. */
uint32_t tz_ring_wait_space(struct tz_ring *ring, uint32_t frames, uint32_t timeout_ms);
uint32_t tz_ring_wait_frames(struct tz_ring *ring, uint32_t frames, uint32_t timeout_ms);
void tz_ring_close(struct tz_ring *ring);   /* no more will come, or be taken, from the outside: the audio side no longer waits or counts */
bool tz_ring_closed(const struct tz_ring *ring);
void tz_ring_wake(struct tz_ring *ring);    /* ends a wait from another thread; where there is none, the next */
uint64_t tz_ring_frames_written(const struct tz_ring *ring);
uint64_t tz_ring_frames_read(const struct tz_ring *ring);
uint64_t tz_ring_frames_missed(const struct tz_ring *ring); /* asked for while empty, or dropped while full, on the audio side */

/* ---- Sound cards: a thread of the core's that moves frames between a card and a ring ---- */
struct tz_card;
typedef enum { TZ_FORMAT_AUTO, TZ_FORMAT_S16, TZ_FORMAT_S24_3, TZ_FORMAT_S24_4, TZ_FORMAT_S24_4_LEFT, TZ_FORMAT_S32, TZ_FORMAT_F32 } tz_sample_format;
typedef enum { TZ_CARD_STARTING, TZ_CARD_RUNNING, TZ_CARD_RETRYING, TZ_CARD_ENDED } tz_card_state;
struct tz_card_order {
	bool capture;
	uint32_t channels, rate;         /* rate 0: the engine's, or what is nearest to it */
	tz_sample_format format;
	uint32_t period_frames, periods; /* at the engine's rate; 0: a block, 3 */
	bool follow;                     /* off the engine's clock, follow it with a resampler */
	uint32_t buffer_frames;          /* kept ready between the two clocks beyond what they need */
	double engine_rate;
	uint32_t block_frames;
	int realtime_priority;           /* of its thread; 0: ordinary scheduling */
};
struct tz_card *tz_card_new(const char *device, const struct tz_card_order *order, struct tz_ring *ring); /* NULL: no memory */
tz_status tz_card_start(struct tz_card *card);
/* Begins the end and returns at once. Of all frames that the ring of a card that plays was ever given, the first `length` are played. */
void tz_card_end(struct tz_card *card, uint64_t length);
bool tz_card_join(struct tz_card *card, uint32_t timeout_ms); /* false: the thread is still there */
void tz_card_release(struct tz_card *card);                   /* ends it; a thread that hangs in a driver goes when that lets it go */
int tz_card_event_fd(const struct tz_card *card);             /* readable when its state changed, or frames were lost */
struct tz_card_status {
	tz_card_state state;
	bool leads;                     /* the engine's clock */
	uint32_t rate, period_frames, buffer_frames;
	tz_sample_format format;
	bool mapped;
	uint64_t xruns, silent_frames, resyncs, clipped, losses; /* silent: frames that the other side was late with */
	double xrun_ms;                 /* time lost in xruns */
	double quiet_s;                 /* since the driver last answered; grows while it hangs */
	double ppm, fill_ms, latency_ms; /* ppm: how much faster than the engine the card runs; latency: from the ring's one end to the air */
};
void tz_card_status(const struct tz_card *card, struct tz_card_status *status);
size_t tz_card_message(struct tz_card *card, char *text, size_t capacity); /* why it is not running; the length it needs */

/* ---- Nodes and links ---- */
struct tz_node;
/* values: see node_type.h. channels: one count per input port, then one per output port. */
tz_status tz_node_new(const char *type, double sample_rate, uint32_t block_frames, uint32_t list_count,
                      uint32_t input_count, uint32_t output_count, const uint32_t *channels,
                      const double *values, struct tz_ring *ring, struct tz_node **node);
void tz_node_release(struct tz_node *node);
bool tz_node_transfers(const struct tz_node *node); /* can its type take over a predecessor's state? */
bool tz_node_is_late(const struct tz_node *node);   /* may what comes in come out when a fade is long over? */
uint32_t tz_node_latency(const struct tz_node *node, const double *values); /* frames; values: those it was made of */
bool tz_type_is_late(const char *type); /* may nodes of it have a latency? */
/* The same of one that would be made so; 0 also where there is no such type. */
uint32_t tz_type_latency(const char *type, double sample_rate, uint32_t block_frames, uint32_t list_count, uint32_t input_count,
                         uint32_t output_count, const uint32_t *channels, const double *values);
/* Frames for which what comes out may be silent though sound that came in is still to come out. */
uint32_t tz_node_reach(const struct tz_node *node, const double *values);
/* Node after node, per output channel (of a sink: per input channel): the peak since the last call, and the mean square of the newest
 * block. Returns how many. */
uint32_t tz_meters(struct tz_node *const *nodes, uint32_t node_count, float *peak, float *mean_square, uint32_t capacity);
struct tz_cost { uint64_t blocks; double minimum_ns, average_ns, maximum_ns, wait_ns; }; /* of the blocks that were timed; wait: on average from the block's begin to its turn */
void tz_node_cost(const struct tz_node *node, struct tz_cost *cost);
uint64_t tz_node_faults(const struct tz_node *node); /* blocks muted because NaN or Inf came out */

/* A state as data. Fields are numbered; a line's newest frames come last, and `columns` counts those that hold sound, of `capacity`.
 * Read it of a node that does not sound (see tz_commit_copy); write it into one that was not submitted yet, and say when all is written.
 * A line may be shorter than its capacity. TZ_BAD_ARGUMENT: another shape, or not finite. `seam`: over so many frames fades out what the
 * node heard last, as it will hear something else from now on. */
enum tz_state_cell { TZ_CELL_FLOAT32, TZ_CELL_FLOAT64, TZ_CELL_UINT32, TZ_CELL_UINT64 };
struct tz_state_field { const char *name; uint32_t cell, rows, columns, capacity; bool is_line; };
size_t tz_node_state_size(struct tz_node *node); /* bytes of all fields at most; of one that sounds, too */
uint32_t tz_node_state(struct tz_node *node, struct tz_state_field *fields, uint32_t capacity); /* how many there are */
void tz_node_state_read(struct tz_node *node, uint32_t field, void *cells);                    /* rows × columns of them */
tz_status tz_node_state_write(struct tz_node *node, uint32_t field, const void *cells, uint32_t rows, uint32_t columns);
void tz_node_state_written(struct tz_node *node, uint32_t seam);

/* A link is one connection's fade: a raised-cosine gain between 0 and 1. */
struct tz_link;
struct tz_link *tz_link_new(bool sounding); /* born at 1, or at 0; NULL: no memory */
void tz_link_release(struct tz_link *link);
/* One that drains sounds on until what comes through it has been inaudible for `quiet` frames, or `limit` have passed, and then fades
 * in `fade` frames by itself. */
struct tz_drain { uint32_t quiet, limit, fade; };
uint64_t tz_link_let_go(const struct tz_link *link); /* the frame by which it had begun to fade by itself; 0: it has not */

/* ---- Plans: what runs in a block ---- */
struct tz_plan;
/* source and target index the nodes, ports count per direction; fading: the gain may differ from 1 while this plan runs. */
struct tz_route { struct tz_link *link; uint32_t source, source_port, target, target_port; bool fading; };
tz_status tz_plan_build(struct tz_node *const *nodes, uint32_t node_count, const struct tz_route *routes, uint32_t route_count,
                        uint32_t block_frames, struct tz_plan **plan);
void tz_plan_release(struct tz_plan *plan);
size_t tz_plan_text(const struct tz_plan *plan, char *text, size_t capacity); /* one line per step, for people */

/* ---- Commits: everything of one transaction, adopted whole at one block boundary ---- */
struct tz_commit;
struct tz_commit *tz_commit_new(uint64_t id, struct tz_plan *plan); /* plan NULL: the running one stays; a plan given is owned by the commit */
void tz_commit_release(struct tz_commit *commit);                   /* only one that was not submitted */
tz_status tz_commit_set(struct tz_commit *commit, struct tz_node *node, const double *values, int32_t ramp_frames);
/* The link, a new one, begins in the middle of another's fade; a fade of its own may follow. */
tz_status tz_commit_follow(struct tz_commit *commit, struct tz_link *link, struct tz_link *leader);
/* The fade begins after `wait` frames. */
tz_status tz_commit_fade(struct tz_commit *commit, struct tz_link *link, bool sounding, uint32_t frames, uint32_t wait);
tz_status tz_commit_drain(struct tz_commit *commit, struct tz_link *link, const struct tz_drain *drain);
tz_status tz_commit_transfer(struct tz_commit *commit, struct tz_node *predecessor, struct tz_node *successor);
tz_status tz_commit_pace(struct tz_commit *commit, struct tz_node *node); /* the node of a card becomes the engine's clock; NULL: the timer */
/* The state of `from`, as it is when the commit is adopted, goes into `to`, a node like it that nobody plays; so it may be with several.
 * The commit is told as adopted when all is copied. One such commit at a time: TZ_BUSY from tz_engine_submit. TZ_BAD_ARGUMENT: the nodes
 * are not alike. */
tz_status tz_commit_copy(struct tz_commit *commit, struct tz_node *from, struct tz_node *to);
/* Before it is submitted: let it be adopted at the first block boundary at or after `frame`. Commits submitted later with an earlier
 * frame, or none, are adopted before it; so whoever submits one that relies on it gives that one the same frame. */
void tz_commit_at(struct tz_commit *commit, uint64_t frame);
/* Of one that was submitted and not yet told as adopted: take it back. False: it is being adopted, or has been. One that was taken
 * back is freed by tz_engine_events without a word. Of several that rely on each other take back the last first. */
bool tz_commit_withdraw(struct tz_commit *commit);

/* ---- Probes: what looks at a port, or plays into it, beside the graph (probe.h) ---- */
struct tz_probe;
void tz_probe_release(struct tz_probe *probe);
/* From nowhere (NULL) to a node it comes; from one to another it moves, if it is there still; to NULL it goes, wherever it is. Its port, and
 * the channels that it was made for, have to be the node's. */
tz_status tz_commit_probe(struct tz_commit *commit, struct tz_probe *probe, struct tz_node *from, struct tz_node *to);

struct tz_probe *tz_tap_new(bool input, uint32_t port, uint32_t channels, uint32_t frames); /* the newest `frames` at least; NULL: no memory */
void tz_tap_span(const struct tz_probe *tap, uint64_t *begin, uint64_t *end); /* the engine's frames that can be read now, from `begin` to before `end` */
bool tz_tap_read(const struct tz_probe *tap, uint64_t from, float *planar, uint32_t stride, uint32_t frames); /* false: not all are there, or not any more */

/* Samples (channel after channel) to be added to an input, with a fade at both ends. */
struct tz_probe *tz_injection_new(uint32_t port, uint32_t channels, const float *planar, uint32_t frames, uint32_t fade_frames, uint32_t block_frames);
void tz_injection_stop(struct tz_probe *injection);              /* it fades out, from the next block on */
uint32_t tz_injection_left(const struct tz_probe *injection);    /* frames; 0: it is over */

/* The next blocks of a node, a line for each. Peaks are those over all its ports of a direction; begin_ns is CLOCK_MONOTONIC. */
struct tz_trace_line { uint64_t frame; int64_t begin_ns; uint64_t faults; uint32_t busy_ns; float in_peak, out_peak; };
struct tz_probe *tz_trace_new(uint32_t blocks);
uint32_t tz_trace_read(const struct tz_probe *trace, uint32_t from, struct tz_trace_line *lines, uint32_t capacity); /* how many there are */

/* ---- Engine ---- */
struct tz_engine;
typedef enum { TZ_CLOCK_INTERNAL, TZ_CLOCK_FREEWHEEL, TZ_CLOCK_STEP } tz_clock;
tz_status tz_engine_new(double sample_rate, uint32_t block_frames, tz_clock clock, int realtime_priority, struct tz_engine **engine);
void tz_engine_release(struct tz_engine *engine); /* stops it first */
tz_status tz_engine_start(struct tz_engine *engine);  /* of a step clock: TZ_BUSY never, it only marks it as running */
tz_status tz_engine_stop(struct tz_engine *engine);   /* returns when the thread is gone; the frame stands still */
/* Runs blocks on the calling thread; the engine's own thread must not run. Waits at most timeout_ms per block for endpoints. */
tz_status tz_engine_step(struct tz_engine *engine, uint32_t blocks, uint32_t timeout_ms);
/* The commit now belongs to the engine. With no audio thread running it is adopted at once, at the frame of the next block, unless
 * it is due later. */
tz_status tz_engine_submit(struct tz_engine *engine, struct tz_commit *commit);

enum tz_event_kind {
	TZ_EVENT_ADOPTED = 1, /* id: the commit's; frame: where the block began */
	TZ_EVENT_FAULT,       /* id: the node's tag; value: blocks muted so far */
	TZ_EVENT_GAP,         /* value: frames of time that passed unplayed because the thread was held up */
	TZ_EVENT_STEPPED_DOWN, /* value: seconds for which the thread hogged its core; it gave up its real-time priority */
	TZ_EVENT_LATE         /* a block was done after its time. id: ns by which it began late; value: ns that it took */
};
struct tz_event { int32_t kind; uint64_t id; uint64_t frame; double value; };
void tz_node_tag(struct tz_node *node, uint64_t tag); /* what events call it */
int tz_engine_event_fd(const struct tz_engine *engine); /* readable when events wait */
uint32_t tz_engine_events(struct tz_engine *engine, struct tz_event *events, uint32_t capacity); /* also frees what the audio thread gave back */

uint64_t tz_engine_frame(const struct tz_engine *engine); /* the first of the next block; what happened before it is told already */
void tz_engine_meter(struct tz_engine *engine, bool on); /* meters cost a pass over every output; off until someone looks */

/* Lateness: bucket k counts blocks that woke less than 2^k microseconds late, the last one all the rest. */
struct tz_engine_status {
	uint64_t frame, blocks, late_blocks, gaps, gap_frames, commits, faults;
	uint64_t lateness[24];
	double load_average, load_maximum; /* of a block's time, 1.0 = all of it; the maximum of the newest 1024 to 2047 blocks */
	int realtime_priority;             /* what it got; 0: ordinary scheduling */
	uint64_t frame_time_ns;            /* CLOCK_REALTIME at which block `frame` began, 0 before the first */
};
void tz_engine_status(struct tz_engine *engine, struct tz_engine_status *status);

/* cffi: end */

#endif
