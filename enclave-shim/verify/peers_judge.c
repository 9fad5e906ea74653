/*
 * Judging: one pass over the section of the evidence's platform. Every comparison goes through a
 * claim that must be there, and every refusal through qr_peers_refuse. Work is bounded by the
 * policy's limits and by the number of claims.
 */
#include "enclave-shim/verify/peers_int.h"

#include "protocol/base/enc.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- words ---- */

const char *
qr_peers_show_bytes(qr_view v, char out[static QR_PEERS_SHOWN])
{
    size_t n = v.len > 24 ? 24 : v.len;
    qr_hex_encode(qr_view_of(v.p, n), out);
    if (n < v.len) {
        (void)snprintf(out + 2 * n, QR_PEERS_SHOWN - 2 * n, "... (%zu bytes)", v.len);
    }
    return out;
}

const char *
qr_peers_show(const struct qr_claimset *c, const char *path, char out[static QR_PEERS_SHOWN])
{
    const struct qr_claim *x = qr_claim_find(c, path);
    char q[QR_QUOTE_MAX];

    if (!x || x->type == QR_CLAIM_NULL) {
        (void)snprintf(out, QR_PEERS_SHOWN, "no such claim");
        return out;
    }
    switch (x->type) {
    case QR_CLAIM_HEX:
        return qr_peers_show_bytes(x->v, out);
    case QR_CLAIM_BOOL:
        (void)snprintf(out, QR_PEERS_SHOWN, "%s", x->u ? "true" : "false");
        break;
    case QR_CLAIM_UINT:
        (void)snprintf(out, QR_PEERS_SHOWN, "%" PRIu64, x->u);
        break;
    case QR_CLAIM_X64:
        (void)snprintf(out, QR_PEERS_SHOWN, "0x%016" PRIx64, x->u);
        break;
    default:
        (void)snprintf(out, QR_PEERS_SHOWN, "%s", qr_quote(q, x->v));
        break;
    }
    return out;
}

qr_err
qr_peers_refuse(const struct qr_peers_judging *j, enum qr_check c, enum qr_reason r,
                const char *member, unsigned line, const char *expected, const char *found)
{
    if (j->s) {
        return qr_fail(j->v, c, r, "rule platforms.%s.%s at line %u: expected %s, found %s",
                       qr_evidence_kind_name(j->s->kind), member, line, expected, found);
    }
    return qr_fail(j->v, c, r, "rule %s at line %u: expected %s, found %s", member, line, expected,
                   found);
}

qr_err
qr_peers_refuse_top(const struct qr_peers_judging *j, enum qr_check c, enum qr_reason r,
                    const char *rule, unsigned line, const char *expected, const char *found)
{
    struct qr_peers_judging top = *j;
    top.s = NULL;
    return qr_peers_refuse(&top, c, r, rule, line, expected, found);
}

qr_err
qr_peers_refuse_claim(const struct qr_peers_judging *j, enum qr_reason r, const char *member,
                      unsigned line, const char *expected, const char *path)
{
    char found[QR_PEERS_SHOWN];
    return qr_peers_refuse(j, QR_CHECK_POLICY, r, member, line, expected,
                           qr_peers_show(&j->v->claims, path, found));
}

/* ---- demanded checks ---- */

/* 1: the section's list names this machine. */
static int
is_listed(const struct qr_peers_judging *j)
{
    const struct qr_peers_list *l = &j->s->allow;

    for (size_t i = 0; i < l->n; i++) {
        const struct qr_peers_value *x = &j->p->value[l->first + i];
        char text[24];
        qr_view v;
        if (qr_peers_machine(&qr_peers_ids[x->id], &j->v->claims, text, &v) &&
            qr_view_eq(v, qr_view_of(x->b, x->len))) {
            return 1;
        }
    }
    return 0;
}

