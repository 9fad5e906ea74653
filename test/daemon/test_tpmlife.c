/* Whether a later quote can be from the same boot of the same machine, and what is said if not. */
#include "daemon/tpmlife.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char why[QR_SENTENCE_MAX];

/* A life at clock 5000, after 10 resets and 2 restarts. */
static struct qr_tpmlife
life(void)
{
    return (struct qr_tpmlife){.known = 1, .ak = {7}, .at = {5000, 10, 2, 1}};
}

static void
refused(const struct qr_tpmlife *was, const struct qr_tpmlife *is, const char *words,
        const char *values)
{
    why[0] = '\0';
    assert_int_equal(qr_tpmlife_follows(was, is, why, sizeof why), QR_ERR_ATTESTATION);
    if (!strstr(why, words) || !strstr(why, values)) {
        fail_msg("expected \"%s\" and \"%s\" in: %s", words, values, why);
    }
}

static void
accepted(const struct qr_tpmlife *was, const struct qr_tpmlife *is)
{
    why[0] = '\0';
    assert_int_equal(qr_tpmlife_follows(was, is, why, sizeof why), QR_OK);
    assert_string_equal(why, "");
}

static void
goes_on(void **state)
{
    const struct qr_tpmlife none = {0}, was = life();
    struct qr_tpmlife is = was;
    (void)state;

    accepted(&none, &none); /* a platform without a TPM */
    accepted(&none, &was);  /* the first quote is held to nothing */
    accepted(&was, &is);
    is.at.clock++;
    accepted(&was, &is);
    is.at.restart_count++; /* suspended and resumed: the process lived through it */
    accepted(&was, &is);
    for (int flag = 0; flag < 4; flag++) { /* it says nothing about this boot */
        struct qr_tpmlife a = was, b = is;
        a.at.safe = (uint8_t)(flag & 1);
        b.at.safe = (uint8_t)(flag >> 1);
        accepted(&a, &b);
        b.at.clock = a.at.clock - 1;
        refused(&a, &b, "time went back", "found 10, 3 and 4999 ms");
    }
}

static void
rebooted(void **state)
{
    const struct qr_tpmlife was = life();
    struct qr_tpmlife is = was;
    (void)state;

    is.at.reset_count++;
    refused(&was, &is, "the machine was rebooted", "expected TPM reset count 10, found 11");
    is.at.clock = 0;
    is.at.restart_count = 0;
    is.at.safe = 0;
    refused(&was, &is, "the machine was rebooted", "restart the party there");
    is.at.reset_count = UINT32_MAX;
    refused(&was, &is, "the machine was rebooted", "found 4294967295");
}

static void
went_back(void **state)
{
    const struct qr_tpmlife was = life();
    struct qr_tpmlife is = was;
    (void)state;

    is.at.clock--;
    refused(&was, &is, "time went back", "found 10, 2 and 4999 ms");
    is = was;
    is.at.restart_count--;
    is.at.clock += 1000;
    refused(&was, &is, "time went back", "found 10, 1 and 6000 ms");
    is = was;
    is.at.reset_count--;
    is.at.clock = UINT64_MAX;
    refused(&was, &is, "time went back", "found 9, 2 and 18446744073709551615 ms");
    assert_non_null(strstr(why, "snapshot"));
}

static void
another_key(void **state)
{
    const struct qr_tpmlife was = life(), none = {0};
    struct qr_tpmlife is = was;
    (void)state;

    is.ak[31] ^= 1;
    is.at.clock++;
    refused(&was, &is, "does not change its TPM", "found one by another key");
    refused(&was, &none, "does not change its TPM", "found none");
}

static void
from_claims(void **state)
{
    static struct qr_claimset c;
    static const uint8_t ak[32] = {1, 2, 3};
    struct qr_tpmlife l = life();
    (void)state;

    qr_claims_init(&c);
    qr_tpmlife_of(&c, &l);
    assert_false(l.known);
    qr_claim_uint(&c, "quote.clock", 77);
    qr_claim_uint(&c, "quote.resetCount", 3);
    qr_claim_uint(&c, "quote.restartCount", 4);
    qr_claim_uint(&c, "quote.safe", 1);
    qr_tpmlife_of(&c, &l);
    assert_false(l.known); /* whose quote is it? */
    qr_claim_hex(&c, "ak_spki_sha256", qr_view_of(ak, sizeof ak));
    qr_tpmlife_of(&c, &l);
    assert_true(l.known);
    assert_memory_equal(l.ak, ak, 32);
    assert_true(l.at.clock == 77 && l.at.reset_count == 3 && l.at.restart_count == 4 &&
                l.at.safe == 1);
    qr_claims_init(&c);
    qr_claim_hex(&c, "ak_spki_sha256", qr_view_of(ak, sizeof ak));
    qr_tpmlife_of(&c, &l);
    assert_false(l.known);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on),     cmocka_unit_test(rebooted),    cmocka_unit_test(went_back),
        cmocka_unit_test(another_key), cmocka_unit_test(from_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
