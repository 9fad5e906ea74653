/* The TPM's own structures: big-endian, sized fields, nothing behind them. */
#include "enclave-shim/verify/tpm.h"

#include "protocol/base/buf.h"
#include "protocol/base/enc.h"

#include <openssl/x509.h>
#include <stdio.h>

#define TPM_GENERATED 0xff544347u
#define TPM_ST_ATTEST_QUOTE 0x8018u
#define TPM_ALG_NULL 0x0010u
#define TPM_ALG_RSA 0x0001u
#define TPM_ALG_ECC 0x0023u
#define TPM_ECC_P256 0x0003u
#define TPM_ECC_P384 0x0004u

#define TPM_NAME_MAX 66u /* TPM2B_NAME: a hash and its number, or a handle */
#define BANKS_MAX 4u     /* entries of a selection */
#define SELECT_BYTES 3u  /* of a PC client's TPM */

/* TPMA_OBJECT */
#define ATTR_FIXED_TPM (1u << 1)
#define ATTR_FIXED_PARENT (1u << 4)
#define ATTR_ORIGIN (1u << 5)
#define ATTR_RESTRICTED (1u << 16)
#define ATTR_DECRYPT (1u << 17)
#define ATTR_SIGN (1u << 18)
#define ATTR_KNOWN 0x000f0cf6u
#define ATTR_NEEDED (ATTR_FIXED_TPM | ATTR_FIXED_PARENT | ATTR_ORIGIN | ATTR_RESTRICTED | ATTR_SIGN)

static const struct {
    uint16_t tpm;
    enum qr_hash_alg alg;
    const char *name;
} hashes[] = {
    {0x0004, QR_SHA1, "sha1"},
    {0x000b, QR_SHA256, "sha256"},
    {0x000c, QR_SHA384, "sha384"},
    {0x000d, QR_SHA512, "sha512"},
};

const char *
qr_hash_name(enum qr_hash_alg h)
{
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        if (hashes[i].alg == h) {
            return hashes[i].name;
        }
    }
    return "unknown";
}

int
qr_hash_of_tpm(uint16_t alg, enum qr_hash_alg *ret)
{
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        if (hashes[i].tpm == alg) {
            *ret = hashes[i].alg;
            return 1;
        }
    }
    return 0;
}

/* A TPM2B: two bytes of length, at most max bytes. */
static qr_view
take_2b(struct qr_buf *b, size_t max)
{
    size_t n = qr_buf_get16(b);
    if (b->err == QR_OK && n > max) {
        b->err = QR_ERR_TOO_LARGE;
    }
    return qr_buf_take(b, n);
}

/* What the end of a structure says, in words. */
static qr_err
ends(const struct qr_buf *b, struct qr_verdict *v, const char *what)
{
    qr_err e = qr_buf_end(b);
    if (e == QR_ERR_TRAILING) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_TRAILING_DATA, "%s: %zu bytes behind its end",
                       what, b->len - b->pos);
    }
    if (e != QR_OK) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "%s: a field is longer than allowed, or than what is there (%zu bytes)",
                       what, b->len);
    }
    return QR_OK;
}

/* TPML_PCR_SELECTION: any number of empty banks beside one that has PCRs. */
static qr_err
take_selection(struct qr_buf *b, struct qr_verdict *v, struct qr_tpm_attest *a)
{
    uint16_t seen[BANKS_MAX];
    uint32_t n = qr_buf_get32(b);

    if (b->err == QR_OK && (n == 0 || n > BANKS_MAX)) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "TPMS_ATTEST: expected 1 to %u PCR banks, found %u", BANKS_MAX, n);
    }
    for (uint32_t i = 0; i < n && b->err == QR_OK; i++) {
        uint16_t alg = qr_buf_get16(b);
        uint8_t size = qr_buf_get8(b);
        if (b->err == QR_OK && size != SELECT_BYTES) {
            return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                           "TPMS_ATTEST: expected a PCR selection of %u bytes, found %u",
                           SELECT_BYTES, size);
        }
        qr_view bits = qr_buf_take(b, SELECT_BYTES);
        for (uint32_t k = 0; k < i; k++) {
            if (seen[k] == alg) {
                return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                               "TPMS_ATTEST: the PCR bank 0x%04x is there twice", alg);
            }
        }
        seen[i] = alg;
        if (b->err != QR_OK || (bits.p[0] | bits.p[1] | bits.p[2]) == 0) {
            continue;
        }
        if (a->selected) {
            return qr_fail(v, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED,
                           "TPMS_ATTEST: PCRs of more than one bank in one quote");
        }
        a->selected = bits.p[0] | ((uint32_t)bits.p[1] << 8) | ((uint32_t)bits.p[2] << 16);
        if (!qr_hash_of_tpm(alg, &a->bank)) {
            return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                           "TPMS_ATTEST: unknown PCR bank 0x%04x", alg);
        }
    }
    return QR_OK;
}

