/*
 * The PCK chain that a quote carries, and what the leaf's SGX extension says of the platform. The
 * extension is read after the chain is believed; its object identifiers all begin alike and differ
 * in their last one or two numbers.
 */
#include "enclave-shim/verify/dcap.h"

#include "enclave-shim/verify/der.h"

#include <stdio.h>

#define SGX_EXTENSION "1.2.840.113741.1.13.1"
#define CHAIN_LEN 3u

enum { DER_BOOLEAN = 0x01, DER_OCTETS = 0x04, DER_OID = 0x06, DER_ENUM = 0x0a, DER_SEQ = 0x30 };
enum { DER_INTEGER = 0x02 };

/* 1.2.840.113741.1.13.1 as the content of an OBJECT IDENTIFIER. */
static const uint8_t oid_head[9] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};

/* Members of the extension by the number behind oid_head. */
enum { PPID = 1, TCB, PCE_ID, FMSPC, SGX_TYPE, INSTANCE_ID, CONFIGURATION, MEMBERS };
enum { PCE_SVN = 17, CPU_SVN = 18, COMPONENTS = 16, CONFIGS = 3 };

static qr_err
malformed(struct qr_verdict *v, const char *what)
{
    return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                   "SGX extension of the PCK: expected the form of its profile, found that %s",
                   what);
}

/*
 * The next SEQUENCE { OID, value } of d. *ret_number is the number behind `depth` known ones: the
 * OID's last octet, which must be below 128.
 */
static qr_err
next_member(struct qr_der *d, uint8_t parent, unsigned *ret_number, uint8_t *ret_tag, qr_view *ret)
{
    qr_view seq, oid;
    QR_TRY(qr_der_want(d, DER_SEQ, &seq));
    struct qr_der in = qr_der_of(seq);
    QR_TRY(qr_der_want(&in, DER_OID, &oid));
    QR_TRY(qr_der_next(&in, ret_tag, ret));
    size_t head = sizeof oid_head + (parent ? 1 : 0);
    if (in.left != 0 || oid.len != head + 1 || memcmp(oid.p, oid_head, sizeof oid_head) != 0 ||
        (parent && oid.p[sizeof oid_head] != parent) || oid.p[head] >= 128) {
        return QR_ERR_MALFORMED;
    }
    *ret_number = oid.p[head];
    return QR_OK;
}

static int
small_uint(uint8_t tag, qr_view v, uint64_t max, unsigned *ret)
{
    uint64_t u;
    if (tag != DER_INTEGER || qr_der_uint(v, &u) != QR_OK || u > max) {
        return 0;
    }
    *ret = (unsigned)u;
    return 1;
}

/* .2: sixteen component SVNs, PCESVN, CPUSVN, each once. */
static qr_err
read_tcb(qr_view value, struct qr_dcap_pck *p, qr_view *ret_cpu_svn, struct qr_verdict *v)
{
    struct qr_der d = qr_der_of(value);
    uint32_t seen = 0;

    while (d.left > 0) {
        unsigned n = 0, svn = 0;
        uint8_t tag = 0;
        qr_view val = {0};
        if (next_member(&d, TCB, &n, &tag, &val) != QR_OK) {
            return malformed(v, "a TCB member is no known object with one value");
        }
        if (n < 1 || n > CPU_SVN || (seen & (1u << n))) {
            return malformed(v, "a TCB member is unknown or there twice");
        }
        seen |= 1u << n;
        if (n == CPU_SVN) {
            if (tag != DER_OCTETS || val.len != 16) {
                return malformed(v, "CPUSVN is not 16 bytes");
            }
            *ret_cpu_svn = val;
        } else if (!small_uint(tag, val, n == PCE_SVN ? 65535 : 255, &svn)) {
            return malformed(v, "a version number is no integer of its range");
        } else if (n == PCE_SVN) {
            p->pce_svn = svn;
        } else {
            p->comp[n - 1] = (uint8_t)svn;
        }
    }
    if (seen != (1u << (CPU_SVN + 1)) - 2) {
        return malformed(v, "a TCB member is missing");
    }
    return QR_OK;
}

