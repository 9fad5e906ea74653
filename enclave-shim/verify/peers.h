/*
 * qr_peers: the `peers` part of the signed policy: what a member of the quorum must be.
 *
 * What: data only, no expressions. Per-platform rules, measurement sets with dates, minimum TCBs,
 *       accepted statuses and advisories with scoped and dated exceptions, machine lists, demanded
 *       checks, freshness, stages, and quorum constraints. POLICY.md has the schema.
 * Why: one policy for every cloud, read by the person who signs it and explained in words by
 *      `quorate policy check`.
 * Invariants: compiled once, immutable; deterministic; bounded work (QR_PEERS_* limits); a claim
 *             that a rule needs and the evidence lacks refuses; a check that is demanded and was
 *             skipped refuses; `sim` passes only where "insecure_sim" is true.
 * Refused at compile time: all-zero expected measurements; sets that do not say what runs; MRSIGNER
 *             without ISVPRODID and ISVSVN; a platform that allows debug, or protects no memory,
 *             without "insecure": true; statuses without an advisory rule; Intel without statuses,
 *             AMD without minimum firmware; missing freshness; "machine" demanded and no machine
 *             listed; a demanded check that the platform never makes; platforms without
 *             "insecure_sim" and without "peer_secret".
 * Thread rules: immutable once the manifests are added, so any thread from then on.
 */
#ifndef QR_PEERS_H
#define QR_PEERS_H

#include "enclave-shim/verify/manifest.h"
#include "enclave-shim/verify/verify.h"
#include "proto/json_strict.h"
#include "protocol/base/limits.h"

struct qr_peers; /* opaque */

#define QR_PEERS_SETS 64u      /* measurement sets in the policy */
#define QR_PEERS_VALUES 512u   /* of all rules together: list elements, machines */
#define QR_PEERS_MANIFESTS 16u /* manifests, and rules that name them */
#define QR_PEERS_EXCEPTIONS 16u
#define QR_PEERS_SECTIONS 9u /* platforms a policy may name */

/*
 * Compiles the object at `at`; the document's text must be there still. Errors as qr_json_fields;
 * the document's err_text names line and member, and what to write instead.
 */
qr_err QR_MUST qr_peers_parse(const struct qr_json_at *at, struct qr_peers **ret);
/*
 * The same from a text: a policy document, of which only `peers` is read and nobody's signature is
 * checked, or the object alone. For those who verify without being a party.
 */
qr_err QR_MUST qr_peers_read(qr_view text, struct qr_peers **ret, char *err_text, size_t err_cap);
struct qr_peers *qr_peers_free(struct qr_peers *p);

int qr_peers_insecure_sim(const struct qr_peers *p);

/*
 * The threshold t of "peer_secret": a party's share-sealing key is made of its platform's secret and
 * of one that it has shared to its peers, t - 1 of whom give it back; keys of a higher threshold are
 * not made. 0: no secret of the peers is demanded.
 */
uint16_t qr_peers_secret(const struct qr_peers *p);

/*
 * Times of the policy, in milliseconds; 0 never means "off": the compiler refuses 0, and stages
 * that do not rise. A policy without platforms may leave them out; then they are 5 min, 10 min,
 * stages of 1, 6, 12 and 24 hours, 1 min, and no grace.
 */
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

/*
 * Makes a manifest's sets count: it must have the SHA-256 that the policy names or enough
 * signatures of its signers (lines as manifest.h has them; an empty view: none). m must outlive
 * p. Errors: ATTESTATION (nothing in the policy believes it; err_text says why), MALFORMED (a
 * second manifest of that release), TOO_LARGE, and qr_manifest_verify's.
 */
qr_err QR_MUST qr_peers_add_manifest(struct qr_peers *p, const struct qr_manifest *m,
                                     qr_view signatures, char *err_text, size_t err_cap);
/* 1: the policy names manifests, by hash or by signers. */
int qr_peers_wants_manifests(const struct qr_peers *p);

/* Who is judged: the roster's words, signed by the administrators. */
struct qr_peers_who {
    uint16_t index;    /* 1..n; 0: not a member (a client checks one evidence) */
    const char *cloud; /* "" or NULL: not declared */
    const char *operator_name;
};

/* Where a member stands, from verified claims; text is static or empty. */
struct qr_peers_domain {
    uint16_t index; /* as in qr_peers_who */
    char cloud
        [QR_NAME_MAX]; /* "aws", "azure", "gcp" from evidence that shows it, else as declared */
    char operator_name[QR_NAME_MAX];
    char vendor[16];  /* "aws", "amd", "intel"; "" when the evidence shows none; "sim" */
    char product[32]; /* "nitro", "milan", "genoa", "turin", "intel-90c06f000000" (FMSPC), "sim" */
};

/*
 * Judges a verdict that is valid (or the software TEE: sim = 1, kind QR_EV_NONE, no claims; it is
 * looked at no further than "insecure_sim"). Records MEASUREMENT, DEBUG, MACHINE (where machines
 * are listed), FRESHNESS, POLICY in *v. On failure v->sentence is "rule R at line L: expected X,
 * found Y". *ret_domain is written on success. Evidence is fresh when it commits to what was
 * asked for (BINDER passed) and, if it carries its own time, is not older than max_age. Errors:
 * ATTESTATION, INSECURE_SIM. now_ms as in qr_verify_opts; -1 puts no measurement set in force.
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
