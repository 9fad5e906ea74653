/* The quote by itself: what its fields become, what may vary, what every cut of it leads to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/dcap.h"
#include "test/common/dcapkit.h"

static struct dcapkit k;
static struct qr_verdict v;

static qr_err
parse(qr_view quote, int tdx, struct qr_dcap_quote *q)
{
    qr_verdict_init(&v);
    return qr_dcap_quote_parse(quote, tdx, &v, q);
}

static int
is_tdx(int kind)
{
    return kind >= EVGEN_TDX_V4;
}

static void
test_fields(void **state)
{
    static const size_t body_at[EVGEN_DCAP_KINDS] = {48, 48, 54, 48, 48, 54, 54};
    (void)state;
    for (int kind = 0; kind < EVGEN_DCAP_KINDS; kind++) {
        struct qr_dcap_quote q;
        dcapkit_init(&k, (enum evgen_dcap_kind)kind);
        evgen_dcap_make(&k.d, &k.out);
        qr_view in = qr_view_of(k.out.quote, k.out.quote_len);
        assert_int_equal(parse(in, is_tdx(kind), &q), QR_OK);
        assert_int_equal(q.version, k.d.version);
        assert_int_equal(q.tdx, is_tdx(kind));
        assert_ptr_equal(q.body.p, in.p + body_at[kind]);
        assert_int_equal(q.body.len, k.d.body_len);
        assert_memory_equal(q.body.p, k.d.body, k.d.body_len);
        assert_int_equal(q.covered.len, body_at[kind] + k.d.body_len);
        assert_ptr_equal(q.signature.p, in.p + q.covered.len + 4);
        assert_ptr_equal(q.key.p, q.signature.p + 64);
        assert_int_equal(q.auth.len, 32);
        assert_int_equal(q.cert_type, 5);
        assert_int_equal(q.outer_cert_type, k.d.version == 3 ? 0 : 6);
        assert_int_equal(q.trailing.len, 0);
        assert_int_equal(q.pck_pem.p - in.p + (ptrdiff_t)q.pck_pem.len, in.len);
        assert_int_equal(v.check[QR_CHECK_PARSE], QR_CHECK_PASS);
        assert_int_equal(v.check[QR_CHECK_SIGNATURE], QR_CHECK_SKIPPED);
    }
}

static json_t *
claims(void)
{
    static struct evjudge j;
    j.v = v;
    return evjudge_claims(&j);
}

static void
assert_claim(const char *path, const char *want)
{
    json_t *all = claims(), *w = json_loads(want, JSON_DECODE_ANY, NULL);
    const json_t *is = evjudge_at(all, path);
    assert_non_null(w);
    if (!is || !json_equal(is, w)) {
        char *text = is ? json_dumps(is, JSON_ENCODE_ANY) : NULL;
        fail_msg("%s: expected %s, found %s", path, want, text ? text : "none");
    }
    json_decref(w);
    json_decref(all);
}

static void
test_claims(void **state)
{
    struct qr_dcap_quote q;
    (void)state;
    dcapkit_init(&k, EVGEN_TDX_V5_15);
    memcpy(k.d.body + EVGEN_TD_ATTRIBUTES, "\x01\x00\x00\xf0\x00\x00\x00\x80", 8);
    k.d.body[600] = 0xab;
    evgen_dcap_make(&k.d, &k.out);
    assert_int_equal(parse(qr_view_of(k.out.quote, k.out.quote_len), 1, &q), QR_OK);
    assert_claim("version", "5");
    assert_claim("tee_type", "\"0x00000081\"");
    assert_claim("att_key_type", "2");
    assert_claim("qe_vendor_id", "\"939a7233f79c4ca9940a0db3957f0607\"");
    assert_claim("body.tee_tcb_svn", "\"05010400000000000000000000000000\"");
    assert_claim("body.td_attributes", "\"010000f000000080\"");
    assert_claim("body.td_attr_bits", "{\"debug\":1,\"sept_ve_disable\":1,\"migratable\":1,"
                                      "\"pks\":1,\"kl\":1,\"perfmon\":1}");
    assert_claim("structure.body_type", "3");
    assert_claim("structure.body_size", "648");
    assert_claim("structure.trailing_all_zero", "null");
    assert_claim("qe_report.isv_prod_id", "2");
    assert_claim("debug", "true");
    json_t *all = claims();
    const char *service = json_string_value(evjudge_at(all, "body.mr_service_td"));
    assert_non_null(service);
    assert_int_equal(strlen(service), 96);
    assert_memory_equal(service, "ab00", 4);
    json_decref(all);

    /* A body that has no such field has no such claim. */
    dcapkit_init(&k, EVGEN_TDX_V4);
    evgen_dcap_make(&k.d, &k.out);
    assert_int_equal(parse(qr_view_of(k.out.quote, k.out.quote_len), 1, &q), QR_OK);
    all = claims();
    assert_null(evjudge_at(all, "body.mr_service_td"));
    assert_null(evjudge_at(all, "body.tee_tcb_svn2"));
    json_decref(all);
    assert_claim("structure.body_type", "null");

    dcapkit_init(&k, EVGEN_SGX_V3);
    memcpy(k.d.body + EVGEN_SGX_MISC_SELECT, "\x01\x02\x03\x04", 4);
    evgen_dcap_make(&k.d, &k.out);
    assert_int_equal(parse(qr_view_of(k.out.quote, k.out.quote_len), 0, &q), QR_OK);
    assert_claim("tee_type", "0");
    assert_claim("body.misc_select", "\"04030201\"");
    assert_claim("body.mode64", "true");
    assert_claim("structure.outer_certification_data_type", "null");
    assert_claim("debug", "false");
}

