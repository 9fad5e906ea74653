/*
 * Azure's composites: what belongs together is accepted, and every seam is tried.
 *
 * Numbers in brackets are those of the list of hostile evidence that this verifier must refuse.
 */
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

/* ---- SNP ---- */

/* The quote of another VM's key (93). */
static void
other_vm(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->q.ak = arg < 2 ? evgen_key(EVGEN_RSA2048, arg) : evgen_key(EVGEN_P256, 11);
    t->q.scheme = 0x0014;
    if (arg == 2) { /* a P-256 signature under an RSA key */
        t->q.scheme = 0x0018;
    }
}

static void
add_certificate(struct tpmbench *t, EVP_PKEY *key)
{
    static struct evak ca;
    evak_init(&ca, QR_ROOT_MICROSOFT_VTPM, key);
    evak_build(&ca);
    evak_add(&ca, &t->e);
}

/* A certificate of another VM's key beside it. */
static void
other_certificate(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    add_certificate(t, arg < 2 ? evgen_key(EVGEN_RSA2048, arg) : evgen_key(EVGEN_P256, 11));
}

/* A second witness that is one: but of Google, or incomplete. */
static void
google_certificate(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    IN(TB_EVIDENCE)
    evak_add(&t->ca, &t->e);
}

static void
lone_certificate(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    add_certificate(t, t->ak);
    evtpm_swap(&t->e, arg ? QR_PART_AK_ROOT : QR_PART_AK_INTERMEDIATE, 0, NOTHING);
}

/* A vTPM's word without the processor's (95): of a Trusted Launch VM, say. */
static void
no_report(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    evtpm_swap(&t->e, QR_PART_HCL_REPORT, 0, NOTHING);
    if (arg > 0) {
        add_certificate(t, t->ak);
    }
    if (arg == 2) {
        t->e.kind = QR_EV_AZURE_TDX;
    }
}

static void
no_endorsement(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const enum qr_part part[] = {QR_PART_SNP_VEK, QR_PART_SNP_ASK, QR_PART_SNP_ARK};
    IN(TB_EVIDENCE)
    evtpm_swap(&t->e, part[arg], 0, NOTHING);
}

/* Copies of what the HCL report holds, that are none. */
static void
copies(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    if (s == TB_SPEC && (arg == 4 || arg == 5)) {
        struct evgen_buf pem = evgen_buf_over(t->pem, sizeof t->pem);
        evtpm_put_pem(&pem, arg == 4 ? evgen_key(EVGEN_RSA2048, 0) : evgen_key(EVGEN_P256, 11));
        t->pem_len = pem.len;
    }
    if (s != TB_EVIDENCE) {
        return;
    }
    if (arg < 2) {
        memcpy(t->scratch, t->hcl.report, 1184);
        t->scratch[arg ? EVSNP_HOST_DATA : EVSNP_S] ^= 1;
        evtpm_swap(&t->e, QR_PART_SNP_REPORT, 0, qr_view_of(t->scratch, 1184));
    } else if (arg < 4) {
        memcpy(t->scratch, t->hcl.json, t->hcl.json_len);
        t->scratch[t->hcl.json_len] = '\n';
        evtpm_swap(&t->e, QR_PART_RUNTIME_DATA, 0,
                   qr_view_of(t->scratch, t->hcl.json_len + (arg == 2 ? 1 : (size_t)-1)));
    }
}

static void
no_quote(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    evtpm_swap(&t->e, QR_PART_TPM_QUOTE, 0, NOTHING);
    evtpm_swap(&t->e, QR_PART_TPM_SIG, 0, NOTHING);
    evtpm_swap(&t->e, QR_PART_TPM_PCRS, 0, NOTHING);
    if (arg == 1) {
        t->o.binder = NOTHING;
    } else if (arg == 2) { /* the paravisor's report_data is no answer */
        t->o.binder = qr_view_of(t->report_data, 32);
    } else if (arg == 3) {
        t->o.binder = qr_view_of(t->report_data, 64);
    }
}

static void
binder(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint8_t len[] = {0, 1, 31, 33, 64};
    IN(TB_SPEC)
    memset(t->q.extra + 32, 0, sizeof t->q.extra - 32);
    t->q.extra_len = len[arg];
}

static void
half_a_quote(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    evtpm_swap(&t->e, arg ? QR_PART_TPM_SIG : QR_PART_TPM_QUOTE, 0, NOTHING);
}

