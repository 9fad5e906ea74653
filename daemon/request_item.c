/*
 * One item of a request in the native form: its kind, its members, its digest.
 */
#include "daemon/request_int.h"

#include "daemon/keccak.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"

/* The members an item may have, of all kinds. */
struct members {
    qr_view kind, preimage;
    uint64_t input, of;
    struct qr_json_at prevouts;
    int has_preimage, has_digest, has_input, has_prevouts, has_of;
};

qr_err
qr_req_derive(struct qr_request_item *item, const struct qr_json_at *at)
{
    char why[QR_ERR_TEXT_MAX] = "";
    qr_err e = QR_OK;

    switch (item->kind) {
    case QR_KIND_ETH_TX:
        e = qr_eth_tx_parse(item->preimage, &item->eth, why, sizeof why);
        qr_keccak256(item->preimage, item->digest);
        break;
    case QR_KIND_EIP712:
        e = qr_712_parse(item->preimage, &item->typed, item->digest, why, sizeof why);
        break;
    case QR_KIND_EIP191:
        qr_eip191_digest(item->preimage, item->digest);
        break;
    case QR_KIND_KECCAK256:
        qr_keccak256(item->preimage, item->digest);
        break;
    case QR_KIND_SHA256:
        qr_sha256(item->preimage, item->digest);
        break;
    case QR_KIND_SHA256D:
        qr_sha256(item->preimage, item->digest);
        qr_sha256(qr_view_of(item->digest, 32), item->digest);
        break;
    case QR_KIND_BTC_LEGACY:
    case QR_KIND_BTC_BIP143:
    case QR_KIND_DIGEST:
    case QR_KIND_COUNT:
        return QR_ERR_INTERNAL;
    }
    return e == QR_OK ? QR_OK : qr_json_fail(at, e, "%s", why);
}

/* ---- Bitcoin ---- */

static qr_err
read_prevout(struct qr_req_reader *r, const struct qr_json_at *at, struct qr_btc_prevout *ret)
{
    qr_view script, redeem = {0}, witness = {0};
    int has_redeem = 0, has_witness = 0;
    const struct qr_json_field fields[] = {
        {"sat", QR_JSON_U64, 0, QR_SAT_MAX, &ret->sat, NULL},
        {"script", QR_JSON_TEXT, 0, 2 * QR_BTC_SCRIPT_MAX, &script, NULL},
        {"redeem", QR_JSON_TEXT, 2, 2 * QR_BTC_SCRIPT_MAX, &redeem, &has_redeem},
        {"witness", QR_JSON_TEXT, 2, 2 * QR_BTC_SCRIPT_MAX, &witness, &has_witness},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    QR_TRY(qr_req_hex(r, at, "script", script, &ret->script));
    QR_TRY(qr_req_hex(r, at, "redeem", redeem, &ret->redeem));
    return qr_req_hex(r, at, "witness", witness, &ret->witness);
}

static qr_err
read_prevouts(struct qr_req_reader *r, const struct qr_json_at *list, size_t i)
{
    size_t n = qr_json_count(list);

    if (n > QR_REQ_PREVOUTS_MAX - r->n_prev) {
        return qr_json_fail(list, QR_ERR_TOO_LARGE,
                            "the transactions of one request spend more than %u outputs",
                            QR_REQ_PREVOUTS_MAX);
    }
    if (!r->prev) {
        r->prev = qr_alloc(QR_REQ_PREVOUTS_MAX * sizeof r->prev[0]);
        if (!r->prev) {
            return QR_ERR_NO_MEMORY;
        }
    }
    r->prev_at[i] = r->n_prev;
    for (size_t k = 0; k < n; k++) {
        struct qr_json_at at = qr_json_elem(list, k);
        QR_TRY(read_prevout(r, &at, &r->prev[r->n_prev++]));
    }
    return QR_OK;
}

/* The transaction and prevouts of an item before this one. */
static qr_err
take_of(struct qr_req_reader *r, const struct qr_json_at *at, const struct members *m, size_t i)
{
    struct qr_request_item *item = &r->q->items[i];

    if (m->of >= i || r->q->items[m->of].kind != item->kind) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "of: %llu is not an earlier item of kind \"%s\" (counted from 0)",
                            (unsigned long long)m->of, qr_kind_name(item->kind));
    }
    const struct qr_request_item *first = &r->q->items[m->of];
    item->preimage = first->preimage;
    item->btc.first = first->btc.first;
    r->prev_at[i] = r->prev_at[m->of];
    return QR_OK;
}

