#include "daemon/client/check.h"

#include "proto/json_strict.h"
#include "protocol/derive.h"

#include <stdio.h>

#define ANSWER_VALUES (64u + 5u * QR_ITEMS_MAX)

/* ---- keys ---- */

qr_err
qr_client_key_check(const struct qr_key_pub *k, const struct qr_roster *r, char *why, size_t cap)
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
               struct qr_client_signed *s)
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
read_signers(const struct qr_json_at *list, struct qr_client_signed *s)
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
read_answer(struct qr_json *j, struct claimed *c, struct qr_client_signed *s)
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
verify_item(const struct qr_client_signed *s, size_t i, const uint8_t digest[static 32],
            const qr_pt *pk)
{
    qr_pt got;
    QR_TRY(qr_ecdsa_verify(pk, digest, s->rs[i]));
    QR_TRY(qr_ecdsa_recover(&got, digest, s->rs[i], s->recid[i]));
    return qr_pt_eq_var(&got, pk) ? QR_OK : QR_ERR_BAD_SIGNATURE;
}

static qr_err
verify(const struct claimed *c, const struct qr_request *asked, const struct qr_key_pub *k,
       struct qr_client_signed *s, char *why, size_t cap)
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
qr_client_signed_check(qr_view body, const struct qr_request *asked, const struct qr_key_pub *k,
                       struct qr_client_signed *ret, char *why, size_t cap)
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
