/*
 * Certificates under an SNP report. The vendor's leaves carry serial number 0 and no standard
 * extension, so a leaf's role comes from its place and its private extensions, and revocation is
 * looked up for the level above it.
 */
#include "enclave-shim/verify/der.h"
#include "enclave-shim/verify/snp.h"
#include "enclave-shim/verify/verify_int.h"
#include "proto/json_strict.h"
#include "protocol/base/check.h"

#define DER_INTEGER 0x02
#define DER_IA5STRING 0x16
#define TEXT_MAX 64u

/* 1.3.6.1.4.1.3704.1 */
static const uint8_t amd_arc[] = {0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01};

/* What is wrong with an extension is told once: the first. */
static void
complain(struct qr_snp_vek *k, const char *text)
{
    if (!k->problem) {
        k->problem = text;
    }
}

static int
read_uint(qr_view ext, uint64_t *ret)
{
    struct qr_der d = qr_der_of(ext);
    qr_view content;
    return qr_der_want(&d, DER_INTEGER, &content) == QR_OK && d.left == 0 &&
           qr_der_uint(content, ret) == QR_OK;
}

/* Printable ASCII, so that it can be shown. */
static int
read_text(qr_view ext, qr_view *ret)
{
    struct qr_der d = qr_der_of(ext);
    qr_view content;
    if (qr_der_want(&d, DER_IA5STRING, &content) != QR_OK || d.left != 0 || content.len == 0 ||
        content.len > TEXT_MAX) {
        return 0;
    }
    for (size_t i = 0; i < content.len; i++) {
        if (content.p[i] < 0x20 || content.p[i] > 0x7e) {
            return 0;
        }
    }
    *ret = content;
    return 1;
}

/* By the last arc of 1.3.6.1.4.1.3704.1.3.N. */
static const enum qr_snp_spl spl_of_arc[10] = {
    [1] = QR_SNP_BL,   [2] = QR_SNP_TEE,  [3] = QR_SNP_FW,    [4] = QR_SNP_SPL4, [5] = QR_SNP_SPL5,
    [6] = QR_SNP_SPL6, [7] = QR_SNP_SPL7, [8] = QR_SNP_UCODE, [9] = QR_SNP_FMC,
};

static void
read_spl(uint8_t arc, qr_view value, struct qr_snp_vek *k)
{
    if (arc < 1 || arc >= sizeof spl_of_arc / sizeof spl_of_arc[0]) {
        return;
    }
    enum qr_snp_spl which = spl_of_arc[arc];
    uint64_t u = 0;
    if (k->spl[which].present) {
        complain(k, "an SPL extension twice");
    } else if (!read_uint(value, &u) || u > UINT8_MAX) {
        complain(k, "an SPL extension that is no INTEGER of 0 to 255");
    } else {
        k->spl[which].present = 1;
        k->spl[which].value = (uint8_t)u;
    }
}

/* One extension whose object identifier is the vendor's arc and `rest`. */
static void
read_own(qr_view rest, qr_view value, struct qr_snp_vek *k)
{
    if (rest.len == 2 && rest.p[0] == 3) {
        read_spl(rest.p[1], value, k);
        return;
    }
    switch (rest.len == 1 ? rest.p[0] : 0) {
    case 1:
        if (k->has_struct_version || !read_uint(value, &k->struct_version)) {
            complain(k, "a structVersion twice, or one that is no number");
        } else {
            k->has_struct_version = 1;
        }
        break;
    case 2:
        if (k->product_name.p || !read_text(value, &k->product_name)) {
            complain(k, "a productName twice, or one that is no text");
        }
        break;
    case 4:
        if (k->hwid.p || value.len == 0) {
            complain(k, "a hwID twice, or an empty one");
        } else {
            k->hwid = value; /* raw, without a type of its own */
        }
        break;
    case 5:
        if (k->csp_id.p || !read_text(value, &k->csp_id)) {
            complain(k, "a cspID twice, or one that is no text");
        }
        break;
    default:
        break;
    }
}

void
qr_snp_vek_read(X509 *x, struct qr_snp_vek *ret)
{
    struct qr_snp_vek k = {.kind = QR_SNP_NO_KEY};
    int n = X509_get_ext_count(x);
    for (int i = 0; i < n; i++) {
        X509_EXTENSION *ext = X509_get_ext(x, i);
        const ASN1_OBJECT *oid = X509_EXTENSION_get_object(ext);
        const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data(ext);
        qr_view o = qr_view_of(OBJ_get0_data(oid), OBJ_length(oid));
        qr_view value = qr_view_of(ASN1_STRING_get0_data(data), (size_t)ASN1_STRING_length(data));
        /* An unknown one is no matter, unless it is critical: qr_chain_verify refuses that. */
        if (o.len > sizeof amd_arc && memcmp(o.p, amd_arc, sizeof amd_arc) == 0) {
            read_own(qr_view_of(o.p + sizeof amd_arc, o.len - sizeof amd_arc), value, &k);
        }
    }
    if (k.hwid.p && !k.csp_id.p) {
        k.kind = QR_SNP_VCEK;
    } else if (k.csp_id.p && !k.hwid.p) {
        k.kind = QR_SNP_VLEK;
    }
    *ret = k;
}

