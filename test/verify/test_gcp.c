/*
 * Google's composites: report and vTPM tied together by the guest, by our rule and the published one.
 *
 * Numbers in brackets are those of the list of hostile evidence that this verifier must refuse.
 */
#include "enclave-shim/verify/gcp.h"
#include "protocol/base/enc.h"
#include "test/common/evgen_dcap.h"
#include "test/common/tpmbench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct tpmbench b;

#define IN(stage)                                                                                  \
    if (s != (stage)) {                                                                            \
        return;                                                                                    \
    }
#define NOTHING ((qr_view){NULL, 0})

static void
report_data(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_REPORT)
    switch (arg) {
    case 0:
    case 1:
    case 2:
        t->report_data[31 * arg] ^= 1; /* 0, 31, 62 */
        break;
    case 3: /* the question alone, as if no key were there */
        memset(t->report_data, 0, 64);
        memcpy(t->report_data, t->q.extra, 32);
        break;
    default:
        memset(t->report_data, 0, 64);
        break;
    }
}

/* Everything is right, for another key than the certified one. */
static void
other_ak(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    EVP_PKEY *other = evgen_key(EVGEN_RSA2048, arg);
    if (s == TB_SPEC) {
        t->ca.leaf_spec.key = other;
        t->ca_changed = 1;
        t->q.ak = other;
    }
}

/* The quote is of another instance's key. */
static void
other_quote(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->q.ak = evgen_key(EVGEN_RSA2048, arg);
}

/* The report was made for another question than the quote. */
static void
other_extra(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_REPORT)
    t->q.extra[arg] ^= 1;
    t->o.binder = arg < 3 ? qr_view_of(t->q.extra, 32) : NOTHING;
}

static void
extra_len(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint8_t len[] = {0, 31, 33, 64};
    IN(TB_SPEC)
    t->q.extra_len = len[arg];
    t->o.binder = NOTHING;
}

/* A consistent answer to another question (111). */
static void
other_question(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->binder[arg] ^= 1;
}

static void
missing(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const enum qr_part part[] = {QR_PART_AK_CERT, QR_PART_TPM_QUOTE, QR_PART_SNP_REPORT,
                                        QR_PART_TPM_PCRS};
    IN(TB_EVIDENCE)
    evtpm_swap(&t->e, part[arg], 0, NOTHING);
    if (arg == 1) {
        evtpm_swap(&t->e, QR_PART_TPM_SIG, 0, NOTHING);
    }
}

static void
key_set(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const char *const text[] = {
        "{\"keys\":[]}",
        "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"AQAB\"}]}",
        "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AQ\","
        "\"y\":\"AQ\"}]}",
        "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQ\","
        "\"y\":\"AQ\"}]}",
        "x",
    };
    IN(TB_SPEC)
    (void)snprintf(t->key_set, sizeof t->key_set, "%s", text[arg]);
}

static void
key_set_use(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const char *const ops[] = {"[\"encrypt\"]", "[]", "[\"sign\",\"verify\"]", "\"sign\""};
    char n[352];
    IN(TB_SPEC)
    evhcl_modulus(t->ak, n);
    (void)snprintf(
        t->key_set, sizeof t->key_set,
        "{\"keys\":[{\"kid\":\"%s\",\"kty\":\"RSA\",\"e\":\"AQAB\",%s%s%s\"n\":\"%s\"}]}",
        arg < 4 ? "HCLAkPub" : "AkPub", arg < 4 ? "\"key_ops\":" : "", arg < 4 ? ops[arg] : "",
        arg < 4 ? "," : "", n);
}

static void
key_set_of(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    char n[352];
    IN(TB_SPEC)
    evhcl_modulus(evgen_key(EVGEN_RSA2048, arg), n);
    (void)snprintf(
        t->key_set, sizeof t->key_set,
        "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"%s\"}]}", n);
}

static void
key_set_after(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    uint8_t *p = tb_own(t, QR_PART_RUNTIME_DATA, 0);
    if (arg == 0) {
        p[1] = ' ';
    } else {
        tb_grow(t, QR_PART_RUNTIME_DATA, 0, ' ', arg);
    }
}

static void
attestation_data(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    if (arg == 0) {
        tb_own(t, QR_PART_ATTESTATION_DATA, 0)[0] ^= 1;
    } else if (arg == 1) {
        tb_grow(t, QR_PART_ATTESTATION_DATA, 0, 0, 1);
    } else {
        tb_cut(t, QR_PART_ATTESTATION_DATA, 0, 1);
    }
}

