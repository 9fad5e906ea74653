/*
 * Unsigned Ethereum transactions: published and independently made vectors, every way to break RLP's
 * canonical form, and every truncation.
 *
 * Vectors: the example of EIP-155; the others were made with eth-account 0.14.0 (rlp, eth-utils),
 * whose hash() is the digest here.
 */
#include "daemon/preimage_eth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/keccak.h"
#include "test/common/vectors.h"

#include <stdlib.h>

#define TO35 "3535353535353535353535353535353535353535"
#define TO11 "1111111111111111111111111111111111111111"
#define ACCESS                                                                                     \
    "f85bf859942222222222222222222222222222222222222222f842"                                       \
    "a00000000000000000000000000000000000000000000000000000000000000001"                           \
    "a0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

static const char eip155[] = "ec098504a817c80082520894" TO35 "880de0b6b3a764000080018080";
static const char before155[] = "e9098504a817c80082520894" TO35 "880de0b6b3a764000080";
static const char type2[] = "02f001078459682f008506fc23ac0082520894" TO11 "880de0b6b3a764000080c0";
static const char type2_call[] =
    "02f8c7827a6980018477359400830186a094" TO11 "80b844a9059cbb"
    "0000000000000000000000003333333333333333333333333333333333333333"
    "0000000000000000000000000000000000000000000000000000000000000005" ACCESS;
static const char type1_create[] = "01f87005018504a817c80082cf088080856001600055" ACCESS;

static char why[128];

static qr_err
parse_hex(const char *hex, struct qr_eth_tx *tx)
{
    static uint8_t b[4096];
    size_t n = hex_any(hex, b, sizeof b);
    /* at the end of a block of its own, so that a read past the end is seen by sanitizers */
    uint8_t *copy = test_malloc(n ? n : 1);
    memcpy(copy, b, n);
    qr_err e = qr_eth_tx_parse(qr_view_of(copy, n), tx, why, sizeof why);
    tx->data = qr_view_of(b, e == QR_OK ? tx->data.len : 0);
    test_free(copy);
    return e;
}

static void
digest_is(const char *hex, const char *digest)
{
    uint8_t b[1024], d[32];
    size_t n = hex_any(hex, b, sizeof b);
    qr_keccak256(qr_view_of(b, n), d);
    expect_hex(d, 32, digest);
}

static void
test_vectors(void **state)
{
    struct qr_eth_tx tx;
    uint8_t b[32];

    (void)state;
    assert_int_equal(parse_hex(eip155, &tx), QR_OK);
    assert_int_equal(tx.type, 0);
    assert_true(tx.has_chain_id && tx.has_to && !tx.has_selector);
    assert_int_equal(tx.chain_id, 1);
    assert_int_equal(tx.nonce, 9);
    assert_int_equal(tx.gas_limit, 21000);
    expect_hex(tx.to, 20, TO35);
    expect_hex(tx.value, 32, "0000000000000000000000000000000000000000000000000de0b6b3a7640000");
    expect_hex(tx.max_fee, 32, "00000000000000000000000000000000000000000000000000000004a817c800");
    assert_int_equal(tx.data.len, 0);
    digest_is(eip155, "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53");

    assert_int_equal(parse_hex(before155, &tx), QR_OK);
    assert_true(tx.type == 0 && !tx.has_chain_id);
    digest_is(before155, "f9e36c28c8cb35adba138005c02ab7aa7fbcd891f3139cb2eeed052a51cd2713");

    assert_int_equal(parse_hex(type2, &tx), QR_OK);
    assert_true(tx.type == 2 && tx.has_chain_id && tx.chain_id == 1 && tx.nonce == 7);
    expect_hex(tx.max_fee, 32, "00000000000000000000000000000000000000000000000000000006fc23ac00");
    digest_is(type2, "12c005e6c0fd09d1acb0f5a841db030fdb50a0b52001f9a280c36aabee78bc68");

    assert_int_equal(parse_hex(type2_call, &tx), QR_OK);
    assert_true(tx.chain_id == 31337 && tx.nonce == 0 && tx.has_selector);
    expect_hex(tx.selector, 4, "a9059cbb");
    memset(b, 0, sizeof b);
    assert_memory_equal(tx.value, b, 32);
    assert_true(tx.access_addresses == 1 && tx.access_keys == 2 && tx.data.len == 68);
    digest_is(type2_call, "5831024683aa41953a3efe890f9b5b689b7ca0bc2ebdaf98f60afe509ca35b4b");

    assert_int_equal(parse_hex(type1_create, &tx), QR_OK);
    assert_true(tx.type == 1 && tx.chain_id == 5 && !tx.has_to && !tx.has_selector);
    assert_true(tx.access_addresses == 1 && tx.access_keys == 2 && tx.data.len == 5);
    digest_is(type1_create, "af1e0353c038a4acc1a45b3dfbaf351f5cc5a1a111199c7d4043e4d68f50c875");
    vectors_ran("ethereum transactions", 5);
}