qr_err
qr_tpm_attest_parse(qr_view msg, struct qr_verdict *v, struct qr_tpm_attest *ret)
{
    struct qr_buf b = qr_buf_read(msg);
    struct qr_tpm_attest a = {0};

    uint32_t magic = qr_buf_get32(&b);
    uint16_t type = qr_buf_get16(&b);
    if (b.err == QR_OK && (magic != TPM_GENERATED || type != TPM_ST_ATTEST_QUOTE)) {
        return qr_fail(v, QR_CHECK_QUOTE, QR_REASON_NOT_EVIDENCE,
                       "TPMS_ATTEST: expected a quote (ff544347 8018), found %08x %04x", magic,
                       type);
    }
    a.signer = take_2b(&b, TPM_NAME_MAX);
    a.extra = take_2b(&b, 64);
    a.clock = qr_buf_get64(&b);
    a.reset_count = qr_buf_get32(&b);
    a.restart_count = qr_buf_get32(&b);
    a.safe = qr_buf_get8(&b);
    a.firmware = qr_buf_get64(&b);
    QR_TRY(take_selection(&b, v, &a));
    a.digest = take_2b(&b, 64);
    QR_TRY(ends(&b, v, "TPMS_ATTEST"));
    if (a.safe > 1) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "TPMS_ATTEST: expected 0 or 1 for `safe`, found %u", a.safe);
    }
    if (a.selected == 0) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "TPMS_ATTEST: the quote selects no PCR");
    }
    *ret = a;
    return QR_OK;
}

/* An integer that the TPM sends without its leading zeros, or with them up to the curve's length. */
static void
pad(qr_view v, uint8_t *out, size_t len)
{
    memset(out, 0, len - v.len);
    memcpy(out + len - v.len, v.p, v.len);
}

/* r and s of at most `len` bytes each. */
static qr_err
take_ecdsa(struct qr_buf *b, size_t len, struct qr_verdict *v, struct qr_tpm_sig *s)
{
    qr_view r = take_2b(b, len), z = take_2b(b, len);
    QR_TRY(ends(b, v, "TPMT_SIGNATURE"));
    if (r.len == 0 || z.len == 0) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED, "TPMT_SIGNATURE: empty r or s");
    }
    pad(r, s->ecdsa, len);
    pad(z, s->ecdsa + len, len);
    s->ecdsa_len = 2 * len;
    return QR_OK;
}

qr_err
qr_tpm_sig_parse(qr_view sig, EVP_PKEY *ak, struct qr_verdict *v, struct qr_tpm_sig *ret)
{
    struct qr_tpm_sig s = {.scheme = QR_TPM_RSASSA, .hash = QR_SHA256};
    struct qr_buf b = qr_buf_read(sig);
    int rsa = qr_key_is_rsa(ak);

    if (rsa && sig.len == (size_t)EVP_PKEY_get_size(ak)) {
        s.rsa = sig;
        *ret = s;
        return QR_OK;
    }
    uint16_t alg = qr_buf_get16(&b), hash = qr_buf_get16(&b);
    if (b.err != QR_OK) {
        return ends(&b, v, "TPMT_SIGNATURE");
    }
    int of_rsa = alg == QR_TPM_RSASSA || alg == QR_TPM_RSAPSS;
    if (!of_rsa && alg != QR_TPM_ECDSA) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "TPMT_SIGNATURE: unknown scheme 0x%04x", alg);
    }
    if (of_rsa != rsa) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "TPMT_SIGNATURE: scheme 0x%04x is not for the %s attestation key", alg,
                       rsa ? "RSA" : "EC");
    }
    if (!qr_hash_of_tpm(hash, &s.hash) || s.hash == QR_SHA1) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "TPMT_SIGNATURE: expected SHA-256 or better, found hash 0x%04x", hash);
    }
    s.scheme = (enum qr_tpm_scheme)alg;
    if (of_rsa) {
        s.rsa = take_2b(&b, 512);
        QR_TRY(ends(&b, v, "TPMT_SIGNATURE"));
    } else {
        QR_TRY(take_ecdsa(&b, qr_key_is_ec(ak, 256) ? 32 : 48, v, &s));
    }
    *ret = s;
    return QR_OK;
}

