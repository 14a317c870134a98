/* What the machine can do: the work of each row of the bench as plain loops over vectors, with no graph, no edits, no meters and no
 * settings that glide. The bench compiles it for the very machine it runs on, checks that it sounds as the core does, and measures
 * the core against it. A block has BLOCK frames; sound lies channel after channel. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { BLOCK = 256, LANES = 16 };

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t whole_lanes __attribute__((vector_size(4 * LANES)));
typedef float unaligned_lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE lanes load(const float *at)
{
	return *(const unaligned_lanes *)at;
}

INLINE void store(float *at, lanes value)
{
	*(unaligned_lanes *)at = value;
}

INLINE lanes chosen(whole_lanes mask, lanes yes, lanes no)
{
	return (lanes)(((whole_lanes)yes & mask) | ((whole_lanes)no & ~mask));
}

INLINE lanes larger(lanes a, lanes b)
{
	return chosen(a > b, a, b);
}

INLINE lanes smaller(lanes a, lanes b)
{
	return chosen(a < b, a, b);
}

/* ---- W1: 64 stereo sources, each with its gain to the left and to the right, to one stereo sum ---- */

enum { SOURCES = 64 };

static float source_gain[SOURCES][2];

static void mix(const float *in, float *out)
{
	enum { TILE = 4 }; /* vectors per side: eight sums stay in registers while all sources pass */
	for (uint32_t first = 0; first < BLOCK; first += TILE * LANES) {
		lanes sum[2][TILE] = {0};
		for (uint32_t source = 0; source < SOURCES; source++)
			for (uint32_t side = 0; side < 2; side++) {
				const float *sound = in + (source * 2 + side) * BLOCK + first;
				for (uint32_t n = 0; n < TILE; n++)
					sum[side][n] += load(sound + n * LANES) * source_gain[source][side];
			}
		for (uint32_t side = 0; side < 2; side++)
			for (uint32_t n = 0; n < TILE; n++)
				store(out + side * BLOCK + first + n * LANES, sum[side][n]);
	}
}

/* ---- Second-order sections, as both W2 and W3 have them: transposed direct form II ---- */

enum { B0, B1, B2, A1, A2, COEFFICIENTS };

INLINE lanes section_step(const lanes *c, lanes memory[2], lanes in)
{
	const lanes out = c[B0] * in + memory[0];
	memory[0] = c[B1] * in + memory[1] - c[A1] * out;
	memory[1] = c[B2] * in - c[A2] * out;
	return out;
}

/* ---- W2: 32 strips of four bands over two channels and a compressor, mixed, and a compressor over the sum ---- */

enum { STRIPS = 32, BANDS = 4, STRIP_VECTORS = STRIPS / LANES, TILE_FRAMES = 16 };
enum { THRESHOLD, SLOPE, KNEE, ATTACK, RELEASE, MAKEUP, KEEP, MEAN, SQUEEZE_VALUES };

/* One strip in each lane: left and right are vectors of their own. */
static lanes strip_band[BANDS][STRIP_VECTORS][COEFFICIENTS], strip_memory[BANDS][2][STRIP_VECTORS][2];
static lanes strip_envelope[2][STRIP_VECTORS], strip_reduction[STRIP_VECTORS], strip_gain[2][STRIP_VECTORS];
static float squeeze[SQUEEZE_VALUES], master_squeeze[SQUEEZE_VALUES], master_envelope[2], master_reduction;

/* 2^x for |x| < 126, within 2e-7 of its size: the series of e^(x ln 2) around the nearest whole number. */
INLINE lanes exp2_lanes(lanes x)
{
	const lanes magic = (lanes){0} + 12582912.0f, rounded = x + magic, rest = x - (rounded - magic);
	const whole_lanes scale = ((whole_lanes)rounded - (whole_lanes)magic + 127) << 23;
	lanes sum = 1.5403530e-4f * rest + 1.3333558e-3f;
	sum = sum * rest + 9.6181291e-3f;
	sum = sum * rest + 5.5504109e-2f;
	sum = sum * rest + 2.4022651e-1f;
	sum = sum * rest + 6.9314718e-1f;
	return (sum * rest + 1.0f) * (lanes)scale;
}

/* log2 of normal numbers above 0, within 1e-6: a polynomial fitted to log2(1 + t) / t at Chebyshev's points. */
INLINE lanes log2_lanes(lanes x)
{
	const whole_lanes bits = (whole_lanes)x, exponent = (bits - 0x3f3504f3) >> 23; /* 0x3f3504f3: √½ */
	const lanes t = (lanes)(bits - (exponent << 23)) - 1.0f;
	lanes sum = -1.07497895e-01f * t + 1.84760335e-01f;
	sum = sum * t - 1.91388377e-01f;
	sum = sum * t + 2.04857648e-01f;
	sum = sum * t - 2.39608122e-01f;
	sum = sum * t + 2.88552561e-01f;
	sum = sum * t - 3.60696542e-01f;
	sum = sum * t + 4.80898520e-01f;
	sum = sum * t - 7.21347354e-01f;
	sum = sum * t + 1.44269504e+00f;
	return __builtin_convertvector(exponent, lanes) + sum * t;
}