static void
test_refused(void **state)
{
    static const struct {
        const char *hex, *why;
    } bad[] = {
        {"", "transaction is empty"},
        {"03c0", "EIP-4844 blob transactions (type 3) are not supported"},
        {"04c0", "EIP-7702 set-code transactions (type 4) are not supported"},
        {"00c0", "byte 0x00 starts no transaction type we know"},
        {"7fc0", "byte 0x7f starts no transaction type we know"},
        {"80", "byte 0x80 starts no transaction type we know"},
        {"0280", "RLP: transaction must be a list"},
        {"01", "RLP: transaction is missing"},
        {"c0", "RLP: nonce is missing"},
        {"02c0", "RLP: chain id is missing"},
        /* one field more, one field less */
        {"ea098504a817c80082520894" TO35 "880de0b6b3a76400008001",
         "RLP: the zero after the chain id is missing"},
        {"eb098504a817c80082520894" TO35 "880de0b6b3a7640000800180",
         "RLP: the zero after the chain id is missing"},
        {"ed098504a817c80082520894" TO35 "880de0b6b3a76400008001808080",
         "transaction has too many fields"},
        {"02f101078459682f008506fc23ac0082520894" TO11 "880de0b6b3a764000080c080",
         "transaction has too many fields"},
        {"02ef01078459682f008506fc23ac0082520894" TO11 "880de0b6b3a764000080",
         "RLP: access list is missing"},
        /* a signed transaction: v, r, s instead of chain id, 0, 0 */
        {"ec098504a817c80082520894" TO35 "880de0b6b3a7640000801b0101",
         "this transaction carries a signature; send the unsigned form"},
        /* trailing bytes, inside and outside */
        {"ec098504a817c80082520894" TO35 "880de0b6b3a76400008001808000",
         "1 bytes are left over after the transaction"},
        {"02f001078459682f008506fc23ac0082520894" TO11 "880de0b6b3a764000080c002c0",
         "2 bytes are left over after the transaction"},
        /* integers */
        {"ec008504a817c80082520894" TO35 "880de0b6b3a764000080018080",
         "RLP: nonce has a leading zero byte"},
        {"ec098504a817c80082520894" TO35 "880de0b6b3a764000080808080", "chain id is zero"},
        {"02f0"
         "80"
         "078459682f008506fc23ac0082520894" TO11 "880de0b6b3a764000080c0",
         "chain id is zero"},
        {"f4"
         "88ffffffffffffffff"
         "8504a817c80082520894" TO35 "880de0b6b3a764000080018080",
         "nonce is above the limit of EIP-2681"},
        /* tip above fee */
        {"02f001078506fc23ac008459682f0082520894" TO11 "880de0b6b3a764000080c0",
         "max priority fee is above max fee"},
        /* lists where strings belong and the other way round */
        {"ec09"
         "c504a817c800"
         "82520894" TO35 "880de0b6b3a764000080018080",
         "RLP: gas price must be a string"},
        {"02f001078459682f008506fc23ac0082520894" TO11 "880de0b6b3a76400008080",
         "RLP: access list must be a list"},
        {"02f001078459682f008506fc23ac0082520894" TO11 "880de0b6b3a7640000c080",
         "RLP: data must be a string"},
        /* access lists */
        {"02f101078459682f008506fc23ac0082520894" TO11 "880de0b6b3a764000080c180",
         "RLP: access list entry must be a list"},
        {"02f101078459682f008506fc23ac0082520894" TO11 "880de0b6b3a764000080c1c0",
         "RLP: access list address is missing"},
        {"02f201078459682f008506fc23ac0082520894" TO11 "880de0b6b3a764000080c2c180",
         "access list address has 0 bytes, not 20"},
        {"02f847"
         "01078459682f008506fc23ac0082520894" TO11 "880de0b6b3a764000080"
         "d7d694" TO35 "80",
         "RLP: access list keys must be a list"},
        {"02f848"
         "01078459682f008506fc23ac0082520894" TO11 "880de0b6b3a764000080"
         "d8d794" TO35 "c080",
         "access list entry has more than two fields"},
        {"02f848"
         "01078459682f008506fc23ac0082520894" TO11 "880de0b6b3a764000080"
         "d8d794" TO35 "c180",
         "access list key has 0 bytes, not 32"},
        /* lengths */
        {"f82c098504a817c80082520894" TO35 "880de0b6b3a764000080018080",
         "RLP: length of transaction is not canonical (long form)"},
        {"f9002c098504a817c80082520894" TO35 "880de0b6b3a764000080018080",
         "RLP: length of transaction is not canonical or too large"},
        {"ed81098504a817c80082520894" TO35 "880de0b6b3a764000080018080",
         "RLP: nonce is not canonical (one small byte has no length)"},
        {"fbffffffff", "RLP: transaction ends too early"},
        {"ffffffffffffffffff", "RLP: length of transaction is not canonical or too large"},
        {"ff", "RLP: transaction ends too early"},
        {"c1b8", "RLP: nonce ends too early"},
        {"c2bfff", "RLP: nonce ends too early"},
        {"c9bfffffffffffffffff", "RLP: length of nonce is not canonical or too large"},
    };
    struct qr_eth_tx tx;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why[0] = 0;
        qr_err e = parse_hex(bad[i].hex, &tx);
        if (e != QR_ERR_PREIMAGE || strcmp(why, bad[i].why) != 0) {
            fail_msg("%s: %s, \"%s\", not \"%s\"", bad[i].hex, qr_err_name(e), why, bad[i].why);
        }
    }
    assert_int_equal(parse_hex("03", &tx), QR_ERR_PREIMAGE);
    assert_int_equal(qr_eth_tx_parse(qr_view_of("", 0), &tx, NULL, 0), QR_ERR_PREIMAGE);
}

