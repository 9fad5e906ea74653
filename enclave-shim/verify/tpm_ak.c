/* Attestation keys: certified by a cloud, described by their TPM, or only named. */
#include "enclave-shim/verify/tpm.h"

#include "enclave-shim/verify/der.h"
#include "enclave-shim/verify/manifest.h"
#include "enclave-shim/verify/utf8.h"

#include <openssl/x509v3.h>
#include <stdio.h>

#define INTERMEDIATES 4u /* slots of AK_INTERMEDIATE: CAs of one name with different keys */
#define GOOGLE_INSTANCE "1.3.6.1.4.1.11129.2.1.21"
#define EKU_AIK "2.23.133.8.3" /* tcg-kp-AIKCertificate */
#define EKUS_MAX 8
#define YEAR_10000_MS INT64_C(253402300800000)

static qr_err
ak_fail(struct qr_verdict *v, enum qr_reason why, const char *text)
{
    return qr_fail(v, QR_CHECK_AK, why, "AK certificate: %s", text);
}

/*
 * The bytes of one DER value at the start of what an NV index held: the index is longer than the
 * certificate and was filled with zeros. Anything else behind it is refused.
 */
static qr_err
unpad(qr_view nv, struct qr_verdict *v, qr_view *ret)
{
    struct qr_der d = qr_der_of(nv);
    uint8_t tag = 0;
    qr_view content;

    if (qr_der_next(&d, &tag, &content) != QR_OK || tag != 0x30) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "AK certificate: expected one DER value, then nothing or zeros");
    }
    for (size_t i = 0; i < d.left; i++) {
        if (d.p[i] != 0) {
            return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                           "AK certificate: expected zeros behind it, found 0x%02x at byte %zu",
                           d.p[i], nv.len - d.left + i);
        }
    }
    *ret = qr_view_of(nv.p, nv.len - d.left);
    return QR_OK;
}

static void
claim_date(struct qr_claimset *c, const char *path, int64_t ms)
{
    char text[21];
    if (ms < 0 || ms >= YEAR_10000_MS) {
        return; /* nothing that an attestation key's certificate says */
    }
    qr_time_print(ms, text);
    qr_claim_text_copy(c, path, qr_view_str(text));
}

static void
claim_issuer(struct qr_claimset *c, X509 *x)
{
    char *text = NULL;
    BIO *b = BIO_new(BIO_s_mem());
    if (b && X509_NAME_print_ex(b, X509_get_issuer_name(x), 0,
                                XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0) {
        long n = BIO_get_mem_data(b, &text);
        qr_claim_text_copy(c, "ak_cert.issuer", qr_view_of(text, n > 0 ? (size_t)n : 0));
    }
    BIO_free(b);
}

/* Extended key usages in dots; *ret_aik: that of attestation keys is among them. */
static int
claim_eku(struct qr_claimset *c, X509 *x, int *ret_aik)
{
    int n = 0;
    EXTENDED_KEY_USAGE *eku = X509_get_ext_d2i(x, NID_ext_key_usage, NULL, NULL);
    *ret_aik = 0;
    for (; n < sk_ASN1_OBJECT_num(eku) && n < EKUS_MAX; n++) {
        char dots[80];
        int len = OBJ_obj2txt(dots, sizeof dots, sk_ASN1_OBJECT_value(eku, n), 1);
        if (len <= 0 || (size_t)len >= sizeof dots) {
            continue;
        }
        *ret_aik |= strcmp(dots, EKU_AIK) == 0;
        qr_claim_text_copy(c, qr_claim_path(c, "ak_cert.eku[%d]", n), qr_view_str(dots));
    }
    EXTENDED_KEY_USAGE_free(eku);
    return n;
}

static void
claim_kind(struct qr_claimset *c, const char *path, EVP_PKEY *k)
{
    char text[32];
    if (qr_tpm_key_fits(k)) { /* others are refused, and have no name here */
        (void)snprintf(text, sizeof text, "%s%d", qr_key_is_rsa(k) ? "RSA " : "ECC P-",
                       EVP_PKEY_get_bits(k));
        qr_claim_text_copy(c, path, qr_view_str(text));
    }
}

static qr_err
bad_instance(struct qr_verdict *v)
{
    return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                   "AK certificate: its instance extension is no SEQUENCE of zone, project and "
                   "instance");
}

