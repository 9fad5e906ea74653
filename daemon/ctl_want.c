/* From options and files to a stamped request. */
#include "daemon/ctl_want.h"

#include "daemon/jsonw.h"
#include "daemon/loop.h"
#include "proto/json_strict.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/derive.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* Hex text in place of bytes: "0x" in front and white space behind are let through. */
static int
unhex(const struct qr_ctl *c, struct qr_dbuf *d)
{
    size_t from = d->len >= 2 && d->p[0] == '0' && d->p[1] == 'x' ? 2 : 0, to = d->len;
    while (to > from && (d->p[to - 1] == '\n' || d->p[to - 1] == '\r' || d->p[to - 1] == ' ')) {
        to--;
    }
    size_t n = (to - from) / 2;
    uint8_t *bytes = qr_alloc(n + 1);
    if (!bytes || qr_hex_decode((const char *)d->p + from, to - from, bytes, n) != QR_OK) {
        qr_free(bytes);
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--hex: the input is not lower-case hex");
    }
    memcpy(d->p, bytes, n);
    d->len = n;
    qr_free(bytes);
    return QR_EXIT_OK;
}

int
qr_ctl_want_trust(const struct qr_ctl *c, struct qr_ctl_want *w)
{
    char err[QR_ERR_TEXT_MAX] = "";
    struct qr_dbuf d;

    if (!w->request &&
        (!w->key_hex || !w->client || (w->files->n == 0) == (w->psbt_file == NULL))) {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "--key, --client and either FILE or --psbt are needed, or --request");
    }
    if (w->psbt_file && (w->kind || w->hex)) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--psbt says by itself what is signed");
    }
    if (w->request && (w->key_hex || w->client || w->files->n || w->kind || w->path || w->id)) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--request says all of what is asked, and who asks");
    }
    if (w->key_hex && (strlen(w->key_hex) != 66 ||
                       qr_hex_decode(w->key_hex, 66, w->key, sizeof w->key) != QR_OK)) {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "--key takes a public key of 66 lower-case hex digits");
    }
    int code = qr_ctl_read(c, w->roster, QR_DOC_MAX, &d);
    if (code != QR_EXIT_OK) {
        return code;
    }
    if (qr_roster_parse(qr_view_of(d.p, d.len), &w->r, err, sizeof err) != QR_OK) {
        code = qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", w->roster, err);
    }
    qr_dbuf_free(&d);
    return code == QR_EXIT_OK && w->client ? qr_ctl_load_key(c, w->client, &w->client_key) : code;
}

static int
read_files(const struct qr_ctl *c, struct qr_ctl_want *w, enum qr_kind kind)
{
    /* Of a digest's input nothing but the hash leaves, so it may be long. */
    size_t max = kind == QR_KIND_DIGEST ? 1u << 30 : 2 * QR_PREIMAGE_MAX + 16;
    int code = QR_EXIT_OK;

    for (size_t i = 0; i < w->files->n && code == QR_EXIT_OK; i++) {
        code = qr_ctl_read(c, w->files->v[i], max, &w->input[i]);
        if (code == QR_EXIT_OK && w->hex) {
            code = unhex(c, &w->input[i]);
        }
        qr_view v = qr_view_of(w->input[i].p, w->input[i].len);
        if (code == QR_EXIT_OK && kind == QR_KIND_DIGEST) {
            /* The quorum sees a hash only, and signs it only where a rule names this kind. */
            qr_sha256(v, w->digest[i]);
            v = qr_view_of(w->digest[i], 32);
        }
        w->item[w->n_items++] = (struct qr_want_item){.kind = kind, .bytes = v};
    }
    return code;
}

/* ---- PSBT ---- */

static int
read_psbt(const struct qr_ctl *c, struct qr_ctl_want *w)
{
    char err[QR_ERR_TEXT_MAX] = "";
    struct qr_dbuf d;

    int code = qr_ctl_read(c, w->psbt_file, 2 * QR_PSBT_MAX, &d);
    if (code != QR_EXIT_OK) {
        return code;
    }
    if (qr_psbt_read(qr_view_of(d.p, d.len), &w->psbt, err, sizeof err) != QR_OK) {
        code = qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", w->psbt_file, err);
    }
    qr_dbuf_free(&d);
    return code;
}