/* Nothing shorter, and nothing longer, than a good transaction is a transaction. */
static void
test_truncated(void **state)
{
    static const char *const good[] = {eip155, before155, type2, type2_call, type1_create};
    struct qr_eth_tx tx;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char hex[1024];
        size_t n = strlen(good[i]);
        for (size_t k = 0; k < n; k += 2) {
            memcpy(hex, good[i], k);
            hex[k] = 0;
            assert_int_equal(parse_hex(hex, &tx), QR_ERR_PREIMAGE);
            assert_int_not_equal(why[0], 0);
        }
        memcpy(hex, good[i], n);
        memcpy(hex + n, "00", 3);
        assert_int_equal(parse_hex(hex, &tx), QR_ERR_PREIMAGE);
    }
}

/* RLP by an encoder of this file's own, to place any value into any field. */
static size_t
rlp_string(uint8_t *out, const uint8_t *p, size_t n)
{
    size_t h = 1;
    if (n == 1 && p[0] < 0x80) {
        out[0] = p[0];
        return 1;
    }
    if (n <= 55) {
        out[0] = (uint8_t)(0x80 + n);
    } else if (n <= 255) {
        out[0] = 0xb8;
        out[1] = (uint8_t)n;
        h = 2;
    } else {
        out[0] = 0xb9;
        out[1] = (uint8_t)(n >> 8);
        out[2] = (uint8_t)n;
        h = 3;
    }
    memcpy(out + h, p, n);
    return h + n;
}

struct field {
    const uint8_t *p;
    size_t n;
    int is_list; /* p is the list's content, encoded */
};

static size_t
rlp_list(uint8_t *out, const struct field *f, size_t n)
{
    static uint8_t body[70000];
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        if (f[i].is_list) {
            assert_true(f[i].n <= 55);
            body[len++] = (uint8_t)(0xc0 + f[i].n);
            memcpy(body + len, f[i].p, f[i].n);
            len += f[i].n;
        } else {
            len += rlp_string(body + len, f[i].p, f[i].n);
        }
    }
    size_t h = len <= 55 ? 1 : len <= 255 ? 2 : 3;
    out[0] = (uint8_t)(h == 1 ? 0xc0 + len : h == 2 ? 0xf8 : 0xf9);
    if (h == 2) {
        out[1] = (uint8_t)len;
    } else if (h == 3) {
        out[1] = (uint8_t)(len >> 8);
        out[2] = (uint8_t)len;
    }
    memcpy(out + h, body, len);
    return h + len;
}

static qr_err
with_field(size_t at, const uint8_t *p, size_t n, struct qr_eth_tx *tx)
{
    static const uint8_t one[] = {1}, to[20] = {7};
    static uint8_t out[70010];
    struct field f[9] = {
        {one, 1, 0}, {one, 1, 0}, {one, 1, 0}, {one, 1, 0}, {one, 1, 0},
        {to, 20, 0}, {one, 1, 0}, {one, 0, 0}, {one, 0, 1},
    };
    f[at].p = p;
    f[at].n = n;
    out[0] = 2;
    size_t len = 1 + rlp_list(out + 1, f, 9);
    return qr_eth_tx_parse(qr_view_of(out, len), tx, why, sizeof why);
}

