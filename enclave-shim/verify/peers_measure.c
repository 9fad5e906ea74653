/*
 * Which measurement set accepts: the policy's own, then those of each manifest in the order in
 * which they were added. When none does, the sentence is about the one that came closest.
 */
#include "enclave-shim/verify/peers_int.h"

#include <stdio.h>

struct search {
    const struct qr_peers_judging *j;
    unsigned sets; /* for this platform */
    /* The best so far that does not accept. */
    const struct qr_measurement *near;
    const struct qr_manifest *near_of;
    const struct qr_expect *miss;
    size_t near_good;
    int near_in_force;
    const char *revoker; /* release that revokes near_of */
};

static int
in_force(const struct qr_measurement *m, int64_t now_ms)
{
    return now_ms >= 0 && m->from_ms <= now_ms && now_ms < m->until_ms;
}

/* The release of another manifest that revokes this one, or NULL. */
static const char *
revoker_of(const struct qr_peers *p, const struct qr_manifest *m)
{
    for (size_t i = 0; i < p->n_manifests; i++) {
        if (qr_manifest_revokes(p->manifest[i], qr_manifest_release(m))) {
            return qr_manifest_release(p->manifest[i]);
        }
    }
    return NULL;
}

/* 1: accepts. */
static int
look(struct search *s, const struct qr_measurement *m, const struct qr_manifest *of)
{
    const struct qr_expect *miss = NULL;

    if (m->kind != s->j->s->kind) {
        return 0;
    }
    s->sets++;
    const char *revoker = of ? revoker_of(s->j->p, of) : NULL;
    int force = in_force(m, s->j->now_ms) && !revoker;
    size_t good = qr_measure_match(m, &s->j->v->claims, &miss);
    if (!miss && force) {
        return 1;
    }
    /* A whole match that is out of force tells more than half a match in force. */
    size_t rank = (miss ? good : m->n + QR_EXPECT_MAX) * 2 + (size_t)force;
    size_t best = s->near ? (s->miss ? s->near_good : s->near->n + QR_EXPECT_MAX) * 2 +
                                (size_t)s->near_in_force
                          : 0;
    if (!s->near || rank > best) {
        s->near = m;
        s->near_of = of;
        s->miss = miss;
        s->near_good = good;
        s->near_in_force = force;
        s->revoker = revoker;
    }
    return 0;
}

static qr_err
refuse(const struct search *s, enum qr_reason r, const char *part, unsigned line,
       const char *expected, const char *found)
{
    struct qr_peers_judging top = *s->j;
    char rule[2 * QR_NAME_MAX + 64];

    top.s = NULL;
    if (s->near_of) {
        (void)snprintf(rule, sizeof rule, "measurements.%s%s of manifest %s", s->near->name, part,
                       qr_manifest_release(s->near_of));
    } else {
        (void)snprintf(rule, sizeof rule, "measurements.%s%s", s->near->name, part);
    }
    return qr_peers_refuse(&top, QR_CHECK_MEASUREMENT, r, rule, line, expected, found);
}

static qr_err
refuse_dates(const struct search *s)
{
    char expected[80], from[21], until[21] = "", now[21] = "no known time";

    qr_time_print(s->near->from_ms, from);
    if (s->near->until_ms != INT64_MAX) {
        qr_time_print(s->near->until_ms, until);
    }
    if (s->j->now_ms >= 0) {
        qr_time_print(s->j->now_ms, now);
    }
    (void)snprintf(expected, sizeof expected, "a time from %s%s%s", from, until[0] ? " until " : "",
                   until);
    return refuse(s, QR_REASON_MEASUREMENT, "", s->near->line, expected, now);
}

