/*
 * The quote. A cursor takes fixed fields; every length that the quote declares must be used up by
 * exactly what it is said to hold, from the innermost certificate data to the signature data. What
 * lies behind the signature data is nobody's: real quotes carry padding and other things there.
 */
#include "enclave-shim/verify/dcap.h"

#include "protocol/base/check.h"

#define TEE_TDX 0x81u
#define KEY_P256 2u
#define CERT_PCK_CHAIN 5u
#define CERT_QE_REPORT 6u
#define TDREPORT_LEN 1024u

static const uint8_t intel_qe[16] = {0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9,
                                     0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07};

/* Takes from the front; past the end it goes bad and stays so. */
struct cut {
    qr_view left;
    int bad;
};

static qr_view
take(struct cut *c, size_t n)
{
    if (c->bad || n > c->left.len) {
        c->bad = 1;
        return (qr_view){0};
    }
    qr_view v = {c->left.p, n};
    c->left.p += n;
    c->left.len -= n;
    return v;
}

static unsigned
take16(struct cut *c)
{
    qr_view v = take(c, 2);
    return v.p ? qr_le16(v.p) : 0;
}

static uint32_t
take32(struct cut *c)
{
    qr_view v = take(c, 4);
    return v.p ? qr_le32(v.p) : 0;
}

static qr_err
bad(struct qr_verdict *v, const char *what, unsigned long long expected, unsigned long long found)
{
    return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED, "%s: expected %llu bytes, found %llu",
                   what, expected, found);
}

/* Claims of an SGX report body below `prefix`; all offsets are within 384 bytes. */
struct sgx_paths {
    const char *cpu_svn, *misc_select, *attributes, *debug, *mode64, *mrenclave, *mrsigner,
        *config_id, *isv_prod_id, *isv_svn, *config_svn, *isv_family_id, *report_data;
};

#define SGX_PATHS(p)                                                                               \
    {                                                                                              \
        p "cpu_svn", p "misc_select", p "attributes", p "debug", p "mode64", p "mrenclave",        \
            p "mrsigner", p "config_id", p "isv_prod_id", p "isv_svn", p "config_svn",             \
            p "isv_family_id", p "report_data"                                                     \
    }

static const struct sgx_paths body_paths = SGX_PATHS("body.");
static const struct sgx_paths qe_paths = SGX_PATHS("qe_report.");

static void
claim_sgx(struct qr_claimset *c, const struct sgx_paths *at, const uint8_t *b)
{
    const uint8_t misc[4] = {b[19], b[18], b[17], b[16]}; /* MISCSELECT is a number */
    qr_claim_hex(c, at->cpu_svn, qr_view_of(b, 16));
    qr_claim_hex_copy(c, at->misc_select, qr_view_of(misc, 4));
    qr_claim_hex(c, at->attributes, qr_view_of(b + 48, 16));
    qr_claim_bool(c, at->debug, (b[48] >> 1) & 1);
    qr_claim_bool(c, at->mode64, (b[48] >> 2) & 1);
    qr_claim_hex(c, at->mrenclave, qr_view_of(b + 64, 32));
    qr_claim_hex(c, at->mrsigner, qr_view_of(b + 128, 32));
    qr_claim_hex(c, at->config_id, qr_view_of(b + 192, 64));
    qr_claim_uint(c, at->isv_prod_id, qr_le16(b + 256));
    qr_claim_uint(c, at->isv_svn, qr_le16(b + 258));
    qr_claim_uint(c, at->config_svn, qr_le16(b + 260));
    qr_claim_hex(c, at->isv_family_id, qr_view_of(b + 304, 16));
    qr_claim_hex(c, at->report_data, qr_view_of(b + 320, 64));
}

