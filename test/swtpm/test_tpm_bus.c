/*
 * Somebody sits between the party and its TPM: answers cut, grown, garbage or changed by a bit; PCRs
 * extended at the wrong moment; and what a listener gets to see.
 */
#include "enclave-shim/tpm/tpm_seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "test/common/swtpm.h"
#include "test/common/tpmproxy.h"
#include "test/common/tpmrel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MASK 0x1a90u /* 4, 7, 9, 11, 12 */
#define CC_CREATE_PRIMARY 0x131u
#define CC_CERTIFY 0x148u
#define CC_HMAC 0x155u
#define CC_QUOTE 0x158u
#define CC_START_SESSION 0x176u
#define CC_GET_CAPABILITY 0x17au
#define CC_PCR_READ 0x17eu
#define CC_RANDOM 0x17bu
#define CC_NV_READ 0x14eu
#define CC_PCR_EXTEND 0x182u

static struct swtpm sw;
static struct tpmproxy proxy;
static struct qr_tpm *tpm;
static struct qr_tpm_key key;
static struct tpmrel rel;
static struct qr_dbuf blob;
static const struct qr_sec32 secret = {"the secret that nobody may see.."};
static char why[512];

enum trick { NOTHING, CUT, GROW, LENGTH, TAG, GARBAGE, FLIP, HANG_UP, EXTEND, SPY };

/* What the proxy does; written while nothing is under way. */
static struct {
    uint32_t code;  /* 0: all */
    unsigned after; /* so many answers pass first */
    unsigned times;
    enum trick what;
    size_t at; /* of the byte that is flipped; how much is cut */
    int seen;  /* the needle went by */
    unsigned count;
} plan;

static int
hit(uint32_t code)
{
    if (plan.what == NOTHING || (plan.code && plan.code != code) || plan.times == 0) {
        return 0;
    }
    if (plan.after > 0) {
        plan.after--;
        return 0;
    }
    plan.times--;
    plan.count++;
    return 1;
}

/* TPM2_PCR_Extend of PCR 11 by a value that is another each time. */
static void
extend(int fd)
{
    static uint8_t turn;
    uint8_t c[65] = {0x80, 2,    0, 0, 0, 65, 0, 0, 1, 0x82, 0, 0, 0, 11, 0, 0,   0,
                     9,    0x40, 0, 0, 9, 0,  0, 0, 0, 0,    0, 0, 0, 1,  0, 0x0b};
    uint8_t out[64];
    c[33] = ++turn;
    if (write(fd, c, sizeof c) != (ssize_t)sizeof c || read(fd, out, sizeof out) < 10) {
        plan.seen = -1;
    }
}

static void
before(void *ctx, uint32_t code, int fd)
{
    (void)ctx;
    if (plan.what == EXTEND && hit(code)) {
        extend(fd);
    }
}

/* The secret in the clear; or a key's HMAC whose session does not say "encrypted" (bit 6). */
static void
spy(uint32_t code, const uint8_t *p, size_t n)
{
    if (memmem(p, n, secret.b, 8)) {
        plan.seen = 1;
    }
    if (code == CC_HMAC && n > 35 + 10) {
        plan.count++;
        plan.seen |= !(p[n - 35] & 0x40) << 1;
    }
}

static enum tpmproxy_do
answer(void *ctx, uint32_t code, int fd, uint8_t *a, size_t *len)
{
    (void)ctx;
    (void)fd;
    if (plan.what == SPY) {
        spy(code, a, *len);
        return TPMPROXY_PASS;
    }
    if (plan.what == EXTEND || !hit(code)) {
        return TPMPROXY_PASS;
    }
    switch (plan.what) {
    case CUT:
        *len = plan.at < *len ? plan.at : *len - 1;
        return TPMPROXY_CLOSE;
    case GROW:
        memset(a + *len, 0x80, 32);
        *len += 32;
        return TPMPROXY_PASS;
    case LENGTH: /* says that more is coming than anybody may send */
        a[3] = 0x7f;
        return TPMPROXY_PASS;
    case TAG:
        a[0] = 0x12;
        return TPMPROXY_PASS;
    case GARBAGE:
        for (size_t i = 10; i < *len; i++) {
            a[i] = (uint8_t)(i * 167 + plan.at);
        }
        return TPMPROXY_PASS;
    case FLIP:
        a[*len > 10 ? plan.at % (*len - 10) + 10 : 9] ^= 1;
        return TPMPROXY_PASS;
    default:
        *len = 0;
        return TPMPROXY_CLOSE;
    }
}

