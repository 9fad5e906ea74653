/* Collateral: its forms, its dates to the second, what a verdict remembers of it, its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/dcap.h"
#include "enclave-shim/verify/manifest.h"
#include "protocol/base/mem.h"
#include "test/common/dcapkit.h"

#include <stdio.h>

static struct dcapkit k;

static int64_t
ms(const char *text)
{
    int64_t t = 0;
    assert_int_equal(qr_time_parse(qr_view_str(text), &t), QR_OK);
    return t;
}

/* ---- forms ---- */

static void
add_newline(struct dcapkit *c, unsigned i)
{
    static const char *const end[] = {"\n", "\r\n"};
    size_t n = strlen(end[i]);
    memcpy(c->out.tcb_sig + c->out.tcb_sig_len, end[i], n);
    memcpy(c->out.qe_sig + c->out.qe_sig_len, end[i], n);
    c->out.tcb_sig_len += n;
    c->out.qe_sig_len += n;
}

static void
upper_case(struct dcapkit *c, unsigned i)
{
    (void)i;
    for (size_t n = 0; n < c->out.tcb_sig_len; n++) {
        uint8_t *p = &c->out.tcb_sig[n];
        *p = *p >= 'a' && *p <= 'f' ? (uint8_t)(*p - 'a' + 'A') : *p;
    }
}

static void
test_signatures(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        dcapkit_init(&k, i % 2 ? EVGEN_SGX_V3 : EVGEN_TDX_V5_15);
        k.finish = i < 2 ? add_newline : i == 2 ? upper_case : NULL;
        k.d.raw_sigs = i == 3;
        dcapkit_run(&k, i);
        evjudge_valid(&k.j, "form of a signature");
    }
}

static void
test_version_2(void **state)
{
    uint64_t version = 0;
    (void)state;
    for (int with_id = 0; with_id < 2; with_id++) {
        dcapkit_init(&k, EVGEN_SGX_V3);
        k.d.tcb.version = 2;
        k.d.tcb.id = with_id ? "SGX" : NULL;
        k.d.tcb.fmspc = "90c06f000000";
        dcapkit_run(&k, 0);
        evjudge_valid(&k.j, "version 2");
        assert_true(qr_claim_get_uint(&k.j.v.claims, "collateral.tcb_info_version", &version));
        assert_int_equal(version, 2);
    }
    /* Its components count. */
    k.d.comp[6] = 0;
    dcapkit_run(&k, 0);
    evjudge_refused(&k.j, "version 2, component 7", QR_CHECK_TCB, QR_REASON_TCB);
    /* They are all there, and in their range. */
    static const struct {
        const char *from, *to;
        enum qr_reason reason;
    } edit[] = {{"\"sgxtcbcomp16svn\":0,", "", QR_REASON_MALFORMED},
                {"\"sgxtcbcomp16svn\":0,", "\"sgxtcbcomp17svn\":0,", QR_REASON_UNSUPPORTED},
                {"\"sgxtcbcomp01svn\":5", "\"sgxtcbcomp01svn\":256", QR_REASON_MALFORMED},
                {"\"pcesvn\":13", "\"pcesvn\":65536", QR_REASON_MALFORMED},
                {"\"pcesvn\":13", "\"pcesvn\":13,\"tdxtcbcomponents\":[]", QR_REASON_UNSUPPORTED}};
    for (size_t i = 0; i < sizeof edit / sizeof edit[0]; i++) {
        struct dcapneg_edit e = {DCAP_SGX, 0, 0, edit[i].from, edit[i].to, edit[i].reason};
        dcapkit_init(&k, EVGEN_SGX_V3);
        k.d.tcb.version = 2;
        k.d.tcb.id = NULL;
        dcapneg_apply(&k, &e);
        dcapkit_run(&k, 0);
        evjudge_refused(&k.j, edit[i].to, QR_CHECK_COLLATERAL, edit[i].reason);
    }
}

