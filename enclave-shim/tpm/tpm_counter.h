/*
 * qr_tpm_counter: the NV counter by which releases are revoked.
 *
 * What: made if absent, read in an authenticated session, raised one by one.
 * Invariants: its name must be qr_tpm_counter_name's; an index with other attributes at its handle is
 *       refused. A TPM starts a counter that is made anew above every counter that it ever had, so that
 *       deleting it gains nothing (part 3, 31.8; checked in test/swtpm).
 */
#ifndef QR_TPM_COUNTER_H
#define QR_TPM_COUNTER_H

#include "enclave-shim/tpm/tpm_int.h"
#include "enclave-shim/tpm/tpm_seal.h"

struct qr_tpm_counter {
    ESYS_TR nv; /* the caller closes it: qr_tpm_counter_close */
    uint64_t value;
};

/* Defines it, and counts once, where that was not done. PLATFORM. */
qr_err QR_MUST qr_tpm_counter_open(struct qr_tpm *t, struct qr_tpm_counter *ret);
void qr_tpm_counter_close(struct qr_tpm *t, struct qr_tpm_counter *c);
/* One step; value is read again. */
qr_err QR_MUST qr_tpm_counter_step(struct qr_tpm *t, struct qr_tpm_counter *c);

#endif