/* What the curve asks for, in dB, of the louder of two powers. */
INLINE lanes wanted_reduction(const float *value, lanes power)
{
	const lanes above = 3.0103000f * log2_lanes(power + 1e-20f) - value[THRESHOLD] + 0.5f * value[KNEE], none = {0};
	const lanes bend = smaller(larger(above, none), none + value[KNEE]), straight = larger(above - value[KNEE], none);
	return value[SLOPE] * (bend * bend * (0.5f / value[KNEE]) + straight);
}

INLINE lanes gain_of(const float *value, lanes reduction)
{
	return exp2_lanes(0.16609640f * (reduction + value[MAKEUP]));
}

/* Of each pair of neighbours the sum; a's come first. */
INLINE lanes pair_sums(lanes a, lanes b)
{
	const lanes even = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
	const lanes odd = __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
	return even + odd;
}

/* The sum over the lanes of each of 16 vectors. */
INLINE lanes lane_sums(lanes *vector)
{
	for (uint32_t count = LANES; count > 1; count /= 2)
		for (uint32_t n = 0; n < count / 2; n++)
			vector[n] = pair_sums(vector[2 * n], vector[2 * n + 1]);
	return vector[0];
}

/* One band of all strips over a tile. */
static void equalize(uint32_t band, lanes sound[TILE_FRAMES][2][STRIP_VECTORS])
{
	for (uint32_t n = 0; n < STRIP_VECTORS; n++) {
		lanes left[2] = {strip_memory[band][0][n][0], strip_memory[band][0][n][1]};
		lanes right[2] = {strip_memory[band][1][n][0], strip_memory[band][1][n][1]};
		for (uint32_t frame = 0; frame < TILE_FRAMES; frame++) {
			sound[frame][0][n] = section_step(strip_band[band][n], left, sound[frame][0][n]);
			sound[frame][1][n] = section_step(strip_band[band][n], right, sound[frame][1][n]);
		}
		memcpy(strip_memory[band][0][n], left, sizeof left);
		memcpy(strip_memory[band][1][n], right, sizeof right);
	}
}

static void compress_strips(lanes sound[TILE_FRAMES][2][STRIP_VECTORS], float *left_out, float *right_out)
{
	lanes gain[TILE_FRAMES][STRIP_VECTORS], sum[2][TILE_FRAMES];
	for (uint32_t n = 0; n < STRIP_VECTORS; n++) {
		lanes left = strip_envelope[0][n], right = strip_envelope[1][n];
		for (uint32_t frame = 0; frame < TILE_FRAMES; frame++) {
			left = squeeze[MEAN] * sound[frame][0][n] * sound[frame][0][n] + squeeze[KEEP] * left;
			right = squeeze[MEAN] * sound[frame][1][n] * sound[frame][1][n] + squeeze[KEEP] * right;
			gain[frame][n] = wanted_reduction(squeeze, larger(left, right));
		}
		strip_envelope[0][n] = left;
		strip_envelope[1][n] = right;
	}
	for (uint32_t frame = 0; frame < TILE_FRAMES; frame++)
		for (uint32_t n = 0; n < STRIP_VECTORS; n++) {
			const lanes apart = gain[frame][n] - strip_reduction[n];
			const lanes down = squeeze[ATTACK] * apart, up = squeeze[RELEASE] * apart;
			strip_reduction[n] += chosen(apart < 0.0f, down, up);
			gain[frame][n] = strip_reduction[n];
		}
	for (uint32_t frame = 0; frame < TILE_FRAMES; frame++) {
		sum[0][frame] = sum[1][frame] = (lanes){0};
		for (uint32_t n = 0; n < STRIP_VECTORS; n++) {
			const lanes factor = gain_of(squeeze, gain[frame][n]);
			sum[0][frame] += sound[frame][0][n] * factor * strip_gain[0][n];
			sum[1][frame] += sound[frame][1][n] * factor * strip_gain[1][n];
		}
	}
	store(left_out, lane_sums(sum[0]));
	store(right_out, lane_sums(sum[1]));
}

