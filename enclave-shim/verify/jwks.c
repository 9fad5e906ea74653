#include "enclave-shim/verify/jwks.h"

#include "protocol/base/enc.h"
#include "protocol/base/mem.h"

#include <jansson.h>

static qr_err
malformed(struct qr_verdict *v, const char *what, const char *expected)
{
    return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED, "%s: expected %s, found something else",
                   what, expected);
}

/* ---- key sets ---------------------------------------------------------------------------------- */

/* A base64url number of at most cap bytes. */
static int
decode_number(const json_t *key, const char *name, uint8_t *out, size_t cap, qr_view *ret)
{
    qr_view t = qr_jws_text(key, name);
    size_t n;
    if (!t.p || qr_b64url_decode((const char *)t.p, t.len, out, cap, &n) != QR_OK) {
        return 0;
    }
    *ret = qr_view_of(out, n);
    return 1;
}

static EVP_PKEY *
key_of_numbers(const json_t *key)
{
    uint8_t nb[QR_JWS_SIG_MAX], eb[8];
    qr_view n, e;
    return decode_number(key, "n", nb, sizeof nb, &n) && decode_number(key, "e", eb, sizeof eb, &e)
               ? qr_key_rsa(n, e)
               : NULL;
}

/* The certificate only carries the key: the set is what is believed, or not. */
static qr_err
key_of_x5c(const json_t *list, struct qr_verdict *v, EVP_PKEY **ret)
{
    const json_t *first = json_is_array(list) ? json_array_get(list, 0) : NULL;
    uint8_t der[4096];
    size_t n;
    struct qr_certs certs = {0};

    if (!first || !json_is_string(first) ||
        qr_b64_decode(json_string_value(first), json_string_length(first), der, sizeof der, &n) !=
            QR_OK) {
        return malformed(v, "key set", "x5c with base64 of a certificate");
    }
    qr_err e = qr_certs_add_der(&certs, qr_view_of(der, n), v, QR_CHECK_PARSE, "key set");
    if (e == QR_OK) {
        *ret = X509_get_pubkey(certs.x[0]);
    }
    qr_certs_free(&certs);
    return e;
}

static qr_err
key_of_entry(const json_t *key, struct qr_verdict *v, EVP_PKEY **ret)
{
    const json_t *x5c = json_object_get(key, "x5c");
    const json_t *alg = json_object_get(key, "alg"), *use = json_object_get(key, "use");
    EVP_PKEY *k = NULL, *k5 = NULL;
    qr_err e = QR_OK;

    if (!qr_view_eq(qr_jws_text(key, "kty"), qr_view_str("RSA")) ||
        (alg && !qr_view_eq(qr_jws_text(key, "alg"), qr_view_str("RS256"))) ||
        (use && !qr_view_eq(qr_jws_text(key, "use"), qr_view_str("sig")))) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "key set: expected an RSA key for RS256 signatures, found another kind");
    }
    if (json_object_get(key, "n") || json_object_get(key, "e") || !x5c) {
        k = key_of_numbers(key);
        if (!k) {
            return malformed(v, "key set", "n and e of an RSA key of 2048 to 4096 bits");
        }
    }
    if (x5c) {
        e = key_of_x5c(x5c, v, &k5);
        if (e == QR_OK && k && EVP_PKEY_eq(k, k5) != 1) {
            e = malformed(v, "key set", "the same key in n and in x5c");
        }
    }
    if (e == QR_OK && !k) {
        k = k5;
        k5 = NULL;
    }
    EVP_PKEY_free(k5);
    if (e != QR_OK || !qr_key_is_rsa(k)) {
        EVP_PKEY_free(k);
        return e != QR_OK ? e : malformed(v, "key set", "an RSA key of 2048 to 4096 bits");
    }
    *ret = k;
    return QR_OK;
}

static qr_err
find_entry(const json_t *set, qr_view kid, struct qr_verdict *v, const json_t **ret)
{
    const json_t *keys = json_object_get(set, "keys"), *found = NULL;
    char q[QR_QUOTE_MAX];

    if (!json_is_array(keys)) {
        return malformed(v, "key set", "the member keys, an array");
    }
    if (json_array_size(keys) > QR_JWKS_KEYS) {
        return qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                       "key set: expected at most %u keys, found %zu", QR_JWKS_KEYS,
                       json_array_size(keys));
    }
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *k = json_array_get(keys, i);
        qr_view name = qr_jws_text(k, "kid");
        if (!name.p || !qr_view_eq(name, kid)) {
            continue; /* of no concern, whatever it is */
        }
        if (found) {
            return qr_fail(v, QR_CHECK_PARSE, QR_REASON_DUPLICATE_KEY,
                           "key set: expected one key \"%s\", found two", qr_quote(q, kid));
        }
        found = k;
    }
    if (!found) {
        return qr_fail(v, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_MISSING,
                       "key set: expected the key \"%s\", found none of that name",
                       qr_quote(q, kid));
    }
    *ret = found;
    return QR_OK;
}

