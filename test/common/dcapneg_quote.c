/* What can be wrong with a quote and with its certificates, and with the options it is judged with. */
#include "test/common/dcapkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- the quote's form ---- */

static void
cut(struct dcapkit *k, unsigned i)
{
    static const size_t at[] = {1, 2, 4, 12, 47, 48, 53, 54, 200, 433, 640, 700, 1000, 1300};
    size_t n = at[i] < k->out.quote_len ? at[i] : k->out.quote_len - 1;
    k->out.quote_len = n;
}

static void
truncated(struct dcapkit *k, unsigned i)
{
    (void)i;
    k->finish = cut;
}

static void
version(struct dcapkit *k, unsigned i)
{
    static const uint16_t v[] = {0, 1, 2, 6, 7, 256, 65535};
    k->d.version = v[i];
}

static void
key_type(struct dcapkit *k, unsigned i)
{
    static const uint16_t v[] = {0, 1, 3, 4, 65535};
    k->d.att_key_type = v[i];
}

static void
tee_type(struct dcapkit *k, unsigned i)
{
    static const uint32_t v[] = {1, 0x80, 0x82, 0x81000000, UINT32_MAX};
    k->d.tee_type = v[i];
}

static void
body_type(struct dcapkit *k, unsigned i)
{
    static const uint16_t v[] = {0, 4, 5, 65535};
    k->d.body_type = v[i];
}

static void
body_type_of_other_tee(struct dcapkit *k, unsigned i)
{
    (void)i;
    k->d.body_type = k->d.kind == EVGEN_SGX_V5 ? 2 : 1;
}

static void
body_size(struct dcapkit *k, unsigned i)
{
    static const int64_t v[] = {1, -1, 64, -64, 200, 1 << 20};
    k->d.body_size_add = v[i];
}

/* Body type and the size of the other TDX body, with the bytes as they are. */
static void
other_body(struct dcapkit *k, unsigned i)
{
    (void)i;
    if (k->d.kind == EVGEN_TDX_V5_15) {
        k->d.body_type = 2;
    } else {
        k->d.body_size_add = 64;
    }
}

static void
patch_version_4(struct evgen_buf *q)
{
    evgen_patch_le(q, 0, 4, 2);
}

static void
patch_version_5(struct evgen_buf *q)
{
    evgen_patch_le(q, 0, 5, 2);
}

static void
other_version(struct dcapkit *k, unsigned i)
{
    (void)i;
    k->d.patch_quote = k->d.version == 5 ? patch_version_4 : patch_version_5;
}

static void
signature_length(struct dcapkit *k, unsigned i)
{
    static const int64_t v[] = {1,     -1,   100,  -100, INT64_C(0xffffffff) - 8192,
                                40000, -500, -584, -4000};
    k->d.sig_len_add = v[i];
}

static void
signature_length_into_trailing(struct dcapkit *k, unsigned i)
{
    static const int64_t v[] = {1, 16, 64};
    k->d.trailing_len = 64;
    k->d.sig_len_add = v[i];
}

static void
outer_size(struct dcapkit *k, unsigned i)
{
    static const int64_t v[] = {1, -1, 4096, -4096, 64};
    k->d.outer_size_add = v[i];
}

static void
outer_type(struct dcapkit *k, unsigned i)
{
    static const uint16_t v[] = {0, 1, 2, 3, 4, 5, 7, 65535};
    k->d.outer_type = v[i];
}

static void
auth_length(struct dcapkit *k, unsigned i)
{
    static const int64_t v[] = {8000, 20000, 65503};
    k->d.auth_len_add = v[i];
}

static void
cert_size(struct dcapkit *k, unsigned i)
{
    static const int64_t v[] = {1, -1, 100, -100, 1 << 24};
    k->d.cert_size_add = v[i];
}

static void
cert_type_absent(struct dcapkit *k, unsigned i)
{
    k->d.cert_type = (uint16_t)(i + 1);
}

static void
cert_type_unknown(struct dcapkit *k, unsigned i)
{
    static const uint16_t v[] = {0, 6, 7, 8, 65535};
    k->d.cert_type = v[i];
}

static void
pem_junk(struct dcapkit *k, unsigned i)
{
    k->d.cert_junk = i + 1;
}

static void
put_tdreport(struct dcapkit *k, unsigned i)
{
    (void)i;
    memset(k->out.quote, 0, 1024);
    k->out.quote[0] = 0x81;
    k->out.quote[2] = 1;
    k->out.quote_len = 1024;
}