/* As coarse as a value of another PCR: the rows of test_tpm_refused.c go through the same code. */
static void
value(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    if (arg < 3) {
        tb_own(t, QR_PART_TPM_PCRS, 0)[arg * 300] ^= 1;
    } else {
        tb_cut(t, QR_PART_TPM_PCRS, 0, 32);
    }
}

static void
log_of_nothing(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const enum qr_hash_alg banks[] = {QR_SHA256};
    static uint8_t mem[8192];
    static struct evlog l;
    (void)arg;
    IN(TB_EVIDENCE)
    evlog_open(&l, mem, sizeof mem, 0, banks, 1);
    evlog_boot(&l);
    evtpm_swap(&t->e, QR_PART_TCG_LOG, 0, evgen_buf_view(&l.b));
}

#define ROW(name, change, from, to, check, reason)                                                 \
    {                                                                                              \
        name, TB_AZURE, change, from, to, QR_CHECK_##check, QR_REASON_##reason                     \
    }

static const struct tb_row rows[] = {
    ROW("another VM's quote (93)", other_vm, 0, 1, QUOTE, SIGNATURE),
    ROW("another kind of key's quote (93)", other_vm, 2, 2, ALGORITHM, UNSUPPORTED),
    ROW("another VM's certificate", other_certificate, 0, 2, AK, KEY_BINDING),
    ROW("another cloud's certificate", google_certificate, 0, 0, ROOT, UNTRUSTED_ROOT),
    ROW("a certificate without issuer", lone_certificate, 0, 0, CHAIN, COLLATERAL_MISSING),
    ROW("a certificate without root", lone_certificate, 1, 1, ROOT, COLLATERAL_MISSING),
    ROW("a vTPM alone (95)", no_report, 0, 2, COMPOSITE, NOT_EVIDENCE),
    ROW("another report beside it", copies, 0, 1, COMPOSITE, IDENTITY_MISMATCH),
    ROW("other runtime data beside it", copies, 2, 3, COMPOSITE, IDENTITY_MISMATCH),
    ROW("another key beside it", copies, 4, 5, AK, KEY_BINDING),
    ROW("no quote to answer", no_quote, 0, 0, BINDER, BINDER),
    ROW("report_data is no answer", no_quote, 2, 3, BINDER, BINDER),
    ROW("another answer (85)", binder, 0, 4, BINDER, BINDER),
    ROW("half a quote", half_a_quote, 0, 1, PARSE, MALFORMED),
    ROW("another value", value, 0, 2, PCRS, MEASUREMENT),
    ROW("a value too few", value, 3, 3, PCRS, MALFORMED),
    ROW("another boot's log", log_of_nothing, 0, 0, EVENT_LOG, MEASUREMENT),
};

#undef ROW

static void
test_refused(void **state)
{
    unsigned documents = 0, hits[QR_CHECK_COUNT] = {0};
    (void)state;
    assert_int_equal(tb_run_rows(&b, rows, sizeof rows / sizeof rows[0], &documents, hits), 0);
    print_message("%u documents\n", documents);
    assert_true(documents >= 30);
    assert_true(hits[QR_CHECK_COMPOSITE] >= 3);
    assert_true(hits[QR_CHECK_AK] >= 3);
    assert_true(hits[QR_CHECK_BINDER] >= 3);
    /* The processor's endorsements are asked for first; test_snp.c has their rows. */
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(tb_run(&b, TB_AZURE, no_endorsement, i), QR_ERR_ATTESTATION);
        assert_int_equal(b.v.reason, QR_REASON_COLLATERAL_MISSING);
    }
}

/* Beside the right witness, all the same; with true copies; without a quote when nothing was asked. */
static void
more(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    if (s == TB_SPEC && arg == 1) {
        struct evgen_buf pem = evgen_buf_over(t->pem, sizeof t->pem);
        evtpm_put_pem(&pem, t->ak);
        t->pem_len = pem.len;
    } else if (s == TB_EVIDENCE && arg == 0) {
        add_certificate(t, t->ak);
    } else if (s == TB_EVIDENCE && arg == 1) {
        evtpm_swap(&t->e, QR_PART_SNP_REPORT, 0, qr_view_of(t->hcl.report, 1184));
        evtpm_swap(&t->e, QR_PART_RUNTIME_DATA, 0, qr_view_of(t->hcl.json, t->hcl.json_len));
    }
}

