/* [both] A trap for whoever does on the audio thread what it may not: a library to preload. Between tz_trap_enter() and tz_trap_leave()
 * the calling thread may neither allocate, lock, sleep nor start anything, nor ask the kernel for anything but one thing: to write 8
 * bytes to the descriptor it named. What else it tries ends the process, and its name and the way that led to it are told.
 *
 * Functions are watched by being defined here, as not all of them get as far as the kernel: a free lock and a small allocation do not.
 * The kernel is watched by itself (Syscall User Dispatch, Linux 5.11 on x86-64), however it is called. The time is read without it. */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH /* headers older than Linux 5.11 */
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON 1
#endif

enum { CAUGHT = 70, DEPTH = 40 }; /* the exit status; how much of the way is told */
enum { LET_PASS, CATCH };         /* what the kernel looks for in `gate` */

static _Thread_local bool inside, dispatched;
static _Thread_local int allowed_fd = -1, writes;
static _Thread_local volatile char gate;
static atomic_ulong times;
static atomic_bool kernel_watched;

/* ---- What happens to those who are caught ---- */

static void tell(const char *text)
{
	ssize_t ignored = syscall(SYS_write, STDERR_FILENO, text, strlen(text));
	(void)ignored;
}

_Noreturn static void caught(const char *name)
{
	void *way[DEPTH];
	inside = false;
	gate = LET_PASS;
	tell("caught on the audio thread: ");
	tell(name);
	tell("\n");
	backtrace_symbols_fd(way, backtrace(way, DEPTH), STDERR_FILENO);
	_exit(CAUGHT);
}

static void on_system_call(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	gate = LET_PASS;
	inside = false;
	char text[40];
	snprintf(text, sizeof text, "system call %d", info->si_syscall);
	caught(text);
}

__attribute__((constructor)) static void prepare(void)
{
	void *way[1];
	backtrace(way, 1); /* the first one loads a library */
	struct sigaction action = {.sa_sigaction = on_system_call, .sa_flags = SA_SIGINFO};
	sigaction(SIGSYS, &action, NULL);
}

/* ---- What a core built for it calls ---- */

__attribute__((visibility("default"))) void tz_trap_enter(int event_fd)
{
	if (!dispatched) {
		dispatched = true; /* once per thread */
		if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &gate) == 0)
			atomic_store(&kernel_watched, true);
	}
	allowed_fd = event_fd;
	writes = 0;
	inside = true;
	gate = CATCH;
}

__attribute__((visibility("default"))) void tz_trap_leave(void)
{
	gate = LET_PASS;
	inside = false;
	atomic_fetch_add(&times, 1);
}

__attribute__((visibility("default"))) unsigned long tz_trap_times(void)
{
	return atomic_load(&times);
}

__attribute__((visibility("default"))) bool tz_trap_watches_the_kernel(void)
{
	return atomic_load(&kernel_watched);
}

/* ---- What may not be called ---- */

#pragma GCC visibility push(default)

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

