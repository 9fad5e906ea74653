/*
 * AWS Nitro: genuine documents in all their forms and what is claimed of them; times and binders;
 * real documents. Bad forms: test_nitro_doc.c; bad certificates and signatures: test_nitro_chain.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/evbad_nitro.h"

#include <stdio.h>
#include <string.h>

#define HOUR_MS (EVGEN_DAY_MS / 24)

static struct evnitro *const d = &evbad.d;
static struct evjudge j;

/* ---- genuine documents ------------------------------------------------------------------------- */

static void
prepare(void)
{
    evjudge_init(&j, QR_EV_NITRO);
    evgen_pin(&j.roots, QR_ROOT_AWS_NITRO, &d->cert[EVNITRO_ROOT]);
    evjudge_add(&j, QR_PART_NITRO_DOCUMENT, evnitro_doc(d));
}

static void
accept(const char *name)
{
    prepare();
    evjudge_run(&j);
    evjudge_valid(&j, name);
}

/* What a policy may demand was looked at, and nothing else is said to have been. */
static void
expect_checks(int with_time, int with_binder)
{
    for (unsigned c = 0; c < QR_CHECK_COUNT; c++) {
        int want = c == QR_CHECK_LIMITS || c == QR_CHECK_PARSE || c == QR_CHECK_ALGORITHM ||
                   c == QR_CHECK_ROOT || c == QR_CHECK_CHAIN || c == QR_CHECK_SIGNATURE ||
                   (with_time && (c == QR_CHECK_VALIDITY || c == QR_CHECK_TIMESTAMP)) ||
                   (with_binder && c == QR_CHECK_BINDER);
        if (j.v.check[c] != (want ? QR_CHECK_PASS : QR_CHECK_SKIPPED)) {
            fail_msg("check %s: %d", qr_check_name((enum qr_check)c), j.v.check[c]);
        }
    }
}

static void
test_forms(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        evnitro_init(d);
        d->indefinite = form & 1;
        d->tag = form & 2 ? 18 : -1;
        evnitro_build(d);
        accept("a form");
        expect_checks(1, 0);
        json_t *c = evjudge_claims(&j);
        assert_int_equal(json_is_true(evjudge_at(c, "cose.tagged")), form >> 1);
        assert_string_equal(json_string_value(evjudge_at(c, "cose.payload_map")),
                            form & 1 ? "indefinite" : "definite");
        json_decref(c);
    }
}

/* Sizes at their bounds, optional members absent, unknown members, an unprotected header. */
static void
test_bounds(void **state)
{
    static uint8_t full[1024];
    static const uint8_t kid[] = {0xa2, 0x04, 0x41, 0x07, 0x61, 'x', 0x81, 0xf9, 0x3c, 0x00};
    (void)state;

    evnitro_init(d);
    d->public_key = qr_view_of(full, 1024);
    d->user_data = qr_view_of(full, 512);
    d->nonce = qr_view_of(full, 512);
    d->pcr_mask = 0xffffffff;
    evnitro_build(d);
    accept("everything as large as it may be");

    evnitro_init(d);
    d->user_data = d->nonce = qr_view_of(full, 0);
    d->pcr_mask = 7;
    evnitro_build(d);
    accept("empty user_data and nonce, three PCRs");
    json_t *c = evjudge_claims(&j);
    assert_string_equal(json_string_value(evjudge_at(c, "nonce")), "");
    assert_int_equal(json_object_size(evjudge_at(c, "pcrs")), 3);
    json_decref(c);

    evnitro_init(d);
    evnitro_certs(d);
    evnitro_payload(d);
    evnitro_remove(d, "public_key");
    evnitro_remove(d, "user_data");
    evnitro_remove(d, "nonce");
    for (unsigned i = 0; i < 26; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "later%u", i);
        evnitro_add(d, evnitro_text(d, name), qr_view_str("\x9f\xa1\x01\xf5\xf6\xff"));
    }
    d->unprotected_item = qr_view_of(kid, sizeof kid);
    evnitro_sign(d);
    accept("32 members, none of them optional; an unprotected header");
    c = evjudge_claims(&j);
    assert_null(evjudge_at(c, "nonce"));
    assert_null(evjudge_at(c, "user_data"));
    assert_null(evjudge_at(c, "public_key"));
    assert_null(evjudge_at(c, "cose.unprotected"));
    assert_int_equal(json_array_size(evjudge_at(c, "cose.key_order")), 32);
    json_decref(c);
}