static qr_err
read_btc(struct qr_req_reader *r, const struct qr_json_at *at, const struct members *m, size_t i)
{
    struct qr_request_item *item = &r->q->items[i];
    int full = m->has_preimage && m->has_prevouts && !m->has_of;
    int of = m->has_of && !m->has_preimage && !m->has_prevouts;
    char why[QR_ERR_TEXT_MAX] = "";
    size_t n = 0;

    if (m->has_digest || !m->has_input || !(full || of)) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "kind \"%s\" takes \"preimage\", \"input\" and \"prevouts\", or "
                            "\"input\" and \"of\"",
                            qr_kind_name(item->kind));
    }
    if (of) {
        QR_TRY(take_of(r, at, m, i));
        n = r->q->items[item->btc.first].btc.n_in;
    } else {
        QR_TRY(qr_req_hex(r, at, "preimage", m->preimage, &item->preimage));
        QR_TRY(read_prevouts(r, &m->prevouts, i));
        n = qr_json_count(&m->prevouts);
        item->btc.first = (uint16_t)i;
    }
    uint16_t first = item->btc.first;
    qr_err e = qr_btc_parse(item->preimage, item->kind == QR_KIND_BTC_BIP143, (uint32_t)m->input,
                            r->prev + r->prev_at[i], n, &item->btc, item->digest, why, sizeof why);
    item->btc.first = first;
    return e == QR_OK ? QR_OK : qr_json_fail(at, e, "%s", why);
}

qr_err
qr_req_items_end(struct qr_request *q, const struct qr_json_at *items)
{
    for (size_t i = 0; i < q->n_items; i++) {
        struct qr_request_item *a = &q->items[i];
        if (a->kind != QR_KIND_BTC_BIP143 && a->kind != QR_KIND_BTC_LEGACY) {
            continue;
        }
        for (size_t k = a->btc.first; k < q->n_items; k++) {
            const struct qr_request_item *b = &q->items[k];
            if (k == i || b->kind != a->kind || b->btc.first != a->btc.first) {
                continue;
            }
            if (b->btc.input == a->btc.input) {
                const struct qr_json_at at = qr_json_elem(items, i > k ? i : k);
                return qr_json_fail(&at, QR_ERR_MALFORMED,
                                    "input %u of this transaction is signed by another item, too",
                                    (unsigned)a->btc.input);
            }
        }
        a->btc.fee_bound = a->btc.bip143 && a->btc.n_in == 1; /* why: preimage_btc.h */
    }
    return QR_OK;
}

/* ---- all kinds ---- */

qr_err
qr_req_item(struct qr_req_reader *r, const struct qr_json_at *at, size_t i)
{
    struct qr_request_item *item = &r->q->items[i];
    struct members m = {0};
    char q[QR_QUOTE_MAX];
    const struct qr_json_field fields[] = {
        {"kind", QR_JSON_TEXT, 1, 32, &m.kind, NULL},
        {"preimage", QR_JSON_TEXT, 0, 2 * QR_PREIMAGE_MAX, &m.preimage, &m.has_preimage},
        {"digest", QR_JSON_HEX, 0, 32, item->digest, &m.has_digest},
        {"input", QR_JSON_U64, 0, QR_BTC_INPUTS_MAX - 1, &m.input, &m.has_input},
        {"prevouts", QR_JSON_ARRAY, 1, QR_BTC_INPUTS_MAX, &m.prevouts, &m.has_prevouts},
        {"of", QR_JSON_U64, 0, QR_ITEMS_MAX - 1, &m.of, &m.has_of},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    if (qr_kind_parse(m.kind, &item->kind) != QR_OK) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "unknown kind \"%s\"", qr_quote(q, m.kind));
    }
    item->preimage = qr_view_of(NULL, 0);
    if (item->kind == QR_KIND_BTC_LEGACY || item->kind == QR_KIND_BTC_BIP143) {
        return read_btc(r, at, &m, i);
    }
    int wants_digest = item->kind == QR_KIND_DIGEST;
    if (m.has_digest != wants_digest || m.has_preimage == wants_digest || m.has_input ||
        m.has_prevouts || m.has_of) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "kind \"%s\" takes \"%s\" and nothing else",
                            qr_kind_name(item->kind), wants_digest ? "digest" : "preimage");
    }
    if (wants_digest) {
        return QR_OK;
    }
    QR_TRY(qr_req_hex(r, at, "preimage", m.preimage, &item->preimage));
    return qr_req_derive(item, at);
}
