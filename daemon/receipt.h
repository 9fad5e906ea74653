/*
 * Receipts: what a caller can show later about one of its signatures.
 *
 * What: {"v":1,"type":"quorate/receipt","request":"<64 hex>","cluster":"<64 hex>","parties":[
 *         {"party":1,"record":"<the audit record's line, exact>","signature":"<128 hex>",
 *          "made_ms":…,"nonce":"<64 hex>","boot_nonce":"<64 hex>","evidence":"<base64>"},…]}
 *       one element for every member of the signing set, in order. record: the party's own "signed" record
 *       (audit_read.h): request hash, key, digests, policy hash and serial, rule, approvers, the set with the
 *       measurement and the digest of the evidence of each other member as this party judged it, epoch, and time;
 *       the coordinator's also the signatures and the bytes to and from each member (a member never sees the
 *       signature it contributed to).
 *       signature: Ed25519 by the party's identity key over
 *       TH("receipt"; record, u64be(made_ms), nonce, boot_nonce, SHA-256(evidence)).
 *       evidence: the party's own, made for receipts at most once a renewal period, at made_ms; it commits to
 *       TH-binder of a client (qr_client_binder: nonce, identity, policy, roster, boot nonce).
 * Verified offline, in this order: form; the records agree on request, coordinator, attempt, key, child, path, epoch,
 *       digests, policy, rule, client, set; each is signed by the roster's key of its party; roster and policy
 *       are those given; the signatures are valid under the child (for an empty path the key itself); each party's evidence
 *       is good by the policy (with manifests) at made_ms, which is near the record's time, and commits to that
 *       identity key, policy, roster, boot nonce and nonce; the measurement that the others saw is that evidence's;
 *       the quorum's constraints hold.
 * Why from all members: one party's word about a set is one party's word.
 */
#ifndef QR_RECEIPT_H
#define QR_RECEIPT_H

#include "daemon/audit.h"
#include "daemon/policy.h"
#include "daemon/roster.h"

#define QR_RECEIPT_MAX (4u * 1024u * 1024u)

/* made_ms and the record's time are at most this far apart. */
#define QR_RECEIPT_APART_MS (48u * 3600u * 1000u)

/* What a member signs. */
void qr_receipt_hash(qr_view record, uint64_t made_ms, const uint8_t nonce[static 32],
                     const uint8_t boot_nonce[static 32], const uint8_t evidence[static 32],
                     uint8_t ret[static 32]);

struct qr_receipt_said {
    uint8_t request[32], key[33];
    uint64_t time_ms; /* of the earliest record */
    char rule[QR_NAME_MAX + 1];
    size_t n_signers;
    uint16_t signers[QR_MAX_PARTIES];
    size_t n_sigs;
    uint64_t bytes; /* of all links of the set, both directions, counted once */
};

/*
 * Verifies a receipt against a roster and a policy that the caller trusts (manifests already added).
 * body: the request's own bytes, to tie it to what was asked; empty: not looked at. why: the first thing
 * that is wrong. MALFORMED, TOO_LARGE, IDENTITY, BAD_SIGNATURE, ATTESTATION, POLICY_MISMATCH,
 * ROSTER_MISMATCH, INSECURE_SIM (evidence of the software TEE, which the policy does not accept), NO_MEMORY.
 */
qr_err QR_MUST qr_receipt_verify(qr_view text, const struct qr_roster *r, const struct qr_policy *p,
                                 qr_view body, struct qr_receipt_said *ret, char *why, size_t cap);

#endif
