#include "daemon/ctl_check.h"

#include "proto/json_strict.h"
#include "protocol/derive.h"

#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#define ANSWER_VALUES (64u + 5u * QR_ITEMS_MAX)

/* ---- keys ---- */

qr_err
qr_ctl_key_check(const struct qr_key_pub *k, const struct qr_roster *r, char *why, size_t cap)
{
    uint16_t bad = 0;

    qr_err e = qr_key_check(k, &bad);
    if (e == QR_ERR_IDENTITY && bad) {
        snprintf(why, cap, "the key's confirmation by party %u does not verify", bad);
        return e;
    }
    if (e != QR_OK) {
        snprintf(why, cap, "the key's record contradicts itself: %s", qr_err_text(e));
        return e;
    }
    if (memcmp(k->cluster, r->cluster, sizeof k->cluster) != 0) {
        snprintf(why, cap, "the key belongs to another cluster than the roster's");
        return QR_ERR_CLUSTER;
    }
    if (k->n != r->n) {
        snprintf(why, cap, "the key has %u parties, the roster %zu", k->n, r->n);
        return QR_ERR_IDENTITY;
    }
    for (size_t i = 0; i < r->n; i++) {
        if (memcmp(k->id[i], r->party[i].identity, 32) != 0) {
            snprintf(why, cap, "party %zu of the key is not party %zu of the roster", i + 1, i + 1);
            return QR_ERR_IDENTITY;
        }
    }
    if (memcmp(k->admin_hash, r->admins.hash, sizeof k->admin_hash) != 0) {
        snprintf(why, cap, "the key was made under other administrators than the roster's");
        return QR_ERR_ADMIN;
    }
    return QR_OK;
}

/* ---- answers ---- */

static qr_err
read_signature(const struct qr_json_at *list, size_t i, uint8_t digest[static 32],
               struct qr_ctl_signed *s)
{
    struct qr_json_at at = qr_json_elem(list, i);
    uint64_t recid = 0;
    const struct qr_json_field fields[] = {
        {"digest", QR_JSON_HEX, 0, 32, digest, NULL},
        {"r", QR_JSON_HEX, 0, 32, s->rs[i], NULL},
        {"s", QR_JSON_HEX, 0, 32, s->rs[i] + 32, NULL},
        {"recid", QR_JSON_U64, 0, 3, &recid, NULL},
        {.type = QR_JSON_END},
    };
    QR_TRY(qr_json_fields(&at, fields));
    s->recid[i] = (uint8_t)recid;
    return QR_OK;
}

static qr_err
read_signers(const struct qr_json_at *list, struct qr_ctl_signed *s)
{
    s->n_signers = qr_json_count(list);
    for (size_t i = 0; i < s->n_signers; i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        uint64_t v = 0;
        const struct qr_json_field f = {"signer", QR_JSON_U64, 1, QR_MAX_PARTIES, &v, NULL};
        QR_TRY(qr_json_value(&at, &f));
        s->signers[i] = (uint16_t)v;
    }
    return QR_OK;
}

/* The answer's text; digests and the two hashes are for the caller to compare. */
struct claimed {
    uint8_t request[32], key[33], digest[QR_ITEMS_MAX][32];
};

static qr_err
read_answer(struct qr_json *j, struct claimed *c, struct qr_ctl_signed *s)
{
    struct qr_json_at root = qr_json_root(j), sigs, signers;
    uint64_t v = 0;
    qr_view reason;
    int has;
    const struct qr_json_field fields[] = {
        {"v", QR_JSON_U64, 1, 1, &v, NULL},
        {"request", QR_JSON_HEX, 0, 32, c->request, NULL},
        {"key", QR_JSON_HEX, 0, 33, c->key, NULL},
        {"signatures", QR_JSON_ARRAY, 1, QR_ITEMS_MAX, &sigs, NULL},
        {"signers", QR_JSON_ARRAY, 1, QR_MAX_PARTIES, &signers, NULL},
        {"micros", QR_JSON_U64, 0, INT64_MAX, &s->micros, &has},
        {"bytes", QR_JSON_U64, 0, INT64_MAX, &s->bytes, &has},
        {"moves", QR_JSON_U64, 0, UINT32_MAX, &s->moves, &has},
        {"move_reason", QR_JSON_UTF8, 0, 2048, &reason, &has},
        {"insecure_sim", QR_JSON_BOOL, 0, 0, &s->insecure_sim, &has},
        {.type = QR_JSON_END},
    };
    QR_TRY(qr_json_fields(&root, fields));
    s->n = qr_json_count(&sigs);
    for (size_t i = 0; i < s->n; i++) {
        QR_TRY(read_signature(&sigs, i, c->digest[i], s));
    }
    return read_signers(&signers, s);
}

