#include "enclave-shim/nitro/nitro.h"

#include "enclave-shim/seal.h"
#include "enclave-shim/verify/nitro_doc.h"
#include "protocol/base/check.h"
#include "protocol/base/hash.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

#define MAGIC "QRNK"
#define VERSION 1u
#define RSA_BITS 2048u
#define LOCAL_SEALED (32u + QR_SEAL_OVERHEAD)
#define KEPT_MAX (4u + 1u + 2u + QR_KMS_ARN_MAX + 2u + QR_KMS_BLOB_MAX + LOCAL_SEALED)
#define WHY_MAX 512u
/* A signed time serves this long, carried on by the enclave's own clock. */
#define ANCHOR_MS 60000

_Static_assert(KEPT_MAX <= QR_TEE_KEEP_MAX, "fits where it is kept");
_Static_assert(QR_NITRO_DOC_MAX >= QR_NSM_ANSWER_MAX, "whatever the module answers is judged");

const struct qr_tee_profile qr_tee_nitro_profile = {
    .name = "nitro",
    .grain = QR_TEE_IMAGE,
    .network = 0,
    .disk = 0,
    .clock_signed = 1,
    .keeps_secrets = 1,
    .memory_max = 0, /* what the enclave was given; its kernel knows */
};

/* In locked memory. */
struct nitro {
    struct qr_nsm nsm;
    struct qr_sealroot root;
    int has_root;
    uint8_t measurement[32];
    uint8_t pcr[3][QR_NSM_PCR_LEN];
    int64_t anchor_signed_ms, anchor_own_ms; /* 0: none yet */
    uint8_t document[QR_NSM_ANSWER_MAX];
    char why[WHY_MAX];
};

static qr_err say(struct nitro *n, qr_err e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static qr_err
say(struct nitro *n, qr_err e, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(n->why, sizeof n->why, format, ap);
    va_end(ap);
    return e;
}

/* The module's own words. */
static qr_err
told(struct nitro *n, qr_err e)
{
    return e == QR_OK ? QR_OK : say(n, e, "%s", n->nsm.why);
}

/* ---- documents ------------------------------------------------------------------------------- */

/* A document over these fields, in n->document. */
static qr_err
attest(struct nitro *n, qr_view nonce, qr_view public_key, qr_view *ret)
{
    struct qr_buf b = qr_buf_over(n->document, sizeof n->document);
    QR_TRY(told(n, qr_nsm_attest(&n->nsm, qr_view_of(NULL, 0), nonce, public_key, &b)));
    *ret = qr_buf_view(&b);
    return QR_OK;
}

/*
 * The time a document of our own module says. It came from the device, not over a wire, so that its
 * form is read here and its signature is left to those who get it.
 */
static qr_err
document_time(struct nitro *n, qr_view document, int64_t *ret_ms)
{
    struct qr_nitro_doc d;
    struct qr_verdict *v = qr_alloc(sizeof *v);

    if (!v) {
        return say(n, QR_ERR_NO_MEMORY, "out of memory");
    }
    qr_verdict_init(v);
    qr_err e = qr_nitro_parse(document, v, &d);
    if (e != QR_OK) {
        e = say(n, QR_ERR_PLATFORM, "the module's document: %s", v->sentence);
    } else {
        *ret_ms = (int64_t)d.timestamp_ms;
    }
    qr_free(v);
    return e;
}

static qr_err
nitro_evidence(void *ctx, const uint8_t binder[32], struct qr_buf *out)
{
    struct nitro *n = ctx;
    struct qr_evidence ev = {.kind = QR_EV_NITRO};
    qr_view document;

    QR_TRY(attest(n, qr_view_of(binder, 32), qr_view_of(NULL, 0), &document));
    qr_err e = qr_evidence_add(&ev, QR_PART_NITRO_DOCUMENT, 0, document);
    if (e == QR_OK) {
        qr_evidence_encode(&ev, out);
        e = out->err;
    }
    return e == QR_OK
               ? QR_OK
               : say(n, e, "the module's document of %zu bytes: %s", document.len, qr_err_text(e));
}

static int64_t
own_clock_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static qr_err
nitro_time(void *ctx, int64_t *ret_ms)
{
    struct nitro *n = ctx;
    int64_t own = own_clock_ms(), at;
    qr_view document;

    if (n->anchor_signed_ms == 0 || own - n->anchor_own_ms >= ANCHOR_MS || own < n->anchor_own_ms) {
        QR_TRY(attest(n, qr_view_of(NULL, 0), qr_view_of(NULL, 0), &document));
        QR_TRY(document_time(n, document, &at));
        n->anchor_signed_ms = at;
        n->anchor_own_ms = own;
    }
    *ret_ms = n->anchor_signed_ms + (own - n->anchor_own_ms);
    return QR_OK;
}

static void
nitro_random(void *ctx, uint8_t *out, size_t len)
{
    struct nitro *n = ctx;
    /* What asks mixes this into the system's generator; without the module that one stands alone. */
    if (qr_nsm_random(&n->nsm, out, len) != QR_OK) {
        randombytes_buf(out, len);
    }
}

/* ---- the sealing root ------------------------------------------------------------------------ */

/* All that one opening needs; freed with the RSA key at its end. */
struct opening {
    struct nitro *n;
    const struct qr_tee_opts *o;
    struct qr_kms kms;
    EVP_PKEY *key;
    uint8_t context[32];
    struct qr_kms_recipient r;
};

static void
context_of(const struct qr_nitro_kms *kms, uint8_t out[static 32])
{
    uint8_t text[32 + 8 + QR_KMS_ARN_MAX + QR_KMS_NAME_MAX];
    struct qr_buf b = qr_buf_over(text, sizeof text);
    qr_view label = qr_view_str("quorate/nitro-root/1");

    qr_buf_put(&b, label.p, label.len);
    qr_buf_put_lp(&b, qr_view_str(kms->key));
    qr_buf_put_lp(&b, qr_view_str(kms->name));
    QR_ASSERT(b.err == QR_OK);
    qr_sha256(qr_buf_view(&b), out);
}

/* KMS's refusals, with what a key's policy is compared with. */
static qr_err
kms_told(struct opening *p, qr_err e)
{
    const uint8_t *m = p->n->pcr[0];
    if (e == QR_OK) {
        return QR_OK;
    }
    return say(p->n, e, "%s; this image's PCR0 begins %02x%02x%02x%02x%02x%02x%02x%02x", p->kms.why,
               m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7]);
}

