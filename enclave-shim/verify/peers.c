/* A compiled policy's life, and what others ask of it. */
#include "enclave-shim/verify/peers_int.h"

#include "protocol/base/mem.h"

#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

struct qr_peers *
qr_peers_free(struct qr_peers *p)
{
    if (p) {
        qr_free(p->set);
        qr_free(p->belief);
        qr_free(p->value);
    }
    return qr_free(p);
}

uint16_t
qr_peers_secret(const struct qr_peers *p)
{
    return (uint16_t)p->secret;
}

int
qr_peers_insecure_sim(const struct qr_peers *p)
{
    return p->insecure_sim;
}

int
qr_peers_list_has(const struct qr_peers *p, const struct qr_peers_list *l, qr_view v)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct qr_peers_value *x = &p->value[l->first + i];
        if (qr_view_eq(v, qr_view_of(x->b, x->len))) {
            return 1;
        }
    }
    return 0;
}

const struct qr_peers_times *
qr_peers_times(const struct qr_peers *p)
{
    return &p->times;
}

const struct qr_peers_section *
qr_peers_find(const struct qr_peers *p, enum qr_evidence_kind k)
{
    for (size_t i = 0; i < p->n_sections; i++) {
        if (p->section[i].kind == k) {
            return &p->section[i];
        }
    }
    return NULL;
}

const struct qr_peers_rule *
qr_peers_rule_named(const struct qr_peers_section *s, const char *member)
{
    for (size_t i = 0; i < s->n_rules; i++) {
        if (strcmp(s->rule[i].def->member, member) == 0) {
            return &s->rule[i];
        }
    }
    return NULL;
}

void
qr_peers_verify_opts(const struct qr_peers *p, struct qr_verify_opts *o)
{
    o->max_age_ms = p->times.max_age_ms;
    o->exception = p->n_exceptions > 0 ? p->exception : NULL;
    o->n_exceptions = p->n_exceptions;
    o->min_tcb_evaluation = p->min_evaluation;
    for (size_t i = 0; i < p->n_manifests; i++) {
        const struct qr_manifest *m = p->manifest[i];
        uint64_t least = qr_manifest_min_evaluation(m);
        int counts = o->now_ms < 0 ||
                     (qr_manifest_from_ms(m) <= o->now_ms && o->now_ms < qr_manifest_until_ms(m));
        if (counts && least > o->min_tcb_evaluation) {
            o->min_tcb_evaluation = least;
        }
    }
}

int
qr_peers_wants_manifests(const struct qr_peers *p)
{
    return p->n_beliefs > 0;
}

static int
believes_hash(const struct qr_peers *p, const uint8_t sha256[static 32])
{
    for (size_t b = 0; b < p->n_beliefs; b++) {
        const struct qr_peers_list *l = &p->belief[b].sha256;
        for (size_t i = 0; i < l->n; i++) {
            if (memcmp(p->value[l->first + i].b, sha256, 32) == 0) {
                return 1;
            }
        }
    }
    return 0;
}

static qr_err
believe(const struct qr_peers *p, const struct qr_manifest *m, qr_view signatures, char *err_text,
        size_t err_cap)
{
    if (believes_hash(p, qr_manifest_sha256(m))) {
        return QR_OK;
    }
    EXPLAIN("manifest %s: no rule of the policy names its SHA-256, and none names signers",
            qr_manifest_release(m));
    qr_err e = QR_ERR_ATTESTATION;
    for (size_t b = 0; b < p->n_beliefs && e != QR_OK; b++) {
        const struct qr_peers_belief *rule = &p->belief[b];
        char why[160] = "";
        if (rule->signers.n == 0) {
            continue;
        }
        e = qr_manifest_verify(qr_manifest_text(m), signatures, &rule->signers, NULL, why,
                               sizeof why);
        if (e != QR_OK) {
            EXPLAIN("rule manifests at line %u: manifest %s: %s", rule->line,
                    qr_manifest_release(m), why);
        }
    }
    return e;
}

qr_err
qr_peers_add_manifest(struct qr_peers *p, const struct qr_manifest *m, qr_view signatures,
                      char *err_text, size_t err_cap)
{
    if (p->n_manifests == QR_PEERS_MANIFESTS) {
        EXPLAIN("at most %u manifests can be added", QR_PEERS_MANIFESTS);
        return QR_ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < p->n_manifests; i++) {
        if (strcmp(qr_manifest_release(p->manifest[i]), qr_manifest_release(m)) == 0) {
            EXPLAIN("there is a manifest of release %s already", qr_manifest_release(m));
            return QR_ERR_MALFORMED;
        }
    }
    QR_TRY(believe(p, m, signatures, err_text, err_cap));
    p->manifest[p->n_manifests++] = m;
    if (err_text && err_cap > 0) {
        err_text[0] = 0;
    }
    return QR_OK;
}
