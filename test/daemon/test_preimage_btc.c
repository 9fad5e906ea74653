/*
 * Bitcoin digests: the examples of BIP143 (with the legacy signatures that they show), transactions whose
 * digests another library takes (test/vectors/preimage), and every way to be refused.
 */
#include "daemon/preimage_btc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/ripemd160.h"
#include "protocol/base/hash.h"
#include "protocol/group.h"
#include "test/common/vectors.h"

#include <stdio.h>
#include <stdlib.h>

static char why[256];
static struct qr_btc btc;
static uint8_t digest[32];

static int
setup(void **state)
{
    struct qr_rng rng = qr_rng_system();
    (void)state;
    return qr_hash_init() == QR_OK && qr_group_init(&rng) == QR_OK ? 0 : -1;
}

/* ---- one input, its transaction and prevouts as hex ---- */

#define PREV_MAX 300
struct spend {
    const char *script, *redeem, *witness;
    uint64_t sat;
};

static qr_err
parse(const char *tx_hex, int bip143, uint32_t input, const struct spend *s, size_t n)
{
    static uint8_t mem[400000];
    static struct qr_btc_prevout prev[PREV_MAX];
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        const char *part[3] = {s[i].script, s[i].redeem, s[i].witness};
        qr_view *to[3] = {&prev[i].script, &prev[i].redeem, &prev[i].witness};
        prev[i] = (struct qr_btc_prevout){.sat = s[i].sat};
        for (size_t k = 0; k < 3; k++) {
            if (part[k]) {
                size_t len = hex_any(part[k], mem + used, sizeof mem - used);
                *to[k] = qr_view_of(mem + used, len);
                used += len;
            }
        }
    }
    static uint8_t tx[2 * QR_PREIMAGE_MAX];
    size_t len = hex_any(tx_hex, tx, sizeof tx);
    /* a block of its own, so that a read past the end is seen by sanitizers */
    uint8_t *copy = test_malloc(len ? len : 1);
    memcpy(copy, tx, len);
    why[0] = '\0';
    qr_err e =
        qr_btc_parse(qr_view_of(copy, len), bip143, input, prev, n, &btc, digest, why, sizeof why);
    if (e == QR_OK) {
        btc.tx = qr_view_of(tx, len);
    }
    test_free(copy);
    return e;
}

/* Strict DER of two positive integers to r || s; no need to be general. */
static void
rs_of(const char *der_hex, uint8_t rs[static 64])
{
    uint8_t b[80];
    size_t n = hex_any(der_hex, b, sizeof b), at = 2;

    assert_true(n > 8 && b[0] == 0x30);
    memset(rs, 0, 64);
    for (size_t k = 0; k < 2; k++) {
        size_t len = b[at + 1], skip = len > 32 ? len - 32 : 0;
        memcpy(rs + 32 * k + 32 - (len - skip), b + at + 2 + skip, len - skip);
        at += 2 + len;
    }
}

static void
signed_by(const char *pk_hex, const char *der_hex)
{
    uint8_t pk[33], rs[64];
    qr_pt p;

    hex_bytes(pk_hex, pk, sizeof pk);
    rs_of(der_hex, rs);
    assert_int_equal(qr_pt_parse(&p, pk), QR_OK);
    assert_int_equal(qr_ecdsa_verify(&p, digest, rs), QR_OK);
}

/* ---- BIP143's examples ---- */

#define NATIVE                                                                                     \
    "0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f0000000000eeffffff" \
    "ef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206" \
    "000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42db" \
    "ee7e4dbe6a21b2d50ce2f0167faa815988ac11000000"
static const struct spend native[2] = {
    {.script = "2103c9f4836b9a4f77fc0d81f7bcb01b7f1b35916864b9476c241ce9fc198bd25432ac",
     .sat = 625000000},
    {.script = "00141d0f172a0ecb48aee1be1f2687d2963ae33f71a1", .sat = 600000000},
};
#define WRAPPED                                                                                    \
    "0100000001db6b1b20aa0fd7b23880be2ecbd4a98130974cf4748fb66092ac4d3ceb1a54770100000000feffffff" \
    "02b8b4eb0b000000001976a914a457b684d7f0d539a46a45bbc043f35b59d0d96388ac0008af2f000000001976a9" \
    "14fd270b1ee6abcaea97fea7ad0402e8bd8ad6d77c88ac92040000"
