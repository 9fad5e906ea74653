/* The methods. */
#include "daemon/facade/rpc.h"

#include "daemon/config.h"
#include "daemon/facade/rpc_tx.h"
#include "protocol/base/enc.h"
#include "protocol/derive.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* ---- accounts ---- */

static void
fail_client(struct qr_rpc_call *c, const struct qr_client_fail *f)
{
    int code = QR_RPC_INTERNAL;

    switch (f->verdict) {
    case QR_CLIENT_REFUSED:
        code = QR_RPC_REFUSED;
        break;
    case QR_CLIENT_TEMPORARY:
        code = f->problem.status == 429 ? QR_RPC_LIMIT : QR_RPC_UNAVAILABLE;
        break;
    case QR_CLIENT_BAD_REQUEST:
        code = QR_RPC_PARAMS;
        break;
    case QR_CLIENT_UNTRUSTED:
    case QR_CLIENT_INTERNAL:
    case QR_CLIENT_DONE:
        break;
    }
    qr_rpc_fail(c, code, "%s", f->text);
    snprintf(c->problem, sizeof c->problem, "%s", f->problem.code);
    snprintf(c->rule, sizeof c->rule, "%s", f->problem.rule);
}

static qr_err
child_address(const struct qr_key_pub *pub, const struct qr_facade_key *k, uint8_t ret[static 20])
{
    uint8_t child[33];
    qr_pt pk;
    qr_fq tau;

    QR_TRY(qr_pt_parse(&pk, pub->pk));
    QR_TRY(qr_derive(&pk, pub->cc, k->path, k->depth, &pk, &tau, NULL));
    qr_pt_put(child, &pk);
    return qr_eth_address(child, ret);
}

/* The address of account i: asked for once, checked against the roster. 0: said why. */
static int
address_of(struct qr_rpc_call *c, size_t i, uint8_t ret[static 20])
{
    struct qr_rpc *r = c->r;
    const struct qr_facade_key *k = &r->conf->key[i];

    pthread_mutex_lock(&r->lock);
    int known = r->known[i];
    memcpy(ret, r->address[i], 20);
    pthread_mutex_unlock(&r->lock);
    if (known) {
        return 1;
    }
    struct qr_client_fail *f = qr_alloc(sizeof *f);
    struct qr_key_pub *pub = qr_alloc(sizeof *pub);
    qr_err e = QR_ERR_NO_MEMORY;
    if (f && pub && qr_client_key(r->client, k->key, pub, f) != QR_CLIENT_DONE) {
        fail_client(c, f);
    } else if (f && pub) {
        e = child_address(pub, k, ret);
    }
    if (e == QR_OK) {
        pthread_mutex_lock(&r->lock);
        memcpy(r->address[i], ret, 20);
        r->known[i] = 1;
        pthread_mutex_unlock(&r->lock);
    } else if (!c->code) {
        qr_rpc_fail(c, QR_RPC_INTERNAL, "%s", qr_err_text(e));
    }
    qr_free(f);
    qr_free(pub);
    return e == QR_OK;
}

static json_t *
hex_json(qr_view v)
{
    struct qr_dbuf d;
    json_t *o = NULL;

    qr_dbuf_init(&d, 2 * v.len + 3);
    if (qr_dbuf_reserve(&d, 2 * v.len + 3) == QR_OK) {
        memcpy(d.p, "0x", 2);
        qr_hex_encode(v, (char *)d.p + 2);
        o = json_string((const char *)d.p);
    }
    qr_dbuf_free(&d);
    return o;
}

static void
put_result(struct qr_rpc_call *c, json_t *o)
{
    c->result = o;
    if (!o) {
        qr_rpc_fail(c, QR_RPC_INTERNAL, "out of memory");
    }
}

static void
accounts(struct qr_rpc_call *c)
{
    json_t *list = json_array();
    uint8_t a[20];

    for (size_t i = 0; i < c->r->conf->n_keys; i++) {
        if (!address_of(c, i, a) ||
            json_array_append_new(list, hex_json(qr_view_of(a, sizeof a))) != 0) {
            json_decref(list);
            list = NULL;
            break;
        }
    }
    if (list || !c->code) {
        put_result(c, list);
    }
}