/* The same over one stereo sound: here the frames are the lanes, but for what waits for the frame before. */
static void compress_master(float *left, float *right)
{
	float power[BLOCK];
	for (uint32_t frame = 0; frame < BLOCK; frame++) {
		master_envelope[0] = master_squeeze[MEAN] * left[frame] * left[frame] + master_squeeze[KEEP] * master_envelope[0];
		master_envelope[1] = master_squeeze[MEAN] * right[frame] * right[frame] + master_squeeze[KEEP] * master_envelope[1];
		power[frame] = master_envelope[0] > master_envelope[1] ? master_envelope[0] : master_envelope[1];
	}
	for (uint32_t frame = 0; frame < BLOCK; frame += LANES)
		store(power + frame, wanted_reduction(master_squeeze, load(power + frame)));
	for (uint32_t frame = 0; frame < BLOCK; frame++) {
		const float apart = power[frame] - master_reduction, down = master_squeeze[ATTACK] * apart, up = master_squeeze[RELEASE] * apart;
		master_reduction += apart < 0.0f ? down : up;
		power[frame] = master_reduction;
	}
	for (uint32_t frame = 0; frame < BLOCK; frame += LANES) {
		const lanes factor = gain_of(master_squeeze, load(power + frame));
		store(left + frame, load(left + frame) * factor);
		store(right + frame, load(right + frame) * factor);
	}
}

static void strips(const float *in, float *out)
{
	for (uint32_t first = 0; first < BLOCK; first += TILE_FRAMES) {
		lanes sound[TILE_FRAMES][2][STRIP_VECTORS];
		for (uint32_t frame = 0; frame < TILE_FRAMES; frame++)
			for (uint32_t n = 0; n < STRIP_VECTORS; n++) {
				sound[frame][0][n] = (lanes){0} + in[first + frame];
				sound[frame][1][n] = (lanes){0} + in[BLOCK + first + frame];
			}
		for (uint32_t band = 0; band < BANDS; band++)
			equalize(band, sound);
		compress_strips(sound, out + first, out + BLOCK + first);
	}
	compress_master(out, out + BLOCK);
}

/* ---- W3: 256 sections in series, stereo ---- */

enum { SECTIONS = 256, PASS_VECTORS = 2, PASS_SECTIONS = PASS_VECTORS * LANES };

static lanes chain[SECTIONS / LANES][COEFFICIENTS], chain_memory[SECTIONS / LANES][2][2];

