/*
 * From versions to a status. A level of the signed list matches when every component of the platform
 * is at least as new; the first that matches counts. From TDX 1.5 on (second byte of TEE_TCB_SVN
 * above 0) the first two TDX components are versions of the module, which has a list of its own.
 */
#include "enclave-shim/verify/dcap.h"

#include <stdio.h>
#include <stdlib.h>

#define NO_LEVEL "NoMatchingTcbLevel"
#define FROM_LEVELS "(from tcbLevels)"
#define UNION_MAX (3u * QR_DCAP_ADVISORIES)
#define COMPONENTS 16u

/* Offsets inside a TD body and inside an SGX report body. */
enum { TD_TCB_SVN = 0, TD_MR_SIGNER_SEAM = 64, TD_SEAM_ATTRIBUTES = 112 };
enum { SGX_MISC = 16, SGX_ATTRIBUTES = 48, SGX_MRSIGNER = 128, SGX_PROD_ID = 256, SGX_SVN = 258 };

static const struct {
    unsigned status;
    const char *text;
} statuses[] = {
    {QR_TCB_UP_TO_DATE, "UpToDate"},
    {QR_TCB_SW_HARDENING, "SWHardeningNeeded"},
    {QR_TCB_CONFIGURATION, "ConfigurationNeeded"},
    {QR_TCB_CONFIGURATION | QR_TCB_SW_HARDENING, "ConfigurationAndSWHardeningNeeded"},
    {QR_TCB_OUT_OF_DATE, "OutOfDate"},
    {QR_TCB_OUT_OF_DATE | QR_TCB_CONFIGURATION, "OutOfDateConfigurationNeeded"},
    {QR_TCB_REVOKED, "Revoked"},
};
#define STATUSES (sizeof statuses / sizeof statuses[0])

const char *
qr_dcap_status_text(unsigned status)
{
    /* Revoked hides everything, out of date hides hardening. */
    if (status & QR_TCB_REVOKED) {
        status = QR_TCB_REVOKED;
    } else if (status & QR_TCB_OUT_OF_DATE) {
        status &= (unsigned)(QR_TCB_OUT_OF_DATE | QR_TCB_CONFIGURATION);
    }
    for (size_t i = 0; i < STATUSES; i++) {
        if (statuses[i].status == status) {
            return statuses[i].text;
        }
    }
    return statuses[STATUSES - 1].text; /* no set is left, and if it were: the worst */
}

int
qr_dcap_status_of(qr_view text, unsigned *ret)
{
    for (size_t i = 0; i < STATUSES; i++) {
        if (qr_view_eq(text, qr_view_str(statuses[i].text))) {
            *ret = statuses[i].status;
            return 1;
        }
    }
    return 0;
}

/* What is compared: the platform's versions, and the policy's exceptions for it. */
struct platform {
    const struct qr_verify_opts *o;
    const struct qr_dcap_pck *pck;
    const uint8_t *tdx; /* TEE_TCB_SVN; NULL: SGX */
    size_t first_tdx;   /* components below it belong to the module */
};

static struct platform
platform_of(const struct qr_verify_run *r, const struct qr_dcap_quote *q,
            const struct qr_dcap_pck *pck)
{
    struct platform p = {.o = r->o, .pck = pck};
    if (q->tdx) {
        p.tdx = q->body.p + TD_TCB_SVN;
        p.first_tdx = p.tdx[1] > 0 ? 2 : 0;
    }
    return p;
}

/* The exception that makes up for component i (from 0) being too old; NULL: none does. */
static const struct qr_tcb_exception *
exception_for(const struct platform *p, int tdx, size_t i, uint8_t svn)
{
    for (size_t k = 0; k < p->o->n_exceptions; k++) {
        const struct qr_tcb_exception *e = &p->o->exception[k];
        /* It has an end, so without a time it says nothing. */
        if ((e->tdx != 0) == tdx && e->component == i + 1 && svn >= e->min_svn &&
            p->o->now_ms >= 0 && p->o->now_ms < e->until_ms &&
            memcmp(e->fmspc, p->pck->fmspc, sizeof e->fmspc) == 0) {
            return e;
        }
    }
    return NULL;
}

/* The first component from `first` on that is too old for the level; COMPONENTS: none is. */
static size_t
too_old(const struct platform *p, int tdx, const uint8_t *need, size_t first)
{
    const uint8_t *have = tdx ? p->tdx : p->pck->comp;
    for (size_t i = first; i < COMPONENTS; i++) {
        if (have[i] < need[i] && !exception_for(p, tdx, i, have[i])) {
            return i;
        }
    }
    return COMPONENTS;
}