/* Real quotes have bytes behind them: counted, never looked at, within the bound of the item. */
static void
test_trailing(void **state)
{
    struct qr_dcap_quote q;
    static uint8_t big[16385];
    (void)state;
    for (int junk = 0; junk < 2; junk++) {
        dcapkit_init(&k, EVGEN_TDX_V4);
        k.d.trailing_len = 307;
        memset(k.d.trailing, 0, 307);
        k.d.trailing[306] = (uint8_t)junk;
        dcapkit_run(&k, 0);
        evjudge_valid(&k.j, "trailing bytes");
        v = k.j.v;
        assert_claim("structure.trailing_bytes", "307");
        assert_claim("structure.trailing_all_zero", junk ? "false" : "true");
    }
    memcpy(big, k.out.quote, k.out.quote_len);
    assert_int_equal(parse(qr_view_of(big, 16384), 1, &q), QR_OK);
    assert_int_equal(parse(qr_view_of(big, 16385), 1, &q), QR_ERR_ATTESTATION);
    assert_int_equal(v.reason, QR_REASON_RESOURCE_LIMIT);
    assert_int_equal(v.failed, QR_CHECK_LIMITS);
}

/* Authentication data is the QE's: any length, also none. */
static void
test_auth_data(void **state)
{
    static const size_t len[] = {0, 1, 31, 64};
    (void)state;
    for (size_t i = 0; i < sizeof len / sizeof len[0]; i++) {
        dcapkit_init(&k, i % 2 ? EVGEN_TDX_V5_15 : EVGEN_SGX_V3);
        k.d.auth_len = len[i];
        dcapkit_run(&k, 0);
        evjudge_valid(&k.j, "authentication data");
    }
}

/* Every prefix and every single-byte change of the structure ends in a verdict, never valid. */
static void
test_every_cut(void **state)
{
    (void)state;
    for (int kind = 0; kind < EVGEN_DCAP_KINDS; kind++) {
        struct qr_dcap_quote q;
        dcapkit_init(&k, (enum evgen_dcap_kind)kind);
        evgen_dcap_make(&k.d, &k.out);
        for (size_t n = 0; n < k.out.quote_len; n += n < 1500 ? 1 : 37) {
            /* In a block of its own size, so that reading past it is seen. */
            uint8_t *p = test_malloc(n ? n : 1);
            memcpy(p, k.out.quote, n);
            assert_int_equal(parse(qr_view_of(p, n), is_tdx(kind), &q), QR_ERR_ATTESTATION);
            assert_int_not_equal(v.reason, QR_REASON_NONE);
            test_free(p);
        }
    }
}

static void
test_every_flip(void **state)
{
    (void)state;
    dcapkit_init(&k, EVGEN_TDX_V5_15);
    dcapkit_run(&k, 0);
    uint8_t *p = k.out.quote;
    struct qr_dcap_quote q;
    assert_int_equal(parse(qr_view_of(p, k.out.quote_len), 1, &q), QR_OK);
    EVP_PKEY *pck = k.d.pck.key;
    size_t end = (size_t)(q.pck_pem.p - p);
    for (size_t i = 0; i < end; i += i < 60 || i > 700 ? 1 : 7) {
        p[i] ^= 0x10;
        qr_err e = parse(qr_view_of(p, k.out.quote_len), 1, &q);
        if (e == QR_OK) {
            e = qr_dcap_quote_check(&q, pck, &v);
        }
        if (e != QR_ERR_ATTESTATION) {
            fail_msg("byte %zu may be changed", i);
        }
        p[i] ^= 0x10;
    }
}

static void
test_real_forms(void **state)
{
    (void)state;
    /* The PEM of real quotes ends with a NUL or with a newline; a NUL inside is no text. */
    for (int nul = 0; nul < 2; nul++) {
        dcapkit_init(&k, EVGEN_SGX_V3);
        k.d.pem_nul = nul;
        dcapkit_run(&k, 0);
        evjudge_valid(&k.j, "end of the PEM");
    }
    /* The Processor CA's platforms have no instance id and no configuration. */
    dcapkit_init(&k, EVGEN_SGX_V3);
    k.d.processor_ca = 1;
    k.d.has_instance_id = k.d.has_config = 0;
    k.d.sgx_type = 0;
    dcapkit_run(&k, 0);
    evjudge_valid(&k.j, "Processor CA");
    v = k.j.v;
    assert_claim("pck.sgx_type", "\"Standard\"");
    assert_claim("pck_serial", "\"abcdef012345678\""); /* a number: no leading zero */
    assert_claim("pck.tcb_comps", "[5,5,3,3,255,255,1,5,0,0,0,0,0,0,0,0]");
    json_t *all = claims();
    assert_null(evjudge_at(all, "pck.platform_instance_id"));
    assert_null(evjudge_at(all, "pck.config"));
    json_decref(all);
    dcapkit_init(&k, EVGEN_SGX_V4);
    k.d.sgx_type = 2;
    dcapkit_run(&k, 0);
    evjudge_valid(&k.j, "integrity");
    v = k.j.v;
    assert_claim("pck.sgx_type", "\"ScalableWithIntegrity\"");
    assert_claim("pck.config", "{\"1\":\"ff\",\"2\":\"ff\",\"3\":\"ff\"}");
    assert_claim("pck_issuer",
                 "\"C=US,ST=CA,L=Santa Clara,O=Intel Corporation,CN=Intel SGX PCK Platform CA\"");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),     cmocka_unit_test(test_claims),
        cmocka_unit_test(test_trailing),   cmocka_unit_test(test_auth_data),
        cmocka_unit_test(test_every_cut),  cmocka_unit_test(test_every_flip),
        cmocka_unit_test(test_real_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
