/*
 * The one door: bounds before everything, unknown platforms, binders, marks of collateral, and that a
 * verdict is OK exactly when every check that its platform must make was made and passed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/verify_int.h"
#include "test/common/evgen_all.h"
#include "test/common/evgen_ca.h"

#include <openssl/err.h>
#include <stdio.h>

static struct qr_verdict v;
static struct qr_verify_out out;
static uint8_t bytes[131072];

static void
expect(qr_err e, enum qr_check check, enum qr_reason reason, const char *words)
{
    assert_int_equal(e, QR_ERR_ATTESTATION);
    assert_string_equal(qr_reason_word(v.reason), qr_reason_word(reason));
    assert_string_equal(qr_check_name(v.failed), qr_check_name(check));
    assert_non_null(strstr(v.sentence, words));
    assert_int_equal(out.marks.n, 0);
    assert_int_equal(out.earliest_end_ms, INT64_MAX);
    assert_int_equal(out.latest_issue_ms, -1);
}

/* A struct that was filled by hand, past what qr_evidence_add allows. */
static void
test_limits(void **state)
{
    struct qr_verify_opts o = {.now_ms = -1};
    struct qr_evidence e = {.kind = QR_EV_NITRO};
    (void)state;
    memset(&out, 0xa5, sizeof out);
    e.n = QR_ITEMS_OF_EVIDENCE + 1;
    expect(qr_verify(&e, &o, &v, &out), QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT, "found 33");
    e.n = 1;
    e.item[0] = (struct qr_item){QR_PART_QUOTE, 0, qr_view_of(bytes, 16385)};
    expect(qr_verify(&e, &o, &v, &out), QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
           "quote.bin: expected at most 16384");
    e.item[0] = (struct qr_item){QR_PART_QUOTE, 0, qr_view_of(bytes, 0)};
    expect(qr_verify(&e, &o, &v, &out), QR_CHECK_LIMITS, QR_REASON_MALFORMED, "item 0");
    e.item[0] = (struct qr_item){(enum qr_part)77, 0, qr_view_of(bytes, 1)};
    expect(qr_verify(&e, &o, &v, &out), QR_CHECK_LIMITS, QR_REASON_MALFORMED, "item 0");
    e.n = 2;
    e.item[0] = e.item[1] = (struct qr_item){QR_PART_QUOTE, 0, qr_view_of(bytes, 1)};
    expect(qr_verify(&e, &o, &v, &out), QR_CHECK_LIMITS, QR_REASON_MALFORMED, "item 1");
    e.item[0] = (struct qr_item){QR_PART_TCG_LOG, 0, qr_view_of(bytes, 131072)};
    e.item[1] = (struct qr_item){QR_PART_CC_LOG, 0, qr_view_of(bytes, 131072)};
    e.n = 3;
    e.item[2] = (struct qr_item){QR_PART_QUOTE, 0, qr_view_of(bytes, 1)};
    expect(qr_verify(&e, &o, &v, &out), QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT, "in all");
    /* out may be absent */
    assert_int_equal(qr_verify(&e, &o, &v, NULL), QR_ERR_ATTESTATION);
}

static void
test_platforms(void **state)
{
    struct qr_verify_opts o = {.now_ms = -1};
    (void)state;
    for (unsigned k = 0; k < 300; k++) {
        struct qr_evidence e = {.kind = (enum qr_evidence_kind)k};
        assert_int_equal(qr_verify(&e, &o, &v, &out), QR_ERR_ATTESTATION);
        assert_int_equal(v.check[QR_CHECK_LIMITS], QR_CHECK_PASS);
        if (strcmp(qr_evidence_kind_name(e.kind), "unknown") == 0) {
            expect(QR_ERR_ATTESTATION, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED, "known platform");
        } else {
            assert_int_not_equal(v.reason, QR_REASON_NONE); /* nothing proves nothing */
            assert_int_not_equal(v.reason, QR_REASON_UNSUPPORTED);
        }
    }
}