/* Two roots that are both pinned: the signer must be of that of the PCK chain, whose list is here. */
static void
test_another_pinned_root(void **state)
{
    static struct dcapkit other;
    (void)state;
    dcapkit_init(&other, EVGEN_TDX_V4);
    other.d.root.from_ms -= EVGEN_DAY_MS;
    dcapkit_run(&other, 0);
    evjudge_valid(&other.j, "the other root");
    dcapkit_init(&k, EVGEN_TDX_V4);
    dcapkit_replace(&k, QR_PART_TCB_CHAIN, dcapkit_item(&other, QR_PART_TCB_CHAIN));
    dcapkit_run(&k, 0);
    evjudge_refused(&k.j, "not pinned", QR_CHECK_ROOT, QR_REASON_UNTRUSTED_ROOT);
    evgen_dcap_pin(&other.out, &k.j.roots);
    evjudge_run(&k.j);
    evjudge_refused(&k.j, "pinned", QR_CHECK_CHAIN, QR_REASON_CHAIN);
}

/* ---- dates ---- */

static void
test_edges(void **state)
{
    (void)state;
    dcapkit_init(&k, EVGEN_TDX_V4);
    k.d.pck_crl.this_ms = k.d.root_crl.this_ms = ms("2025-12-01T00:00:00Z");
    static const struct {
        const char *now;
        enum qr_check check;
        enum qr_reason reason; /* NONE: valid */
    } row[] = {
        {"2025-12-21T00:00:00Z", QR_CHECK_LIMITS, QR_REASON_NONE},
        {"2025-12-20T23:59:59Z", QR_CHECK_COLLATERAL, QR_REASON_NOT_YET_VALID},
        {"2026-01-19T00:00:00Z", QR_CHECK_LIMITS, QR_REASON_NONE},
        {"2026-01-19T00:00:01Z", QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_EXPIRED},
        {"2046-01-01T00:00:00Z", QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_EXPIRED},
        {"1999-01-01T00:00:00Z", QR_CHECK_CRL, QR_REASON_NOT_YET_VALID},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        k.j.o.now_ms = ms(row[i].now);
        dcapkit_run(&k, 0);
        if (row[i].reason == QR_REASON_NONE) {
            evjudge_valid(&k.j, row[i].now);
        } else {
            evjudge_refused(&k.j, row[i].now, row[i].check, row[i].reason);
        }
    }
}

/* Without a time nothing is said about dates: VALIDITY is not recorded, everything else is. */
static void
test_no_time(void **state)
{
    (void)state;
    dcapkit_init(&k, EVGEN_SGX_V3);
    k.d.tcb.next = "2025-12-22T00:00:00Z";
    k.d.qe_identity.issued = "2026-01-19T00:00:00Z";
    k.d.pck.to_ms = EVGEN_NOW_MS - 1000;
    k.j.o.now_ms = -1;
    dcapkit_run(&k, 0);
    evjudge_valid(&k.j, "no time");
    assert_int_equal(k.j.v.check[QR_CHECK_VALIDITY], QR_CHECK_SKIPPED);
    assert_int_equal(k.j.v.check[QR_CHECK_COLLATERAL], QR_CHECK_PASS);
    assert_int_equal(k.j.v.check[QR_CHECK_CRL], QR_CHECK_PASS);
}

/* A level is told even when what told it is too old. */
static void
test_claims_of_old_collateral(void **state)
{
    qr_view status;
    (void)state;
    dcapkit_init(&k, EVGEN_SGX_V3);
    k.j.o.now_ms = ms("2026-06-01T00:00:00Z");
    dcapkit_run(&k, 0);
    evjudge_refused(&k.j, "old", QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_EXPIRED);
    assert_non_null(strstr(k.j.v.sentence, "2026-06-01T00:00:00Z"));
    assert_non_null(strstr(k.j.v.sentence, "2026-01-19T00:00:00Z"));
    assert_true(qr_claim_get_text(&k.j.v.claims, "tcb.final_status", &status));
    assert_true(qr_view_eq(status, qr_view_str("UpToDate")));
}

/* ---- what is remembered ---- */

