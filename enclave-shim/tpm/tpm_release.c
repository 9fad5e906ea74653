/* Statements of releases, and the policy digests that a TPM would compute. No TPM is needed for either. */
#include "enclave-shim/tpm/tpm_release.h"

#include "enclave-shim/verify/sig.h"
#include "protocol/base/check.h"
#include "protocol/base/hash.h"

#include <openssl/ecdsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#define MAGIC "QRRS"
#define VERSION 1u
#define MASK_ALL 0x00ffffffu
#define SIG_DER_MAX 80u
#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

/* Part 2, 6.5.2 and 6.3. */
#define CC_POLICY_NV 0x00000149u
#define CC_POLICY_AUTHORIZE 0x0000016au
#define CC_POLICY_OR 0x00000171u
#define CC_POLICY_PCR 0x0000017fu
#define ALG_SHA256 0x000bu
#define ALG_NULL 0x0010u
#define ALG_ECDSA 0x0018u
#define ALG_ECC 0x0023u
#define ECC_P256 0x0003u
#define EO_UNSIGNED_LE 0x0009u
#define ATTR_SIGN 0x00040000u
#define ATTR_USER_WITH_AUTH 0x00000040u

static void
sha256(const struct qr_buf *b, uint8_t out[static 32])
{
    QR_ASSERT(b->err == QR_OK);
    qr_sha256(qr_buf_view(b), out);
}

/* ---- policies ---- */

void
qr_tpm_policy_ref(uint64_t release, uint8_t out[static QR_TPM_REF_LEN])
{
    struct qr_buf b = qr_buf_over(out, QR_TPM_REF_LEN);
    qr_buf_put(&b, "quorate/seal", 12);
    qr_buf_put64(&b, release);
}

void
qr_tpm_policy_pcr(const struct qr_tpm_statement *s, uint8_t out[static 32])
{
    uint8_t mem[QR_TPM_PCRS * 32], values[32];
    struct qr_buf b = qr_buf_over(mem, sizeof mem);

    for (uint32_t i = 0; i < QR_TPM_PCRS; i++) {
        if (s->mask >> i & 1) {
            qr_buf_put(&b, s->pcr[i], 32);
        }
    }
    sha256(&b, values);
    b = qr_buf_over(mem, sizeof mem);
    memset(mem, 0, 32); /* a fresh session */
    b.len = 32;
    qr_buf_put32(&b, CC_POLICY_PCR);
    qr_buf_put32(&b, 1); /* TPML_PCR_SELECTION */
    qr_buf_put16(&b, ALG_SHA256);
    qr_buf_put8(&b, 3);
    for (uint32_t i = 0; i < 3; i++) {
        qr_buf_put8(&b, (uint8_t)(s->mask >> (8 * i)));
    }
    qr_buf_put(&b, values, sizeof values);
    sha256(&b, out);
}

void
qr_tpm_policy_authorize(const uint8_t key_name[static QR_TPM_NAME_LEN], uint64_t release,
                        uint8_t out[static 32])
{
    uint8_t mem[128] = {0};
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    uint8_t ref[QR_TPM_REF_LEN];

    b.len = 32; /* it forgets what was there before */
    qr_buf_put32(&b, CC_POLICY_AUTHORIZE);
    qr_buf_put(&b, key_name, QR_TPM_NAME_LEN);
    sha256(&b, out);
    qr_tpm_policy_ref(release, ref);
    b = qr_buf_over(mem, sizeof mem);
    qr_buf_put(&b, out, 32);
    qr_buf_put(&b, ref, sizeof ref);
    sha256(&b, out);
}

void
qr_tpm_policy_nv(const uint8_t before[static 32], const uint8_t nv_name[static QR_TPM_NAME_LEN],
                 uint64_t value, uint8_t out[static 32])
{
    uint8_t mem[128], args[32];
    struct qr_buf b = qr_buf_over(mem, sizeof mem);

    qr_buf_put64(&b, value);
    qr_buf_put16(&b, 0); /* offset */
    qr_buf_put16(&b, EO_UNSIGNED_LE);
    sha256(&b, args);
    b = qr_buf_over(mem, sizeof mem);
    qr_buf_put(&b, before, 32);
    qr_buf_put32(&b, CC_POLICY_NV);
    qr_buf_put(&b, args, sizeof args);
    qr_buf_put(&b, nv_name, QR_TPM_NAME_LEN);
    sha256(&b, out);
}

