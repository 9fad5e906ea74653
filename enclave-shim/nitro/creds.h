/*
 * qr_creds: temporary AWS credentials, as the host hands them in.
 *
 * What: a JSON object in the form of the instance metadata service:
 *           {"AccessKeyId": "ASIA...", "SecretAccessKey": "...", "Token": "...",
 *            "Expiration": "2026-01-01T06:00:00Z", ...}
 *       Other members are passed over; "Code", if there, must be "Success".
 * Trust: none. They say who pays and who may ask; the KMS key's policy says which enclave is answered.
 *       A host that gives others' credentials gets no other key: the key is configured by its ARN.
 * Bounds: 8 KiB of text; key id 16..128 of [A-Za-z0-9]; secret 16..128 and token 0..4096 printable
 *       ASCII without spaces (they go into HTTP headers).
 */
#ifndef QR_CREDS_H
#define QR_CREDS_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

#define QR_CREDS_TEXT_MAX 8192u
#define QR_CREDS_KEY_MAX 128u
#define QR_CREDS_TOKEN_MAX 4096u

struct qr_creds {
    char key_id[QR_CREDS_KEY_MAX + 1], secret[QR_CREDS_KEY_MAX + 1];
    char token[QR_CREDS_TOKEN_MAX + 1]; /* "": long-term credentials */
    int64_t expires_ms;                 /* INT64_MAX: not said */
};

/* MALFORMED, DUPLICATE, TOO_LARGE, NO_MEMORY; err_text says which member, never its value. */
qr_err QR_MUST qr_creds_parse(qr_view json, struct qr_creds *ret, char *err_text, size_t err_cap);

#endif
