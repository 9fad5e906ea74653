/*
 * Hashing: TH, TS-bytes, TX over one injective encoding; plain SHA-256, SHA-512, HMAC.
 *
 * What: enc(tag; f1..fm) = T || T || u32(m) || u32(len f1) || f1 || ... with T = SHA-256 of
 *       "quorate/1/" || tag. TH = SHA-256(enc), TB = SHA-512(enc) (64 bytes), TX = SHAKE256(enc).
 * Why: every hash input is unambiguous and every use has a tag of its own; the tags are listed in
 *      tags.def and a test proves them unique. The protocol version is inside the tag.
 * Source: protocol/SPEC.md section 1 (after BIP340's tagged hashes).
 * Lengths are public; content may be secret: constant time in content.
 * Thread rules: qr_hash_init() once at start-up, before anything else here; then every function
 *       may be called from any thread (each keeps contexts of its own, freed when it ends).
 */
#ifndef QR_HASH_H
#define QR_HASH_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

/*
 * Fetches the algorithms once, starts libsodium and fills the table of tag hashes; safe to call
 * again. QR_ERR_CRYPTO_LIB if an algorithm is missing, QR_ERR_NO_MEMORY.
 */
qr_err QR_MUST qr_hash_init(void);

enum qr_tag {
#define QR_TAG(name, text) QR_TAG_##name,
#include "protocol/base/tags.def"
#undef QR_TAG
    QR_TAG_COUNT
};

/* "dkg-out"; for the uniqueness test and documents. */
const char *qr_tag_text(enum qr_tag t);

/* One field of a tagged hash. */
#define QR_F(ptr, n) ((qr_view){(const uint8_t *)(ptr), (n)})
/* Field array literal: qr_th(TAG, QR_FIELDS(a, b, c), out). */
#define QR_FIELDS(...)                                                                             \
    (const qr_view[]){__VA_ARGS__}, sizeof((const qr_view[]){__VA_ARGS__}) / sizeof(qr_view)

/*
 * m fields (m and every length < 2^32). A failing library call here cannot be handled by a
 * protocol; it panics, as does use before qr_hash_init().
 */
void qr_th(enum qr_tag tag, const qr_view *f, size_t m, uint8_t out[static 32]);
void qr_tb(enum qr_tag tag, const qr_view *f, size_t m, uint8_t out[static 64]);
void qr_tx(enum qr_tag tag, const qr_view *f, size_t m, uint8_t *out, size_t out_len);

/*
 * enc(tag; f1..fm) itself; returns its length, which must not exceed cap (it panics). For the few
 * places that hash thousands of inputs that differ in their last bytes only: write those bytes over
 * the end, then qr_sha256 is TH and qr_sha512 is TB.
 */
size_t qr_enc(enum qr_tag tag, const qr_view *f, size_t m, uint8_t *out, size_t cap);

void qr_sha256(qr_view v, uint8_t out[static 32]);
void qr_sha512(qr_view v, uint8_t out[static 64]);
void qr_hmac_sha512(qr_view key, qr_view msg, uint8_t out[static 64]);
/* RFC 5869 over SHA-512; info at most 512 bytes, n at most 64. Constant time in salt and ikm. */
void qr_hkdf_sha512(qr_view salt, qr_view ikm, qr_view info, uint8_t *out, size_t n);

#endif