static void
test_accepted(void **state)
{
    qr_view v;
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        if (tb_run(&b, TB_AZURE, more, i) != QR_OK) {
            print_error("%u: %s\n", i, b.v.sentence);
        }
        assert_int_equal(b.v.reason, QR_REASON_NONE);
        assert_int_equal(b.v.check[QR_CHECK_AK], QR_CHECK_PASS);
        assert_int_equal(b.v.check[QR_CHECK_COMPOSITE], QR_CHECK_PASS);
        assert_int_equal(b.v.check[QR_CHECK_RUNTIME_DATA], QR_CHECK_PASS);
        assert_int_equal(b.v.check[QR_CHECK_BINDER], QR_CHECK_PASS);
    }
    assert_true(qr_claim_get_hex(&b.v.claims, "measurement", &v) && v.len == 48);
    assert_true(qr_claim_get_hex(&b.v.claims, "quote.pcrs.11", &v) && v.len == 32);
    assert_true(qr_claim_get_hex(&b.v.claims, "ak_spki_sha256", &v) && v.len == 32);
    /* What was not made is not recorded. */
    assert_int_equal(tb_run(&b, TB_AZURE, no_quote, 1), QR_OK);
    assert_int_equal(b.v.check[QR_CHECK_QUOTE], QR_CHECK_SKIPPED);
    assert_int_equal(b.v.check[QR_CHECK_PCRS], QR_CHECK_SKIPPED);
    assert_int_equal(b.v.check[QR_CHECK_BINDER], QR_CHECK_SKIPPED);
}

/* ---- TDX ---- */

static struct evgen_dcap td;
static struct evgen_dcap_out td_out;

enum td_change {
    TD_GENUINE,
    TD_NO_QUOTE,    /* (72) */
    TD_OTHER_DATA,  /* (94) */
    TD_UPPER_DATA,  /* both reports agree, and it is no hash */
    TD_OTHER_MRTD,  /* (94) */
    TD_OTHER_ATTRS, /* (94) */
    TD_NO_TDREPORT, /* what lies there is of another type */
    TD_BEHIND_TDREPORT,
    TD_SNP_TYPE,       /* (89) */
    TD_OTHER_QUOTE_AK, /* (93) */
    TD_RUNTIME,        /* the text is another than was hashed */
    TD_OTHER_RUNTIME_COPY,
    TD_QUOTE_IS_TDREPORT, /* (72) */
    TD_NO_TPM_QUOTE,
    TD_CHANGES
};

static qr_err
run_td(enum td_change c)
{
    uint8_t data[64] = {0};
    EVP_PKEY *ak = evgen_key(EVGEN_RSA2048, 2);

    memset(&b, 0, sizeof b);
    evtpm_init(&b.q, c == TD_OTHER_QUOTE_AK ? evgen_key(EVGEN_RSA2048, 0) : ak);
    evtpm_build(&b.q);
    evhcl_init(&b.hcl, c == TD_SNP_TYPE ? 2 : 4);
    evhcl_runtime(&b.hcl, ak);
    evhcl_hash(&b.hcl, data);
    if (c == TD_UPPER_DATA) {
        data[63] = 1;
    }
    evgen_dcap_default(&td, EVGEN_TDX_V4);
    memcpy(evgen_dcap_report_data(&td), data, 64);
    evgen_dcap_make(&td, &td_out);
    evhcl_tdreport(&b.hcl, data, td.body + EVGEN_TD_ATTRIBUTES, td.body + EVGEN_TD_MR_TD);
    switch (c) {
    case TD_OTHER_DATA:
        b.hcl.report[128 + 5] ^= 1;
        break;
    case TD_OTHER_MRTD:
        b.hcl.report[528 + 47] ^= 1;
        break;
    case TD_OTHER_ATTRS:
        b.hcl.report[512 + 3] ^= 0x10;
        break;
    case TD_NO_TDREPORT:
        b.hcl.report[0] = 0;
        break;
    case TD_BEHIND_TDREPORT:
        b.hcl.report[1183] = 1;
        break;
    default:
        break;
    }
    evhcl_make(&b.hcl);
    if (c == TD_RUNTIME) {
        b.hcl.bytes[1236 + 20] ^= 1;
    }
    b.e.kind = QR_EV_AZURE_TDX;
    evgen_dcap_add(&td_out, &b.e);
    evtpm_swap(&b.e, QR_PART_HCL_REPORT, 0, qr_view_of(b.hcl.bytes, b.hcl.total));
    evtpm_add(&b.q, 0, &b.e);
    if (c == TD_NO_QUOTE) {
        evtpm_swap(&b.e, QR_PART_QUOTE, 0, NOTHING);
    } else if (c == TD_QUOTE_IS_TDREPORT) {
        evtpm_swap(&b.e, QR_PART_QUOTE, 0, qr_view_of(b.hcl.report, 1024));
    } else if (c == TD_OTHER_RUNTIME_COPY) {
        evtpm_swap(&b.e, QR_PART_RUNTIME_DATA, 0, qr_view_str("{}"));
    } else if (c == TD_NO_TPM_QUOTE) {
        evtpm_swap(&b.e, QR_PART_TPM_QUOTE, 0, NOTHING);
        evtpm_swap(&b.e, QR_PART_TPM_SIG, 0, NOTHING);
        evtpm_swap(&b.e, QR_PART_TPM_PCRS, 0, NOTHING);
    }
    evgen_dcap_pin(&td_out, &b.roots);
    memcpy(b.binder, b.q.extra, 32);
    b.o = (struct qr_verify_opts){
        .roots = &b.roots, .now_ms = EVGEN_NOW_MS, .binder = qr_view_of(b.binder, 32)};
    return qr_verify(&b.e, &b.o, &b.v, NULL);
}

