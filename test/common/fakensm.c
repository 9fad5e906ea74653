#include "test/common/fakensm.h"

#include "enclave-shim/verify/cbor.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(x) ((x) ? (void)0 : must_fail(#x, __LINE__))

static void
must_fail(const char *what, int line)
{
    (void)fprintf(stderr, "fakensm: line %d: %s\n", line, what);
    abort();
}

/* ---- a signature that is always the same ------------------------------------------------------ */

/* k from key and digest; not RFC 6979, and good for throwaway keys only. */
static void
sign_again(EVP_PKEY *key, enum qr_hash_alg h, qr_view tbs, BIGNUM **ret_r, BIGNUM **ret_s)
{
    char group_name[32];
    uint8_t digest[64], seed[64 + 66], wide[64];
    BIGNUM *d = NULL, *r = BN_new(), *s = BN_new(), *z, *k, *order = BN_new(), *x = BN_new();
    BN_CTX *ctx = BN_CTX_new();
    size_t hl = qr_hash_len(h);

    MUST(EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group_name,
                                        sizeof group_name, NULL) == 1);
    EC_GROUP *g = EC_GROUP_new_by_curve_name(OBJ_txt2nid(group_name));
    MUST(g && ctx && EC_GROUP_get_order(g, order, ctx) == 1 &&
         EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &d) == 1);
    MUST(qr_hash_of(h, &tbs, 1, digest));
    memcpy(seed, digest, hl);
    MUST(BN_bn2binpad(d, seed + hl, 48) == 48);
    crypto_hash_sha512(wide, seed, hl + 48);
    k = BN_bin2bn(wide, 64, NULL);
    z = BN_bin2bn(digest, (int)hl, NULL);
    EC_POINT *p = EC_POINT_new(g);
    MUST(k && z && p && BN_nnmod(k, k, order, ctx) == 1 &&
         EC_POINT_mul(g, p, k, NULL, NULL, ctx) == 1 &&
         EC_POINT_get_affine_coordinates(g, p, x, NULL, ctx) == 1 &&
         BN_nnmod(r, x, order, ctx) == 1 && BN_mod_mul(s, r, d, order, ctx) == 1 &&
         BN_mod_add(s, s, z, order, ctx) == 1 && BN_mod_inverse(k, k, order, ctx) &&
         BN_mod_mul(s, s, k, order, ctx) == 1);
    *ret_r = r;
    *ret_s = s;
    EC_POINT_free(p);
    EC_GROUP_free(g);
    BN_clear_free(d);
    BN_free(z);
    BN_free(k);
    BN_free(order);
    BN_free(x);
    BN_CTX_free(ctx);
}

void
fakensm_same_signature(struct evgen_der *cert, EVP_PKEY *signer, enum qr_hash_alg h)
{
    const unsigned char *p = cert->p;
    unsigned char *tbs = NULL, *sig_der = NULL, *der = NULL;
    X509 *x = d2i_X509(NULL, &p, (long)cert->len);
    const ASN1_BIT_STRING *sig = NULL;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = NULL, *s = NULL;

    MUST(x && pair);
    int n = i2d_re_X509_tbs(x, &tbs);
    MUST(n > 0);
    sign_again(signer, h, qr_view_of(tbs, (size_t)n), &r, &s);
    MUST(ECDSA_SIG_set0(pair, r, s) == 1);
    int sig_len = i2d_ECDSA_SIG(pair, &sig_der);
    X509_get0_signature(&sig, NULL, x);
    MUST(sig_len > 0 && ASN1_STRING_set((ASN1_STRING *)(uintptr_t)sig, sig_der, sig_len) == 1);
    int len = i2d_X509(x, &der);
    MUST(len > 0 && (size_t)len <= sizeof cert->p && X509_verify(x, signer) == 1);
    memcpy(cert->p, der, (size_t)len);
    cert->len = (size_t)len;
    OPENSSL_free(tbs);
    OPENSSL_free(sig_der);
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    X509_free(x);
}

