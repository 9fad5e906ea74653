/*
 * HELLO: who speaks, in which boot, under which documents; signed by the identity key.
 *
 * What: the first message inside TLS, from each side. Its fields, its signature, and the binder that
 *       a side's evidence must be made over.
 * Why: the signature covers this TLS session (its exporter and both public keys) and the sender's
 *      role, so a HELLO is worth nothing on any other connection or in the other direction. No
 *      evidence is made for anyone who has not shown such a HELLO: a party is no oracle that attests
 *      to what a stranger chose.
 * Layout (big-endian): u8 version || u16 index || u8 role 'C'/'S' || cluster 32 || roster hash 32 ||
 *      policy hash 32 || u64 roster serial || u64 policy serial || boot nonce 32 || u64 boot counter
 *      || attestation nonce 32 || u8 platform || u64 store serial || store root 32 || signature 64.
 *      signature = Ed25519 over TH("hello"; exporter, SHA-256(SPKI client), SHA-256(SPKI server),
 *      role, all of the above).
 *      binder = TH("binder"; role, platform, exporter, SHA-256(own SPKI), SHA-256(peer SPKI), peer's
 *      attestation nonce, own attestation nonce, roster hash, policy hash, own boot nonce).
 * Invariants: everything in it is public.
 * Thread rules: no state.
 */
#ifndef QR_HELLO_H
#define QR_HELLO_H

#include "protocol/base/limits.h"
#include "protocol/dkg.h" /* qr_id_signer */
#include "transport/tls.h"

#define QR_HELLO_BODY_LEN 229u
#define QR_HELLO_LEN (QR_HELLO_BODY_LEN + QR_IDSIG_LEN)

struct qr_hello {
    uint16_t index;
    enum qr_role role;
    uint8_t cluster[32], roster_hash[32], policy_hash[32];
    uint64_t roster_serial, policy_serial;
    uint8_t boot_nonce[32];
    uint64_t boot_counter;
    uint8_t nonce[32]; /* fresh on every connection */
    uint8_t platform;  /* enum qr_platform */
    uint64_t store_serial;
    uint8_t store_root[32];
};

/* What ties messages to one TLS session. The exporter is secret. */
struct qr_binding {
    uint8_t exporter[32], spki_client[32], spki_server[32];
};

/* Writes and signs. INTERNAL when the signer fails. */
qr_err QR_MUST qr_hello_make(const struct qr_hello *h, const struct qr_binding *b,
                             const struct qr_id_signer *signer, uint8_t out[static QR_HELLO_LEN]);

/* Fields only: VERSION, LENGTH, MALFORMED (role, index). Nothing is proven yet. */
qr_err QR_MUST qr_hello_parse(qr_view in, struct qr_hello *ret);

/* The signature of a HELLO that parsed. IDENTITY. */
qr_err QR_MUST qr_hello_verify(qr_view in, const struct qr_binding *b,
                               const uint8_t id[static QR_IDKEY_LEN]);

/*
 * Do both sides mean the same cluster, roster and policy? CLUSTER, ROSTER_MISMATCH, POLICY_MISMATCH,
 * with a sentence for the operator ("roster serial 3 is behind ours (4): load the new roster there").
 */
qr_err QR_MUST qr_hello_match(const struct qr_hello *own, const struct qr_hello *peer, char *why,
                              size_t why_cap);

/* The binder of the side that sent `prover`, towards the side that sent `verifier`. */
void qr_hello_binder(const struct qr_hello *prover, const struct qr_hello *verifier,
                     const struct qr_binding *b, uint8_t out[static 32]);

#endif