/* A document over the RSA key's public half, made anew for each call: KMS wants a fresh one. */
static qr_err
recipient(struct opening *p)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(p->key, &der);
    qr_err e;

    if (len <= 0) {
        return say(p->n, QR_ERR_CRYPTO_LIB, "the RSA key's public half cannot be written");
    }
    e = attest(p->n, qr_view_of(NULL, 0), qr_view_of(der, (size_t)len), &p->r.document);
    OPENSSL_free(der);
    if (e == QR_OK) {
        e = document_time(p->n, p->r.document, &p->r.now_ms);
    }
    p->r.key = p->key;
    return e;
}

/* Under which the local bytes are sealed, and what is bound to them. */
static void
wrap_key(const struct qr_sec32 *data_key, struct qr_sec32 *ret)
{
    qr_hkdf_sha512(qr_view_str("quorate/nitro-root/wrap"), qr_view_of(data_key->b, 32),
                   qr_view_of(NULL, 0), ret->b, 32);
}

static void
wrap_ad(const struct opening *p, qr_view blob, uint8_t out[static 64])
{
    memcpy(out, p->context, 32);
    qr_sha256(blob, out + 32);
}

static void
take_root(struct opening *p, const struct qr_sec32 *data_key, const struct qr_sec32 *local)
{
    struct {
        struct qr_sec32 data_key, local;
    } both = {*data_key, *local};

    qr_hkdf_sha512(qr_view_str("quorate/nitro-root/root"), qr_view_of(&both, sizeof both),
                   qr_view_of(p->context, 32), p->n->root.secret.b, 32);
    qr_wipe(&both, sizeof both);
    memcpy(p->n->root.context, p->context, 32);
    p->n->has_root = 1;
}

/* 32 bytes that neither the kernel's generator nor the module's knows alone. */
static qr_err
draw_local(struct nitro *n, struct qr_sec32 *ret)
{
    uint8_t both[64];
    randombytes_buf(both, 32);
    QR_TRY(told(n, qr_nsm_random(&n->nsm, both + 32, 32)));
    qr_hkdf_sha512(qr_view_str("quorate/nitro-root/local"), qr_view_of(both, sizeof both),
                   qr_view_of(NULL, 0), ret->b, 32);
    qr_wipe(both, sizeof both);
    return QR_OK;
}