static const struct qr_collateral_mark *
mark_of(enum qr_collateral_kind kind, const char *subject)
{
    uint8_t h[32];
    evgen_sha256(qr_view_str(subject), h);
    for (size_t i = 0; i < k.j.out.marks.n; i++) {
        const struct qr_collateral_mark *m = &k.j.out.marks.mark[i];
        if (m->kind == kind && memcmp(m->subject, h, 32) == 0) {
            return m;
        }
    }
    fail_msg("%s is not remembered", subject);
    return NULL;
}

static void
test_marks(void **state)
{
    (void)state;
    dcapkit_init(&k, EVGEN_TDX_V4);
    dcapkit_run(&k, 0);
    evjudge_valid(&k.j, "marks");
    assert_int_equal(k.j.out.marks.n, 4); /* and two lists */
    const struct qr_collateral_mark *m = mark_of(QR_COLL_TCB_INFO, "TDX:90c06f000000");
    assert_int_equal(m->number, 18);
    assert_int_equal(m->issued_ms, ms("2025-12-20T00:00:00Z"));
    assert_int_equal(m->next_ms, ms("2026-01-19T00:00:00Z"));
    m = mark_of(QR_COLL_QE_IDENTITY, "TD_QE");
    assert_int_equal(m->number, 17);
    assert_int_equal(k.j.out.earliest_end_ms, ms("2026-01-19T00:00:00Z"));
    assert_int_equal(k.j.out.latest_issue_ms, EVGEN_NOW_MS - EVGEN_DAY_MS); /* the lists' */

    /* The same again, and newer, are fine; SGX has marks of its own. */
    k.seen = k.j.out.marks;
    k.j.o.seen = &k.seen;
    dcapkit_run(&k, 0);
    evjudge_valid(&k.j, "the same again");
    k.d.tcb.evaluation = 19;
    k.d.tcb.issued = "2025-12-25T00:00:00Z";
    dcapkit_run(&k, 0);
    evjudge_valid(&k.j, "newer");
    dcapkit_init(&k, EVGEN_SGX_V3);
    dcapkit_run(&k, 0);
    (void)mark_of(QR_COLL_TCB_INFO, "SGX:90c06f000000");
    (void)mark_of(QR_COLL_QE_IDENTITY, "QE");

    /* What was refused is not remembered. */
    k.d.comp[0] = 0;
    dcapkit_run(&k, 0);
    assert_int_equal(k.j.err, QR_ERR_ATTESTATION);
    assert_int_equal(k.j.out.marks.n, 0);
}

static void
test_evaluation_minimum(void **state)
{
    (void)state;
    dcapkit_init(&k, EVGEN_TDX_V4);
    k.j.o.min_tcb_evaluation = 17; /* each with the minimum, not with each other */
    dcapkit_run(&k, 0);
    evjudge_valid(&k.j, "17");
}

/* A certificate's end bounds the verdict too. */
static void
test_certificates_end(void **state)
{
    (void)state;
    dcapkit_init(&k, EVGEN_TDX_V4);
    k.d.tcb_signer.to_ms = EVGEN_NOW_MS + 5000;
    dcapkit_run(&k, 0);
    evjudge_valid(&k.j, "ends soon");
    assert_int_equal(k.j.out.earliest_end_ms, EVGEN_NOW_MS + 5000);
}

/* ---- limits ---- */

/* n levels of TCB info, as short as they may be. */
static char *
many_levels(unsigned n, const char *status)
{
    static char text[65536 * 2];
    size_t len = (size_t)snprintf(
        text, sizeof text,
        "{\"version\":2,\"issueDate\":\"2025-12-20T00:00:00Z\",\"nextUpdate\":"
        "\"2026-01-19T00:00:00Z\",\"fmspc\":\"90C06F000000\",\"pceId\":\"0000\",\"tcbType\":0,"
        "\"tcbEvaluationDataNumber\":18,\"tcbLevels\":[");
    for (unsigned i = 0; i < n; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s{\"tcb\":{", i ? "," : "");
        for (unsigned c = 1; c <= 16; c++) {
            len += (size_t)snprintf(text + len, sizeof text - len, "\"sgxtcbcomp%02usvn\":%u,", c,
                                    i + 1 < n ? 255u : 0u);
        }
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "\"pcesvn\":0},\"tcbDate\":\"2025-08-13T00:00:00Z\","
                                "\"tcbStatus\":\"%s\"}",
                                status);
    }
    (void)snprintf(text + len, sizeof text - len, "]}");
    return text;
}