#define ROW(name, base, change, from, to, check, reason)                                           \
    {                                                                                              \
        name, base, change, from, to, QR_CHECK_##check, QR_REASON_##reason                         \
    }

static const struct tb_row rows[] = {
    ROW("another report_data", TB_GCP, report_data, 0, 4, COMPOSITE, KEY_BINDING),
    ROW("another certified key", TB_GCP, other_ak, 0, 1, COMPOSITE, KEY_BINDING),
    ROW("another key's quote", TB_GCP, other_quote, 0, 1, QUOTE, SIGNATURE),
    ROW("a quote for another question", TB_GCP, other_extra, 0, 4, COMPOSITE, KEY_BINDING),
    ROW("extraData of another length", TB_GCP, extra_len, 0, 3, BINDER, BINDER),
    ROW("another question (111)", TB_GCP, other_question, 0, 3, BINDER, BINDER),
    ROW("no certificate", TB_GCP, missing, 0, 0, AK, COLLATERAL_MISSING),
    ROW("no quote", TB_GCP, missing, 1, 1, PARSE, MALFORMED),
    ROW("no report (113)", TB_GCP, missing, 2, 2, COMPOSITE, NOT_EVIDENCE),
    ROW("no values", TB_GCP, missing, 3, 3, PCRS, MALFORMED),
    ROW("a key set of no key", TB_GCP_SET, key_set, 0, 1, RUNTIME_DATA, MALFORMED),
    ROW("a key set of no point", TB_GCP_SET, key_set, 2, 4, RUNTIME_DATA, MALFORMED),
    ROW("a key of another use", TB_GCP_SET, key_set_use, 0, 4, RUNTIME_DATA, KEY_BINDING),
    ROW("another key's set", TB_GCP_SET, key_set_of, 0, 1, COMPOSITE, KEY_BINDING),
    ROW("another certified key", TB_GCP_SET, other_ak, 0, 1, COMPOSITE, KEY_BINDING),
    ROW("another key set", TB_GCP_SET, key_set_after, 0, 2, RUNTIME_DATA, KEY_BINDING),
    ROW("report_data of something else", TB_GCP_SET, report_data, 0, 4, RUNTIME_DATA, KEY_BINDING),
    ROW("other attestation data", TB_GCP_SET, attestation_data, 0, 2, BINDER, BINDER),
    ROW("another question", TB_GCP_SET, other_question, 0, 1, BINDER, BINDER),
    ROW("another key's quote", TB_GCP_SET, other_quote, 0, 1, QUOTE, SIGNATURE),
};

#undef ROW

static void
test_refused(void **state)
{
    unsigned documents = 0, hits[QR_CHECK_COUNT] = {0};
    (void)state;
    assert_int_equal(tb_run_rows(&b, rows, sizeof rows / sizeof rows[0], &documents, hits), 0);
    print_message("%u documents\n", documents);
    assert_true(documents >= 50);
    assert_true(hits[QR_CHECK_COMPOSITE] >= 3);
    assert_true(hits[QR_CHECK_RUNTIME_DATA] >= 3);
    assert_true(hits[QR_CHECK_BINDER] >= 3);
    assert_true(hits[QR_CHECK_QUOTE] >= 3);
}

/* A P-256 key, by either rule. */
static void
on_p256(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    EVP_PKEY *k = evgen_key(EVGEN_P256, 11);
    uint8_t xy[64];
    char x[48], y[48];
    (void)arg;
    IN(TB_SPEC)
    t->ak = t->q.ak = t->ca.leaf_spec.key = k;
    t->q.scheme = 0x0018;
    t->ca_changed = 1;
    if (t->base == TB_GCP_SET) {
        (void)evgen_key_xy(k, xy);
        qr_b64url_encode(qr_view_of(xy, 32), x);
        qr_b64url_encode(qr_view_of(xy + 32, 32), y);
        (void)snprintf(t->key_set, sizeof t->key_set,
                       "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
                       "\"%s\",\"y\":\"%s\"}]}",
                       x, y);
    }
}

/* The published rule without attestation data: extraData is the question itself. */
static void
no_data(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    IN(TB_EVIDENCE)
    evtpm_swap(&t->e, QR_PART_ATTESTATION_DATA, 0, NOTHING);
}