static void
claim_td(struct qr_claimset *c, qr_view body)
{
    static const struct {
        const char *path;
        uint16_t at, len;
    } field[] = {
        {"body.tee_tcb_svn", 0, 16},     {"body.mr_seam", 16, 48},
        {"body.mr_signer_seam", 64, 48}, {"body.seam_attributes", 112, 8},
        {"body.td_attributes", 120, 8},  {"body.xfam", 128, 8},
        {"body.mr_td", 136, 48},         {"body.mr_config_id", 184, 48},
        {"body.mr_owner", 232, 48},      {"body.mr_owner_config", 280, 48},
        {"body.rtmr0", 328, 48},         {"body.rtmr1", 376, 48},
        {"body.rtmr2", 424, 48},         {"body.rtmr3", 472, 48},
        {"body.report_data", 520, 64},   {"body.tee_tcb_svn2", 584, 16},
        {"body.mr_service_td", 600, 48},
    };
    static const struct {
        const char *path;
        unsigned bit;
    } attribute[] = {
        {"body.td_attr_bits.debug", 0},       {"body.td_attr_bits.sept_ve_disable", 28},
        {"body.td_attr_bits.migratable", 29}, {"body.td_attr_bits.pks", 30},
        {"body.td_attr_bits.kl", 31},         {"body.td_attr_bits.perfmon", 63},
    };
    for (size_t i = 0; i < sizeof field / sizeof field[0]; i++) {
        if ((size_t)field[i].at + field[i].len <= body.len) {
            qr_claim_hex(c, field[i].path, qr_view_of(body.p + field[i].at, field[i].len));
        }
    }
    for (size_t i = 0; i < sizeof attribute / sizeof attribute[0]; i++) {
        unsigned bit = attribute[i].bit;
        qr_claim_uint(c, attribute[i].path, (unsigned)body.p[120 + bit / 8] >> (bit % 8) & 1u);
    }
}

static void
claim_uint_or_null(struct qr_claimset *c, const char *path, uint64_t u)
{
    if (u) {
        qr_claim_uint(c, path, u);
    } else {
        qr_claim_null(c, path);
    }
}

static void
claim_structure(struct qr_claimset *c, const struct qr_dcap_quote *q)
{
    qr_claim_uint(c, "structure.total", q->total);
    qr_claim_uint(c, "structure.signature_data_len", q->signature_len);
    qr_claim_uint(c, "structure.trailing_bytes", q->trailing.len);
    if (q->trailing.len > 0) {
        size_t zeros = 0;
        while (zeros < q->trailing.len && q->trailing.p[zeros] == 0) {
            zeros++;
        }
        qr_claim_bool(c, "structure.trailing_all_zero", zeros == q->trailing.len);
    } else {
        qr_claim_null(c, "structure.trailing_all_zero");
    }
    qr_claim_uint(c, "structure.certification_data_type", q->cert_type);
    claim_uint_or_null(c, "structure.outer_certification_data_type", q->outer_cert_type);
    qr_claim_uint(c, "structure.qe_auth_data_len", q->auth.len);
    claim_uint_or_null(c, "structure.body_type", q->body_type);
    claim_uint_or_null(c, "structure.body_size", q->body_type ? q->body.len : 0);
}

static void
claim_all(struct qr_claimset *c, const struct qr_dcap_quote *q)
{
    qr_claim_uint(c, "version", q->version);
    if (q->tee_type) {
        qr_claim_text(c, "tee_type", qr_view_str("0x00000081"));
    } else {
        qr_claim_uint(c, "tee_type", 0);
    }
    qr_claim_uint(c, "att_key_type", KEY_P256);
    qr_claim_hex(c, "qe_vendor_id", q->vendor);
    qr_claim_hex(c, "header_user_data", q->user_data);
    if (q->tdx) {
        claim_td(c, q->body);
    } else {
        claim_sgx(c, &body_paths, q->body.p);
    }
    claim_sgx(c, &qe_paths, q->qe_report.p);
    claim_structure(c, q);
    /* Any of a TD's bits 0 to 7 lets the host look in or change what runs; bit 0 is DEBUG. */
    qr_claim_bool(c, "debug", q->tdx ? q->body.p[120] != 0 : (q->body.p[48] >> 1) & 1);
}