static qr_err
keep_failed(struct opening *p, qr_err e)
{
    const char *why = p->o->keep->why(p->o->keep->ctx);
    return say(p->n, e, QR_NITRO_KEEP ": %s", why ? why : qr_err_text(e));
}

static qr_err
save(struct opening *p, const struct qr_sec32 *data_key, const struct qr_sec32 *local, qr_view blob)
{
    uint8_t kept[KEPT_MAX], ad[64];
    struct qr_buf b = qr_buf_over(kept, sizeof kept);
    struct qr_rng rng = qr_rng_system();
    struct qr_sec32 wrap QR_WIPE(qr_sec32);
    qr_view arn = qr_view_str(p->o->kms->key);

    qr_buf_put(&b, MAGIC, 4);
    qr_buf_put8(&b, VERSION);
    qr_buf_put16(&b, (uint16_t)arn.len);
    qr_buf_put(&b, arn.p, arn.len);
    qr_buf_put16(&b, (uint16_t)blob.len);
    qr_buf_put(&b, blob.p, blob.len);
    wrap_key(data_key, &wrap);
    wrap_ad(p, blob, ad);
    qr_err e =
        qr_seal_blob(&wrap, &rng, 0, qr_view_of(ad, sizeof ad), qr_view_of(local->b, 32), &b);
    if (e != QR_OK) {
        return say(p->n, e, "the root's wrapping of %zu bytes does not fit", b.len);
    }
    e = p->o->keep->save(p->o->keep->ctx, QR_NITRO_KEEP, qr_buf_view(&b));
    return e == QR_OK ? QR_OK : keep_failed(p, e);
}

/* The first start. KMS must give the key back once before anything depends on it. */
static qr_err
make_root(struct opening *p)
{
    struct qr_sec32 data_key QR_WIPE(qr_sec32) = {{0}}, again QR_WIPE(qr_sec32) = {{0}},
                             local QR_WIPE(qr_sec32) = {{0}};
    struct qr_dbuf blob;

    qr_dbuf_init(&blob, QR_KMS_BLOB_MAX);
    qr_err e = draw_local(p->n, &local);
    if (e == QR_OK) {
        e = kms_told(p, qr_kms_generate(&p->kms, &p->r, &data_key, &blob));
    }
    if (e == QR_OK) {
        e = recipient(p);
    }
    if (e == QR_OK) {
        e = kms_told(p, qr_kms_decrypt(&p->kms, &p->r, qr_view_of(blob.p, blob.len), &again));
    }
    if (e == QR_OK && !qr_sec_eq(data_key.b, again.b, 32)) {
        e = say(p->n, QR_ERR_SEAL, "KMS gives another key for the blob that it made a moment ago");
    }
    if (e == QR_OK) {
        e = save(p, &data_key, &local, qr_view_of(blob.p, blob.len));
    }
    if (e == QR_OK) {
        take_root(p, &data_key, &local);
    }
    qr_dbuf_free(&blob);
    return e;
}

qr_err
qr_nitro_kept_read(qr_view bytes, struct qr_nitro_kept *ret)
{
    struct qr_buf b = qr_buf_read(bytes);
    struct qr_nitro_kept k;

    qr_view magic = qr_buf_take(&b, 4);
    uint8_t version = qr_buf_get8(&b);
    k.arn = qr_buf_take(&b, qr_buf_get16(&b));
    k.blob = qr_buf_take(&b, qr_buf_get16(&b));
    k.local = qr_view_of(bytes.p + b.pos, b.len - b.pos);
    if (b.err != QR_OK || !qr_view_eq(magic, qr_view_str(MAGIC))) {
        return QR_ERR_MALFORMED;
    }
    if (version != VERSION) {
        return QR_ERR_VERSION;
    }
    if (k.arn.len > QR_KMS_ARN_MAX || k.blob.len == 0 || k.blob.len > QR_KMS_BLOB_MAX ||
        k.local.len > LOCAL_SEALED) {
        return QR_ERR_MALFORMED;
    }
    *ret = k;
    return QR_OK;
}