/* Every field of a type 2 transaction at its limits: chain, nonce, tip, fee, gas, to, value, data. */
static void
test_sizes(void **state)
{
    static const size_t max[] = {8, 8, 32, 32, 8, 20, 32};
    uint8_t b[64] = {0};
    struct qr_eth_tx tx;

    (void)state;
    assert_int_equal(with_field(7, b, 0, &tx), QR_OK);
    for (size_t f = 0; f < sizeof max / sizeof max[0]; f++) {
        if (f == 2) {
            continue; /* the tip may not be above the fee, which is 1 here */
        }
        for (size_t k = 0; k <= 40; k++) {
            memset(b, 0x11, sizeof b);
            qr_err e = with_field(f, b, k, &tx);
            int ok = f == 5 ? k == 0 || k == 20 : k <= max[f];
            if (k == 0 && (f == 0 || f == 3)) {
                ok = 0; /* chain id zero; fee below the tip */
            }
            if ((e == QR_OK) != ok) {
                fail_msg("field %zu with %zu bytes: %s, %s", f, k, qr_err_name(e), why);
            }
            if (k > 0 && f != 5) {
                b[0] = 0; /* a leading zero byte is never canonical */
                assert_int_equal(with_field(f, b, k, &tx), QR_ERR_PREIMAGE);
            }
        }
    }
    /* an address without keys; two of them */
    size_t n = hex_any("d694" TO35 "c0"
                       "d694" TO11 "c0",
                       b, sizeof b);
    assert_int_equal(with_field(8, b, n, &tx), QR_OK);
    assert_true(tx.access_addresses == 2 && tx.access_keys == 0);
    static uint8_t data[32768];
    assert_int_equal(with_field(7, data, sizeof data, &tx), QR_OK);
    assert_int_equal(tx.data.len, sizeof data);
    for (n = 0; n < 5; n++) {
        assert_int_equal(with_field(7, data, n, &tx), QR_OK);
        assert_int_equal(tx.has_selector, n >= 4);
    }
}

static void
test_eip191(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        const char *digest;
    } v[] = {
        {"", 0, "5f35dce98ba4fba25530a026ed80b2cecdaa31091ba4958b99b52ea1d068adad"},
        {"hello", 5, "50b2c43fd39106bafbba0da34fc430e1f91e3c96ea2acee2bc34119f92b37750"},
        {NULL, 1000, "6a37e0b91509decb144d44cf932ba38dd926594952faf4817922845f01fa2908"},
    };
    uint8_t x[1000], d[32];

    (void)state;
    memset(x, 'x', sizeof x);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        qr_eip191_digest(qr_view_of(v[i].text ? (const void *)v[i].text : x, v[i].n), d);
        expect_hex(d, 32, v[i].digest);
    }
    vectors_ran("eip-191", sizeof v / sizeof v[0]);
}

/* EIP-55's examples; one case alone has no checksum. */
static void
test_address(void **state)
{
    static const char *const good[] = {
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        "0x52908400098527886E0F7030069857D2E4169EE7", "0xde709f2102306220921060314715629080e2fb77",
    };
    static const char *const bad[] = {
        "",
        "0x",
        "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0X5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
        "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae",
        "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaedd",
        "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaeg",
        "0x 5aaeb6053f3e94c9b9a09f33669435e7ef1beae",
    };
    uint8_t a[20], b[20];
    char text[43];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(qr_eth_address_read(qr_view_str(good[i]), a), QR_OK);
        for (size_t k = 2; k < 42; k++) {
            memcpy(text, good[i], sizeof text);
            if (text[k] >= 'a' && text[k] <= 'f' && i < 4) { /* one letter of another case */
                text[k] = (char)(text[k] - 'a' + 'A');
                assert_int_equal(qr_eth_address_read(qr_view_str(text), b), QR_ERR_MALFORMED);
            }
        }
        for (size_t k = 2; k < 42; k++) {
            text[k] = good[i][k];
            text[k] = (char)(text[k] >= 'A' && text[k] <= 'F' ? text[k] - 'A' + 'a' : text[k]);
        }
        assert_int_equal(qr_eth_address_read(qr_view_str(text), b), QR_OK);
        assert_memory_equal(a, b, sizeof a);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(qr_eth_address_read(qr_view_str(bad[i]), a), QR_ERR_MALFORMED);
    }
    vectors_ran("EIP-55", sizeof good / sizeof good[0]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address), cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_sizes),   cmocka_unit_test(test_eip191),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