void
fakensm_root(struct evgen_der *ret)
{
    static struct evgen_der root;
    if (root.len == 0) {
        struct evnitro *d = calloc(1, sizeof *d);
        MUST(d);
        evnitro_init(d);
        evgen_cert(&d->spec[EVNITRO_ROOT], &root);
        fakensm_same_signature(&root, d->spec[EVNITRO_ROOT].signer, QR_SHA384);
        free(d);
    }
    *ret = root;
}

const struct qr_roots *
fakensm_roots(void)
{
    static struct qr_roots roots;
    if (roots.of[QR_ROOT_AWS_NITRO].n == 0) {
        struct evgen_der root;
        fakensm_root(&root);
        evgen_pin(&roots, QR_ROOT_AWS_NITRO, &root);
    }
    return &roots;
}

/* ---- documents ------------------------------------------------------------------------------- */

/* The chain as of a moment, kept for as long as it is good for that moment. */
static void
chain_at(struct evnitro *d, int64_t now_ms)
{
    static struct evgen_der cert[EVNITRO_CERTS];
    static int64_t made_ms;
    int64_t off = now_ms - now_ms % (30 * 60000) - EVGEN_NOW_MS; /* half-hours: a chain is kept */

    if (cert[0].len == 0 || made_ms != off) {
        fakensm_root(&cert[EVNITRO_ROOT]);
        for (size_t i = EVNITRO_REGIONAL; i < EVNITRO_CERTS; i++) {
            struct evgen_cert_spec s = d->spec[i];
            s.from_ms += off;
            s.to_ms += off;
            evgen_cert(&s, &cert[i]);
        }
        made_ms = off;
    }
    memcpy(d->cert, cert, sizeof cert);
    d->n_bundle = EVNITRO_LEAF;
    for (size_t i = 0; i < EVNITRO_LEAF; i++) {
        d->bundle[i] = evgen_view(&d->cert[i]);
    }
    d->leaf = evgen_view(&d->cert[EVNITRO_LEAF]);
}

static size_t
copy_out(qr_view v, uint8_t *out, size_t cap)
{
    MUST(v.len <= cap);
    memcpy(out, v.p, v.len);
    return v.len;
}

/* Fields into a document; d was initialised. */
static size_t
build(struct evnitro *d, uint8_t *out, size_t cap)
{
    chain_at(d, (int64_t)d->timestamp_ms);
    evnitro_payload(d);
    evnitro_sign(d);
    return copy_out(evnitro_doc(d), out, cap);
}

/* As the emulator writes it: an algorithm of its own, and zeros. */
static size_t
build_dummy(struct evnitro *d, uint8_t *out, size_t cap)
{
    static const uint8_t protected_item[] = {0x43, 0xa1, 0x01, 0x20}, zeros[64];
    d->protected_item = qr_view_of(protected_item, sizeof protected_item);
    d->leaf = qr_view_of(zeros, sizeof zeros);
    d->n_bundle = 1;
    d->bundle[0] = d->leaf;
    evnitro_payload(d);
    evnitro_sign(d);
    memset(d->sig, 0, sizeof d->sig);
    d->sig_len = 64;
    evnitro_wrap(d);
    return copy_out(evnitro_doc(d), out, cap);
}

struct fields {
    qr_view user_data, nonce, public_key;
};

static size_t
document(struct fakensm *f, const struct fields *in, uint8_t *out, size_t cap)
{
    static struct evnitro d;

    evnitro_init(&d);
    d.module_id = f->module_id;
    d.timestamp_ms = (uint64_t)(f->now_ms ? *f->now_ms : EVGEN_NOW_MS);
    d.pcr_mask = f->locked;
    memcpy(d.pcr, f->pcr, sizeof d.pcr);
    d.user_data = in->user_data;
    d.nonce = in->nonce;
    d.public_key = in->public_key;
    f->documents++;
    return f->dummy ? build_dummy(&d, out, cap) : build(&d, out, cap);
}

