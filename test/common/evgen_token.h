/*
 * evgen_token: tokens of throwaway attestation services, with every member under control.
 *
 * What: a token as Azure Attestation writes them with the provider's key set, and as Confidential
 *       Space writes them in both flavours: by key set, or with certificates up to a root.
 * How: evtoken_maa, evtoken_oidc or evtoken_pki makes a genuine one; change header, payload and keys
 *      with jansson, or give a text of your own for either; evtoken_build signs what is there.
 *      evtoken_free ends it. The texts that are put in must outlive it.
 */
#ifndef TEST_EVGEN_TOKEN_H
#define TEST_EVGEN_TOKEN_H

#include "test/common/evgen_ca.h"
#include "test/common/evjudge.h"

#include <jansson.h>

enum evtoken_level { EVTOKEN_LEAF, EVTOKEN_INTERMEDIATE, EVTOKEN_ROOT, EVTOKEN_CERTS };
#define EVTOKEN_MAX (64u * 1024u)
#define EVTOKEN_KID "throwaway+key/1="

struct evtoken {
    json_t *header, *payload, *jwks;
    /* instead of the three, when not NULL */
    const char *header_text, *payload_text, *jwks_text;
    EVP_PKEY *key; /* signs */
    enum qr_hash_alg hash;
    int pss;

    int pki, pem; /* x5c of cert[], as PEM text when pem */
    struct evgen_cert_spec spec[EVTOKEN_CERTS];
    struct evgen_der cert[EVTOKEN_CERTS];

    struct evgen_buf token, keys;
    uint8_t token_mem[EVTOKEN_MAX], keys_mem[EVTOKEN_MAX];
};

/* Genuine at EVGEN_NOW_MS, issued a minute before, for an hour or eight. `binder` may be empty. */
void evtoken_maa(struct evtoken *t, qr_view binder);
void evtoken_oidc(struct evtoken *t, qr_view binder);
void evtoken_pki(struct evtoken *t, qr_view binder);
/* Certificates into t->cert and the header's x5c; evtoken_build does it when x5c is not there yet. */
void evtoken_x5c(struct evtoken *t);
void evtoken_build(struct evtoken *t);
void evtoken_free(struct evtoken *t);

/* Header, payload and signature that are there already, put together in t->token. */
void evtoken_join(struct evtoken *t, qr_view header, qr_view payload, qr_view sig);
/* A key of a key set: {"kty","use","alg","kid","n","e"}. */
json_t *evtoken_jwk(EVP_PKEY *key, const char *kid);
/* {"x5c": [...]} of one certificate of that key, as Azure's sets have it. */
json_t *evtoken_jwk_x5c(EVP_PKEY *key, const char *kid);

/* The token, and the key set when it is there, given to qr_verify; the root is pinned. */
void evtoken_judge(const struct evtoken *t, enum qr_evidence_kind kind, struct evjudge *j);

#endif
