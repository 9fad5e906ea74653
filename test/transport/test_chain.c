/* The thread through the connections of two processes: lost messages, copies, lies. */
#include "transport/chain.h"

#include "test/common/testrng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define A 1
#define B 2

/* One connection; the RESUME of each side may be lost, and so may the first frame after it. */
struct lost {
    int of_a, of_b, first_of_a, first_of_b;
};

static uint32_t counter;

static void
new_secret(uint8_t out[32])
{
    counter++;
    memset(out, 0xa5, 32);
    memcpy(out, &counter, sizeof counter);
}

/* What each side made of it: 1 taken up, 0 refused, -1 nothing heard. */
static void
connect_both(struct qr_chain *a, struct qr_chain *b, struct lost lost, int *ret_a, int *ret_b)
{
    uint8_t from_a[QR_CHAIN_LEN], from_b[QR_CHAIN_LEN], fresh[32];

    new_secret(fresh);
    qr_chain_say(a, A, from_a);
    qr_chain_say(b, B, from_b);
    *ret_a = lost.of_b ? -1 : qr_chain_hear(a, B, from_b, fresh) == QR_OK;
    *ret_b = lost.of_a ? -1 : qr_chain_hear(b, A, from_a, fresh) == QR_OK;
    /* Who has taken it up speaks, and is heard by who has, too. */
    if (*ret_a == 1 && *ret_b == 1) {
        if (!lost.first_of_a) {
            qr_chain_confirm(b);
        }
        if (!lost.first_of_b) {
            qr_chain_confirm(a);
        }
    }
}

static void
begin(struct qr_chain *a, struct qr_chain *b)
{
    uint8_t fresh[32];
    new_secret(fresh);
    qr_chain_start(a, fresh);
    qr_chain_start(b, fresh);
    qr_chain_confirm(a);
    qr_chain_confirm(b);
}

/* Whatever is lost, however often, the two find each other at the next whole connection. */
static void
nothing_lost_for_good(void **state)
{
    struct qr_testrng rng;
    struct qr_chain a, b;
    int ra, rb;
    (void)state;

    qr_testrng_seed(&rng, "chain");
    begin(&a, &b);
    for (int i = 0; i < 2000; i++) {
        size_t r = qr_testrng_below(&rng, 16);
        connect_both(&a, &b, (struct lost){r & 1, r >> 1 & 1, r >> 2 & 1, r >> 3 & 1}, &ra, &rb);
        assert_int_not_equal(ra, 0);
        assert_int_not_equal(rb, 0);
    }
    connect_both(&a, &b, (struct lost){0}, &ra, &rb);
    assert_int_equal(ra, 1);
    assert_int_equal(rb, 1);
}

/* The very first connection may have been taken up by one side only. */
static void
first_connection(void **state)
{
    struct qr_chain a = {0}, b = {0}, copy;
    uint8_t fresh[32] = {1}, said[QR_CHAIN_LEN];
    (void)state;

    qr_chain_start(&b, fresh); /* a has not heard of it */
    qr_chain_say(&a, A, said);
    fresh[0] = 2;
    copy = b;
    assert_int_equal(qr_chain_hear(&copy, A, said, fresh), QR_OK);
    qr_chain_confirm(&b); /* a has spoken: it knows a connection */
    assert_int_equal(qr_chain_hear(&b, A, said, fresh), QR_ERR_BOOT_NONCE);
}

/* Of two copies the first that is heard is the only one ever after; nothing changes on a refusal. */
static void
copies(void **state)
{
    struct qr_chain a, b, a2, before;
    int ra, rb;
    (void)state;

    for (int both_cut = 0; both_cut < 2; both_cut++) {
        begin(&a, &b);
        if (both_cut) { /* copied while the last connection is not confirmed at b */
            connect_both(&a, &b, (struct lost){.first_of_a = 1, .first_of_b = 1}, &ra, &rb);
        }
        a2 = a;
        connect_both(&a2, &b, (struct lost){0}, &ra, &rb);
        assert_int_equal(ra, 1);
        assert_int_equal(rb, 1);
        before = b;
        for (int i = 0; i < 5; i++) {
            connect_both(&a, &b, (struct lost){0}, &ra, &rb);
            assert_int_equal(ra, 0);
            assert_int_equal(rb, 0);
        }
        assert_memory_equal(&b, &before, sizeof b);
        connect_both(&a2, &b, (struct lost){0}, &ra, &rb);
        assert_int_equal(rb, 1);
    }
}

/* Both are let in by turns, and cut before b hears them: the first that b hears shuts out the other. */
static void
copies_by_turns(void **state)
{
    struct qr_chain a, b, a2;
    int ra, rb;
    (void)state;

    begin(&a, &b);
    a2 = a;
    connect_both(&a, &b, (struct lost){.first_of_a = 1}, &ra, &rb); /* a has heard b */
    assert_int_equal(rb, 1);
    connect_both(&a2, &b, (struct lost){.first_of_a = 1}, &ra, &rb); /* b has not heard a */
    assert_int_equal(rb, 1);
    connect_both(&a, &b, (struct lost){0}, &ra, &rb);
    assert_int_equal(rb, 0); /* what a heard was of a connection that b has given up */
    connect_both(&a2, &b, (struct lost){0}, &ra, &rb);
    assert_int_equal(rb, 1);
}

/* What one side shows is no use in the other direction, nor bit by bit. */
static void
lies(void **state)
{
    struct qr_chain a, b;
    uint8_t said[QR_CHAIN_LEN], fresh[32] = {9};
    (void)state;

    begin(&a, &b);
    qr_chain_say(&b, B, said); /* reflected */
    assert_int_equal(qr_chain_hear(&b, A, said, fresh), QR_ERR_BOOT_NONCE);
    memset(said, 0, sizeof said);
    assert_int_equal(qr_chain_hear(&b, A, said, fresh), QR_ERR_BOOT_NONCE);
    qr_chain_say(&a, A, said);
    for (size_t i = 0; i < 32; i++) {
        said[i] ^= 0x10;
        said[32 + i] ^= 0x10;
        assert_int_equal(qr_chain_hear(&b, A, said, fresh), QR_ERR_BOOT_NONCE);
        said[i] ^= 0x10;
        said[32 + i] ^= 0x10;
    }
    assert_int_equal(qr_chain_hear(&b, A, said, fresh), QR_OK);
    qr_chain_wipe(&b);
    for (size_t i = 0; i < sizeof b; i++) {
        assert_int_equal(((uint8_t *)&b)[i], 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_lost_for_good),
        cmocka_unit_test(first_connection),
        cmocka_unit_test(copies),
        cmocka_unit_test(copies_by_turns),
        cmocka_unit_test(lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
