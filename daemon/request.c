#include "daemon/request.h"

#include "daemon/keccak.h"
#include "proto/json_strict.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"

#include <stdio.h>

#define HASH_PREFIX "quorate/sign-request/v1"

/* 9 members, a path, items of three values each. */
#define REQUEST_VALUES (16u + QR_PATH_MAX + 3u * QR_ITEMS_MAX)

static const char *const kind_names[QR_KIND_COUNT] = {
    [QR_KIND_ETH_TX] = "eth_tx",         [QR_KIND_EIP191] = "eip191",
    [QR_KIND_EIP712] = "eip712",         [QR_KIND_BTC_LEGACY] = "btc_legacy",
    [QR_KIND_BTC_BIP143] = "btc_bip143", [QR_KIND_KECCAK256] = "keccak256",
    [QR_KIND_SHA256] = "sha256",         [QR_KIND_SHA256D] = "sha256d",
    [QR_KIND_DIGEST] = "digest",
};

const char *
qr_kind_name(enum qr_kind k)
{
    return (unsigned)k < QR_KIND_COUNT ? kind_names[k] : "unknown";
}

qr_err
qr_kind_parse(qr_view name, enum qr_kind *ret)
{
    for (int k = 0; k < QR_KIND_COUNT; k++) {
        if (qr_view_eq(name, qr_view_str(kind_names[k]))) {
            *ret = (enum qr_kind)k;
            return QR_OK;
        }
    }
    return QR_ERR_MALFORMED;
}

/* Hashes prefix || length || body, laid out in mem (FRAME_MAX(body.len) bytes). */
#define FRAME_MAX(len) (sizeof HASH_PREFIX - 1 + 4 + (len))

static void
hash_in(uint8_t *mem, qr_view body, uint8_t ret[static 32])
{
    size_t n = sizeof HASH_PREFIX - 1;

    memcpy(mem, HASH_PREFIX, n);
    qr_put32(mem + n, (uint32_t)body.len);
    memcpy(mem + n + 4, body.p, body.len);
    qr_sha256(qr_view_of(mem, n + 4 + body.len), ret);
}

qr_err
qr_request_hash(qr_view body, uint8_t ret[static 32])
{
    if (body.len == 0 || body.len > QR_BODY_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    uint8_t *mem = qr_alloc(FRAME_MAX(body.len));
    if (!mem) {
        return QR_ERR_NO_MEMORY;
    }
    hash_in(mem, body, ret);
    qr_free(mem);
    return QR_OK;
}

/* What is being read, besides the result. */
struct reader {
    struct qr_request *q;
    uint8_t *scratch; /* for one preimage: as long as the body, so twice what hex can give */
};

static qr_err
derive(struct qr_request_item *item, qr_view preimage, const struct qr_json_at *at)
{
    char why[128];

    switch (item->kind) {
    case QR_KIND_ETH_TX:
        if (qr_eth_tx_parse(preimage, &item->eth, why, sizeof why) != QR_OK) {
            return qr_json_fail(at, QR_ERR_PREIMAGE, "%s", why);
        }
        item->eth.data = qr_view_of(NULL, 0); /* the bytes do not outlive this call */
        qr_keccak256(preimage, item->digest);
        return QR_OK;
    case QR_KIND_EIP191:
        qr_eip191_digest(preimage, item->digest);
        return QR_OK;
    case QR_KIND_KECCAK256:
        qr_keccak256(preimage, item->digest);
        return QR_OK;
    case QR_KIND_SHA256:
        qr_sha256(preimage, item->digest);
        return QR_OK;
    case QR_KIND_SHA256D:
        qr_sha256(preimage, item->digest);
        qr_sha256(qr_view_of(item->digest, 32), item->digest);
        return QR_OK;
    case QR_KIND_EIP712:
    case QR_KIND_BTC_LEGACY:
    case QR_KIND_BTC_BIP143:
        return qr_json_fail(at, QR_ERR_MALFORMED, "kind \"%s\" is not known yet",
                            qr_kind_name(item->kind));
    case QR_KIND_DIGEST:
    case QR_KIND_COUNT:
        break;
    }
    return QR_ERR_INTERNAL;
}

static qr_err
read_item(struct reader *r, const struct qr_json_at *at, struct qr_request_item *item)
{
    qr_view kind, hex;
    int has_preimage = 0, has_digest = 0;
    char q[QR_QUOTE_MAX];
    const struct qr_json_field fields[] = {
        {"kind", QR_JSON_TEXT, 1, 32, &kind, NULL},
        {"preimage", QR_JSON_TEXT, 0, 2 * QR_PREIMAGE_MAX, &hex, &has_preimage},
        {"digest", QR_JSON_HEX, 0, 32, item->digest, &has_digest},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    if (qr_kind_parse(kind, &item->kind) != QR_OK) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "unknown kind \"%s\"", qr_quote(q, kind));
    }
    int wants_digest = item->kind == QR_KIND_DIGEST;
    if (has_digest != wants_digest || has_preimage == wants_digest) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "kind \"%s\" takes \"%s\" and nothing else",
                            qr_kind_name(item->kind), wants_digest ? "digest" : "preimage");
    }
    r->q->kinds |= QR_KIND_BIT(item->kind);
    if (wants_digest) {
        return QR_OK;
    }
    size_t len = hex.len / 2;
    if (qr_hex_decode((const char *)hex.p, hex.len, r->scratch, len) != QR_OK) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "preimage must be lower-case hex with an even number of digits");
    }
    return derive(item, qr_view_of(r->scratch, len), at);
}