/* What the host brings back: ours by its form, and for the key that is configured. */
static qr_err
check_kept(struct opening *p, qr_view bytes, struct qr_nitro_kept *ret)
{
    qr_err e = qr_nitro_kept_read(bytes, ret);
    if (e != QR_OK) {
        return say(p->n, QR_ERR_SEAL,
                   QR_NITRO_KEEP
                   ": what the host kept is not what we saved (%zu bytes: %s); restore "
                   "it from the host's backup",
                   bytes.len, qr_err_text(e));
    }
    if (!qr_view_eq(ret->arn, qr_view_str(p->o->kms->key))) {
        return say(p->n, QR_ERR_SEAL,
                   QR_NITRO_KEEP ": was wrapped under another KMS key than %s; configure that one, "
                                 "or restore what belongs to this one",
                   p->o->kms->key);
    }
    return QR_OK;
}

static qr_err
open_root(struct opening *p, const struct qr_nitro_kept *k)
{
    struct qr_sec32 data_key QR_WIPE(qr_sec32) = {{0}}, wrap QR_WIPE(qr_sec32),
                             local QR_WIPE(qr_sec32) = {{0}};
    struct qr_buf b = qr_buf_over(local.b, sizeof local.b);
    uint8_t ad[64];

    QR_TRY(kms_told(p, qr_kms_decrypt(&p->kms, &p->r, k->blob, &data_key)));
    wrap_key(&data_key, &wrap);
    wrap_ad(p, k->blob, ad);
    if (qr_unseal_blob(&wrap, 0, qr_view_of(ad, sizeof ad), k->local, &b) != QR_OK ||
        b.len != sizeof local.b) {
        return say(p->n, QR_ERR_SEAL,
                   QR_NITRO_KEEP
                   ": does not open with the key that KMS gave: it is another party's, "
                   "or it was changed, or another key answered");
    }
    take_root(p, &data_key, &local);
    return QR_OK;
}

static int
is_debug(const struct nitro *n)
{
    const uint8_t *m = &n->pcr[0][0];
    uint8_t any = 0;
    for (size_t i = 0; i < sizeof n->pcr; i++) {
        any |= m[i];
    }
    return any == 0;
}

/* The RSA key for this opening, and a document over it. */
static qr_err
new_recipient(struct opening *p)
{
    p->key = EVP_RSA_gen(RSA_BITS);
    return p->key ? recipient(p) : say(p->n, QR_ERR_CRYPTO_LIB, "no RSA key can be made");
}

static qr_err
load_or_make(struct opening *p, struct qr_dbuf *room)
{
    const struct qr_tee_keep *keep = p->o->keep;
    struct qr_nitro_kept k;

    qr_err e = keep->load(keep->ctx, QR_NITRO_KEEP, room);
    if (e == QR_ERR_NOT_FOUND) {
        QR_TRY(new_recipient(p));
        return make_root(p);
    }
    if (e != QR_OK) {
        return keep_failed(p, e);
    }
    QR_TRY(check_kept(p, qr_view_of(room->p, room->len), &k));
    QR_TRY(new_recipient(p));
    return open_root(p, &k);
}

static qr_err
find_root(struct nitro *n, const struct qr_tee_opts *o)
{
    struct opening p = {.n = n, .o = o};
    struct qr_dbuf kept;
    int64_t now_ms;

    if (is_debug(n)) {
        return say(n, QR_ERR_PLATFORM,
                   "the enclave runs in debug mode: its host reads its memory, no peer believes it "
                   "and KMS refuses it; start it without --debug-mode");
    }
    if (!o->keep) {
        return say(n, QR_ERR_CONFIG, "KMS is configured, but no place that keeps what it wraps");
    }
    qr_err e = qr_kms_open(o->kms, &p.kms);
    if (e != QR_OK) {
        return say(n, e, "%s", p.kms.why);
    }
    /* Documents that are none are told before an RSA key is made, which takes a while. */
    QR_TRY(nitro_time(n, &now_ms));
    context_of(o->kms, p.context);
    qr_dbuf_init(&kept, QR_TEE_KEEP_MAX);
    e = load_or_make(&p, &kept);
    EVP_PKEY_free(p.key);
    qr_dbuf_free(&kept);
    return e;
}

static qr_err
need_root(struct nitro *n)
{
    return n->has_root ? QR_OK
                       : say(n, QR_ERR_PLATFORM,
                             "nothing can be sealed: the configuration names no KMS key");
}

static qr_err
seal_told(struct nitro *n, qr_err e)
{
    return e == QR_OK ? QR_OK : say(n, e, "%s", qr_err_text(e));
}

