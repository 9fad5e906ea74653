/*
 * The one door: bounds first, then the platform's verifier, then what holds for all of them. Nothing
 * here knows a platform's format.
 */
#include "enclave-shim/verify/verify.h"

#include "enclave-shim/verify/verify_int.h"
#include "enclave-shim/verify/witness.h"
#include "protocol/base/check.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

/*
 * What evidence of each platform cannot be genuine without. A verifier that comes to its end and has
 * left one of these out is refused here: the advisories of this field are checks that were skipped.
 */
#define MADE(c) (UINT64_C(1) << QR_CHECK_##c)
#define MADE_CHAIN (MADE(ROOT) | MADE(CHAIN))
#define MADE_SNP (MADE_CHAIN | MADE(SIGNATURE) | MADE(KEY_KIND) | MADE(PRODUCT) | MADE(TCB_BINDING))
#define MADE_INTEL                                                                                 \
    (MADE_CHAIN | MADE(CRL) | MADE(SIGNATURE) | MADE(QE_REPORT) | MADE(QE_IDENTITY) |              \
     MADE(COLLATERAL) | MADE(TCB))
_Static_assert(QR_CHECK_COUNT <= 64, "checks are bits");

static const struct {
    enum qr_evidence_kind kind;
    qr_err (*verify)(struct qr_verify_run *r);
    uint64_t made;
} verifiers[] = {
    {QR_EV_NITRO, qr_verify_nitro, MADE_CHAIN | MADE(SIGNATURE)},
    {QR_EV_SNP, qr_verify_snp, MADE_SNP},
    {QR_EV_TDX, qr_verify_tdx, MADE_INTEL | MADE(TDX_MODULE)},
    {QR_EV_SGX, qr_verify_sgx, MADE_INTEL},
    {QR_EV_TPM, qr_verify_tpm, MADE(QUOTE)},
    {QR_EV_AZURE_SNP, qr_verify_azure, MADE_SNP | MADE(RUNTIME_DATA)},
    {QR_EV_AZURE_TDX, qr_verify_azure, MADE_INTEL | MADE(TDX_MODULE) | MADE(RUNTIME_DATA)},
    {QR_EV_GCP_SNP, qr_verify_gcp, MADE_SNP | MADE(AK) | MADE(COMPOSITE)},
    {QR_EV_GCP_TDX, qr_verify_gcp, MADE_INTEL | MADE(TDX_MODULE) | MADE(AK) | MADE(COMPOSITE)},
    {QR_EV_GCP_AK, qr_verify_gcp_ak, MADE_CHAIN | MADE(AK)},
    {QR_EV_MAA, qr_verify_maa, MADE(TOKEN) | MADE(SIGNATURE)},
    {QR_EV_CONFIDENTIAL_SPACE, qr_verify_confidential_space, MADE(TOKEN) | MADE(SIGNATURE)},
};
#define VERIFIERS (sizeof verifiers / sizeof verifiers[0])

/* ---- what verifiers share ---- */

qr_err
qr_run_need(struct qr_verify_run *r, enum qr_part part, enum qr_check c, enum qr_reason if_absent,
            qr_view *ret)
{
    qr_view v = qr_evidence_get(r->e, part);
    if (!v.p) {
        return qr_fail(r->v, c, if_absent, "%s: expected in the evidence, found none",
                       qr_part_name(part));
    }
    *ret = v;
    return QR_OK;
}

void
qr_run_ends(struct qr_verify_run *r, int64_t end_ms)
{
    if (end_ms < r->out.earliest_end_ms) {
        r->out.earliest_end_ms = end_ms;
    }
}

void
qr_run_issued(struct qr_verify_run *r, int64_t issue_ms)
{
    if (issue_ms > r->out.latest_issue_ms) {
        r->out.latest_issue_ms = issue_ms;
    }
}

static struct qr_collateral_mark *
find_mark(struct qr_collateral_mark *mark, size_t n, const struct qr_collateral_mark *like)
{
    for (size_t i = 0; i < n; i++) {
        if (mark[i].kind == like->kind &&
            memcmp(mark[i].subject, like->subject, sizeof like->subject) == 0) {
            return &mark[i];
        }
    }
    return NULL;
}

