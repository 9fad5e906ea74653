/*
 * peers_int: a compiled policy, for the files that compile, judge and explain it.
 *
 * What: one section a platform; most of its rules are rows of one table (qr_peers_defs) that says
 *       member, claim, and how the two are compared, so that the three files agree by construction.
 * Invariants: values of lists lie in one pool, in the document's order; every rule knows its line.
 */
#ifndef QR_PEERS_INT_H
#define QR_PEERS_INT_H

#include "enclave-shim/verify/measure.h"
#include "enclave-shim/verify/peers.h"

/* How a rule compares its claim. */
enum qr_peers_op {
    QR_OP_BYTES, /* one of a list of byte strings */
    QR_OP_WORD,  /* one of a list of words */
    QR_OP_UINT,  /* one of a list of numbers */
    QR_OP_MIN,   /* a number that is not smaller */
    QR_OP_BITS,  /* named bits of a claim that must be set, or clear */
    QR_OP_TRUE,  /* a claim that must be true */
};

struct qr_peers_def {
    unsigned kinds;
    const char *member; /* of the section */
    const char *claim;  /* BITS: the path above the bits' names */
    enum qr_peers_op op;
    size_t len;        /* BYTES: of each; UINT, MIN: the largest number */
    const char *words; /* WORD, BITS: those there are, each with a blank after it */
    const char *text;  /* for people: "the VMPL" */
};
#define QR_PEERS_DEFS_MAX 32u
extern const struct qr_peers_def qr_peers_defs[];
extern const size_t qr_peers_n_defs;

/* Ways to name a machine. */
struct qr_peers_id {
    unsigned kinds;
    const char *member; /* "chip_id" */
    const char *claim;
    size_t len; /* bytes, of hex; 0: text */
    int number; /* the claim is a number, written in decimal */
};
extern const struct qr_peers_id qr_peers_ids[];
extern const size_t qr_peers_n_ids;
/*
 * The claim, as the bytes or the text that a policy writes; 0 when absent (all zeros are absent).
 */
int qr_peers_machine(const struct qr_peers_id *id, const struct qr_claimset *c,
                     char text[static 24], qr_view *ret);

/* An element of a list, or of two lists of bits. */
struct qr_peers_value {
    unsigned line;
    uint8_t set; /* BITS */
    uint8_t id;  /* machines: index in qr_peers_ids */
    uint8_t len;
    uint8_t b[64]; /* bytes, or text without NUL */
    uint64_t u;
};
struct qr_peers_list {
    size_t first, n;
    unsigned line;
};

struct qr_peers_rule {
    const struct qr_peers_def *def;
    struct qr_peers_list list;
    uint64_t u; /* MIN */
    unsigned line;
};

/* An Intel TCB status that will do, with the advisories that may stand beside it. */
#define QR_PEERS_STATUSES 8u
#define QR_PEERS_ADVISORIES 32u
#define QR_PEERS_FMSPCS 8u
struct qr_peers_status {
    const char *word; /* of a table */
    int64_t until_ms; /* INT64_MAX: no end */
    struct qr_peers_list advisories;
    struct qr_peers_list fmspcs; /* n 0: any */
    unsigned line;
};

/* An SGX signer with its product, which is more than "signed by". */
#define QR_PEERS_SIGNERS 8u
struct qr_peers_signer {
    uint8_t mrsigner[32];
    uint16_t isv_prod_id, min_isv_svn;
    unsigned line;
};

/* Whose token must stand beside the evidence; line 0: none is asked for. */
struct qr_peers_witness {
    unsigned line;
    struct qr_peers_list issuers, keys; /* keys n 0: certificates under a pinned root only */
};

struct qr_peers_section {
    enum qr_evidence_kind kind;
    unsigned line;
    int insecure, debug;
    uint64_t require; /* bit c: enum qr_check */
    unsigned require_line;
    size_t n_rules, n_products, n_statuses, n_signers;
    struct qr_peers_rule rule[QR_PEERS_DEFS_MAX];
    struct qr_min_tcb product[QR_PRODUCTS_MAX];
    struct qr_peers_status status[QR_PEERS_STATUSES];
    struct qr_peers_signer signer[QR_PEERS_SIGNERS];
    struct qr_peers_list allow, deny;
    struct qr_peers_witness witness;
};

/* Quorum constraints; most 0: not limited. */
enum qr_peers_axis { QR_AXIS_CLOUD, QR_AXIS_OPERATOR, QR_AXIS_VENDOR, QR_AXIS_PRODUCT, QR_AXES };
struct qr_peers_limit {
    uint64_t most;
    unsigned line;
};
extern const char *const qr_peers_axis_name[QR_AXES]; /* "cloud" */

/* A rule that believes manifests. */
struct qr_peers_belief {
    unsigned line;
    struct qr_peers_list sha256; /* n 0: by signers */
    struct qr_release_signers signers;
};

