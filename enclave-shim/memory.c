#include "enclave-shim/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define TEXT_MAX 4096u
#define HEAD "Filename"

int
qr_memory_first_swap(const char *text, char *name, size_t cap)
{
    const char *line = strchr(text, '\n');

    if (text[0] == '\0') {
        return 0;
    }
    if (strncmp(text, HEAD, sizeof HEAD - 1) != 0 || !line) {
        (void)snprintf(name, cap, "a list that cannot be read");
        return 1;
    }
    line++;
    size_t n = strcspn(line, " \t\n");
    if (n == 0) {
        return 0;
    }
    (void)snprintf(name, cap, "%.*s", (int)(n < 200 ? n : 200), line);
    return 1;
}

static qr_err
check_swap(const char *swaps, char *err_text, size_t err_cap)
{
    char text[TEXT_MAX + 1] = "", name[256];
    size_t have = 0;
    int fd = open(swaps, O_RDONLY | O_CLOEXEC);

    if (fd < 0 &&
        errno == ENOENT) { /* no swap in this kernel, or not all of /proc is shown to us */
        struct sysinfo s;
        if (sysinfo(&s) == 0 && s.totalswap == 0) {
            return QR_OK;
        }
        (void)snprintf(
            err_text, err_cap,
            "there is swap (which, %s would say): what is in memory could be written to a "
            "disk; turn it off (swapoff -a) and take it out of the image",
            swaps);
        return QR_ERR_PLATFORM;
    }
    for (ssize_t n = 1; fd >= 0 && n > 0 && have<TEXT_MAX; have += n> 0 ? (size_t)n : 0) {
        n = read(fd, text + have, TEXT_MAX - have);
        if (n < 0) {
            (void)close(fd);
            fd = -1;
        }
    }
    if (fd < 0) {
        (void)snprintf(err_text, err_cap, "%s: %s: it is not known whether there is swap", swaps,
                       strerror(errno));
        return QR_ERR_PLATFORM;
    }
    (void)close(fd);
    if (qr_memory_first_swap(text, name, sizeof name)) {
        (void)snprintf(err_text, err_cap,
                       "there is swap (%s): what is in memory could be written to a disk; turn it "
                       "off (swapoff -a) and take it out of the image",
                       name);
        return QR_ERR_PLATFORM;
    }
    return QR_OK;
}

/* By trying: limits, capabilities and what is free all have a say. */
static qr_err
check_lock(size_t n, char *err_text, size_t err_cap)
{
    struct rlimit r = {0, 0};
    char limit[32] = "no limit";

    if (n == 0) {
        return QR_OK;
    }
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int bad = p == MAP_FAILED ? errno : mlock(p, n) != 0 ? errno : 0;
    if (p != MAP_FAILED) {
        (void)munmap(p, n);
    }
    if (bad == 0) {
        return QR_OK;
    }
    if (getrlimit(RLIMIT_MEMLOCK, &r) == 0 && r.rlim_cur != RLIM_INFINITY) {
        (void)snprintf(limit, sizeof limit, "%llu KiB", (unsigned long long)r.rlim_cur / 1024);
    }
    (void)snprintf(err_text, err_cap,
                   "memory for secrets cannot be locked: %zu KiB are needed, the limit "
                   "(RLIMIT_MEMLOCK) is %s: %s; set LimitMEMLOCK=64M in the unit, or ulimit -l",
                   n / 1024, limit, strerror(bad));
    return QR_ERR_PLATFORM;
}

qr_err
qr_memory_check(const char *swaps, size_t locked, char *err_text, size_t err_cap)
{
    QR_TRY(check_swap(swaps, err_text, err_cap));
    return check_lock(locked, err_text, err_cap);
}
