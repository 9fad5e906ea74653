/*
 * evgen_nitro: attestation documents of a throwaway Nitro hierarchy, every byte under control.
 *
 * What: root, regional, zonal, instance and leaf certificates as AWS shapes them, a payload with the
 *       members in the order of real documents, COSE_Sign1 around it, signed by the leaf's key.
 * How: evnitro_init makes a genuine description. Change it, then call the three steps, changing what
 *       each one made before the next: evnitro_certs (spec -> cert, bundle, leaf), evnitro_payload
 *       (values -> members), evnitro_sign (members -> document). What was changed is signed as well,
 *       so that the rule under test and not the signature refuses it.
 * Also: evcbor_*, a writer of CBOR that can write what one must not.
 */
#ifndef TEST_EVGEN_NITRO_H
#define TEST_EVGEN_NITRO_H

#include "test/common/evgen_ca.h"

/* ---- CBOR ---- */

enum evcbor_major {
    EVCBOR_UINT,
    EVCBOR_NEGINT,
    EVCBOR_BYTES,
    EVCBOR_TEXT,
    EVCBOR_ARRAY,
    EVCBOR_MAP,
    EVCBOR_TAG,
};
void evcbor_head(struct evgen_buf *b, enum evcbor_major m, uint64_t u);
/* The argument in this many bytes (1, 2, 4, 8), needed or not. */
void evcbor_head_wide(struct evgen_buf *b, enum evcbor_major m, uint64_t u, unsigned bytes);
void evcbor_bytes(struct evgen_buf *b, qr_view v);
void evcbor_text(struct evgen_buf *b, const char *s);

/* ---- documents ---- */

enum evnitro_level {
    EVNITRO_ROOT,
    EVNITRO_REGIONAL,
    EVNITRO_ZONAL,
    EVNITRO_INSTANCE,
    EVNITRO_LEAF,
    EVNITRO_CERTS
};

#define EVNITRO_PCRS 32u
#define EVNITRO_BUNDLE 16u
#define EVNITRO_MEMBERS 48u
#define EVNITRO_DOC_MAX 65536u

struct evnitro_member {
    qr_view key, value; /* CBOR items */
};

struct evnitro {
    struct evgen_cert_spec spec[EVNITRO_CERTS];
    struct evgen_der cert[EVNITRO_CERTS];
    /* from here on views into cert or anywhere else */
    qr_view leaf;
    size_t n_bundle;
    qr_view bundle[EVNITRO_BUNDLE]; /* root first */

    const char *module_id, *digest;
    uint64_t timestamp_ms;
    uint32_t pcr_mask; /* bit i: PCR i is there */
    uint8_t pcr[EVNITRO_PCRS][48];
    /* p NULL: null */
    qr_view public_key, user_data, nonce;
    int indefinite; /* maps and arrays */
    size_t n_members;
    struct evnitro_member member[EVNITRO_MEMBERS];
    int64_t count_lie; /* added to the declared number of members */

    EVP_PKEY *key; /* signs the document */
    int tag;       /* < 0: none */
    /* CBOR items, or (head, tails) bytes as they are */
    qr_view head, protected_item, unprotected_item, payload_tail, doc_tail;
    uint8_t sig[128]; /* after evnitro_sign */
    size_t sig_len;

    struct evgen_buf arena, payload, doc;
    uint8_t arena_mem[EVNITRO_DOC_MAX], payload_mem[EVNITRO_DOC_MAX], doc_mem[EVNITRO_DOC_MAX];
};

/* Genuine at EVGEN_NOW_MS: 30 s old; PCRs 0..15, of which 0 to 4 and 8 are not zero; no nonce. */
void evnitro_init(struct evnitro *d);
/* The subject's key of a level, and whatever is signed with it. */
void evnitro_set_key(struct evnitro *d, enum evnitro_level level, EVP_PKEY *key,
                     enum evgen_sig sig);
void evnitro_certs(struct evnitro *d);
void evnitro_payload(struct evnitro *d);
void evnitro_sign(struct evnitro *d);
/* The three steps. */
void evnitro_build(struct evnitro *d);

/* Member of a name; NULL: none. */
struct evnitro_member *evnitro_find(struct evnitro *d, const char *name);
/* A CBOR item that lives as long as d: begin, write to the buffer, end. */
size_t evnitro_item_begin(const struct evnitro *d);
qr_view evnitro_item_end(const struct evnitro *d, size_t begin);
qr_view evnitro_text(struct evnitro *d, const char *s);
qr_view evnitro_bytes(struct evnitro *d, qr_view v);
void evnitro_add(struct evnitro *d, qr_view key, qr_view value);
void evnitro_remove(struct evnitro *d, const char *name);

/* The Sig_structure over what lies in d->payload; context is "Signature1". */
void evnitro_sig_structure(const struct evnitro *d, const char *context, struct evgen_buf *out);
/* The COSE array around d->payload and d->sig again, without signing. */
void evnitro_wrap(struct evnitro *d);

static inline qr_view
evnitro_doc(const struct evnitro *d)
{
    return evgen_buf_view(&d->doc);
}

#endif
