/*
 * qr_peers: the `peers` part of the signed policy: what a member of the quorum must be.
 *
 * What: data only, no expressions. Per-platform rules, measurement sets with dates, minimum TCBs,
 *       accepted statuses and advisories with scoped and dated exceptions, machine lists, demanded
 *       checks, freshness, stages, and quorum constraints. README.md of this folder has the schema.
 * Why: one policy for every cloud, read by the person who signs it and explained in words by
 *      `quorate policy check`.
 * Invariants: compiled once, immutable; deterministic; bounded work (QR_PEERS_* limits); a claim
 *             that a rule needs and the evidence lacks refuses; a check that is demanded and was
 *             skipped refuses; `sim` passes only where "insecure_sim" is true.
 * Refused at compile time: all-zero expected measurements; MRSIGNER without ISVPRODID and ISVSVN; a
 *             platform that allows debug without "insecure": true; statuses without an advisory
 *             rule; missing freshness; "machines" demanded and empty; limits of the quorum that its
 *             own roster could never satisfy are told by qr_peers_quorum.
 * Thread rules: immutable after parsing, so any thread.
 */
#ifndef QR_PEERS_H
#define QR_PEERS_H

#include "enclave-shim/verify/manifest.h"
#include "enclave-shim/verify/verify.h"
#include "proto/json_strict.h"
#include "protocol/base/limits.h"

struct qr_peers; /* opaque */

/*
 * Compiles the object at `at`. `text` is the whole document, for line numbers. Errors as
 * qr_json_fields; the document's err_text names the member, and what to write instead.
 */
qr_err QR_MUST qr_peers_parse(const struct qr_json_at *at, qr_view text, struct qr_peers **ret);
struct qr_peers *qr_peers_free(struct qr_peers *p);

int qr_peers_insecure_sim(const struct qr_peers *p);

/* Times of the policy, in milliseconds; 0 never means "off": the compiler refuses 0. */
struct qr_peers_times {
    uint64_t max_age_ms;          /* of evidence when it is judged */
    uint64_t reattest_ms;         /* a channel asks for new evidence after so long */
    uint64_t warn_ms;             /* since the last success: warn, */
    uint64_t no_peers_ms;         /* then accept no new peers, */
    uint64_t no_keys_ms;          /* then make no new keys, */
    uint64_t stop_ms;             /* then stop signing */
    uint64_t clock_spread_ms;     /* the parties' clocks may disagree by so much */
    uint64_t collateral_grace_ms; /* after nextUpdate; default 0 */
};
const struct qr_peers_times *qr_peers_times(const struct qr_peers *p);

/* What qr_verify needs of the policy: exceptions, minimum evaluation number, maximum age. */
void qr_peers_verify_opts(const struct qr_peers *p, struct qr_verify_opts *o);

/* A manifest that the policy refers to by hash or by signers; text and stamps are kept by the
 * caller and must outlive the policy. COLLATERAL-like: absent ones refuse where they are needed. */
qr_err QR_MUST qr_peers_add_manifest(struct qr_peers *p, const struct qr_manifest *m,
                                     char *err_text, size_t err_cap);

/* Who is judged: the roster's words, signed by the administrators. */
struct qr_peers_who {
    uint16_t index;    /* 1..n; 0: not a member (a client checks one evidence) */
    const char *cloud; /* "" or NULL: not declared */
    const char *operator_name;
};

/* Where a member stands, from verified claims; text is static or empty. */
struct qr_peers_domain {
    char cloud[16]; /* from evidence where it shows it, else as declared */
    char operator_name[QR_NAME_MAX];
    char vendor[16];  /* "aws", "amd", "intel" */
    char product[32]; /* "nitro", "milan", "genoa", "turin", "tdx-90c06f000000" ... */
};

/*
 * Judges a verdict that is valid (or that of the software TEE: kind QR_EV_NONE, v->claims empty and
 * sim = 1). Records MEASUREMENT, DEBUG, MACHINE, FRESHNESS, POLICY in *v. On failure v->sentence is
 * "rule R at line L: expected X, found Y". *ret_domain is written on success. Errors: ATTESTATION,
 * INSECURE_SIM. now_ms as in qr_verify_opts.
 */
qr_err QR_MUST qr_peers_judge(const struct qr_peers *p, enum qr_evidence_kind kind, int sim,
                              const struct qr_peers_who *who, int64_t now_ms, struct qr_verdict *v,
                              struct qr_peers_domain *ret_domain);

/*
 * Do these members together keep the quorum constraints? Errors: ATTESTATION, and err_text names
 * rule, line, domain, the members in it and the limit.
 */
qr_err QR_MUST qr_peers_quorum(const struct qr_peers *p, const struct qr_peers_domain *d, size_t n,
                               char *err_text, size_t err_cap);

/* The policy in words, for people, a line at a time. */
void qr_peers_explain(const struct qr_peers *p, void (*line)(void *ctx, const char *text),
                      void *ctx);

#endif