qr_err
qr_jwks_find(qr_view jwks, qr_view kid, struct qr_verdict *v, EVP_PKEY **ret)
{
    struct qr_json j;
    const json_t *entry = NULL;

    QR_TRY(qr_jws_json(jwks, QR_JWKS_VALUES, v, "key set", &j));
    qr_err e = find_entry(j.root, kid, v, &entry);
    if (e == QR_OK) {
        e = key_of_entry(entry, v, ret);
    }
    qr_json_clear(&j);
    return e;
}

qr_err
qr_jwks_check(struct qr_verify_run *r, const struct qr_jws *j)
{
    qr_view jwks, kid = qr_jws_text(j->header.root, "kid");
    EVP_PKEY *key;

    if (!kid.p) {
        return malformed(r->v, "token header", "the member kid, text");
    }
    QR_TRY(qr_run_need(r, QR_PART_JWKS, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_MISSING, &jwks));
    QR_TRY(qr_jwks_find(jwks, kid, r->v, &key));
    qr_err e = qr_jws_check_signature(r, j, key);
    EVP_PKEY_free(key);
    return e;
}

/* ---- certificates in the header ---------------------------------------------------------------- */

int
qr_x5c_present(const struct qr_jws *j)
{
    return json_object_get(j->header.root, "x5c") != NULL;
}

static int
is_pem(const json_t *entry)
{
    static const char head[] = "-----BEGIN";
    return strncmp(json_string_value(entry), head, sizeof head - 1) == 0;
}

/* All entries one after the other are one PEM text. */
static qr_err
read_pem(const json_t *list, struct qr_verdict *v, struct qr_buf *b, struct qr_certs *certs)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        if (!is_pem(entry)) {
            return malformed(v, "x5c", "every entry in the form of the first, PEM");
        }
        qr_buf_put(b, json_string_value(entry), json_string_length(entry));
        qr_buf_put8(b, '\n');
    }
    QR_TRY(qr_certs_add_pem(certs, qr_buf_view(b), v, QR_CHECK_PARSE, "x5c"));
    return certs->n == json_array_size(list) ? QR_OK
                                             : malformed(v, "x5c", "one certificate in each entry");
}

static qr_err
read_der(const json_t *list, struct qr_verdict *v, struct qr_buf *b, struct qr_certs *certs)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        uint8_t *out = b->p + b->len;
        size_t n;
        if (qr_b64_decode(json_string_value(entry), json_string_length(entry), out, b->cap - b->len,
                          &n) != QR_OK) {
            return malformed(v, "x5c", "base64 of certificates");
        }
        b->len += n;
        QR_TRY(qr_certs_add_der(certs, qr_view_of(out, n), v, QR_CHECK_PARSE, "x5c"));
    }
    return QR_OK;
}

qr_err
qr_x5c_read(const struct qr_jws *j, struct qr_verdict *v, struct qr_x5c *ret)
{
    const json_t *list = json_object_get(j->header.root, "x5c");
    struct qr_x5c x = {0};
    size_t total = 0;

    if (!json_is_array(list) || json_array_size(list) == 0) {
        return malformed(v, "x5c", "an array of certificates");
    }
    if (json_array_size(list) > QR_CERTS_MAX) {
        return qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                       "x5c: expected at most %u certificates, found %zu", QR_CERTS_MAX,
                       json_array_size(list));
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        if (!json_is_string(entry)) {
            return malformed(v, "x5c", "text in every entry");
        }
        total += json_string_length(entry) + 1; /* bounded by the token's length */
    }
    x.mem = qr_alloc(total);
    if (!x.mem) {
        return QR_ERR_NO_MEMORY;
    }
    struct qr_buf b = qr_buf_over(x.mem, total);
    qr_err e = is_pem(json_array_get(list, 0)) ? read_pem(list, v, &b, &x.certs)
                                               : read_der(list, v, &b, &x.certs);
    if (e != QR_OK) {
        qr_x5c_free(&x);
        return e;
    }
    *ret = x;
    return QR_OK;
}

void
qr_x5c_free(struct qr_x5c *x)
{
    qr_certs_free(&x->certs);
    x->mem = qr_free(x->mem);
}
