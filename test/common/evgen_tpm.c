#include "test/common/evgen_tpm.h"

#include "protocol/base/check.h"
#include "protocol/base/enc.h"

#include <openssl/x509.h>

static uint16_t
alg_of(enum qr_hash_alg h)
{
    return h == QR_SHA1 ? 0x0004 : h == QR_SHA256 ? 0x000b : h == QR_SHA384 ? 0x000c : 0x000d;
}

static enum qr_hash_alg
hash_of(uint16_t alg)
{
    return alg == 0x0004   ? QR_SHA1
           : alg == 0x000c ? QR_SHA384
           : alg == 0x000d ? QR_SHA512
                           : QR_SHA256;
}

void
evtpm_bank(struct evtpm *q, enum qr_hash_alg h)
{
    q->n_banks = 1;
    q->bank[0].alg = alg_of(h);
    q->bank[0].size = 3;
    memset(q->bank[0].bits, 0xff, 3);
}

void
evtpm_extra(struct evtpm *q, const void *p, size_t n)
{
    QR_ASSERT(n <= sizeof q->extra);
    if (n > 0) {
        memcpy(q->extra, p, n);
    }
    q->extra_len = n;
}

void
evtpm_init(struct evtpm *q, EVP_PKEY *ak)
{
    *q = (struct evtpm){
        .magic = 0xff544347,
        .type = 0x8018,
        .signer_len = 34,
        .extra_len = 32,
        .clock = 8219159479,
        .reset_count = 10,
        .restart_count = 2,
        .safe = 1,
        .firmware = 0x2020031200120003,
        .ak = ak,
        .form = EVTPM_TPMT,
        .hash = 0x000b,
        .really = QR_SHA256,
        .digest_hash = QR_SHA256,
    };
    q->scheme = EVP_PKEY_is_a(ak, "RSA") ? 0x0014 : 0x0018;
    evgen_set_be(q->signer, 0x000b, 2);
    memset(q->signer + 2, 0x51, 32);
    memset(q->extra, 0xb1, 32);
    evtpm_bank(q, QR_SHA256);
    for (unsigned i = 0; i < EVTPM_PCRS; i++) {
        memset(q->pcr[i], i >= 17 && i <= 22 ? 0xff : (int)(0x40 + i), sizeof q->pcr[i]);
    }
}

void
evtpm_make(struct evtpm *q)
{
    struct evgen_buf b = evgen_buf_over(q->msg, sizeof q->msg);
    struct evgen_buf v = evgen_buf_over(q->values, sizeof q->values);
    size_t len = qr_hash_len(hash_of(q->bank[0].alg));

    evgen_put_be(&b, q->magic, 4);
    evgen_put_be(&b, q->type, 2);
    evgen_put_be(&b, q->signer_len, 2);
    evgen_put(&b, q->signer, q->signer_len);
    evgen_put_be(&b, q->extra_len, 2);
    evgen_put(&b, q->extra, q->extra_len);
    evgen_put_be(&b, q->clock, 8);
    evgen_put_be(&b, q->reset_count, 4);
    evgen_put_be(&b, q->restart_count, 4);
    evgen_put_be(&b, q->safe, 1);
    evgen_put_be(&b, q->firmware, 8);
    evgen_put_be(&b, q->n_banks, 4);
    for (size_t i = 0; i < q->n_banks; i++) {
        evgen_put_be(&b, q->bank[i].alg, 2);
        evgen_put_be(&b, q->bank[i].size, 1);
        evgen_put(&b, q->bank[i].bits, q->bank[i].size < 8 ? q->bank[i].size : 8);
    }
    for (unsigned i = 0; i < EVTPM_PCRS; i++) {
        if (q->bank[0].bits[i / 8] & (1u << (i % 8))) {
            evgen_put(&v, q->pcr[i], len);
        }
    }
    q->values_len = v.len;
    uint8_t digest[80];
    size_t digest_len = q->digest_len ? q->digest_len : qr_hash_len(q->digest_hash);
    qr_view values = qr_view_of(q->values, q->values_len);
    if (q->digest_len) {
        memcpy(digest, q->digest, q->digest_len);
    } else {
        QR_ASSERT(qr_hash_of(q->digest_hash, &values, 1, digest));
    }
    evgen_put_be(&b, digest_len, 2);
    evgen_put(&b, digest, digest_len);
    q->msg_len = b.len;
}

/* A TPM writes r and s without leading zeros. */
static void
put_stripped(struct evgen_buf *b, const uint8_t *p, size_t n)
{
    while (n > 1 && *p == 0) {
        p++;
        n--;
    }
    evgen_put_be(b, n, 2);
    evgen_put(b, p, n);
}

