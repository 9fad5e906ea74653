/*
 * daemon/eth_signed: signed transactions of every type, byte by byte; what has no signed form.
 *
 * Vectors: the example of EIP-155; the others were made with ethers 6.17.0 (Transaction.serialized).
 */
#include "daemon/eth_signed.h"

#include "test/common/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    const char *tx, *rs;
    uint8_t recid;
    const char *want;
} cases[] = {
    /* EIP-155's example */
    {"ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a7"
     "64000080018080",
     "28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa63627667cbe9d8997f"
     "761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83",
     0,
     "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3"
     "a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa6362"
     "76a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"},
    /* legacy without a chain id */
    {"e40901825208943535353535353535353535353535353535353535880de0b6b3a764000080",
     "1de15fc23cbc11817568216e8b0cce01ed0b0a8f44fe99a541b385d2512afb1352ff82b35a02"
     "289ddcb067aa485d4bada34a5e414f3b2ddad3b9642f5874d652",
     1,
     "f8670901825208943535353535353535353535353535353535353535880de0b6b3a764000080"
     "1ca01de15fc23cbc11817568216e8b0cce01ed0b0a8f44fe99a541b385d2512afb13a052ff82"
     "b35a02289ddcb067aa485d4bada34a5e414f3b2ddad3b9642f5874d652"},
    /* legacy, largest chain id */
    {"ef0901825208943535353535353535353535353535353535353535880de0b6b3a76400008088"
     "ffffffffffffffff8080",
     "29aec1b35464c1fca2d24b558fd474cdbca1c9efa87b55d43be20162928048267d02daed84a3"
     "fc9925009f7bf98441354827756ffaab71d5ca7037eb8d16efc3",
     1,
     "f8700901825208943535353535353535353535353535353535353535880de0b6b3a764000080"
     "89020000000000000022a029aec1b35464c1fca2d24b558fd474cdbca1c9efa87b55d43be201"
     "6292804826a07d02daed84a3fc9925009f7bf98441354827756ffaab71d5ca7037eb8d16efc3"},
    /* legacy, chain id 2^63 */
    {"ef0901825208943535353535353535353535353535353535353535880de0b6b3a76400008088"
     "80000000000000008080",
     "bb938c325c6c36d2e7f7a5e0a45c211c2acbd56da7c58d929b300bf162a0e38837ad5af44e6a"
     "de3010b56107f66138cdb1cf5213a4c16aa061fc2ef62297a50a",
     1,
     "f8700901825208943535353535353535353535353535353535353535880de0b6b3a764000080"
     "89010000000000000024a0bb938c325c6c36d2e7f7a5e0a45c211c2acbd56da7c58d929b300b"
     "f162a0e388a037ad5af44e6ade3010b56107f66138cdb1cf5213a4c16aa061fc2ef62297a50a"},
    /* legacy, chain id 109: v of two bytes begins */
    {"e70901825208943535353535353535353535353535353535353535880de0b6b3a7640000806d"
     "8080",
     "0faec8ae3fa5e4bbfcc003eb339bd1f826b1f49c3c4e9e08d17d06df8867d3cd705aaded8f51"
     "a99962f9fc8ecf791c8fc258b133ee6186283ca6a3b476f0b26c",
     0,
     "f8680901825208943535353535353535353535353535353535353535880de0b6b3a764000080"
     "81fda00faec8ae3fa5e4bbfcc003eb339bd1f826b1f49c3c4e9e08d17d06df8867d3cda0705a"
     "aded8f51a99962f9fc8ecf791c8fc258b133ee6186283ca6a3b476f0b26c"},
    /* type 1 with an access list */
    {"01f85f050907825208943535353535353535353535353535353535353535880de0b6b3a76400"
     "0080f838f7943535353535353535353535353535353535353535e1a011111111111111111111"
     "11111111111111111111111111111111111111111111",
     "4b520ef0ba3b04fdf0967fbb6d94f5b3536caae4c8fd932e003e548ee8c0c913163cd1a4f855"
     "b217846cb0516aab8113a38e686bd50c6cade6fc88e80f57f26a",
     1,
     "01f8a2050907825208943535353535353535353535353535353535353535880de0b6b3a76400"
     "0080f838f7943535353535353535353535353535353535353535e1a011111111111111111111"
     "1111111111111111111111111111111111111111111101a04b520ef0ba3b04fdf0967fbb6d94"
     "f5b3536caae4c8fd932e003e548ee8c0c913a0163cd1a4f855b217846cb0516aab8113a38e68"
     "6bd50c6cade6fc88e80f57f26a"},
    /* type 2 */
    {"02e9827a6909021e825208943535353535353535353535353535353535353535880de0b6b3a7"
     "64000080c0",
     "2ac604ff056f395399d7c5ded5e02f2f1bacb3ab6b664360a34d5d00c08b96e446b1a1123fb8"
     "6b0fc98d60f258a243aa13aa6da604ac547d711f3b01f3e7e0ae",
     0,
     "02f86c827a6909021e825208943535353535353535353535353535353535353535880de0b6b3"
     "a764000080c080a02ac604ff056f395399d7c5ded5e02f2f1bacb3ab6b664360a34d5d00c08b"
     "96e4a046b1a1123fb86b0fc98d60f258a243aa13aa6da604ac547d711f3b01f3e7e0ae"},
    /* type 2, creates a contract */
    {"02f8960109021e82520880880de0b6b3a7640000b88260606060606060606060606060606060"
     "6060606060606060606060606060606060606060606060606060606060606060606060606060"
     "6060606060606060606060606060606060606060606060606060606060606060606060606060"
     "6060606060606060606060606060606060606060606060606060606060606060606060606060"
     "c0",
     "ebc1c3e12aa31bfe6c2da12dedb9770011c45eef6befa815fa5f452be0d6ad4718554e3ad024"
     "eb14cdc5cd2605c1f6b915e5ddd4db6bbdd34884ffdd39423f65",
     1,
     "02f8d90109021e82520880880de0b6b3a7640000b88260606060606060606060606060606060"
     "6060606060606060606060606060606060606060606060606060606060606060606060606060"
     "6060606060606060606060606060606060606060606060606060606060606060606060606060"
     "6060606060606060606060606060606060606060606060606060606060606060606060606060"
     "c001a0ebc1c3e12aa31bfe6c2da12dedb9770011c45eef6befa815fa5f452be0d6ad47a01855"
     "4e3ad024eb14cdc5cd2605c1f6b915e5ddd4db6bbdd34884ffdd39423f65"},
    /* type 2, nothing but a chain id */
    {"02c90180808080808080c0",
     "322b39c92e19e05c1dde7fa14854da20d99381e0ed58e9fd5696a9695402a1d85423dd180e48"
     "c57fae2692fc8661f6188da391061d8895d29e90d102077e4760",
     0,
     "02f84c0180808080808080c080a0322b39c92e19e05c1dde7fa14854da20d99381e0ed58e9fd"
     "5696a9695402a1d8a05423dd180e48c57fae2692fc8661f6188da391061d8895d29e90d10207"
     "7e4760"},
    /* short r and s */
    {"02e9827a6909021e825208943535353535353535353535353535353535353535880de0b6b3a7"
     "64000080c0",
     "000000000000000000000000000000000000000000000000000000000000007f000000000000"
     "0000000000000000000000000000000000000000000000000080",
     1,
     "02ed827a6909021e825208943535353535353535353535353535353535353535880de0b6b3a7"
     "64000080c0017f8180"},
};

