/*
 * qr_tsm: reports through the kernel's configfs-tsm.
 *
 * What: an entry (a folder below /sys/kernel/config/tsm/report): 64 bytes to `inblob` in one write,
 *       the report from `outblob`, the host's certificates from `auxblob`, `generation` around both.
 * Why: one door for SNP and TDX since Linux 6.7, and the kernel's choice for both.
 * How an entry behaves (Linux 6.7 to 6.12, fs/configfs and drivers/virt/coco/tsm.c): a write to a
 *       binary attribute takes effect when its file is closed, and close tells nothing of its fate, so
 *       that only `generation` shows whether ours was taken: it counts each setting. Reading `outblob`
 *       makes the report unless one for this generation is there. An entry serves any number of
 *       reports; without a read between them the kernel stops taking settings (EBUSY).
 * Invariants: one entry is one process's. A report is believed to be over our bytes only if the
 *       counter rose by exactly our own settings before it was read and stood still until it and its
 *       certificates were read; else all of it is done again, within the patience.
 * Errors that pass (EBUSY, EAGAIN, EINTR, ETIMEDOUT, and a counter that moved) are tried again; others
 *       are told at once. All are PLATFORM; why() names the file, the error and the remedy.
 * System calls a report takes, for filters: openat (O_WRONLY once), write, read, close,
 *       clock_gettime, and clock_nanosleep for pauses; mkdir, rmdir, getdents64 and kill(pid, 0) at
 *       open and free alone. helper.h keeps them all out of the party.
 */
#ifndef QR_TSM_H
#define QR_TSM_H

#include "enclave-shim/tsm/report.h"

#define QR_TSM_ROOT "/sys/kernel/config/tsm/report"
#define QR_TSM_NAME_MAX 32u

struct qr_tsm_opts {
    const char *root;     /* NULL or "": QR_TSM_ROOT */
    const char *entry;    /* "": "quorate-PID-N" is made here and removed by free; entries of that
                             form whose process is gone are removed. Else one that was made for us
                             (root made it and gave us its files): neither made nor removed. */
    const char *provider; /* what `provider` must say: "sev_guest", "tdx_guest"; "": either */
    uint32_t patience_ms;
};

/*
 * PLATFORM: no such folder (kernel, configfs not mounted), no provider (ENXIO), another provider,
 * refused, busy; PERMISSIONS: our user may not make or write entries; NOT_FOUND: there is no
 * configfs-tsm at all, and another door may be tried; NO_MEMORY.
 */
qr_err QR_MUST qr_tsm_open(const struct qr_tsm_opts *o, const struct qr_sys *sys,
                           struct qr_report_src *ret, char *err_text, size_t err_cap);

#endif