/* SGX: signer, product and version together stand for a measurement. */
static const struct qr_peers_signer *
signer_of(const struct qr_peers_judging *j, int *ret_good)
{
    const struct qr_peers_signer *near = NULL;
    const struct qr_claimset *c = &j->v->claims;
    uint64_t prod = 0, svn = 0;
    qr_view signer;

    *ret_good = 0;
    for (size_t i = 0; i < j->s->n_signers; i++) {
        const struct qr_peers_signer *x = &j->s->signer[i];
        if (!qr_claim_get_hex(c, "body.mrsigner", &signer) ||
            !qr_view_eq(signer, qr_view_of(x->mrsigner, sizeof x->mrsigner))) {
            continue;
        }
        near = near ? near : x;
        if (qr_claim_get_uint(c, "body.isv_prod_id", &prod) && prod == x->isv_prod_id &&
            qr_claim_get_uint(c, "body.isv_svn", &svn) && svn >= x->min_isv_svn) {
            *ret_good = 1;
            return x;
        }
    }
    return near;
}

static qr_err
refuse_signer(const struct qr_peers_judging *j, const struct qr_peers_signer *x)
{
    char expected[96], found[2 * QR_PEERS_SHOWN], a[QR_PEERS_SHOWN], b[QR_PEERS_SHOWN];

    (void)snprintf(expected, sizeof expected, "isv_prod_id %u and isv_svn of at least %u",
                   x->isv_prod_id, x->min_isv_svn);
    (void)snprintf(found, sizeof found, "%.60s and %.60s",
                   qr_peers_show(&j->v->claims, "body.isv_prod_id", a),
                   qr_peers_show(&j->v->claims, "body.isv_svn", b));
    return qr_peers_refuse(j, QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT, "signers", x->line,
                           expected, found);
}

static qr_err
refuse_none(const struct qr_peers_judging *j)
{
    struct qr_peers_judging top = *j;
    char expected[96];

    if (j->s->n_signers > 0) {
        char found[QR_PEERS_SHOWN];
        return qr_peers_refuse(j, QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT, "signers",
                               j->s->signer[0].line, "a listed mrsigner",
                               qr_peers_show(&j->v->claims, "body.mrsigner", found));
    }
    top.s = NULL;
    (void)snprintf(expected, sizeof expected, "a measurement set for %s",
                   qr_evidence_kind_name(j->s->kind));
    return qr_peers_refuse(&top, QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT, "measurements",
                           j->p->sets_line ? j->p->sets_line : j->p->line, expected,
                           "none: no manifest was loaded");
}

qr_err
qr_peers_judge_measurement(const struct qr_peers_judging *j,
                           const struct qr_manifest **ret_manifest)
{
    const struct qr_peers *p = j->p;
    struct search s = {.j = j};
    int good = 0;

    *ret_manifest = NULL;
    const struct qr_peers_signer *signer = signer_of(j, &good);
    for (size_t i = 0; i < p->n_sets && !good; i++) {
        good = look(&s, &p->set[i], NULL);
    }
    for (size_t m = 0; m < p->n_manifests && !good; m++) {
        for (size_t i = 0; i < qr_manifest_n(p->manifest[m]) && !good; i++) {
            good = look(&s, qr_manifest_get(p->manifest[m], i), p->manifest[m]);
            *ret_manifest = good ? p->manifest[m] : NULL;
        }
    }
    if (good) {
        qr_pass(j->v, QR_CHECK_MEASUREMENT);
        return QR_OK;
    }
    if (signer) {
        return refuse_signer(j, signer);
    }
    if (!s.near) {
        return refuse_none(j);
    }
    if (s.miss) {
        char part[40], expected[QR_PEERS_SHOWN], found[QR_PEERS_SHOWN];
        (void)snprintf(part, sizeof part, ".%s", s.miss->path);
        return refuse(&s, QR_REASON_MEASUREMENT, part, s.miss->line,
                      qr_peers_show_bytes(qr_view_of(s.miss->bytes, s.miss->len), expected),
                      qr_peers_show(&j->v->claims, s.miss->path, found));
    }
    if (s.revoker) {
        char found[QR_NAME_MAX + 32];
        (void)snprintf(found, sizeof found, "that release %s revokes it", s.revoker);
        return refuse(&s, QR_REASON_REVOKED, "", s.near->line, "a release in force", found);
    }
    return refuse_dates(&s);
}