void
qr_snp_vek_claims(const struct qr_snp_vek *k, struct qr_claimset *c)
{
    static const struct {
        const char *path;
        enum qr_snp_spl spl;
    } spl[] = {
        {"vek_extensions.blSPL", QR_SNP_BL},   {"vek_extensions.teeSPL", QR_SNP_TEE},
        {"vek_extensions.spl4", QR_SNP_SPL4},  {"vek_extensions.spl5", QR_SNP_SPL5},
        {"vek_extensions.spl6", QR_SNP_SPL6},  {"vek_extensions.spl7", QR_SNP_SPL7},
        {"vek_extensions.snpSPL", QR_SNP_FW},  {"vek_extensions.ucodeSPL", QR_SNP_UCODE},
        {"vek_extensions.fmcSPL", QR_SNP_FMC},
    };
    if (k->has_struct_version) {
        qr_claim_uint(c, "vek_extensions.structVersion", k->struct_version);
    }
    if (k->product_name.p) {
        qr_claim_text_copy(c, "vek_extensions.productName", k->product_name);
    }
    for (size_t i = 0; i < sizeof spl / sizeof spl[0]; i++) {
        if (k->spl[spl[i].spl].present) {
            qr_claim_uint(c, spl[i].path, k->spl[spl[i].spl].value);
        }
    }
    /* Copies: the certificate is gone before the claims are. */
    if (k->hwid.p) {
        qr_claim_hex_copy(c, "vek_extensions.hwID", k->hwid);
    }
    if (k->csp_id.p) {
        qr_claim_text_copy(c, "vek_extensions.cspID", k->csp_id);
    }
}

/* "SEV-Milan" is an ASK, "SEV-VLEK-Milan" an ASVK. */
static void
read_ask_name(X509 *ask, struct qr_snp_chain *c)
{
    static const char vlek[] = "SEV-VLEK-", vcek[] = "SEV-";
    char cn[64];
    qr_cert_cn(ask, cn, sizeof cn);
    c->ask_kind = QR_SNP_NO_KEY;
    c->line = QR_SNP_UNKNOWN;
    if (strncmp(cn, vlek, sizeof vlek - 1) == 0) {
        c->ask_kind = QR_SNP_VLEK;
        c->line = qr_snp_line_of_name(qr_view_str(cn + sizeof vlek - 1));
    } else if (strncmp(cn, vcek, sizeof vcek - 1) == 0) {
        c->ask_kind = QR_SNP_VCEK;
        c->line = qr_snp_line_of_name(qr_view_str(cn + sizeof vcek - 1));
    }
}

qr_err
qr_snp_chain_read(struct qr_verify_run *r, struct qr_snp_chain *ret)
{
    qr_view vek, ask, ark;
    *ret = (struct qr_snp_chain){.line = QR_SNP_UNKNOWN, .ask_kind = QR_SNP_NO_KEY};
    ret->vek.kind = QR_SNP_NO_KEY;
    QR_TRY(qr_run_need(r, QR_PART_SNP_VEK, QR_CHECK_CHAIN, QR_REASON_COLLATERAL_MISSING, &vek));
    QR_TRY(qr_certs_add_der(&ret->certs, vek, r->v, QR_CHECK_CHAIN, "VCEK or VLEK"));
    qr_snp_vek_read(ret->certs.x[0], &ret->vek);
    QR_TRY(qr_run_need(r, QR_PART_SNP_ASK, QR_CHECK_CHAIN, QR_REASON_COLLATERAL_MISSING, &ask));
    QR_TRY(qr_certs_add_der(&ret->certs, ask, r->v, QR_CHECK_CHAIN, "ASK or ASVK"));
    read_ask_name(ret->certs.x[1], ret);
    QR_TRY(qr_run_need(r, QR_PART_SNP_ARK, QR_CHECK_ROOT, QR_REASON_COLLATERAL_MISSING, &ark));
    return qr_certs_add_der(&ret->certs, ark, r->v, QR_CHECK_ROOT, "ARK");
}

static const char *
kind_name(enum qr_snp_signing_key k)
{
    return k == QR_SNP_VCEK ? "VCEK" : k == QR_SNP_VLEK ? "VLEK" : "neither";
}

