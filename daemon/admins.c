#include "daemon/admins.h"

#include "protocol/base/enc.h"
#include "protocol/base/hash.h"

#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

void
qr_doc_hash(const char *kind, qr_view doc, uint8_t ret[static 32])
{
    qr_th(QR_TAG_DOC, QR_FIELDS(qr_view_str(kind), doc), ret);
}

void
qr_admins_clear(struct qr_admins *a)
{
    for (size_t i = 0; i < a->n; i++) {
        a->who[i].pub = qr_pubkey_free(a->who[i].pub);
    }
    *a = (struct qr_admins){0};
}

static void
hash_set(struct qr_admins *a)
{
    uint8_t need[2], n[2], key[QR_ADMINS_MAX][34];
    qr_view f[2 + QR_ADMINS_MAX] = {qr_view_of(need, 2), qr_view_of(n, 2)};

    qr_put16(need, (uint16_t)a->need);
    qr_put16(n, (uint16_t)a->n);
    for (size_t i = 0; i < a->n; i++) {
        key[i][0] = (uint8_t)a->who[i].key.scheme;
        memcpy(key[i] + 1, a->who[i].key.b, 33);
        f[2 + i] = qr_view_of(key[i], 1 + qr_scheme_key_len(a->who[i].key.scheme));
    }
    qr_th(QR_TAG_ADMINS, f, 2 + a->n, a->hash);
}

/* Puts one administrator into its place in the order of keys. */
static qr_err
insert(struct qr_admins *a, const struct qr_administrator *x, const struct qr_json_at *at)
{
    size_t i = a->n;

    for (size_t k = 0; k < a->n; k++) {
        if (strcmp(a->who[k].name, x->name) == 0) {
            return qr_json_fail(at, QR_ERR_MALFORMED, "name \"%s\" is used twice", x->name);
        }
        if (qr_stamp_key_cmp(&a->who[k].key, &x->key) == 0) {
            return qr_json_fail(at, QR_ERR_MALFORMED, "\"%s\" and \"%s\" have the same key",
                                a->who[k].name, x->name);
        }
    }
    for (; i > 0 && qr_stamp_key_cmp(&a->who[i - 1].key, &x->key) > 0; i--) {
        a->who[i] = a->who[i - 1];
    }
    a->who[i] = *x;
    a->n++;
    return QR_OK;
}

static qr_err
read_one(const struct qr_json_at *at, struct qr_admins *a)
{
    struct qr_administrator x = {0};

    QR_TRY(qr_signer_read(at, x.name, &x.key, &x.pub));
    qr_err e = insert(a, &x, at);
    if (e != QR_OK) {
        qr_pubkey_free(x.pub);
    }
    return e;
}

qr_err
qr_signer_read(const struct qr_json_at *at, char ret_name[static QR_NAME_MAX],
               struct qr_stamp_key *ret_key, struct qr_pubkey **ret_pub)
{
    qr_view name, scheme, key;
    struct qr_stamp_key k = {0};
    char q[QR_QUOTE_MAX];
    const struct qr_json_field fields[] = {
        {"name", QR_JSON_NAME, 1, QR_NAME_MAX - 1, &name, NULL},
        {"scheme", QR_JSON_TEXT, 1, 32, &scheme, NULL},
        {"key", QR_JSON_TEXT, 64, 66, &key, NULL},
        {.type = QR_JSON_END},
    };
    QR_TRY(qr_json_fields(at, fields));
    if (qr_scheme_parse(scheme, &k.scheme) != QR_OK) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "unknown scheme \"%s\"; known are p256, secp256k1, ed25519",
                            qr_quote(q, scheme));
    }
    if (qr_hex_decode((const char *)key.p, key.len, k.b, qr_scheme_key_len(k.scheme)) != QR_OK) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "key must be %zu lower-case hex digits for %s",
                            2 * qr_scheme_key_len(k.scheme), qr_scheme_name(k.scheme));
    }
    qr_err e = qr_pubkey_new(&k, ret_pub);
    if (e != QR_OK) {
        return e == QR_ERR_POINT
                   ? qr_json_fail(at, e, "key is not a %s public key", qr_scheme_name(k.scheme))
                   : qr_json_fail(at, e, "%s", qr_err_text(e));
    }
    memcpy(ret_name, name.p, name.len);
    ret_name[name.len] = 0;
    *ret_key = k;
    return QR_OK;
}