struct qr_peers {
    int insecure_sim;
    unsigned line, sim_line, fresh_line, sets_line, require_line, secret_line;
    uint64_t secret; /* threshold; 0: none is demanded */
    struct qr_peers_times times;
    uint64_t require;
    size_t n_sections, n_sets, n_beliefs, n_manifests, n_values, n_exceptions;
    struct qr_peers_section section[QR_PEERS_SECTIONS];
    struct qr_measurement *set;
    struct qr_peers_belief *belief;
    const struct qr_manifest *manifest[QR_PEERS_MANIFESTS];
    struct qr_peers_value *value; /* QR_PEERS_VALUES of them */
    struct qr_peers_list deny;    /* machines, on every platform that names machines so */
    struct qr_peers_limit limit[QR_AXES];
    uint64_t min_evaluation;
    struct qr_tcb_exception exception[QR_PEERS_EXCEPTIONS];
    unsigned exception_line[QR_PEERS_EXCEPTIONS];
};

/* Checks that a verifier of this platform always makes; what it can make at all. */
uint64_t qr_peers_base_checks(enum qr_evidence_kind k);
uint64_t qr_peers_possible_checks(enum qr_evidence_kind k);
#define QR_PEERS_CHECK(c) (UINT64_C(1) << (c))

const struct qr_peers_section *qr_peers_find(const struct qr_peers *p, enum qr_evidence_kind k);
const struct qr_peers_rule *qr_peers_rule_named(const struct qr_peers_section *s,
                                                const char *member);
/* 1: the word is one of a blank-separated list. */
int qr_peers_word_in(const char *words, qr_view w);

/* A platform's section; the caller has made room for it. */
qr_err QR_MUST qr_peers_read_section(const struct qr_json_at *at, struct qr_peers *p,
                                     struct qr_peers_section *s);
/* Room for another value, or TOO_LARGE at that place. */
qr_err QR_MUST qr_peers_value_new(const struct qr_json_at *at, struct qr_peers *p,
                                  struct qr_peers_list *l, struct qr_peers_value **ret);
/* MALFORMED when the list's last value is in it already. */
qr_err QR_MUST qr_peers_value_once(const struct qr_json_at *at, const struct qr_peers *p,
                                   const struct qr_peers_list *l);
/* The member "witness". */
qr_err QR_MUST qr_peers_read_witness(const struct qr_json_at *at, struct qr_peers *p,
                                     struct qr_peers_section *s);
/* Names of checks as a mask. */
qr_err QR_MUST qr_peers_read_checks(const struct qr_json_at *list, uint64_t *ret);
/* Machines; kinds: where the list counts. */
qr_err QR_MUST qr_peers_read_machines(const struct qr_json_at *list, struct qr_peers *p,
                                      unsigned kinds, struct qr_peers_list *ret);

/* Where the judged one stands, from claims; a mismatch with the roster refuses. */
struct qr_peers_judging {
    const struct qr_peers *p;
    const struct qr_peers_section *s;
    int64_t now_ms;
    struct qr_verdict *v;
};
qr_err QR_MUST qr_peers_domain_of(const struct qr_peers_judging *j, const struct qr_peers_who *who,
                                  struct qr_peers_domain *ret);
/* Refuses: "rule platforms.KIND.MEMBER at line L: expected X, found Y". */
qr_err qr_peers_refuse(const struct qr_peers_judging *j, enum qr_check c, enum qr_reason r,
                       const char *member, unsigned line, const char *expected, const char *found);
/* The same for a rule outside the sections; and for one that compares a claim. */
qr_err qr_peers_refuse_top(const struct qr_peers_judging *j, enum qr_check c, enum qr_reason r,
                           const char *rule, unsigned line, const char *expected,
                           const char *found);
qr_err qr_peers_refuse_claim(const struct qr_peers_judging *j, enum qr_reason r, const char *member,
                             unsigned line, const char *expected, const char *path);
/* Products, minimum firmware (the policy's and the release's), VMPL; statuses and advisories. */
qr_err QR_MUST qr_peers_judge_amd(const struct qr_peers_judging *j,
                                  const struct qr_manifest *release);
qr_err QR_MUST qr_peers_judge_intel(const struct qr_peers_judging *j);
/* The second witness, where one is asked for. */
qr_err QR_MUST qr_peers_judge_witness(const struct qr_peers_judging *j);
/* A claim in words, for "found": its value, shortened, or that it is absent. */
#define QR_PEERS_SHOWN 84u
const char *qr_peers_show(const struct qr_claimset *c, const char *path,
                          char out[static QR_PEERS_SHOWN]);
const char *qr_peers_show_bytes(qr_view v, char out[static QR_PEERS_SHOWN]);
/* The MEASUREMENT check; *ret_manifest: whose set it was, NULL: the policy's own. */
qr_err QR_MUST qr_peers_judge_measurement(const struct qr_peers_judging *j,
                                          const struct qr_manifest **ret_manifest);

/* 1: the bytes are an element of the list. */
int qr_peers_list_has(const struct qr_peers *p, const struct qr_peers_list *l, qr_view v);

#endif