static void
tdreport(struct dcapkit *k, unsigned i)
{
    (void)i;
    k->finish = put_tdreport;
}

static void
other_platform(struct dcapkit *k, unsigned i)
{
    static const enum evgen_dcap_kind tdx[] = {EVGEN_TDX_V4, EVGEN_TDX_V5_10, EVGEN_TDX_V5_15};
    static const enum evgen_dcap_kind sgx[] = {EVGEN_SGX_V3, EVGEN_SGX_V4, EVGEN_SGX_V5};
    enum qr_evidence_kind is = k->j.e.kind;
    evgen_dcap_default(&k->d, is == QR_EV_SGX ? tdx[i] : sgx[i]);
    k->j.e.kind = is;
}

static void
no_quote(struct dcapkit *k, unsigned i)
{
    (void)i;
    dcapkit_replace(k, QR_PART_QUOTE, (qr_view){NULL, 0});
}

static void
too_large(struct dcapkit *k, unsigned i)
{
    static const enum qr_part part[] = {QR_PART_QUOTE, QR_PART_TCB_INFO, QR_PART_PCK_CRL};
    size_t n = qr_part_max(part[i]) + 1;
    uint8_t *p = dcapkit_mem(k, n);
    dcapkit_replace(k, part[i], qr_view_of(p, n));
}

const struct dcapkit_rule dcapneg_quote[] = {
    {49, "signature data length", DCAP_BOTH, 9, signature_length, QR_CHECK_PARSE,
     QR_REASON_MALFORMED, 0},
    {49, "signature data reaches into trailing bytes", DCAP_BOTH, 3, signature_length_into_trailing,
     QR_CHECK_PARSE, QR_REASON_MALFORMED, 0},
    {50, "outer certification data size", DCAP_TDX, 5, outer_size, QR_CHECK_PARSE,
     QR_REASON_MALFORMED, 0},
    {0, "outer certification data size (SGX v4)", DCAP_SGX, 5, outer_size, QR_CHECK_PARSE,
     QR_REASON_MALFORMED, EVGEN_SGX_V4 + 1},
    {50, "PCK certification data size", DCAP_BOTH, 5, cert_size, QR_CHECK_PARSE,
     QR_REASON_MALFORMED, 0},
    {51, "attestation key type", DCAP_BOTH, 5, key_type, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
     0},
    {68, "body type", DCAP_TDX, 4, body_type, QR_CHECK_PARSE, QR_REASON_MALFORMED,
     EVGEN_TDX_V5_15 + 1},
    {68, "body type 3 as 2", DCAP_TDX, 1, other_body, QR_CHECK_PARSE, QR_REASON_MALFORMED,
     EVGEN_TDX_V5_15 + 1},
    {68, "body type 2 with the size of 3", DCAP_TDX, 1, other_body, QR_CHECK_PARSE,
     QR_REASON_MALFORMED, EVGEN_TDX_V5_10 + 1},
    {0, "body type", DCAP_SGX, 4, body_type, QR_CHECK_PARSE, QR_REASON_MALFORMED, EVGEN_SGX_V5 + 1},
    {0, "body type of the other TEE", DCAP_TDX, 1, body_type_of_other_tee, QR_CHECK_PARSE,
     QR_REASON_MALFORMED, EVGEN_TDX_V5_10 + 1},
    {0, "body type of the other TEE", DCAP_SGX, 1, body_type_of_other_tee, QR_CHECK_PARSE,
     QR_REASON_MALFORMED, EVGEN_SGX_V5 + 1},
    {0, "body size", DCAP_TDX, 6, body_size, QR_CHECK_PARSE, QR_REASON_MALFORMED,
     EVGEN_TDX_V5_15 + 1},
    {0, "body size", DCAP_SGX, 6, body_size, QR_CHECK_PARSE, QR_REASON_MALFORMED, EVGEN_SGX_V5 + 1},
    {69, "v5 layout called v4", DCAP_TDX, 1, other_version, QR_CHECK_PARSE, QR_REASON_MALFORMED,
     EVGEN_TDX_V5_15 + 1},
    {69, "v4 layout called v5", DCAP_TDX, 1, other_version, QR_CHECK_PARSE, QR_REASON_MALFORMED,
     EVGEN_TDX_V4 + 1},
    {0, "v4 layout called v5", DCAP_SGX, 1, other_version, QR_CHECK_PARSE, QR_REASON_MALFORMED,
     EVGEN_SGX_V4 + 1},
    {72, "TDREPORT", DCAP_TDX, 1, tdreport, QR_CHECK_PARSE, QR_REASON_NOT_EVIDENCE, 0},
    {75, "encrypted PPID in place of the PCK", DCAP_BOTH, 4, cert_type_absent, QR_CHECK_PARSE,
     QR_REASON_COLLATERAL_MISSING, 0},
    {0, "truncated", DCAP_BOTH, 14, truncated, QR_CHECK_PARSE, QR_REASON_MALFORMED, 0},
    {0, "version", DCAP_BOTH, 7, version, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED, 0},
    {0, "TEE type", DCAP_TDX, 5, tee_type, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED, 0},
    {0, "TEE type in v3", DCAP_SGX, 5, tee_type, QR_CHECK_PARSE, QR_REASON_MALFORMED,
     EVGEN_SGX_V3 + 1},
    {0, "TEE type in v4", DCAP_SGX, 5, tee_type, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED,
     EVGEN_SGX_V4 + 1},
    {0, "outer certification data type", DCAP_TDX, 8, outer_type, QR_CHECK_PARSE,
     QR_REASON_UNSUPPORTED, 0},
    {0, "outer certification data type", DCAP_SGX, 8, outer_type, QR_CHECK_PARSE,
     QR_REASON_UNSUPPORTED, EVGEN_SGX_V4 + 1},
    {0, "QE authentication data length", DCAP_BOTH, 3, auth_length, QR_CHECK_PARSE,
     QR_REASON_MALFORMED, 0},
    {0, "PCK certification data type", DCAP_BOTH, 5, cert_type_unknown, QR_CHECK_PARSE,
     QR_REASON_UNSUPPORTED, 0},
    {0, "text behind the PEM", DCAP_BOTH, 3, pem_junk, QR_CHECK_PARSE, QR_REASON_MALFORMED, 0},
    {0, "quote of the other platform", DCAP_BOTH, 3, other_platform, QR_CHECK_PARSE,
     QR_REASON_IDENTITY_MISMATCH, 0},
    {0, "no quote", DCAP_BOTH, 1, no_quote, QR_CHECK_PARSE, QR_REASON_MALFORMED, 0},
    {0, "an item above its bound", DCAP_BOTH, 3, too_large, QR_CHECK_LIMITS,
     QR_REASON_RESOURCE_LIMIT, 0},
};
const size_t n_dcapneg_quote = COUNT(dcapneg_quote);