void
qr_tpm_policy_or(const uint8_t (*branch)[32], size_t n, uint8_t out[static 32])
{
    uint8_t mem[32 + 4 + 8 * 32] = {0};
    struct qr_buf b = qr_buf_over(mem, sizeof mem);

    QR_ASSERT(n >= 2 && n <= 8);
    b.len = 32;
    qr_buf_put32(&b, CC_POLICY_OR);
    qr_buf_put(&b, branch, n * 32);
    sha256(&b, out);
}

/* ---- the release key ---- */

/* The P-256 point of an SPKI; NULL otherwise. The caller frees it. */
static EVP_PKEY *
key_of(qr_view spki)
{
    const uint8_t *p = spki.p;
    EVP_PKEY *k = spki.len > 0 && spki.len <= 256 ? d2i_PUBKEY(NULL, &p, (long)spki.len) : NULL;

    if (k && (p != spki.p + spki.len || !qr_key_is_ec(k, 256))) {
        EVP_PKEY_free(k);
        k = NULL;
    }
    return k;
}

qr_err
qr_tpm_release_key(qr_view spki, uint8_t public_area[static QR_TPM_RELEASE_PUBLIC_LEN],
                   uint8_t name[static QR_TPM_NAME_LEN])
{
    struct qr_buf b = qr_buf_over(public_area, QR_TPM_RELEASE_PUBLIC_LEN);
    uint8_t point[65];
    size_t n = 0;
    EVP_PKEY *k = key_of(spki);

    /* Compressed forms are made whole here: the SPKI is a file of ours, its form is not the point. */
    int ok = k && EVP_PKEY_get_octet_string_param(k, "encoded-pub-key", point, sizeof point, &n) &&
             n == sizeof point && point[0] == 4;
    EVP_PKEY_free(k);
    if (!ok) {
        return QR_ERR_MALFORMED;
    }
    qr_buf_put16(&b, ALG_ECC);
    qr_buf_put16(&b, ALG_SHA256); /* nameAlg */
    qr_buf_put32(&b, ATTR_SIGN | ATTR_USER_WITH_AUTH);
    qr_buf_put16(&b, 0);        /* authPolicy */
    qr_buf_put16(&b, ALG_NULL); /* symmetric */
    qr_buf_put16(&b, ALG_ECDSA);
    qr_buf_put16(&b, ALG_SHA256);
    qr_buf_put16(&b, ECC_P256);
    qr_buf_put16(&b, ALG_NULL); /* kdf */
    qr_buf_put16(&b, 32);
    qr_buf_put(&b, point + 1, 32);
    qr_buf_put16(&b, 32);
    qr_buf_put(&b, point + 33, 32);
    QR_ASSERT(b.len == QR_TPM_RELEASE_PUBLIC_LEN);
    name[0] = ALG_SHA256 >> 8;
    name[1] = ALG_SHA256 & 0xff;
    sha256(&b, name + 2);
    return QR_OK;
}

/* ---- statements ---- */

static void
signed_bytes(const struct qr_tpm_statement *s, uint8_t out[static 32 + QR_TPM_REF_LEN])
{
    qr_tpm_policy_pcr(s, out);
    qr_tpm_policy_ref(s->release, out + 32);
}

static int
numbers_fit(const struct qr_tpm_statement *s)
{
    return s->release >= 1 && s->release <= QR_TPM_RELEASE_MAX && s->mask != 0 &&
           (s->mask & ~MASK_ALL) == 0;
}

/* A DER signature and nothing behind it, as r || s. */
static int
from_der(qr_view der, uint8_t raw[static 64])
{
    const uint8_t *p = der.p;
    uint8_t again[SIG_DER_MAX], *w = again;
    ECDSA_SIG *sig = der.len <= SIG_DER_MAX ? d2i_ECDSA_SIG(NULL, &p, (long)der.len) : NULL;

    int ok = sig && p == der.p + der.len && BN_num_bytes(ECDSA_SIG_get0_r(sig)) <= 32 &&
             BN_num_bytes(ECDSA_SIG_get0_s(sig)) <= 32 && !BN_is_negative(ECDSA_SIG_get0_r(sig)) &&
             !BN_is_negative(ECDSA_SIG_get0_s(sig));
    /* One encoding only. */
    ok = ok && i2d_ECDSA_SIG(sig, NULL) == (int)der.len && i2d_ECDSA_SIG(sig, &w) > 0 &&
         memcmp(again, der.p, der.len) == 0;
    ok = ok && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32) == 32 &&
         BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32) == 32;
    ECDSA_SIG_free(sig);
    return ok;
}