static void
test_tdx(void **state)
{
    static const struct {
        enum qr_check check;
        enum qr_reason reason;
    } want[TD_CHANGES] = {
        [TD_NO_QUOTE] = {QR_CHECK_COMPOSITE, QR_REASON_NOT_EVIDENCE},
        [TD_OTHER_DATA] = {QR_CHECK_COMPOSITE, QR_REASON_IDENTITY_MISMATCH},
        [TD_UPPER_DATA] = {QR_CHECK_RUNTIME_DATA, QR_REASON_KEY_BINDING},
        [TD_OTHER_MRTD] = {QR_CHECK_COMPOSITE, QR_REASON_IDENTITY_MISMATCH},
        [TD_OTHER_ATTRS] = {QR_CHECK_COMPOSITE, QR_REASON_IDENTITY_MISMATCH},
        [TD_NO_TDREPORT] = {QR_CHECK_PARSE, QR_REASON_MALFORMED},
        [TD_BEHIND_TDREPORT] = {QR_CHECK_PARSE, QR_REASON_MALFORMED},
        [TD_SNP_TYPE] = {QR_CHECK_PARSE, QR_REASON_MALFORMED},
        [TD_OTHER_QUOTE_AK] = {QR_CHECK_QUOTE, QR_REASON_SIGNATURE},
        [TD_RUNTIME] = {QR_CHECK_RUNTIME_DATA, QR_REASON_KEY_BINDING},
        [TD_OTHER_RUNTIME_COPY] = {QR_CHECK_COMPOSITE, QR_REASON_IDENTITY_MISMATCH},
        [TD_QUOTE_IS_TDREPORT] = {QR_CHECK_PARSE, QR_REASON_NOT_EVIDENCE},
        [TD_NO_TPM_QUOTE] = {QR_CHECK_BINDER, QR_REASON_BINDER},
    };
    qr_view v;

    (void)state;
    qr_err e = run_td(TD_GENUINE);
    if (e != QR_OK) {
        print_error("%s: %s\n", qr_reason_word(b.v.reason), b.v.sentence);
    }
    assert_int_equal(e, QR_OK);
    assert_int_equal(b.v.check[QR_CHECK_COMPOSITE], QR_CHECK_PASS);
    assert_int_equal(b.v.check[QR_CHECK_TCB], QR_CHECK_PASS);
    assert_null(qr_claim_find(&b.v.claims, "mr_td")); /* the quote's stands under body */
    for (int c = TD_GENUINE + 1; c < TD_CHANGES; c++) {
        e = run_td((enum td_change)c);
        if (b.v.failed != want[c].check || b.v.reason != want[c].reason) {
            print_error("change %d: %s %s: %s\n", c, qr_check_name(b.v.failed),
                        qr_reason_word(b.v.reason), b.v.sentence);
        }
        assert_int_equal(e, QR_ERR_ATTESTATION);
        assert_int_equal(b.v.failed, want[c].check);
        assert_int_equal(b.v.reason, want[c].reason);
    }
    (void)run_td(TD_NO_QUOTE);
    assert_true(qr_claim_get_hex(&b.v.claims, "mr_td", &v) && v.len == 48);
    assert_true(qr_claim_get_hex(&b.v.claims, "td_attributes", &v) && v.len == 8);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_tdx),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