/* ---- signatures and keys ---- */

enum { OTHER_SLOT = 14 };

static EVP_PKEY *
other_key(void)
{
    return evgen_key(EVGEN_P256, OTHER_SLOT);
}

static void
quote_signer(struct dcapkit *k, unsigned i)
{
    k->d.att_signer = i == 0 ? other_key() : i == 1 ? k->d.qe_signer : k->d.tcb_key;
}

static void
qe_signer(struct dcapkit *k, unsigned i)
{
    k->d.qe_signer = i == 0 ? other_key() : i == 1 ? k->d.att_key : k->d.pck_ca.key;
}

/* Bound and signed, and no key. */
static void
no_point(struct dcapkit *k, unsigned i)
{
    uint8_t *xy = dcapkit_mem(k, 64);
    if (i > 0) {
        (void)evgen_key_xy(k->d.att_key, xy);
        xy[63] ^= 1;
    }
    if (i == 2) {
        memset(xy, 0xff, 32); /* above the field's prime */
    }
    k->d.att_xy = xy;
}

/* The key of the quote is exchanged, and its QE report is that of the old one. */
static void
key_not_bound(struct dcapkit *k, unsigned i)
{
    uint8_t bound[128];
    (void)evgen_key_xy(k->d.att_key, bound);
    memcpy(bound + 64, k->d.auth, k->d.auth_len);
    evgen_sha256(qr_view_of(bound, 64 + k->d.auth_len), k->d.qe + EVGEN_SGX_REPORT_DATA);
    k->d.qe_report_data_kept = 1;
    if (i == 0) {
        k->d.att_key = k->d.att_signer = other_key();
    } else if (i == 1) {
        k->d.auth[5] ^= 1;
    } else {
        k->d.auth_len--;
    }
}