qr_err
qr_admins_read(const struct qr_json_at *at, struct qr_admins *ret)
{
    struct qr_admins a = {0};
    struct qr_json_at keys;
    uint64_t need = 0;
    const struct qr_json_field fields[] = {
        {"need", QR_JSON_U64, 1, QR_ADMINS_MAX, &need, NULL},
        {"keys", QR_JSON_ARRAY, 1, QR_ADMINS_MAX, &keys, NULL},
        {.type = QR_JSON_END},
    };
    qr_err e = QR_OK;

    QR_TRY(qr_json_fields(at, fields));
    for (size_t i = 0; i < qr_json_count(&keys) && e == QR_OK; i++) {
        struct qr_json_at one = qr_json_elem(&keys, i);
        e = read_one(&one, &a);
    }
    if (e == QR_OK && need > a.n) {
        e = qr_json_fail(at, QR_ERR_MALFORMED, "need is %llu but there are only %zu keys",
                         (unsigned long long)need, a.n);
    }
    if (e != QR_OK) {
        qr_admins_clear(&a);
        return e;
    }
    a.need = (unsigned)need;
    hash_set(&a);
    *ret = a;
    return QR_OK;
}

qr_err
qr_admins_verify(const struct qr_admins *a, qr_view doc, const qr_view *stamps, size_t n_stamps,
                 char *err_text, size_t err_cap)
{
    unsigned signed_by = 0, good = 0, strangers = 0; /* signed_by: bit i is who[i] */

    if (n_stamps == 0) {
        EXPLAIN("no administrator's stamp; %u of %zu are needed", a->need, a->n);
        return QR_ERR_STAMP_MISSING;
    }
    if (n_stamps > QR_ADMINS_MAX) {
        EXPLAIN("%zu stamps; at most %u are read", n_stamps, QR_ADMINS_MAX);
        return QR_ERR_TOO_LARGE;
    }
    for (size_t k = 0; k < n_stamps; k++) {
        struct qr_stamp s;
        size_t i = 0;
        QR_TRY(qr_stamp_parse(stamps[k], &s, err_text, err_cap));
        while (i < a->n && qr_stamp_key_cmp(&a->who[i].key, &s.key) != 0) {
            i++;
        }
        if (i == a->n) {
            strangers++;
            continue;
        }
        if (qr_stamp_verify(a->who[i].pub, &s, doc) != QR_OK) {
            EXPLAIN("stamp of administrator \"%s\" is not over these bytes", a->who[i].name);
            return QR_ERR_STAMP_INVALID;
        }
        good += !(signed_by >> i & 1);
        signed_by |= 1u << i;
    }
    if (good < a->need) {
        char names[128] = "";
        size_t len = 0;
        for (size_t i = 0; i < a->n && len < sizeof names; i++) {
            if (signed_by >> i & 1) {
                int k = snprintf(names + len, sizeof names - len, " %s", a->who[i].name);
                len += k > 0 ? (size_t)k : 0;
            }
        }
        EXPLAIN("%u of %u needed administrators signed (%s), %u stamps are by others", good,
                a->need, good ? names + 1 : "none", strangers);
        return QR_ERR_ADMIN;
    }
    return QR_OK;
}

qr_err
qr_serial_check(const char *what, uint64_t have, const uint8_t have_hash[static 32], uint64_t next,
                const uint8_t next_hash[static 32], int *ret_same, char *err_text, size_t err_cap)
{
    int same = next == have && memcmp(have_hash, next_hash, 32) == 0;

    if (next == have && !same) {
        EXPLAIN("another %s with serial %llu is in force; raise the serial", what,
                (unsigned long long)have);
        return QR_ERR_SERIAL;
    }
    if (next < have) {
        EXPLAIN("%s has serial %llu but %llu is in force", what, (unsigned long long)next,
                (unsigned long long)have);
        return QR_ERR_SERIAL;
    }
    *ret_same = same;
    return QR_OK;
}