static qr_err
judge_checks(const struct qr_peers_judging *j)
{
    const uint64_t own = QR_PEERS_CHECK(QR_CHECK_DEBUG) | QR_PEERS_CHECK(QR_CHECK_MEASUREMENT) |
                         QR_PEERS_CHECK(QR_CHECK_MACHINE) | QR_PEERS_CHECK(QR_CHECK_FRESHNESS) |
                         QR_PEERS_CHECK(QR_CHECK_POLICY);
    uint64_t base = qr_peers_base_checks(j->s->kind);
    uint64_t all = (base | j->p->require | j->s->require) & ~own;

    /* A bare TPM's machines are its keys: one that nobody certified is believed when it is pinned. */
    if (j->s->kind == QR_EV_TPM && j->v->check[QR_CHECK_AK] == QR_CHECK_SKIPPED && is_listed(j)) {
        qr_pass(j->v, QR_CHECK_AK);
    }
    for (unsigned c = 0; c < QR_CHECK_COUNT; c++) {
        char expected[64];
        if (!(all & QR_PEERS_CHECK(c)) || j->v->check[c] == QR_CHECK_PASS) {
            continue;
        }
        (void)snprintf(expected, sizeof expected, "check %s to pass",
                       qr_check_name((enum qr_check)c));
        const char *found = j->v->check[c] == QR_CHECK_FAIL ? "that it failed" : "it skipped";
        if (j->p->require & QR_PEERS_CHECK(c)) {
            return qr_peers_refuse_top(j, QR_CHECK_POLICY, QR_REASON_POLICY, "require",
                                       j->p->require_line, expected, found);
        }
        unsigned line = j->s->require & QR_PEERS_CHECK(c) ? j->s->require_line : j->s->line;
        return qr_peers_refuse(j, QR_CHECK_POLICY, QR_REASON_POLICY, "require", line, expected,
                               found);
    }
    return QR_OK;
}

static qr_err
judge_debug(const struct qr_peers_judging *j)
{
    char found[QR_PEERS_SHOWN];
    int debug = 0;

    if (j->s->debug || j->s->kind == QR_EV_TPM) {
        return QR_OK; /* "insecure", as the policy says; the check stays unmade */
    }
    if (!qr_claim_get_bool(&j->v->claims, "debug", &debug) || debug) {
        return qr_peers_refuse(j, QR_CHECK_DEBUG, QR_REASON_DEBUG, "debug", j->s->line, "false",
                               qr_peers_show(&j->v->claims, "debug", found));
    }
    qr_pass(j->v, QR_CHECK_DEBUG);
    return QR_OK;
}

/* ---- machines ---- */

static qr_err
refuse_machine(const struct qr_peers_judging *j, const char *rule, int top, unsigned line,
               const char *expected, const struct qr_peers_id *id)
{
    char found[QR_PEERS_SHOWN + 32], shown[QR_PEERS_SHOWN], text[24];
    qr_view v;

    if (qr_peers_machine(id, &j->v->claims, text, &v)) {
        char q[QR_QUOTE_MAX];
        (void)snprintf(found, sizeof found, "%s %s", id->member,
                       id->len ? qr_peers_show_bytes(v, shown) : qr_quote(q, v));
    } else {
        (void)snprintf(found, sizeof found, "no %s", id->member);
    }
    return (top ? qr_peers_refuse_top : qr_peers_refuse)(j, QR_CHECK_MACHINE, QR_REASON_POLICY,
                                                         rule, line, expected, found);
}

/* A machine that cannot be told from a denied one is refused, too. */
static qr_err
judge_deny(const struct qr_peers_judging *j, const struct qr_peers_list *l, int top)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct qr_peers_value *x = &j->p->value[l->first + i];
        const struct qr_peers_id *id = &qr_peers_ids[x->id];
        char text[24];
        qr_view v;
        if (!(id->kinds & QR_KIND_MASK(j->s->kind))) {
            continue;
        }
        if (!qr_peers_machine(id, &j->v->claims, text, &v)) {
            return refuse_machine(j, "machines.deny", top, x->line, "a machine that names itself",
                                  id);
        }
        if (qr_view_eq(v, qr_view_of(x->b, x->len))) {
            return refuse_machine(j, "machines.deny", top, x->line, "another machine", id);
        }
    }
    return QR_OK;
}

static qr_err
judge_machine(const struct qr_peers_judging *j)
{
    const struct qr_peers_list *l = &j->s->allow;

    QR_TRY(judge_deny(j, &j->p->deny, 1));
    QR_TRY(judge_deny(j, &j->s->deny, 0));
    if (is_listed(j)) {
        qr_pass(j->v, QR_CHECK_MACHINE);
        return QR_OK;
    }
    if (l->n > 0) {
        return refuse_machine(j, "machines.allow", 0, l->line, "a listed machine",
                              &qr_peers_ids[j->p->value[l->first].id]);
    }
    return QR_OK; /* none is listed: nothing was checked, and a policy that requires it does list */
}

/* ---- freshness ---- */