static int
matches(const struct platform *p, const struct qr_dcap_level *l)
{
    return too_old(p, 0, l->sgx, 0) == COMPONENTS && p->pck->pce_svn >= l->pce_svn &&
           (!p->tdx || too_old(p, 1, l->tdx, p->first_tdx) == COMPONENTS);
}

static const struct qr_dcap_isv_level *
isv_level(const struct qr_dcap_isv_level *l, size_t n, unsigned isv_svn)
{
    for (size_t i = 0; i < n; i++) {
        if (l[i].isv_svn <= isv_svn) {
            return &l[i];
        }
    }
    return NULL;
}

/* (have & mask) == want, byte by byte. */
static int
masked_eq(const uint8_t *have, const uint8_t *mask, const uint8_t *want, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((have[i] & mask[i]) != want[i]) {
            return 0;
        }
    }
    return 1;
}

static void
find_module(const struct qr_dcap_quote *q, const struct qr_dcap_tcb_info *info,
            struct qr_dcap_tcb *t)
{
    const uint8_t *svn = q->body.p + TD_TCB_SVN;
    char id[8];

    if (svn[1] == 0) {
        t->module = &info->module;
    } else {
        (void)snprintf(id, sizeof id, "TDX_%02X", svn[1]);
        for (size_t i = 0; i < info->n_modules && !t->module; i++) {
            if (qr_view_eq(info->modules[i].id, qr_view_str(id))) {
                t->module = &info->modules[i];
                t->module_level = isv_level(t->module->level, t->module->n, svn[0]);
            }
        }
    }
    if (t->module) {
        t->module_signer_ok = memcmp(q->body.p + TD_MR_SIGNER_SEAM, t->module->mrsigner, 48) == 0;
        t->module_attributes_ok =
            masked_eq(q->body.p + TD_SEAM_ATTRIBUTES, t->module->mask, t->module->attributes, 8);
    }
}

static const char *
what_is_wrong(const uint8_t *qe, const struct qr_dcap_qe_identity *id)
{
    if (memcmp(qe + SGX_MRSIGNER, id->mrsigner, sizeof id->mrsigner) != 0) {
        return "MRSIGNER";
    }
    if (qr_le16(qe + SGX_PROD_ID) != id->isv_prod_id) {
        return "ISVPRODID";
    }
    if (!masked_eq(qe + SGX_MISC, id->misc_mask, id->misc_select, 4)) {
        return "MISCSELECT";
    }
    if (!masked_eq(qe + SGX_ATTRIBUTES, id->attributes_mask, id->attributes, 16)) {
        return "ATTRIBUTES";
    }
    return (qe[SGX_ATTRIBUTES] & 2) ? "DEBUG" : NULL;
}

/* Claims. */

struct advisories {
    size_t n;
    qr_view id[UNION_MAX];
};

static qr_err
collect(const struct qr_dcap_standing *s, struct advisories *a)
{
    if (!s->advisories.v) {
        return QR_OK;
    }
    for (size_t i = 0; i < qr_json_count(&s->advisories) && a->n < UNION_MAX; i++) {
        struct qr_json_at at = qr_json_elem(&s->advisories, i);
        struct qr_json_field f = {
            .type = QR_JSON_NAME, .min = 1, .max = QR_DCAP_ADVISORY_MAX, .ret = &a->id[a->n]};
        QR_TRY(qr_json_value(&at, &f)); /* was read before: does not fail */
        a->n++;
    }
    return QR_OK;
}

static int
by_text(const void *x, const void *y)
{
    const qr_view *a = x, *b = y;
    int c = memcmp(a->p, b->p, a->len < b->len ? a->len : b->len);
    return c ? c : (a->len > b->len) - (a->len < b->len);
}

/* As a JSON array, sorted, each once. */
static void
claim_advisories(struct qr_claimset *c, const char *path, struct advisories *a)
{
    char text[UNION_MAX * (QR_DCAP_ADVISORY_MAX + 3) + 2];
    size_t len = 0;

    qsort(a->id, a->n, sizeof a->id[0], by_text);
    text[len++] = '[';
    for (size_t i = 0; i < a->n; i++) {
        if (i > 0 && qr_view_eq(a->id[i], a->id[i - 1])) {
            continue;
        }
        if (len > 1) {
            text[len++] = ',';
        }
        text[len++] = '"';
        memcpy(text + len, a->id[i].p, a->id[i].len); /* letters, digits, dots, dashes */
        len += a->id[i].len;
        text[len++] = '"';
    }
    text[len++] = ']';
    qr_claim_json_copy(c, path, qr_view_of(text, len));
}

