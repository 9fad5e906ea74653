/*
 * qr_kms_answer: what KMS said, from a status and JSON to a key, or to words.
 *
 * What: the half of kms.h that reads what came over the wire: refusals by their names, the key that
 *       answered, the blob, and the CMS that only the recipient's key opens.
 * Invariants: ret_key and blob change on success only; no text of the answer reaches an operator but
 *       the name of an error, shortened and printable.
 * Source: AWS KMS API reference, "Common Errors" and the two calls' own.
 */
#ifndef QR_KMS_ANSWER_H
#define QR_KMS_ANSWER_H

#include "enclave-shim/nitro/cms.h"
#include "enclave-shim/nitro/http.h"
#include "enclave-shim/nitro/kms.h"

#define QR_KMS_SCRATCH QR_CMS_MAX

/*
 * blob: NULL for a call that makes none. *ret_again = 1: another try may succeed. Errors: as
 * qr_kms_generate; k->why says what.
 */
qr_err QR_MUST qr_kms_answer(struct qr_kms *k, const char *call, const struct qr_kms_recipient *r,
                             const struct qr_http_answer *a, uint8_t scratch[static QR_KMS_SCRATCH],
                             struct qr_sec32 *ret_key, struct qr_dbuf *blob, int *ret_again);

#endif
