/*
 * The software TEE's evidence: what tee_sim.c makes and tee.c dispatches to.
 *
 * Layout (136 bytes): "QSIM" || u8 version (1) || u8 platform (1) || measurement 32 || u8 debug
 *      || binder 32 || u8 zero || Ed25519 signature 64 over TH("sim"; "evidence", all before it).
 * The vendor key is derived from a published text. Anybody can forge this evidence: it proves that
 * the plumbing works and nothing about the machine, which is what "insecure_sim" says.
 */
#ifndef QR_TEE_SIM_H
#define QR_TEE_SIM_H

#include "enclave-shim/tee.h"

#define QR_SIM_EVIDENCE_LEN 136u

extern const struct qr_tee_profile qr_tee_sim_profile;

qr_err QR_MUST qr_sim_verify(qr_view evidence, const uint8_t binder[static 32],
                             struct qr_claims *ret, char *why, size_t why_cap);

#endif
