#include "test/common/dcapkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

void
dcapkit_init(struct dcapkit *k, enum evgen_dcap_kind kind)
{
    memset(k, 0, offsetof(struct dcapkit, mem));
    k->mem_len = 0;
    evgen_dcap_default(&k->d, kind);
    evjudge_init(&k->j, kind >= EVGEN_TDX_V4 ? QR_EV_TDX : QR_EV_SGX);
}

uint8_t *
dcapkit_mem(struct dcapkit *k, size_t n)
{
    assert_true(n <= sizeof k->mem - k->mem_len);
    uint8_t *p = k->mem + k->mem_len;
    k->mem_len += n;
    memset(p, 0, n);
    return p;
}

void
dcapkit_replace(struct dcapkit *k, enum qr_part part, qr_view v)
{
    assert_true(k->n_replaced < DCAPKIT_REPLACED);
    if (v.p) {
        uint8_t *p = dcapkit_mem(k, v.len);
        memmove(p, v.p, v.len);
        v.p = p;
    }
    k->replaced[k->n_replaced].part = part;
    k->replaced[k->n_replaced++].v = v;
}

/* Past qr_evidence_add on purpose: what is too large must reach the door. */
static void
put_item(struct qr_evidence *e, enum qr_part part, qr_view v)
{
    size_t at = 0;
    while (at < e->n && e->item[at].part < part) {
        at++;
    }
    if (at == e->n || e->item[at].part != part) {
        assert_true(e->n < QR_ITEMS_OF_EVIDENCE);
        memmove(&e->item[at + 1], &e->item[at], (e->n - at) * sizeof e->item[0]);
        e->n++;
    }
    e->item[at] = (struct qr_item){.part = part, .bytes = v};
    if (!v.p) {
        e->n--;
        memmove(&e->item[at], &e->item[at + 1], (e->n - at) * sizeof e->item[0]);
    }
}

void
dcapkit_run(struct dcapkit *k, unsigned i)
{
    evgen_dcap_make(&k->d, &k->out);
    k->j.e.n = 0;
    if (k->finish) {
        k->finish(k, i);
    }
    evgen_dcap_add(&k->out, &k->j.e);
    for (size_t r = 0; r < k->n_replaced; r++) {
        put_item(&k->j.e, k->replaced[r].part, k->replaced[r].v);
    }
    memset(&k->j.roots, 0, sizeof k->j.roots);
    if (!k->unpinned) {
        evgen_dcap_pin(&k->out, &k->j.roots);
    }
    evjudge_run(&k->j);
}

qr_view
dcapkit_item(const struct dcapkit *k, enum qr_part part)
{
    return qr_evidence_get(&k->j.e, part);
}

/* ---- negatives ---- */

void
dcapneg_apply(struct dcapkit *k, const struct dcapneg_edit *e)
{
    static struct evgen_dcap_out plain;
    evgen_dcap_make(&k->d, &plain);
    const char *text = (const char *)(e->qe ? plain.qe : plain.tcb);
    size_t len = e->qe ? plain.qe_len : plain.tcb_len;
    size_t from = strlen(e->from), to = strlen(e->to);
    char *out = (char *)dcapkit_mem(k, len + to + 1);
    const char *at = memmem(text, len, e->from, from);
    if (!at) {
        fail_msg("there is no %s to edit", e->from);
        return;
    }
    size_t head = (size_t)(at - text);
    memcpy(out, text, head);
    memcpy(out + head, e->to, to);
    memcpy(out + head + to, at + from, len - head - from);
    if (e->qe) {
        k->d.qe_identity.text = out;
    } else {
        k->d.tcb.text = out;
    }
}

static const char *
words(const struct evjudge *j)
{
    static char text[512];
    (void)snprintf(text, sizeof text, "%s at %s: %s", qr_reason_word(j->v.reason),
                   qr_check_name(j->v.failed), j->v.sentence);
    return text;
}

static void
refused(const struct dcapkit *k, const char *name, unsigned i, enum qr_check check,
        enum qr_reason reason, struct dcapneg_tally *t)
{
    char all[160];
    (void)snprintf(all, sizeof all, "%s #%u", name, i);
    if (k->j.err == QR_OK) {
        fail_msg("%s: accepted", all);
    }
    if (check == QR_CHECK_EVENT_LOG) { /* its sentences are of another verifier's file */
        if (k->j.v.failed != check || k->j.v.reason != reason) {
            fail_msg("%s: found %s", all, words(&k->j));
        }
    } else {
        evjudge_refused(&k->j, all, check, reason);
    }
    t->documents++;
    t->check[check]++;
}

/* The kinds of a platform in turn, so that each rule meets more than one form over the run. */
static enum evgen_dcap_kind
kind_for(int platform, int fixed, unsigned turn)
{
    static const enum evgen_dcap_kind sgx[] = {EVGEN_SGX_V3, EVGEN_SGX_V4, EVGEN_SGX_V5};
    static const enum evgen_dcap_kind tdx[] = {EVGEN_TDX_V4, EVGEN_TDX_V5_10, EVGEN_TDX_V5_15};
    return fixed                  ? (enum evgen_dcap_kind)(fixed - 1)
           : platform == DCAP_SGX ? sgx[turn % 3]
                                  : tdx[turn % 3];
}

static void
run_rules(int platform, const struct dcapkit_rule *r, size_t n, struct dcapneg_tally *t)
{
    static struct dcapkit k;
    for (size_t a = 0; a < n; a++) {
        if (!(r[a].platforms & platform)) {
            continue;
        }
        for (unsigned i = 0; i < r[a].n; i++) {
            dcapkit_init(&k, kind_for(platform, r[a].kind, (unsigned)t->documents));
            r[a].change(&k, i);
            dcapkit_run(&k, i);
            refused(&k, r[a].name, i, r[a].check, r[a].reason, t);
            t->line[r[a].line]++;
        }
    }
}

void
dcapneg_run_all(int platform, struct dcapneg_tally *ret)
{
    static struct dcapkit k;
    memset(ret, 0, sizeof *ret);
    run_rules(platform, dcapneg_quote, n_dcapneg_quote, ret);
    run_rules(platform, dcapneg_chain, n_dcapneg_chain, ret);
    run_rules(platform, dcapneg_collateral, n_dcapneg_collateral, ret);
    run_rules(platform, dcapneg_tcb, n_dcapneg_tcb, ret);
    run_rules(platform, dcapneg_platform, n_dcapneg_platform, ret);
    for (size_t i = 0; i < n_dcapneg_edits; i++) {
        const struct dcapneg_edit *e = &dcapneg_edits[i];
        if (e->platforms & platform) {
            dcapkit_init(&k, kind_for(platform, e->kind, (unsigned)ret->documents));
            dcapneg_apply(&k, e);
            dcapkit_run(&k, 0);
            refused(&k, e->to[0] ? e->to : e->from, (unsigned)i, QR_CHECK_COLLATERAL, e->reason,
                    ret);
        }
    }
}

void
dcapneg_assert(const struct dcapneg_tally *t, size_t at_least, const enum qr_check *checks,
               size_t n)
{
    assert_true(t->documents >= at_least);
    for (size_t i = 0; i < n; i++) {
        if (t->check[checks[i]] < 3) {
            fail_msg("check %s refused %u documents only", qr_check_name(checks[i]),
                     t->check[checks[i]]);
        }
    }
    printf("%zu documents refused:", t->documents);
    for (unsigned c = 0; c < QR_CHECK_COUNT; c++) {
        if (t->check[c]) {
            printf(" %s %u", qr_check_name((enum qr_check)c), t->check[c]);
        }
    }
    printf("\n");
}