static qr_err
judge_freshness(const struct qr_peers_judging *j)
{
    uint64_t made = 0;
    char expected[64], found[64];

    if (j->v->check[QR_CHECK_BINDER] != QR_CHECK_PASS) {
        return qr_peers_refuse_top(j, QR_CHECK_FRESHNESS, QR_REASON_STALE, "freshness",
                                   j->p->fresh_line, "evidence that commits to what was asked for",
                                   "none asked for");
    }
    if (j->s->kind != QR_EV_NITRO) {
        qr_pass(j->v, QR_CHECK_FRESHNESS);
        return QR_OK; /* it has no time of its own */
    }
    (void)snprintf(expected, sizeof expected, "at most %" PRIu64 " s",
                   j->p->times.max_age_ms / 1000);
    if (!qr_claim_get_uint(&j->v->claims, "timestamp_ms", &made) || made > INT64_MAX ||
        j->now_ms < 0) {
        return qr_peers_refuse_top(j, QR_CHECK_FRESHNESS, QR_REASON_STALE, "freshness.max_age_s",
                                   j->p->fresh_line, expected, "no time to compare");
    }
    if ((int64_t)made > j->now_ms) {
        uint64_t ahead = made - (uint64_t)j->now_ms;
        if (ahead > j->p->times.clock_spread_ms) {
            (void)snprintf(expected, sizeof expected, "at most %" PRIu64 " s ahead",
                           j->p->times.clock_spread_ms / 1000);
            (void)snprintf(found, sizeof found, "%" PRIu64 " s", (ahead + 999) / 1000);
            return qr_peers_refuse_top(j, QR_CHECK_FRESHNESS, QR_REASON_NOT_YET_VALID,
                                       "freshness.clock_spread_s", j->p->fresh_line, expected,
                                       found);
        }
    } else if ((uint64_t)j->now_ms - made > j->p->times.max_age_ms) {
        (void)snprintf(found, sizeof found, "%" PRIu64 " s",
                       ((uint64_t)j->now_ms - made + 999) / 1000);
        return qr_peers_refuse_top(j, QR_CHECK_FRESHNESS, QR_REASON_STALE, "freshness.max_age_s",
                                   j->p->fresh_line, expected, found);
    }
    qr_pass(j->v, QR_CHECK_FRESHNESS);
    return QR_OK;
}

/* ---- rows of the table ---- */

/* "1 of 3 values, the first 0ab1...", or the only one. */
static void
list_text(const struct qr_peers_judging *j, const struct qr_peers_rule *r,
          char out[static QR_PEERS_SHOWN])
{
    const struct qr_peers_value *x = &j->p->value[r->list.first];
    char one[QR_PEERS_SHOWN];

    if (r->def->op == QR_OP_BYTES) {
        (void)qr_peers_show_bytes(qr_view_of(x->b, x->len), one);
    } else if (r->def->op == QR_OP_UINT) {
        (void)snprintf(one, sizeof one, "%" PRIu64, x->u);
    } else {
        (void)snprintf(one, sizeof one, "%.*s", (int)x->len, (const char *)x->b);
    }
    if (r->list.n > 1) {
        (void)snprintf(out, QR_PEERS_SHOWN, "%.48s (or %u more)", one, (unsigned)r->list.n - 1);
    } else {
        memcpy(out, one, sizeof one);
    }
}

static int
in_list(const struct qr_peers_judging *j, const struct qr_peers_rule *r)
{
    const struct qr_claimset *c = &j->v->claims;
    qr_view v = {NULL, 0};
    uint64_t u = 0;

    if (r->def->op == QR_OP_UINT   ? !qr_claim_get_uint(c, r->def->claim, &u)
        : r->def->op == QR_OP_WORD ? !qr_claim_get_text(c, r->def->claim, &v)
                                   : !qr_claim_get_hex(c, r->def->claim, &v)) {
        return 0;
    }
    for (size_t i = 0; i < r->list.n; i++) {
        const struct qr_peers_value *x = &j->p->value[r->list.first + i];
        if (r->def->op == QR_OP_UINT ? x->u == u : qr_view_eq(v, qr_view_of(x->b, x->len))) {
            return 1;
        }
    }
    return 0;
}

