/*
 * The NSM's client against a module in memory: what it asks and reads, how often it asks a busy
 * device, and every answer that is not one.
 */
#include "enclave-shim/nitro/nsm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/nitro_doc.h"
#include "enclave-shim/verify/verify.h"
#include "test/common/fakensm.h"
#include "test/common/tmpdir.h"

#include <errno.h>

static struct fakensm fake;
static struct qr_nsm nsm;
static uint8_t doc[QR_NSM_ANSWER_MAX];

static int
setup(void **state)
{
    (void)state;
    fakensm_init(&fake);
    struct qr_nsm_dev dev = fakensm_dev(&fake);
    qr_nsm_over(&nsm, &dev);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    qr_nsm_close(&nsm);
    return 0;
}

static void
test_describes(void **state)
{
    struct qr_nsm_info info;
    (void)state;
    assert_int_equal(qr_nsm_describe(&nsm, &info), QR_OK);
    assert_string_equal(info.module_id, "i-0123456789abcdef0-enc0123456789abcdef");
    assert_int_equal(info.version_major, 1);
    assert_int_equal(info.version_patch, 3);
    assert_int_equal(info.max_pcrs, 32);
    assert_int_equal(info.locked, 0xffff);
}

static void
test_random_is_collected(void **state)
{
    uint8_t a[600], b[600];
    (void)state;
    fake.random_len = 7;
    assert_int_equal(qr_nsm_random(&nsm, a, sizeof a), QR_OK);
    assert_int_equal(fake.calls, 86); /* 600 / 7, rounded up */
    assert_int_equal(qr_nsm_random(&nsm, b, sizeof b), QR_OK);
    assert_memory_not_equal(a, b, sizeof a);
    for (size_t i = 0; i < sizeof nsm.answer; i++) {
        assert_int_equal(nsm.answer[i], 0); /* nothing of it stays */
    }
    assert_int_equal(qr_nsm_random(&nsm, a, 0), QR_OK);
}

static void
test_registers(void **state)
{
    uint8_t r[QR_NSM_PCR_LEN], after[QR_NSM_PCR_LEN], want[QR_NSM_PCR_LEN], text[48 + 5] = {0};
    int locked = -1;
    (void)state;

    assert_int_equal(qr_nsm_pcr(&nsm, 0, r, &locked), QR_OK);
    assert_memory_equal(r, fake.pcr[0], sizeof r);
    assert_int_equal(locked, 1);
    assert_int_equal(qr_nsm_extend(&nsm, 16, qr_view_str("hello"), after), QR_OK);
    memcpy(text + 48, "hello", 5);
    evgen_sha384(qr_view_of(text, sizeof text), want);
    assert_memory_equal(after, want, sizeof want);
    assert_int_equal(qr_nsm_pcr(&nsm, 16, r, &locked), QR_OK);
    assert_int_equal(locked, 0);
    assert_int_equal(qr_nsm_lock(&nsm, 16), QR_OK);
    assert_int_equal(qr_nsm_pcr(&nsm, 16, r, &locked), QR_OK);
    assert_int_equal(locked, 1);
    assert_int_equal(qr_nsm_extend(&nsm, 16, qr_view_str("more"), after), QR_ERR_PLATFORM);
    assert_non_null(strstr(nsm.why, "ReadOnlyIndex"));
    assert_non_null(strstr(nsm.why, "locked"));
}

static void
test_arguments(void **state)
{
    uint8_t r[QR_NSM_PCR_LEN], big[1025] = {0};
    int locked;
    struct qr_buf b = qr_buf_over(doc, sizeof doc), small = qr_buf_over(doc, 100);
    const qr_view none = {0};
    (void)state;

    assert_int_equal(qr_nsm_pcr(&nsm, 32, r, &locked), QR_ERR_USAGE);
    assert_int_equal(qr_nsm_extend(&nsm, 15, qr_view_str("x"), r), QR_ERR_USAGE);
    assert_int_equal(qr_nsm_extend(&nsm, 32, qr_view_str("x"), r), QR_ERR_USAGE);
    assert_int_equal(qr_nsm_extend(&nsm, 16, none, r), QR_ERR_USAGE);
    assert_int_equal(qr_nsm_extend(&nsm, 16, qr_view_of(big, 513), r), QR_ERR_USAGE);
    assert_int_equal(qr_nsm_lock(&nsm, 3), QR_ERR_USAGE);
    assert_int_equal(qr_nsm_attest(&nsm, qr_view_of(big, 513), none, none, &b), QR_ERR_USAGE);
    assert_int_equal(qr_nsm_attest(&nsm, none, qr_view_of(big, 513), none, &b), QR_ERR_USAGE);
    assert_int_equal(qr_nsm_attest(&nsm, none, none, qr_view_of(big, 1025), &b), QR_ERR_USAGE);
    assert_int_equal(fake.calls, 0); /* the device was not asked */
    assert_int_equal(qr_nsm_attest(&nsm, none, none, none, &small), QR_ERR_NO_SPACE);
    assert_int_equal(small.len, 0);
    /* All three at their bounds fit one request. */
    assert_int_equal(
        qr_nsm_attest(&nsm, qr_view_of(big, 512), qr_view_of(big, 512), qr_view_of(big, 1024), &b),
        QR_OK);
}