static void
qe_upper_half(struct dcapkit *k, unsigned i)
{
    static const size_t at[] = {32, 40, 63};
    key_not_bound(k, 1);
    k->d.auth[5] ^= 1; /* as it was: the hash is right again */
    k->d.qe[EVGEN_SGX_REPORT_DATA + at[i]] = 1;
}

static void
vendor(struct dcapkit *k, unsigned i)
{
    k->d.vendor[i * 5] ^= 0x20;
}

static void
binder(struct dcapkit *k, unsigned i)
{
    size_t len = 32;
    memset(k->binder, 0xb1, sizeof k->binder);
    memcpy(evgen_dcap_report_data(&k->d), k->binder, 32);
    if (i == 0) {
        k->binder[31] ^= 1;
    } else if (i == 1) {
        evgen_dcap_report_data(&k->d)[63] = 1;
    } else if (i == 2) {
        len = 31; /* a prefix */
    } else if (i == 3) {
        len = 33;
    } else if (i == 4) {
        memset(evgen_dcap_report_data(&k->d), 0, 64);
    } else {
        len = 0;
    }
    k->j.o.binder = qr_view_of(k->binder, len);
}

/* ---- certificates ---- */

static struct evgen_cert_spec *
cert(struct dcapkit *k, unsigned i)
{
    return i == 0 ? &k->d.pck : i == 1 ? &k->d.pck_ca : i == 2 ? &k->d.tcb_signer : &k->d.root;
}

static void
expired_cert(struct dcapkit *k, unsigned i)
{
    cert(k, i)->to_ms = EVGEN_NOW_MS - 1000;
}

static void
future_cert(struct dcapkit *k, unsigned i)
{
    cert(k, i)->from_ms = EVGEN_NOW_MS + 1000;
}

static void
no_root(struct dcapkit *k, unsigned i)
{
    static const struct {
        size_t n;
        unsigned which[4];
    } chain[] = {{2, {0, 1}},    {1, {0}},       {3, {0, 1, 1}},
                 {3, {2, 1, 0}}, {3, {0, 1, 3}}, {4, {0, 1, 2, 1}}};
    k->d.n_chain = chain[i].n;
    memcpy(k->d.chain, chain[i].which, sizeof chain[i].which);
}

static void
look_alike(struct dcapkit *k, unsigned i)
{
    (void)i;
    k->unpinned = 1;
}

static void
number_of_certs(struct dcapkit *k, unsigned i)
{
    static const struct {
        size_t n;
        unsigned which[4];
    } chain[] = {{4, {0, 1, 1, 2}}, {4, {0, 1, 2, 2}}, {2, {0, 2}}, {1, {2}}, {4, {0, 3, 1, 2}}};
    k->d.n_chain = chain[i].n;
    memcpy(k->d.chain, chain[i].which, sizeof chain[i].which);
}

static void
order_of_certs(struct dcapkit *k, unsigned i)
{
    static const unsigned which[][3] = {{1, 0, 2}, {3, 1, 2}, {0, 3, 2}, {2, 1, 2}};
    memcpy(k->d.chain, which[i], sizeof which[i]);
}

static void
tcb_chain(struct dcapkit *k, unsigned i)
{
    static const struct {
        size_t n;
        unsigned which[3];
    } chain[] = {{1, {3}}, {3, {3, 1, 2}}, {3, {3, 2, 2}}, {2, {2, 2}}, {2, {0, 2}}};
    k->d.n_tcb_chain = chain[i].n;
    memcpy(k->d.tcb_chain, chain[i].which, sizeof chain[i].which);
}

static void
tcb_chain_without_root(struct dcapkit *k, unsigned i)
{
    static const unsigned which[][2] = {{3, 1}, {3, 3}, {2, 3}};
    memcpy(k->d.tcb_chain, which[i], sizeof which[i]);
}

static void
cert_name(struct dcapkit *k, unsigned i)
{
    switch (i) {
    case 0:
        k->d.pck.subject = "CN=Intel SGX PCK Certificat,O=Intel Corporation";
        break;
    case 1:
        k->d.pck_ca.subject = k->d.pck.issuer = k->d.pck_crl.issuer =
            "CN=Intel SGX PCK Other CA,O=Intel Corporation";
        break;
    case 2:
        k->d.tcb_signer.subject = "CN=Intel SGX TCB Signer,O=Intel Corporation";
        break;
    case 3:
        k->d.pck.subject = "O=Intel Corporation";
        break;
    case 4:
        k->d.pck.issuer = "CN=Intel SGX PCK Processor CA,O=Intel Corporation";
        break;
    case 5:
        k->d.pck_ca.issuer = "CN=Intel SGX Root,O=Intel Corporation";
        break;
    default:
        k->d.tcb_signer.issuer = k->d.pck_ca.subject;
        break;
    }
}