static qr_err
verify_item(const struct qr_ctl_signed *s, size_t i, const uint8_t digest[static 32],
            const qr_pt *pk)
{
    qr_pt got;
    QR_TRY(qr_ecdsa_verify(pk, digest, s->rs[i]));
    QR_TRY(qr_ecdsa_recover(&got, digest, s->rs[i], s->recid[i]));
    return qr_pt_eq_var(&got, pk) ? QR_OK : QR_ERR_BAD_SIGNATURE;
}

static qr_err
verify(const struct claimed *c, const struct qr_request *asked, const struct qr_key_pub *k,
       struct qr_ctl_signed *s, char *why, size_t cap)
{
    qr_pt pk;
    qr_fq tau;

    if (memcmp(c->request, asked->hash, 32) != 0) {
        snprintf(why, cap, "the answer is to another request");
        return QR_ERR_BAD_SIGNATURE;
    }
    if (memcmp(c->key, asked->key, 33) != 0 || memcmp(c->key, k->pk, 33) != 0) {
        snprintf(why, cap, "the answer is for another key");
        return QR_ERR_BAD_SIGNATURE;
    }
    if (s->n != asked->n_items) {
        snprintf(why, cap, "%zu items were sent, %zu signatures came back", asked->n_items, s->n);
        return QR_ERR_BAD_SIGNATURE;
    }
    QR_TRY(qr_pt_parse(&pk, k->pk));
    QR_TRY(qr_derive(&pk, k->cc, asked->path, asked->depth, &pk, &tau, NULL));
    qr_pt_put(s->pk, &pk);
    for (size_t i = 0; i < s->n; i++) {
        if (memcmp(c->digest[i], asked->items[i].digest, 32) != 0) {
            snprintf(why, cap, "signature %zu is of another digest than item %zu's", i + 1, i + 1);
            return QR_ERR_BAD_SIGNATURE;
        }
        if (verify_item(s, i, asked->items[i].digest, &pk) != QR_OK) {
            snprintf(why, cap, "signature %zu does not verify under the key", i + 1);
            return QR_ERR_BAD_SIGNATURE;
        }
    }
    return QR_OK;
}

qr_err
qr_ctl_signed_check(qr_view body, const struct qr_request *asked, const struct qr_key_pub *k,
                    struct qr_ctl_signed *ret, char *why, size_t cap)
{
    struct qr_json j = {0};
    struct claimed c;

    memset(ret, 0, sizeof *ret);
    snprintf(why, cap, "the answer cannot be read");
    QR_TRY(qr_json_parse(&j, body, ANSWER_VALUES, why, cap));
    qr_err e = read_answer(&j, &c, ret);
    qr_json_clear(&j);
    return e == QR_OK ? verify(&c, asked, k, ret, why, cap) : e;
}