#define N_CASES (sizeof cases / sizeof cases[0])

static void
test_vectors(void **state)
{
    (void)state;
    uint8_t tx[1024], rs[64];
    char why[128] = "";
    struct qr_dbuf d;

    qr_dbuf_init(&d, 2048);
    for (size_t i = 0; i < N_CASES; i++) {
        size_t n = hex_any(cases[i].tx, tx, sizeof tx);
        assert_int_equal(hex_any(cases[i].rs, rs, sizeof rs), 64);
        d.len = 0;
        assert_int_equal(qr_dbuf_append(&d, "before", 6), QR_OK);
        assert_int_equal(
            qr_eth_tx_signed(&d, qr_view_of(tx, n), rs, cases[i].recid, why, sizeof why), QR_OK);
        assert_memory_equal(d.p, "before", 6);
        expect_hex(d.p + 6, d.len - 6, cases[i].want);
        assert_true(d.len - 6 <= n + QR_ETH_SIGNED_MORE);
    }
    qr_dbuf_free(&d);
    print_message("vectors: eth-signed %zu\n", N_CASES);
}

/* A buffer that is exactly too small by one byte: an error, and nothing in it. */
static void
test_bounds(void **state)
{
    (void)state;
    uint8_t tx[1024], rs[64];
    char why[128];

    for (size_t i = 0; i < N_CASES; i++) {
        struct qr_dbuf d;
        size_t n = hex_any(cases[i].tx, tx, sizeof tx);
        size_t want = strlen(cases[i].want) / 2;
        (void)hex_any(cases[i].rs, rs, sizeof rs);
        qr_dbuf_init(&d, 4);
        assert_int_equal(
            qr_eth_tx_signed(&d, qr_view_of(tx, n), rs, cases[i].recid, why, sizeof why),
            QR_ERR_TOO_LARGE);
        assert_int_equal(d.len, 0);
        qr_dbuf_free(&d);
        qr_dbuf_init(&d, want + 10);
        assert_int_equal(
            qr_eth_tx_signed(&d, qr_view_of(tx, n), rs, cases[i].recid, why, sizeof why), QR_OK);
        assert_int_equal(d.len, want);
        qr_dbuf_free(&d);
    }
}

static void
test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "00",
        "03c0",                                                                     /* blob */
        "04c0",                                                                     /* set-code */
        "e40901825208943535353535353535353535353535353535353535880de0b6b3a7640000", /* cut off */
        "02c901808080808080c0", /* a field less */
        /* signed already */
        "02f84c0180808080808080c080a0322b39c92e19e05c1dde7fa14854da20d99381e0ed58e9fd5696a9695402a1"
        "d8"
        "a05423dd180e48c57fae2692fc8661f6188da391061d8895d29e90d102077e4760",
    };
    uint8_t tx[1024];
    const uint8_t rs[64] = {1};
    char why[128];
    struct qr_dbuf d;

    qr_dbuf_init(&d, 2048);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t n = hex_any(bad[i], tx, sizeof tx);
        why[0] = '\0';
        assert_int_equal(qr_eth_tx_signed(&d, qr_view_of(tx, n), rs, 0, why, sizeof why),
                         QR_ERR_PREIMAGE);
        assert_true(strlen(why) > 8);
    }
    size_t n = hex_any(cases[0].tx, tx, sizeof tx);
    for (uint8_t recid = 2; recid < 5; recid++) {
        assert_int_equal(qr_eth_tx_signed(&d, qr_view_of(tx, n), rs, recid, why, sizeof why),
                         QR_ERR_PREIMAGE);
        assert_non_null(strstr(why, "recovery id"));
    }
    assert_int_equal(d.len, 0);
    qr_dbuf_free(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