void
evtpm_sign(struct evtpm *q)
{
    qr_view msg = qr_view_of(q->msg, q->msg_len);
    struct evgen_buf b = evgen_buf_over(q->sig, sizeof q->sig);
    uint8_t raw[512];

    if (q->form == EVTPM_TPMT) {
        evgen_put_be(&b, q->scheme, 2);
        evgen_put_be(&b, q->hash, 2);
    }
    if (EVP_PKEY_is_a(q->ak, "RSA")) {
        size_t n = evgen_sign_rsa(q->ak, q->really, q->scheme == 0x0016, msg, raw, sizeof raw);
        if (q->form == EVTPM_TPMT) {
            evgen_put_be(&b, n, 2);
        }
        evgen_put(&b, raw, n);
    } else {
        size_t n = evgen_sign_raw(q->ak, q->really, msg, raw);
        put_stripped(&b, raw, n / 2);
        put_stripped(&b, raw + n / 2, n / 2);
    }
    q->sig_len = b.len;
}

void
evtpm_build(struct evtpm *q)
{
    evtpm_make(q);
    evtpm_sign(q);
}

void
evtpm_swap(struct qr_evidence *e, enum qr_part part, uint8_t slot, qr_view v)
{
    struct qr_evidence out = {.kind = e->kind};
    for (size_t i = 0; i < e->n; i++) {
        const struct qr_item *it = &e->item[i];
        if (it->part != part || it->slot != slot) {
            QR_ASSERT(qr_evidence_add(&out, it->part, it->slot, it->bytes) == QR_OK);
        }
    }
    if (v.p) {
        QR_ASSERT(qr_evidence_add(&out, part, slot, v) == QR_OK);
    }
    *e = out;
}

void
evtpm_add(const struct evtpm *q, uint8_t slot, struct qr_evidence *e)
{
    evtpm_swap(e, QR_PART_TPM_QUOTE, slot, qr_view_of(q->msg, q->msg_len));
    evtpm_swap(e, QR_PART_TPM_SIG, slot, qr_view_of(q->sig, q->sig_len));
    if (q->values_len > 0) {
        evtpm_swap(e, QR_PART_TPM_PCRS, slot, qr_view_of(q->values, q->values_len));
    }
}

struct evtpm_public
evtpm_public_of(EVP_PKEY *key)
{
    int rsa = EVP_PKEY_is_a(key, "RSA");
    return (struct evtpm_public){
        .type = rsa ? 0x0001 : 0x0023,
        .name_alg = 0x000b,
        .attributes = EVTPM_AK_ATTRIBUTES,
        .symmetric = 0x0010,
        .scheme = rsa ? 0x0014 : 0x0018,
        .scheme_hash = 0x000b,
        .bits = (uint16_t)EVP_PKEY_get_bits(key),
        .curve = EVP_PKEY_get_bits(key) == 384 ? 0x0004 : 0x0003,
        .kdf = 0x0010,
        .key = key,
    };
}

void
evtpm_put_public(struct evgen_buf *b, const struct evtpm_public *p)
{
    uint8_t raw[512];

    evgen_put_be(b, p->type, 2);
    evgen_put_be(b, p->name_alg, 2);
    evgen_put_be(b, p->attributes, 4);
    evgen_put_be(b, p->policy_len, 2);
    evgen_fill(b, 0x83, p->policy_len);
    evgen_put_be(b, p->symmetric, 2);
    if (p->symmetric != 0x0010) {
        evgen_put_be(b, 128, 2);
        evgen_put_be(b, 0x0043, 2);
    }
    evgen_put_be(b, p->scheme, 2);
    if (p->scheme != 0x0010) {
        evgen_put_be(b, p->scheme_hash, 2);
    }
    if (p->type == 0x0001) {
        evgen_put_be(b, p->bits, 2);
        evgen_put_be(b, p->exponent, 4);
        size_t n = EVP_PKEY_is_a(p->key, "RSA") ? evgen_key_modulus(p->key, raw)
                                                : evgen_key_xy(p->key, raw);
        evgen_put_be(b, n, 2);
        evgen_put(b, raw, n);
        return;
    }
    evgen_put_be(b, p->curve, 2);
    evgen_put_be(b, p->kdf, 2);
    if (p->kdf != 0x0010) {
        evgen_put_be(b, 0x000b, 2);
    }
    size_t n = EVP_PKEY_is_a(p->key, "RSA") ? 64 : evgen_key_xy(p->key, raw);
    evgen_put_be(b, n / 2, 2);
    evgen_put(b, raw, n / 2);
    evgen_put_be(b, n / 2, 2);
    evgen_put(b, raw + n / 2, n / 2);
}

void
evtpm_put_pem(struct evgen_buf *b, EVP_PKEY *key)
{
    unsigned char *der = NULL;
    char text[1200];
    int len = i2d_PUBKEY(key, &der);

    QR_ASSERT(len > 0 && qr_b64_len((size_t)len) < sizeof text);
    qr_b64_encode(qr_view_of(der, (size_t)len), text);
    evgen_put_str(b, "-----BEGIN PUBLIC KEY-----\n");
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i += 64) {
        evgen_put(b, text + i, n - i < 64 ? n - i : 64);
        evgen_put_str(b, "\n");
    }
    evgen_put_str(b, "-----END PUBLIC KEY-----\n");
    OPENSSL_free(der);
}