static void
cert_signer(struct dcapkit *k, unsigned i)
{
    cert(k, i)->signer = other_key();
}

static void
cert_role(struct dcapkit *k, unsigned i)
{
    switch (i) {
    case 0:
        k->d.pck.ca = 1;
        break;
    case 1:
        k->d.pck_ca.ca = 0;
        break;
    case 2:
        k->d.pck_ca.ca = -1;
        break;
    case 3:
        k->d.pck_ca.key_usage = EVGEN_KU_CRL_SIGN;
        break;
    case 4:
        k->d.pck.key_usage = EVGEN_KU_CERT_SIGN;
        break;
    case 5:
        k->d.tcb_signer.ca = 1;
        break;
    case 6:
        k->d.tcb_signer.key_usage = EVGEN_KU_CRL_SIGN;
        break;
    default:
        evgen_spec_add_ext(&k->d.pck, "1.2.840.113741.1.13.99", qr_view_of("\x05\x00", 2), 1);
        break;
    }
}

static void
cert_key(struct dcapkit *k, unsigned i)
{
    EVP_PKEY *p384 = evgen_key(EVGEN_P384, OTHER_SLOT);
    if (i == 0) {
        k->d.pck.key = p384;
    } else {
        k->d.tcb_signer.key = p384;
    }
}

/* ---- the SGX extension ---- */

static void
no_extension(struct dcapkit *k, unsigned i)
{
    (void)i;
    k->d.no_sgx_ext = 1;
}

/* The extension as it should be, with one byte (or the end) changed. */
static void
broken_extension(struct dcapkit *k, unsigned i)
{
    static const struct {
        const char *find; /* at the end of what precedes the byte */
        size_t len;
        uint8_t byte;
    } at[] = {
        {"\x0d\x01\x01", 3, 0x05},             /* PPID is no octet string */
        {"\x0d\x01\x02", 3, 0x31},             /* TCB is no sequence */
        {"\x0d\x01\x02\x11", 4, 0x04},         /* PCESVN is no integer */
        {"\x0d\x01\x02\x03\x02\x01", 6, 0x80}, /* a negative SVN */
        {"\x0d\x01\x02\x12", 4, 0x0c},         /* CPUSVN is no octet string */
        {"\x0d\x01\x05", 3, 0x02},             /* SGX type is no enumerated */
        {"\x0d\x01\x06", 3, 0x0c},             /* instance id is no octet string */
        {"\x0d\x01\x07\x02\x01\x01", 6, 1},    /* a boolean of 1 */
        {"\x0d\x01\x07\x02", 4, 2},            /* no boolean */
        {"\x0d\x01\x07", 3, 0x31},             /* configuration is no sequence */
        {"\x0d\x01", 2, 8},                    /* the first member is .8 */
        {"\x0d\x01", 2, 0},                    /* and .0 */
        {"\x0d\x01", 2, 4},                    /* FMSPC, and it is there twice */
        {"\x0d\x01\x02", 3, 0x30},             /* (unchanged; with .1 renamed below) */
        {"\x0d\x01\x02\x01\x02", 5, 2},        /* a length that does not fit */
    };
    uint8_t *ext = dcapkit_mem(k, 2048);
    size_t n = evgen_dcap_sgx_ext(&k->d, ext, 2048);
    qr_view *v = (qr_view *)(void *)dcapkit_mem(k, 64);
    uint8_t *p = memmem(ext, n, at[i].find, at[i].len);
    assert_non_null(p);
    p[at[i].len] = at[i].byte;
    if (i == 13) { /* component 2 stands as component 1 too */
        uint8_t *two = memmem(ext, n, "\x0d\x01\x02\x02", 4);
        assert_non_null(two);
        two[3] = 1;
    }
    *v = qr_view_of(ext, n);
    k->d.sgx_ext = v;
}