static qr_err
claim_module(struct qr_claimset *c, const struct qr_dcap_quote *q, const struct qr_dcap_tcb *t)
{
    const char *const id = "tcb.tdx_module.id", *const status = "tcb.tdx_module.status";
    uint8_t version = q->body.p[TD_TCB_SVN + 1];
    struct advisories a = {0};

    if (version == 0) {
        qr_claim_text(c, id, qr_view_str("tdxModule"));
    } else {
        char text[8];
        (void)snprintf(text, sizeof text, "TDX_%02X", version);
        qr_claim_text_copy(c, id, qr_view_str(text));
    }
    if (!t->module) {
        qr_claim_text(c, status, qr_view_str("NotListed"));
        return QR_OK;
    }
    qr_claim_bool(c, "tcb.tdx_module.mrsigner_ok", t->module_signer_ok);
    qr_claim_bool(c, "tcb.tdx_module.attr_ok", t->module_attributes_ok);
    if (version == 0) {
        qr_claim_text(c, status, qr_view_str(FROM_LEVELS));
        return QR_OK;
    }
    if (t->module_level) {
        const struct qr_dcap_standing *s = &t->module_level->is;
        qr_claim_text(c, status, qr_view_str(qr_dcap_status_text(s->status)));
        qr_claim_text_copy(c, "tcb.tdx_module.date", s->date);
        QR_TRY(collect(s, &a));
    } else {
        qr_claim_text(c, status, qr_view_str(NO_LEVEL));
        qr_claim_null(c, "tcb.tdx_module.date");
    }
    claim_advisories(c, "tcb.tdx_module.advisories", &a);
    return QR_OK;
}

/* The exceptions without which the level would not have matched, as a JSON array. */
static void
claim_exceptions(struct qr_claimset *c, const struct platform *p, const struct qr_dcap_level *l)
{
    char text[2 * COMPONENTS * 100 + 2];
    size_t len = 0;

    text[len++] = '[';
    for (int tdx = 0; tdx <= (p->tdx ? 1 : 0); tdx++) {
        const uint8_t *have = tdx ? p->tdx : p->pck->comp, *need = tdx ? l->tdx : l->sgx;
        for (size_t i = tdx ? p->first_tdx : 0; i < COMPONENTS; i++) {
            const struct qr_tcb_exception *e =
                have[i] < need[i] ? exception_for(p, tdx, i, have[i]) : NULL;
            char until[QR_TIME_TEXT];
            if (!e) {
                continue;
            }
            int n = snprintf(text + len, sizeof text - len,
                             "%s{\"list\":\"%s\",\"component\":%zu,\"needed\":%u,\"found\":%u,"
                             "\"until\":\"%s\"}",
                             len > 1 ? "," : "", tdx ? "TDX" : "SGX", i + 1, need[i], have[i],
                             qr_dcap_time_text(e->until_ms, until));
            len += n > 0 ? (size_t)n : 0; /* below 100 characters each: always fits */
        }
    }
    if (len > 1) {
        text[len++] = ']';
        qr_claim_json_copy(c, "tcb.exceptions", qr_view_of(text, len));
    }
}

static qr_err
claim_tcb(struct qr_claimset *c, const struct qr_dcap_quote *q, const struct qr_dcap_tcb *t)
{
    struct advisories a = {0};
    const char *level = NO_LEVEL, *final = NO_LEVEL;
    unsigned status = 0;

    if (t->level) {
        status = t->level->is.status | (t->module_level ? t->module_level->is.status : 0) |
                 (t->qe ? t->qe->is.status : 0);
        level = qr_dcap_status_text(t->level->is.status);
        QR_TRY(collect(&t->level->is, &a));
        if (t->module_level) {
            QR_TRY(collect(&t->module_level->is, &a));
        }
        if (t->qe) {
            QR_TRY(collect(&t->qe->is, &a));
        }
    }
    int module_known = !q->tdx || t->module_level || (t->module && q->body.p[TD_TCB_SVN + 1] == 0);
    if (t->level && t->qe && module_known) {
        final = qr_dcap_status_text(status);
    }
    qr_claim_text(c, "tcb.level_status", qr_view_str(level));
    if (t->level) {
        qr_claim_text_copy(c, "tcb.tcb_date", t->level->is.date);
    } else {
        qr_claim_null(c, "tcb.tcb_date");
    }
    claim_advisories(c, "tcb.advisories", &a);
    if (q->tdx) {
        QR_TRY(claim_module(c, q, t));
    } else {
        qr_claim_null(c, "tcb.tdx_module");
    }
    qr_claim_text(c, "tcb.qe_status",
                  qr_view_str(t->qe ? qr_dcap_status_text(t->qe->is.status) : NO_LEVEL));
    qr_claim_text(c, "tcb.final_status", qr_view_str(final));
    return QR_OK;
}