/* The document is the verifier's idea of one, with our fields in it. */
static void
test_attests(void **state)
{
    static struct qr_verdict v;
    struct qr_nitro_doc d;
    struct qr_buf b = qr_buf_over(doc, sizeof doc);
    struct qr_evidence e = {.kind = QR_EV_NITRO};
    uint8_t nonce[32];
    (void)state;

    memset(nonce, 0x37, sizeof nonce);
    struct qr_verify_opts o = {.roots = fakensm_roots(),
                               .now_ms = EVGEN_NOW_MS,
                               .binder = qr_view_of(nonce, sizeof nonce)};
    assert_int_equal(qr_nsm_attest(&nsm, qr_view_str("user"), qr_view_of(nonce, sizeof nonce),
                                   qr_view_str("key"), &b),
                     QR_OK);
    assert_int_equal(qr_evidence_add(&e, QR_PART_NITRO_DOCUMENT, 0, qr_buf_view(&b)), QR_OK);
    if (qr_verify(&e, &o, &v, NULL) != QR_OK) {
        fail_msg("%s", v.sentence);
    }
    qr_verdict_init(&v);
    assert_int_equal(qr_nitro_parse(qr_buf_view(&b), &v, &d), QR_OK);
    assert_true(qr_view_eq(d.user_data.v, qr_view_str("user")));
    assert_true(qr_view_eq(d.public_key.v, qr_view_str("key")));
    assert_int_equal(d.timestamp_ms, EVGEN_NOW_MS);
}

/* QEMU's module signs nothing: alg -1, zeros for certificate and signature. No policy may believe it. */
static void
test_unsigned_document_is_refused(void **state)
{
    static struct qr_verdict v;
    static uint8_t again[QR_NSM_ANSWER_MAX];
    static const uint8_t nonce[32] = {1};
    struct qr_buf b = qr_buf_over(doc, sizeof doc);
    struct qr_verify_opts o = {.roots = fakensm_roots(),
                               .now_ms = EVGEN_NOW_MS,
                               .binder = qr_view_of(nonce, sizeof nonce)};
    const int64_t times[] = {EVGEN_NOW_MS, -1};
    (void)state;

    fake.dummy = 1;
    assert_int_equal(qr_nsm_attest(&nsm, qr_view_of(NULL, 0), qr_view_of(nonce, sizeof nonce),
                                   qr_view_of(NULL, 0), &b),
                     QR_OK);
    struct qr_evidence e = {.kind = QR_EV_NITRO};
    assert_int_equal(qr_evidence_add(&e, QR_PART_NITRO_DOCUMENT, 0, qr_buf_view(&b)), QR_OK);
    for (size_t i = 0; i < 2; i++) {
        for (int builtin = 0; builtin < 2; builtin++) {
            o.now_ms = times[i];
            o.roots = builtin ? NULL : fakensm_roots();
            assert_int_equal(qr_verify(&e, &o, &v, NULL), QR_ERR_ATTESTATION);
            assert_int_equal(v.failed, QR_CHECK_ALGORITHM);
            assert_int_equal(v.reason, QR_REASON_UNSUPPORTED);
        }
    }
    /* The same fields, signed: what tests in a guest show to verifiers that pin the throwaway root. */
    size_t n = fakensm_resign_document(qr_buf_view(&b), again, sizeof again);
    struct qr_evidence signed_again = {.kind = QR_EV_NITRO};
    assert_int_equal(
        qr_evidence_add(&signed_again, QR_PART_NITRO_DOCUMENT, 0, qr_view_of(again, n)), QR_OK);
    o.roots = fakensm_roots();
    o.now_ms = EVGEN_NOW_MS;
    assert_int_equal(qr_verify(&signed_again, &o, &v, NULL), QR_OK);
    o.roots = NULL; /* AWS's root alone */
    assert_int_equal(qr_verify(&signed_again, &o, &v, NULL), QR_ERR_ATTESTATION);
    assert_int_equal(v.reason, QR_REASON_UNTRUSTED_ROOT);
}

