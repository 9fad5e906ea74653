/*
 * qr_bootlog: what firmware wrote down while it measured, as it travels with evidence.
 *
 * What: the CC event log (ACPI's CCEL area) or a TPM's (securityfs), cut where its last record ends:
 *       the areas are padded to their size.
 * Why: a verifier replays it to registers that are signed. It is optional everywhere: no file, no log.
 * Invariants: bounded before it is read; a log that cannot be read to its end is told as such and not
 *       sent, because evidence with a broken log is refused and evidence without one may do.
 */
#ifndef QR_BOOTLOG_H
#define QR_BOOTLOG_H

#include "enclave-shim/tsm/report.h"
#include "enclave-shim/verify/verdict.h"
#include "protocol/base/mem.h"

#define QR_BOOTLOG_CC "/sys/firmware/acpi/tables/data/CCEL"
#define QR_BOOTLOG_TCG "/sys/kernel/security/tpm0/binary_bios_measurements"
#define QR_BOOTLOG_AREA_MAX (1024u * 1024u)

enum qr_bootlog_kind { QR_BOOTLOG_NONE, QR_BOOTLOG_OF_CC, QR_BOOTLOG_OF_TPM };

/*
 * out is replaced; left empty when there is no such file. PERMISSIONS, PLATFORM (unreadable, no log, too
 * large to travel), NO_MEMORY; err_text: what, where, what to do.
 */
qr_err QR_MUST qr_bootlog_read(enum qr_bootlog_kind kind, const char *path,
                               const struct qr_sys *sys, struct qr_dbuf *out, char *err_text,
                               size_t err_cap);
/* Length up to the end of the last record; 0: it is no log, and v says why. */
size_t qr_bootlog_length(enum qr_bootlog_kind kind, qr_view area, struct qr_verdict *v);

#endif
