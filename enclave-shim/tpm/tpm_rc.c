/* A TPM's response codes in words, with what to do about those that an operator can do something about. */
#include "enclave-shim/tpm/tpm_int.h"

#include <stdio.h>
#include <string.h>
#include <tss2/tss2_rc.h>

static const struct {
    TSS2_RC base;
    const char *help;
} advice[] = {
    {TPM2_RC_FAILURE,
     "the TPM is in failure mode: restart the machine; an emulator needs an absolute "
     "path of its state folder"},
    {TPM2_RC_INITIALIZE, "the firmware has not started the TPM: an emulator needs "
                         "--flags not-need-init,startup-clear"},
    {TPM2_RC_REBOOT, "the TPM wants a restart of the machine"},
    {TPM2_RC_LOCKOUT,
     "too many failed authorisations: wait, or clear the lockout with its password"},
    {TPM2_RC_RETRY, "the TPM stayed busy; try again"},
    {TPM2_RC_TESTING, "the TPM is testing itself; try again"},
    {TPM2_RC_YIELDED, "the TPM stayed busy; try again"},
    {TPM2_RC_NV_RATE, "the TPM limits how often its memory is written; wait and try again"},
    {TPM2_RC_NV_UNAVAILABLE, "the TPM cannot write its memory now; try again"},
    {TPM2_RC_NV_SPACE, "the TPM's memory is full: delete indices that nobody uses "
                       "(tpm2_getcap handles-nv-index)"},
    {TPM2_RC_NV_AUTHORIZATION, "the index does not let its owner do that"},
    {TPM2_RC_NV_UNINITIALIZED, "the index was never written"},
    {TPM2_RC_OBJECT_MEMORY, "no room for another key: use /dev/tpmrm0, not /dev/tpm0; without a "
                            "resource manager run tpm2_flushcontext -t"},
    {TPM2_RC_SESSION_MEMORY,
     "no room for another session: use /dev/tpmrm0, not /dev/tpm0; without a "
     "resource manager run tpm2_flushcontext -l"},
    {TPM2_RC_SESSION_HANDLES, "no room for another session: run tpm2_flushcontext -s"},
    {TPM2_RC_COMMAND_CODE, "this TPM does not have that command"},
    {TPM2_RC_BAD_AUTH,
     "the hierarchy or the index has a password: somebody took this TPM's ownership; "
     "give the machine a fresh TPM"},
    {TPM2_RC_AUTH_FAIL,
     "the hierarchy or the index has a password: somebody took this TPM's ownership; "
     "give the machine a fresh TPM"},
    {TPM2_RC_HIERARCHY, "the hierarchy is disabled in the firmware"},
    {TPM2_RC_INTEGRITY,
     "the object was made by another TPM, or the TPM was cleared, or the object was "
     "changed"},
    {TPM2_RC_DISABLED, "the TPM's commands are disabled in the firmware"},
    {TPM2_RC_POLICY_FAIL, "the object's policy is not met"},
    {TPM2_RC_PCR_CHANGED, "PCRs changed while the policy was shown; try again"},
};

TSS2_RC
qr_tpm_rc_base(TSS2_RC rc)
{
    rc &= ~(TSS2_RC)TSS2_RC_LAYER_MASK;
    if (rc & TPM2_RC_FMT1) {
        return rc & (TPM2_RC_FMT1 | 0x3fu); /* without P and the number */
    }
    return rc;
}

static const char *
help_of(TSS2_RC rc)
{
    for (size_t i = 0; i < sizeof advice / sizeof advice[0]; i++) {
        if (advice[i].base == qr_tpm_rc_base(rc)) {
            return advice[i].help;
        }
    }
    return NULL;
}

qr_err
qr_tpm_fail(struct qr_tpm *t, qr_err e, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(t->err, sizeof t->err, format, ap);
    va_end(ap);
    return e;
}

/* Codes of the library, not of the TPM. */
static qr_err
library(struct qr_tpm *t, const char *command, TSS2_RC rc)
{
    switch (rc & ~(TSS2_RC)TSS2_RC_LAYER_MASK) {
    case TSS2_BASE_RC_MEMORY:
        return qr_tpm_fail(t, QR_ERR_NO_MEMORY, "%s: out of memory", command);
    case TSS2_BASE_RC_RSP_AUTH_FAILED:
        t->spoiled = 1;
        return qr_tpm_fail(t, QR_ERR_PLATFORM,
                           "%s: the answer's HMAC is wrong: somebody between this machine and its "
                           "TPM changed it, or answers in the TPM's place",
                           command);
    case TSS2_BASE_RC_MALFORMED_RESPONSE:
    case TSS2_BASE_RC_INSUFFICIENT_RESPONSE:
        t->spoiled = 1;
        return qr_tpm_fail(t, QR_ERR_PLATFORM, "%s: the TPM's answer is not well formed (%s)",
                           command, Tss2_RC_Decode(rc));
    default:
        return qr_tpm_fail(t, QR_ERR_PLATFORM, "%s: 0x%x (%s)", command, rc, Tss2_RC_Decode(rc));
    }
}

qr_err
qr_tpm_rc(struct qr_tpm *t, const char *command, TSS2_RC rc)
{
    TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

    if (t->tcti && qr_tcti_error(t->tcti)[0]) {
        return qr_tpm_fail(t, QR_ERR_PLATFORM,
                           "%s: the connection to the TPM at %s was given up: %s; restart the "
                           "party",
                           command, t->path, qr_tcti_error(t->tcti));
    }
    if (t->spoiled) {
        return qr_tpm_fail(t, QR_ERR_PLATFORM,
                           "%s: 0x%x (%s): an earlier answer was changed on its way or malformed, "
                           "and the session is out of step since; restart the party",
                           command, rc, Tss2_RC_Decode(rc));
    }
    if (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER) {
        return library(t, command, rc);
    }
    const char *help = help_of(rc);
    return qr_tpm_fail(t, QR_ERR_PLATFORM, "%s: 0x%x (%s)%s%s", command, rc, Tss2_RC_Decode(rc),
                       help ? ": " : "", help ? help : "");
}
