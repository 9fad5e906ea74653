/*
 * Digests through OpenSSL's EVP, so that SHA-NI and the ARMv8 extensions are used.
 *
 * EVP is slow where one lets it: EVP_Digest() makes a context per call, and a digest named by a
 * legacy EVP_sha256() is fetched anew at each initialisation. So the algorithms are fetched once,
 * every thread keeps one context per algorithm, and short inputs go in through one Update call.
 *
 * Between calls a thread's contexts hold the chaining value of the last hash (OpenSSL clears its
 * input buffer). That is why contexts are freed, and so cleansed, at the end of their thread.
 */
#include "protocol/base/hash.h"

#include "protocol/base/check.h"
#include "protocol/base/secret.h"

#include <openssl/evp.h>
#include <pthread.h>

enum algorithm { SHA256, SHA512, SHAKE256, ALGORITHMS };

#define TAG_PREFIX "quorate/1/"

static const char *const tag_texts[QR_TAG_COUNT] = {
#define QR_TAG(name, text) [QR_TAG_##name] = (text),
#include "protocol/base/tags.def"
#undef QR_TAG
};

static EVP_MD *algorithms[ALGORITHMS];
/* T || T of every tag: exactly one block of SHA-256. */
static uint8_t tag_blocks[QR_TAG_COUNT][64];

struct contexts {
    EVP_MD_CTX *c[ALGORITHMS];
};

static _Thread_local struct contexts *thread_contexts;
static pthread_key_t contexts_key;
static pthread_once_t init_once = PTHREAD_ONCE_INIT;
static qr_err init_result = QR_ERR_CRYPTO_LIB;

static void
contexts_free(void *p)
{
    struct contexts *k = p;
    for (int i = 0; k && i < ALGORITHMS; i++) {
        EVP_MD_CTX_free(k->c[i]);
    }
    OPENSSL_free(k);
    thread_contexts = NULL;
}

static qr_err
contexts_make(void)
{
    struct contexts *k = OPENSSL_zalloc(sizeof *k);
    if (!k) {
        return QR_ERR_NO_MEMORY;
    }
    for (int i = 0; i < ALGORITHMS; i++) {
        k->c[i] = EVP_MD_CTX_new();
        if (!k->c[i] || EVP_DigestInit_ex2(k->c[i], algorithms[i], NULL) != 1) {
            contexts_free(k);
            return QR_ERR_CRYPTO_LIB;
        }
    }
    if (pthread_setspecific(contexts_key, k) != 0) {
        contexts_free(k);
        return QR_ERR_NO_MEMORY;
    }
    thread_contexts = k;
    return QR_OK;
}

/* A context of this thread, ready for input. */
static EVP_MD_CTX *
begin(enum algorithm a)
{
    if (!thread_contexts) {
        QR_ASSERT(init_result == QR_OK); /* qr_hash_init() was not called or failed */
        if (contexts_make() != QR_OK) {
            qr_panic(__FILE__, __LINE__, "out of memory");
        }
    }
    EVP_MD_CTX *c = thread_contexts->c[a];
    /* OpenSSL 3.0 takes some hundred bytes anew each time; there is nothing else that can fail. */
    if (EVP_DigestInit_ex2(c, algorithms[a], NULL) != 1) {
        qr_panic(__FILE__, __LINE__, "out of memory");
    }
    return c;
}

static void
end(EVP_MD_CTX *c, uint8_t *out)
{
    QR_ASSERT(EVP_DigestFinal_ex(c, out, NULL) == 1);
}

static void
plain(enum algorithm a, qr_view v, uint8_t *out)
{
    EVP_MD_CTX *c = begin(a);
    QR_ASSERT(EVP_DigestUpdate(c, v.p, v.len) == 1);
    end(c, out);
}

static void
init(void)
{
    static const char *const names[ALGORITHMS] = {"SHA256", "SHA512", "SHAKE256"};

    if (sodium_init() < 0 || pthread_key_create(&contexts_key, contexts_free) != 0) {
        return;
    }
    for (int i = 0; i < ALGORITHMS; i++) {
        algorithms[i] = EVP_MD_fetch(NULL, names[i], NULL);
        if (!algorithms[i]) {
            return;
        }
    }
    init_result = contexts_make();
    for (int t = 0; t < QR_TAG_COUNT && init_result == QR_OK; t++) {
        uint8_t text[64];
        size_t prefix_len = sizeof TAG_PREFIX - 1, len = strlen(tag_texts[t]);
        QR_ASSERT(prefix_len + len <= sizeof text);
        memcpy(text, TAG_PREFIX, prefix_len);
        memcpy(text + prefix_len, tag_texts[t], len);
        qr_sha256(qr_view_of(text, prefix_len + len), tag_blocks[t]);
        memcpy(tag_blocks[t] + 32, tag_blocks[t], 32);
    }
}

qr_err
qr_hash_init(void)
{
    if (pthread_once(&init_once, init) != 0) {
        return QR_ERR_CRYPTO_LIB;
    }
    return init_result;
}

