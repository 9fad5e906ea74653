/*
 * Stamps: a detached signature over exact bytes, as it comes in an X-Stamp header.
 *
 * What: base64url(JSON {"publicKey","signature","scheme"}) with exactly these members; public keys
 *       as canonical hex (33 bytes compressed, or 32 for Ed25519), signatures as hex of strict DER
 *       (ECDSA) or 64 bytes (Ed25519). ECDSA signs SHA-256 of the bytes; Ed25519 the bytes.
 *       Compatible with the published wire format of that header.
 * Why: a stamp travels with the body to every party and each checks it itself; nobody between the
 *      client and the party can add to what was signed, and no party could forge one.
 * Both s and n-s are accepted, as the published scheme does: a stamp authorises and is never an
 *      identifier; what must be unique is bound by the id inside the body.
 * Thread rules: qr_stamp_init once at start-up; a struct qr_pubkey is used by one thread at a time.
 */
#ifndef QR_STAMP_H
#define QR_STAMP_H

#include "protocol/base/err.h"
#include "protocol/base/limits.h"
#include "protocol/base/view.h"

struct evp_pkey_st; /* EVP_PKEY */

enum qr_scheme {
    QR_SCHEME_P256 = 1,
    QR_SCHEME_SECP256K1 = 2,
    QR_SCHEME_ED25519 = 3,
};

/* "p256", "secp256k1", "ed25519", as rosters and policies write it; "unknown". */
const char *qr_scheme_name(enum qr_scheme s);
/* QR_ERR_MALFORMED. */
qr_err QR_MUST qr_scheme_parse(qr_view name, enum qr_scheme *ret);
/* Bytes of a public key of this scheme: 33, 33, 32. */
size_t qr_scheme_key_len(enum qr_scheme s);

/* A public key as bytes. Two keys are the same when scheme and bytes are. */
struct qr_stamp_key {
    enum qr_scheme scheme;
    uint8_t b[33]; /* unused bytes are zero */
};
/* <0, 0, >0; a total order, for sorting and finding. */
int qr_stamp_key_cmp(const struct qr_stamp_key *a, const struct qr_stamp_key *b);

#define QR_STAMP_SIG_MAX 72u
struct qr_stamp {
    struct qr_stamp_key key;
    uint8_t sig[QR_STAMP_SIG_MAX];
    size_t sig_len;
};

/* Fetches what verification needs, once; safe to call again. QR_ERR_CRYPTO_LIB. */
qr_err QR_MUST qr_stamp_init(void);

/*
 * Reads a header value (at most QR_STAMP_MAX bytes). Form only: the key may still not be a point,
 * the signature may be of something else. Errors: STAMP_INVALID (malformed; err_text says how),
 * TOO_LARGE, NO_MEMORY.
 */
qr_err QR_MUST qr_stamp_parse(qr_view header, struct qr_stamp *ret, char *err_text, size_t err_cap);

/* A public key made ready for many verifications (decoding costs more than a hash). */
struct qr_pubkey;
/* QR_ERR_POINT if these bytes are no key of the scheme; NO_MEMORY, CRYPTO_LIB. */
qr_err QR_MUST qr_pubkey_new(const struct qr_stamp_key *key, struct qr_pubkey **ret);
struct qr_pubkey *qr_pubkey_free(struct qr_pubkey *k);

/*
 * QR_ERR_STAMP_INVALID unless s is a signature over exactly `body` by k. The caller found k by
 * s->key in a list of its own; a stamp whose key is another one is refused. Public, variable time.
 */
qr_err QR_MUST qr_stamp_verify(struct qr_pubkey *k, const struct qr_stamp *s, qr_view body);

/*
 * The signing side, for clients and the command line: stamps `body` with a private key (P-256,
 * secp256k1 or Ed25519) and writes the header value and a NUL to out (cap >= QR_STAMP_MAX).
 * Errors: USAGE (another kind of key), CRYPTO_LIB, NO_SPACE.
 */
qr_err QR_MUST qr_stamp_sign(struct evp_pkey_st *key, qr_view body, char *out, size_t cap);
/* The public half of such a key. USAGE, CRYPTO_LIB. */
qr_err QR_MUST qr_stamp_key_of(struct evp_pkey_st *key, struct qr_stamp_key *ret);

#endif