/* The account with this address, given as text. NULL: said why. */
static const struct qr_facade_key *
find_account(struct qr_rpc_call *c, const char *text)
{
    uint8_t want[20], a[20];

    if (qr_rpc_address(text, want) != QR_OK) {
        qr_rpc_fail(c, QR_RPC_PARAMS, "an address is 0x and 40 hex digits");
        return NULL;
    }
    for (size_t i = 0; i < c->r->conf->n_keys; i++) {
        if (!address_of(c, i, a)) {
            return NULL;
        }
        if (memcmp(a, want, sizeof a) == 0) {
            return &c->r->conf->key[i];
        }
    }
    qr_rpc_fail(c, QR_RPC_PARAMS, "%.42s is none of eth_accounts", text);
    return NULL;
}

/* ---- signing ---- */

/* 1: rs and recid are a verified signature of the item; 0: said why. */
static int
sign(struct qr_rpc_call *c, const struct qr_facade_key *k, enum qr_kind kind, qr_view preimage,
     uint8_t ret_rs[static 64], uint8_t *ret_recid)
{
    struct qr_client_job *j = qr_alloc(sizeof *j);
    struct qr_client_fail *f = qr_alloc(sizeof *f);
    const struct qr_want_item item = {.kind = kind, .bytes = preimage};
    const struct qr_want want = {
        .key = k->key, .path = k->path, .depth = k->depth, .item = &item, .n = 1};
    char why[256];
    int ok = 0;

    if (!j || !f) {
        qr_rpc_fail(c, QR_RPC_INTERNAL, "out of memory");
    } else if (qr_client_prepare(c->r->client, &want, j, why, sizeof why) != QR_OK) {
        qr_rpc_fail(c, QR_RPC_PARAMS, "it cannot be signed: %s", why);
    } else {
        qr_hex_encode(qr_view_of(j->request.hash, 32), c->request);
        ok = qr_client_sign(c->r->client, j, f) == QR_CLIENT_DONE;
        if (ok) {
            memcpy(ret_rs, j->out.rs[0], 64);
            *ret_recid = j->out.recid[0];
        } else {
            fail_client(c, f);
        }
    }
    if (j) {
        qr_client_job_clear(j);
    }
    qr_free(j);
    qr_free(f);
    return ok;
}

/* r || s || v with v of 27 or 28. */
static void
sign_to_65(struct qr_rpc_call *c, const char *address, enum qr_kind kind, qr_view preimage)
{
    uint8_t sig[65], recid = 0;
    const struct qr_facade_key *k = find_account(c, address);

    if (k && sign(c, k, kind, preimage, sig, &recid)) {
        sig[64] = (uint8_t)(27 + recid);
        put_result(c, hex_json(qr_view_of(sig, sizeof sig)));
    }
}

static void
sign_message(struct qr_rpc_call *c, const char *address, const char *message)
{
    struct qr_dbuf d;

    qr_dbuf_init(&d, QR_PREIMAGE_MAX);
    if (qr_rpc_hex(message, QR_PREIMAGE_MAX, &d) != QR_OK) {
        qr_rpc_fail(c, QR_RPC_PARAMS, "the message is 0x and hex of at most %u bytes",
                    QR_PREIMAGE_MAX);
    } else {
        sign_to_65(c, address, QR_KIND_EIP191, qr_view_of(d.p, d.len));
    }
    qr_dbuf_free(&d);
}

static const char *
text_param(const struct qr_rpc_call *c, size_t i)
{
    return json_string_value(json_array_get(c->params, i));
}

/* [message, address], and a passphrase that means nothing here. */
static void
personal_sign(struct qr_rpc_call *c)
{
    sign_message(c, text_param(c, 1), text_param(c, 0));
}

/* [address, message] */
static void
eth_sign(struct qr_rpc_call *c)
{
    sign_message(c, text_param(c, 0), text_param(c, 1));
}

static int
append(const char *bytes, size_t n, void *to)
{
    return qr_dbuf_append(to, bytes, n) == QR_OK ? 0 : -1;
}