const char *
qr_tag_text(enum qr_tag t)
{
    return tag_texts[t];
}

/* Collects short pieces, so that EVP is entered once and not once per length and field. */
struct sink {
    EVP_MD_CTX *c;
    size_t len;
    uint8_t b[512];
};

static void
sink_flush(struct sink *s)
{
    QR_ASSERT(EVP_DigestUpdate(s->c, s->b, s->len) == 1);
    s->len = 0;
}

static void
sink_put(struct sink *s, const uint8_t *p, size_t n)
{
    if (n > sizeof s->b - s->len) {
        sink_flush(s);
        if (n > sizeof s->b) {
            QR_ASSERT(EVP_DigestUpdate(s->c, p, n) == 1);
            return;
        }
    }
    if (n > 0) {
        memcpy(s->b + s->len, p, n);
        s->len += n;
    }
}

static void
sink_put32(struct sink *s, size_t v)
{
    uint8_t t[4];
    QR_ASSERT(v <= UINT32_MAX);
    qr_put32(t, (uint32_t)v);
    sink_put(s, t, sizeof t);
}

/* Feeds enc(tag; f1..fm) to a context. */
static EVP_MD_CTX *
tagged(enum algorithm a, enum qr_tag tag, const qr_view *f, size_t m)
{
    struct sink s;
    size_t used = 0;

    QR_ASSERT((unsigned)tag < QR_TAG_COUNT);
    s.c = begin(a);
    s.len = 0;
    sink_put(&s, tag_blocks[tag], 64);
    sink_put32(&s, m);
    for (size_t i = 0; i < m; i++) {
        sink_put32(&s, f[i].len);
        sink_put(&s, f[i].p, f[i].len);
        used += 4 + f[i].len;
    }
    sink_flush(&s);
    /* Fields may be secret; wipe no more than was written. */
    qr_wipe(s.b, used + 68 < sizeof s.b ? used + 68 : sizeof s.b);
    return s.c;
}

void
qr_th(enum qr_tag tag, const qr_view *f, size_t m, uint8_t out[static 32])
{
    end(tagged(SHA256, tag, f, m), out);
}

void
qr_tb(enum qr_tag tag, const qr_view *f, size_t m, uint8_t out[static 64])
{
    end(tagged(SHA512, tag, f, m), out);
}

void
qr_tx(enum qr_tag tag, const qr_view *f, size_t m, uint8_t *out, size_t out_len)
{
    EVP_MD_CTX *c = tagged(SHAKE256, tag, f, m);
    QR_ASSERT(EVP_DigestFinalXOF(c, out, out_len) == 1);
}

size_t
qr_enc(enum qr_tag tag, const qr_view *f, size_t m, uint8_t *out, size_t cap)
{
    size_t n = sizeof tag_blocks[0] + 4;

    QR_ASSERT(init_result == QR_OK && (unsigned)tag < QR_TAG_COUNT && cap >= n && m <= UINT32_MAX);
    memcpy(out, tag_blocks[tag], sizeof tag_blocks[0]);
    qr_put32(out + sizeof tag_blocks[0], (uint32_t)m);
    for (size_t i = 0; i < m; i++) {
        QR_ASSERT(f[i].len <= UINT32_MAX && cap - n >= 4 && f[i].len <= cap - n - 4);
        qr_put32(out + n, (uint32_t)f[i].len);
        if (f[i].len > 0)
            memcpy(out + n + 4, f[i].p, f[i].len);
        n += 4 + f[i].len;
    }
    return n;
}

void
qr_sha256(qr_view v, uint8_t out[static 32])
{
    plain(SHA256, v, out);
}

void
qr_sha512(qr_view v, uint8_t out[static 64])
{
    plain(SHA512, v, out);
}

/* libsodium's: no key object to make, takes any key length. */
void
qr_hmac_sha512(qr_view key, qr_view msg, uint8_t out[static 64])
{
    crypto_auth_hmacsha512_state s;
    crypto_auth_hmacsha512_init(&s, key.p, key.len);
    crypto_auth_hmacsha512_update(&s, msg.p, msg.len);
    crypto_auth_hmacsha512_final(&s, out);
    qr_wipe(&s, sizeof s);
}

void
qr_hkdf_sha512(qr_view salt, qr_view ikm, qr_view info, uint8_t *out, size_t n)
{
    uint8_t prk[64], okm[64], block[512 + 1];

    QR_ASSERT(info.len < sizeof block && n <= sizeof okm);
    qr_hmac_sha512(salt, ikm, prk);
    if (info.len > 0) {
        memcpy(block, info.p, info.len);
    }
    block[info.len] = 1;
    qr_hmac_sha512(qr_view_of(prk, sizeof prk), qr_view_of(block, info.len + 1), okm);
    memcpy(out, okm, n);
    qr_wipe(prk, sizeof prk);
    qr_wipe(okm, sizeof okm);
}