/* The same of a document that the emulator really made (test/vectors/nsm). */
static void
test_emulators_document_is_refused(void **state)
{
    static struct qr_verdict v;
    static uint8_t again[QR_NSM_ANSWER_MAX];
    struct qr_nitro_doc d;
    struct qr_verify_opts o = {.roots = fakensm_roots(), .now_ms = -1};
    (void)state;

    size_t n = tmpdir_read("test/vectors/nsm/qemu-10-document.cbor", doc, sizeof doc);
    struct qr_evidence e = {.kind = QR_EV_NITRO};
    assert_int_equal(qr_evidence_add(&e, QR_PART_NITRO_DOCUMENT, 0, qr_view_of(doc, n)), QR_OK);
    for (int builtin = 0; builtin < 2; builtin++) {
        o.roots = builtin ? NULL : fakensm_roots();
        assert_int_equal(qr_verify(&e, &o, &v, NULL), QR_ERR_ATTESTATION);
        assert_int_equal(v.failed, QR_CHECK_ALGORITHM);
    }
    n = fakensm_resign_document(qr_view_of(doc, n), again, sizeof again);
    qr_verdict_init(&v);
    assert_int_equal(qr_nitro_parse(qr_view_of(again, n), &v, &d), QR_OK);
    struct qr_evidence same = {.kind = QR_EV_NITRO};
    assert_int_equal(qr_evidence_add(&same, QR_PART_NITRO_DOCUMENT, 0, qr_view_of(again, n)),
                     QR_OK);
    o.now_ms = (int64_t)d.timestamp_ms;
    o.roots = fakensm_roots();
    assert_int_equal(qr_verify(&same, &o, &v, NULL), QR_OK);
    o.roots = NULL;
    assert_int_equal(qr_verify(&same, &o, &v, NULL), QR_ERR_ATTESTATION);
    assert_int_equal(v.reason, QR_REASON_UNTRUSTED_ROOT);
}

static void
test_resigning_device(void **state)
{
    static struct qr_verdict v;
    static struct qr_nsm over;
    struct qr_nsm_info info;
    struct qr_nitro_doc d;
    struct qr_buf b = qr_buf_over(doc, sizeof doc);
    struct qr_nsm_dev inner = fakensm_dev(&fake), dev = fakensm_resign(&inner);
    (void)state;

    fake.dummy = 1;
    qr_nsm_over(&over, &dev);
    assert_int_equal(qr_nsm_describe(&over, &info), QR_OK);
    assert_int_equal(
        qr_nsm_attest(&over, qr_view_of(NULL, 0), qr_view_str("n"), qr_view_of(NULL, 0), &b),
        QR_OK);
    qr_verdict_init(&v);
    assert_int_equal(qr_nitro_parse(qr_buf_view(&b), &v, &d), QR_OK);
    assert_true(qr_view_eq(d.nonce.v, qr_view_str("n")));
    assert_memory_equal(d.pcr[0].p, fake.pcr[0], QR_NSM_PCR_LEN);
    fake.error = "InternalError";
    assert_int_equal(qr_nsm_describe(&over, &info), QR_ERR_PLATFORM);
    qr_nsm_close(&over);
}

static void
test_root_is_always_the_same(void **state)
{
    struct evgen_der a;
    uint8_t sha[32];
    char hex[65];
    struct evgen_buf b = evgen_buf_over(hex, sizeof hex);
    (void)state;
    fakensm_root(&a);
    evgen_sha256(evgen_view(&a), sha);
    evgen_put_hex(&b, qr_view_of(sha, sizeof sha));
    hex[64] = 0;
    assert_string_equal(hex, "02de50de7b176c93161af14af8e259a0309054e199967a0163793ab987ead7e3");
}