/* The leaf's and the CA's roles, by extensions and names. */
static qr_err
match_roles(const struct qr_snp_chain *c, const struct qr_snp_report *p, struct qr_verdict *v)
{
    char cn[64], quoted[QR_QUOTE_MAX];
    qr_cert_cn(c->certs.x[0], cn, sizeof cn);
    qr_quote(quoted, qr_view_str(cn));
    if (c->vek.kind == QR_SNP_NO_KEY) {
        return qr_fail(v, QR_CHECK_CHAIN, QR_REASON_CHAIN,
                       "leaf certificate: expected a VCEK (hwID, no cspID) or a VLEK (cspID, no "
                       "hwID), found neither: %s",
                       quoted);
    }
    if (c->vek.kind != p->signing_key) {
        return qr_fail(v, QR_CHECK_KEY_KIND, QR_REASON_IDENTITY_MISMATCH,
                       "leaf certificate: expected a %s as the report says, found a %s",
                       kind_name(p->signing_key), kind_name(c->vek.kind));
    }
    if (strcmp(cn, c->vek.kind == QR_SNP_VCEK ? "SEV-VCEK" : "SEV-VLEK") != 0) {
        return qr_fail(v, QR_CHECK_CHAIN, QR_REASON_CHAIN,
                       "leaf certificate: expected the name SEV-%s, found %s",
                       kind_name(c->vek.kind), quoted);
    }
    if (c->ask_kind != c->vek.kind) {
        qr_cert_cn(c->certs.x[1], cn, sizeof cn);
        qr_quote(quoted, qr_view_str(cn));
        return qr_fail(v, QR_CHECK_CHAIN, QR_REASON_CHAIN,
                       "issuer: expected the CA of %s certificates, found %s",
                       kind_name(c->vek.kind), quoted);
    }
    return QR_OK;
}

static qr_err
match_product(const struct qr_snp_chain *c, const struct qr_snp_report *p, struct qr_verdict *v)
{
    if (c->line == QR_SNP_UNKNOWN) {
        char cn[64], quoted[QR_QUOTE_MAX];
        qr_cert_cn(c->certs.x[1], cn, sizeof cn);
        qr_quote(quoted, qr_view_str(cn));
        return qr_fail(v, QR_CHECK_PRODUCT, QR_REASON_UNSUPPORTED,
                       "issuer: expected the CA of Milan, Genoa or Turin, found %s", quoted);
    }
    if (p->has_cpuid) {
        enum qr_snp_line cpu = qr_snp_line_of_cpuid(p->family, p->model);
        if (cpu == QR_SNP_UNKNOWN) {
            return qr_fail(
                v, QR_CHECK_PRODUCT, QR_REASON_UNSUPPORTED,
                "SNP report: expected a processor of Milan, Genoa or Turin, found family "
                "0x%02x model 0x%02x",
                p->family, p->model);
        }
        if (cpu != c->line) {
            return qr_fail(v, QR_CHECK_PRODUCT, QR_REASON_IDENTITY_MISMATCH,
                           "issuer: expected the CA of %s as the report's processor, found that of "
                           "%s",
                           qr_snp_line_name(cpu), qr_snp_line_name(c->line));
        }
    }
    if (c->vek.product_name.p && qr_snp_line_of_name(c->vek.product_name) != c->line) {
        char quoted[QR_QUOTE_MAX];
        return qr_fail(v, QR_CHECK_PRODUCT, QR_REASON_IDENTITY_MISMATCH,
                       "leaf certificate: expected a productName of %s, found %s",
                       qr_snp_line_name(c->line), qr_quote(quoted, c->vek.product_name));
    }
    return QR_OK;
}

qr_err
qr_snp_chain_match(struct qr_verify_run *r, const struct qr_snp_chain *c,
                   const struct qr_snp_report *p)
{
    QR_TRY(match_roles(c, p, r->v));
    qr_pass(r->v, QR_CHECK_KEY_KIND);
    QR_TRY(match_product(c, p, r->v));
    qr_pass(r->v, QR_CHECK_PRODUCT);
    return QR_OK;
}

/* Extensions are judged after the chain: before, they are anybody's word. */
static qr_err
check_vek(const struct qr_snp_chain *c, struct qr_verdict *v)
{
    static const enum qr_snp_spl needed[] = {QR_SNP_BL, QR_SNP_TEE, QR_SNP_FW, QR_SNP_UCODE,
                                             QR_SNP_FMC};
    const struct qr_snp_vek *k = &c->vek;
    if (k->problem) {
        return qr_fail(v, QR_CHECK_CHAIN, QR_REASON_MALFORMED, "leaf certificate: found %s",
                       k->problem);
    }
    if (!k->product_name.p) {
        return qr_fail(v, QR_CHECK_CHAIN, QR_REASON_MALFORMED,
                       "leaf certificate: expected a productName, found none");
    }
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (qr_snp_tcb_byte(c->line, needed[i]) >= 0 && !k->spl[needed[i]].present) {
            return qr_fail(v, QR_CHECK_CHAIN, QR_REASON_MALFORMED,
                           "leaf certificate: expected an SPL extension for each component of %s, "
                           "found one missing",
                           qr_snp_line_name(c->line));
        }
    }
    size_t id_len = c->line == QR_SNP_TURIN ? 8 : 64;
    if (k->kind == QR_SNP_VCEK && k->hwid.len != id_len) {
        return qr_fail(v, QR_CHECK_CHAIN, QR_REASON_MALFORMED,
                       "leaf certificate: expected a hwID of %zu bytes, found %zu", id_len,
                       k->hwid.len);
    }
    return QR_OK;
}

