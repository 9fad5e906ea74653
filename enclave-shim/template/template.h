/*
 * qr_tee_template: a complete back end to copy for another TEE. Software only.
 *
 * What: every function of enclave-shim/tee.h, over a "device" of a few lines, with a comment at each
 *       about what a real one does there. Its evidence is the software TEE's (tee_sim.h), so that there
 *       is something to verify; it is as worthless.
 * Why: the contract is easier to copy than to read. Tests build it and hold it to the same suite as all
 *      others (test/common/teeconform.h); no program contains it (test/check_link.sh).
 * To port: copy the folder, rename, replace `struct device` and what speaks to it; give the platform a
 *      number in transport/attest_if.h and verify/kinds.def, and a verifier; a row in tee_open.c; its
 *      word in daemon/config.c and fit.c; a row in README.md's table, saying what was tested on what.
 */
#ifndef QR_TEE_TEMPLATE_H
#define QR_TEE_TEMPLATE_H

#include "enclave-shim/tee_open.h"

extern const struct qr_tee_profile qr_tee_template_profile;

/* As qr_tee_open. o: keep, patience_ms; state_dir names the "machine": another one is another platform. */
qr_err QR_MUST qr_tee_template_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text,
                                    size_t err_cap);

/* What the "device" does next, for the suite: fails `times` times with an error that passes or lasts. */
void qr_tee_template_trouble(int times, int lasting);

#endif