/* ---- the module ------------------------------------------------------------------------------ */

void
fakensm_init(struct fakensm *f)
{
    static struct evnitro d;
    evnitro_init(&d);
    memset(f, 0, sizeof *f);
    memcpy(f->pcr, d.pcr, sizeof f->pcr);
    f->locked = 0xffff;
    f->module_id = "i-0123456789abcdef0-enc0123456789abcdef";
    f->random_len = 256;
}

struct question {
    char call[24];
    int has_index, has_data;
    uint64_t index;
    qr_view data;
    struct fields fields;
};

static void
text_to(qr_view v, char *out, size_t cap)
{
    MUST(v.len < cap);
    memcpy(out, v.p, v.len);
    out[v.len] = 0;
}

static int
read_question(qr_view request, struct question *q)
{
    struct qr_cbor c;
    struct qr_cbor_item it;
    struct qr_cbor_open outer, inner;

    memset(q, 0, sizeof *q);
    qr_cbor_init(&c, request);
    if (qr_cbor_next(&c, &it) != QR_OK) {
        return 0;
    }
    if (it.type == QR_CBOR_TEXT) {
        text_to(it.v, q->call, sizeof q->call);
        return qr_cbor_end(&c) == QR_OK;
    }
    if (it.type != QR_CBOR_MAP || it.u != 1 || qr_cbor_enter(&c, &it, &outer) != QR_OK ||
        !qr_cbor_more(&c, &outer) || qr_cbor_next(&c, &it) != QR_OK || it.type != QR_CBOR_TEXT) {
        return 0;
    }
    text_to(it.v, q->call, sizeof q->call);
    if (qr_cbor_next(&c, &it) != QR_OK || it.type != QR_CBOR_MAP ||
        qr_cbor_enter(&c, &it, &inner) != QR_OK) {
        return 0;
    }
    while (qr_cbor_more(&c, &inner)) {
        struct qr_cbor_item key, v;
        if (qr_cbor_next(&c, &key) != QR_OK || qr_cbor_next(&c, &v) != QR_OK || !v.minimal) {
            return 0;
        }
        if (qr_view_eq(key.v, qr_view_str("index"))) {
            q->has_index = v.type == QR_CBOR_UINT;
            q->index = v.u;
        } else if (qr_view_eq(key.v, qr_view_str("data"))) {
            q->has_data = v.type == QR_CBOR_BYTES;
            q->data = v.v;
        } else if (v.type == QR_CBOR_BYTES && qr_view_eq(key.v, qr_view_str("user_data"))) {
            q->fields.user_data = v.v;
        } else if (v.type == QR_CBOR_BYTES && qr_view_eq(key.v, qr_view_str("nonce"))) {
            q->fields.nonce = v.v;
        } else if (v.type == QR_CBOR_BYTES && qr_view_eq(key.v, qr_view_str("public_key"))) {
            q->fields.public_key = v.v;
        } else if (v.type != QR_CBOR_NULL) {
            return 0;
        }
    }
    return !qr_cbor_more(&c, &outer) && qr_cbor_end(&c) == QR_OK;
}

static void
put_error(struct evgen_buf *b, const char *name)
{
    evcbor_head(b, EVCBOR_MAP, 1);
    evcbor_text(b, "Error");
    evcbor_text(b, name);
}

static void
put_call(struct evgen_buf *b, const char *call, unsigned members)
{
    evcbor_head(b, EVCBOR_MAP, 1);
    evcbor_text(b, call);
    evcbor_head(b, EVCBOR_MAP, members);
}

