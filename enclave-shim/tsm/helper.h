/*
 * qr_helper: a source of reports behind a process of its own.
 *
 * What: forks; the child opens and owns the source and answers over a socket pair; the parent gets a source with
 *       the same behaviour that takes send and recv on one descriptor.
 * Why: configfs-tsm wants files opened for writing for every report, which the party's filter of system
 *       calls forbids for good reason. The child holds no secret (it starts before there is one, and
 *       locked memory does not cross a fork), has no other descriptor than the pair and the source's,
 *       and speaks to nobody else; its system calls are QR_SANDBOX_REPORTS'.
 * Invariants: an answer carries the number of its question: one that comes too late is dropped. The
 *       parent bounds and copies what it gets as if it were the host's. The child ends, and removes
 *       the source's entry, when the parent's end closes, however that comes about. Nobody waits for
 *       it: it is init's child (the party may not wait for processes after start).
 * Thread rules: call it before threads exist.
 */
#ifndef QR_TSM_HELPER_H
#define QR_TSM_HELPER_H

#include "enclave-shim/tsm/report.h"

/* Opens a source, inside the child; err_text as everywhere. */
struct qr_helper_open {
    void *ctx;
    qr_err (*open)(void *ctx, struct qr_report_src *ret, char *err_text, size_t err_cap);
};

/*
 * Starts the process and waits for it to open its source. wait_ms: how long the parent waits for an
 * answer: the source's patience and QR_HELPER_EXTRA_MS. Errors: what `open` said; PLATFORM (no process,
 * no socket, no answer), NO_MEMORY.
 */
#define QR_HELPER_EXTRA_MS 2000u
qr_err QR_MUST qr_helper_start(const struct qr_helper_open *how, uint32_t wait_ms,
                               struct qr_report_src *ret, char *err_text, size_t err_cap);

#endif
