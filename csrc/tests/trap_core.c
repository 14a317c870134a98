/* [both] The core as it is, with its audio side between the jaws of trap.c; and a node that sins, to see the trap shut. Linked with
 * --wrap=tz_block_cycle and --wrap=tz_adopt_waiting, through which everything of the audio side goes. */
#include "../engine.h"
#include "../node_type.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void tz_trap_enter(int event_fd);
void tz_trap_leave(void);

void __real_tz_block_cycle(struct tz_engine *engine);
void __wrap_tz_block_cycle(struct tz_engine *engine);
void __real_tz_adopt_waiting(struct tz_engine *engine);
void __wrap_tz_adopt_waiting(struct tz_engine *engine);

void __wrap_tz_block_cycle(struct tz_engine *engine)
{
	tz_trap_enter(engine->telemetry.event_fd);
	__real_tz_block_cycle(engine);
	tz_trap_leave();
}

/* By hand, where no thread runs. Within a block the call stays inside block_cycle.c and does not come by here. */
void __wrap_tz_adopt_waiting(struct tz_engine *engine)
{
	tz_trap_enter(engine->telemetry.event_fd);
	__real_tz_adopt_waiting(engine);
	tz_trap_leave();
}

/* ---- The sinner ---- */

enum sin { NONE, MALLOC, FREE, LOCK, FILE_OPENED, SLEEP, WRITTEN, ASKED_THE_KERNEL };
enum occasion { PROCESS, ADOPT, TRANSFER, RESET };

struct state {
	enum sin sin;
	enum occasion occasion;
	void *block;
};

static void go_astray(const struct state *state, enum occasion occasion)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	if (occasion != state->occasion)
		return;
	switch (state->sin) {
	case NONE: return;
	case MALLOC: {
		char *volatile block = malloc(16); /* or the compiler would leave it out */
		block[0] = 1;
		return;
	}
	case FREE: free(state->block); return;
	case LOCK: pthread_mutex_lock(&mutex); return;
	case FILE_OPENED: open("/dev/null", O_WRONLY); return;
	case SLEEP: {
		const struct timespec moment = {.tv_nsec = 1};
		clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
		return;
	}
	case WRITTEN: {
		ssize_t ignored = write(STDOUT_FILENO, "\n", 1);
		(void)ignored;
		return;
	}
	case ASKED_THE_KERNEL: getppid(); return; /* a function that nobody forbids */
	}
}

static size_t state_size(const struct tz_shape *shape, const double *values)
{
	(void)shape;
	(void)values;
	return sizeof(struct state);
}

static void init(const struct tz_shape *shape, const double *values, const void *settings, void *memory)
{
	(void)shape;
	(void)settings;
	struct state *state = memory;
	*state = (struct state){(enum sin)values[0], (enum occasion)values[1], malloc(16)};
}

static void adopt(void *state, const void *settings, int32_t ramp_frames)
{
	(void)settings;
	(void)ramp_frames;
	go_astray(state, ADOPT);
}

static void process(const struct tz_member *members, uint32_t count, uint32_t frames)
{
	for (uint32_t n = 0; n < count; n++) {
		const struct state *state = members[n].state;
		go_astray(state, PROCESS);
		for (uint32_t i = 0; i < frames; i++)
			members[n].out[0][0][i] = state->occasion == RESET ? NAN : 0.0f;
	}
}

static void reset(void *state)
{
	go_astray(state, RESET);
}

static void transfer(void *state, const void *predecessor)
{
	(void)predecessor;
	go_astray(state, TRANSFER);
}

static const struct tz_port ports[] = {
	{.name = "out", .help = "Nothing, or no number.", .direction = TZ_OUTPUT, .rule = TZ_FIXED, .channels = 1},
	{0},
};

static const struct tz_parameter parameters[] = {
	{.name = "sin", .kind = TZ_INT, .maximum = ASKED_THE_KERNEL},
	{.name = "occasion", .kind = TZ_INT, .maximum = RESET},
	{0},
};

TZ_NODE_TYPE(sinner) = {
	.name = "sinner",
	.category = "source",
	.help = "Does what no node may.",
	.flags = TZ_INTERNAL | TZ_GUARDED,
	.parameters = parameters,
	.ports = ports,
	.state_size = state_size,
	.init = init,
	.adopt = adopt,
	.process = process,
	.reset = reset,
	.transfer = transfer,
};