static void
short_extension(struct dcapkit *k, unsigned i)
{
    static const size_t less[] = {1, 20, 100, 500};
    uint8_t *ext = dcapkit_mem(k, 2048);
    qr_view *v = (qr_view *)(void *)dcapkit_mem(k, 64);
    size_t n = evgen_dcap_sgx_ext(&k->d, ext, 2048);
    n = i == 3 ? n + 1 : n - less[i]; /* one byte behind, or cut */
    *v = qr_view_of(ext, n);
    k->d.sgx_ext = v;
}

static void
sgx_type(struct dcapkit *k, unsigned i)
{
    k->d.sgx_type = 3 + i;
}

const struct dcapkit_rule dcapneg_chain[] = {
    {52, "attestation key off the curve", DCAP_BOTH, 3, no_point, QR_CHECK_SIGNATURE,
     QR_REASON_MALFORMED, 0},
    {53, "QE report data, upper half", DCAP_BOTH, 3, qe_upper_half, QR_CHECK_QE_REPORT,
     QR_REASON_KEY_BINDING, 0},
    {0, "attestation key or data not bound", DCAP_BOTH, 3, key_not_bound, QR_CHECK_QE_REPORT,
     QR_REASON_KEY_BINDING, 0},
    {54, "QE report by another key", DCAP_BOTH, 3, qe_signer, QR_CHECK_QE_REPORT,
     QR_REASON_SIGNATURE, 0},
    {0, "quote by another key", DCAP_BOTH, 3, quote_signer, QR_CHECK_SIGNATURE, QR_REASON_SIGNATURE,
     0},
    {0, "QE vendor", DCAP_BOTH, 3, vendor, QR_CHECK_QE_IDENTITY, QR_REASON_IDENTITY_MISMATCH, 0},
    {0, "binder", DCAP_BOTH, 6, binder, QR_CHECK_BINDER, QR_REASON_BINDER, 0},
    {63, "PCK chain without the root", DCAP_BOTH, 6, no_root, QR_CHECK_ROOT,
     QR_REASON_UNTRUSTED_ROOT, 0},
    {63, "look-alike root", DCAP_BOTH, 1, look_alike, QR_CHECK_ROOT, QR_REASON_UNTRUSTED_ROOT, 0},
    {63, "number of certificates", DCAP_BOTH, 5, number_of_certs, QR_CHECK_CHAIN, QR_REASON_CHAIN,
     0},
    {0, "order of certificates", DCAP_BOTH, 4, order_of_certs, QR_CHECK_CHAIN, QR_REASON_CHAIN, 0},
    {0, "TCB signing chain", DCAP_BOTH, 5, tcb_chain, QR_CHECK_CHAIN, QR_REASON_CHAIN, 0},
    {0, "TCB signing chain without the root", DCAP_BOTH, 3, tcb_chain_without_root, QR_CHECK_ROOT,
     QR_REASON_UNTRUSTED_ROOT, 0},
    {0, "names", DCAP_BOTH, 7, cert_name, QR_CHECK_CHAIN, QR_REASON_CHAIN, 0},
    {0, "certificate by another key", DCAP_BOTH, 3, cert_signer, QR_CHECK_CHAIN, QR_REASON_CHAIN,
     0},
    {0, "role of a certificate", DCAP_BOTH, 8, cert_role, QR_CHECK_CHAIN, QR_REASON_CHAIN, 0},
    {0, "kind of key", DCAP_BOTH, 2, cert_key, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED, 0},
    {0, "expired certificate", DCAP_BOTH, 4, expired_cert, QR_CHECK_VALIDITY, QR_REASON_EXPIRED, 0},
    {0, "certificate of the future", DCAP_BOTH, 4, future_cert, QR_CHECK_VALIDITY,
     QR_REASON_NOT_YET_VALID, 0},
    {0, "no SGX extension", DCAP_BOTH, 1, no_extension, QR_CHECK_PARSE, QR_REASON_MALFORMED, 0},
    {0, "SGX extension", DCAP_BOTH, 15, broken_extension, QR_CHECK_PARSE, QR_REASON_MALFORMED, 0},
    {0, "SGX extension cut", DCAP_BOTH, 4, short_extension, QR_CHECK_PARSE, QR_REASON_MALFORMED, 0},
    {0, "SGX type", DCAP_BOTH, 2, sgx_type, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED, 0},
};
const size_t n_dcapneg_chain = COUNT(dcapneg_chain);
