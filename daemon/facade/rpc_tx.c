#include "daemon/facade/rpc_tx.h"

#include "daemon/facade/rlp.h"
#include "daemon/keccak.h"
#include "daemon/preimage_eth.h"
#include "proto/json_strict.h"
#include "protocol/base/buf.h"
#include "protocol/base/enc.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* ---- hex ---- */

static int
nibble(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

qr_err
qr_rpc_hex(const char *text, size_t max, struct qr_dbuf *out)
{
    if (!text || text[0] != '0' || text[1] != 'x') {
        return QR_ERR_MALFORMED;
    }
    size_t n = strlen(text + 2);
    if (n % 2) {
        return QR_ERR_MALFORMED;
    }
    if (n / 2 > max) {
        return QR_ERR_TOO_LARGE;
    }
    QR_TRY(qr_dbuf_reserve(out, n / 2));
    for (size_t i = 0; i < n; i += 2) {
        int hi = nibble(text[2 + i]), lo = nibble(text[3 + i]);
        if (hi < 0 || lo < 0) {
            return QR_ERR_MALFORMED;
        }
        out->p[out->len + i / 2] = (uint8_t)(hi << 4 | lo);
    }
    out->len += n / 2;
    return QR_OK;
}

qr_err
qr_rpc_address(const char *text, uint8_t ret[static 20])
{
    uint8_t a[20] = {0};

    if (!text || strlen(text) != 42 || text[0] != '0' || text[1] != 'x') {
        return QR_ERR_MALFORMED;
    }
    for (size_t i = 0; i < 40; i++) {
        int v = nibble(text[2 + i]);
        if (v < 0) {
            return QR_ERR_MALFORMED;
        }
        a[i / 2] = (uint8_t)(a[i / 2] << 4 | v);
    }
    memcpy(ret, a, sizeof a);
    return QR_OK;
}

qr_err
qr_rpc_quantity(const char *text, uint8_t ret[static 32])
{
    uint8_t v[32] = {0};

    if (!text || text[0] != '0' || text[1] != 'x') {
        return QR_ERR_MALFORMED;
    }
    const char *digits = text + 2;
    size_t n = strlen(digits);
    if (n == 0 || n > 64 || (digits[0] == '0' && n > 1)) {
        return QR_ERR_MALFORMED;
    }
    for (size_t i = 0; i < n; i++) {
        int d = nibble(digits[n - 1 - i]);
        if (d < 0) {
            return QR_ERR_MALFORMED;
        }
        v[31 - i / 2] = (uint8_t)(v[31 - i / 2] | d << (i % 2 ? 4 : 0));
    }
    memcpy(ret, v, sizeof v);
    return QR_OK;
}

/* ---- reading ---- */

struct reader {
    const json_t *o;
    char *why;
    size_t cap;
};

static qr_err
bad(const struct reader *r, qr_err e, const char *name, const char *what)
{
    snprintf(r->why, r->cap, "%s: %s", name, what);
    return e;
}

/* The member under one of its names; NULL: absent or null. Both is an error unless they are equal. */
static qr_err
member(const struct reader *r, const char *name, const char *other, const json_t **ret)
{
    const json_t *a = json_object_get(r->o, name);
    const json_t *b = other ? json_object_get(r->o, other) : NULL;

    a = json_is_null(a) ? NULL : a;
    b = json_is_null(b) ? NULL : b;
    if (a && b && !json_equal(a, b)) {
        return bad(r, QR_ERR_MALFORMED, name, "it is given twice, and not the same");
    }
    *ret = a ? a : b;
    return QR_OK;
}

/* *ret_has may be NULL: the member is required. */
static qr_err
quantity(const struct reader *r, const char *name, const char *other, uint8_t ret[static 32],
         int *ret_has)
{
    const json_t *v;

    QR_TRY(member(r, name, other, &v));
    if (ret_has) {
        *ret_has = v != NULL;
    }
    if (!v) {
        return ret_has ? QR_OK
                       : bad(r, QR_ERR_MALFORMED, name,
                             "it must be given; there is no node here that knows it");
    }
    return qr_rpc_quantity(json_string_value(v), ret) == QR_OK
               ? QR_OK
               : bad(r, QR_ERR_MALFORMED, name, "it must be a quantity like \"0x1\" or \"0x0\"");
}

static qr_err
u64(const struct reader *r, const char *name, const char *other, uint64_t *ret, int *ret_has)
{
    static const uint8_t zero[24];
    uint8_t v[32] = {0};

    QR_TRY(quantity(r, name, other, v, ret_has));
    if (memcmp(v, zero, sizeof zero) != 0) {
        return bad(r, QR_ERR_TOO_LARGE, name, "it does not fit 64 bits");
    }
    if (!ret_has || *ret_has) {
        *ret = qr_get64(v + 24);
    }
    return QR_OK;
}

static qr_err
put_key(const struct reader *r, const json_t *key, struct qr_dbuf *keys)
{
    struct qr_dbuf b;

    qr_dbuf_init(&b, 32);
    qr_err e = qr_rpc_hex(json_string_value(key), 32, &b);
    if (e != QR_OK || b.len != 32) {
        e = bad(r, QR_ERR_MALFORMED, "accessList", "storageKeys are 0x and 64 hex digits");
    } else {
        e = qr_rlp_bytes(keys, qr_view_of(b.p, b.len));
    }
    qr_dbuf_free(&b);
    return e;
}

/* {"address","storageKeys"} */
static qr_err
put_access(const struct reader *r, const json_t *o, struct qr_dbuf *out)
{
    const json_t *list = json_object_get(o, "storageKeys");
    struct qr_dbuf keys, pair;
    uint8_t a[20];

    if (json_object_size(o) != 2 || !json_is_array(list) ||
        json_array_size(list) > QR_RPC_ACCESS_MAX ||
        qr_rpc_address(json_string_value(json_object_get(o, "address")), a) != QR_OK) {
        return bad(r, QR_ERR_MALFORMED, "accessList",
                   "elements are {\"address\",\"storageKeys\":[…]}, 256 at most");
    }
    qr_dbuf_init(&keys, QR_RPC_TX_MAX);
    qr_dbuf_init(&pair, QR_RPC_TX_MAX);
    qr_err e = qr_rlp_bytes(&pair, qr_view_of(a, sizeof a));
    for (size_t i = 0; i < json_array_size(list) && e == QR_OK; i++) {
        e = put_key(r, json_array_get(list, i), &keys);
    }
    if (e == QR_OK) {
        e = qr_rlp_list(&pair, qr_view_of(keys.p, keys.len));
    }
    if (e == QR_OK) {
        e = qr_rlp_list(out, qr_view_of(pair.p, pair.len));
    }
    qr_dbuf_free(&keys);
    qr_dbuf_free(&pair);
    return e;
}

static qr_err
read_access_list(const struct reader *r, struct qr_rpc_tx *t)
{
    const json_t *list;

    QR_TRY(member(r, "accessList", NULL, &list));
    t->access_json = list;
    if (list && (!json_is_array(list) || json_array_size(list) > QR_RPC_ACCESS_MAX)) {
        return bad(r, QR_ERR_MALFORMED, "accessList", "it must be an array of at most 256");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        QR_TRY(put_access(r, json_array_get(list, i), &t->access));
    }
    return QR_OK;
}

static qr_err
read_fees(const struct reader *r, struct qr_rpc_tx *t)
{
    int has_price = 0, has_fee = 0, has_priority = 0, has_type = 0;
    uint64_t type = 0;

    QR_TRY(u64(r, "type", NULL, &type, &has_type));
    QR_TRY(quantity(r, "gasPrice", NULL, t->gas_price, &has_price));
    QR_TRY(quantity(r, "maxFeePerGas", NULL, t->max_fee, &has_fee));
    QR_TRY(quantity(r, "maxPriorityFeePerGas", NULL, t->max_priority, &has_priority));
    if (!has_type) {
        type = has_fee || has_priority || !has_price ? 2 : t->access_json ? 1 : 0;
    }
    if (type > 2) {
        return bad(r, QR_ERR_MALFORMED, "type",
                   "only 0x0, 0x1 and 0x2 are signed here, no blobs and no authorisations");
    }
    if (type == 2 ? has_price || !has_fee || !has_priority
                  : !has_price || has_fee || has_priority) {
        return bad(r, QR_ERR_MALFORMED, type == 2 ? "maxFeePerGas" : "gasPrice",
                   type == 2 ? "type 2 takes maxFeePerGas and maxPriorityFeePerGas, no gasPrice"
                             : "types 0 and 1 take gasPrice alone");
    }
    if (type == 0 && t->access_json) {
        return bad(r, QR_ERR_MALFORMED, "accessList", "a transaction of type 0 has none");
    }
    t->type = (uint8_t)type;
    return QR_OK;
}

static qr_err
read_names(const struct reader *r)
{
    static const char *const known[] = {
        "from",  "to",      "gas",        "gasLimit", "gasPrice", "maxFeePerGas",
        "data",  "chainId", "accessList", "type",     "value",    "maxPriorityFeePerGas",
        "nonce", "input"};
    const char *name;
    json_t *v;
    char q[QR_QUOTE_MAX];

    json_object_foreach ((json_t *)(uintptr_t)r->o, name, v) {
        size_t i = 0;
        while (i < sizeof known / sizeof known[0] && strcmp(known[i], name) != 0) {
            i++;
        }
        if (i == sizeof known / sizeof known[0]) {
            return bad(r, QR_ERR_UNKNOWN_FIELD, qr_quote(q, qr_view_str(name)),
                       "this member of a transaction is not known here");
        }
    }
    return QR_OK;
}

static qr_err
read_tx(const struct reader *r, uint64_t chain_id, struct qr_rpc_tx *t)
{
    const json_t *to, *data;
    int has = 0;

    if (!json_is_object(r->o)) {
        return bad(r, QR_ERR_MALFORMED, "transaction", "it must be an object");
    }
    QR_TRY(read_names(r));
    if (qr_rpc_address(json_string_value(json_object_get(r->o, "from")), t->from) != QR_OK) {
        return bad(r, QR_ERR_MALFORMED, "from", "it must be one of eth_accounts");
    }
    QR_TRY(member(r, "to", NULL, &to));
    t->has_to = to != NULL;
    if (to && qr_rpc_address(json_string_value(to), t->to) != QR_OK) {
        return bad(r, QR_ERR_MALFORMED, "to", "it must be 0x and 40 hex digits, or absent");
    }
    QR_TRY(u64(r, "nonce", NULL, &t->nonce, NULL));
    QR_TRY(u64(r, "gas", "gasLimit", &t->gas, NULL));
    QR_TRY(quantity(r, "value", NULL, t->value, &has));
    t->chain_id = chain_id;
    QR_TRY(u64(r, "chainId", NULL, &t->chain_id, &has));
    if (t->chain_id != chain_id) {
        return bad(r, QR_ERR_MALFORMED, "chainId", "it is not the chain of eth_chainId");
    }
    QR_TRY(member(r, "input", "data", &data));
    if (data && qr_rpc_hex(json_string_value(data), QR_RPC_TX_MAX / 2, &t->data) != QR_OK) {
        return bad(r, QR_ERR_MALFORMED, "data", "it must be 0x and hex, 32 KiB at most");
    }
    QR_TRY(read_access_list(r, t));
    return read_fees(r, t);
}

qr_err
qr_rpc_tx_read(const json_t *o, uint64_t chain_id, struct qr_rpc_tx *ret, char *why, size_t cap)
{
    const struct reader r = {o, why, cap};

    memset(ret, 0, sizeof *ret);
    qr_dbuf_init(&ret->data, QR_RPC_TX_MAX);
    qr_dbuf_init(&ret->access, QR_RPC_TX_MAX);
    snprintf(why, cap, "the transaction is too large");
    return read_tx(&r, chain_id, ret);
}

void
qr_rpc_tx_clear(struct qr_rpc_tx *t)
{
    qr_dbuf_free(&t->data);
    qr_dbuf_free(&t->access);
}

/* ---- writing ---- */

static qr_err
put_body(const struct qr_rpc_tx *t, struct qr_dbuf *d)
{
    if (t->type != 0) {
        QR_TRY(qr_rlp_u64(d, t->chain_id));
    }
    QR_TRY(qr_rlp_u64(d, t->nonce));
    if (t->type == 2) {
        QR_TRY(qr_rlp_number(d, qr_view_of(t->max_priority, 32)));
        QR_TRY(qr_rlp_number(d, qr_view_of(t->max_fee, 32)));
    } else {
        QR_TRY(qr_rlp_number(d, qr_view_of(t->gas_price, 32)));
    }
    QR_TRY(qr_rlp_u64(d, t->gas));
    QR_TRY(qr_rlp_bytes(d, qr_view_of(t->to, t->has_to ? 20 : 0)));
    QR_TRY(qr_rlp_number(d, qr_view_of(t->value, 32)));
    QR_TRY(qr_rlp_bytes(d, qr_view_of(t->data.p, t->data.len)));
    if (t->type != 0) {
        QR_TRY(qr_rlp_list(d, qr_view_of(t->access.p, t->access.len)));
    }
    return QR_OK;
}

/* v of a signature of type 0 under EIP-155. */
static uint64_t
legacy_v(const struct qr_rpc_tx *t, uint8_t recid)
{
    return t->chain_id * 2 + 35 + recid;
}

static qr_err
put_end(const struct qr_rpc_tx *t, const uint8_t *rs, uint8_t recid, struct qr_dbuf *d)
{
    if (!rs && t->type == 0) {
        QR_TRY(qr_rlp_u64(d, t->chain_id));
        QR_TRY(qr_rlp_u64(d, 0));
        return qr_rlp_u64(d, 0);
    }
    if (!rs) {
        return QR_OK;
    }
    QR_TRY(qr_rlp_u64(d, t->type == 0 ? legacy_v(t, recid) : recid));
    QR_TRY(qr_rlp_number(d, qr_view_of(rs, 32)));
    return qr_rlp_number(d, qr_view_of(rs + 32, 32));
}

qr_err
qr_rpc_tx_put(const struct qr_rpc_tx *t, const uint8_t *rs, uint8_t recid, struct qr_dbuf *out)
{
    struct qr_dbuf d;

    if (t->chain_id > (UINT64_MAX - 36) / 2) {
        return QR_ERR_TOO_LARGE;
    }
    qr_dbuf_init(&d, QR_RPC_TX_MAX + 1024);
    qr_err e = put_body(t, &d);
    if (e == QR_OK) {
        e = put_end(t, rs, recid, &d);
    }
    if (e == QR_OK && t->type != 0) {
        e = qr_dbuf_append(out, &t->type, 1);
    }
    if (e == QR_OK) {
        e = qr_rlp_list(out, qr_view_of(d.p, d.len));
    }
    qr_dbuf_free(&d);
    return e;
}

static json_t *
json_hex(qr_view v)
{
    char *text = qr_alloc(2 * v.len + 3);
    json_t *o = NULL;
    if (text) {
        memcpy(text, "0x", 2);
        qr_hex_encode(v, text + 2);
        o = json_string(text);
        qr_free(text);
    }
    return o;
}

static json_t *
json_number(qr_view v)
{
    char hex[67] = "0x0";
    char all[65];

    qr_hex_encode(v, all);
    size_t skip = strspn(all, "0");
    if (all[skip]) {
        snprintf(hex, sizeof hex, "0x%s", all + skip);
    }
    return json_string(hex);
}

static json_t *
json_u64(uint64_t v)
{
    uint8_t b[8];
    qr_put64(b, v);
    return json_number(qr_view_of(b, sizeof b));
}

json_t *
qr_rpc_tx_json(const struct qr_rpc_tx *t, const uint8_t rs[static 64], uint8_t recid, qr_view raw)
{
    uint8_t hash[32];
    json_t *o = json_object();
    int bad_set = o == NULL;

    qr_keccak256(raw, hash);
    bad_set |= json_object_set_new(o, "type", json_u64(t->type));
    bad_set |= json_object_set_new(o, "chainId", json_u64(t->chain_id));
    bad_set |= json_object_set_new(o, "nonce", json_u64(t->nonce));
    bad_set |= json_object_set_new(o, "gas", json_u64(t->gas));
    bad_set |= json_object_set_new(o, "from", json_hex(qr_view_of(t->from, 20)));
    bad_set |=
        json_object_set_new(o, "to", t->has_to ? json_hex(qr_view_of(t->to, 20)) : json_null());
    if (t->type == 2) {
        bad_set |= json_object_set_new(o, "maxFeePerGas", json_number(qr_view_of(t->max_fee, 32)));
        bad_set |= json_object_set_new(o, "maxPriorityFeePerGas",
                                       json_number(qr_view_of(t->max_priority, 32)));
    } else {
        bad_set |= json_object_set_new(o, "gasPrice", json_number(qr_view_of(t->gas_price, 32)));
    }
    if (t->type != 0) {
        bad_set |= json_object_set_new(
            o, "accessList", t->access_json ? json_deep_copy(t->access_json) : json_array());
        bad_set |= json_object_set_new(o, "yParity", json_u64(recid));
    }
    bad_set |= json_object_set_new(o, "value", json_number(qr_view_of(t->value, 32)));
    bad_set |= json_object_set_new(o, "input", json_hex(qr_view_of(t->data.p, t->data.len)));
    bad_set |= json_object_set_new(o, "v", json_u64(t->type == 0 ? legacy_v(t, recid) : recid));
    bad_set |= json_object_set_new(o, "r", json_number(qr_view_of(rs, 32)));
    bad_set |= json_object_set_new(o, "s", json_number(qr_view_of(rs + 32, 32)));
    bad_set |= json_object_set_new(o, "hash", json_hex(qr_view_of(hash, 32)));
    if (bad_set) {
        json_decref(o);
        return NULL;
    }
    return o;
}