/* .7: booleans: dynamic platform, cached keys, SMT. Added as claims in their order. */
static qr_err
read_configuration(qr_view value, struct qr_verdict *v)
{
    static const char *const path[CONFIGS] = {"pck.config.1", "pck.config.2", "pck.config.3"};
    struct qr_der d = qr_der_of(value);
    unsigned last = 0;

    while (d.left > 0) {
        unsigned n = 0;
        uint8_t tag = 0;
        qr_view val = {0};
        if (next_member(&d, CONFIGURATION, &n, &tag, &val) != QR_OK) {
            return malformed(v, "a configuration member is no known object with one value");
        }
        if (n <= last || n > CONFIGS) {
            return malformed(v, "a configuration member is unknown, there twice or out of order");
        }
        last = n;
        if (tag != DER_BOOLEAN || val.len != 1 || (val.p[0] != 0 && val.p[0] != 0xff)) {
            return malformed(v, "a configuration member is no boolean");
        }
        qr_claim_hex_copy(&v->claims, path[n - 1], val);
    }
    return QR_OK;
}

static int
octets(const uint8_t tag[MEMBERS], const qr_view member[MEMBERS], unsigned n, size_t len)
{
    return tag[n] == DER_OCTETS && member[n].len == len;
}

static qr_err
claim_sgx_type(uint8_t tag, qr_view value, struct qr_verdict *v)
{
    static const char *const name[] = {"Standard", "Scalable", "ScalableWithIntegrity"};
    uint64_t u;
    if (tag != DER_ENUM || qr_der_uint(value, &u) != QR_OK) {
        return malformed(v, "the SGX type is no enumerated number");
    }
    if (u >= sizeof name / sizeof name[0]) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED,
                       "SGX type of the PCK: expected 0, 1 or 2, found %llu",
                       (unsigned long long)u);
    }
    qr_claim_text(&v->claims, "pck.sgx_type", qr_view_str(name[u]));
    return QR_OK;
}

static void
claim_components(struct qr_claimset *c, const uint8_t comp[static COMPONENTS])
{
    char text[COMPONENTS * 4 + 3];
    size_t len = 0;
    for (size_t i = 0; i < COMPONENTS; i++) {
        int n = snprintf(text + len, sizeof text - len, "%c%u", i ? ',' : '[', comp[i]);
        len += n > 0 ? (size_t)n : 0; /* at most 4 characters each: always fits */
    }
    text[len++] = ']';
    qr_claim_json_copy(c, "pck.tcb_comps", qr_view_of(text, len));
}

static qr_err
read_extension(qr_view ext, struct qr_dcap_pck *p, struct qr_verdict *v)
{
    struct qr_der top = qr_der_of(ext), d;
    qr_view body = {0}, member[MEMBERS] = {{0}}, cpu_svn = {0};
    uint8_t tag[MEMBERS] = {0};
    struct qr_claimset *c = &v->claims;

    if (qr_der_want(&top, DER_SEQ, &body) != QR_OK || top.left != 0) {
        return malformed(v, "it is not one sequence");
    }
    d = qr_der_of(body);
    while (d.left > 0) {
        unsigned n = 0;
        uint8_t t = 0;
        qr_view val = {0};
        if (next_member(&d, 0, &n, &t, &val) != QR_OK) {
            return malformed(v, "a member is no known object with one value");
        }
        if (n < 1 || n >= MEMBERS || tag[n]) {
            return malformed(v, "a member is unknown or there twice");
        }
        tag[n] = t;
        member[n] = val;
    }
    if (!octets(tag, member, PPID, 16) || !octets(tag, member, PCE_ID, 2) ||
        !octets(tag, member, FMSPC, 6) || tag[TCB] != DER_SEQ) {
        return malformed(v, "PPID, TCB, PCE-ID or FMSPC is missing or of another length");
    }
    if (tag[INSTANCE_ID] && !octets(tag, member, INSTANCE_ID, 16)) {
        return malformed(v, "the platform instance id is not 16 bytes");
    }
    if (tag[CONFIGURATION] && tag[CONFIGURATION] != DER_SEQ) {
        return malformed(v, "the configuration is no sequence");
    }
    QR_TRY(read_tcb(member[TCB], p, &cpu_svn, v));
    memcpy(p->pce_id, member[PCE_ID].p, sizeof p->pce_id);
    memcpy(p->fmspc, member[FMSPC].p, sizeof p->fmspc);

    /* The certificate is gone before the claims are. */
    qr_claim_hex_copy(c, "pck.ppid", member[PPID]);
    qr_claim_uint(c, "pck.pce_svn", p->pce_svn);
    qr_claim_hex_copy(c, "pck.cpu_svn", cpu_svn);
    claim_components(c, p->comp);
    qr_claim_hex_copy(c, "pck.pce_id", member[PCE_ID]);
    qr_claim_hex_copy(c, "pck.fmspc", member[FMSPC]);
    QR_TRY(claim_sgx_type(tag[SGX_TYPE], member[SGX_TYPE], v));
    if (tag[INSTANCE_ID]) {
        qr_claim_hex_copy(c, "pck.platform_instance_id", member[INSTANCE_ID]);
    }
    return tag[CONFIGURATION] ? read_configuration(member[CONFIGURATION], v) : QR_OK;
}

