#include "daemon/party_limits.h"

#include "daemon/jsonw.h"
#include "daemon/party_int.h"

#include <stdio.h>

#define RECORD "limits"

/* Honest parties that can each give out a share: with t - 1 corrupt ones every signature needs another. */
static uint32_t
divisor(const struct qr_party *p)
{
    size_t t = p->roster->n;

    for (size_t i = 0; i < p->n_keys; i++) {
        t = p->key[i].key->pub.t < t ? p->key[i].key->pub.t : t;
    }
    return (uint32_t)(p->roster->n - t + 1);
}

static int
all_heard(const struct qr_party *p)
{
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i != p->self && !(p->heard >> (i - 1) & 1)) {
            return 0;
        }
    }
    return 1;
}

static void
open_if_heard(struct qr_party *p)
{
    if (p->budget && qr_budget_shut(p->budget) && all_heard(p)) {
        qr_budget_open(p->budget);
        qr_party_log(
            QR_LOG_INFO, "limits_open", 0,
            "all other parties were heard of and know no later state of this store: what is "
            "left of the limits may be used");
    }
}

qr_err
qr_limits_make(struct qr_party *p, const struct qr_policy *next, struct qr_budget **ret)
{
    size_t n = qr_policy_n_limits(next);
    struct qr_budget *b = NULL;
    qr_view record = {NULL, 0};
    uint8_t *mem = NULL;
    qr_err e = QR_OK;

    if (!p->budget) {
        mem = qr_alloc(QR_BUDGET_RECORD_MAX);
        if (!mem) {
            return QR_ERR_NO_MEMORY;
        }
        struct qr_buf buf = qr_buf_over(mem, QR_BUDGET_RECORD_MAX);
        e = qr_store_get(p->env.store, QR_TABLE_META, RECORD, &buf);
        if (e == QR_OK) {
            record = qr_buf_view(&buf);
        }
        e = e == QR_ERR_NOT_FOUND ? QR_OK : e;
    }
    if (e == QR_OK) {
        e = qr_budget_new(n ? qr_policy_limit(next, 0) : NULL, n, divisor(p), record, !all_heard(p),
                          &b);
    }
    qr_free(mem);
    if (e != QR_OK) {
        return e;
    }
    if (p->budget) {
        qr_budget_inherit(b, p->budget);
    }
    *ret = b;
    return QR_OK;
}

void
qr_limits_set(struct qr_party *p, struct qr_budget *b)
{
    qr_budget_free(p->budget);
    p->budget = b;
}

void
qr_limits_close(struct qr_party *p)
{
    p->budget = qr_budget_free(p->budget);
}

void
qr_limits_heard(struct qr_party *p, uint16_t peer)
{
    uint16_t bit = (uint16_t)(1u << (peer - 1));

    if (!(p->heard & bit)) {
        p->heard |= bit;
        open_if_heard(p);
    }
}

void
qr_limits_time(struct qr_party *p)
{
    int64_t lower = p->attest.clock.lower_ms;

    if (!p->budget) {
        return;
    }
    qr_budget_divide(p->budget, divisor(p));
    /* Signed dates alone say nothing of now: as many clocks as a quorum has. */
    if (lower >= 0 && p->attest.clock.upper_ms != INT64_MAX) {
        qr_budget_time(p->budget, lower, (int64_t)p->started_ms);
    }
}

qr_err
qr_limits_take(struct qr_party *p, const struct qr_policy_says *says)
{
    struct qr_dbuf rec;
    int write = 0;

    if (says->n_charges == 0) {
        return QR_OK;
    }
    QR_TRY(qr_budget_take(p->budget, says->charge, says->n_charges, &write));
    if (!write) {
        return QR_OK;
    }
    qr_dbuf_init(&rec, QR_BUDGET_RECORD_MAX);
    qr_err e = qr_budget_record(p->budget, &rec);
    if (e == QR_OK) {
        e = qr_state_put(p, QR_TABLE_META, RECORD, qr_view_of(rec.p, rec.len));
    }
    qr_dbuf_free(&rec);
    if (e != QR_OK) {
        qr_budget_fail(p->budget);
        qr_party_log(
            QR_LOG_ERROR, "limits_lost", 0,
            "the store did not take what the limits have given out (%s): nothing that a limit "
            "allows is signed until this party was restarted",
            qr_err_text(e));
    }
    return e;
}

void
qr_limits_status(const struct qr_party *p, struct qr_jsonw *w)
{
    qr_jsonw_raw(w, "\"budgets\":[");
    for (size_t i = 0; p->budget && i < qr_policy_n_limits(p->policy); i++) {
        const struct qr_limit *l = qr_policy_limit(p->policy, i);
        struct qr_budget_state s;
        char text[QR_U256_TEXT];

        qr_budget_state(p->budget, i, &s);
        qr_jsonw_raw(w, i ? ",{\"rule\":" : "{\"rule\":");
        qr_jsonw_str(w, qr_view_str(l->rule));
        qr_jsonw_raw(w, ",\"what\":");
        qr_jsonw_str(w, qr_view_str(qr_unit_name(l->unit)));
        qr_jsonw_raw(w, ",\"window_s\":");
        qr_jsonw_u64(w, l->window_s);
        qr_u256_text(&s.used, text);
        qr_jsonw_raw(w, ",\"used\":\"");
        qr_jsonw_raw(w, text);
        qr_u256_text(&s.share, text);
        qr_jsonw_raw(w, "\",\"share\":\"");
        qr_jsonw_raw(w, text);
        qr_jsonw_raw(w, "\",\"turns_ms\":");
        qr_jsonw_u64(w, s.turns_ms > 0 ? (uint64_t)s.turns_ms : 0);
        qr_jsonw_raw(w, ",\"open\":");
        qr_jsonw_bool(w, !s.shut);
        qr_jsonw_raw(w, "}");
    }
    qr_jsonw_raw(w, "]");
}