static void
put_describe(const struct fakensm *f, struct evgen_buf *b)
{
    unsigned n = 0;
    put_call(b, "DescribeNSM", 7);
    evcbor_text(b, "version_major");
    evcbor_head(b, EVCBOR_UINT, 1);
    evcbor_text(b, "version_minor");
    evcbor_head(b, EVCBOR_UINT, 0);
    evcbor_text(b, "version_patch");
    evcbor_head(b, EVCBOR_UINT, 3);
    evcbor_text(b, "module_id");
    evcbor_text(b, f->module_id);
    evcbor_text(b, "max_pcrs");
    evcbor_head(b, EVCBOR_UINT, QR_NSM_PCRS);
    evcbor_text(b, "locked_pcrs");
    for (unsigned i = 0; i < QR_NSM_PCRS; i++) {
        n += f->locked >> i & 1;
    }
    evcbor_head(b, EVCBOR_ARRAY, n);
    for (unsigned i = 0; i < QR_NSM_PCRS; i++) {
        if (f->locked >> i & 1) {
            evcbor_head(b, EVCBOR_UINT, i);
        }
    }
    evcbor_text(b, "digest");
    evcbor_text(b, "SHA384");
}

static void
put_random(struct fakensm *f, struct evgen_buf *b)
{
    uint8_t seed[8], block[256], key[32];
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

    qr_put64(seed, ++f->drawn);
    evgen_sha256(qr_view_of(seed, sizeof seed), key);
    (void)crypto_stream_chacha20(block, sizeof block, nonce, key);
    put_call(b, "GetRandom", 1);
    evcbor_text(b, "random");
    evcbor_bytes(b, qr_view_of(block, f->random_len));
}

static void
answer_pcr(struct fakensm *f, const struct question *q, struct evgen_buf *b)
{
    uint8_t text[QR_NSM_PCR_LEN + 512];
    unsigned i = (unsigned)q->index;

    if (!q->has_index || q->index >= QR_NSM_PCRS) {
        put_error(b, "InvalidIndex");
    } else if (strcmp(q->call, "DescribePCR") == 0) {
        put_call(b, q->call, 2);
        evcbor_text(b, "lock");
        evgen_put_be(b, f->locked >> i & 1 ? 0xf5 : 0xf4, 1);
        evcbor_text(b, "data");
        evcbor_bytes(b, qr_view_of(f->pcr[i], QR_NSM_PCR_LEN));
    } else if (f->locked >> i & 1) {
        put_error(b, "ReadOnlyIndex");
    } else if (strcmp(q->call, "LockPCR") == 0) {
        f->locked |= UINT32_C(1) << i;
        evcbor_text(b, q->call);
    } else {
        MUST(q->has_data && q->data.len <= 512);
        memcpy(text, f->pcr[i], QR_NSM_PCR_LEN);
        memcpy(text + QR_NSM_PCR_LEN, q->data.p, q->data.len);
        evgen_sha384(qr_view_of(text, QR_NSM_PCR_LEN + q->data.len), f->pcr[i]);
        put_call(b, q->call, 1);
        evcbor_text(b, "data");
        evcbor_bytes(b, qr_view_of(f->pcr[i], QR_NSM_PCR_LEN));
    }
}

size_t
fakensm_answer(struct fakensm *f, qr_view request, uint8_t *out, size_t cap)
{
    static uint8_t doc[QR_NSM_ANSWER_MAX];
    struct evgen_buf b = evgen_buf_over(out, cap);
    struct question q;

    f->calls++;
    if (f->raw.p) {
        return copy_out(f->raw, out, cap);
    }
    if (f->error) {
        put_error(&b, f->error);
    } else if (!read_question(request, &q)) {
        put_error(&b, "InvalidOperation");
    } else if (strcmp(q.call, "DescribeNSM") == 0) {
        put_describe(f, &b);
    } else if (strcmp(q.call, "GetRandom") == 0) {
        put_random(f, &b);
    } else if (strcmp(q.call, "Attestation") == 0) {
        size_t n = document(f, &q.fields, doc, sizeof doc);
        put_call(&b, q.call, 1);
        evcbor_text(&b, "document");
        evcbor_bytes(&b, qr_view_of(doc, n));
    } else if (strcmp(q.call, "DescribePCR") == 0 || strcmp(q.call, "ExtendPCR") == 0 ||
               strcmp(q.call, "LockPCR") == 0) {
        answer_pcr(f, &q, &b);
    } else {
        put_error(&b, "InvalidOperation");
    }
    return b.len;
}

