/*
 * Bodies of requests: memory, the native form without its items, the request hash, addresses.
 */
#include "daemon/request_int.h"

#include "daemon/keccak.h"
#include "protocol/base/check.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "protocol/group.h"

#include <stdio.h>

#define HASH_PREFIX "quorate/sign-request/v1"

/* Members, a path, items of at most five values each, prevouts of four members each. */
#define REQUEST_VALUES (16u + QR_PATH_MAX + 6u * QR_ITEMS_MAX + 5u * QR_REQ_PREVOUTS_MAX)

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

qr_err
qr_eth_address(const uint8_t key[static 33], uint8_t ret[static 20])
{
    uint8_t xy[64], h[32];
    qr_pt p;

    QR_TRY(qr_pt_parse(&p, key));
    qr_pt_affine(&p, xy, xy + 32);
    qr_keccak256(qr_view_of(xy, sizeof xy), h);
    memcpy(ret, h + 12, 20);
    return QR_OK;
}

/* ---- memory ---- */

/* Room for the frame of the hash, and after that for what the body decodes to. */
static qr_err
make_room(struct qr_request *q, size_t body_len)
{
    size_t need = FRAME_MAX(body_len);

    if (q->mem_cap >= need) {
        return QR_OK;
    }
    qr_request_clear(q);
    need = (need + 4095u) & ~(size_t)4095u; /* so that slightly longer bodies find room */
    q->mem = qr_alloc(need);
    if (!q->mem) {
        return QR_ERR_NO_MEMORY;
    }
    q->mem_cap = need;
    return QR_OK;
}

static uint8_t *
take(struct qr_req_reader *r, size_t n)
{
    QR_ASSERT(n <= r->q->mem_cap - r->used); /* see request_int.h */
    uint8_t *p = r->q->mem + r->used;
    r->used += n;
    return p;
}

qr_err
qr_req_hex(struct qr_req_reader *r, const struct qr_json_at *at, const char *name, qr_view hex,
           qr_view *ret)
{
    size_t len = hex.len / 2;
    uint8_t *p = take(r, len);

    if (qr_hex_decode((const char *)hex.p, hex.len, p, len) != QR_OK) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "%s must be lower-case hex with an even number of digits", name);
    }
    *ret = qr_view_of(p, len);
    return QR_OK;
}

qr_view
qr_req_keep(struct qr_req_reader *r, qr_view text)
{
    uint8_t *p = take(r, text.len);
    if (text.len > 0) {
        memcpy(p, text.p, text.len);
    }
    return qr_view_of(p, text.len);
}

/* ---- the native form ---- */

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
read_native(struct qr_req_reader *r, const struct qr_json_at *root)
{
    struct qr_request *q = r->q;
    struct qr_json_at path, items;
    char why[QR_ERR_TEXT_MAX];
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

    QR_TRY(qr_json_head(root, NULL));
    QR_TRY(qr_json_fields(root, fields));
    if (q->key[0] != 2 && q->key[0] != 3) {
        return qr_json_fail(root, QR_ERR_MALFORMED,
                            "key must be a compressed point (66 hex digits, 02 or 03 first)");
    }
    q->form = QR_FORM_NATIVE;
    q->cluster_len = sizeof q->cluster;
    q->by_address = 0;
    memcpy(q->id, id.p, id.len);
    q->id[id.len] = 0;
    qr_err e = qr_window_valid(&q->window, QR_APPROVAL_LIFE_MS, why, sizeof why);
    if (e != QR_OK) {
        return qr_json_fail(root, e, "%s", why);
    }
    QR_TRY(read_path(&path, q));
    q->kinds = 0;
    q->n_items = qr_json_count(&items);
    for (size_t i = 0; i < q->n_items; i++) {
        struct qr_json_at at = qr_json_elem(&items, i);
        QR_TRY(qr_req_item(r, &at, i));
        q->kinds |= QR_KIND_BIT(q->items[i].kind);
    }
    return qr_req_items_end(q, &items);
}

/* Which form? "v" without "type", or "type" without "v"; the native reader refuses the rest. */
static qr_err
read_form(struct qr_req_reader *r, const struct qr_json_at *root, qr_view body)
{
    int has_v = 0, has_type = 0;

    for (size_t i = 0, n = qr_json_size(root); i < n && i < 16; i++) {
        const char *name = qr_json_member(root, i).name;
        has_v |= strcmp(name, "v") == 0;
        has_type |= strcmp(name, "type") == 0;
    }
    return has_type && !has_v ? qr_req_raw(r, root, body) : read_native(r, root);
}

qr_err
qr_request_parse(qr_view body, struct qr_request *ret, char *detail, size_t detail_cap)
{
    struct qr_json j;
    struct qr_req_reader r = {.q = ret};

    if (body.len > QR_BODY_MAX) {
        if (detail) {
            (void)snprintf(detail, detail_cap, "body has %zu bytes, at most %u are allowed",
                           body.len, QR_BODY_MAX);
        }
        return QR_ERR_TOO_LARGE;
    }
    QR_TRY(qr_json_parse(&j, body, REQUEST_VALUES, detail, detail_cap));
    qr_err e = make_room(ret, body.len);
    if (e == QR_OK) {
        const struct qr_json_at root = qr_json_root(&j);
        hash_in(ret->mem, body, ret->hash); /* the frame is of no use afterwards */
        e = read_form(&r, &root, body);
    }
    qr_json_clear(&j);
    qr_free(r.prev);
    return e;
}

void
qr_request_clear(struct qr_request *q)
{
    q->mem = qr_free(q->mem);
    q->mem_cap = 0;
}
