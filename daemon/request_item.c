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
        return qr_json_fail(at, QR_ERR_MALFORMED, "kind \"%s\" is not known yet",
                            qr_kind_name(item->kind));
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

qr_err
qr_req_items_end(struct qr_request *q, const struct qr_json_at *items)
{
    for (size_t i = 0; i < q->n_items; i++) {
        struct qr_request_item *a = &q->items[i];
        if (a->kind != QR_KIND_BTC_BIP143 && a->kind != QR_KIND_BTC_LEGACY) {
            continue;
        }
        size_t signed_here = 1;
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
            signed_here++;
        }
        a->btc.fee_bound = a->btc.bip143 && signed_here == a->btc.n_in;
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
        return qr_json_fail(at, QR_ERR_MALFORMED, "kind \"%s\" is not known yet",
                            qr_kind_name(item->kind));
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