/* [address, document as an object or as its text] */
static void
sign_typed(struct qr_rpc_call *c)
{
    const json_t *doc = json_array_get(c->params, 1);
    qr_view text = {0};
    struct qr_dbuf d;

    qr_dbuf_init(&d, QR_PREIMAGE_MAX);
    if (json_is_string(doc)) {
        text = qr_view_of(json_string_value(doc), json_string_length(doc));
    } else if (json_is_object(doc) && json_dump_callback(doc, append, &d, JSON_COMPACT) == 0) {
        text = qr_view_of(d.p, d.len);
    }
    if (text.len == 0) {
        qr_rpc_fail(c, QR_RPC_PARAMS,
                    "the second parameter is the typed data: an object or its JSON, at most %u "
                    "bytes",
                    QR_PREIMAGE_MAX);
    } else {
        sign_to_65(c, text_param(c, 0), QR_KIND_EIP712, text);
    }
    qr_dbuf_free(&d);
}

static void
sign_transaction(struct qr_rpc_call *c)
{
    const json_t *o = json_array_get(c->params, 0);
    struct qr_rpc_tx t;
    struct qr_dbuf d;
    uint8_t rs[64], recid = 0;
    char why[256];
    const struct qr_facade_key *k;

    qr_dbuf_init(&d, 2 * QR_RPC_TX_MAX);
    if (qr_rpc_tx_read(o, c->r->conf->chain_id, &t, why, sizeof why) != QR_OK) {
        qr_rpc_fail(c, QR_RPC_PARAMS, "%s", why);
    } else if ((k = find_account(c, json_string_value(json_object_get(o, "from")))) != NULL) {
        qr_err e = qr_rpc_tx_put(&t, NULL, 0, &d);
        if (e == QR_OK && sign(c, k, QR_KIND_ETH_TX, qr_view_of(d.p, d.len), rs, &recid)) {
            d.len = 0;
            e = qr_rpc_tx_put(&t, rs, recid, &d);
            qr_view raw = qr_view_of(d.p, d.len);
            if (e == QR_OK) {
                put_result(c, json_pack("{s:o,s:o}", "raw", hex_json(raw), "tx",
                                        qr_rpc_tx_json(&t, rs, recid, raw)));
            }
        }
        if (e != QR_OK) {
            qr_rpc_fail(c, QR_RPC_INTERNAL, "%s", qr_err_text(e));
        }
    }
    qr_rpc_tx_clear(&t);
    qr_dbuf_free(&d);
}

/* ---- what needs no key ---- */

static void
chain_id(struct qr_rpc_call *c)
{
    char text[24];
    snprintf(text, sizeof text, "0x%llx", (unsigned long long)c->r->conf->chain_id);
    put_result(c, json_string(text));
}

static void
net_version(struct qr_rpc_call *c)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)c->r->conf->chain_id);
    put_result(c, json_string(text));
}

static void
client_version(struct qr_rpc_call *c)
{
    put_result(c, json_string("quorate/" QR_PRODUCT_VERSION));
}

static const struct method {
    const char *name;
    void (*run)(struct qr_rpc_call *c);
    size_t min, max; /* parameters */
} methods[] = {
    {"eth_accounts", accounts, 0, 0},           {"eth_chainId", chain_id, 0, 0},
    {"net_version", net_version, 0, 0},         {"web3_clientVersion", client_version, 0, 0},
    {"personal_sign", personal_sign, 2, 3},     {"eth_sign", eth_sign, 2, 2},
    {"eth_signTypedData_v4", sign_typed, 2, 2}, {"eth_signTransaction", sign_transaction, 1, 1},
};

void
qr_rpc_run(struct qr_rpc_call *c)
{
    size_t n = json_array_size(c->params);

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        const struct method *m = &methods[i];
        if (strcmp(m->name, c->method) != 0) {
            continue;
        }
        if (n < m->min || n > m->max) {
            qr_rpc_fail(c, QR_RPC_PARAMS, "%s takes %zu to %zu parameters", m->name, m->min,
                        m->max);
        } else {
            m->run(c);
        }
        return;
    }
    qr_rpc_fail(c, QR_RPC_METHOD,
                "this method is not answered here: this facade signs, and has no node; sign with "
                "eth_signTransaction and send the raw transaction elsewhere");
}