/* ---- a verifier that is not what it should be ---- */

static qr_err (*stand_in)(struct qr_verify_run *r);
qr_err __real_qr_verify_nitro(struct qr_verify_run *r);
qr_err __wrap_qr_verify_nitro(struct qr_verify_run *r);

/* The linker puts it in the place of the Nitro verifier. */
qr_err
__wrap_qr_verify_nitro(struct qr_verify_run *r)
{
    return stand_in ? stand_in(r) : __real_qr_verify_nitro(r);
}

static uint64_t passes;

static qr_err
passing(struct qr_verify_run *r)
{
    for (unsigned c = 0; c < QR_CHECK_COUNT; c++) {
        if ((passes >> c & 1) != 0) {
            qr_pass(r->v, (enum qr_check)c);
        }
    }
    qr_run_issued(r, 5);
    qr_run_issued(r, 3);
    qr_run_ends(r, 100);
    qr_run_ends(r, 200);
    return QR_OK;
}

static qr_err
silent_error(struct qr_verify_run *r)
{
    (void)r;
    return QR_ERR_TRUNCATED;
}

static qr_err
no_memory(struct qr_verify_run *r)
{
    (void)r;
    return QR_ERR_NO_MEMORY;
}

static qr_err
failed_but_ok(struct qr_verify_run *r)
{
    (void)passing(r);
    (void)qr_fail(r->v, QR_CHECK_TCB, QR_REASON_TCB, "old");
    return QR_OK;
}

static qr_err
overflowing(struct qr_verify_run *r)
{
    qr_claim_uint(&r->v->claims, "a", 1);
    qr_claim_uint(&r->v->claims, "a", 2);
    return passing(r);
}

static qr_err
run_stand_in(qr_err (*f)(struct qr_verify_run *r), int64_t now_ms, qr_view binder)
{
    struct qr_evidence e = {.kind = QR_EV_NITRO};
    struct qr_verify_opts o = {.now_ms = now_ms, .binder = binder};
    stand_in = f;
    memset(&out, 0xa5, sizeof out);
    qr_err err = qr_verify(&e, &o, &v, &out);
    stand_in = NULL;
    return err;
}

#define BIT(c) (UINT64_C(1) << QR_CHECK_##c)

static void
test_stand_in(void **state)
{
    const uint64_t all = BIT(PARSE) | BIT(ROOT) | BIT(CHAIN) | BIT(VALIDITY) | BIT(SIGNATURE);
    const qr_view none = {NULL, 0};
    (void)state;
    passes = all;
    assert_int_equal(run_stand_in(passing, 0, none), QR_OK);
    assert_int_equal(out.latest_issue_ms, 5);
    assert_int_equal(out.earliest_end_ms, 100);
    /* each check of the list left out; dates only where there is a time */
    for (unsigned c = 0; c < QR_CHECK_COUNT; c++) {
        if ((all >> c & 1) != 0) {
            passes = all & ~(UINT64_C(1) << c);
            expect(run_stand_in(passing, 0, none), (enum qr_check)c, QR_REASON_UNSUPPORTED,
                   "left out");
            assert_int_equal(run_stand_in(passing, -1, none) == QR_OK, c == QR_CHECK_VALIDITY);
        }
    }
    passes = all;
    expect(run_stand_in(passing, 0, qr_view_str("nonce")), QR_CHECK_BINDER, QR_REASON_BINDER,
           "found none");
    passes = all | BIT(BINDER);
    assert_int_equal(run_stand_in(passing, 0, qr_view_str("nonce")), QR_OK);
    expect(run_stand_in(overflowing, 0, none), QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT, "claims");
    expect(run_stand_in(failed_but_ok, 0, none), QR_CHECK_TCB, QR_REASON_TCB, "old");
    expect(run_stand_in(silent_error, 0, none), QR_CHECK_PARSE, QR_REASON_MALFORMED, "too early");
    assert_int_equal(run_stand_in(no_memory, 0, none), QR_ERR_NO_MEMORY);
    expect(QR_ERR_ATTESTATION, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT, "out of memory");
}

