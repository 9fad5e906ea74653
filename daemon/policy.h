/*
 * The policy: which clients may have what signed, and what a peer must be.
 *
 * What: {"v":1,"type":"quorate/policy","cluster":"<64 hex>","serial":3,
 *        "peers":{…},
 *        "requests":{"clients":[{"name":"ops-1","scheme":"p256","key":"<66 hex>"}],
 *                    "rules":[{"id":"hot-1","effect":"allow","clients":["ops-1"],
 *                              "keys":["*"],"kinds":["eth_tx"]}]}}
 *       signed by the administrators over the exact bytes. hash = TH("doc"; "policy", bytes).
 *       peers: enclave-shim/verify/POLICY.md.
 * Why a closed set of predicates: a rule that a person can read is a rule that a person can check.
 * Decision: a matching deny wins, else a matching allow, else denied. "*" stands for all clients or
 *       all keys; kinds have no wildcard, so "digest" is allowed only where a rule says so.
 * Invariants: immutable once parsed; client names, client keys and rule ids are unique; a rule
 *       names only clients that exist.
 * Thread rules: single-threaded (the clients' public keys are used in verification).
 */
#ifndef QR_POLICY_H
#define QR_POLICY_H

#include "daemon/admins.h"
#include "daemon/request.h"
#include "enclave-shim/verify/peers.h"

struct qr_client {
    char name[QR_NAME_MAX];
    struct qr_stamp_key key;
    struct qr_pubkey *pub;
    uint16_t index; /* position in qr_policy_client() order, 0.. */
};

struct qr_policy; /* opaque */

/*
 * Errors: as qr_json_parse and qr_json_fields, POINT (a client's key), NO_MEMORY; err_text names
 * the member and what is wrong with it.
 */
qr_err QR_MUST qr_policy_parse(qr_view text, struct qr_policy **ret, char *err_text,
                               size_t err_cap);
struct qr_policy *qr_policy_free(struct qr_policy *p);

/*
 * May `next` come into force over in_force (NULL: none yet)? Errors: CLUSTER (not this cluster's),
 * SERIAL, and qr_admins_verify's. *ret_same as for rosters.
 */
qr_err QR_MUST qr_policy_accept(const struct qr_policy *in_force, const struct qr_policy *next,
                                const uint8_t cluster[static 32], const struct qr_admins *admins,
                                qr_view text, const qr_view *stamps, size_t n_stamps, int *ret_same,
                                char *err_text, size_t err_cap);

const uint8_t *qr_policy_hash(const struct qr_policy *p);    /* 32 bytes */
const uint8_t *qr_policy_cluster(const struct qr_policy *p); /* 32 bytes */
uint64_t qr_policy_serial(const struct qr_policy *p);
/* 1: peers, and keys made with them, may be of the software TEE. */
int qr_policy_insecure_sim(const struct qr_policy *p);
/*
 * Makes a manifest's measurements count for this policy (peers.h); before anybody judges by it. m
 * must outlive the policy. Errors as qr_peers_add_manifest.
 */
qr_err QR_MUST qr_policy_add_manifest(struct qr_policy *p, const struct qr_manifest *m,
                                      qr_view signatures, char *err_text, size_t err_cap);
/* What a member must be; lives as long as p. */
const struct qr_peers *qr_policy_peers(const struct qr_policy *p);
size_t qr_policy_n_clients(const struct qr_policy *p);
const struct qr_client *qr_policy_client(const struct qr_policy *p, size_t i);

/* QR_ERR_CLIENT_UNKNOWN. */
qr_err QR_MUST qr_policy_find_client(const struct qr_policy *p, const struct qr_stamp_key *key,
                                     const struct qr_client **ret);

/*
 * Step 1 of a request: parses the stamp, finds its client, verifies. Errors: STAMP_MISSING (empty),
 * STAMP_INVALID, CLIENT_UNKNOWN, TOO_LARGE, NO_MEMORY.
 */
qr_err QR_MUST qr_policy_check_stamp(const struct qr_policy *p, qr_view header, qr_view body,
                                     const struct qr_client **ret, char *err_text, size_t err_cap);

/*
 * Decides for every kind in the mask; all must be allowed. *ret_rule (never NULL afterwards,
 * lives as long as p): on OK the rule that allowed the lowest kind; on QR_ERR_POLICY_DENIED the
 * rule that denied, or "" when no rule matched. *ret_kind: the kind it is about.
 */
qr_err QR_MUST qr_policy_decide(const struct qr_policy *p, const struct qr_client *c,
                                const uint8_t key[static 33], unsigned kinds, const char **ret_rule,
                                enum qr_kind *ret_kind);

#endif