/* A chain need not have three CAs below the root; one that is signed by the root is as good. */
static void
test_short_chain(void **state)
{
    (void)state;
    evnitro_init(d);
    d->spec[EVNITRO_LEAF].issuer = d->spec[EVNITRO_ROOT].subject;
    d->spec[EVNITRO_LEAF].signer = d->spec[EVNITRO_ROOT].key;
    evnitro_certs(d);
    d->n_bundle = 1;
    evnitro_payload(d);
    evnitro_sign(d);
    accept("a leaf of the root itself");
}

static void
test_claims(void **state)
{
    json_t *c;
    (void)state;

    evnitro_init(d);
    d->user_data = qr_view_str("hi");
    evnitro_build(d);
    accept("claims");
    c = evjudge_claims(&j);
    static const char *const text[][2] = {
        {"module_id", "i-0123456789abcdef0-enc0123456789abcdef"},
        {"timestamp", "2025-12-31T23:59:30Z"},
        {"digest", "SHA384"},
        {"user_data", "6869"},
        {"leaf_subject", "CN=i-0123456789abcdef0-enc0123456789abcdef.eu-test-1.aws,OU=AWS,O=Amazon,"
                         "L=Seattle,ST=Washington,C=US"},
        {"leaf_not_before", "2025-12-31T23:00:00Z"},
        {"leaf_not_after", "2026-01-01T02:00:00Z"},
        {"cose.protected", "a1013822"},
        {"cose.payload_map", "definite"},
    };
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        const json_t *found = evjudge_at(c, text[i][0]);
        assert_non_null(found);
        assert_string_equal(json_string_value(found), text[i][1]);
    }
    assert_int_equal(json_integer_value(evjudge_at(c, "timestamp_ms")), EVGEN_NOW_MS - 30000);
    assert_int_equal(json_integer_value(evjudge_at(c, "cabundle_len")), 4);
    assert_true(json_is_false(evjudge_at(c, "debug")));
    assert_true(json_is_null(evjudge_at(c, "nonce")));
    assert_true(json_is_null(evjudge_at(c, "public_key")));
    assert_int_equal(json_object_size(evjudge_at(c, "cose.unprotected")), 0);
    assert_int_equal(json_object_size(evjudge_at(c, "pcrs")), 16);
    qr_view pcr;
    assert_true(qr_claim_get_hex(&j.v.claims, "pcrs.8", &pcr));
    assert_true(qr_view_eq(pcr, qr_view_of(d->pcr[8], 48)));
    json_decref(c);

    assert_int_equal(j.out.latest_issue_ms, EVGEN_NOW_MS - 30000);
    assert_int_equal(j.out.earliest_end_ms, EVGEN_NOW_MS + 2 * HOUR_MS);
}

/* 17.22: a debug enclave's document is genuine; that PCR0 to PCR2 are zero is said, for the policy. */
static void
test_debug(void **state)
{
    (void)state;
    for (unsigned left = 0; left < 4; left++) {
        int debug = 0;
        evnitro_init(d);
        for (unsigned i = 0; i < 3; i++) {
            memset(d->pcr[i], 0, sizeof d->pcr[i]);
        }
        if (left < 3) {
            d->pcr[left][47] = 1; /* one bit of one of them is enough */
        }
        evnitro_build(d);
        accept("17.22 debug");
        assert_true(qr_claim_get_bool(&j.v.claims, "debug", &debug));
        assert_int_equal(debug, left == 3);
    }
}

/* ---- time -------------------------------------------------------------------------------------- */