/* ---- genuine evidence ---- */

static void
test_genuine(void **state)
{
    (void)state;
    for (size_t i = 0; i < evall_n(); i++) {
        const struct evall *g = evall_get(i);
        struct qr_verify_opts o = evall_opts(i);
        qr_err e = qr_verify(&g->e, &o, &v, &out);
        if (e != QR_OK) {
            print_message("%s: %s\n", g->name, v.sentence);
        }
        assert_int_equal(e, QR_OK);
        assert_int_equal(v.reason, QR_REASON_NONE);
        assert_string_equal(v.sentence, "");
        assert_int_equal(v.check[QR_CHECK_BINDER], QR_CHECK_SKIPPED);
        assert_true(out.earliest_end_ms > o.now_ms);
        assert_true(out.latest_issue_ms <= o.now_ms);
        assert_int_equal(ERR_peek_error(), 0);
        /* without a time the same, but no dates */
        o.now_ms = -1;
        assert_int_equal(qr_verify(&g->e, &o, &v, &out), QR_OK);
        assert_int_equal(v.check[QR_CHECK_VALIDITY], QR_CHECK_SKIPPED);
        /* under the built-in roots nobody believes it, where it has a root at all */
        o = (struct qr_verify_opts){.now_ms = EVGEN_NOW_MS};
        qr_err builtin = qr_verify(&g->e, &o, &v, &out);
        if (v.check[QR_CHECK_ROOT] != QR_CHECK_SKIPPED) {
            expect(builtin, QR_CHECK_ROOT, QR_REASON_UNTRUSTED_ROOT, "pinned");
        }
        assert_int_equal(ERR_peek_error(), 0); /* others' errors are not ours to leave behind */
    }
}

/* ---- binders ---- */

static qr_err
binder(qr_view want, qr_view field)
{
    struct qr_verify_opts o = {.binder = want};
    struct qr_verify_run r = {.o = &o, .v = &v};
    qr_verdict_init(&v);
    return qr_run_binder(&r, field, "field");
}

static void
test_binder(void **state)
{
    uint8_t field[64] = {0}, want[32];
    (void)state;
    for (size_t i = 0; i < sizeof want; i++) {
        field[i] = want[i] = (uint8_t)(i + 1);
    }
    assert_int_equal(binder((qr_view){NULL, 0}, qr_view_of(field, 64)), QR_OK);
    assert_int_equal(v.check[QR_CHECK_BINDER], QR_CHECK_SKIPPED);
    assert_int_equal(binder(qr_view_of(want, 32), qr_view_of(field, 64)), QR_OK);
    assert_int_equal(v.check[QR_CHECK_BINDER], QR_CHECK_PASS);
    assert_int_equal(binder(qr_view_of(want, 32), qr_view_of(field, 32)), QR_OK);
    assert_int_equal(binder(qr_view_of(want, 32), qr_view_of(field, 31)), QR_ERR_ATTESTATION);
    assert_int_equal(binder(qr_view_of(want, 31), qr_view_of(field, 32)), QR_ERR_ATTESTATION);
    assert_int_equal(binder(qr_view_of(want, 32), (qr_view){NULL, 0}), QR_ERR_ATTESTATION);
    assert_int_equal(binder(qr_view_of(want, 0), (qr_view){NULL, 0}), QR_ERR_ATTESTATION);
    assert_int_equal(binder(qr_view_of(want, 0), qr_view_of(field + 32, 32)), QR_ERR_ATTESTATION);
    for (size_t i = 0; i < 64; i++) {
        field[i] ^= 0x80;
        assert_int_equal(binder(qr_view_of(want, 32), qr_view_of(field, 64)), QR_ERR_ATTESTATION);
        assert_int_equal(v.reason, QR_REASON_BINDER);
        field[i] ^= 0x80;
    }
}