int
qr_ctl_problem(const struct qr_ctl *c, const char *from, unsigned status, qr_view body)
{
    char text[QR_QUOTE_MAX], *q = text;
    json_t *j = json_loadb((const char *)body.p, body.len, 0, NULL);
    const char *code = json_string_value(json_object_get(j, "code"));
    const char *detail = json_string_value(json_object_get(j, "detail"));
    const char *rule = json_string_value(json_object_get(j, "rule"));
    long long party = json_integer_value(json_object_get(j, "party"));
    int exit_code = status == 429 || status >= 502                    ? QR_EXIT_TEMPORARY
                    : status == 401 || status == 403 || status == 409 ? QR_EXIT_REFUSED
                    : status >= 500                                   ? QR_EXIT_INTERNAL
                                                                      : QR_EXIT_USAGE;

    /* Text of a stranger on a terminal: printable characters only. */
    char safe[400] = "";
    if (detail) {
        size_t n = 0;
        for (const char *p = detail; *p && n + 1 < sizeof safe; p++) {
            safe[n++] = *p >= 0x20 && *p < 0x7f ? *p : '?';
        }
        safe[n] = '\0';
    }
    char more[96] = "";
    int n = 0;
    if (party > 0 && party <= QR_MAX_PARTIES) {
        n = snprintf(more, sizeof more, ", party %lld", party);
    }
    if (rule && rule[0]) {
        snprintf(more + n, sizeof more - (size_t)n, ", rule %s", qr_quote(q, qr_view_str(rule)));
    }
    char code_text[QR_QUOTE_MAX] = "";
    if (code) {
        (void)qr_quote(code_text, qr_view_str(code));
    }
    qr_ctl_fail(c, exit_code, "%s answered %u %s%s%s%s", from, status, code_text,
                safe[0] ? ": " : "", safe, more);
    json_decref(j);
    return exit_code;
}

/* ---- encodings ---- */

static size_t
der_integer(const uint8_t v[static 32], uint8_t *out)
{
    size_t skip = 0;
    while (skip < 31 && v[skip] == 0) {
        skip++;
    }
    size_t pad = v[skip] >> 7, n = 32 - skip;
    out[0] = 0x02;
    out[1] = (uint8_t)(n + pad);
    out[2] = 0;
    memcpy(out + 2 + pad, v + skip, n);
    return 2 + pad + n;
}

size_t
qr_ctl_der(const uint8_t rs[static 64], uint8_t out[static 72])
{
    size_t n = 2;
    n += der_integer(rs, out + n);
    n += der_integer(rs + 32, out + n);
    out[0] = 0x30;
    out[1] = (uint8_t)(n - 2);
    return n;
}

qr_err
qr_ctl_der_parse(qr_view der, uint8_t ret_rs[static 64])
{
    const uint8_t *p = der.p;
    uint8_t rs[64], again[72];
    qr_err e = QR_ERR_MALFORMED;

    if (der.len > sizeof again) {
        return e;
    }
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)der.len);
    if (s && BN_bn2binpad(ECDSA_SIG_get0_r(s), rs, 32) == 32 &&
        BN_bn2binpad(ECDSA_SIG_get0_s(s), rs + 32, 32) == 32 &&
        !BN_is_negative(ECDSA_SIG_get0_r(s)) && !BN_is_negative(ECDSA_SIG_get0_s(s)) &&
        /* One encoding only: encode again and compare. */
        qr_view_eq(qr_view_of(again, qr_ctl_der(rs, again)), der)) {
        memcpy(ret_rs, rs, 64);
        e = QR_OK;
    }
    ECDSA_SIG_free(s);
    return e;
}

qr_err
qr_ctl_spki_pem(const uint8_t pk[static 33], struct qr_dbuf *out)
{
    char *pem = NULL;
    EVP_PKEY *k = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    qr_err e = QR_ERR_CRYPTO_LIB;

    if (ctx && b && bio &&
        OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "secp256k1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, pk, 33) == 1 &&
        (params = OSSL_PARAM_BLD_to_param(b)) != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &k, EVP_PKEY_PUBLIC_KEY, params) == 1 &&
        PEM_write_bio_PUBKEY(bio, k) == 1) {
        long n = BIO_get_mem_data(bio, &pem);
        e = qr_dbuf_append(out, pem, (size_t)n);
    }
    BIO_free(bio);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(b);
    EVP_PKEY_free(k);
    EVP_PKEY_CTX_free(ctx);
    return e;
}