/* [0] EXPLICIT SEQUENCE { [0] version INTEGER, [1] isProduction BOOLEAN, ... } */
static qr_err
claim_security(struct qr_claimset *c, qr_view wrapped)
{
    struct qr_der d = qr_der_of(wrapped), in;
    qr_view seq, v, x;
    uint8_t tag = 0;
    uint64_t n = 0;

    QR_TRY(qr_der_want(&d, 0x30, &seq));
    if (d.left > 0) {
        return QR_ERR_TRAILING;
    }
    d = qr_der_of(seq);
    while (d.left > 0) {
        QR_TRY(qr_der_next(&d, &tag, &v));
        in = qr_der_of(v);
        if (tag == 0xa0) {
            QR_TRY(qr_der_want(&in, 0x02, &x));
            QR_TRY(qr_der_uint(x, &n));
            qr_claim_uint(c, "ak_cert.instance.security_version", n);
        } else if (tag == 0xa1) {
            QR_TRY(qr_der_want(&in, 0x01, &x));
            if (x.len != 1 || (x.p[0] != 0 && x.p[0] != 0xff)) {
                return QR_ERR_MALFORMED;
            }
            qr_claim_bool(c, "ak_cert.instance.is_production", x.p[0] == 0xff);
        }
    }
    return QR_OK;
}

/* SEQUENCE { zone UTF8String, number INTEGER, project UTF8String, id INTEGER, name UTF8String, [0] } */
static qr_err
claim_instance(struct qr_claimset *c, qr_view ext)
{
    struct qr_der d = qr_der_of(ext);
    qr_view seq, zone, number, project, id, name, more;
    uint64_t n = 0, i = 0;

    QR_TRY(qr_der_want(&d, 0x30, &seq));
    if (d.left > 0) {
        return QR_ERR_TRAILING;
    }
    d = qr_der_of(seq);
    QR_TRY(qr_der_want(&d, 0x0c, &zone));
    QR_TRY(qr_der_want(&d, 0x02, &number));
    QR_TRY(qr_der_want(&d, 0x0c, &project));
    QR_TRY(qr_der_want(&d, 0x02, &id));
    QR_TRY(qr_der_want(&d, 0x0c, &name));
    QR_TRY(qr_der_uint(number, &n));
    QR_TRY(qr_der_uint(id, &i));
    if (!qr_utf8_valid(zone) || !qr_utf8_valid(project) || !qr_utf8_valid(name)) {
        return QR_ERR_MALFORMED;
    }
    qr_claim_text_copy(c, "ak_cert.instance.zone", zone);
    qr_claim_uint(c, "ak_cert.instance.project_number", n);
    qr_claim_text_copy(c, "ak_cert.instance.project_id", project);
    qr_claim_uint(c, "ak_cert.instance.instance_id", i);
    qr_claim_text_copy(c, "ak_cert.instance.instance_name", name);
    if (d.left > 0) {
        QR_TRY(qr_der_want(&d, 0xa0, &more));
        QR_TRY(claim_security(c, more));
    }
    return d.left > 0 ? QR_ERR_TRAILING : QR_OK;
}