int
qr_marks_merge(struct qr_collateral_marks *into, const struct qr_collateral_marks *from)
{
    int all = 1;
    QR_ASSERT(into->n <= QR_MARKS_MAX && from->n <= QR_MARKS_MAX);
    for (size_t i = 0; i < from->n; i++) {
        const struct qr_collateral_mark *m = &from->mark[i];
        struct qr_collateral_mark *old = find_mark(into->mark, into->n, m);
        if (!old && into->n == QR_MARKS_MAX) {
            all = 0;
        } else if (!old) {
            into->mark[into->n++] = *m;
        } else {
            /* Each part on its own, so that no order of merging makes one of them smaller. */
            old->number = m->number > old->number ? m->number : old->number;
            old->next_ms = m->issued_ms > old->issued_ms ? m->next_ms : old->next_ms;
            old->issued_ms = m->issued_ms > old->issued_ms ? m->issued_ms : old->issued_ms;
        }
    }
    return all;
}

qr_err
qr_run_mark(struct qr_verify_run *r, const struct qr_collateral_mark *m, const char *what)
{
    const struct qr_collateral_marks *seen = r->o->seen;

    for (size_t i = 0; seen && i < seen->n && i < QR_MARKS_MAX; i++) {
        const struct qr_collateral_mark *s = &seen->mark[i];
        if (s->kind != m->kind || memcmp(s->subject, m->subject, sizeof s->subject) != 0) {
            continue;
        }
        if (m->issued_ms < s->issued_ms || m->number < s->number) {
            return qr_fail(r->v, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_ROLLBACK,
                           "%s: expected an issue of %lld, number %llu, or later; found one of "
                           "%lld, number %llu",
                           what, (long long)(s->issued_ms / 1000), (unsigned long long)s->number,
                           (long long)(m->issued_ms / 1000), (unsigned long long)m->number);
        }
    }
    struct qr_collateral_marks one = {.n = 1, .mark = {*m}};
    if (!qr_marks_merge(&r->out.marks, &one)) {
        return qr_fail(r->v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                       "%s: expected at most %u pieces of collateral, found more", what,
                       QR_MARKS_MAX);
    }
    qr_run_issued(r, m->issued_ms);
    if (m->next_ms > 0) {
        qr_run_ends(r, m->next_ms);
    }
    return QR_OK;
}

qr_err
qr_run_chain(struct qr_verify_run *r, const struct qr_certs *s, const struct qr_chain_rules *rules)
{
    struct qr_chain_rules with = *rules;
    with.links = r->o->links;
    QR_TRY(qr_chain_verify(s, r->roots, &with, r->v));
    for (size_t i = 0; i < s->n; i++) {
        int64_t from = 0, to = 0;
        if (qr_cert_dates(s->x[i], &from, &to)) {
            qr_run_ends(r, to);
        }
    }
    return QR_OK;
}

qr_err
qr_run_crl(struct qr_verify_run *r, qr_view der, X509 *ca, X509 *cert, const char *what)
{
    struct qr_crl_facts f = {0};
    struct qr_collateral_mark m = {.kind = QR_COLL_CRL};

    QR_TRY(qr_crl_check(der, ca, cert, r->o->now_ms, r->v, what, &f));
    if (!qr_key_sha256(X509_get0_pubkey(ca), m.subject)) {
        return QR_ERR_NO_MEMORY;
    }
    m.number = f.number;
    m.issued_ms = f.this_ms;
    m.next_ms = f.next_ms;
    return qr_run_mark(r, &m, what);
}

qr_err
qr_run_binder(struct qr_verify_run *r, qr_view field, const char *what)
{
    qr_view want = r->o->binder;
    unsigned differs = 0;

    if (!want.p) {
        return QR_OK;
    }
    if (want.len == 0 || field.len < want.len) {
        differs = 1;
    } else {
        differs = CRYPTO_memcmp(field.p, want.p, want.len) != 0;
        for (size_t i = want.len; i < field.len; i++) {
            differs |= field.p[i];
        }
    }
    if (differs != 0) {
        return qr_fail(r->v, QR_CHECK_BINDER, QR_REASON_BINDER,
                       "%s: expected the value that was asked for (%zu bytes), found another", what,
                       want.len);
    }
    qr_pass(r->v, QR_CHECK_BINDER);
    return QR_OK;
}

/* ---- the door ---- */