static const struct spend wrapped = {.script = "a9144733f37cf4db86fbc2efed2500b4f4e49f31202387",
                                     .redeem = "001479091972186c449eb1ded22b78e40d009bdf0089",
                                     .sat = 1000000000};
#define SIX                                                                                        \
    "010000000136641869ca081e70f394c6948e8af409e18b619df2ed74aa106c1ca29787b96e0100000000ffffffff" \
    "0200e9a435000000001976a914389ffce9cd9ae88dcc0631e88a821ffdbe9bfe2688acc0832f05000000001976a9" \
    "147480a33f950689af511e6e84c138dbbd3c3ee41588ac00000000"
#define SIX_SCRIPT                                                                                 \
    "56210307b8ae49ac90a048e9b53357a2354b3334e9c8bee813ecb98e99a7e07e8c3ba32103b28f0c28bfab54554a" \
    "e8c658ac5c3e0ce6e79ad336331f78c428dd43eea8449b21034b8113d703413d57761b8b9781957b8c0ac1dfe69f" \
    "492580ca4195f50376ba4a21033400f6afecb833092a9a21cfdf1ed1376e58c5d1f47de74683123987e967a8f421" \
    "03a6d48b1131e94ba04d9737d61acdaa1322008af9602b3b14862c07a1789aac162102d8b661b0b3302ee2f162b0" \
    "9e07a55ad5dfbe673a9f01d9f0c19617681024306b56ae"
static const struct spend six = {
    .script = "a9149993a429037b5d912407a71c252019287b8d27a587",
    .redeem = "0020a16b5755f7f6f96dbd65f5f0d6ab9418b89af4b1f14a1bb8a09062c35f0dcb54",
    .witness = SIX_SCRIPT,
    .sat = 987654321};

static void
test_bip143(void **state)
{
    qr_view script;
    uint64_t sat;

    (void)state;
    assert_int_equal(parse(NATIVE, 1, 1, native, 2), QR_OK);
    expect_hex(digest, 32, "c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670");
    assert_true(btc.input == 1 && btc.n_in == 2 && btc.n_out == 2 && btc.bip143);
    assert_true(btc.spent_sat == 1225000000 && btc.own_sat == 600000000);
    assert_true(btc.out_sat == 112340000 + 223450000);
    qr_btc_output(&btc, 0, &sat, &script);
    assert_int_equal(sat, 112340000);
    expect_hex(script.p, script.len, "76a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac");
    qr_btc_output(&btc, 1, &sat, &script);
    assert_int_equal(sat, 223450000);
    expect_hex(script.p, script.len, "76a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac");

    assert_int_equal(parse(WRAPPED, 1, 0, &wrapped, 1), QR_OK);
    expect_hex(digest, 32, "64f3b0f4dd2bb3aa1ce8566d220cc74dda9df97d8490cc81d89d735c92e59fb6");
    assert_int_equal(parse(SIX, 1, 0, &six, 1), QR_OK);
    expect_hex(digest, 32, "185c0be5263dce5b4bb50a047973c1b6272bfbd0103a89444597dc40b248ee7c");
    vectors_ran("BIP143 examples", 3);

    /* the legacy inputs beside them are signed there, too */
    assert_int_equal(parse(NATIVE, 0, 0, native, 2), QR_OK);
    signed_by("03c9f4836b9a4f77fc0d81f7bcb01b7f1b35916864b9476c241ce9fc198bd25432",
              "30450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be02204052"
              "9b194ba3f9281a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed");
    static const struct spend p2wsh[2] = {
        {.script = "21036d5c20fa14fb2f635474c1dc4ef5909d4568e5569b79fc94d3448486e14685f8ac",
         .sat = 156250000},
        {.script = "00205d1b56b63d714eebe542309525f484b7e9d6f686b3781b6f61ef925d66d6f6a0",
         .witness = "21026dccc749adc2a9d0d89497ac511f760f45c47dc5ed9cf352a58ac706453880aeadab210255"
                    "a9626aebf5e29c0e6538428ba0d1dcf6ca98ffdf086aa8ced5e0d0215ea465ac",
         .sat = 4900000000},
    };
    static const char tx[] =
        "0100000002fe3dc9208094f3ffd12645477b3dc56f60ec4fa8e6f5d67c565d1c6b9216b36e0000000000ffffff"
        "ff0815cf020f013ed6cf91d29f4202e8a58726b1ac6c79da47c23d1bee0a6925f80000000000ffffffff0100f2"
        "052a010000001976a914a30741f8145e5acadf23f751864167f32e0963f788ac00000000";
    assert_int_equal(parse(tx, 0, 0, p2wsh, 2), QR_OK);
    signed_by("036d5c20fa14fb2f635474c1dc4ef5909d4568e5569b79fc94d3448486e14685f8",
              "304402200af4e47c9b9629dbecc21f73af989bdaa911f7e6f6c2e9394588a3aa68f81e9902204f3fcf6a"
              "de7e5abb1295b6774c8e0abd94ae62217367096bc02ee5e435b67da2");
    vectors_ran("legacy signatures in BIP143", 2);
    /* what that input's example shows is not supported */
    assert_int_equal(parse(tx, 1, 1, p2wsh, 2), QR_ERR_PREIMAGE);
    assert_string_equal(why, "scripts with OP_CODESEPARATOR are not supported");
}