static void
connect_tpm(void)
{
    qr_err e = qr_tpm_open(proxy.path, 0, &tpm, why, sizeof why);
    if (e != QR_OK) {
        fail_msg("%s", why);
    }
}

static int
setup(void **state)
{
    (void)state;
    memset(&plan, 0, sizeof plan);
    swtpm_start(&sw);
    proxy = (struct tpmproxy){.before = before, .answer = answer};
    assert_int_equal(tpmproxy_start(&proxy, tmpdir_file(&sw.dir, "bus"), sw.socket), 0);
    connect_tpm();
    tpmrel_new(&rel);
    qr_dbuf_init(&blob, QR_TPM_WRAPPED_MAX);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    plan.what = NOTHING;
    if (tpm) {
        qr_tpm_key_free(tpm, &key);
    }
    tpm = qr_tpm_close(tpm);
    tpmproxy_stop(&proxy);
    swtpm_stop(&sw);
    tpmrel_free(&rel);
    qr_dbuf_free(&blob);
    return 0;
}

static void
must(qr_err e)
{
    if (e != QR_OK) {
        fail_msg("%s: %s", qr_err_name(e), qr_tpm_error(tpm));
    }
}

static void
says(const char *text, const char *words)
{
    if (!strstr(text, words)) {
        fail_msg("expected \"%s\" in: %s", words, text);
    }
}

static void
plan_for(uint32_t code, enum trick what, size_t at, unsigned times)
{
    memset(&plan, 0, sizeof plan);
    plan.code = code;
    plan.what = what;
    plan.at = at;
    plan.times = times;
}

static void
sign_now(uint64_t release)
{
    uint8_t pcr[QR_TPM_PCRS][32];
    must(qr_tpm_pcr_read(tpm, MASK, pcr));
    tpmrel_sign(&rel, release, MASK, (const uint8_t(*)[32])pcr);
}

/* After a torn answer nothing is sent any more, and it is said why; a new connection works. */
static void
test_torn_answers(void **state)
{
    static const struct {
        enum trick what;
        size_t at;
        const char *says;
    } rows[] = {
        {CUT, 5, "ends after 5 bytes"},     {CUT, 11, "ends after 11 bytes"},
        {CUT, 100000, "ends after"},        {GROW, 0, "no TPM's answer"},
        {LENGTH, 0, "no TPM's answer"},     {TAG, 0, "no TPM's answer"},
        {HANG_UP, 0, "ends after 0 bytes"},
    };
    uint8_t pcr[QR_TPM_PCRS][32], b[8];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        plan_for(CC_PCR_READ, rows[i].what, rows[i].at, 1);
        assert_int_equal(qr_tpm_pcr_read(tpm, MASK, pcr), QR_ERR_PLATFORM);
        says(qr_tpm_error(tpm), "TPM2_PCR_Read");
        says(qr_tpm_error(tpm), rows[i].says);
        says(qr_tpm_error(tpm), "restart");
        plan.what = NOTHING;
        assert_int_equal(qr_tpm_random(tpm, b, sizeof b), QR_ERR_PLATFORM);
        says(qr_tpm_error(tpm), rows[i].says);
        tpm = qr_tpm_close(tpm);
        swtpm_reboot(&sw); /* its transient objects were not flushed */
        connect_tpm();
    }
    must(qr_tpm_random(tpm, b, sizeof b));
}