qr_err
qr_dcap_tcb_find(struct qr_verify_run *r, const struct qr_dcap_quote *q,
                 const struct qr_dcap_pck *pck, const struct qr_dcap_collateral *c,
                 struct qr_dcap_tcb *ret)
{
    struct platform p = platform_of(r, q, pck);
    struct qr_dcap_tcb t = {0};

    t.qe = isv_level(c->qe.level, c->qe.n, qr_le16(q->qe_report.p + SGX_SVN));
    t.qe_wrong = what_is_wrong(q->qe_report.p, &c->qe);
    if (q->tdx) {
        find_module(q, &c->tcb, &t);
    }
    for (size_t i = 0; i < c->tcb.n && !t.level; i++) {
        if (matches(&p, &c->tcb.level[i])) {
            t.level = &c->tcb.level[i];
        }
    }
    QR_TRY(claim_tcb(&r->v->claims, q, &t));
    if (t.level) {
        claim_exceptions(&r->v->claims, &p, t.level);
    }
    *ret = t;
    return QR_OK;
}

static qr_err
check_qe(struct qr_verdict *v, const struct qr_dcap_quote *q, const struct qr_dcap_tcb *t)
{
    if (t->qe_wrong) {
        return qr_fail(v, QR_CHECK_QE_IDENTITY, QR_REASON_IDENTITY_MISMATCH,
                       "%s of the QE: expected what the signed identity says, found another value",
                       t->qe_wrong);
    }
    if (!t->qe) {
        return qr_fail(v, QR_CHECK_QE_IDENTITY, QR_REASON_TCB,
                       "QE: expected an ISVSVN that the signed identity lists, found %u",
                       qr_le16(q->qe_report.p + SGX_SVN));
    }
    qr_pass(v, QR_CHECK_QE_IDENTITY);
    return QR_OK;
}

static qr_err
check_module(struct qr_verdict *v, const struct qr_dcap_quote *q, const struct qr_dcap_tcb *t)
{
    const uint8_t *svn = q->body.p + TD_TCB_SVN;

    if (!t->module) {
        return qr_fail(v, QR_CHECK_TDX_MODULE, QR_REASON_TCB,
                       "TDX module: expected one that the signed list knows, found TDX_%02X",
                       svn[1]);
    }
    if (!t->module_signer_ok || !t->module_attributes_ok) {
        return qr_fail(v, QR_CHECK_TDX_MODULE, QR_REASON_IDENTITY_MISMATCH,
                       "%s: expected what the signed list says, found another value",
                       t->module_signer_ok ? "SEAMATTRIBUTES" : "MRSIGNERSEAM");
    }
    if (svn[1] > 0 && !t->module_level) {
        return qr_fail(
            v, QR_CHECK_TDX_MODULE, QR_REASON_TCB,
            "TDX module TDX_%02X: expected a version that the signed list knows, found %u", svn[1],
            svn[0]);
    }
    qr_pass(v, QR_CHECK_TDX_MODULE);
    return QR_OK;
}

/* Says what the lowest level asks for and the platform lacks. */
static qr_err
no_level(struct qr_verify_run *r, const struct platform *p, const struct qr_dcap_tcb_info *info)
{
    const struct qr_dcap_level *l = &info->level[info->n - 1];
    static const char form[] = "no TCB level matches; the last asks for %s: expected at least %u, "
                               "found %u";
    size_t i = too_old(p, 0, l->sgx, 0);
    char what[32];

    if (i < COMPONENTS) {
        (void)snprintf(what, sizeof what, "SGX component %zu", i + 1);
        return qr_fail(r->v, QR_CHECK_TCB, QR_REASON_TCB, form, what, l->sgx[i], p->pck->comp[i]);
    }
    i = p->tdx ? too_old(p, 1, l->tdx, p->first_tdx) : COMPONENTS;
    if (i < COMPONENTS) {
        (void)snprintf(what, sizeof what, "TDX component %zu", i + 1);
        return qr_fail(r->v, QR_CHECK_TCB, QR_REASON_TCB, form, what, l->tdx[i], p->tdx[i]);
    }
    return qr_fail(r->v, QR_CHECK_TCB, QR_REASON_TCB, form, "PCESVN", l->pce_svn, p->pck->pce_svn);
}

qr_err
qr_dcap_tcb_check(struct qr_verify_run *r, const struct qr_dcap_quote *q,
                  const struct qr_dcap_pck *pck, const struct qr_dcap_collateral *c,
                  const struct qr_dcap_tcb *t)
{
    QR_TRY(check_qe(r->v, q, t));
    if (q->tdx) {
        QR_TRY(check_module(r->v, q, t));
    }
    if (!t->level) {
        struct platform p = platform_of(r, q, pck);
        return no_level(r, &p, &c->tcb);
    }
    qr_pass(r->v, QR_CHECK_TCB);
    return QR_OK;
}