static void
test_vectors(void **state)
{
    json_error_t e;
    json_t *all = json_load_file("test/vectors/preimage/btc.json", 0, &e);
    size_t n = json_array_size(all);

    (void)state;
    assert_true(n >= 20);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(all, i), *list = json_object_get(v, "prevouts");
        struct spend s[PREV_MAX] = {0};
        for (size_t k = 0; k < json_array_size(list); k++) {
            const json_t *p = json_array_get(list, k);
            s[k].script = json_string_value(json_object_get(p, "script"));
            s[k].redeem = json_string_value(json_object_get(p, "redeem"));
            s[k].witness = json_string_value(json_object_get(p, "witness"));
            s[k].sat = (uint64_t)json_integer_value(json_object_get(p, "sat"));
        }
        int bip143 = strcmp(json_string_value(json_object_get(v, "kind")), "btc_bip143") == 0;
        uint32_t input = (uint32_t)json_integer_value(json_object_get(v, "input"));
        const char *tx = json_string_value(json_object_get(v, "tx"));
        if (parse(tx, bip143, input, s, json_array_size(list)) != QR_OK) {
            fail_msg("vector %zu: %s", i, why);
        }
        expect_hex(digest, 32, json_string_value(json_object_get(v, "digest")));
        assert_int_equal(btc.out_sat, json_integer_value(json_object_get(v, "out_sat")));
        /* the other kind does not fit this output */
        assert_int_equal(parse(tx, !bip143, input, s, json_array_size(list)), QR_ERR_PREIMAGE);
    }
    json_decref(all);
    vectors_ran("Bitcoin by bitcoinjs-lib", n);
}

/* ---- refused ---- */

#define IN "6464646464646464646464646464646464646464646464646464646464646464"
#define HASH "8280b37df378db99f66f85c95a783a76ac7a6d59"
#define P2PKH "76a914" HASH "88ac"
#define P2WPKH "0014" HASH
#define OUT "e803000000000000"
#define GOOD "0200000001" IN "0000000000ffffffff01" OUT "16" P2WPKH "00000000"
#define ONE(s)                                                                                     \
    {                                                                                              \
        .script = s, .sat = 2000                                                                   \
    }