/* The key that signs: the quorum's, or its child, for which a gateway must show the chain code. */
static int
signing_key(const struct qr_ctl *c, const struct qr_ctl_want *w, const uint32_t *path, size_t depth,
            struct qr_client *client, uint8_t ret[static 33])
{
    static struct qr_client_fail f;
    static struct qr_key_pub pub;
    qr_pt pk;
    qr_fq tau;

    memcpy(ret, w->key, 33);
    if (depth == 0) {
        return QR_EXIT_OK;
    }
    if (qr_client_key(client, w->key, &pub, &f) != QR_CLIENT_DONE) {
        return qr_ctl_fail(c, QR_EXIT_TEMPORARY,
                           "no gateway shows the key, so its child %s is not known", w->path);
    }
    if (qr_pt_parse(&pk, pub.pk) != QR_OK ||
        qr_derive(&pk, pub.cc, path, depth, &pk, &tau, NULL) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_INTERNAL, "the key has no child %s", w->path);
    }
    qr_pt_put(ret, &pk);
    return QR_EXIT_OK;
}

/* An item for each input of the key; the first of each kind carries the transaction. */
static int
psbt_items(const struct qr_ctl *c, struct qr_ctl_want *w, const uint8_t pk[static 33])
{
    struct qr_psbt_ask ask[QR_BTC_INPUTS_MAX];
    size_t first[2] = {QR_ITEMS_MAX, QR_ITEMS_MAX};
    size_t n = qr_psbt_asks(w->psbt, pk, ask);

    if (n == 0) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: no input is this key's to sign", w->psbt_file);
    }
    if (n > QR_ITEMS_MAX) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %zu inputs are this key's, at most %u at once",
                           w->psbt_file, n, QR_ITEMS_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        int is_143 = ask[i].bip143;
        struct qr_want_item *item = &w->item[w->n_items];
        *item = (struct qr_want_item){.kind = is_143 ? QR_KIND_BTC_BIP143 : QR_KIND_BTC_LEGACY,
                                      .input = ask[i].input};
        if (first[is_143] == QR_ITEMS_MAX) {
            first[is_143] = w->n_items;
            item->bytes = qr_psbt_tx(w->psbt);
            item->prev = qr_psbt_prevouts(w->psbt);
            item->n_prev = qr_psbt_n_inputs(w->psbt);
        } else {
            item->has_of = 1;
            item->of = first[is_143];
        }
        w->n_items++;
    }
    return QR_EXIT_OK;
}

int
qr_ctl_want_psbt(const struct qr_ctl *c, struct qr_ctl_want *w, const struct qr_client_job *j,
                 const char *out)
{
    struct qr_dbuf d;
    int code = QR_EXIT_OK;

    for (size_t i = 0; i < j->out.n && code == QR_EXIT_OK; i++) {
        const struct qr_request_item *item = &j->request.items[i];
        int is_btc = item->kind == QR_KIND_BTC_BIP143 || item->kind == QR_KIND_BTC_LEGACY;
        if (!is_btc || qr_psbt_add(w->psbt, item->btc.input, j->out.pk, j->out.rs[i]) != QR_OK) {
            code = qr_ctl_fail(c, QR_EXIT_REFUSED, "%s: signature %zu is not of one of its inputs",
                               w->psbt_file, i + 1);
        }
    }
    qr_dbuf_init(&d, 2 * QR_PSBT_MAX);
    if (code == QR_EXIT_OK) {
        code = qr_psbt_write(w->psbt, qr_psbt_was_text(w->psbt), &d) == QR_OK
                   ? qr_ctl_write(c, out, qr_view_of(d.p, d.len), 0644)
                   : qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
    }
    qr_dbuf_free(&d);
    return code;
}

/* ---- requests ---- */

static int
prepare(const struct qr_ctl *c, struct qr_ctl_want *w, struct qr_client *client,
        struct qr_client_job *j)
{
    uint32_t path[QR_PATH_MAX];
    uint8_t pk[33];
    char why[512];
    uint64_t now = qr_wall_ms();
    struct qr_want want = {.key = w->key, .id = w->id, .path = path, .item = w->item};

