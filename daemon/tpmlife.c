#include "daemon/tpmlife.h"

#include <inttypes.h>
#include <stdio.h>

#define ADVICE "restart the party there if the machine is right"

void
qr_tpmlife_of(const struct qr_claimset *c, struct qr_tpmlife *ret)
{
    qr_view ak;
    struct qr_tpmlife l = {0};

    if (qr_tpm_moment_of(c, &l.at) && qr_claim_get_hex(c, "ak_spki_sha256", &ak) &&
        ak.len == sizeof l.ak) {
        memcpy(l.ak, ak.p, sizeof l.ak);
        l.known = 1;
    }
    *ret = l;
}

qr_err
qr_tpmlife_follows(const struct qr_tpmlife *was, const struct qr_tpmlife *is, char *why, size_t cap)
{
    struct qr_tpm_moment now = is->at;

    if (!was->known) {
        return QR_OK;
    }
    if (!is->known || memcmp(was->ak, is->ak, sizeof was->ak) != 0) {
        (void)snprintf(why, cap,
                       "a running process does not change its TPM: expected a quote by the "
                       "attestation key that it showed before, found %s; " ADVICE,
                       is->known ? "one by another key" : "none");
        return QR_ERR_ATTESTATION;
    }
    now.safe = 1; /* see the header */
    switch (qr_tpm_compare(&was->at, &now)) {
    case QR_TPM_LATER:
        return QR_OK;
    case QR_TPM_REBOOTED:
        (void)snprintf(why, cap,
                       "the machine was rebooted, and this is said to be the process from before: "
                       "expected TPM reset count %" PRIu32 ", found %" PRIu32 "; " ADVICE,
                       was->at.reset_count, now.reset_count);
        break;
    case QR_TPM_EARLIER:
    case QR_TPM_UNSAFE:
        (void)snprintf(why, cap,
                       "the TPM's time went back: the machine was set back to a snapshot, or old "
                       "evidence is shown: expected resets %" PRIu32 ", restarts %" PRIu32
                       " and clock %" PRIu64 " ms or later, found %" PRIu32 ", %" PRIu32
                       " and %" PRIu64 " ms; " ADVICE,
                       was->at.reset_count, was->at.restart_count, was->at.clock, now.reset_count,
                       now.restart_count, now.clock);
        break;
    }
    return QR_ERR_ATTESTATION;
}