/* The sound moves up by a lane in each step: every section works at the same time, each a frame behind the section before it. */
INLINE lanes moved_up(lanes before, lanes now)
{
	return __builtin_shufflevector(before, now, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
}

/* In the `partial` steps, at both ends, some sections have no frame to work on. */
INLINE void chain_steps(uint32_t pass, lanes memory[PASS_VECTORS][2][2], lanes out_before[PASS_VECTORS][2], const float *in, float *out, int first,
    int last, const int partial)
{
	const whole_lanes number = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
	for (int step = first; step < last; step++)
		for (int side = 0; side < 2; side++) {
			lanes entering = {0};
			entering[LANES - 1] = step < BLOCK ? in[side * BLOCK + step] : 0.0f;
			for (int n = 0; n < PASS_VECTORS; n++) {
				lanes after[2] = {memory[n][side][0], memory[n][side][1]};
				const lanes now = section_step(chain[pass * PASS_VECTORS + n], after, moved_up(entering, out_before[n][side]));
				const whole_lanes frame = step - n * LANES - number, working = (frame >= 0) & (frame < BLOCK);
				memory[n][side][0] = partial ? chosen(working, after[0], memory[n][side][0]) : after[0];
				memory[n][side][1] = partial ? chosen(working, after[1], memory[n][side][1]) : after[1];
				entering = out_before[n][side];
				out_before[n][side] = now;
			}
			if (step >= PASS_SECTIONS - 1)
				out[side * BLOCK + step - (PASS_SECTIONS - 1)] = out_before[PASS_VECTORS - 1][side][LANES - 1];
		}
}

static void sections(const float *in, float *out)
{
	for (uint32_t pass = 0; pass < SECTIONS / PASS_SECTIONS; pass++) {
		lanes memory[PASS_VECTORS][2][2], out_before[PASS_VECTORS][2] = {0};
		memcpy(memory, chain_memory[pass * PASS_VECTORS], sizeof memory);
		chain_steps(pass, memory, out_before, in, out, 0, PASS_SECTIONS - 1, 1);
		chain_steps(pass, memory, out_before, in, out, PASS_SECTIONS - 1, BLOCK, 0);
		chain_steps(pass, memory, out_before, in, out, BLOCK, BLOCK + PASS_SECTIONS - 1, 1);
		memcpy(chain_memory[pass * PASS_VECTORS], memory, sizeof memory);
		in = out;
	}
}

/* ---- W4: 64 channels to 64 channels by a matrix ---- */

enum { CHANNELS = 64 };

static float matrix[CHANNELS][CHANNELS]; /* [input][output] */

static void multiply(const float *in, float *out)
{
	enum { ROWS = 4, COLUMNS = 4 }; /* outputs × vectors: sixteen sums in registers */
	for (uint32_t first = 0; first < BLOCK; first += COLUMNS * LANES)
		for (uint32_t row = 0; row < CHANNELS; row += ROWS) {
			lanes sum[ROWS][COLUMNS] = {0};
			for (uint32_t channel = 0; channel < CHANNELS; channel++)
				for (uint32_t r = 0; r < ROWS; r++)
					for (uint32_t n = 0; n < COLUMNS; n++)
						sum[r][n] += load(in + channel * BLOCK + first + n * LANES) * matrix[channel][row + r];
			for (uint32_t r = 0; r < ROWS; r++)
				for (uint32_t n = 0; n < COLUMNS; n++)
					store(out + (row + r) * BLOCK + first + n * LANES, sum[r][n]);
		}
}

/* ---- W6: 1000 gains in series, mono, each a call through a pointer as a graph of nodes needs it ---- */

enum { NODES = 1000 };

static float node_gain[NODES];

static __attribute__((noinline)) void one_gain(const float *restrict in, float *restrict out, float gain)
{
	for (uint32_t frame = 0; frame < BLOCK; frame++)
		out[frame] = in[frame] * gain;
}

static void (*volatile gain_node)(const float *restrict, float *restrict, float) = one_gain;

static void gains(const float *in, float *out)
{
	static _Alignas(64) float between[2][BLOCK];
	for (uint32_t n = 0; n < NODES; n++)
		gain_node(n == 0 ? in : between[n % 2], n == NODES - 1 ? out : between[(n + 1) % 2], node_gain[n]);
}

/* ---- What the bench calls ---- */

enum workload { W1, W2, W3, W4, W6 };

static void spread(lanes *target, const float *values, size_t count)
{
	memcpy(target, values, count * sizeof *values);
}

/* The numbers of a workload, in the order in which they are read here; the sound begins anew. */
__attribute__((visibility("default"))) void limit_prepare(int workload, const float *numbers)
{
	switch (workload) {
	case W1:
		memcpy(source_gain, numbers, sizeof source_gain);
		break;
	case W2:
		for (uint32_t band = 0; band < BANDS; band++)
			for (uint32_t c = 0; c < COEFFICIENTS; c++, numbers += STRIPS)
				for (uint32_t n = 0; n < STRIP_VECTORS; n++)
					spread(&strip_band[band][n][c], numbers + n * LANES, LANES);
		memcpy(strip_gain, numbers, sizeof strip_gain);
		memcpy(squeeze, numbers + 2 * STRIPS, sizeof squeeze);
		memcpy(master_squeeze, numbers + 2 * STRIPS + SQUEEZE_VALUES, sizeof master_squeeze);
		memset(strip_memory, 0, sizeof strip_memory);
		memset(strip_envelope, 0, sizeof strip_envelope);
		memset(strip_reduction, 0, sizeof strip_reduction);
		memset(master_envelope, 0, sizeof master_envelope);
		master_reduction = 0.0f;
		break;
	case W3:
		for (uint32_t n = 0; n < SECTIONS / LANES; n++)
			for (uint32_t c = 0; c < COEFFICIENTS; c++, numbers += LANES)
				spread(&chain[n][c], numbers, LANES);
		memset(chain_memory, 0, sizeof chain_memory);
		break;
	case W4:
		memcpy(matrix, numbers, sizeof matrix);
		break;
	default:
		memcpy(node_gain, numbers, sizeof node_gain);
		break;
	}
}

static double now_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

/* So many blocks, each so many floats after the one before it (0: the same again). Returns the thread's own ns, and of the slowest
 * block those that went by. */
__attribute__((visibility("default"))) double limit_run(int workload, const float *in, size_t in_step, float *out, size_t out_step,
    uint32_t blocks, double *worst_ns)
{
	static void (*const work[])(const float *, float *) = {[W1] = mix, [W2] = strips, [W3] = sections, [W4] = multiply, [W6] = gains};
#if defined(__x86_64__)
	const unsigned before = _mm_getcsr();
	_mm_setcsr(before | 0x8040); /* denormals are zero, as on the audio thread */
#endif
	const double begin = now_ns(CLOCK_THREAD_CPUTIME_ID);
	double last = now_ns(CLOCK_MONOTONIC);
	*worst_ns = 0.0;
	for (uint32_t block = 0; block < blocks; block++) {
		work[workload](in + block * in_step, out + block * out_step);
		const double now = now_ns(CLOCK_MONOTONIC);
		*worst_ns = now - last > *worst_ns ? now - last : *worst_ns;
		last = now;
	}
	const double taken = now_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
#if defined(__x86_64__)
	_mm_setcsr(before);
#endif
	return taken;
}