/* Whoever filled the struct: order, known parts and sizes are checked again. */
static qr_err
check_limits(const struct qr_evidence *e, struct qr_verdict *v)
{
    struct qr_evidence again = {.kind = e->kind};

    if (e->n > QR_ITEMS_OF_EVIDENCE) {
        return qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                       "evidence: expected at most %u items, found %zu", QR_ITEMS_OF_EVIDENCE,
                       e->n);
    }
    for (size_t i = 0; i < e->n; i++) {
        const struct qr_item *it = &e->item[i];
        qr_err err = qr_evidence_add(&again, it->part, it->slot, it->bytes);
        if (err == QR_ERR_TOO_LARGE) {
            return qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                           "%s: expected at most %zu bytes and %u in all, found %zu",
                           qr_part_name(it->part), qr_part_max(it->part), QR_EVIDENCE_TOTAL_MAX,
                           it->bytes.len);
        }
        if (err != QR_OK) {
            return qr_fail(v, QR_CHECK_LIMITS, QR_REASON_MALFORMED,
                           "item %zu: expected a known part, once, not empty; found %s in slot %u",
                           i, qr_part_name(it->part), it->slot);
        }
    }
    qr_pass(v, QR_CHECK_LIMITS);
    return QR_OK;
}

static qr_err
dispatch(struct qr_verify_run *r)
{
    QR_TRY(check_limits(r->e, r->v));
    for (size_t i = 0; i < VERIFIERS; i++) {
        if (verifiers[i].kind == r->e->kind) {
            return verifiers[i].verify(r);
        }
    }
    return qr_fail(r->v, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED,
                   "evidence: expected a known platform, found kind %u", (unsigned)r->e->kind);
}

/* The platform's word, then that of a second witness, if one came along. */
static qr_err
judge(struct qr_verify_run *r)
{
    QR_TRY(dispatch(r));
    return r->v->reason == QR_REASON_NONE ? qr_witness_part(r) : QR_ERR_ATTESTATION;
}

/* The first check of the platform's list that was not made; QR_CHECK_COUNT: none is missing. */
static enum qr_check
missing_check(const struct qr_verify_run *r)
{
    uint64_t made = MADE(LIMITS) | MADE(PARSE);
    for (size_t i = 0; i < VERIFIERS; i++) {
        if (verifiers[i].kind == r->e->kind) {
            made |= verifiers[i].made;
        }
    }
    if ((made & MADE(ROOT)) != 0 && r->o->now_ms >= 0) {
        made |= MADE(VALIDITY);
    }
    unsigned c = 0;
    while (c < QR_CHECK_COUNT && ((made >> c & 1) == 0 || r->v->check[c] == QR_CHECK_PASS)) {
        c++;
    }
    return (enum qr_check)c;
}

/* What no verifier may forget. */
static qr_err
conclude(struct qr_verify_run *r, qr_err e)
{
    struct qr_verdict *v = r->v;

    if (e == QR_ERR_NO_MEMORY) {
        (void)qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT, "out of memory");
        return e;
    }
    if (v->reason != QR_REASON_NONE) {
        return QR_ERR_ATTESTATION; /* whatever was returned; and no other check is marked as failed */
    }
    if (e != QR_OK) { /* an error of a parser that nobody put into words is an error of form */
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "evidence: expected well-formed parts, found: %s", qr_err_text(e));
    }
    if (v->claims.overflow) {
        return qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                       "claims: expected at most %u of %u bytes in all, each once; found more",
                       QR_CLAIMS_MAX, QR_CLAIMS_ARENA);
    }
    if (r->o->binder.p && v->check[QR_CHECK_BINDER] != QR_CHECK_PASS) {
        return qr_fail(v, QR_CHECK_BINDER, QR_REASON_BINDER,
                       "evidence: expected a field that commits to a value, found none");
    }
    enum qr_check missing = missing_check(r);
    if (missing != QR_CHECK_COUNT) {
        return qr_fail(v, missing, QR_REASON_UNSUPPORTED,
                       "evidence: expected the check %s to be made, found it left out",
                       qr_check_name(missing));
    }
    return QR_OK;
}

qr_err
qr_verify(const struct qr_evidence *e, const struct qr_verify_opts *o, struct qr_verdict *v,
          struct qr_verify_out *out)
{
    struct qr_verify_run r = {
        .e = e,
        .o = o,
        .roots = o->roots ? o->roots : qr_roots_builtin(),
        .v = v,
        .out = {.earliest_end_ms = INT64_MAX, .latest_issue_ms = -1},
    };
    const struct qr_verify_out nothing = {.earliest_end_ms = INT64_MAX, .latest_issue_ms = -1};

    qr_verdict_init(v);
    ERR_set_mark(); /* the errors of hostile certificates are no one else's */
    qr_err err = conclude(&r, judge(&r));
    ERR_pop_to_mark();
    if (out) {
        *out = err == QR_OK ? r.out : nothing;
    }
    return err;
}