/* The same while it is opened: an error that says where, nothing left open. */
static void
test_open(void **state)
{
    static const uint32_t codes[] = {CC_GET_CAPABILITY, CC_CREATE_PRIMARY, CC_START_SESSION};
    static const enum trick whats[] = {CUT, GARBAGE, TAG, LENGTH, HANG_UP};

    (void)state;
    for (size_t c = 0; c < sizeof codes / sizeof codes[0]; c++) {
        for (size_t w = 0; w < sizeof whats / sizeof whats[0]; w++) {
            tpm = qr_tpm_close(tpm);
            swtpm_reboot(&sw);
            plan_for(codes[c], whats[w], 12, 1);
            why[0] = '\0';
            assert_int_equal(qr_tpm_open(proxy.path, 0, &tpm, why, sizeof why), QR_ERR_PLATFORM);
            assert_int_equal(plan.count, 1);
            assert_null(tpm);
            assert_true(strlen(why) > 20);
        }
    }
    plan.what = NOTHING;
    swtpm_reboot(&sw);
    connect_tpm();
}

/* One bit of an answer in a session: its HMAC says so. */
static void
test_flipped(void **state)
{
    struct qr_dbuf d;
    uint8_t b[32];

    (void)state;
    qr_dbuf_init(&d, 256);
    must(qr_tpm_nv_write(tpm, 0x01800005, qr_view_str("what is kept")));
    for (size_t at = 0; at < 20; at++) {
        if (at % 2) {
            plan_for(CC_RANDOM, FLIP, 6 + at, 1);
            assert_int_equal(qr_tpm_random(tpm, b, sizeof b), QR_ERR_PLATFORM);
        } else {
            plan_for(CC_NV_READ, FLIP, 6 + at, 1);
            assert_int_equal(qr_tpm_nv_read(tpm, 0x01800005, 1, &d), QR_ERR_PLATFORM);
            assert_int_equal(d.len, 0);
        }
        assert_int_equal(plan.count, 1);
        if (at == 8) {
            says(qr_tpm_error(tpm), "somebody between this machine and its TPM");
            assert_int_equal(qr_tpm_random(tpm, b, sizeof b), QR_ERR_PLATFORM);
            says(qr_tpm_error(tpm), "out of step");
        }
        /* The session is out of step now; a new connection has a new one. */
        plan.what = NOTHING;
        tpm = qr_tpm_close(tpm);
        swtpm_reboot(&sw);
        connect_tpm();
    }
    qr_dbuf_free(&d);
}

/* Who answers with a salt key of his own is not who holds the attestation key. */
static void
test_vouch(void **state)
{
    (void)state;
    must(qr_tpm_key_own(tpm, &key));
    must(qr_tpm_vouch(tpm, &key));
    struct qr_tpm_key other = key;
    other.public_area[key.public_len - 1] ^= 1;
    assert_int_equal(qr_tpm_vouch(tpm, &other), QR_ERR_PLATFORM);
    says(qr_tpm_error(tpm), "does not vouch");
    for (size_t at = 10; at < 260; at += 25) {
        plan_for(CC_CERTIFY, FLIP, at, 1);
        assert_int_equal(qr_tpm_vouch(tpm, &key), QR_ERR_PLATFORM);
        plan.what = NOTHING;
        tpm = qr_tpm_close(tpm);
        swtpm_reboot(&sw);
        connect_tpm();
        must(qr_tpm_key_own(tpm, &key));
    }
    must(qr_tpm_vouch(tpm, &key));
}

/* A PCR changes between reading and quoting: again, a few times. */
static void
test_race(void **state)
{
    struct qr_tpm_quote q;
    uint8_t pcr[QR_TPM_PCRS][32];

    (void)state;
    must(qr_tpm_key_own(tpm, &key));
    for (unsigned times = 1; times <= 2; times++) {
        plan_for(CC_QUOTE, EXTEND, 0, times);
        must(qr_tpm_quote(tpm, &key, MASK, qr_view_str("binder"), &q));
        assert_int_equal(plan.count, times);
        plan.what = NOTHING;
        must(qr_tpm_pcr_read(tpm, MASK, pcr));
        assert_memory_equal(pcr[11], q.pcr[11], 32);
    }
    plan_for(CC_QUOTE, EXTEND, 0, 100);
    assert_int_equal(qr_tpm_quote(tpm, &key, MASK, qr_view_str("binder"), &q), QR_ERR_PLATFORM);
    assert_int_equal(plan.count, 3);
    says(qr_tpm_error(tpm), "changed while they were quoted, 3 times");
}