static int
fake_exchange(void *ctx, const uint8_t *request, size_t len, uint8_t *answer, size_t cap,
              size_t *ret_len)
{
    struct fakensm *f = ctx;
    if (f->fail_errno != 0 && f->fail_times > 0) {
        f->calls++;
        f->fail_times--;
        return f->fail_errno;
    }
    MUST(len <= QR_NSM_REQUEST_MAX && cap == QR_NSM_ANSWER_MAX);
    f->request_len = len;
    size_t n = fakensm_answer(f, qr_view_of(request, len), answer, cap);
    *ret_len = f->claims_len ? f->claim : n;
    return 0;
}

static void
fake_pause(void *ctx, unsigned ms)
{
    struct fakensm *f = ctx;
    f->pauses++;
    f->paused_ms += ms;
}

struct qr_nsm_dev
fakensm_dev(struct fakensm *f)
{
    return (struct qr_nsm_dev){.ctx = f, .fd = -1, .exchange = fake_exchange, .pause = fake_pause};
}

/* ---- another device's documents, signed ------------------------------------------------------- */

static void
read_pcrs(struct qr_cbor *c, const struct qr_cbor_item *head, struct evnitro *d)
{
    struct qr_cbor_open o;
    struct qr_cbor_item k, v;

    d->pcr_mask = 0;
    MUST(head->type == QR_CBOR_MAP && qr_cbor_enter(c, head, &o) == QR_OK);
    while (qr_cbor_more(c, &o)) {
        MUST(qr_cbor_next(c, &k) == QR_OK && qr_cbor_next(c, &v) == QR_OK &&
             k.type == QR_CBOR_UINT && k.u < EVNITRO_PCRS && v.type == QR_CBOR_BYTES &&
             v.v.len == QR_NSM_PCR_LEN);
        memcpy(d->pcr[k.u], v.v.p, QR_NSM_PCR_LEN);
        d->pcr_mask |= UINT32_C(1) << k.u;
    }
}

static void
read_payload(qr_view payload, struct evnitro *d, char *module_id, size_t cap)
{
    struct qr_cbor c;
    struct qr_cbor_item it, key;
    struct qr_cbor_open o;

    qr_cbor_init(&c, payload);
    MUST(qr_cbor_next(&c, &it) == QR_OK && it.type == QR_CBOR_MAP &&
         qr_cbor_enter(&c, &it, &o) == QR_OK);
    while (qr_cbor_more(&c, &o)) {
        MUST(qr_cbor_next(&c, &key) == QR_OK && key.type == QR_CBOR_TEXT);
        if (qr_view_eq(key.v, qr_view_str("cabundle"))) {
            MUST(qr_cbor_skip(&c) == QR_OK);
            continue;
        }
        MUST(qr_cbor_next(&c, &it) == QR_OK);
        qr_view bytes = it.type == QR_CBOR_BYTES ? it.v : qr_view_of(NULL, 0);
        if (qr_view_eq(key.v, qr_view_str("pcrs"))) {
            read_pcrs(&c, &it, d);
        } else if (qr_view_eq(key.v, qr_view_str("module_id"))) {
            text_to(it.v, module_id, cap);
        } else if (qr_view_eq(key.v, qr_view_str("timestamp"))) {
            d->timestamp_ms = it.u;
        } else if (qr_view_eq(key.v, qr_view_str("user_data"))) {
            d->user_data = bytes;
        } else if (qr_view_eq(key.v, qr_view_str("nonce"))) {
            d->nonce = bytes;
        } else if (qr_view_eq(key.v, qr_view_str("public_key"))) {
            d->public_key = bytes;
        }
    }
    MUST(qr_cbor_end(&c) == QR_OK);
}