/* Header: 48 bytes, and in v5 type and size of the body. */
static qr_err
read_header(struct cut *in, struct qr_dcap_quote *q, size_t *ret_body_len, struct qr_verdict *v)
{
    q->version = take16(in);
    unsigned key_type = take16(in);
    q->tee_type = take32(in);
    (void)take(in, 4); /* QE and PCE versions in v3, reserved later: signed, not judged */
    q->vendor = take(in, 16);
    q->user_data = take(in, 20);
    if (in->bad) {
        return bad(v, "quote header", 48, q->total);
    }
    if (q->version < 3 || q->version > 5) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED,
                       "quote version: expected 3, 4 or 5, found %u", q->version);
    }
    if (key_type != KEY_P256) {
        return qr_fail(v, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED,
                       "attestation key type: expected 2 (ECDSA P-256), found %u", key_type);
    }
    if (q->version == 3 && q->tee_type != 0) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "reserved bytes of a v3 header: expected 0, found 0x%08x",
                       (unsigned)q->tee_type);
    }
    if (q->tee_type != 0 && q->tee_type != TEE_TDX) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED,
                       "TEE type: expected 0 (SGX) or 0x81 (TDX), found 0x%08x",
                       (unsigned)q->tee_type);
    }
    q->tdx = q->tee_type == TEE_TDX;
    *ret_body_len = q->tdx ? QR_TD10_REPORT_LEN : QR_SGX_REPORT_LEN;
    if (q->version < 5) {
        return QR_OK;
    }
    static const size_t len_of[] = {0, QR_SGX_REPORT_LEN, QR_TD10_REPORT_LEN, QR_TD15_REPORT_LEN};
    q->body_type = take16(in);
    uint32_t size = take32(in);
    if (in->bad) {
        return bad(v, "quote header", 54, q->total);
    }
    if (q->body_type < 1 || q->body_type > 3 || (q->body_type != 1) != q->tdx) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED, "body type: expected %s, found %u",
                       q->tdx ? "2 or 3" : "1", q->body_type);
    }
    if (size != len_of[q->body_type]) {
        return bad(v, "quote body", len_of[q->body_type], size);
    }
    *ret_body_len = size;
    return QR_OK;
}

/* Certification data that must be the PCK chain itself and fill what is left. */
static qr_err
read_pck(struct cut *in, struct qr_dcap_quote *q, struct qr_verdict *v)
{
    q->auth = take(in, take16(in));
    q->cert_type = take16(in);
    uint32_t size = take32(in);
    if (in->bad) {
        return qr_fail(
            v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
            "QE authentication data: expected to fit into the signature data, found its end");
    }
    if (size != in->left.len) {
        return bad(v, "PCK certification data", in->left.len, size);
    }
    if (q->cert_type >= 1 && q->cert_type <= 4) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_COLLATERAL_MISSING,
                       "certification data: expected type 5 (a PCK chain), found type %u, which "
                       "names a platform without a certificate",
                       q->cert_type);
    }
    if (q->cert_type != CERT_PCK_CHAIN) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED,
                       "certification data: expected type 5 (a PCK chain), found type %u",
                       q->cert_type);
    }
    q->pck_pem = take(in, size);
    return QR_OK;
}

static qr_err
read_signature_data(qr_view data, struct qr_dcap_quote *q, struct qr_verdict *v)
{
    struct cut in = {.left = data};
    q->signature = take(&in, 64);
    q->key = take(&in, 64);
    if (q->version >= 4) {
        q->outer_cert_type = take16(&in);
        uint32_t size = take32(&in);
        if (in.bad) {
            return bad(v, "signature data", 134, data.len);
        }
        if (q->outer_cert_type != CERT_QE_REPORT) {
            return qr_fail(v, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED,
                           "outer certification data: expected type 6 (QE report), found type %u",
                           q->outer_cert_type);
        }
        if (size != in.left.len) {
            return bad(v, "outer certification data", in.left.len, size);
        }
    }
    q->qe_report = take(&in, QR_SGX_REPORT_LEN);
    q->qe_signature = take(&in, 64);
    if (in.bad) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "signature data: expected room for a QE report, found %zu bytes", data.len);
    }
    return read_pck(&in, q, v);
}

