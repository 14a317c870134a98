/* [control] Preloaded into a process of a test: a disk that fails. Every write, sync, truncation and renaming below one
 * folder is counted; from the n-th on, as many as asked for fail with an error, or are cut short first. What to do lies
 * in a file that the test maps as well. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

struct plan {
	int32_t calls;  /* counted so far */
	int32_t first;  /* the first that fails, counted from 1; 0: none does */
	int32_t many;   /* how many fail from there on */
	int32_t error;  /* errno */
	int32_t cut;    /* whether a write takes half of its bytes before the next one fails */
	int32_t failed; /* how many have failed */
	int32_t syncs;  /* whether nothing but syncs is counted, and fails */
};

static volatile struct plan *plan;
static char folder[4096];

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAILING_DISK_PLAN");
	const char *below = getenv("FAILING_DISK_FOLDER");
	if (!path || !below || strlen(below) >= sizeof folder)
		return;
	int fd = open(path, O_RDWR);
	if (fd < 0)
		return;
	void *mapped = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped == MAP_FAILED)
		return;
	strcpy(folder, below);
	plan = mapped;
}

static int is_below(const char *path)
{
	return strncmp(path, folder, strlen(folder)) == 0;
}

static int is_watched(int fd)
{
	char link[64];
	char path[4096];
	if (!plan)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, path, sizeof path - 1);
	if (length < 0)
		return 0;
	path[length] = 0;
	return is_below(path) && !strstr(path, "-shm");
}

/* Whether this call fails; sets errno. */
static int fails(int syncs)
{
	if (plan->syncs && !syncs)
		return 0;
	int call = ++plan->calls;
	if (!plan->first || call < plan->first || call >= plan->first + plan->many)
		return 0;
	plan->failed++;
	errno = plan->error;
	return 1;
}

/* How many bytes of a write go through: all, some, or -1 for none. */
static ssize_t allowed(int fd, size_t size)
{
	if (!is_watched(fd))
		return (ssize_t)size;
	if (plan->cut && !plan->syncs && plan->first == plan->calls + 1 && size > 1) {
		plan->calls++;
		plan->first++; /* the rest of it fails */
		return (ssize_t)(size / 2);
	}
	return fails(0) ? -1 : (ssize_t)size;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t size)
{
	ssize_t some = allowed(fd, size);
	return some < 0 ? -1 : REAL(write)(fd, bytes, (size_t)some);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
	ssize_t some = allowed(fd, size);
	return some < 0 ? -1 : REAL(pwrite)(fd, bytes, (size_t)some, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
	ssize_t some = allowed(fd, size);
	return some < 0 ? -1 : REAL(pwrite64)(fd, bytes, (size_t)some, at);
}

int fsync(int fd)
{
	return is_watched(fd) && fails(1) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	return is_watched(fd) && fails(1) ? -1 : REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t size)
{
	return is_watched(fd) && fails(0) ? -1 : REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
	return is_watched(fd) && fails(0) ? -1 : REAL(ftruncate64)(fd, size);
}

int rename(const char *from, const char *to)
{
	return plan && is_below(from) && fails(0) ? -1 : REAL(rename)(from, to);
}