int
qr_tpm_key_fits(EVP_PKEY *k)
{
    return qr_key_is_rsa(k) || qr_key_is_ec(k, 256) || qr_key_is_ec(k, 384);
}

/* What follows the attributes and the policy in a TPMT_PUBLIC. */
struct params {
    uint16_t symmetric, scheme, scheme_hash;
    uint16_t bits, curve;
    uint32_t exponent;
    qr_view n, x, y;
};

static void
take_params(struct qr_buf *b, int rsa, struct params *p)
{
    p->symmetric = qr_buf_get16(b);
    if (p->symmetric != TPM_ALG_NULL) {
        (void)qr_buf_take(b, 4); /* key bits and mode */
    }
    p->scheme = qr_buf_get16(b);
    p->scheme_hash = p->scheme == TPM_ALG_NULL ? 0 : qr_buf_get16(b);
    if (rsa) {
        p->bits = qr_buf_get16(b);
        p->exponent = qr_buf_get32(b);
        p->n = take_2b(b, 512);
        return;
    }
    p->curve = qr_buf_get16(b);
    if (qr_buf_get16(b) != TPM_ALG_NULL) {
        (void)qr_buf_take(b, 2); /* a KDF's hash */
    }
    p->x = take_2b(b, 48);
    p->y = take_2b(b, 48);
}

static EVP_PKEY *
rsa_key(const struct params *p)
{
    uint8_t e[4];
    qr_put32(e, p->exponent ? p->exponent : 65537);
    size_t skip = 0;
    while (skip < 3 && e[skip] == 0) {
        skip++;
    }
    if (p->n.len == 0 || p->n.len * 8 != p->bits || p->n.p[0] < 0x80) {
        return NULL;
    }
    return qr_key_rsa(p->n, qr_view_of(e + skip, sizeof e - skip));
}

static EVP_PKEY *
ec_key(const struct params *p)
{
    uint8_t xy[96];
    size_t len = p->curve == TPM_ECC_P256 ? 32 : 48;
    if ((p->curve != TPM_ECC_P256 && p->curve != TPM_ECC_P384) || p->x.len == 0 || p->x.len > len ||
        p->y.len == 0 || p->y.len > len) {
        return NULL;
    }
    pad(p->x, xy, len);
    pad(p->y, xy + len, len);
    return qr_key_ec(qr_view_of(xy, 2 * len));
}

/* A restricted signing key that never left its TPM; a storage or endorsement key decrypts. */
static qr_err
demand_ak(uint32_t attributes, struct qr_verdict *v)
{
    if (attributes & ~ATTR_KNOWN) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "TPMT_PUBLIC: reserved bits in the attributes 0x%08x", attributes);
    }
    if ((attributes & ATTR_NEEDED) != ATTR_NEEDED || (attributes & ATTR_DECRYPT)) {
        return qr_fail(v, QR_CHECK_AK, QR_REASON_KEY_BINDING,
                       "TPMT_PUBLIC: expected a restricted signing key, fixed to its TPM and made "
                       "there (0x%08x), found attributes 0x%08x",
                       ATTR_NEEDED, attributes);
    }
    return QR_OK;
}

static qr_err
name_of(qr_view pub, struct qr_verdict *v, struct qr_tpm_public *p)
{
    enum qr_hash_alg h;
    if (!qr_hash_of_tpm(p->name_alg, &h) || h == QR_SHA1) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "TPMT_PUBLIC: expected a name by SHA-256 or better, found hash 0x%04x",
                       p->name_alg);
    }
    qr_put16(p->name, p->name_alg);
    if (!qr_hash_of(h, &pub, 1, p->name + 2)) {
        return QR_ERR_NO_MEMORY;
    }
    p->name_len = 2 + qr_hash_len(h);
    return QR_OK;
}