static qr_err
nitro_seal(void *ctx, uint32_t epoch, qr_view ad, qr_view plain, struct qr_buf *out)
{
    struct nitro *n = ctx;
    struct qr_rng rng = qr_rng_system();
    QR_TRY(need_root(n));
    return seal_told(n, qr_sealroot_seal(&n->root, &rng, epoch, ad, plain, out));
}

static qr_err
nitro_unseal(void *ctx, uint32_t epoch, qr_view ad, qr_view sealed, struct qr_buf *out)
{
    struct nitro *n = ctx;
    QR_TRY(need_root(n));
    return seal_told(n, qr_sealroot_unseal(&n->root, epoch, ad, sealed, out));
}

static qr_err
nitro_derive(void *ctx, uint32_t epoch, const char *label, qr_view ad, struct qr_sec32 *ret)
{
    struct nitro *n = ctx;
    QR_TRY(need_root(n));
    return seal_told(n, qr_sealroot_derive(&n->root, epoch, label, ad, ret));
}

/* ---- opening --------------------------------------------------------------------------------- */

/* What peers compute from our documents (qr_tee_verify); the first three registers never change. */
static qr_err
measure(struct nitro *n)
{
    static const char *const path[3] = {"pcrs.0", "pcrs.1", "pcrs.2"};
    uint8_t kind = QR_PLATFORM_NITRO;
    qr_view f[8];
    size_t k = 0;

    f[k++] = qr_view_str("measurement");
    f[k++] = qr_view_of(&kind, 1);
    for (unsigned i = 0; i < 3; i++) {
        int locked = 0;
        QR_TRY(told(n, qr_nsm_pcr(&n->nsm, i, n->pcr[i], &locked)));
        if (!locked) {
            return say(n, QR_ERR_PLATFORM,
                       "PCR %u is not locked: the module does not measure the image", i);
        }
        f[k++] = qr_view_str(path[i]);
        f[k++] = qr_view_of(n->pcr[i], QR_NSM_PCR_LEN);
    }
    qr_th(QR_TAG_MEASUREMENT, f, k, n->measurement);
    return QR_OK;
}

static qr_err
probe(struct nitro *n)
{
    struct qr_nsm_info info;
    uint8_t sample[32];

    QR_TRY(told(n, qr_nsm_describe(&n->nsm, &info)));
    qr_err e = told(n, qr_nsm_random(&n->nsm, sample, sizeof sample));
    qr_wipe(sample, sizeof sample);
    return e;
}

static const char *
nitro_why(void *ctx)
{
    const struct nitro *n = ctx;
    return n->why;
}

static void
nitro_free(void *ctx)
{
    struct nitro *n = ctx;
    qr_nsm_close(&n->nsm);
    qr_locked_free(n);
}

qr_err
qr_tee_nitro_over(const struct qr_nsm_dev *dev, const struct qr_tee_opts *o, struct qr_tee *ret,
                  char *err_text, size_t err_cap)
{
    struct nitro *n = qr_locked_alloc(sizeof *n, NULL);

    if (!n) {
        if (dev->close) {
            dev->close(dev->ctx);
        }
        EXPLAIN("nitro: out of memory");
        return QR_ERR_NO_MEMORY;
    }
    qr_nsm_over(&n->nsm, dev);
    qr_err e = probe(n);
    if (e == QR_OK) {
        e = measure(n);
    }
    if (e == QR_OK && o->kms) {
        e = find_root(n, o);
    }
    if (e != QR_OK) {
        EXPLAIN("nitro: %s", n->why);
        nitro_free(n);
        return e;
    }
    *ret = (struct qr_tee){
        .ctx = n,
        .profile = &qr_tee_nitro_profile,
        .platform = QR_PLATFORM_NITRO,
        .evidence = nitro_evidence,
        .seal = nitro_seal,
        .unseal = nitro_unseal,
        .derive = nitro_derive,
        .time = nitro_time,
        .random = nitro_random,
        .why = nitro_why,
        .free = nitro_free,
    };
    memcpy(ret->measurement, n->measurement, 32);
    return QR_OK;
}

qr_err
qr_tee_nitro_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text, size_t err_cap)
{
    struct qr_nsm_dev dev;
    char why[QR_NSM_WHY_MAX];

    qr_err e = qr_nsm_device(o->nsm && o->nsm[0] ? o->nsm : QR_NSM_PATH, &dev, why);
    if (e != QR_OK) {
        EXPLAIN("nitro: %s", why);
        return e;
    }
    return qr_tee_nitro_over(&dev, o, ret, err_text, err_cap);
}
