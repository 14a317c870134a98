/* [card] Samples as cards write them: every whole number of up to 24 bits comes back as it went, what is too loud is held and counted. */
#include "check.h"

#include "../sample_format.h"

#include <math.h>
#include <string.h>

static const struct {
	tz_sample_format format;
	unsigned bits, bytes;
} formats[] = {
	{TZ_FORMAT_S16, 16, 2}, {TZ_FORMAT_S24_3, 24, 3}, {TZ_FORMAT_S24_4, 24, 4}, {TZ_FORMAT_S24_4_LEFT, 24, 4}, {TZ_FORMAT_S32, 32, 4},
	{TZ_FORMAT_F32, 0, 4},
};
enum { FORMATS = sizeof formats / sizeof *formats, CHANNELS = 3, FRAMES = 1000 };

static void whole_numbers_come_back(void)
{
	static float from[FRAMES], to[FRAMES];
	static unsigned char device[FRAMES * CHANNELS * 4];
	for (size_t f = 0; f < FORMATS; f++) {
		const unsigned bits = formats[f].bits && formats[f].bits < 24 ? formats[f].bits : 24; /* a float holds 24 */
		const double full = ldexp(1.0, (int)bits - 1);
		const size_t step = (size_t)CHANNELS * formats[f].bytes;
		memset(device, 0xA5, sizeof device);
		for (int64_t first = -(int64_t)full; first < (int64_t)full; first += FRAMES * (bits > 16 ? 97 : 1)) {
			for (int i = 0; i < FRAMES; i++) /* runs over full scale at the end, where it is held */
				from[i] = (float)(fmin((double)(first + i), full - 1) / full);
			CHECK(tz_samples_put(formats[f].format, from, device + formats[f].bytes, step, FRAMES) == 0);
			tz_samples_get(formats[f].format, device + formats[f].bytes, step, to, FRAMES);
			CHECK(memcmp(from, to, sizeof from) == 0);
		}
		for (int i = 0; i < FRAMES; i++) /* the neighbours' places are theirs */
			for (unsigned b = 0; b < formats[f].bytes; b++)
				CHECK(device[i * step + b] == 0xA5 && device[i * step + 2 * formats[f].bytes + b] == 0xA5);
	}
}

static void bytes_are_where_they_belong(void)
{
	const int32_t whole = -0x2468AC; /* of 24 bits, and each byte another */
	const float sample = (float)whole / 8388608.0f;
	unsigned char bytes[4] = {0};
	int32_t word;
	tz_samples_put(TZ_FORMAT_S24_3, &sample, bytes, 3, 1);
	CHECK(bytes[0] == (unsigned char)whole && bytes[1] == (unsigned char)(whole >> 8) && bytes[2] == (unsigned char)(whole >> 16) && bytes[3] == 0);
	tz_samples_put(TZ_FORMAT_S24_4, &sample, &word, 4, 1);
	CHECK(word == whole);
	tz_samples_put(TZ_FORMAT_S24_4_LEFT, &sample, &word, 4, 1);
	CHECK(word == whole * 256);
	float back;
	word = (int32_t)((uint32_t)whole & 0x00FFFFFFu); /* a card may leave the highest byte empty */
	tz_samples_get(TZ_FORMAT_S24_4, &word, 4, &back, 1);
	CHECK(back == sample);
}

static void what_is_too_loud_is_held_and_counted(void)
{
	const float loud[] = {1.0f, 1.5f, -1.0f, -1.25f, INFINITY, -INFINITY, NAN, 0.25f};
	enum { COUNT = sizeof loud / sizeof *loud };
	for (size_t f = 0; f < FORMATS; f++) {
		unsigned char device[COUNT * 4];
		float back[COUNT];
		const uint32_t clipped = tz_samples_put(formats[f].format, loud, device, formats[f].bytes, COUNT);
		tz_samples_get(formats[f].format, device, formats[f].bytes, back, COUNT);
		CHECK(back[6] == 0.0f && back[7] == 0.25f && back[2] == -1.0f);
		if (formats[f].format == TZ_FORMAT_F32) {
			CHECK(clipped == 0 && back[1] == 1.5f);
			continue;
		}
		CHECK(clipped == 5); /* -1 is full scale, +1 is one step beyond it */
		CHECK(back[3] == -1.0f && back[5] == -1.0f && back[0] > 0.9999f && back[0] <= 1.0f && back[1] == back[0] && back[4] == back[0]);
	}
}

static void halves_go_to_the_nearest(void)
{
	const float halves[] = {0.4f / 32768, 0.6f / 32768, -0.6f / 32768, 1.4f / 32768};
	int16_t found[4];
	CHECK(tz_samples_put(TZ_FORMAT_S16, halves, found, 2, 4) == 0);
	CHECK(found[0] == 0 && found[1] == 1 && found[2] == -1 && found[3] == 1);
}

int main(void)
{
	whole_numbers_come_back();
	bytes_are_where_they_belong();
	what_is_too_loud_is_held_and_counted();
	halves_go_to_the_nearest();
	puts("sample_format: done");
	return 0;
}