static void
test_busy_device(void **state)
{
    static const int again[] = {EINTR, EAGAIN, EBUSY, ETIMEDOUT};
    struct qr_nsm_info info;
    (void)state;

    for (size_t i = 0; i < sizeof again / sizeof again[0]; i++) {
        fake.fail_errno = again[i];
        fake.fail_times = QR_NSM_TRIES - 1;
        fake.calls = fake.pauses = fake.paused_ms = 0;
        assert_int_equal(qr_nsm_describe(&nsm, &info), QR_OK);
        assert_int_equal(fake.calls, QR_NSM_TRIES);
        assert_int_equal(fake.pauses, QR_NSM_TRIES - 1);
        assert_int_equal(fake.paused_ms, 127);
        fake.fail_times = 100;
        fake.calls = 0;
        assert_int_equal(qr_nsm_describe(&nsm, &info), QR_ERR_PLATFORM);
        assert_int_equal(fake.calls, QR_NSM_TRIES);
        assert_non_null(strstr(nsm.why, "busy"));
        fake.fail_times = 0;
    }
}

static void
test_denied_device(void **state)
{
    static const struct {
        int e;
        const char *word;
    } table[] = {{EPERM, "denies"}, {EACCES, "denies"}, {ENOTTY, "no NSM"}, {EIO, "error"}};
    struct qr_nsm_info info;
    (void)state;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        fake.fail_errno = table[i].e;
        fake.fail_times = 100;
        fake.calls = 0;
        assert_int_equal(qr_nsm_describe(&nsm, &info), QR_ERR_PLATFORM);
        assert_int_equal(fake.calls, 1);
        assert_non_null(strstr(nsm.why, table[i].word));
        assert_non_null(strstr(nsm.why, "DescribeNSM"));
    }
}

static void
test_refusals_in_words(void **state)
{
    static const char *const names[] = {"InvalidArgument", "InvalidIndex",     "InvalidResponse",
                                        "ReadOnlyIndex",   "InvalidOperation", "BufferTooSmall",
                                        "InputTooLarge",   "InternalError"};
    uint8_t r[QR_NSM_PCR_LEN] = {9};
    (void)state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fake.error = names[i];
        assert_int_equal(qr_nsm_random(&nsm, r, sizeof r), QR_ERR_PLATFORM);
        assert_non_null(strstr(nsm.why, names[i]));
        assert_non_null(strchr(nsm.why, '('));
        assert_int_equal(r[0], 9);
        assert_int_equal(qr_nsm_lock(&nsm, 20), QR_ERR_PLATFORM);
        assert_non_null(strstr(nsm.why, names[i]));
    }
    fake.error = "Something\nelse that is much longer than anything of ours";
    assert_int_equal(qr_nsm_random(&nsm, r, sizeof r), QR_ERR_PLATFORM);
    assert_non_null(strstr(nsm.why, "Something?else"));
}

static void
test_false_lengths(void **state)
{
    static const size_t claims[] = {0, QR_NSM_ANSWER_MAX + 1, SIZE_MAX};
    struct qr_nsm_info info;
    (void)state;
    fake.claims_len = 1;
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        fake.claim = claims[i];
        assert_int_equal(qr_nsm_describe(&nsm, &info), QR_ERR_PLATFORM);
        assert_non_null(strstr(nsm.why, "expected an answer of"));
    }
}

static qr_err
ask(unsigned what)
{
    struct qr_nsm_info info;
    uint8_t r[QR_NSM_PCR_LEN];
    int locked;

    switch (what) {
    case 0:
        return qr_nsm_describe(&nsm, &info);
    case 1:
        return qr_nsm_pcr(&nsm, 1, r, &locked);
    case 2:
        return qr_nsm_extend(&nsm, 17, qr_view_str("a"), r);
    default:
        return qr_nsm_lock(&nsm, 18);
    }
}

/* Of all lengths of each answer's bytes exactly one is right: no prefix, nothing behind it. */
static void
test_cut_answers(void **state)
{
    static uint8_t mem[QR_NSM_ANSWER_MAX];
    (void)state;

    for (unsigned what = 0; what < 4; what++) {
        size_t right = 0;
        fake.raw = qr_view_of(NULL, 0);
        memset(nsm.answer, 0, sizeof nsm.answer);
        assert_int_equal(ask(what), QR_OK);
        memcpy(mem, nsm.answer, sizeof mem);
        for (size_t len = 1; len < 400; len++) {
            fake.raw = qr_view_of(mem, len);
            qr_err e = ask(what);
            right += e == QR_OK;
            assert_true(e == QR_OK || e == QR_ERR_PLATFORM);
        }
        assert_int_equal(right, 1);
    }
}

struct raw_case {
    const char *what, *bytes;
    size_t len;
    qr_err want;
};
#define RAW(what, bytes, want)                                                                     \
    {                                                                                              \
        what, bytes, sizeof bytes - 1, want                                                        \
    }