static void
test_time(void **state)
{
    const int64_t at = EVGEN_NOW_MS - 30000;
    static const struct {
        int64_t now; /* after the document's time */
        uint64_t max_age;
        int fresh;
    } t[] = {
        {0, 0, 1},       {300000, 0, 1},        {300001, 0, 0},    {-300000, 0, 1},
        {-300001, 0, 0}, {60000, 60000, 1},     {60001, 60000, 0}, {1, 1, 1},
        {2, 1, 0},       {3600000, 3600000, 1},
    };
    (void)state;
    evnitro_init(d);
    evnitro_build(d);
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        prepare();
        j.o.now_ms = at + t[i].now;
        j.o.max_age_ms = t[i].max_age;
        evjudge_run(&j);
        if (t[i].fresh) {
            evjudge_valid(&j, "fresh");
        } else {
            evjudge_refused(&j, "stale", QR_CHECK_TIMESTAMP, QR_REASON_STALE);
        }
    }

    /* No clock: what depends on it is not said to have been looked at. */
    prepare();
    j.o.now_ms = -1;
    evjudge_run(&j);
    evjudge_valid(&j, "no time");
    expect_checks(0, 0);

    /* The leaf is dated back by seconds only: a clock a minute slow is borne, on its start alone. */
    evnitro_init(d);
    d->timestamp_ms = (uint64_t)EVGEN_NOW_MS + 60000;
    d->spec[EVNITRO_LEAF].from_ms = EVGEN_NOW_MS + 60000;
    evnitro_build(d);
    accept("a clock that is a minute slow");
    /* the last millisecond */
    evnitro_init(d);
    d->spec[EVNITRO_LEAF].to_ms = EVGEN_NOW_MS;
    evnitro_build(d);
    accept("the leaf's last moment");
}

static void
leaf_ends_before(unsigned ms)
{
    (void)ms;
    d->spec[EVNITRO_LEAF].to_ms = EVGEN_NOW_MS - 1000;
}

static void
level_expired(unsigned level)
{
    d->spec[level].to_ms = EVGEN_NOW_MS - 1000;
    evbad.now_ms = EVGEN_NOW_MS;
}

static void
level_not_yet(unsigned level)
{
    d->spec[level].from_ms = EVGEN_NOW_MS + 61000;
}

/* 17.19 as it is written: the genuine document at other times. */
static void
at_time(unsigned k)
{
    const int64_t leaf_from = d->spec[EVNITRO_LEAF].from_ms, leaf_to = d->spec[EVNITRO_LEAF].to_ms;
    const int64_t t[] = {leaf_to + 1000,
                         leaf_to + 1,
                         EVGEN_NOW_MS + 100 * EVGEN_DAY_MS,
                         INT64_MAX,
                         leaf_from - 120000,
                         leaf_from - 60001,
                         0};
    evbad.now_ms = t[k];
    evbad.max_age_ms = UINT64_MAX;
}

static void
aged(unsigned minutes)
{
    d->timestamp_ms = (uint64_t)(EVGEN_NOW_MS - (int64_t)minutes * 60000);
    d->spec[EVNITRO_LEAF].from_ms = EVGEN_NOW_MS - 3 * HOUR_MS;
}

static void
dated(unsigned k)
{
    /* Within five minutes of now, and within no leaf's dates. */
    static const int64_t from[] = {-29000, -HOUR_MS, -HOUR_MS, 0};
    static const int64_t at[] = {-29001, 2 * HOUR_MS + 1, 2 * HOUR_MS + 1000, -1};
    static const int64_t now[] = {0, 2 * HOUR_MS, 2 * HOUR_MS, 0};
    d->spec[EVNITRO_LEAF].from_ms = EVGEN_NOW_MS + from[k];
    d->timestamp_ms = (uint64_t)(EVGEN_NOW_MS + at[k]);
    evbad.now_ms = EVGEN_NOW_MS + now[k];
}

static void
test_bad_time(void **state)
{
    static const struct evbad t[] = {
        {"leaf over", SPEC, leaf_ends_before, 0, QR_CHECK_VALIDITY, QR_REASON_EXPIRED},
        {"17.20 document two hours old", SPEC, aged, 120, QR_CHECK_TIMESTAMP, QR_REASON_STALE},
        {"document six minutes old", SPEC, aged, 6, QR_CHECK_TIMESTAMP, QR_REASON_STALE},
    };
    struct evbad like = {NULL, SPEC, level_expired, 0, QR_CHECK_VALIDITY, QR_REASON_EXPIRED};
    (void)state;
    EVBAD_REFUSE(t);
    evbad_refuse_each("17.19 expired, level", EVNITRO_ROOT, EVNITRO_CERTS, like);
    like.change = at_time;
    evbad_refuse_each("17.19 after the end", 0, 4, like);
    like.reason = QR_REASON_NOT_YET_VALID;
    evbad_refuse_each("17.19 before the start", 4, 7, like);
    like.change = level_not_yet;
    evbad_refuse_each("17.19 not yet valid, level", EVNITRO_ROOT, EVNITRO_CERTS, like);
    like = (struct evbad){NULL, SPEC, dated, 0, QR_CHECK_TIMESTAMP, QR_REASON_STALE};
    evbad_refuse_each("17.21 timestamp outside the leaf's dates", 0, 4, like);
}