static qr_err
parse(qr_view v, struct qr_tpm_statement *s, char *err_text, size_t err_cap)
{
    struct qr_buf b = qr_buf_read(v);

    if (v.len > QR_TPM_STATEMENT_MAX) {
        EXPLAIN("the release statement has %zu bytes, at most %u are read", v.len,
                QR_TPM_STATEMENT_MAX);
        return QR_ERR_TOO_LARGE;
    }
    qr_view magic = qr_buf_take(&b, 4);
    if (b.err != QR_OK || memcmp(magic.p, MAGIC, 4) != 0) {
        EXPLAIN("this is no release statement: it begins with other bytes than \"%s\"; "
                "quorate image release sign makes one",
                MAGIC);
        return QR_ERR_MALFORMED;
    }
    uint8_t version = qr_buf_get8(&b);
    if (b.err == QR_OK && version != VERSION) {
        EXPLAIN("the release statement has version %u; this program reads version %u", version,
                VERSION);
        return QR_ERR_VERSION;
    }
    s->release = qr_buf_get64(&b);
    s->mask = qr_buf_get32(&b);
    if (b.err == QR_OK && !numbers_fit(s)) {
        EXPLAIN(
            "the release statement has number %llu and PCR mask 0x%x; expected 1 to %u and PCRs "
            "0 to 23",
            (unsigned long long)s->release, s->mask, QR_TPM_RELEASE_MAX);
        return QR_ERR_MALFORMED;
    }
    for (uint32_t i = 0; i < QR_TPM_PCRS; i++) {
        if (s->mask >> i & 1) {
            qr_buf_get(&b, s->pcr[i], 32);
        }
    }
    qr_view der = qr_buf_take(&b, qr_buf_get16(&b));
    qr_err e = qr_buf_end(&b);
    if (e != QR_OK) {
        EXPLAIN("the release statement: %s", qr_err_text(e));
        return e;
    }
    if (!from_der(der, s->sig)) {
        EXPLAIN("the release statement's signature is no DER signature of P-256");
        return QR_ERR_MALFORMED;
    }
    return QR_OK;
}

qr_err
qr_tpm_statement_read(const struct qr_tpm_release *r, struct qr_tpm_statement *ret, char *err_text,
                      size_t err_cap)
{
    struct qr_tpm_statement s = {0};
    uint8_t msg[32 + QR_TPM_REF_LEN];

    QR_TRY(parse(r->statement, &s, err_text, err_cap));
    EVP_PKEY *k = key_of(r->key);
    if (!k) {
        EXPLAIN("the release key is no P-256 key in DER (SubjectPublicKeyInfo)");
        return QR_ERR_MALFORMED;
    }
    signed_bytes(&s, msg);
    int ok = qr_evp_ecdsa_verify(k, QR_SHA256, qr_view_of(msg, sizeof msg),
                                 qr_view_of(s.sig, sizeof s.sig));
    EVP_PKEY_free(k);
    if (ok != 1) {
        EXPLAIN("the statement of release %llu is not signed by this image's release key",
                (unsigned long long)s.release);
        return QR_ERR_STAMP_INVALID;
    }
    *ret = s;
    return QR_OK;
}

qr_err
qr_tpm_statement_sign(const struct qr_tpm_statement *s, EVP_PKEY *key, struct qr_buf *out)
{
    uint8_t msg[32 + QR_TPM_REF_LEN], der[SIG_DER_MAX];
    size_t n = sizeof der;

    if (!numbers_fit(s) || !qr_key_is_ec(key, 256)) {
        return QR_ERR_USAGE;
    }
    signed_bytes(s, msg);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    int ok = c && EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key) == 1 &&
             EVP_DigestSign(c, der, &n, msg, sizeof msg) == 1;
    EVP_MD_CTX_free(c);
    if (!ok) {
        return QR_ERR_CRYPTO_LIB;
    }
    qr_buf_put(out, MAGIC, 4);
    qr_buf_put8(out, VERSION);
    qr_buf_put64(out, s->release);
    qr_buf_put32(out, s->mask);
    for (uint32_t i = 0; i < QR_TPM_PCRS; i++) {
        if (s->mask >> i & 1) {
            qr_buf_put(out, s->pcr[i], 32);
        }
    }
    qr_buf_put16(out, (uint16_t)n);
    qr_buf_put(out, der, n);
    return out->err;
}
