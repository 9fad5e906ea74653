/* Rules that are particular to a maker of processors: minimum firmware, statuses and advisories. */
#include "enclave-shim/verify/peers_int.h"

#include <stdio.h>

#define DEFAULT_MAX_VMPL 0u

/* ---- AMD ---- */

static qr_err
judge_tcb(const struct qr_peers_judging *j, const char *tcb, const char *rule,
          const struct qr_min_tcb *m, const char *release)
{
    const struct {
        const char *name;
        uint8_t min;
        int counts;
    } part[] = {
        {"bootloader", m->bootloader, 1}, {"tee", m->tee, 1},          {"snp", m->snp, 1},
        {"microcode", m->microcode, 1},   {"fmc", m->fmc, m->has_fmc},
    };
    for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
        char path[64], expected[96], member[128];
        uint64_t u = 0;
        (void)snprintf(path, sizeof path, "%s.%s", tcb, part[i].name);
        if (!part[i].counts || (qr_claim_get_uint(&j->v->claims, path, &u) && u >= part[i].min)) {
            continue;
        }
        (void)snprintf(expected, sizeof expected, "%s of at least %u", path, part[i].min);
        if (release) {
            (void)snprintf(member, sizeof member, "minimum_tcb of manifest %s", release);
            char found[QR_PEERS_SHOWN];
            return qr_peers_refuse_top(j, QR_CHECK_POLICY, QR_REASON_TCB, member, m->line, expected,
                                       qr_peers_show(&j->v->claims, path, found));
        }
        (void)snprintf(member, sizeof member, "%s.%s", rule, m->product);
        return qr_peers_refuse_claim(j, QR_REASON_TCB, member, m->line, expected, path);
    }
    return QR_OK;
}

/* What runs is what was reported, and what it cannot go back behind is what was committed. */
static qr_err
judge_both_tcbs(const struct qr_peers_judging *j, const struct qr_min_tcb *m, const char *release)
{
    QR_TRY(judge_tcb(j, "reported_tcb", "products", m, release));
    return judge_tcb(j, "committed_tcb", "products", m, release);
}

qr_err
qr_peers_judge_amd(const struct qr_peers_judging *j, const struct qr_manifest *release)
{
    const struct qr_peers_section *s = j->s;
    const struct qr_min_tcb *m = NULL;
    uint64_t u = 0;
    qr_view product;

    if (!qr_claim_get_text(&j->v->claims, "product", &product)) {
        product = qr_view_of("", 0);
    }
    for (size_t i = 0; i < s->n_products && !m; i++) {
        m = qr_view_eq(product, qr_view_str(s->product[i].product)) ? &s->product[i] : NULL;
    }
    if (!m) {
        char expected[QR_PEERS_SHOWN];
        size_t len = 0;
        for (size_t i = 0; i < s->n_products && len < sizeof expected; i++) {
            int n = snprintf(expected + len, sizeof expected - len, "%s%s", i ? " or " : "",
                             s->product[i].product);
            len += n > 0 ? (size_t)n : 0;
        }
        return qr_peers_refuse_claim(j, QR_REASON_POLICY, "products", s->product[0].line, expected,
                                     "product");
    }
    QR_TRY(judge_both_tcbs(j, m, NULL));
    m = release ? qr_manifest_min_tcb(release, product) : NULL;
    if (m) {
        QR_TRY(judge_both_tcbs(j, m, qr_manifest_release(release)));
    }
    if (!qr_peers_rule_named(s, "vmpl") &&
        (!qr_claim_get_uint(&j->v->claims, "vmpl", &u) || u > DEFAULT_MAX_VMPL)) {
        return qr_peers_refuse_claim(j, QR_REASON_POLICY, "vmpl", s->line, "0", "vmpl");
    }
    /* A migration agent could carry the guest to a machine that nobody judged. */
    if (!qr_claim_get_uint(&j->v->claims, "policy_bits.migrate_ma", &u) || u != 0) {
        return qr_peers_refuse_claim(j, QR_REASON_POLICY, "guest_policy.migrate_ma", s->line, "0",
                                     "policy_bits.migrate_ma");
    }
    return QR_OK;
}

/* ---- Intel ---- */

/* The next "..." of a JSON array of strings that a verifier wrote; 0: there is none. */
static int
next_string(qr_view json, size_t *at, qr_view *ret)
{
    while (*at < json.len && json.p[*at] != '"') {
        (*at)++;
    }
    if (*at >= json.len) {
        return 0;
    }
    size_t from = ++(*at);
    while (*at < json.len && json.p[*at] != '"') {
        *at += json.p[*at] == '\\' ? 2 : 1;
    }
    if (*at >= json.len) {
        return 0;
    }
    *ret = qr_view_of(json.p + from, *at - from);
    (*at)++;
    return 1;
}