static void
test_refused(void **state)
{
    static const struct {
        const char *tx;
        int bip143;
        uint32_t input;
        struct spend s;
        const char *why;
    } bad[] = {
        {"", 1, 0, ONE(P2WPKH), "the transaction ends inside the version"},
        {"02000000", 1, 0, ONE(P2WPKH), "the transaction ends inside the number of inputs"},
        {"02000000000101" IN "0000000000ffffffff01" OUT "16" P2WPKH "00000000", 1, 0, ONE(P2WPKH),
         "the transaction is in the form with witnesses (marker 00 01); send it without them"},
        {"020000000001" OUT "16" P2WPKH "00000000", 1, 0, ONE(P2WPKH), NULL},
        {"020000000002" OUT "16" P2WPKH "00000000", 1, 0, ONE(P2WPKH),
         "the transaction has 0 inputs; 1 to 256 are allowed"},
        {"02000000fd0101", 1, 0, ONE(P2WPKH),
         "the transaction has 257 inputs; 1 to 256 are allowed"},
        {"02000000fd0100" IN "0000000000ffffffff01" OUT "16" P2WPKH "00000000", 1, 0, ONE(P2WPKH),
         "the number of inputs is not written in its shortest form"},
        {"02000000fe01000000" IN "0000000000ffffffff01" OUT "16" P2WPKH "00000000", 1, 0,
         ONE(P2WPKH), "the number of inputs is not written in its shortest form"},
        {"02000000ff0100000000000000" IN "0000000000ffffffff01" OUT "16" P2WPKH "00000000", 1, 0,
         ONE(P2WPKH), "the number of inputs is not written in its shortest form"},
        {"02000000ffffffffffffffffff", 1, 0, ONE(P2WPKH), NULL},
        {"0200000001" IN "000000000100ffffffff01" OUT "16" P2WPKH "00000000", 1, 0, ONE(P2WPKH),
         "input 0 has a script; send the unsigned transaction"},
        {"0200000001" IN "00000000fd000000ffffffff01" OUT "16" P2WPKH "00000000", 1, 0, ONE(P2WPKH),
         "the length of an input's script is not written in its shortest form"},
        {"02000000010000000000000000000000000000000000000000000000000000000000000000ffffffff00"
         "ffffffff01" OUT "16" P2WPKH "00000000",
         1, 0, ONE(P2WPKH), "input 0 spends no output (a coinbase)"},
        {"0200000001" IN "0000000000ffffffff0000000000", 1, 0, ONE(P2WPKH),
         "the transaction has 0 outputs; 1 to 3640 are allowed"},
        {"0200000001" IN "0000000000ffffffff010140075af075070016" P2WPKH "00000000", 1, 0,
         ONE(P2WPKH), "output 0: more satoshis than there are"},
        {"0200000001" IN "0000000000ffffffff020040075af075070016" P2WPKH "010000000000000016" P2WPKH
         "00000000",
         1, 0, ONE(P2WPKH), "output 1: more satoshis than there are"},
        {"0200000001" IN "0000000000ffffffff01ffffffffffffffff16" P2WPKH "00000000", 1, 0,
         ONE(P2WPKH), "output 0: more satoshis than there are"},
        {"0200000001" IN "0000000000ffffffff01" OUT "fd1127", 1, 0, ONE(P2WPKH),
         "the script of output 0 has 10001 bytes; at most 10000 are allowed"},
        {"0200000001" IN "0000000000ffffffff01" OUT "17" P2WPKH "00000000", 1, 0, ONE(P2WPKH),
         NULL},
        {GOOD "00", 1, 0, ONE(P2WPKH), "1 bytes are left over after the transaction"},
        {GOOD, 1, 1, ONE(P2WPKH), "there is no input 1 (counted from 0); the transaction has 1"},
        {GOOD,
         1,
         0,
         {.script = P2WPKH, .sat = 999},
         "the outputs are worth more (1000 satoshis) than what is spent (999)"},
        {GOOD,
         1,
         0,
         {.script = P2WPKH, .sat = QR_SAT_MAX + 1},
         "input 0: more satoshis than there are"},
        {GOOD, 1, 0, ONE(P2PKH), "the input spends no SegWit output; its kind is \"btc_legacy\""},
        {GOOD, 0, 0, ONE(P2WPKH), "the input spends a SegWit output; its kind is \"btc_bip143\""},
        {GOOD, 1, 0, ONE("5120" IN), "Taproot (witness version 1) is not supported"},
        {GOOD, 0, 0, ONE("5120" IN), "Taproot (witness version 1) is not supported"},
        {GOOD, 1, 0, ONE("6002abcd"), "witness version 16 is not supported"},
        {GOOD, 1, 0, ONE("0002abcd"), "a witness program of version 0 has 20 or 32 bytes, not 2"},
        {GOOD, 1, 0, ONE("0020" IN), "the witness script of this P2WSH output is missing"},
        {GOOD,
         1,
         0,
         {.script = "0020" IN, .witness = "51", .sat = 2000},
         "the witness script is not the one of this P2WSH output"},
        {GOOD,
         1,
         0,
         {.script = P2WPKH, .witness = "51", .sat = 2000},
         "a witness script belongs to a P2WSH output alone"},
        {GOOD,
         0,
         0,
         {.script = P2PKH, .witness = "51", .sat = 2000},
         "a witness script belongs to a P2WSH output alone"},
        {GOOD,
         1,
         0,
         {.script = P2WPKH, .redeem = "51", .sat = 2000},
         "a redeem script belongs to a P2SH output alone"},
        {GOOD, 0, 0, ONE("a914" HASH "87"), "the redeem script of this P2SH output is missing"},
        {GOOD,
         1,
         0,
         {.script = "a914" HASH "87", .redeem = P2WPKH, .sat = 2000},
         "the redeem script is not the one of this P2SH output"},
        {GOOD,
         0,
         0,
         {.script = "a914" HASH "87", .redeem = "51", .sat = 2000},
         "the redeem script is not the one of this P2SH output"},
        {GOOD, 0, 0, ONE(""), "the script of the spent output is empty"},
        {GOOD, 0, 0, ONE("ab51"), "scripts with OP_CODESEPARATOR are not supported"},
        {GOOD, 0, 0, ONE("02ff"), "the script ends inside a push"},
        {GOOD, 0, 0, ONE("4c"), "the script ends inside a push"},
        {GOOD, 0, 0, ONE("4d0200ab"), "the script ends inside a push"},
        {GOOD, 0, 0, ONE("4effffffff51"), "the script ends inside a push"},
    };
    static char big[2 * QR_PREIMAGE_MAX + 3];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        qr_err e = parse(bad[i].tx, bad[i].bip143, bad[i].input, &bad[i].s, 1);
        if (e != QR_ERR_PREIMAGE || !why[0] || (bad[i].why && strcmp(why, bad[i].why) != 0)) {
            fail_msg("row %zu: %s, \"%s\"", i, qr_err_name(e), why);
        }
    }
    /* 0xab inside a push is data */
    const struct spend data = ONE("4c02abab51");
    assert_int_equal(parse(GOOD, 0, 0, &data, 1), QR_OK);
    const struct spend two[2] = {ONE(P2WPKH), ONE(P2WPKH)};
    assert_int_equal(parse(GOOD, 1, 0, two, 2), QR_ERR_PREIMAGE);
    assert_string_equal(why, "the transaction has 1 inputs, \"prevouts\" 2");
    assert_int_equal(parse(GOOD, 1, 0, two, 1), QR_OK);
    /* every truncation */
    for (size_t n = 0; n < strlen(GOOD); n += 2) {
        (void)snprintf(big, sizeof big, "%.*s", (int)n, GOOD);
        assert_int_equal(parse(big, 1, 0, two, 1), QR_ERR_PREIMAGE);
    }
    memset(big, '0', sizeof big - 1);
    assert_int_equal(parse(big, 1, 0, two, 1), QR_ERR_PREIMAGE);
    assert_string_equal(why, "the transaction has 32769 bytes; at most 32768 are allowed");
}

