/*
 * The largest single allocation of a verification, over every platform's evidence: as it is, with bytes
 * changed, with large and hostile pieces of each kind. None is above 1 MiB, whoever makes it: the
 * product, OpenSSL, jansson.
 */
#include "enclave-shim/verify/quorate_verify.h"
#include "enclave-shim/verify/verify.h"
#include "protocol/base/mem.h"
#include "test/common/evgen_all.h"
#include "test/common/evgen_ca.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#define LIMIT (1024u * 1024u)

static size_t largest, calls;

static void
note(size_t n)
{
    calls++;
    largest = n > largest ? n : largest;
}

/* Product and jansson: both come through mem.c. */
static int
gate(size_t n)
{
    note(n);
    return 1;
}

static void *
ssl_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    note(n);
    return malloc(n);
}

static void *
ssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    note(n);
    return realloc(p, n);
}

static void
ssl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

static struct qr_verdict v;

static void
verify(const struct qr_evidence *e, const struct qr_verify_opts *o)
{
    qr_err err = qr_verify(e, o, &v, NULL);
    assert_true(err == QR_OK || err == QR_ERR_ATTESTATION);
    assert_true(largest <= LIMIT);
}

static int
quick(void)
{
    const char *set = getenv("QR_TEST_QUICK");
    return set && set[0] == '1';
}

static void
test_genuine(void **state)
{
    (void)state;
    calls = 0;
    for (size_t i = 0; i < evall_n(); i++) {
        struct qr_verify_opts o = evall_opts(i);
        verify(&evall_get(i)->e, &o);
        assert_int_equal(v.reason, QR_REASON_NONE);
    }
    assert_true(calls > 1000); /* the counters count */
}

/* Bytes all over every piece set high. */
static void
test_changed(void **state)
{
    static uint8_t copy[131072];
    (void)state;
    for (size_t i = 0; i < evall_n(); i++) {
        struct qr_verify_opts o = evall_opts(i);
        for (size_t k = 0; k < evall_get(i)->e.n; k++) {
            struct qr_evidence e = evall_get(i)->e;
            qr_view was = e.item[k].bytes;
            size_t step = was.len / (quick() ? 2 : 4) + 1;
            memcpy(copy, was.p, was.len);
            e.item[k].bytes.p = copy;
            for (size_t at = 0; at < was.len; at += step) {
                copy[at] = 0xff;
                verify(&e, &o);
                copy[at] = was.p[at];
            }
        }
    }
}

/* As large as a piece may be, in forms that ask for more: nested, long, many. */
static size_t
hostile(unsigned form, uint8_t *out, size_t max)
{
    static const char *const text[] = {"[", "{\"a\":", "\"",
                                       "9", "[1,",     "-----BEGIN CERTIFICATE-----\n"};
    size_t n = 0;
    if (form < 6) {
        const char *s = text[form];
        size_t len = strlen(s);
        int once = form == 2 || form == 5;
        memcpy(out, s, len < max ? len : max);
        for (n = len; n < max; n++) {
            out[n] = once ? 'A' : (uint8_t)s[n % len];
        }
        return max;
    }
    memset(out, form == 6 ? 0xff : form == 7 ? 0x30 : form == 8 ? 0x9f : 0x00, max);
    if (form == 9 && max > 6) { /* a SEQUENCE that is the whole piece */
        out[0] = 0x30;
        out[1] = 0x83;
        evgen_set_be(out + 2, max - 5, 3);
        for (n = 5; n + 4 <= max; n += 4) {
            memcpy(out + n, "\x30\x02\x05\x00", 4);
        }
    }
    if (form == 10 && max > 5) { /* CBOR: a byte string, and an array, of 4 GiB */
        memcpy(out, "\x5a\xff\xff\xff\xff", 5);
    }
    if (form == 11 && max > 5) {
        memcpy(out, "\x9a\xff\xff\xff\xff", 5);
    }
    return max;
}

static void
test_hostile(void **state)
{
    static uint8_t big[131072];
    (void)state;
    for (size_t i = 0; i < evall_n(); i++) {
        struct qr_verify_opts o = evall_opts(i);
        for (size_t k = 0; k < evall_get(i)->e.n; k++) {
            /* the quick set: each form for a third of the pieces */
            for (unsigned form = quick() ? (unsigned)(i + k) % 3 : 0; form < 12;
                 form += quick() ? 3 : 1) {
                struct qr_evidence e = evall_get(i)->e;
                size_t max = qr_part_max(e.item[k].part);
                e.item[k].bytes = qr_view_of(big, hostile(form, big, max));
                verify(&e, &o);
            }
        }
    }
}

/* The handles of the library, and a policy as large as one may be. */
static void
test_library(void **state)
{
    static char text[262144];
    static uint8_t wire[QR_EVIDENCE_TOTAL_MAX + 4096];
    char err[256];
    (void)state;
    for (unsigned form = 0; form < 6; form++) {
        (void)hostile(form, (uint8_t *)text, sizeof text);
        assert_null(quorate_policy_read(text, sizeof text, err, sizeof err));
    }
    struct quorate_request *r = quorate_request_new();
    for (size_t i = 0; i < evall_n(); i++) {
        struct qr_buf b = qr_buf_over(wire, sizeof wire);
        qr_evidence_encode(&evall_get(i)->e, &b);
        struct quorate_evidence *e = quorate_evidence_read(wire, b.len);
        struct quorate_verdict *verdict = quorate_verify(e, r);
        assert_non_null(verdict);
        quorate_verdict_free(verdict);
        quorate_evidence_free(e);
    }
    quorate_request_free(r);
    assert_true(largest <= LIMIT);
    print_message("largest allocation: %zu bytes\n", largest);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_genuine),
        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_library),
    };
    /* before OpenSSL allocates anything */
    if (CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free) != 1) {
        return 1;
    }
    (void)evall_n();
    qr_alloc_gate(gate);
    largest = 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