static qr_err
refuse_advisory(const struct qr_peers_judging *j, const struct qr_peers_status *x, qr_view advisory)
{
    char member[96], q[QR_QUOTE_MAX];
    (void)snprintf(member, sizeof member, "statuses.%s.advisories", x->word);
    return qr_peers_refuse(j, QR_CHECK_POLICY, QR_REASON_TCB, member, x->line,
                           x->advisories.n ? "listed advisories only" : "no advisory",
                           qr_quote(q, advisory));
}

/* All advisories of level, module and quoting enclave are in one claim, an array as JSON text. */
static qr_err
judge_advisories(const struct qr_peers_judging *j, const struct qr_peers_status *x)
{
    const struct qr_claim *c = qr_claim_find(&j->v->claims, "tcb.advisories");
    qr_view v;
    size_t at = 0;

    if (!c || c->type != QR_CLAIM_JSON) {
        return qr_peers_refuse_claim(j, QR_REASON_TCB, "statuses", x->line, "a list of advisories",
                                     "tcb.advisories");
    }
    while (next_string(c->v, &at, &v)) {
        if (!qr_peers_list_has(j->p, &x->advisories, v)) {
            return refuse_advisory(j, x, v);
        }
    }
    return QR_OK;
}

/* The entry that takes this status of this platform now, or the first of that word. */
static const struct qr_peers_status *
status_of(const struct qr_peers_judging *j, qr_view word, int *ret_good)
{
    const struct qr_peers_status *first = NULL;
    qr_view fmspc;

    *ret_good = 0;
    for (size_t i = 0; i < j->s->n_statuses; i++) {
        const struct qr_peers_status *x = &j->s->status[i];
        if (!qr_view_eq(word, qr_view_str(x->word))) {
            continue;
        }
        first = first ? first : x;
        int in_time = x->until_ms == INT64_MAX || (j->now_ms >= 0 && j->now_ms < x->until_ms);
        int here = x->fmspcs.n == 0 || (qr_claim_get_hex(&j->v->claims, "pck.fmspc", &fmspc) &&
                                        qr_peers_list_has(j->p, &x->fmspcs, fmspc));
        if (in_time && here) {
            *ret_good = 1;
            return x;
        }
    }
    return first;
}

qr_err
qr_peers_judge_intel(const struct qr_peers_judging *j)
{
    qr_view word;
    uint64_t u = 0;
    int good = 0;

    if (!qr_claim_get_text(&j->v->claims, "tcb.final_status", &word)) {
        word = qr_view_of("", 0);
    }
    const struct qr_peers_status *x = status_of(j, word, &good);
    if (!x) {
        char expected[QR_PEERS_SHOWN];
        (void)snprintf(expected, sizeof expected, "%s%s", j->s->status[0].word,
                       j->s->n_statuses > 1 ? " or another listed status" : "");
        return qr_peers_refuse_claim(j, QR_REASON_TCB, "statuses", j->s->status[0].line, expected,
                                     "tcb.final_status");
    }
    if (!good) {
        char member[96], found[QR_PEERS_SHOWN];
        (void)snprintf(member, sizeof member, "statuses.%s", x->word);
        int late = x->fmspcs.n == 0 || j->now_ms < 0 || j->now_ms >= x->until_ms;
        if (late && j->now_ms >= 0) {
            char now[21];
            qr_time_print(j->now_ms, now);
            (void)snprintf(found, sizeof found, "%s", now);
        } else if (late) {
            (void)snprintf(found, sizeof found, "no known time");
        } else {
            char shown[QR_PEERS_SHOWN];
            (void)snprintf(found, sizeof found, "FMSPC %.60s",
                           qr_peers_show(&j->v->claims, "pck.fmspc", shown));
        }
        return qr_peers_refuse(j, QR_CHECK_POLICY, QR_REASON_TCB, member, x->line,
                               late ? "a time before its \"until\"" : "one of its FMSPCs", found);
    }
    QR_TRY(judge_advisories(j, x));
    /* A TD that migrates is carried to a machine that nobody judged. */
    const struct qr_peers_rule *bits = qr_peers_rule_named(j->s, "td_attributes");
    int told = 0;
    for (size_t i = 0; bits && i < bits->list.n; i++) {
        const struct qr_peers_value *v = &j->p->value[bits->list.first + i];
        told |= qr_view_eq(qr_view_of(v->b, v->len), qr_view_str("migratable"));
    }
    if (j->s->kind != QR_EV_SGX && !told &&
        (!qr_claim_get_uint(&j->v->claims, "body.td_attr_bits.migratable", &u) || u != 0)) {
        return qr_peers_refuse_claim(j, QR_REASON_POLICY, "td_attributes.migratable", j->s->line,
                                     "0", "body.td_attr_bits.migratable");
    }
    return QR_OK;
}
