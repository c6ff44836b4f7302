/* A disk that fails, for tests: loaded with LD_PRELOAD, it lets calls on files below one folder fail by a plan that another process
 * changes while this one runs (faulty_disk.py writes it). HEDDLE_TEST_DISK names the plan's file. Without it every call goes through.
 *
 * Calls: open for writing or reading, stat, write, pwrite, fsync, fdatasync, rename. A write that fails may have written its first half, as a
 * real one may. Which calls fail follows from the plan's seed and the number of the call in its process; or it is the one with a number,
 * or that one and all after it. Code 0xffff ends the process there by SIGKILL. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { kOpen = 1, kWrite = 2, kSync = 4, kRename = 8 };
enum { kKill = 0xffff };

struct plan {
  uint32_t code;    /* errno of the calls that fail; 0: none does */
  uint32_t one_in;  /* of so many calls one fails */
  uint32_t kinds;   /* which calls, of the kinds above */
  uint32_t failed;  /* calls that failed, all processes together */
  uint64_t seed;
  uint32_t number;  /* in place of `one_in`: this call of a process fails, from 1 on; 0: see there */
  uint32_t rest;    /* 1: and all after it */
  uint32_t calls;   /* of the process that made most */
  char below[4060]; /* the folder, absolute, with a slash at its end */
};

static struct plan *plan;
static uint64_t calls;

__attribute__((constructor)) static void read_plan(void) {
  const char *path = getenv("HEDDLE_TEST_DISK");
  if (path == NULL) return;
  const int fd = openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *page = mmap(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (page != MAP_FAILED) plan = page;
}

/* splitmix64, Steele, Lea and Flood 2014 */
static uint64_t mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* Whether the next call on `path` fails; the number it drew in *drawn. */
static int fails(const char *path, uint64_t *drawn) {
  if (strncmp(path, plan->below, strlen(plan->below)) != 0) return 0;
  const uint64_t count = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
  if (plan->calls < count) plan->calls = (uint32_t)count;
  *drawn = mixed(plan->seed ^ mixed(count));
  const int now = plan->number != 0   ? count == plan->number || (plan->rest != 0 && count > plan->number)
                  : plan->one_in != 0 ? (*drawn >> 1) % plan->one_in == 0
                                      : 0;
  if (now) __atomic_add_fetch(&plan->failed, 1, __ATOMIC_RELAXED);
  return now;
}

/* What a call that fails says. */
static int refuse(void) {
  if (plan->code == kKill) kill(getpid(), SIGKILL);
  errno = (int)plan->code;
  return -1;
}

static int armed(uint32_t kind) { return plan != NULL && plan->code != 0 && (plan->kinds & kind) != 0; }

static int path_fails(uint32_t kind, const char *path) {
  if (!armed(kind)) return 0;
  char whole[PATH_MAX];
  if (path[0] != '/') {
    if (getcwd(whole, sizeof whole) == NULL || strlen(whole) + strlen(path) + 2 > sizeof whole) return 0;
    strcat(whole, "/");
    strcat(whole, path);
    path = whole;
  }
  uint64_t drawn;
  return fails(path, &drawn);
}

static int fd_fails(uint32_t kind, int fd, uint64_t *drawn) {
  if (!armed(kind)) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  if (size <= 0) return 0;
  path[size] = 0;
  return fails(path, drawn);
}

/* The function that would be called without this library. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPEN(name)                                                                      \
  int name(const char *path, int flags, ...) {                                          \
    mode_t mode = 0;                                                                    \
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {                                         \
      va_list rest;                                                                     \
      va_start(rest, flags);                                                            \
      mode = va_arg(rest, mode_t);                                                      \
      va_end(rest);                                                                     \
    }                                                                                   \
    /* A disk without room fails no call that only reads. */                            \
    const int takes = (flags & O_CREAT) != 0 || (plan != NULL && plan->code != ENOSPC); \
    if (takes && path_fails(kOpen, path)) return refuse();                              \
    return NEXT(name)(path, flags, mode);                                               \
  }
OPEN(open)
OPEN(open64)

int stat(const char *path, struct stat *info) {
  if (plan != NULL && plan->code != ENOSPC && path_fails(kOpen, path)) return refuse();
  return NEXT(stat)(path, info);
}

/* `half`: the same call with half the bytes. */
#define WRITE(name, parameters, arguments, half)   \
  ssize_t name parameters {                        \
    uint64_t drawn;                                \
    if (fd_fails(kWrite, fd, &drawn)) {            \
      if ((drawn & 1) != 0) (void)!NEXT(name)half; \
      return refuse();                             \
    }                                              \
    return NEXT(name) arguments;                   \
  }
WRITE(write, (int fd, const void *bytes, size_t size), (fd, bytes, size), (fd, bytes, size / 2))
WRITE(pwrite, (int fd, const void *bytes, size_t size, off_t at), (fd, bytes, size, at), (fd, bytes, size / 2, at))
WRITE(pwrite64, (int fd, const void *bytes, size_t size, off64_t at), (fd, bytes, size, at), (fd, bytes, size / 2, at))

#define SYNC(name)                     \
  int name(int fd) {                   \
    uint64_t drawn;                    \
    if (fd_fails(kSync, fd, &drawn)) { \
      return refuse();                 \
    }                                  \
    return NEXT(name)(fd);             \
  }
SYNC(fsync)
SYNC(fdatasync)

int rename(const char *from, const char *to) {
  if (path_fails(kRename, to)) return refuse();
  return NEXT(rename)(from, to);
}