/* Everything a certificate says, before anything is believed. *ret_aik as claim_eku's. */
static qr_err
claim_cert(struct qr_verify_run *r, X509 *x, int *ret_n_eku, int *ret_aik)
{
    struct qr_claimset *c = &r->v->claims;
    int alone = r->e->kind == QR_EV_GCP_AK; /* there the certificate is all there is */
    char text[512];
    int64_t from = 0, to = 0;

    qr_cert_subject(x, text, sizeof text);
    qr_claim_text_copy(c, alone ? "subject" : "ak_cert.subject", qr_view_str(text));
    claim_issuer(c, x);
    if (qr_cert_dates(x, &from, &to)) {
        claim_date(c, "ak_cert.not_before", from);
        claim_date(c, "ak_cert.not_after", to);
    }
    *ret_n_eku = claim_eku(c, x, ret_aik);
    claim_kind(c, alone ? "key" : "ak_cert.key", X509_get0_pubkey(x));
    qr_view ext = qr_cert_ext(x, GOOGLE_INSTANCE);
    if (ext.p) {
        qr_claim_hex_copy(
            c, alone ? "instance_extension" : "ak_cert.instance_extension_1_3_6_1_4_1_11129_2_1_21",
            ext);
        if (claim_instance(c, ext) != QR_OK) {
            return bad_instance(r->v);
        }
    }
    return QR_OK;
}

/* The extension's keyIdentifier, if it has one, is the CA's subject key identifier. */
static int
issued_by(X509 *leaf, X509 *ca)
{
    const ASN1_OCTET_STRING *want = X509_get0_authority_key_id(leaf);
    const ASN1_OCTET_STRING *have = X509_get0_subject_key_id(ca);
    if (want && have) {
        return ASN1_OCTET_STRING_cmp(want, have) == 0;
    }
    /* A modulus as long as a certificate would be work for nothing. */
    EVP_PKEY *key = X509_get0_pubkey(ca);
    return qr_key_is_rsa(key) && X509_verify(leaf, key) == 1;
}

/* The one certificate of `from` becomes the last of `to`. */
static void
move_cert(struct qr_certs *to, struct qr_certs *from)
{
    to->x[to->n] = from->x[0];
    to->der[to->n++] = from->der[0];
    from->n = 0;
}

/*
 * Google runs several CAs of one name: the issuer is the one whose key the certificate means. When
 * none fits, the first is left in place, and the chain's check says what is wrong with it.
 */
static qr_err
add_intermediate(struct qr_verify_run *r, struct qr_certs *s)
{
    struct qr_certs first = {0};
    qr_err e = QR_OK;

    for (uint8_t slot = 0; slot < INTERMEDIATES && e == QR_OK && s->n == 1; slot++) {
        struct qr_certs one = {0};
        qr_view der = qr_evidence_get_slot(r->e, QR_PART_AK_INTERMEDIATE, slot);
        if (!der.p) {
            continue;
        }
        e = qr_certs_add_der(&one, der, r->v, QR_CHECK_PARSE, "vTPM intermediate");
        if (e == QR_OK && issued_by(s->x[0], one.x[0])) {
            move_cert(s, &one);
        } else if (e == QR_OK && first.n == 0) {
            move_cert(&first, &one);
        }
        qr_certs_free(&one);
    }
    if (e == QR_OK && s->n == 1 && first.n == 1) {
        move_cert(s, &first);
    } else if (e == QR_OK && s->n == 1) {
        e = qr_fail(r->v, QR_CHECK_CHAIN, QR_REASON_COLLATERAL_MISSING,
                    "AK certificate: the CA that issued it is missing");
    }
    qr_certs_free(&first);
    return e;
}

/* What the clouds' certificates of attestation keys have and those of endorsement keys have not. */
static qr_err
check_role(struct qr_verify_run *r, X509 *x, enum qr_vendor_root root, int n_eku, int aik)
{
    uint32_t use = X509_get_key_usage(x); /* all bits when there is no such extension */
    if ((use & (KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT | KU_KEY_AGREEMENT)) != 0 ||
        (use & KU_DIGITAL_SIGNATURE) == 0) {
        return ak_fail(r->v, QR_REASON_KEY_BINDING,
                       "expected a key for signatures alone, found another use");
    }
    if (root == QR_ROOT_MICROSOFT_VTPM && (n_eku == 0 || !aik)) {
        return ak_fail(r->v, QR_REASON_KEY_BINDING,
                       "expected the usage of an attestation key (2.23.133.8.3), found none");
    }
    if (!qr_tpm_key_fits(X509_get0_pubkey(x))) {
        return ak_fail(r->v, QR_REASON_UNSUPPORTED,
                       "expected RSA of 2048 bits or more, P-256 or "
                       "P-384, found another key");
    }
    return QR_OK;
}