    if (qr_want_path(w->path ? w->path : "", path, &want.depth) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "--path \"%s\": up to %u numbers below 2^31 with / between them",
                           w->path, QR_PATH_MAX);
    }
    if (w->psbt) {
        int code = signing_key(c, w, path, want.depth, client, pk);
        if (code == QR_EXIT_OK) {
            code = psbt_items(c, w, pk);
        }
        if (code != QR_EXIT_OK) {
            return code;
        }
    }
    want.n = w->n_items;
    if (w->life_s) {
        want.issued_ms = now;
        want.expires_ms = now + w->life_s * UINT64_C(1000);
    }
    qr_err e = qr_client_prepare(client, &want, j, why, sizeof why);
    if (e == QR_ERR_USAGE || e == QR_ERR_CRYPTO_LIB) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s cannot stamp", w->client);
    }
    return e == QR_OK ? QR_EXIT_OK
                      : qr_ctl_fail(c, QR_EXIT_USAGE, "the request would be refused: %s", why);
}

static int
adopt(const struct qr_ctl *c, const struct qr_ctl_want *w, struct qr_client_job *j)
{
    struct qr_dbuf d;
    struct qr_json doc = {0};
    qr_view body = {0}, stamp = {0};
    char why[QR_ERR_TEXT_MAX] = "", stamp_text[QR_STAMP_MAX] = "";

    int code = qr_ctl_read(c, w->request, QR_CTL_REQUEST_MAX, &d);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_err e = qr_json_parse(&doc, qr_view_of(d.p, d.len), 8, why, sizeof why);
    if (e == QR_OK) {
        struct qr_json_at root = qr_json_root(&doc);
        const struct qr_json_field fields[] = {
            {"body", QR_JSON_UTF8, 1, QR_BODY_MAX, &body, NULL},
            {"stamp", QR_JSON_TEXT, 1, QR_STAMP_MAX - 1, &stamp, NULL},
            {.type = QR_JSON_END},
        };
        e = qr_json_fields(&root, fields);
    }
    if (e == QR_OK) {
        memcpy(stamp_text, stamp.p, stamp.len);
        stamp_text[stamp.len] = '\0';
        e = qr_client_adopt(j, body, stamp_text, why, sizeof why);
    }
    qr_json_clear(&doc);
    qr_dbuf_free(&d);
    return e == QR_OK ? QR_EXIT_OK
                      : qr_ctl_fail(c, QR_EXIT_CONFIG, "%s is no request: %s", w->request, why);
}

int
qr_ctl_want_job(const struct qr_ctl *c, struct qr_ctl_want *w, struct qr_client *client,
                struct qr_client_job *j)
{
    const char *name = w->kind ? w->kind : qr_kind_name(QR_KIND_SHA256);
    enum qr_kind kind;

    int code = w->psbt_file ? read_psbt(c, w) : QR_EXIT_OK;
    if (code != QR_EXIT_OK || w->request) {
        return code == QR_EXIT_OK ? adopt(c, w, j) : code;
    }
    if (qr_kind_parse(qr_view_str(name), &kind) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "\"%s\" is no kind: sha256, sha256d, keccak256, eip191, eip712, eth_tx, "
                           "digest",
                           name);
    }
    if (kind == QR_KIND_BTC_LEGACY || kind == QR_KIND_BTC_BIP143) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "Bitcoin is signed with --psbt FILE");
    }
    code = read_files(c, w, kind);
    return code == QR_EXIT_OK ? prepare(c, w, client, j) : code;
}

void
qr_ctl_want_free(struct qr_ctl_want *w)
{
    EVP_PKEY_free(w->client_key);
    qr_roster_free(w->r);
    qr_psbt_free(w->psbt);
    for (size_t i = 0; i < QR_CTL_LIST_MAX; i++) {
        qr_dbuf_free(&w->input[i]);
    }
}

qr_err
qr_ctl_want_put(const struct qr_client_job *j, struct qr_dbuf *out)
{
    struct qr_jsonw w = qr_jsonw_to(out);

    qr_jsonw_raw(&w, "{\"body\":");
    qr_jsonw_str(&w, qr_view_of(j->body.p, j->body.len));
    qr_jsonw_raw(&w, ",\"stamp\":");
    qr_jsonw_str(&w, qr_view_str(j->stamp));
    qr_jsonw_raw(&w, "}\n");
    return w.err;
}