static qr_err
read_path(const struct qr_json_at *list, struct qr_request *q)
{
    q->depth = qr_json_count(list);
    for (size_t i = 0; i < q->depth; i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        uint64_t v = 0;
        const struct qr_json_field f = {"", QR_JSON_U64, 0, UINT32_MAX, &v, NULL};
        QR_TRY(qr_json_value(&at, &f));
        if (v >= 0x80000000u) {
            return qr_json_fail(&at, QR_ERR_HARDENED,
                                "%llu is a hardened index; a shared key has none",
                                (unsigned long long)v);
        }
        q->path[i] = (uint32_t)v;
    }
    return QR_OK;
}

static qr_err
read_request(struct reader *r, struct qr_json *j, char *detail, size_t detail_cap)
{
    struct qr_request *q = r->q;
    struct qr_json_at root = qr_json_root(j), path, items;
    qr_view id;
    const struct qr_json_field fields[] = {
        {"v", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"cluster", QR_JSON_HEX, 0, 32, q->cluster, NULL},
        {"key", QR_JSON_HEX, 0, 33, q->key, NULL},
        {"id", QR_JSON_ID, QR_ID_MIN, QR_ID_MAX, &id, NULL},
        {"issued_ms", QR_JSON_U64, 0, INT64_MAX, &q->window.issued_ms, NULL},
        {"expires_ms", QR_JSON_U64, 0, INT64_MAX, &q->window.expires_ms, NULL},
        {"path", QR_JSON_ARRAY, 0, QR_PATH_MAX, &path, NULL},
        {"items", QR_JSON_ARRAY, 1, QR_ITEMS_MAX, &items, NULL},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_head(&root, NULL));
    QR_TRY(qr_json_fields(&root, fields));
    if (q->key[0] != 2 && q->key[0] != 3) {
        return qr_json_fail(&root, QR_ERR_MALFORMED,
                            "key must be a compressed point (66 hex digits, 02 or 03 first)");
    }
    q->form = QR_FORM_NATIVE;
    q->cluster_len = sizeof q->cluster;
    q->by_address = 0;
    memcpy(q->id, id.p, id.len);
    q->id[id.len] = 0;
    QR_TRY(qr_window_valid(&q->window, QR_APPROVAL_LIFE_MS, detail, detail_cap));
    QR_TRY(read_path(&path, q));
    q->kinds = 0;
    q->n_items = qr_json_count(&items);
    for (size_t i = 0; i < q->n_items; i++) {
        struct qr_json_at at = qr_json_elem(&items, i);
        QR_TRY(read_item(r, &at, &q->items[i]));
    }
    return QR_OK;
}

qr_err
qr_request_parse(qr_view body, struct qr_request *ret, char *detail, size_t detail_cap)
{
    struct qr_json j;
    struct reader r = {.q = ret};

    if (body.len > QR_BODY_MAX) {
        if (detail) {
            (void)snprintf(detail, detail_cap, "body has %zu bytes, at most %u are allowed",
                           body.len, QR_BODY_MAX);
        }
        return QR_ERR_TOO_LARGE;
    }
    QR_TRY(qr_json_parse(&j, body, REQUEST_VALUES, detail, detail_cap));
    /* On the heap and as small as may be: large automatic arrays are cleared at every call. */
    r.scratch = qr_alloc(FRAME_MAX(body.len));
    qr_err e = r.scratch ? read_request(&r, &j, detail, detail_cap) : QR_ERR_NO_MEMORY;
    qr_json_clear(&j);
    if (e == QR_OK) {
        hash_in(r.scratch, body, ret->hash);
    }
    qr_free(r.scratch);
    return e;
}

void
qr_request_clear(struct qr_request *q)
{
    q->mem = qr_free(q->mem);
    q->mem_cap = 0;
}