size_t
fakensm_resign_document(qr_view doc, uint8_t *out, size_t cap)
{
    static struct evnitro d;
    static char module_id[257];
    struct qr_cbor c;
    struct qr_cbor_item it;
    struct qr_cbor_open o;

    evnitro_init(&d);
    qr_cbor_init(&c, doc);
    MUST(qr_cbor_next(&c, &it) == QR_OK);
    if (it.type == QR_CBOR_TAG) {
        MUST(qr_cbor_next(&c, &it) == QR_OK);
    }
    MUST(it.type == QR_CBOR_ARRAY && it.u == 4 && qr_cbor_enter(&c, &it, &o) == QR_OK &&
         qr_cbor_more(&c, &o) && qr_cbor_skip(&c) == QR_OK && qr_cbor_more(&c, &o) &&
         qr_cbor_skip(&c) == QR_OK && qr_cbor_more(&c, &o) && qr_cbor_next(&c, &it) == QR_OK &&
         it.type == QR_CBOR_BYTES);
    read_payload(it.v, &d, module_id, sizeof module_id);
    d.module_id = module_id;
    return build(&d, out, cap);
}

/* {"Attestation": {"document": bytes}}, or anything else, which is passed on. */
static int
find_document(qr_view answer, qr_view *ret)
{
    struct qr_cbor c;
    struct qr_cbor_item it;
    struct qr_cbor_open outer, inner;

    qr_cbor_init(&c, answer);
    if (qr_cbor_next(&c, &it) != QR_OK || it.type != QR_CBOR_MAP ||
        qr_cbor_enter(&c, &it, &outer) != QR_OK || !qr_cbor_more(&c, &outer) ||
        qr_cbor_next(&c, &it) != QR_OK || !qr_view_eq(it.v, qr_view_str("Attestation")) ||
        qr_cbor_next(&c, &it) != QR_OK || it.type != QR_CBOR_MAP ||
        qr_cbor_enter(&c, &it, &inner) != QR_OK || !qr_cbor_more(&c, &inner) ||
        qr_cbor_next(&c, &it) != QR_OK || !qr_view_eq(it.v, qr_view_str("document")) ||
        qr_cbor_next(&c, &it) != QR_OK || it.type != QR_CBOR_BYTES) {
        return 0;
    }
    *ret = it.v;
    return 1;
}

static int
resign_exchange(void *ctx, const uint8_t *request, size_t len, uint8_t *answer, size_t cap,
                size_t *ret_len)
{
    static uint8_t doc[QR_NSM_ANSWER_MAX];
    struct qr_nsm_dev *inner = ctx;
    struct evgen_buf b = evgen_buf_over(answer, cap);
    qr_view found;

    int e = inner->exchange(inner->ctx, request, len, answer, cap, ret_len);
    if (e != 0 || *ret_len > cap || !find_document(qr_view_of(answer, *ret_len), &found)) {
        return e;
    }
    size_t n = fakensm_resign_document(found, doc, sizeof doc);
    put_call(&b, "Attestation", 1);
    evcbor_text(&b, "document");
    evcbor_bytes(&b, qr_view_of(doc, n));
    *ret_len = b.len;
    return 0;
}

static void
resign_pause(void *ctx, unsigned ms)
{
    const struct qr_nsm_dev *inner = ctx;
    inner->pause(inner->ctx, ms);
}

static void
resign_close(void *ctx)
{
    const struct qr_nsm_dev *inner = ctx;
    if (inner->close) {
        inner->close(inner->ctx);
    }
}

struct qr_nsm_dev
fakensm_resign(struct qr_nsm_dev *inner)
{
    return (struct qr_nsm_dev){.ctx = inner,
                               .fd = inner->fd,
                               .exchange = resign_exchange,
                               .pause = resign_pause,
                               .close = resign_close};
}