/* Answers to GetRandom; "ab" repeated is random enough here. */
static void
test_forms_of_answers(void **state)
{
    static const struct raw_case table[] = {
        RAW("the plain form",
            "\xa1\x69GetRandom\xa1\x66random\x42"
            "ab",
            QR_OK),
        RAW("indefinite maps",
            "\xbf\x69GetRandom\xbf\x66random\x42"
            "ab\xff\xff",
            QR_OK),
        RAW("an unknown member",
            "\xa1\x69GetRandom\xa2\x61x\x82\x01\xa1\x61y\xf6\x66random\x42"
            "ab",
            QR_OK),
        RAW("an unknown member that is an indefinite map",
            "\xa1\x69GetRandom\xa2\x61x\xbf\x01\x02\xff\x66random\x42"
            "ab",
            QR_OK),
        RAW("a wide head",
            "\xa1\x69GetRandom\xa1\x66random\x58\x02"
            "ab",
            QR_OK),
        RAW("a map without its break",
            "\xbf\x69GetRandom\xbf\x66random\x42"
            "ab\xff",
            QR_ERR_PLATFORM),
        RAW("a break that splits a pair", "\xa1\x69GetRandom\xbf\x66random\xff", QR_ERR_PLATFORM),
        RAW("an unknown indefinite map with half a pair",
            "\xa1\x69GetRandom\xa2\x61x\xbf\x01\xff\x66random\x42"
            "ab",
            QR_ERR_PLATFORM),
        RAW("another question's answer",
            "\xa1\x67LockPCR\xa1\x66random\x42"
            "ab",
            QR_ERR_PLATFORM),
        RAW("a member twice",
            "\xa1\x69GetRandom\xa2\x66random\x42"
            "ab\x66random\x42"
            "ab",
            QR_ERR_PLATFORM),
        RAW("no member", "\xa1\x69GetRandom\xa0", QR_ERR_PLATFORM),
        RAW("no bytes", "\xa1\x69GetRandom\xa1\x66random\x40", QR_ERR_PLATFORM),
        RAW("text for bytes",
            "\xa1\x69GetRandom\xa1\x66random\x62"
            "ab",
            QR_ERR_PLATFORM),
        RAW("a number for bytes", "\xa1\x69GetRandom\xa1\x66random\x02", QR_ERR_PLATFORM),
        RAW("an indefinite string",
            "\xa1\x69GetRandom\xa1\x66random\x5f\x42"
            "ab\xff",
            QR_ERR_PLATFORM),
        RAW("a tag",
            "\xa1\x69GetRandom\xa1\x66random\xc0\x42"
            "ab",
            QR_ERR_PLATFORM),
        RAW("a float",
            "\xa1\x69GetRandom\xa2\x61x\xf9\x00\x00\x66random\x42"
            "ab",
            QR_ERR_PLATFORM),
        RAW("a length of gigabytes",
            "\xa1\x69GetRandom\xa1\x66random\x5b\x7f\xff\xff\xff\xff\xff"
            "\xff\xff"
            "ab",
            QR_ERR_PLATFORM),
        RAW("a map of gigabytes",
            "\xba\xff\xff\xff\xff\x69GetRandom\xa1\x66random\x42"
            "ab",
            QR_ERR_PLATFORM),
        RAW("two answers",
            "\xa2\x69GetRandom\xa1\x66random\x42"
            "ab\x61x\x01",
            QR_ERR_PLATFORM),
        RAW("bytes behind it",
            "\xa1\x69GetRandom\xa1\x66random\x42"
            "abc",
            QR_ERR_PLATFORM),
        RAW("an array", "\x81\x69GetRandom", QR_ERR_PLATFORM),
        RAW("a text alone", "\x69GetRandom", QR_ERR_PLATFORM),
        RAW("an error that is no text",
            "\xa1\x65"
            "Error\x01",
            QR_ERR_PLATFORM),
        RAW("an error and more",
            "\xa2\x65"
            "Error\x61x\x61y\x61z",
            QR_ERR_PLATFORM),
        RAW("nested too deeply",
            "\xa1\x69GetRandom\xa2\x61x\x81\x81\x81\x81\x81\x81\x81\x81\x81\x01\x66random\x42"
            "ab",
            QR_ERR_PLATFORM),
        RAW("one byte, repeated",
            "\xa1\x69GetRandom\xa1\x66random\x50\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07"
            "\x07"
            "\x07\x07\x07",
            QR_ERR_PLATFORM),
    };
    (void)state;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t out[2] = {0};
        fake.raw = qr_view_of(table[i].bytes, table[i].len);
        qr_err e = qr_nsm_random(&nsm, out, sizeof out);
        if (e != table[i].want) {
            fail_msg("%s: %s (%s)", table[i].what, qr_err_name(e), nsm.why);
        }
        if (e == QR_OK) {
            assert_memory_equal(out, "ab", 2);
        }
    }
}

