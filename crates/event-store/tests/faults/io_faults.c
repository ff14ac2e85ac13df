/*
 * A disk that fails on demand. Loaded with LD_PRELOAD, it stands before the calls that change files and
 * lets those on files of one folder fail as a plan says.
 *
 * IO_FAULTS_FOLDER  the folder, as an absolute path without links
 * IO_FAULTS_PLAN    the file with the plan, outside of the folder; read anew at each call
 *
 * A plan is one line; without the file nothing fails:
 *
 *     SERIAL OPERATION FILE SKIP TIMES PER_MILLE ERRNO DELAY_MS HOW
 *
 * SERIAL     another number starts the counting anew
 * OPERATION  write, sync, truncate, open, any, or doom: the first sync that fails takes all others along
 * FILE       a part of the file's path; * for all
 * SKIP       so many calls pass first
 * TIMES      then so many fail; -1: all
 * PER_MILLE  of those, so many out of a thousand
 * ERRNO      what they fail with; 0: they only take their time
 * DELAY_MS   how long they take
 * HOW        fail; torn: half of the bytes are written first; short: half are written, which is no error
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum how { FAIL, TORN, SHORT };

struct verdict {
    int error;
    enum how how;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long serial = -1, seen, failed;
static int doomed;
static unsigned int dice = 1;

static int read_plan(char *text, size_t size) {
    const char *path = getenv("IO_FAULTS_PLAN");
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, size - 1);
    syscall(SYS_close, fd);
    text[length > 0 ? length : 0] = 0;
    return length > 0;
}

static int matches(const char *wanted, const char *operation) {
    int is_doom = strcmp(wanted, "doom") == 0;
    if (is_doom)
        return doomed || strcmp(operation, "sync") == 0;
    return strcmp(wanted, "any") == 0 || strcmp(wanted, operation) == 0;
}

/* What becomes of a call on a path. */
static struct verdict judge_path(const char *operation, const char *path) {
    struct verdict passes = {0, FAIL}, verdict = passes;
    const char *folder = getenv("IO_FAULTS_FOLDER");
    char text[512], wanted[16], file[256], how[16];
    long now, skip, times;
    int per_mille, error, delay;
    if (!folder || strncmp(path, folder, strlen(folder)) != 0 || !read_plan(text, sizeof text))
        return passes;
    if (sscanf(text, "%ld %15s %255s %ld %ld %d %d %d %15s", &now, wanted, file, &skip, &times, &per_mille,
               &error, &delay, how) != 9)
        return passes;
    pthread_mutex_lock(&lock);
    if (now != serial) {
        serial = now;
        seen = failed = doomed = 0;
        dice = (unsigned int)now + 1;
    }
    int is_there = strcmp(file, "*") == 0 || strstr(path, file) != NULL;
    int is_meant = matches(wanted, operation) && (doomed || (is_there && seen++ >= skip)) &&
                   (times < 0 || failed < times) &&
                   (int)(rand_r(&dice) % 1000) < per_mille;
    if (is_meant) {
        failed++;
        doomed = strcmp(wanted, "doom") == 0;
        verdict.error = error;
        verdict.how = strcmp(how, "torn") == 0 ? TORN : strcmp(how, "short") == 0 ? SHORT : FAIL;
    }
    pthread_mutex_unlock(&lock);
    if (is_meant && delay > 0) {
        struct timespec pause = {delay / 1000, (delay % 1000) * 1000000L};
        nanosleep(&pause, NULL);
    }
    return verdict;
}

static struct verdict judge(const char *operation, int fd) {
    struct verdict passes = {0, FAIL};
    char link[64], path[4096];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length <= 0)
        return passes;
    path[length] = 0;
    return judge_path(operation, path);
}

static int fails(struct verdict verdict) {
    if (verdict.error)
        errno = verdict.error;
    return verdict.error != 0;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    struct verdict verdict = judge("write", fd);
    if (verdict.how != FAIL && count > 1) {
        ssize_t written = syscall(SYS_write, fd, bytes, count / 2);
        return fails(verdict) ? -1 : written;
    }
    return fails(verdict) ? -1 : syscall(SYS_write, fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    struct verdict verdict = judge("write", fd);
    if (verdict.how != FAIL && count > 1) {
        ssize_t written = syscall(SYS_pwrite64, fd, bytes, count / 2, offset);
        return fails(verdict) ? -1 : written;
    }
    return fails(verdict) ? -1 : syscall(SYS_pwrite64, fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    return pwrite64(fd, bytes, count, offset);
}

int fsync(int fd) {
    return fails(judge("sync", fd)) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    return fails(judge("sync", fd)) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate64(int fd, off64_t length) {
    return fails(judge("truncate", fd)) ? -1 : (int)syscall(SYS_ftruncate, fd, length);
}

int ftruncate(int fd, off_t length) {
    return ftruncate64(fd, length);
}

/* Opening to read is not what fails on a disk that takes no more writes. */
static int open_path(const char *path, int flags, mode_t mode) {
    int writes = (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0;
    if (writes && fails(judge_path("open", path)))
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_path(path, flags | O_LARGEFILE, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_path(path, flags, mode);
}