/* Every byte of what is signed, and the own amount, is in the digest. */
static void
test_bound(void **state)
{
    static const struct spend s[2] = {ONE(P2WPKH), ONE(P2PKH)};
    uint8_t first[32];
    char tx[sizeof GOOD];

    (void)state;
    for (int bip143 = 0; bip143 < 2; bip143++) {
        assert_int_equal(parse(GOOD, bip143, 0, &s[!bip143], 1), QR_OK);
        memcpy(first, digest, 32);
        for (size_t i = 0; i < strlen(GOOD); i++) {
            memcpy(tx, GOOD, sizeof tx);
            tx[i] = tx[i] == '1' ? '0' : '1';
            if (parse(tx, bip143, 0, &s[!bip143], 1) == QR_OK) {
                assert_memory_not_equal(digest, first, 32);
            }
        }
        struct spend other = s[!bip143];
        other.sat++;
        assert_int_equal(parse(GOOD, bip143, 0, &other, 1), QR_OK);
        assert_int_equal(memcmp(digest, first, 32) != 0, bip143); /* the client's word, else */
    }
}

static void
test_ripemd160(void **state)
{
    static const struct {
        const char *text, *hash;
    } v[] = {
        {"", "9c1185a5c5e9fc54612808977ee8f548b2258d31"},
        {"a", "0bdc9d2d256b3ee9daae347be6f4dc835a467ffe"},
        {"abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"},
        {"message digest", "5d0689ef49d2fae572b881b123a85ffa21595f36"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "12a053384a9c0c88e405a06c27dcf49ada62eb2b"},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
         "b0e20b6e3116640286ed3a87a5713079b21f5189"},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         "9b752e45573d4b39f4dbd3323cab82bf63326bfb"},
    };
    uint8_t h[20];

    (void)state;
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        qr_ripemd160(qr_view_str(v[i].text), h);
        expect_hex(h, 20, v[i].hash);
    }
    vectors_ran("RIPEMD-160", sizeof v / sizeof v[0]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bip143),    cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_bound),
        cmocka_unit_test(test_ripemd160),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