/* ---- what is needed, and what is remembered ---- */

static void
test_need(void **state)
{
    struct qr_evidence e = {.kind = QR_EV_SNP};
    struct qr_verify_run r = {.e = &e, .v = &v};
    qr_view got = {NULL, 77};
    (void)state;
    assert_int_equal(qr_evidence_add(&e, QR_PART_SNP_VEK, 1, qr_view_of(bytes, 3)), QR_OK);
    qr_verdict_init(&v);
    assert_int_equal(
        qr_run_need(&r, QR_PART_SNP_VEK, QR_CHECK_CHAIN, QR_REASON_COLLATERAL_MISSING, &got),
        QR_ERR_ATTESTATION); /* that is slot 1 */
    assert_int_equal(v.reason, QR_REASON_COLLATERAL_MISSING);
    assert_int_equal(v.failed, QR_CHECK_CHAIN);
    assert_non_null(strstr(v.sentence, "vek.der"));
    assert_int_equal(got.len, 77);
    assert_int_equal(qr_evidence_add(&e, QR_PART_SNP_VEK, 0, qr_view_of(bytes, 4)), QR_OK);
    assert_int_equal(qr_run_need(&r, QR_PART_SNP_VEK, QR_CHECK_CHAIN, QR_REASON_MALFORMED, &got),
                     QR_OK);
    assert_int_equal(got.len, 4);
}

static struct qr_collateral_mark
mark(enum qr_collateral_kind kind, uint8_t subject, uint64_t number, int64_t issued_ms)
{
    struct qr_collateral_mark m = {kind, {subject}, number, issued_ms, issued_ms + 1000};
    return m;
}

static void
test_rollback(void **state)
{
    static const struct {
        enum qr_collateral_kind kind;
        uint8_t subject;
        uint64_t number;
        int64_t issued_ms;
        int ok;
    } rows[] = {
        {QR_COLL_CRL, 1, 5, 500, 1}, {QR_COLL_CRL, 1, 6, 600, 1},    {QR_COLL_CRL, 1, 5, 501, 1},
        {QR_COLL_CRL, 1, 6, 500, 1}, {QR_COLL_CRL, 1, 4, 500, 0},    {QR_COLL_CRL, 1, 5, 499, 0},
        {QR_COLL_CRL, 1, 4, 900, 0}, {QR_COLL_CRL, 1, 9, 499, 0},    {QR_COLL_CRL, 1, 0, 0, 0},
        {QR_COLL_CRL, 2, 0, 0, 1},   {QR_COLL_TCB_INFO, 1, 1, 1, 1},
    };
    static struct qr_collateral_marks seen;
    struct qr_verify_opts o = {.seen = &seen};
    (void)state;
    seen.n = 2;
    seen.mark[0] = mark(QR_COLL_QE_IDENTITY, 1, 99, 99000);
    seen.mark[1] = mark(QR_COLL_CRL, 1, 5, 500);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct qr_verify_run r = {.o = &o, .v = &v, .out = {.earliest_end_ms = INT64_MAX}};
        struct qr_collateral_mark m =
            mark(rows[i].kind, rows[i].subject, rows[i].number, rows[i].issued_ms);
        qr_verdict_init(&v);
        assert_int_equal(qr_run_mark(&r, &m, "list"), rows[i].ok ? QR_OK : QR_ERR_ATTESTATION);
        assert_int_equal(r.out.marks.n, rows[i].ok);
        if (rows[i].ok) {
            assert_int_equal(r.out.earliest_end_ms, rows[i].issued_ms + 1000);
            assert_int_equal(r.out.latest_issue_ms, rows[i].issued_ms);
        } else {
            assert_int_equal(v.reason, QR_REASON_COLLATERAL_ROLLBACK);
            assert_int_equal(v.failed, QR_CHECK_COLLATERAL);
            assert_non_null(strstr(v.sentence, "list"));
        }
    }
}

