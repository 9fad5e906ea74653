/*
 * qr_tls: TLS 1.3 over memory, between two keys that live as long as their processes.
 *
 * What: qr_tls_id is a fresh Ed25519 key and its self-signed certificate; qr_tls is one connection.
 *       Bytes from the link go in by feed, bytes for the link come out of an output buffer.
 * Why: TLS gives secrecy and the exporter; it does not say who the peer is. Certificates are not
 *      judged here: any single Ed25519 certificate passes, and the channel (chan.h) then has the
 *      identity key sign the exporter and both public keys.
 * Invariants: TLS 1.3 only, TLS_AES_128_GCM_SHA256, X25519, both certificates demanded, ALPN
 *             "quorate/1" on both sides; no tickets, no session cache, no resumption, no early data.
 *             The private key never leaves the process and is never written anywhere.
 * Source: RFC 8446, section 7.5 for the exporter.
 * Thread rules: one thread at a time per object.
 */
#ifndef QR_TLS_H
#define QR_TLS_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

#define QR_TLS_ALPN "quorate/1"
#define QR_TLS_RECORD 16384u /* plaintext of a full record */
/* Writers stop when this much output waits for the link; one more record may follow. */
#define QR_TLS_OUT_HIGH (64u * 1024u)

enum qr_role { QR_ROLE_CLIENT = 'C', QR_ROLE_SERVER = 'S' };

struct qr_tls_id;
struct qr_tls;

/* CRYPTO_LIB, NO_MEMORY. */
qr_err QR_MUST qr_tls_id_new(struct qr_tls_id **ret);
/* After every connection made from it. Takes NULL; returns NULL. */
struct qr_tls_id *qr_tls_id_free(struct qr_tls_id *id);

/* CRYPTO_LIB, NO_MEMORY. */
qr_err QR_MUST qr_tls_new(const struct qr_tls_id *id, enum qr_role role, struct qr_tls **ret);
struct qr_tls *qr_tls_free(struct qr_tls *t);

/*
 * Offers bytes received; they are read by the calls below and must stay until qr_tls_fed() is 0.
 * Call only when it is.
 */
void qr_tls_feed(struct qr_tls *t, qr_view in);
size_t qr_tls_fed(const struct qr_tls *t);

/* Goes on with the handshake; *ret_done = 1 when both sides have finished it. QR_ERR_TLS. */
qr_err QR_MUST qr_tls_handshake(struct qr_tls *t, int *ret_done);
/* Decrypts up to cap bytes; *ret_n = 0 when more must be fed. TLS, LINK_CLOSED (peer's notice). */
qr_err QR_MUST qr_tls_read(struct qr_tls *t, uint8_t *out, size_t cap, size_t *ret_n);
/* Encrypts all of it, in records of QR_TLS_RECORD. TLS, NO_MEMORY. */
qr_err QR_MUST qr_tls_write(struct qr_tls *t, qr_view in);

/* What waits for the link, and that n bytes of it were taken. */
qr_view qr_tls_out(const struct qr_tls *t);
void qr_tls_out_done(struct qr_tls *t, size_t n);

/* After the handshake: the key both sides derive for this label, over both public keys. */
qr_err QR_MUST qr_tls_export(struct qr_tls *t, const char *label, uint8_t out[static 32]);
/* After the handshake: SHA-256 of the DER SubjectPublicKeyInfo of either side. */
const uint8_t *qr_tls_spki(const struct qr_tls *t, enum qr_role whose);

/* What OpenSSL said of the last failure, for the operator; never NULL. */
const char *qr_tls_why(const struct qr_tls *t);

#endif
