/* What both halves of the virtual card do with its file: find and map it, find a frame's slot, tell its time. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "card_page.h"

#define NS 1000000000

static size_t slot_bytes(const struct card_page *page)
{
	return sizeof(struct card_slot) + page->channels_max * sizeof(double);
}

static size_t file_bytes(const struct card_page *page)
{
	return CARD_PAGE_BYTES + page->slots * slot_bytes(page);
}

const char *card_file(snd_config_t *conf)
{
	snd_config_t *field;
	const char *file;
	if (snd_config_search(conf, "file", &field) == 0 && snd_config_get_string(field, &file) == 0)
		return file;
	SNDERR("tzcard: `file` is missing");
	return NULL;
}

int card_open(struct card *card, const char *path)
{
	_Static_assert(sizeof(struct card_page) <= CARD_PAGE_BYTES, "the page is too small");
	struct stat status;
	*card = (struct card){.file = open(path, O_RDWR | O_CLOEXEC)};
	if (card->file < 0)
		return -ENODEV;
	if (fstat(card->file, &status) == 0 && status.st_size >= CARD_PAGE_BYTES) {
		void *mapped = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, card->file, 0);
		card->page = mapped == MAP_FAILED ? NULL : mapped;
	}
	if (!card->page || card->page->magic != CARD_MAGIC || (size_t)status.st_size != file_bytes(card->page)) {
		card_close(card);
		return -ENODEV;
	}
	card->unplugged = __atomic_load_n(&card->page->unplugged, __ATOMIC_ACQUIRE);
	card_there(card);
	int error = __atomic_load_n(&card->page->open_error, __ATOMIC_ACQUIRE);
	if (error)
		card_close(card);
	return -error;
}

void card_close(struct card *card)
{
	if (card->page)
		munmap(card->page, file_bytes(card->page));
	if (card->file >= 0)
		close(card->file);
	card->page = NULL;
	card->file = -1;
}

int card_there(const struct card *card)
{
	while (__atomic_load_n(&card->page->frozen, __ATOMIC_ACQUIRE))
		usleep(1000); /* soon enough to see the thaw */
	return __atomic_load_n(&card->page->unplugged, __ATOMIC_ACQUIRE) == card->unplugged;
}

struct card_slot *card_slot(const struct card *card, uint64_t frame)
{
	char *slots = (char *)card->page + CARD_PAGE_BYTES;
	return (struct card_slot *)(slots + frame % card->page->slots * slot_bytes(card->page));
}

int64_t card_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS + now.tv_nsec;
}

static const struct card_clock *current(const struct card_page *page)
{
	return &page->clocks[__atomic_load_n(&page->clock, __ATOMIC_ACQUIRE) & 1];
}

uint64_t card_frame(const struct card_page *page, uint32_t rate)
{
	if (page->stepped)
		return __atomic_load_n(&page->frame, __ATOMIC_ACQUIRE);
	const struct card_clock *clock = current(page);
	long double device_ns = clock->device_ns + (long double)(card_now() - clock->anchor_ns) * clock->speed;
	return (uint64_t)(device_ns * rate / NS);
}

int64_t card_time(const struct card_page *page, uint64_t frame, uint32_t rate)
{
	const struct card_clock *clock = current(page);
	if (page->stepped || clock->speed <= 0)
		return INT64_MAX;
	long double device_ns = (long double)frame * NS / rate - clock->device_ns;
	return clock->anchor_ns + (int64_t)ceill(device_ns / clock->speed);
}
