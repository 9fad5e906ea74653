/*
 * A section's second witness: whose tokens, signed by which keys. A key set is signed by nobody, so a
 * key counts when the policy lists it or when it has a certificate under a pinned root.
 */
#include "enclave-shim/verify/peers_int.h"
#include "enclave-shim/verify/witness.h"

#include <stdio.h>

#define LIST_MAX 16u

/* ---- compiling ---- */

/* *ret_set: tokens of this issuer are only signed by keys of a key set. */
static qr_err
read_issuer(const struct qr_json_at *at, enum qr_evidence_kind kind, struct qr_peers_value *v,
            int *ret_set)
{
    qr_view t;
    const struct qr_json_field text = {"", QR_JSON_TEXT, 1, sizeof v->b, &t, NULL};

    QR_TRY(qr_json_value(at, &text));
    enum qr_evidence_kind service = qr_witness_of(t);
    if (service == QR_EV_NONE) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "no such service; write \"https://NAME.REGION.attest.azure.net\" or "
                            "\"https://confidentialcomputing.googleapis.com\"");
    }
    if (!qr_witness_fits(service, kind)) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "this service attests no machine of %s",
                            qr_evidence_kind_name(kind));
    }
    memcpy(v->b, t.p, t.len);
    v->len = (uint8_t)t.len;
    *ret_set |= service == QR_EV_MAA;
    return QR_OK;
}

qr_err
qr_peers_read_witness(const struct qr_json_at *at, struct qr_peers *p, struct qr_peers_section *s)
{
    struct qr_peers_witness *w = &s->witness;
    struct qr_json_at issuers, keys;
    qr_view note;
    int has_keys = 0, has_note = 0, set = 0;
    const struct qr_json_field fields[] = {
        {"issuers", QR_JSON_ARRAY, 1, LIST_MAX, &issuers, NULL},
        {"keys", QR_JSON_ARRAY, 1, LIST_MAX, &keys, &has_keys},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    w->line = qr_json_line(at);
    for (size_t i = 0; i < qr_json_count(&issuers); i++) {
        struct qr_json_at one = qr_json_elem(&issuers, i);
        struct qr_peers_value *v = NULL;
        QR_TRY(qr_peers_value_new(&one, p, &w->issuers, &v));
        QR_TRY(read_issuer(&one, s->kind, v, &set));
        QR_TRY(qr_peers_value_once(&one, p, &w->issuers));
    }
    for (size_t i = 0; has_keys && i < qr_json_count(&keys); i++) {
        struct qr_json_at one = qr_json_elem(&keys, i);
        struct qr_peers_value *v = NULL;
        QR_TRY(qr_peers_value_new(&one, p, &w->keys, &v));
        v->len = 32;
        QR_TRY(qr_measure_hex(&one, 32, v->b));
        QR_TRY(qr_peers_value_once(&one, p, &w->keys));
    }
    if (set && !has_keys) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "member \"keys\" is missing; Azure's key sets are signed by nobody, so "
                            "list the keys' SHA-256 (claim witness.key_sha256)");
    }
    return QR_OK;
}

/* ---- judging ---- */

static qr_err
judge_issuer(const struct qr_peers_judging *j, const struct qr_peers_witness *w)
{
    const struct qr_peers_value *first = &j->p->value[w->issuers.first];
    char expected[QR_PEERS_SHOWN + 32], more[32] = "";
    qr_view iss;

    if (qr_claim_get_text(&j->v->claims, "witness.iss", &iss) &&
        qr_peers_list_has(j->p, &w->issuers, iss)) {
        return QR_OK;
    }
    if (w->issuers.n > 1) {
        (void)snprintf(more, sizeof more, " (or %u more)", (unsigned)w->issuers.n - 1);
    }
    (void)snprintf(expected, sizeof expected, "%.*s%s", (int)first->len, (const char *)first->b,
                   more);
    return qr_peers_refuse_claim(j, QR_REASON_POLICY, "witness.issuers", w->issuers.line, expected,
                                 "witness.iss");
}

static qr_err
judge_key(const struct qr_peers_judging *j, const struct qr_peers_witness *w)
{
    const struct qr_claimset *c = &j->v->claims;
    int pinned = 0;
    qr_view key;

    if ((qr_claim_get_bool(c, "witness.pinned_root", &pinned) && pinned) ||
        (qr_claim_get_hex(c, "witness.key_sha256", &key) &&
         qr_peers_list_has(j->p, &w->keys, key))) {
        return QR_OK;
    }
    return qr_peers_refuse_claim(j, QR_REASON_POLICY, "witness.keys",
                                 w->keys.n ? w->keys.line : w->line,
                                 w->keys.n ? "a listed key, or certificates to a pinned root"
                                           : "certificates to a pinned root",
                                 "witness.key_sha256");
}

qr_err
qr_peers_judge_witness(const struct qr_peers_judging *j)
{
    const struct qr_peers_witness *w = &j->s->witness;
    int debug = 0;

    if (w->line == 0) {
        return QR_OK; /* none is asked for: one that came along has been heard and counts nothing */
    }
    if (j->v->check[QR_CHECK_TOKEN] != QR_CHECK_PASS) {
        return qr_peers_refuse(j, QR_CHECK_POLICY, QR_REASON_POLICY, "witness", w->line,
                               "a token of a second witness", "none");
    }
    QR_TRY(judge_issuer(j, w));
    QR_TRY(judge_key(j, w));
    /* The processor has shown that debugging is off; the witness may see more than it, as an image. */
    if (!j->s->debug && qr_claim_get_bool(&j->v->claims, "witness.debug", &debug) && debug) {
        return qr_peers_refuse(j, QR_CHECK_DEBUG, QR_REASON_DEBUG, "witness", w->line,
                               "one that sees no debugging", "witness.debug true");
    }
    return QR_OK;
}