qr_err
qr_dcap_quote_parse(qr_view in, int want_tdx, struct qr_verdict *v, struct qr_dcap_quote *ret)
{
    struct qr_dcap_quote q = {.total = in.len};
    struct cut c = {.left = in};
    size_t body_len = 0;

    if (in.len > qr_part_max(QR_PART_QUOTE)) {
        return qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                       "quote: expected at most %zu bytes, found %zu", qr_part_max(QR_PART_QUOTE),
                       in.len);
    }
    qr_pass(v, QR_CHECK_LIMITS);
    if (in.len == TDREPORT_LEN && in.p[0] == 0x81) {
        return qr_fail(
            v, QR_CHECK_PARSE, QR_REASON_NOT_EVIDENCE,
            "expected a quote, found a TDREPORT, which proves nothing to another machine");
    }
    QR_TRY(read_header(&c, &q, &body_len, v));
    q.body = take(&c, body_len);
    q.covered = qr_view_of(in.p, in.len - c.left.len);
    uint32_t signature_len = take32(&c);
    if (c.bad) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "quote: expected header, body and a length, found %zu bytes", in.len);
    }
    qr_view data = take(&c, signature_len);
    if (c.bad) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED,
                       "signature data: expected at most %zu bytes, found a length of %lu",
                       c.left.len, (unsigned long)signature_len);
    }
    q.signature_len = signature_len;
    q.trailing = c.left;
    q.report_data = qr_view_of(q.body.p + (q.tdx ? 520 : 320), 64);
    QR_TRY(read_signature_data(data, &q, v));
    QR_ASSERT(q.body.p && q.qe_report.p); /* nothing was cut short */
    claim_all(&v->claims, &q);
    if (q.tdx != want_tdx) {
        return qr_fail(v, QR_CHECK_PARSE, QR_REASON_IDENTITY_MISMATCH,
                       "quote: expected one of %s, found one of %s", want_tdx ? "TDX" : "SGX",
                       q.tdx ? "TDX" : "SGX");
    }
    qr_pass(v, QR_CHECK_PARSE);
    qr_pass(v, QR_CHECK_ALGORITHM);
    *ret = q;
    return QR_OK;
}

/* The QE says in its report data which attestation key it made: SHA-256(key || auth) || zeros. */
static qr_err
check_binding(const struct qr_dcap_quote *q, struct qr_verdict *v)
{
    static const uint8_t zeros[32];
    uint8_t h[32];
    qr_view piece[2] = {q->key, q->auth};

    if (!qr_hash_of(QR_SHA256, piece, 2, h)) {
        return QR_ERR_NO_MEMORY;
    }
    if (memcmp(q->qe_report.p + 320, h, 32) != 0) {
        return qr_fail(v, QR_CHECK_QE_REPORT, QR_REASON_KEY_BINDING,
                       "QE report data: expected the hash of attestation key and authentication "
                       "data, found another value");
    }
    if (memcmp(q->qe_report.p + 352, zeros, 32) != 0) {
        return qr_fail(v, QR_CHECK_QE_REPORT, QR_REASON_KEY_BINDING,
                       "upper half of the QE report data: expected zeros, found other bytes");
    }
    return QR_OK;
}

qr_err
qr_dcap_quote_check(const struct qr_dcap_quote *q, EVP_PKEY *pck, struct qr_verdict *v)
{
    if (!qr_evp_ecdsa_verify(pck, QR_SHA256, q->qe_report, q->qe_signature)) {
        return qr_fail(v, QR_CHECK_QE_REPORT, QR_REASON_SIGNATURE,
                       "QE report: expected a signature by the PCK certificate's key, found none");
    }
    QR_TRY(check_binding(q, v));
    qr_pass(v, QR_CHECK_QE_REPORT);

    EVP_PKEY *k = qr_key_ec(q->key);
    if (!k) {
        return qr_fail(v, QR_CHECK_SIGNATURE, QR_REASON_MALFORMED,
                       "attestation key: expected a point of P-256, found none");
    }
    int ok = qr_evp_ecdsa_verify(k, QR_SHA256, q->covered, q->signature);
    EVP_PKEY_free(k);
    if (!ok) {
        return qr_fail(v, QR_CHECK_SIGNATURE, QR_REASON_SIGNATURE,
                       "quote: expected a signature by the attestation key, found none");
    }
    qr_pass(v, QR_CHECK_SIGNATURE);
    if (memcmp(q->vendor.p, intel_qe, sizeof intel_qe) != 0) {
        return qr_fail(v, QR_CHECK_QE_IDENTITY, QR_REASON_IDENTITY_MISMATCH,
                       "QE vendor: expected Intel's id, found another");
    }
    return QR_OK;
}
