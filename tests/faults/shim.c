/* Stands between the sidecar and the system's library: another wall clock, a disk that is full, broken or slow. What it
 * does is read from the file that HANDOVER_SHIM names, at each call, so that a test can change it:
 *
 *     clock 86400      the wall clock is so many seconds ahead
 *     full             a write to a regular file finds no room
 *     torn             a write to a regular file puts down half, then finds no room
 *     readonly         a write to a regular file is refused
 *     broken           what was written cannot be flushed
 *     slow 700         flushing takes so many milliseconds
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Whether the file has that word, and the number behind it. Plain system calls: this runs inside of write. */
static int told(const char *word, long *number) {
    char text[256] = {0};
    const char *path = getenv("HANDOVER_SHIM");
    if (path == NULL) return 0;
    int file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    syscall(SYS_read, file, text, sizeof text - 1);
    syscall(SYS_close, file);
    char *found = strstr(text, word);
    if (found != NULL && number != NULL) *number = strtol(found + strlen(word), NULL, 10);
    return found != NULL;
}

/* The journal: not standard output, which is a log. */
static int is_journal(int fd) {
    struct stat about;
    return fd > 2 && fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
}

int clock_gettime(clockid_t which, struct timespec *now) {
    int outcome = syscall(SYS_clock_gettime, which, now);
    long ahead = 0;
    if (which == CLOCK_REALTIME && told("clock", &ahead)) now->tv_sec += ahead;
    return outcome;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    if (is_journal(fd)) {
        int error = told("full", NULL) ? ENOSPC : told("readonly", NULL) ? EROFS : 0;
        if (error != 0) {
            errno = error;
            return -1;
        }
        if (told("torn", NULL)) {
            if (length < 2) {
                errno = ENOSPC;
                return -1;
            }
            length /= 2;
        }
    }
    return syscall(SYS_write, fd, bytes, length);
}

int fdatasync(int fd) {
    long slow = 0;
    if (is_journal(fd) && told("broken", NULL)) {
        errno = EIO;
        return -1;
    }
    if (told("slow", &slow)) {
        struct timespec pause = {slow / 1000, slow % 1000 * 1000000};
        syscall(SYS_nanosleep, &pause, NULL);
    }
    return syscall(SYS_fdatasync, fd);
}