/* As a number: no leading zero digit. */
static qr_err
claim_serial(X509 *x, struct qr_verdict *v)
{
    static const char digit[] = "0123456789abcdef";
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
    int n = ASN1_STRING_length(serial);
    const uint8_t *p = ASN1_STRING_get0_data(serial);
    char text[2 * 20 + 1];
    size_t len = 0;

    if (ASN1_STRING_type(serial) != V_ASN1_INTEGER || n < 1 || n > 20) {
        return qr_fail(
            v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
            "serial number of the PCK: expected 1 to 20 bytes and no sign, found %d bytes", n);
    }
    for (int i = 0; i < n; i++) {
        if (i > 0 || p[i] >> 4) {
            text[len++] = digit[p[i] >> 4];
        }
        text[len++] = digit[p[i] & 15];
    }
    qr_claim_text_copy(&v->claims, "pck_serial", qr_view_of(text, len));
    return QR_OK;
}

static int
has_cn(X509 *x, const char *name)
{
    char cn[64];
    qr_cert_cn(x, cn, sizeof cn);
    return strcmp(cn, name) == 0;
}

/* Names say which certificate is which; the signatures have been checked. */
static qr_err
check_roles(struct qr_verify_run *r, struct qr_dcap_pck *p)
{
    p->platform_ca = has_cn(p->certs.x[1], "Intel SGX PCK Platform CA");
    if (!has_cn(p->certs.x[0], "Intel SGX PCK Certificate") ||
        (!p->platform_ca && !has_cn(p->certs.x[1], "Intel SGX PCK Processor CA"))) {
        return qr_fail(r->v, QR_CHECK_CHAIN, QR_REASON_CHAIN,
                       "PCK chain: expected a PCK certificate by the Platform or Processor CA, "
                       "found other names");
    }
    return QR_OK;
}

static qr_err
check_number(struct qr_verify_run *r, const struct qr_certs *s)
{
    uint8_t last[32];
    if (s->n == CHAIN_LEN) {
        return QR_OK;
    }
    if (s->n > 0) {
        qr_cert_sha256(s->der[s->n - 1], last);
    }
    if (s->n == 0 || !qr_root_pinned(r->roots, QR_ROOT_INTEL, last)) {
        return qr_fail(r->v, QR_CHECK_ROOT, QR_REASON_UNTRUSTED_ROOT,
                       "PCK chain: expected 3 certificates that end in Intel's root, found %zu "
                       "that do not",
                       s->n);
    }
    return qr_fail(r->v, QR_CHECK_CHAIN, QR_REASON_CHAIN,
                   "PCK chain: expected 3 certificates, found %zu", s->n);
}

qr_err
qr_dcap_pck_read(struct qr_verify_run *r, qr_view pem, struct qr_dcap_pck *ret)
{
    char issuer[160];
    /* Dates are looked at with those of the collateral: what has expired there is told first. */
    struct qr_chain_rules rules = {
        .root = QR_ROOT_INTEL, .now_ms = -1, .key_type = EVP_PKEY_EC, .links = r->o->links};

    QR_TRY(qr_certs_add_pem(&ret->certs, pem, r->v, QR_CHECK_PARSE, "PCK chain"));
    QR_TRY(check_number(r, &ret->certs));
    QR_TRY(qr_chain_verify(&ret->certs, r->roots, &rules, r->v));
    QR_TRY(check_roles(r, ret));
    if (!qr_key_is_ec(X509_get0_pubkey(ret->certs.x[0]), 256)) {
        return qr_fail(r->v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "PCK key: expected P-256, found another kind");
    }
    qr_view ext = qr_cert_ext(ret->certs.x[0], SGX_EXTENSION);
    if (!ext.p) {
        return malformed(r->v, "it is missing");
    }
    QR_TRY(read_extension(ext, ret, r->v));
    qr_cert_subject(ret->certs.x[1], issuer, sizeof issuer);
    qr_claim_text_copy(&r->v->claims, "pck_issuer", qr_view_of(issuer, strlen(issuer)));
    return claim_serial(ret->certs.x[0], r->v);
}

void
qr_dcap_pck_free(struct qr_dcap_pck *p)
{
    qr_certs_free(&p->certs);
}