static qr_err
judge_bits(const struct qr_peers_judging *j, const struct qr_peers_rule *r)
{
    for (size_t i = 0; i < r->list.n; i++) {
        const struct qr_peers_value *x = &j->p->value[r->list.first + i];
        char path[QR_CLAIM_PATH_MAX], member[64];
        uint64_t u = 0;
        (void)snprintf(path, sizeof path, "%s.%.*s", r->def->claim, (int)x->len,
                       (const char *)x->b);
        if (!qr_claim_get_uint(&j->v->claims, path, &u) || u != x->set) {
            (void)snprintf(member, sizeof member, "%s.%.*s", r->def->member, (int)x->len,
                           (const char *)x->b);
            return qr_peers_refuse_claim(j, QR_REASON_POLICY, member, x->line, x->set ? "1" : "0",
                                         path);
        }
    }
    return QR_OK;
}

static qr_err
judge_rule(const struct qr_peers_judging *j, const struct qr_peers_rule *r)
{
    char expected[QR_PEERS_SHOWN];
    uint64_t u = 0;
    int yes = 0;

    switch (r->def->op) {
    case QR_OP_BITS:
        return judge_bits(j, r);
    case QR_OP_TRUE:
        if (qr_claim_get_bool(&j->v->claims, r->def->claim, &yes) && yes) {
            return QR_OK;
        }
        (void)snprintf(expected, sizeof expected, "true");
        break;
    case QR_OP_MIN:
        if (qr_claim_get_uint(&j->v->claims, r->def->claim, &u) && u >= r->u) {
            return QR_OK;
        }
        (void)snprintf(expected, sizeof expected, "at least %" PRIu64, r->u);
        break;
    default:
        if (in_list(j, r)) {
            return QR_OK;
        }
        list_text(j, r, expected);
        break;
    }
    return qr_peers_refuse_claim(j, QR_REASON_POLICY, r->def->member, r->line, expected,
                                 r->def->claim);
}

/* ---- all of it ---- */

static qr_err
judge_section(const struct qr_peers_judging *j, const struct qr_peers_who *who,
              struct qr_peers_domain *ret)
{
    const struct qr_manifest *release = NULL;
    unsigned k = QR_KIND_MASK(j->s->kind);

    QR_TRY(judge_checks(j));
    QR_TRY(judge_debug(j));
    QR_TRY(qr_peers_judge_measurement(j, &release));
    QR_TRY(judge_machine(j));
    QR_TRY(judge_freshness(j));
    if (k & QR_KINDS_SNP) {
        QR_TRY(qr_peers_judge_amd(j, release));
    }
    if (k & QR_KINDS_INTEL) {
        QR_TRY(qr_peers_judge_intel(j));
    }
    QR_TRY(qr_peers_judge_witness(j));
    for (size_t i = 0; i < j->s->n_rules; i++) {
        QR_TRY(judge_rule(j, &j->s->rule[i]));
    }
    return qr_peers_domain_of(j, who, ret);
}

static qr_err
judge_sim(const struct qr_peers_judging *j, const struct qr_peers_who *who,
          struct qr_peers_domain *ret)
{
    if (!j->p->insecure_sim) {
        (void)qr_peers_refuse_top(j, QR_CHECK_POLICY, QR_REASON_POLICY, "insecure_sim",
                                  j->p->sim_line, "evidence of hardware", "the software TEE");
        return QR_ERR_INSECURE_SIM;
    }
    return qr_peers_domain_of(j, who, ret);
}

qr_err
qr_peers_judge(const struct qr_peers *p, enum qr_evidence_kind kind, int sim,
               const struct qr_peers_who *who, int64_t now_ms, struct qr_verdict *v,
               struct qr_peers_domain *ret_domain)
{
    struct qr_peers_judging j = {p, NULL, now_ms, v};
    struct qr_peers_domain d = {0};

    if (v->reason != QR_REASON_NONE) {
        return QR_ERR_ATTESTATION; /* its sentence says why already */
    }
    if (sim) {
        QR_TRY(judge_sim(&j, who, &d));
    } else {
        j.s = qr_peers_find(p, kind);
        if (!j.s) {
            return qr_peers_refuse_top(&j, QR_CHECK_POLICY, QR_REASON_POLICY, "platforms", p->line,
                                       p->n_sections ? "a platform that the policy names"
                                                     : "no platform",
                                       qr_evidence_kind_name(kind));
        }
        if (v->claims.overflow) {
            return qr_peers_refuse_top(&j, QR_CHECK_POLICY, QR_REASON_RESOURCE_LIMIT, "platforms",
                                       p->line, "a complete list of claims",
                                       "more than there is room for");
        }
        QR_TRY(judge_section(&j, who, &d));
    }
    qr_pass(v, QR_CHECK_POLICY);
    *ret_domain = d;
    return QR_OK;
}