static qr_err
chain_of(struct qr_verify_run *r, enum qr_vendor_root root, struct qr_certs *s)
{
    qr_view nv = {0}, der = {0}, top = {0};
    int n_eku = 0, aik = 0;

    QR_TRY(qr_run_need(r, QR_PART_AK_CERT, QR_CHECK_AK, QR_REASON_COLLATERAL_MISSING, &nv));
    QR_TRY(unpad(nv, r->v, &der));
    QR_TRY(qr_certs_add_der(s, der, r->v, QR_CHECK_PARSE, "AK certificate"));
    QR_TRY(claim_cert(r, s->x[0], &n_eku, &aik));
    QR_TRY(add_intermediate(r, s));
    QR_TRY(qr_run_need(r, QR_PART_AK_ROOT, QR_CHECK_ROOT, QR_REASON_COLLATERAL_MISSING, &top));
    QR_TRY(qr_certs_add_der(s, top, r->v, QR_CHECK_PARSE, "vTPM root"));
    struct qr_chain_rules rules = {.root = root, .now_ms = r->o->now_ms, .key_type = EVP_PKEY_RSA};
    QR_TRY(qr_run_chain(r, s, &rules));
    return check_role(r, s->x[0], root, n_eku, aik);
}

/* SHA-256 of the SubjectPublicKeyInfo: what a binder commits to and a policy can pin. */
qr_err
qr_ak_claim(struct qr_verify_run *r, EVP_PKEY *k)
{
    uint8_t h[32];
    if (!qr_key_sha256(k, h)) {
        return QR_ERR_NO_MEMORY;
    }
    qr_claim_hex_copy(&r->v->claims, "ak_spki_sha256", qr_view_of(h, sizeof h));
    return QR_OK;
}

qr_err
qr_ak_chain_part(struct qr_verify_run *r, enum qr_vendor_root root, struct qr_ak *ret)
{
    struct qr_certs s = {0};
    qr_err e = chain_of(r, root, &s);

    ret->key = e == QR_OK ? X509_get_pubkey(s.x[0]) : NULL;
    if (e == QR_OK && !ret->key) {
        e = QR_ERR_NO_MEMORY;
    }
    qr_certs_free(&s);
    return e;
}

static const struct {
    unsigned bit;
    const char *name;
} attributes[] = {
    {1, "fixedTPM"},     {2, "stClear"},         {4, "fixedParent"}, {5, "sensitiveDataOrigin"},
    {6, "userWithAuth"}, {7, "adminWithPolicy"}, {10, "noDA"},       {11, "encryptedDuplication"},
    {16, "restricted"},  {17, "decrypt"},        {18, "sign"},       {19, "x509sign"},
};

