/*
 * qr_claimset: what evidence says, as one flat list of paths and typed values.
 *
 * What: a verifier adds `measurement`, `reported_tcb.microcode`, `pcrs.0`, `keys[0].kid`; a policy
 *       reads them; the command line prints them as nested JSON. One model for all platforms.
 * Why: a claim that is absent is absent, never zero: there is no field that could be left at zero.
 * Invariants: at most QR_CLAIMS_MAX claims and QR_CLAIMS_ARENA bytes of copied text; adding past
 *             that marks the set as overflown, which the verifier reports as a resource limit, and
 *             a path is added once (a second one marks it likewise). Views point into the evidence,
 *             which must outlive the set, or into the set's own arena: a set does not move.
 * Names and shapes follow the published case files (`quorate verify --case`).
 */
#ifndef QR_CLAIMS_H
#define QR_CLAIMS_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

#define QR_CLAIMS_MAX 384u
#define QR_CLAIMS_ARENA 16384u
#define QR_CLAIM_PATH_MAX 96u

enum qr_claim_type {
    QR_CLAIM_UINT, /* printed as a number */
    QR_CLAIM_BOOL,
    QR_CLAIM_HEX,  /* bytes, printed as lower-case hex */
    QR_CLAIM_X64,  /* number, printed as "0x%016x" */
    QR_CLAIM_TEXT, /* UTF-8 */
    QR_CLAIM_JSON, /* exact text of a JSON value that the verifier has parsed, embedded as it is */
    QR_CLAIM_NULL, /* said to be empty by the evidence itself */
};

struct qr_claim {
    const char *path;
    enum qr_claim_type type;
    uint64_t u;
    qr_view v;
};

struct qr_claimset {
    struct qr_claim item[QR_CLAIMS_MAX];
    size_t n;
    size_t used; /* of arena */
    int overflow;
    char arena[QR_CLAIMS_ARENA];
};

void qr_claims_init(struct qr_claimset *c);

/* `path` is a literal that lives for ever. hex and text keep the view; *_copy copies it. */
void qr_claim_uint(struct qr_claimset *c, const char *path, uint64_t u);
void qr_claim_x64(struct qr_claimset *c, const char *path, uint64_t u);
void qr_claim_bool(struct qr_claimset *c, const char *path, int b);
void qr_claim_hex(struct qr_claimset *c, const char *path, qr_view bytes);
void qr_claim_hex_copy(struct qr_claimset *c, const char *path, qr_view bytes);
void qr_claim_text(struct qr_claimset *c, const char *path, qr_view text);
void qr_claim_text_copy(struct qr_claimset *c, const char *path, qr_view text);
void qr_claim_json_copy(struct qr_claimset *c, const char *path, qr_view json);
void qr_claim_null(struct qr_claimset *c, const char *path);

/* A path made up at run time ("pcrs.%u"), copied to the arena; never NULL (overflow gives ""). */
const char *qr_claim_path(struct qr_claimset *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* NULL: absent. */
const struct qr_claim *qr_claim_find(const struct qr_claimset *c, const char *path);
/* 1 and *ret when the claim is there and has that type; 0 otherwise, and *ret is untouched. */
int qr_claim_get_uint(const struct qr_claimset *c, const char *path, uint64_t *ret); /* UINT, X64 */
int qr_claim_get_bool(const struct qr_claimset *c, const char *path, int *ret);
int qr_claim_get_hex(const struct qr_claimset *c, const char *path, qr_view *ret);
int qr_claim_get_text(const struct qr_claimset *c, const char *path, qr_view *ret);

/*
 * The set as one JSON object (dots nest, [i] are arrays, in the order of adding), to out, cut
 * never: TOO_LARGE. NUL-terminated on success; *ret_len without the NUL.
 */
qr_err QR_MUST qr_claims_json(const struct qr_claimset *c, char *out, size_t cap, size_t *ret_len);

#endif