#define FORBID(result, name, parameters, arguments)                                                                                                  \
	result name parameters                                                                                                                       \
	{                                                                                                                                            \
		static result(*real) parameters;                                                                                                     \
		if (inside)                                                                                                                          \
			caught(#name);                                                                                                               \
		if (!real)                                                                                                                           \
			*(void **)&real = next(#name);                                                                                               \
		return real arguments;                                                                                                               \
	}

/* Those of memory are needed before anything can be looked up: glibc offers them under a second name. */
#define FORBID_MEMORY(result, name, second, parameters, arguments)                                                                                   \
	result second parameters;                                                                                                                    \
	result name parameters                                                                                                                       \
	{                                                                                                                                            \
		if (inside)                                                                                                                          \
			caught(#name);                                                                                                               \
		return second arguments;                                                                                                             \
	}

FORBID_MEMORY(void *, malloc, __libc_malloc, (size_t size), (size))
FORBID_MEMORY(void *, calloc, __libc_calloc, (size_t count, size_t size), (count, size))
FORBID_MEMORY(void *, realloc, __libc_realloc, (void *block, size_t size), (block, size))
FORBID_MEMORY(void, free, __libc_free, (void *block), (block))
FORBID_MEMORY(void *, aligned_alloc, __libc_memalign, (size_t alignment, size_t size), (alignment, size))
FORBID(int, posix_memalign, (void **block, size_t alignment, size_t size), (block, alignment, size))
FORBID(void *, mmap, (void *at, size_t size, int protection, int flags, int fd, off_t offset), (at, size, protection, flags, fd, offset))
FORBID(int, munmap, (void *at, size_t size), (at, size))
FORBID(int, madvise, (void *at, size_t size, int advice), (at, size, advice))

FORBID(int, pthread_mutex_lock, (pthread_mutex_t *mutex), (mutex))
FORBID(int, pthread_mutex_trylock, (pthread_mutex_t *mutex), (mutex))
FORBID(int, pthread_mutex_unlock, (pthread_mutex_t *mutex), (mutex))
FORBID(int, pthread_rwlock_rdlock, (pthread_rwlock_t *lock), (lock))
FORBID(int, pthread_rwlock_wrlock, (pthread_rwlock_t *lock), (lock))
FORBID(int, pthread_spin_lock, (pthread_spinlock_t *lock), (lock))
FORBID(int, pthread_cond_wait, (pthread_cond_t *condition, pthread_mutex_t *mutex), (condition, mutex))
FORBID(int, pthread_cond_timedwait, (pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until), (condition, mutex, until))
FORBID(int, pthread_cond_signal, (pthread_cond_t *condition), (condition))
FORBID(int, pthread_cond_broadcast, (pthread_cond_t *condition), (condition))
FORBID(int, pthread_join, (pthread_t thread, void **result), (thread, result))
FORBID(int, pthread_create, (pthread_t *thread, const pthread_attr_t *with, void *(*body)(void *), void *context), (thread, with, body, context))
FORBID(int, sem_wait, (sem_t *semaphore), (semaphore))
FORBID(int, sem_post, (sem_t *semaphore), (semaphore))

FORBID(unsigned, sleep, (unsigned seconds), (seconds))
FORBID(int, usleep, (useconds_t microseconds), (microseconds))
FORBID(int, nanosleep, (const struct timespec *time, struct timespec *left), (time, left))
FORBID(int, clock_nanosleep, (clockid_t clock, int flags, const struct timespec *time, struct timespec *left), (clock, flags, time, left))
FORBID(int, sched_yield, (void), ())
FORBID(int, poll, (struct pollfd *fds, nfds_t count, int timeout), (fds, count, timeout))
FORBID(int, select, (int count, fd_set *in, fd_set *out, fd_set *other, struct timeval *timeout), (count, in, out, other, timeout))

FORBID(int, close, (int fd), (fd))
FORBID(ssize_t, read, (int fd, void *bytes, size_t count), (fd, bytes, count))
FORBID(ssize_t, readv, (int fd, const struct iovec *parts, int count), (fd, parts, count))
FORBID(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
FORBID(ssize_t, send, (int fd, const void *bytes, size_t count, int flags), (fd, bytes, count, flags))
FORBID(ssize_t, recv, (int fd, void *bytes, size_t count, int flags), (fd, bytes, count, flags))
FORBID(int, eventfd_write, (int fd, eventfd_t value), (fd, value))
FORBID(FILE *, fopen, (const char *path, const char *mode), (path, mode))
FORBID(size_t, fwrite, (const void *bytes, size_t size, size_t count, FILE *file), (bytes, size, count, file))
FORBID(int, fputs, (const char *text, FILE *file), (text, file))
FORBID(int, puts, (const char *text), (text))
FORBID(int, vfprintf, (FILE *file, const char *format, va_list values), (file, format, values))

int open(const char *path, int flags, ...)
{
	if (inside)
		caught("open");
	va_list more;
	va_start(more, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
	va_end(more);
	return openat(AT_FDCWD, path, flags, mode);
}

/* The bell: once in a block, and as the last thing. What comes after it is watched again. */
ssize_t write(int fd, const void *bytes, size_t count)
{
	static ssize_t (*real)(int, const void *, size_t);
	if (!real)
		*(void **)&real = next("write");
	if (!inside)
		return real(fd, bytes, count);
	if (fd != allowed_fd || count != sizeof(eventfd_t) || ++writes > 1)
		caught("write");
	gate = LET_PASS;
	ssize_t written = real(fd, bytes, count);
	gate = CATCH;
	return written;
}

#pragma GCC visibility pop
