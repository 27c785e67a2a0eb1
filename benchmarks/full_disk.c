/* A disk that is full from the Nth call on, for the files in one folder. To be preloaded (LD_PRELOAD).

   fill_disk(folder, n): from now on, count the calls of this process that create, write, sync, close or rename
   a file in the folder. The nth call fails with ENOSPC; a write stores half of its bytes first. After it all
   calls that need room fail. n = 0: count only.
   name_calls(path): write a line for each counted call to this file. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];
static long calls, full_at;
static int names = -1;

void fill_disk(const char *path, long n) {
    snprintf(folder, sizeof folder, "%s", path);
    calls = 0;
    full_at = n;
}

void name_calls(const char *path) { names = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666) : -1; }

#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* 0: go on, 1: this call fails, 2: the disk is already full */
static int counted(const char *kind, const char *path) {
    if (!folder[0] || strncmp(path, folder, strlen(folder)))
        return 0;
    long now = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    if (names >= 0)
        dprintf(names, "%s %s\n", kind, path);
    return !full_at || now < full_at ? 0 : now == full_at ? 1 : 2;
}

static int counted_fd(const char *kind, int fd) {
    char link[64], path[PATH_MAX];
    if (!folder[0] || fd == names)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return counted(kind, path);
}

static int no_room(void) {
    errno = ENOSPC;
    return -1;
}

ssize_t write(int fd, const void *bytes, size_t size) {
    REAL(write);
    int state = counted_fd("write", fd);
    if (state == 1 && size > 1)
        return real(fd, bytes, size / 2);
    return state ? no_room() : real(fd, bytes, size);
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    REAL(writev);
    return counted_fd("write", fd) ? no_room() : real(fd, pieces, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
    REAL(pwrite64);
    return counted_fd("write", fd) ? no_room() : real(fd, bytes, size, offset);
}

size_t fwrite(const void *bytes, size_t size, size_t count, FILE *stream) {
    REAL(fwrite);
    return counted_fd("write", fileno(stream)) ? (size_t)(no_room() + 1) : real(bytes, size, count, stream);
}

int fsync(int fd) {
    REAL(fsync);
    return counted_fd("sync", fd) == 1 ? no_room() : real(fd);
}

static int may_write(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

/* A failed close closes the file all the same. */
int close(int fd) {
    REAL(close);
    int fails = folder[0] && may_write(fd) && counted_fd("close", fd) == 1;
    int result = real(fd);
    return fails ? no_room() : result;
}

int fclose(FILE *stream) {
    REAL(fclose);
    int fd = fileno(stream), fails = folder[0] && may_write(fd) && counted_fd("close", fd) == 1;
    int result = real(stream);
    return fails ? no_room() : result;
}

int rename(const char *from, const char *to) {
    REAL(rename);
    return counted("rename", to) == 1 ? no_room() : real(from, to);
}

static int creates(const char *path, int flags) {
    return (flags & O_CREAT) && access(path, F_OK) && counted("create", path);
}

#define OPEN(name)                                                                                              \
    int name(const char *path, int flags, ...) {                                                                \
        REAL(name);                                                                                             \
        va_list more;                                                                                           \
        va_start(more, flags);                                                                                  \
        mode_t mode = va_arg(more, mode_t);                                                                     \
        va_end(more);                                                                                           \
        return creates(path, flags) ? no_room() : real(path, flags, mode);                                      \
    }
OPEN(open)
OPEN(open64)

FILE *fopen(const char *path, const char *mode) {
    REAL(fopen);
    if (mode[0] != 'r' && access(path, F_OK) && counted("create", path)) {
        errno = ENOSPC;
        return NULL;
    }
    return real(path, mode);
}