static void
claim_public(struct qr_verify_run *r, const struct qr_tpm_public *p)
{
    struct qr_claimset *c = &r->v->claims;
    qr_view name = qr_view_of(p->name, p->name_len);
    enum qr_hash_alg h = QR_SHA256;
    char text[16];
    unsigned n = 0;

    (void)qr_hash_of_tpm(p->name_alg, &h);
    qr_claim_text(c, "ak.nameAlg", qr_view_str(qr_hash_name(h)));
    (void)snprintf(text, sizeof text, "0x%08x", p->attributes);
    qr_claim_text_copy(c, "ak.attr", qr_view_str(text));
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        if (p->attributes & (1u << attributes[i].bit)) {
            qr_claim_text(c, qr_claim_path(c, "ak.attr_bits[%u]", n++),
                          qr_view_str(attributes[i].name));
        }
    }
    qr_claim_hex_copy(c, "ak.name", name);
    (void)snprintf(text, sizeof text, "0x%x", p->scheme);
    qr_claim_text_copy(c, "ak.scheme[0]", qr_view_str(text));
    (void)snprintf(text, sizeof text, "0x%x", p->scheme_hash);
    qr_claim_text_copy(c, "ak.scheme[1]", qr_view_str(text));
    qr_claim_uint(c, "ak.bits", p->bits);
    qr_claim_hex_copy(c, "ak_name", name);
}

/* The vendor whose pinned root came along; a stranger's root fails the chain of either. */
static enum qr_vendor_root
vendor_of(const struct qr_verify_run *r)
{
    uint8_t h[32];
    qr_view top = qr_evidence_get(r->e, QR_PART_AK_ROOT);
    qr_cert_sha256(top, h);
    return top.p && qr_root_pinned(r->roots, QR_ROOT_MICROSOFT_VTPM, h) ? QR_ROOT_MICROSOFT_VTPM
                                                                        : QR_ROOT_GOOGLE_VTPM;
}

/* Two ways of naming the key must name one key. Takes over `k`. */
static qr_err
same_key(struct qr_verify_run *r, EVP_PKEY **ak, EVP_PKEY *k, const char *what)
{
    if (!*ak) {
        *ak = k;
        return QR_OK;
    }
    int same = EVP_PKEY_eq(*ak, k) == 1;
    EVP_PKEY_free(k);
    return same ? QR_OK
                : qr_fail(r->v, QR_CHECK_AK, QR_REASON_KEY_BINDING,
                          "attestation key: %s is of another key", what);
}

/* On failure *ak may hold a key already: the caller of qr_ak_collect gets none. */
static qr_err
collect(struct qr_verify_run *r, EVP_PKEY **ak)
{
    qr_view pub = qr_evidence_get(r->e, QR_PART_AK_PUBLIC);
    qr_view pem = qr_evidence_get(r->e, QR_PART_AK_PEM);
    int certified = qr_evidence_get(r->e, QR_PART_AK_CERT).p != NULL;

    if (pub.p) {
        struct qr_tpm_public p;
        QR_TRY(qr_tpm_public_parse(pub, r->v, &p));
        claim_public(r, &p);
        QR_TRY(same_key(r, ak, p.key, qr_part_name(QR_PART_AK_PUBLIC)));
    }
    if (pem.p) {
        EVP_PKEY *k = qr_tpm_pem_parse(pem);
        if (!k) {
            return qr_fail(r->v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                           "%s: expected one PEM public key, RSA, P-256 or P-384",
                           qr_part_name(QR_PART_AK_PEM));
        }
        QR_TRY(same_key(r, ak, k, qr_part_name(QR_PART_AK_PEM)));
    }
    if (certified) {
        struct qr_ak cert = {0};
        QR_TRY(qr_ak_chain_part(r, vendor_of(r), &cert));
        QR_TRY(same_key(r, ak, cert.key, qr_part_name(QR_PART_AK_CERT)));
        qr_pass(r->v, QR_CHECK_AK);
    }
    if (!*ak) {
        return qr_fail(r->v, QR_CHECK_AK, QR_REASON_COLLATERAL_MISSING,
                       "attestation key: neither certificate nor public key came with the quote");
    }
    return qr_ak_claim(r, *ak);
}

qr_err
qr_ak_collect(struct qr_verify_run *r, EVP_PKEY **ret)
{
    EVP_PKEY *ak = NULL;
    qr_err e = collect(r, &ak);

    if (e != QR_OK) {
        EVP_PKEY_free(ak);
        return e;
    }
    *ret = ak;
    return QR_OK;
}
