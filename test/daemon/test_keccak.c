/*
 * Keccak-256 against the Keccak team's known answers (ShortMsgKAT_256, round 3) and against values
 * made with eth-utils 5 (pycryptodome underneath) around the rate of 136 bytes.
 */
#include "daemon/keccak.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/vectors.h"

static void
test_known(void **state)
{
    static const struct {
        const char *message, *digest;
    } kat[] = {
        {"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"},
        {"cc", "eead6dbfc7340a56caedc044696a168870549a6a7f6f56961e84a54bd9970b8a"},
        {"41fb", "a8eaceda4d47b3281a795ad9e1ea2122b407baf9aabcb9e18b5717b7873537d2"},
        {"616263", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"},
    };
    uint8_t in[8], out[32];

    (void)state;
    for (size_t i = 0; i < sizeof kat / sizeof kat[0]; i++) {
        size_t n = hex_any(kat[i].message, in, sizeof in);
        qr_keccak256(qr_view_of(in, n), out);
        expect_hex(out, 32, kat[i].digest);
    }
    vectors_ran("keccak-256", sizeof kat / sizeof kat[0]);
}

/* Message byte i is (7i + 3) mod 256. */
static const struct {
    size_t len;
    const char *digest;
} lengths[] = {
    {0, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"},
    {1, "69c322e3248a5dfc29d73c5b0553b0185a35cd5bb6386747517ef7e53b15e287"},
    {135, "00ef96af9cf4b24c7f269d922294444a197d0a33638c2e56634c57e892103a8f"},
    {136, "742061bcad767ed4c4f5883b1dcb1aad11afdcc140dc469d953759b127b9f9ed"},
    {137, "e3371f61e770abf254c34239c3b0099ad90594507415bc81dd0a10b9692bbf2a"},
    {271, "4401c4afbe16ff911bdbf2d38e556e5b861f3fdf0f9d4306b1c46f6ae4f73584"},
    {272, "ac141fd7b0a0ffcd2e967254d508da3ec616596493c36fa304425647d90e6de5"},
    {273, "16192ea86793083e47731cb3c970600f04768414d92bc0540e54ce8607a0fce0"},
    {1000, "80cdc8dd52cbb3dbaea8f383209893fa2bb52efbd5aedbb4b26dcfe307fcdc9b"},
};

/* Every way to cut a message into two or into equal pieces gives the same digest. */
static void
test_pieces(void **state)
{
    uint8_t in[1000], out[32];

    (void)state;
    for (size_t i = 0; i < sizeof in; i++) {
        in[i] = (uint8_t)(7 * i + 3);
    }
    for (size_t k = 0; k < sizeof lengths / sizeof lengths[0]; k++) {
        size_t n = lengths[k].len;
        qr_keccak256(qr_view_of(in, n), out);
        expect_hex(out, 32, lengths[k].digest);
        for (size_t cut = 0; cut <= n; cut++) {
            struct qr_keccak c;
            qr_keccak_init(&c);
            qr_keccak_put(&c, qr_view_of(in, cut));
            qr_keccak_put(&c, qr_view_of(in + cut, n - cut));
            qr_keccak_end(&c, out);
            expect_hex(out, 32, lengths[k].digest);
        }
        for (size_t piece = 1; piece < 20; piece++) {
            struct qr_keccak c;
            qr_keccak_init(&c);
            for (size_t at = 0; at < n; at += piece) {
                qr_keccak_put(&c, qr_view_of(in + at, n - at < piece ? n - at : piece));
            }
            qr_keccak_end(&c, out);
            expect_hex(out, 32, lengths[k].digest);
        }
    }
    vectors_ran("keccak-256 lengths", sizeof lengths / sizeof lengths[0]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