/* RSASSA-PSS with SHA-384 under each certificate, and a P-384 key in the leaf. */
static qr_err
check_algorithms(const struct qr_snp_chain *c, struct qr_verdict *v)
{
    for (size_t i = 0; i < c->certs.n; i++) {
        int hash = NID_undef, key = NID_undef;
        if (X509_get_signature_info(c->certs.x[i], &hash, &key, NULL, NULL) != 1 ||
            key != NID_rsassaPss || hash != NID_sha384) {
            return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                           "certificate %zu of the chain: expected a signature by RSASSA-PSS with "
                           "SHA-384",
                           i);
        }
    }
    EVP_PKEY *k = X509_get0_pubkey(c->certs.x[0]);
    if (!k || !qr_key_is_ec(k, 384)) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "leaf certificate: expected a P-384 key");
    }
    return QR_OK;
}

/* An entry for serial number 0 names every VCEK and VLEK of the line, whoever signed the list. */
static int
names_serial_zero(X509_CRL *crl)
{
    int found = 0;
    ASN1_INTEGER *zero = ASN1_INTEGER_new();
    if (!zero || ASN1_INTEGER_set_int64(zero, 0) != 1) {
        found = -1;
    } else {
        X509_REVOKED *entry = NULL;
        found = X509_CRL_get0_by_serial(crl, &entry, zero) != 0;
    }
    ASN1_INTEGER_free(zero);
    return found;
}

/* The ARK's list names ASKs and ASVKs; should an ASK issue one, it would name leaves. */
static qr_err
check_crl(struct qr_verify_run *r, const struct qr_snp_chain *c, qr_view der)
{
    qr_err e = QR_OK;
    const uint8_t *p = der.p;
    X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)der.len);
    size_t issuer = 2;
    if (crl && X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(c->certs.x[1])) == 0) {
        issuer = 1;
    }
    e = qr_run_crl(r, der, c->certs.x[issuer], c->certs.x[issuer - 1], "revocation list");
    if (e == QR_OK) {
        int zero = crl ? names_serial_zero(crl) : -1;
        if (zero < 0) {
            e = QR_ERR_NO_MEMORY;
        } else if (zero) {
            e = qr_fail(r->v, QR_CHECK_CRL, QR_REASON_REVOKED,
                        "revocation list: serial number 0 is revoked, which is every endorsement "
                        "key of %s",
                        qr_snp_line_name(c->line));
        } else {
            qr_pass(r->v, QR_CHECK_CRL);
        }
    }
    X509_CRL_free(crl);
    return e;
}

qr_err
qr_snp_chain_verify(struct qr_verify_run *r, const struct qr_snp_chain *c)
{
    static const enum qr_vendor_root roots[] = {
        [QR_SNP_MILAN] = QR_ROOT_AMD_MILAN,
        [QR_SNP_GENOA] = QR_ROOT_AMD_GENOA,
        [QR_SNP_TURIN] = QR_ROOT_AMD_TURIN,
    };
    const struct qr_chain_rules rules = {
        .root = roots[c->line],
        .now_ms = -1, /* see qr_snp_chain_dates */
        .ca_unmarked_leaf = 1,
        .key_type = EVP_PKEY_RSA,
    };
    QR_ASSERT(c->line != QR_SNP_UNKNOWN); /* qr_snp_chain_match refuses it */
    QR_TRY(qr_run_chain(r, &c->certs, &rules));
    QR_TRY(check_algorithms(c, r->v));
    return check_vek(c, r->v);
}

qr_err
qr_snp_chain_dates(struct qr_verify_run *r, const struct qr_snp_chain *c)
{
    const struct qr_chain_rules rules = {.now_ms = r->o->now_ms};
    int64_t from = 0, to = 0;
    if (r->o->now_ms >= 0) {
        QR_TRY(qr_chain_dates(&c->certs, &rules, r->v));
    }
    if (qr_cert_dates(c->certs.x[0], &from, &to)) {
        qr_run_issued(r, from);
    }
    qr_view crl = qr_evidence_get(r->e, QR_PART_SNP_CRL);
    return crl.p ? check_crl(r, c, crl) : QR_OK;
}
