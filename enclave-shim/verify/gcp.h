/*
 * qr_gcp: a Google Cloud guest's report and its vTPM, tied together by the guest.
 *
 * What: Google's vTPM stands outside the TEE, so nothing ties its key to the processor's report
 *       unless the guest does. Here report_data is
 *           SHA-256("quorate/gcp-ak/v1" || SHA-256(AK's SubjectPublicKeyInfo) || extraData) || 32 zeros
 *       and the quote's extraData is the 32 bytes that were asked for. Evidence that carries a JSON
 *       key set (runtime_data.json) is judged by the published rule instead: report_data is the key
 *       set's SHA-256, the set names the key, and extraData is the SHA-256 of attestation_data.bin.
 * Why: the guest that the report measures says which TPM is its own; without that, a quote of any
 *      other instance could stand beside a genuine report.
 * Invariants: the AK has a certificate under a pinned Google root, whichever rule holds.
 */
#ifndef QR_GCP_H
#define QR_GCP_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

/* What a guest asks its processor to report, for the 32 bytes it will have quoted. 1 on success. */
int qr_gcp_report_data(const uint8_t ak_spki_sha256[static 32], const uint8_t extra[static 32],
                       uint8_t ret[static 64]);

#endif