static void
test_merge(void **state)
{
    static struct qr_collateral_marks a, b, full;
    (void)state;
    memset(&a, 0, sizeof a);
    b.n = 2;
    b.mark[0] = mark(QR_COLL_CRL, 1, 5, 500);
    b.mark[1] = mark(QR_COLL_TCB_INFO, 1, 7, 700);
    assert_true(qr_marks_merge(&a, &b));
    assert_int_equal(a.n, 2);
    assert_true(qr_marks_merge(&a, &b));
    assert_int_equal(a.n, 2);
    b.mark[0] = mark(QR_COLL_CRL, 1, 4, 400); /* older: nothing changes */
    b.mark[1] = mark(QR_COLL_TCB_INFO, 1, 6, 800);
    assert_true(qr_marks_merge(&a, &b));
    assert_int_equal(a.mark[0].number, 5);
    assert_int_equal(a.mark[0].issued_ms, 500);
    assert_int_equal(a.mark[0].next_ms, 1500);
    assert_int_equal(a.mark[1].number, 7);
    assert_int_equal(a.mark[1].issued_ms, 800);
    assert_int_equal(a.mark[1].next_ms, 1800);
    for (unsigned i = 0; i < QR_MARKS_MAX; i++) {
        full.mark[full.n++] = mark(QR_COLL_CRL, (uint8_t)(i + 1), 5, 500);
    }
    assert_true(qr_marks_merge(&full, &a) == 0); /* the TCB info has no place any more */
    assert_int_equal(full.n, QR_MARKS_MAX);
    b.n = 1;
    b.mark[0] = mark(QR_COLL_CRL, 9, 6, 600);
    assert_true(qr_marks_merge(&full, &b));
    assert_int_equal(full.mark[8].number, 6);
    /* a run whose evidence holds more than can be remembered */
    struct qr_verify_opts o = {.now_ms = -1};
    struct qr_verify_run r = {.o = &o, .v = &v, .out = {.marks = full}};
    struct qr_collateral_mark m = mark(QR_COLL_TCB_INFO, 77, 1, 1);
    qr_verdict_init(&v);
    assert_int_equal(qr_run_mark(&r, &m, "list"), QR_ERR_ATTESTATION);
    assert_int_equal(v.reason, QR_REASON_RESOURCE_LIMIT);
}

/* Collateral that a verdict was based on, given back as seen: fine; a later one seen: rollback. */
static void
test_seen(void **state)
{
    size_t with_marks = 0;
    (void)state;
    for (size_t i = 0; i < evall_n(); i++) {
        struct qr_verify_opts o = evall_opts(i);
        static struct qr_collateral_marks seen;
        assert_int_equal(qr_verify(&evall_get(i)->e, &o, &v, &out), QR_OK);
        seen = out.marks;
        o.seen = &seen;
        assert_int_equal(qr_verify(&evall_get(i)->e, &o, &v, &out), QR_OK);
        with_marks += seen.n > 0;
        for (size_t k = 0; k < seen.n; k++) {
            seen.mark[k].issued_ms++;
            expect(qr_verify(&evall_get(i)->e, &o, &v, &out), QR_CHECK_COLLATERAL,
                   QR_REASON_COLLATERAL_ROLLBACK, "or later");
            seen.mark[k].issued_ms--;
            seen.mark[k].number++;
            expect(qr_verify(&evall_get(i)->e, &o, &v, &out), QR_CHECK_COLLATERAL,
                   QR_REASON_COLLATERAL_ROLLBACK, "or later");
            seen.mark[k].number--;
        }
    }
    assert_true(with_marks >= 3); /* TDX, SGX, and the composites with them */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_platforms),
        cmocka_unit_test(test_stand_in), cmocka_unit_test(test_genuine),
        cmocka_unit_test(test_binder),   cmocka_unit_test(test_need),
        cmocka_unit_test(test_rollback), cmocka_unit_test(test_merge),
        cmocka_unit_test(test_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