static void
test_describe_is_judged(void **state)
{
    static const struct raw_case table[] = {
        RAW("another digest",
            "\xa1\x6b"
            "DescribeNSM\xa7\x6dversion_major\x01\x6dversion_minor\x00"
            "\x6dversion_patch\x00\x69module_id\x61i\x68max_pcrs\x18\x20\x6blocked_pcrs\x81\x00"
            "\x66"
            "digest\x66SHA512",
            QR_ERR_PLATFORM),
        RAW("a lock above the last",
            "\xa1\x6b"
            "DescribeNSM\xa7\x6dversion_major\x01\x6dversion_minor"
            "\x00\x6dversion_patch\x00\x69module_id\x61i\x68max_pcrs\x18\x20\x6blocked_pcrs\x81\x18"
            "\x20\x66"
            "digest\x66SHA384",
            QR_ERR_PLATFORM),
        RAW("a lock twice",
            "\xa1\x6b"
            "DescribeNSM\xa7\x6dversion_major\x01\x6dversion_minor\x00"
            "\x6dversion_patch\x00\x69module_id\x61i\x68max_pcrs\x18\x20\x6blocked_pcrs\x82\x03\x03"
            "\x66"
            "digest\x66SHA384",
            QR_ERR_PLATFORM),
        RAW("a line break in the id",
            "\xa1\x6b"
            "DescribeNSM\xa7\x6dversion_major\x01\x6dversion_minor"
            "\x00\x6dversion_patch\x00\x69module_id\x61\n\x68max_pcrs\x18\x20\x6blocked_"
            "pcrs\x81\x00"
            "\x66"
            "digest\x66SHA384",
            QR_ERR_PLATFORM),
        RAW("forty registers",
            "\xa1\x6b"
            "DescribeNSM\xa7\x6dversion_major\x01\x6dversion_minor\x00"
            "\x6dversion_patch\x00\x69module_id\x61i\x68max_pcrs\x18\x28\x6blocked_pcrs\x81\x00"
            "\x66"
            "digest\x66SHA384",
            QR_ERR_PLATFORM),
        RAW("an indefinite list of locks",
            "\xa1\x6b"
            "DescribeNSM\xa7\x6dversion_major\x01\x6dversion_minor"
            "\x00\x6dversion_patch\x00\x69module_id\x61i\x68max_pcrs\x18\x20\x6blocked_pcrs\x9f\x00"
            "\x02\xff\x66"
            "digest\x66SHA384",
            QR_OK),
    };
    struct qr_nsm_info info;
    (void)state;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        fake.raw = qr_view_of(table[i].bytes, table[i].len);
        qr_err e = qr_nsm_describe(&nsm, &info);
        if (e != table[i].want) {
            fail_msg("%s: %s (%s)", table[i].what, qr_err_name(e), nsm.why);
        }
    }
    assert_int_equal(info.locked, 5);
}

static void
test_missing_device(void **state)
{
    struct qr_nsm n;
    (void)state;
    assert_int_equal(qr_nsm_open("/nonexistent/nsm", &n), QR_ERR_PLATFORM);
    assert_non_null(strstr(n.why, "no Nitro enclave"));
    qr_nsm_close(&n);
    /* A device of another kind opens, and says at the first question what it is not. */
    assert_int_equal(qr_nsm_open("/dev/null", &n), QR_OK);
    struct qr_nsm_info info;
    assert_int_equal(qr_nsm_describe(&n, &info), QR_ERR_PLATFORM);
    assert_non_null(strstr(n.why, "no NSM"));
    qr_nsm_close(&n);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_describes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random_is_collected, setup, teardown),
        cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unsigned_document_is_refused, setup, teardown),
        cmocka_unit_test(test_emulators_document_is_refused),
        cmocka_unit_test_setup_teardown(test_resigning_device, setup, teardown),
        cmocka_unit_test(test_root_is_always_the_same),
        cmocka_unit_test_setup_teardown(test_busy_device, setup, teardown),
        cmocka_unit_test_setup_teardown(test_denied_device, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals_in_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_false_lengths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forms_of_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_describe_is_judged, setup, teardown),
        cmocka_unit_test(test_missing_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
