/*
 * qr_report: a processor's report over 64 bytes of ours, from wherever the kernel hands it out.
 *
 * What: a table of functions (configfs-tsm in tsm.h, /dev/sev-guest in sevguest.h, a helper process
 *       around either in helper.h), and the table of system calls that they are written over.
 * Why: back ends of SNP, TDX and Google do not care which door the kernel has; tests put every failure
 *       of a device into the table of calls, so that nothing here is tried for the first time on
 *       hardware.
 * Invariants: what comes back is the host's word until a verifier has read it: bounded by the caps
 *       below, otherwise opaque here.
 * Thread rules: single-threaded. `get` blocks for at most about the patience of its source.
 */
#ifndef QR_TSM_REPORT_H
#define QR_TSM_REPORT_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

#include <stdint.h>

#define QR_REPORT_DATA 64u
#define QR_REPORT_OUT_MAX 16384u /* a report or quote */
#define QR_REPORT_AUX_MAX 65536u /* a certificate table */

struct qr_report {
    size_t out_len, aux_len; /* aux_len 0: none */
    uint8_t out[QR_REPORT_OUT_MAX];
    uint8_t aux[QR_REPORT_AUX_MAX];
};

struct qr_report_src {
    void *ctx;
    /*
     * A report over data, made now. PLATFORM: why() tells what failed, what was seen and what to do.
     * *ret is written in part also on failure.
     */
    qr_err (*get)(void *ctx, const uint8_t data[QR_REPORT_DATA], struct qr_report *ret);
    const char *(*why)(void *ctx);
    void (*free)(void *ctx);
    int fd; /* a descriptor that `get` uses, for helpers and filters; -1: none */
};
void qr_report_close(struct qr_report_src *s); /* zeroes it; takes a zeroed one */

/*
 * System calls. All return what the call returns, or -errno. read and write are single calls: a short
 * one is the caller's to judge.
 */
struct qr_sys {
    void *ctx;
    int (*open)(void *ctx, const char *path, int flags); /* O_CLOEXEC is added */
    long (*read)(void *ctx, int fd, void *out, size_t cap);
    long (*write)(void *ctx, int fd, const void *p, size_t n);
    int (*close)(void *ctx, int fd);
    int (*ioctl)(void *ctx, int fd, unsigned long request, void *arg);
    int (*mkdir)(void *ctx, const char *path);
    int (*rmdir)(void *ctx, const char *path);
    /* Calls `each` for every name in the folder but "." and "..". */
    int (*list)(void *ctx, const char *path, void (*each)(void *to, const char *name), void *to);
    int (*alive)(void *ctx, long pid); /* 1: such a process exists */
    uint64_t (*now_ms)(void *ctx);     /* monotonic */
    void (*sleep_ms)(void *ctx, unsigned ms);
};
extern const struct qr_sys qr_sys_kernel;

/* Reads a file whole: opens, reads to its end, closes. Length, or -errno; -EFBIG above cap. */
long qr_sys_slurp(const struct qr_sys *s, const char *path, void *out, size_t cap);

/*
 * Waiting before another attempt: 1 after a pause that doubles from 2 ms to 256 ms; 0 when less than
 * that is left of `patience_ms` since the first call.
 */
struct qr_patience {
    uint64_t end_ms;
    unsigned next_ms;
};
struct qr_patience qr_patience_of(const struct qr_sys *s, uint32_t patience_ms);
int qr_patience_wait(const struct qr_sys *s, struct qr_patience *p);

#endif
