/*
 * qr_kms: the AWS Key Management Service as the keeper of one data key, asked from inside an enclave.
 *
 * What: two calls. GenerateDataKey makes a 32-byte key and gives it twice: wrapped under the KMS key
 *       (the blob, which the host keeps) and encrypted to an RSA key of this enclave, the public half of
 *       which stands in the attestation document that goes with the call ("Recipient"). Decrypt gives
 *       the key of a blob again, in the same way. KMS looks at the document's PCRs by the key's
 *       policy; nothing in clear leaves KMS or enters the host.
 * Why HTTP in a party: KMS has no other door. This is the only HTTP a party speaks: one POST a call, over
 *       a socket to a route that the host forwards, TLS with pinned roots ending in here.
 * Invariants: TLS 1.2 or 1.3, the server's certificate for kms.REGION.DOMAIN under one of the pinned
 *       roots at the module's signed time; request signed (Signature Version 4); answer at most
 *       QR_KMS_BODY_MAX bytes of body behind QR_KMS_HEAD_MAX of head, lengths exact, no redirects;
 *       the answer names the configured key, and no other. Bounded tries and times.
 * Not trusted: the host's route (TLS), its credentials (they authorise the call, they protect nothing),
 *       its clock (not used).
 * Source: AWS KMS API reference (GenerateDataKey, Decrypt, RecipientInfo); RFC 9112; AWS Signature
 *       Version 4. Sizes: AWS "quotas".
 * Thread rules: single-threaded; blocks; used at start, before the filter of system calls.
 */
#ifndef QR_KMS_H
#define QR_KMS_H

#include "protocol/base/mem.h"
#include "protocol/base/secret.h"

#include <openssl/evp.h>

#define QR_KMS_BODY_MAX 16384u
#define QR_KMS_HEAD_MAX 8192u
#define QR_KMS_BLOB_MAX 6144u /* AWS: CiphertextBlob of 1 to 6144 bytes */
#define QR_KMS_ARN_MAX 160u
#define QR_KMS_NAME_MAX 64u
#define QR_KMS_WHY_MAX 384u

/* Root certificates, PEM, one after the other. */
struct qr_kms_roots {
    size_t n;
    const char *const *pem;
};
/* Amazon Root CA 1 to 4 and Starfield Services G2, as Amazon Trust Services publishes them. */
const struct qr_kms_roots *qr_kms_roots_builtin(void);

/* Where the wrapping key is. Texts live as long as whoever uses them. */
struct qr_nitro_kms {
    const char *key;         /* the key's ARN: "arn:aws:kms:eu-west-1:111122223333:key/UUID" */
    const char *route;       /* the host's way to KMS: "127.0.0.1:PORT" or "unix:PATH" */
    const char *credentials; /* where the host gives credentials; same forms; creds.h */
    const char
        *name; /* the party's name, [A-Za-z0-9._-]: parties that share a KMS key differ in it */
    const struct qr_kms_roots *roots; /* NULL: qr_kms_roots_builtin() */
    uint32_t tries, timeout_ms;       /* of a call, of each try; 0: 5 and 10 s */
};

/* Who asks: a key of this enclave, and the document that has its public half. */
struct qr_kms_recipient {
    EVP_PKEY *key; /* RSA-2048 */
    qr_view document;
    int64_t now_ms; /* the document's own time */
};

struct qr_kms {
    const struct qr_nitro_kms *cfg;
    char region[32], host[96];
    char why[QR_KMS_WHY_MAX]; /* of the last failure: what, where, what to do */
};

/* CONFIG: an ARN, a route or a name that is none; ret->why says which. */
qr_err QR_MUST qr_kms_open(const struct qr_nitro_kms *cfg, struct qr_kms *ret);

/*
 * A new data key and its blob (appended). Errors of both calls: PLATFORM (not reached, refused, an
 * answer that is none); SEAL (another key, another blob, another enclave, another context);
 * NO_MEMORY. k->why says what, and what to do.
 */
qr_err QR_MUST qr_kms_generate(struct qr_kms *k, const struct qr_kms_recipient *r,
                               struct qr_sec32 *ret_key, struct qr_dbuf *blob);
qr_err QR_MUST qr_kms_decrypt(struct qr_kms *k, const struct qr_kms_recipient *r, qr_view blob,
                              struct qr_sec32 *ret_key);

#endif
