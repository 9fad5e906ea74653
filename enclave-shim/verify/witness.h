/*
 * qr_witness: a cloud service's token beside the evidence of a processor.
 *
 * What: evidence of SEV-SNP or TDX, bare or of a cloud, may carry a token (part TOKEN, and JWKS with
 *       the issuer's keys): Azure Attestation's or Confidential Space's. It is judged as a token alone
 *       is, by the same rules, time, binder and audience; then what it says of the machine is compared
 *       with what the processor said.
 * Why: it never replaces evidence. Whoever forges both needs the processor's maker and the cloud.
 * Compared: Azure Attestation: the kind of hardware; launch measurement, ID key digest and report data
 *       (SNP); MRTD and report data where the token has them (TDX); the VM's id where both have it.
 *       What identifies the machine (report data or VM id) must be there. Confidential Space: the kind
 *       of hardware, and the instance where the AK's certificate names one. Beside a bare report of
 *       Google's only the kind of hardware and the binder tie the two together.
 * Invariants: a token that fails fails the evidence, with its own check and reason; one that speaks of
 *       another machine fails COMPOSITE, IDENTITY_MISMATCH. Its claims do not join the platform's:
 *       only witness.kind, .iss, .exp, .key_sha256, .pinned_root (its key has a certificate under a
 *       pinned root) and .debug (where the token says). Its dates end the verdict; they say nothing
 *       of the time, since a key set is signed by nobody.
 * Trust: without .pinned_root whoever sent the key set may have signed the token. The policy says
 *        which keys are believed.
 */
#ifndef QR_WITNESS_H
#define QR_WITNESS_H

#include "enclave-shim/verify/verify_int.h"

/* Whose tokens an issuer's are: MAA or CONFIDENTIAL_SPACE; NONE: of no service that is known. */
enum qr_evidence_kind qr_witness_of(qr_view iss);
/* 1: tokens of this service can stand beside evidence of that kind. */
int qr_witness_fits(enum qr_evidence_kind service, enum qr_evidence_kind kind);
/* 1: some service's can. Other kinds' tokens are the evidence itself, or are not looked at. */
int qr_witness_taken(enum qr_evidence_kind kind);

/* After the platform's verifier: hears the token, if there is one. Records TOKEN. */
qr_err QR_MUST qr_witness_part(struct qr_verify_run *r);

#endif