qr_err
qr_tpm_public_parse(qr_view pub, struct qr_verdict *v, struct qr_tpm_public *ret)
{
    struct qr_buf b = qr_buf_read(pub);
    struct qr_tpm_public p = {0};
    struct params q = {0};

    uint16_t type = qr_buf_get16(&b);
    p.name_alg = qr_buf_get16(&b);
    p.attributes = qr_buf_get32(&b);
    (void)take_2b(&b, 64); /* authPolicy */
    if (b.err == QR_OK && type != TPM_ALG_RSA && type != TPM_ALG_ECC) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "TPMT_PUBLIC: expected an RSA or EC key, found type 0x%04x", type);
    }
    int rsa = type == TPM_ALG_RSA;
    take_params(&b, rsa, &q);
    QR_TRY(ends(&b, v, "TPMT_PUBLIC"));
    QR_TRY(demand_ak(p.attributes, v));
    uint16_t scheme = q.scheme;
    if (q.symmetric != TPM_ALG_NULL ||
        !(rsa ? scheme == QR_TPM_RSASSA || scheme == QR_TPM_RSAPSS : scheme == QR_TPM_ECDSA)) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "TPMT_PUBLIC: expected a key with a fixed signing scheme, found scheme "
                       "0x%04x, symmetric 0x%04x",
                       scheme, q.symmetric);
    }
    QR_TRY(name_of(pub, v, &p));
    p.scheme = scheme;
    p.scheme_hash = q.scheme_hash;
    p.key = rsa ? rsa_key(&q) : ec_key(&q);
    if (!p.key) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "TPMT_PUBLIC: no RSA key of 2048 to 4096 bits and no point of P-256 or "
                       "P-384");
    }
    p.bits = (unsigned)EVP_PKEY_get_bits(p.key);
    *ret = p;
    return QR_OK;
}

/* PEM, read here: OpenSSL's reader would ask a terminal for the password of an encrypted block. */
EVP_PKEY *
qr_tpm_pem_parse(qr_view pem)
{
    static const char head[] = "-----BEGIN PUBLIC KEY-----\n";
    static const char tail[] = "-----END PUBLIC KEY-----";
    char text[2048];
    uint8_t der[1536];
    size_t n = 0, len = 0;

    while (pem.len > 0 && (pem.p[pem.len - 1] == '\n' || pem.p[pem.len - 1] == '\r')) {
        pem.len--;
    }
    size_t around = sizeof head - 1 + sizeof tail - 1;
    if (pem.len < around || pem.len > sizeof text || memcmp(pem.p, head, sizeof head - 1) != 0 ||
        memcmp(pem.p + pem.len - (sizeof tail - 1), tail, sizeof tail - 1) != 0) {
        return NULL;
    }
    for (size_t i = sizeof head - 1; i < pem.len - (sizeof tail - 1); i++) {
        if (pem.p[i] != '\n') {
            text[n++] = (char)pem.p[i];
        }
    }
    if (qr_b64_decode(text, n, der, sizeof der, &len) != QR_OK) {
        return NULL;
    }
    const uint8_t *p = der;
    EVP_PKEY *k = d2i_PUBKEY(NULL, &p, (long)len);
    if (k && (p != der + len || !qr_tpm_key_fits(k))) {
        EVP_PKEY_free(k);
        k = NULL;
    }
    return k;
}

enum qr_tpm_order
qr_tpm_compare(const struct qr_tpm_moment *before, const struct qr_tpm_moment *after)
{
    if (after->safe != 1) {
        return QR_TPM_UNSAFE;
    }
    if (after->reset_count != before->reset_count) {
        return after->reset_count > before->reset_count ? QR_TPM_REBOOTED : QR_TPM_EARLIER;
    }
    if (after->restart_count < before->restart_count || after->clock < before->clock) {
        return QR_TPM_EARLIER;
    }
    return QR_TPM_LATER;
}

int
qr_tpm_moment_of(const struct qr_claimset *c, struct qr_tpm_moment *ret)
{
    uint64_t clock, reset, restart, safe;
    if (!qr_claim_get_uint(c, "quote.clock", &clock) ||
        !qr_claim_get_uint(c, "quote.resetCount", &reset) ||
        !qr_claim_get_uint(c, "quote.restartCount", &restart) ||
        !qr_claim_get_uint(c, "quote.safe", &safe)) {
        return 0;
    }
    *ret = (struct qr_tpm_moment){clock, (uint32_t)reset, (uint32_t)restart, (uint8_t)safe};
    return 1;
}