/* And between showing the policy and using the key. */
static void
test_race_unseal(void **state)
{
    struct qr_sec32 out = {{0}};

    (void)state;
    sign_now(1);
    must(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob));
    plan_for(CC_HMAC, EXTEND, 0, 1);
    assert_int_equal(qr_tpm_unseal(tpm, &rel.r, qr_view_of(blob.p, blob.len), &out), QR_ERR_SEAL);
    says(qr_tpm_error(tpm), "PCR 11 differs");
    assert_int_equal(plan.count, 1);

    /* A PCR that is none of ours: the TPM wants the policy shown again, and that is enough. */
    plan.what = NOTHING;
    uint8_t pcr[QR_TPM_PCRS][32];
    must(qr_tpm_pcr_read(tpm, 0x90, pcr));
    tpmrel_sign(&rel, 2, 0x90, (const uint8_t(*)[32])pcr);
    must(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob));
    plan_for(CC_HMAC, EXTEND, 0, 2);
    must(qr_tpm_unseal(tpm, &rel.r, qr_view_of(blob.p, blob.len), &out));
    assert_memory_equal(out.b, secret.b, 32);
    assert_int_equal(plan.count, 2);
}

/* PCR values that a bus makes up do not get past the quote. */
static void
test_false_pcrs(void **state)
{
    struct qr_tpm_quote q;

    (void)state;
    must(qr_tpm_key_own(tpm, &key));
    for (size_t at = 0; at < 60; at += 3) {
        plan_for(CC_PCR_READ, FLIP, at, 100);
        assert_int_equal(qr_tpm_quote(tpm, &key, MASK, qr_view_str("binder"), &q),
                         at < 4 ? QR_OK : QR_ERR_PLATFORM); /* 4 bytes of update counter */
    }
}

/* All that crosses while a secret is sealed and opened, and random bytes are drawn. */
static void
test_listener(void **state)
{
    struct qr_sec32 out = {{0}};

    (void)state;
    sign_now(1);
    plan_for(0, SPY, 0, 0);
    must(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob));
    must(qr_tpm_unseal(tpm, &rel.r, qr_view_of(blob.p, blob.len), &out));
    assert_int_equal(plan.seen, 0);
    assert_int_equal(plan.count, 2);
    assert_null(memmem(blob.p, blob.len, secret.b, 8));
    /* The listener does hear what is in the clear. */
    must(qr_tpm_nv_write(tpm, 0x01800006, qr_view_of(secret.b, 32)));
    plan.seen = 0;
    plan_for(0, SPY, 0, 0);
    struct qr_dbuf d;
    qr_dbuf_init(&d, 64);
    must(qr_tpm_nv_read(tpm, 0x01800006, 32, &d));
    assert_memory_equal(d.p, secret.b, 32);
    assert_int_equal(plan.seen, 0); /* encrypted as well */
    qr_dbuf_free(&d);
}

/* Any answer of an opening and a use, changed anywhere: an error or the right secret, never another. */
static void
test_any_answer(void **state)
{
    unsigned refused = 0;

    (void)state;
    sign_now(1);
    must(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob));
    for (unsigned n = 0; n < 40; n++) {
        struct qr_sec32 out = {{0}};
        tpm = qr_tpm_close(tpm);
        swtpm_reboot(&sw);
        plan_for(0, n % 2 ? FLIP : GARBAGE, n * 13, 1);
        plan.after = n % 20;
        if (qr_tpm_open(proxy.path, 0, &tpm, why, sizeof why) != QR_OK) {
            refused++;
            continue;
        }
        if (qr_tpm_unseal(tpm, &rel.r, qr_view_of(blob.p, blob.len), &out) != QR_OK) {
            refused++;
            assert_int_equal(out.b[0], 0);
        } else {
            assert_memory_equal(out.b, secret.b, 32);
        }
    }
    assert_true(refused > 20);
    plan.what = NOTHING;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_torn_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flipped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vouch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_race, setup, teardown),
        cmocka_unit_test_setup_teardown(test_race_unseal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_false_pcrs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_listener, setup, teardown),
        cmocka_unit_test_setup_teardown(test_any_answer, setup, teardown),
    };
    if (qr_hash_init() != QR_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