/* ---- binder ------------------------------------------------------------------------------------ */

static void
nonce_is(unsigned k)
{
    static uint8_t other[64];
    evbad.bind = 1;
    memset(other, 0, sizeof other);
    memcpy(other, evbad_binder, 32);
    switch (k) {
    case 0:
        d->nonce = (qr_view){0}; /* null */
        break;
    case 1:
        d->user_data = d->nonce;
        d->nonce = (qr_view){0};
        break;
    case 2:
        d->public_key = d->nonce;
        d->nonce = (qr_view){0};
        break;
    case 3:
        d->nonce = qr_view_of(other, 31);
        break;
    case 4:
        d->nonce = qr_view_of(other, 33); /* a zero more */
        break;
    case 5:
        d->nonce = qr_view_of(other, 64);
        break;
    case 6:
        other[31] ^= 1;
        d->nonce = qr_view_of(other, 32);
        break;
    case 7:
        other[0] ^= 0x80;
        d->nonce = qr_view_of(other, 32);
        break;
    case 8:
        d->nonce = qr_view_of(other, 0);
        break;
    case 9: /* 17.111: what was asked for on another connection */
        memset(other, 0x5a, 32);
        d->nonce = qr_view_of(other, 32);
        break;
    default:
        d->nonce = qr_view_str("b1b2030405060708ff0000000000000000000000000000000000000000000000");
        break;
    }
}

static void
nonce_absent(unsigned k)
{
    (void)k;
    evbad.bind = 1;
    evnitro_remove(d, "nonce");
}

static void
test_binder(void **state)
{
    static const struct evbad absent[] = {
        {"17.23 nonce not there", MEMBERS, nonce_absent, 0, QR_CHECK_BINDER, QR_REASON_BINDER},
    };
    struct evbad like = {NULL, SPEC, nonce_is, 0, QR_CHECK_BINDER, QR_REASON_BINDER};
    (void)state;
    EVBAD_REFUSE(absent);
    evbad_refuse_each("17.23 nonce is not what was asked for", 0, 11, like);

    /* The same document with what it commits to, and a caller who asks for nothing. */
    evnitro_init(d);
    d->nonce = qr_view_of(evbad_binder, sizeof evbad_binder);
    evnitro_build(d);
    prepare();
    j.o.binder = qr_view_of(evbad_binder, sizeof evbad_binder);
    evjudge_run(&j);
    evjudge_valid(&j, "binder");
    expect_checks(1, 1);
    prepare();
    evjudge_run(&j);
    evjudge_valid(&j, "no binder asked for");
    expect_checks(1, 0);
    /* A binder of no bytes binds nothing. */
    prepare();
    j.o.binder = qr_view_of(evbad_binder, 0);
    evjudge_run(&j);
    evjudge_refused(&j, "empty binder", QR_CHECK_BINDER, QR_REASON_BINDER);
}

/* ---- the rest ---------------------------------------------------------------------------------- */

static void
test_evidence(void **state)
{
    (void)state;
    evjudge_init(&j, QR_EV_NITRO);
    evjudge_run(&j);
    evjudge_refused(&j, "no document", QR_CHECK_PARSE, QR_REASON_MALFORMED);
    /* 17.114: nothing is parsed of what is too large */
    static uint8_t large[20481];
    assert_int_equal(qr_evidence_add(&j.e, QR_PART_NITRO_DOCUMENT, 0, qr_view_of(large, 20481)),
                     QR_ERR_TOO_LARGE);
}

static void
test_count(void **state)
{
    static const enum qr_check own[] = {QR_CHECK_VALIDITY, QR_CHECK_TIMESTAMP, QR_CHECK_BINDER};
    (void)state;
    printf("Nitro documents of a bad time or binder: %zu\n", evbad_count());
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        assert_true(evbad_hits(own[i]) >= 3);
    }
}

static void
test_real(void **state)
{
    static const struct evjudge_reason reasons[] = {
        {"base-2026-01-corrupt", QR_REASON_MALFORMED},
    };
    (void)state;
    (void)evjudge_real(QR_EV_NITRO, reasons, 1, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),       cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_short_chain), cmocka_unit_test(test_claims),
        cmocka_unit_test(test_debug),       cmocka_unit_test(test_time),
        cmocka_unit_test(test_bad_time),    cmocka_unit_test(test_binder),
        cmocka_unit_test(test_evidence),    cmocka_unit_test(test_count),
        cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
