/*
 * Receipts: what a caller can show later about one of its signatures.
 *
 * What: {"v":1,"type":"quorate/receipt","request":"<64 hex>","cluster":…,"parties":[
 *         {"party":1,"record":"<the audit record's line, exact>","signature":"<128 hex>",
 *          "evidence":"<base64>","nonce":"<64 hex>"},…]}
 *       one element for every member of the signing set, in order. record: the party's own "signed" record
 *       (audit.h): request hash, key, digests and signatures, policy hash and serial, rule, approvers,
 *       the set with the measurement and the evidence digest of each member as this party judged it, epoch,
 *       bytes to and from each member, times. signature: Ed25519 by the party's identity key over
 *       TH("receipt"; line). evidence: the party's own, made for clients (GET /v1/attestation) at most once
 *       a renewal period; what it commits to binds the identity key, the policy and the roster.
 * Verified offline, in this order: form; the records agree on request, key, digests, policy, set; each is
 *       signed by the roster's key of its party; the signatures are valid under the key; each party's
 *       evidence is good by the policy (with manifests) at the time of the record and commits to that
 *       identity key and nonce; the measurement and digest that the others saw are that evidence's platform's;
 *       the quorum's constraints hold.
 * Why from all members: one party's word about a set is one party's word.
 */
#ifndef QR_RECEIPT_H
#define QR_RECEIPT_H

#include "daemon/audit.h"
#include "daemon/policy.h"
#include "daemon/roster.h"

#define QR_RECEIPT_MAX (4u * 1024u * 1024u)

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