static void
test_limits(void **state)
{
    static char text[65536];
    (void)state;
    dcapkit_init(&k, EVGEN_SGX_V3);
    k.d.tcb.text = many_levels(QR_DCAP_LEVELS, "SWHardeningNeeded");
    dcapkit_run(&k, 0);
    evjudge_valid(&k.j, "as many levels as may be");
    k.d.tcb.text = many_levels(QR_DCAP_LEVELS + 1, "SWHardeningNeeded");
    dcapkit_run(&k, 0);
    evjudge_refused(&k.j, "one more", QR_CHECK_COLLATERAL, QR_REASON_RESOURCE_LIMIT);

    /* More values than a document may have, in the largest item. */
    size_t n = (size_t)snprintf(text, sizeof text, "{\"tcbLevels\":[0");
    while (n + 4 < 65536) {
        n += (size_t)snprintf(text + n, sizeof text - n, ",0");
    }
    (void)snprintf(text + n, sizeof text - n, "]}");
    k.d.tcb.text = text;
    dcapkit_run(&k, 0);
    evjudge_refused(&k.j, "values", QR_CHECK_COLLATERAL, QR_REASON_RESOURCE_LIMIT);

    /* One advisory too many. */
    static char advisories[65 * 5 + 2];
    for (n = 0; n < 65; n++) {
        memcpy(advisories + 5 * n, n ? ",\"a0\"" : "[\"a0\"", 5);
    }
    memcpy(advisories + 5 * 65, "]", 2);
    dcapkit_init(&k, EVGEN_TDX_V4);
    k.d.tcb.level[1].advisories = advisories;
    dcapkit_run(&k, 0);
    evjudge_refused(&k.j, "advisories", QR_CHECK_COLLATERAL, QR_REASON_RESOURCE_LIMIT);
}

/* No allocation of a verification is large, whatever the collateral is. */
static size_t largest;

static int
watch(size_t n)
{
    largest = n > largest ? n : largest;
    return 1;
}

static void
test_allocations(void **state)
{
    (void)state;
    dcapkit_init(&k, EVGEN_SGX_V3);
    k.d.tcb.text = many_levels(QR_DCAP_LEVELS, "UpToDate");
    dcapkit_run(&k, 0);
    largest = 0;
    qr_alloc_gate(watch);
    evjudge_run(&k.j);
    qr_alloc_gate(NULL);
    evjudge_valid(&k.j, "watched");
    assert_true(largest > 0 && largest <= 1024 * 1024);
}

/* Memory that runs out anywhere is that, never a verdict of "valid" and never a crash. */
static size_t left;

static int
allow(size_t n)
{
    (void)n;
    return left > 0 && left-- > 0;
}

static void
test_no_memory(void **state)
{
    size_t refused = 0;
    (void)state;
    dcapkit_init(&k, EVGEN_TDX_V5_15);
    dcapkit_run(&k, 0);
    evjudge_valid(&k.j, "with memory");
    for (size_t n = 0; n < 4000; n += n < 40 ? 1 : 23) {
        left = n;
        qr_alloc_gate(allow);
        evjudge_run(&k.j);
        qr_alloc_gate(NULL);
        if (k.j.err == QR_OK) {
            assert_true(refused > 40);
            return;
        }
        assert_int_not_equal(k.j.v.reason, QR_REASON_NONE);
        refused++;
    }
    fail_msg("4000 allocations are not enough");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_version_2),
        cmocka_unit_test(test_another_pinned_root),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_no_time),
        cmocka_unit_test(test_claims_of_old_collateral),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_evaluation_minimum),
        cmocka_unit_test(test_certificates_end),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_allocations),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
