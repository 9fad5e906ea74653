/* Text encodings: RFC 4648's vectors, and that every text has at most one decoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/enc.h"
#include "test/common/testrng.h"
#include "test/common/vectors.h"

/* RFC 4648 section 10. */
static void
test_rfc4648(void **state)
{
    static const struct {
        const char *plain, *b64, *hex;
    } known[] = {
        {"", "", ""},
        {"f", "Zg==", "66"},
        {"fo", "Zm8=", "666f"},
        {"foo", "Zm9v", "666f6f"},
        {"foob", "Zm9vYg==", "666f6f62"},
        {"fooba", "Zm9vYmE=", "666f6f6261"},
        {"foobar", "Zm9vYmFy", "666f6f626172"},
    };
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        qr_view v = qr_view_str(known[i].plain);
        char text[32];
        uint8_t out[16];
        size_t n;

        qr_b64_encode(v, text);
        assert_string_equal(text, known[i].b64);
        assert_int_equal(qr_b64_len(v.len), strlen(text));
        assert_int_equal(qr_b64_decode(text, strlen(text), out, sizeof out, &n), QR_OK);
        assert_true(qr_view_eq(v, qr_view_of(out, n)));

        qr_b64url_encode(v, text); /* the same letters here, without padding */
        assert_int_equal(strlen(text), strcspn(known[i].b64, "="));
        assert_memory_equal(text, known[i].b64, strlen(text));
        assert_int_equal(qr_b64url_len(v.len), strlen(text));
        assert_int_equal(qr_b64url_decode(text, strlen(text), out, sizeof out, &n), QR_OK);
        assert_true(qr_view_eq(v, qr_view_of(out, n)));

        qr_hex_encode(v, text);
        assert_string_equal(text, known[i].hex);
        assert_int_equal(qr_hex_decode(text, strlen(text), out, v.len), QR_OK);
        assert_true(qr_view_eq(v, qr_view_of(out, v.len)));
        count += 2;
    }
    vectors_ran("RFC 4648 base64 and base16", count);
}

static void
test_alphabets(void **state)
{
    const uint8_t b[6] = {0xfb, 0xff, 0xbf, 0xff, 0xef, 0xfe};
    char text[16];
    uint8_t out[6];
    size_t n;

    (void)state;
    qr_b64_encode(qr_view_of(b, 6), text);
    assert_string_equal(text, "+/+//+/+");
    assert_int_equal(qr_b64url_decode(text, 8, out, 6, &n), QR_ERR_MALFORMED);
    qr_b64url_encode(qr_view_of(b, 6), text);
    assert_string_equal(text, "-_-__-_-");
    assert_int_equal(qr_b64_decode(text, 8, out, 6, &n), QR_ERR_MALFORMED);
}

/* A text that decodes must be the one its value encodes to. Returns 1 if it decodes. */
static int
canonical_or_refused(const char *text, size_t len)
{
    uint8_t out[16];
    char back[32];
    size_t n;
    int taken = 0;

    if (qr_b64_decode(text, len, out, sizeof out, &n) == QR_OK) {
        qr_b64_encode(qr_view_of(out, n), back);
        assert_int_equal(strlen(back), len);
        assert_memory_equal(back, text, len);
        taken = 1;
    }
    if (qr_b64url_decode(text, len, out, sizeof out, &n) == QR_OK) {
        qr_b64url_encode(qr_view_of(out, n), back);
        assert_int_equal(strlen(back), len);
        assert_memory_equal(back, text, len);
        taken = 1;
    }
    if (len % 2 == 0 && qr_hex_decode(text, len, out, len / 2) == QR_OK) {
        qr_hex_encode(qr_view_of(out, len / 2), back);
        assert_memory_equal(back, text, len);
        taken = 1;
    }
    return taken;
}

/* All texts of up to 5 letters over an alphabet that has every kind of letter. */
static void
test_one_decoding_each(void **state)
{
    static const char letters[] = "AQgw0a+/-_=F \n";
    size_t n_letters = sizeof letters; /* with the NUL */
    size_t taken = 0, all = 0;

    (void)state;
    for (size_t len = 0; len <= 5; len++) {
        size_t total = 1;
        for (size_t i = 0; i < len; i++) {
            total *= n_letters;
        }
        for (size_t k = 0; k < total; k++) {
            char text[8];
            size_t rest = k;
            for (size_t i = 0; i < len; i++) {
                text[i] = letters[rest % n_letters];
                rest /= n_letters;
            }
            taken += (size_t)canonical_or_refused(text, len);
            all++;
        }
    }
    assert_true(taken > 1000 && taken < all / 2);
}

