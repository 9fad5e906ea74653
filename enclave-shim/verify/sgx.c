/*
 * Intel SGX: an enclave's quote with its collateral. Open Enclave puts what an enclave says of itself
 * ("custom claims") next to the quote and its SHA-256 into the report data; when the item is there,
 * that binding is checked and the claims are read.
 *
 * Layout of custom claims, little-endian: u64 version (1), u64 count, then count times u64 name size,
 * u64 value size, name (with a NUL at its end), value; nothing behind. Source: Open Enclave,
 * oe_serialize_custom_claims.
 */
#include "enclave-shim/verify/dcap.h"

enum { HEAD_LEN = 16, NAME_LEN_MAX = 64 };

/* A name of printable ASCII and its NUL. */
static int
is_name(qr_view v)
{
    if (v.len < 2 || v.p[v.len - 1] != 0) {
        return 0;
    }
    for (size_t i = 0; i + 1 < v.len; i++) {
        if (v.p[i] < 0x20 || v.p[i] >= 0x7f) {
            return 0;
        }
    }
    return 1;
}

static qr_err
malformed(struct qr_verdict *v, const char *what)
{
    return qr_fail(v, QR_CHECK_RUNTIME_DATA, QR_REASON_MALFORMED,
                   "custom claims: expected the form of Open Enclave, found that %s", what);
}

static qr_err
too_long(struct qr_verdict *v, const char *what, uint64_t max, uint64_t found)
{
    return qr_fail(v, QR_CHECK_RUNTIME_DATA, QR_REASON_RESOURCE_LIMIT,
                   "custom claims: %s: expected at most %llu, found %llu", what,
                   (unsigned long long)max, (unsigned long long)found);
}

static qr_err
read_claims(struct qr_verify_run *r, qr_view in)
{
    struct qr_claimset *c = &r->v->claims;

    if (in.len < HEAD_LEN || qr_le64(in.p) != 1) {
        return malformed(r->v, "the header is not of version 1");
    }
    uint64_t n = qr_le64(in.p + 8);
    if (n > QR_DCAP_CUSTOM_CLAIMS) {
        return too_long(r->v, "number", QR_DCAP_CUSTOM_CLAIMS, n);
    }
    in = qr_view_of(in.p + HEAD_LEN, in.len - HEAD_LEN);
    for (uint64_t i = 0; i < n; i++) {
        if (in.len < HEAD_LEN) {
            return malformed(r->v, "they end too early");
        }
        uint64_t name_len = qr_le64(in.p), value_len = qr_le64(in.p + 8);
        in = qr_view_of(in.p + HEAD_LEN, in.len - HEAD_LEN);
        if (name_len > NAME_LEN_MAX) {
            return too_long(r->v, "length of a name", NAME_LEN_MAX, name_len);
        }
        if (name_len > in.len || value_len > in.len - name_len) {
            return too_long(r->v, "length of a value", in.len, value_len);
        }
        qr_view name = qr_view_of(in.p, (size_t)name_len);
        qr_view value = qr_view_of(in.p + name_len, (size_t)value_len);
        if (!is_name(name)) {
            return malformed(r->v, "a name is no printable text with a NUL at its end");
        }
        in = qr_view_of(value.p + value.len, in.len - name.len - value.len);
        qr_claim_text(c, qr_claim_path(c, "custom_claims[%u].name", (unsigned)i),
                      qr_view_of(name.p, name.len - 1));
        qr_claim_hex(c, qr_claim_path(c, "custom_claims[%u].value", (unsigned)i), value);
    }
    if (in.len > 0) {
        return qr_fail(r->v, QR_CHECK_RUNTIME_DATA, QR_REASON_TRAILING_DATA,
                       "custom claims: expected %llu, found %zu bytes behind them",
                       (unsigned long long)n, in.len);
    }
    return QR_OK;
}

/* Found before anything is checked, so that the claim is there; told after the quote is believed. */
static qr_err
is_bound(struct qr_verify_run *r, qr_view report_data, qr_view claims, int *ret)
{
    uint8_t want[64] = {0};

    if (!qr_hash_of(QR_SHA256, &claims, 1, want)) {
        return QR_ERR_NO_MEMORY;
    }
    *ret = qr_view_eq(report_data, qr_view_of(want, sizeof want));
    qr_claim_bool(&r->v->claims, "report_data_binds_custom_claims", *ret);
    return QR_OK;
}

static qr_err
check_custom_claims(struct qr_verify_run *r, qr_view claims, int bound)
{
    if (!bound) {
        return qr_fail(
            r->v, QR_CHECK_RUNTIME_DATA, QR_REASON_KEY_BINDING,
            "report data: expected SHA-256 of the custom claims and zeros, found another "
            "value");
    }
    QR_TRY(read_claims(r, claims));
    qr_pass(r->v, QR_CHECK_RUNTIME_DATA);
    return QR_OK;
}

qr_err
qr_verify_sgx(struct qr_verify_run *r)
{
    struct qr_dcap_quote q;
    qr_view quote, claims = qr_evidence_get(r->e, QR_PART_CUSTOM_CLAIMS);
    int bound = 0;

    QR_TRY(qr_run_need(r, QR_PART_QUOTE, QR_CHECK_PARSE, QR_REASON_MALFORMED, &quote));
    QR_TRY(qr_dcap_quote_parse(quote, 0, r->v, &q));
    if (claims.p) {
        QR_TRY(is_bound(r, q.report_data, claims, &bound));
    }
    QR_TRY(qr_dcap_run(r, &q));
    if (claims.p) {
        QR_TRY(check_custom_claims(r, claims, bound));
    }
    return r->o->binder.p ? qr_run_binder(r, q.report_data, "report data") : QR_OK;
}