static void
accept(enum tb_base base, tb_change change)
{
    if (tb_run(&b, base, change, 0) != QR_OK) {
        print_error("%s: %s\n", qr_reason_word(b.v.reason), b.v.sentence);
    }
    assert_int_equal(b.v.reason, QR_REASON_NONE);
    assert_int_equal(b.v.check[QR_CHECK_COMPOSITE], QR_CHECK_PASS);
    assert_int_equal(b.v.check[QR_CHECK_AK], QR_CHECK_PASS);
}

static void
test_accepted(void **state)
{
    (void)state;
    accept(TB_GCP, NULL);
    assert_int_equal(b.v.check[QR_CHECK_RUNTIME_DATA], QR_CHECK_SKIPPED);
    accept(TB_GCP_SET, NULL);
    assert_int_equal(b.v.check[QR_CHECK_RUNTIME_DATA], QR_CHECK_PASS);
    accept(TB_GCP, on_p256);
    accept(TB_GCP_SET, on_p256);
    accept(TB_GCP_SET, no_data);
}

/* The helper that guests use says what the verifier wants. */
static void
test_report_data(void **state)
{
    uint8_t out[64];
    qr_view v;
    (void)state;
    accept(TB_GCP, NULL);
    assert_true(qr_claim_get_hex(&b.v.claims, "ak_spki_sha256", &v) && v.len == 32);
    assert_true(qr_gcp_report_data(v.p, b.q.extra, out));
    assert_memory_equal(out, b.report_data, 64);
}

/* TDX, by our rule. */
static void
test_tdx(void **state)
{
    static struct evgen_dcap td;
    static struct evgen_dcap_out out;
    uint8_t data[64];
    qr_view v;

    (void)state;
    for (unsigned wrong = 0; wrong < 3; wrong++) {
        accept(TB_GCP, NULL);
        assert_true(qr_claim_get_hex(&b.v.claims, "ak_spki_sha256", &v));
        assert_true(qr_gcp_report_data(v.p, b.q.extra, data));
        data[40] = wrong == 1;
        evgen_dcap_default(&td, EVGEN_TDX_V4);
        memcpy(evgen_dcap_report_data(&td), data, 64);
        evgen_dcap_make(&td, &out);
        evgen_dcap_pin(&out, &b.roots);
        b.e = (struct qr_evidence){.kind = QR_EV_GCP_TDX};
        if (wrong != 2) {
            evgen_dcap_add(&out, &b.e);
        }
        evak_add(&b.ca, &b.e);
        evtpm_add(&b.q, 0, &b.e);
        qr_err e = qr_verify(&b.e, &b.o, &b.v, NULL);
        if (wrong == 0 && e != QR_OK) {
            print_error("%s\n", b.v.sentence);
        }
        assert_int_equal(e, wrong ? QR_ERR_ATTESTATION : QR_OK);
        assert_int_equal(b.v.reason, wrong == 0   ? QR_REASON_NONE
                                     : wrong == 1 ? QR_REASON_KEY_BINDING
                                                  : QR_REASON_NOT_EVIDENCE);
    }
}

/* The certificate alone says which machine (109), and answers no question. */
static void
test_certificate_alone(void **state)
{
    uint64_t id = 0;
    qr_view v;
    (void)state;
    accept(TB_GCP, NULL);
    b.e = (struct qr_evidence){.kind = QR_EV_GCP_AK};
    evak_add(&b.ca, &b.e);
    b.o.binder = NOTHING;
    assert_int_equal(qr_verify(&b.e, &b.o, &b.v, NULL), QR_OK);
    assert_int_equal(b.v.check[QR_CHECK_AK], QR_CHECK_PASS);
    assert_true(qr_claim_get_uint(&b.v.claims, "ak_cert.instance.instance_id", &id));
    assert_int_equal(id, 7885236546812373301);
    assert_true(qr_claim_get_text(&b.v.claims, "key", &v));
    assert_true(qr_view_eq(v, qr_view_str("RSA 2048")));
    assert_true(qr_claim_get_text(&b.v.claims, "subject", &v));
    assert_true(qr_claim_get_hex(&b.v.claims, "instance_extension", &v));
    b.o.binder = qr_view_of(b.binder, 32);
    assert_int_equal(qr_verify(&b.e, &b.o, &b.v, NULL), QR_ERR_ATTESTATION);
    assert_int_equal(b.v.reason, QR_REASON_BINDER);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),          cmocka_unit_test(test_report_data),
        cmocka_unit_test(test_refused),           cmocka_unit_test(test_tdx),
        cmocka_unit_test(test_certificate_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