static void
test_every_byte_value(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char text[4] = {'a', 'a', 'a', (char)c};
        (void)canonical_or_refused(text, 4);
        uint8_t out[2];
        qr_err want = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ? QR_OK : QR_ERR_MALFORMED;
        assert_int_equal(qr_hex_decode(text, 4, out, 2), want);
    }
}

static void
test_refusals(void **state)
{
    static const char *const bad_b64[] = {"Zg",       "Zg=",   "Zg===",  "=",    "==",   "===",
                                          "====",     "Z===",  "Zh==",   "Zm9=", "Zm=v", "Z=9v",
                                          "Zg==Zg==", " Zg==", "Zg==\n", "Zm9v="};
    static const char *const bad_url[] = {"Z", "Zg==", "Zm8=", "Zh", "Zm9", "Zm9vY", "Zm 9"};
    static const char *const bad_hex[] = {"6", "6F", "0x", "6 ", "g0", "666"};
    uint8_t out[16], before[16];
    size_t n = 77;

    (void)state;
    memset(out, 0x5a, sizeof out);
    memcpy(before, out, sizeof out);
    for (size_t i = 0; i < sizeof bad_b64 / sizeof bad_b64[0]; i++) {
        assert_int_equal(qr_b64_decode(bad_b64[i], strlen(bad_b64[i]), out, sizeof out, &n),
                         QR_ERR_MALFORMED);
    }
    for (size_t i = 0; i < sizeof bad_url / sizeof bad_url[0]; i++) {
        assert_int_equal(qr_b64url_decode(bad_url[i], strlen(bad_url[i]), out, sizeof out, &n),
                         QR_ERR_MALFORMED);
    }
    for (size_t i = 0; i < sizeof bad_hex / sizeof bad_hex[0]; i++) {
        assert_int_equal(qr_hex_decode(bad_hex[i], strlen(bad_hex[i]), out, 1), QR_ERR_MALFORMED);
    }
    assert_int_equal(qr_hex_decode("6666", 4, out, 1), QR_ERR_MALFORMED);
    assert_int_equal(qr_hex_decode("66", 2, out, 2), QR_ERR_MALFORMED);
    assert_int_equal(qr_b64_decode("Zm9v", 4, out, 2, &n), QR_ERR_TOO_LARGE);
    assert_int_equal(qr_b64url_decode("Zm8", 3, out, 1, &n), QR_ERR_TOO_LARGE);
    /* Nothing was written by any of them. */
    assert_memory_equal(out, before, sizeof out);
    assert_int_equal(n, 77);
}

static void
test_round_trips(void **state)
{
    struct qr_testrng rng;
    (void)state;
    qr_testrng_seed(&rng, "enc");
    for (size_t len = 0; len < 200; len++) {
        uint8_t b[200], out[200];
        char text[401];
        size_t n;
        qr_testrng_fill(&rng, b, len);
        qr_b64_encode(qr_view_of(b, len), text);
        assert_int_equal(strlen(text), qr_b64_len(len));
        assert_int_equal(qr_b64_decode(text, strlen(text), out, len, &n), QR_OK);
        assert_true(qr_view_eq(qr_view_of(b, len), qr_view_of(out, n)));
        qr_b64url_encode(qr_view_of(b, len), text);
        assert_int_equal(strlen(text), qr_b64url_len(len));
        assert_int_equal(qr_b64url_decode(text, strlen(text), out, len, &n), QR_OK);
        assert_true(qr_view_eq(qr_view_of(b, len), qr_view_of(out, n)));
        qr_hex_encode(qr_view_of(b, len), text);
        assert_int_equal(qr_hex_decode(text, strlen(text), out, len), QR_OK);
        assert_true(qr_view_eq(qr_view_of(b, len), qr_view_of(out, len)));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc4648),           cmocka_unit_test(test_alphabets),
        cmocka_unit_test(test_one_decoding_each), cmocka_unit_test(test_every_byte_value),
        cmocka_unit_test(test_refusals),          cmocka_unit_test(test_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
