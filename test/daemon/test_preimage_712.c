/*
 * EIP-712: the standard's own example, documents that two other libraries hash the same
 * (test/vectors/preimage), every way to be refused with its sentence, and what the worst document costs.
 */
#include "daemon/preimage_712.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/keccak.h"
#include "protocol/base/hash.h"
#include "test/common/vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* From the EIP. */
#define MAIL_TYPES                                                                                 \
    "\"EIP712Domain\":[{\"name\":\"name\",\"type\":\"string\"},"                                   \
    "{\"name\":\"version\",\"type\":\"string\"},{\"name\":\"chainId\",\"type\":\"uint256\"},"      \
    "{\"name\":\"verifyingContract\",\"type\":\"address\"}],"                                      \
    "\"Person\":[{\"name\":\"name\",\"type\":\"string\"},{\"name\":\"wallet\",\"type\":"           \
    "\"address\"}],\"Mail\":[{\"name\":\"from\",\"type\":\"Person\"},{\"name\":\"to\",\"type\":"   \
    "\"Person\"},{\"name\":\"contents\",\"type\":\"string\"}]"
#define MAIL_DOMAIN                                                                                \
    "\"name\":\"Ether Mail\",\"version\":\"1\",\"chainId\":1,"                                     \
    "\"verifyingContract\":\"0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC\""
#define MAIL_MESSAGE                                                                               \
    "\"from\":{\"name\":\"Cow\",\"wallet\":\"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826\"},"       \
    "\"to\":{\"name\":\"Bob\",\"wallet\":\"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB\"},"         \
    "\"contents\":\"Hello, Bob!\""
#define MAIL_DIGEST "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"

static char why[256];
static struct qr_712 typed;
static uint8_t digest[32];

static qr_err
parse(const char *doc, size_t len)
{
    /* a block of its own, so that a read past the end is seen by sanitizers */
    char *copy = test_malloc(len ? len : 1);
    memcpy(copy, doc, len);
    why[0] = '\0';
    qr_err e = qr_712_parse(qr_view_of(copy, len), &typed, digest, why, sizeof why);
    test_free(copy);
    return e;
}

static const char *
document(const char *types, const char *primary, const char *domain, const char *message)
{
    static char doc[QR_PREIMAGE_MAX + 4096];
    int n = snprintf(doc, sizeof doc,
                     "{\"types\":{%s},\"primaryType\":\"%s\",\"domain\":{%s},\"message\":{%s}}",
                     types, primary, domain, message);
    assert_true(n > 0 && (size_t)n < sizeof doc);
    return doc;
}

static int
setup(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK ? 0 : -1;
}

static void
test_example(void **state)
{
    const char *doc = document(MAIL_TYPES, "Mail", MAIL_DOMAIN, MAIL_MESSAGE);

    (void)state;
    assert_int_equal(parse(doc, strlen(doc)), QR_OK);
    expect_hex(digest, 32, MAIL_DIGEST);
    assert_true(typed.has_chain_id && typed.chain_id == 1 && typed.has_contract);
    expect_hex(typed.contract, 20, "cccccccccccccccccccccccccccccccccccccccc");
    assert_string_equal(typed.primary_type, "Mail");
    assert_string_equal(typed.domain_name, "Ether Mail");
    /* without the type of the domain, which follows from its members */
    doc = document(strchr(MAIL_TYPES, ']') + 2, "Mail", MAIL_DOMAIN, MAIL_MESSAGE);
    assert_int_equal(parse(doc, strlen(doc)), QR_OK);
    expect_hex(digest, 32, MAIL_DIGEST);
    /* every truncation is refused with a sentence */
    for (size_t n = 0; n < strlen(doc); n++) {
        assert_int_equal(parse(doc, n), QR_ERR_PREIMAGE);
        assert_true(strlen(why) > strlen("typed data: "));
    }
    assert_int_equal(qr_712_parse(qr_view_of(doc, 5), &typed, digest, NULL, 0), QR_ERR_PREIMAGE);
    vectors_ran("EIP-712 example", 1);
}

static void
test_vectors(void **state)
{
    json_error_t e;
    json_t *all = json_load_file("test/vectors/preimage/typed.json", 0, &e);
    size_t n = json_array_size(all);

    (void)state;
    assert_true(n >= 30);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(all, i);
        const char *doc = json_string_value(json_object_get(v, "doc"));
        if (parse(doc, strlen(doc)) != QR_OK) {
            fail_msg("vector %zu: %s\n%s", i, why, doc);
        }
        expect_hex(digest, 32, json_string_value(json_object_get(v, "digest")));
    }
    json_decref(all);
    vectors_ran("EIP-712 by ethers and viem", n);
}

/* One member of one type: its type and its value. */
static qr_err
value(const char *type, const char *text)
{
    char types[256], message[256];
    (void)snprintf(types, sizeof types, "\"T\":[{\"name\":\"x\",\"type\":\"%s\"}]", type);
    (void)snprintf(message, sizeof message, "\"x\":%s", text);
    const char *doc = document(types, "T", "\"name\":\"n\"", message);
    return parse(doc, strlen(doc));
}

/* Ways to write one number are one number; and the edges of each type. */
static void
test_numbers(void **state)
{
    static const char *const same[][3] = {
        {"uint8", "255", "\"0xff\""},
        {"uint8", "255", "\"255\""},
        {"uint256", "0", "\"0x0\""},
        {"uint256", "10", "\"0x000000000A\""},
        {"int8", "-128", "\"-128\""},
        {"int256", "-1", "\"-1\""},
        {"int16", "127", "\"0x7F\""},
        {"bytes", "\"0xABCD\"", "\"0xabcd\""},
        {"address", "\"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826\"",
         "\"0xcd2a3d9f938e13cd947ec05abc7fe734df8dd826\""},
    };
    static const char *const fits[][2] = {
        {"uint8", "255"},
        {"int8", "127"},
        {"int8", "\"-128\""},
        {"uint64", "\"18446744073709551615\""},
        {"int64", "\"-9223372036854775808\""},
        {"uint256", "9007199254740991"},
        {"uint256",
         "\"115792089237316195423570985008687907853269984665640564039457584007913129639935\""},
        {"int256",
         "\"-57896044618658097711785492504343953926634992332820282019728792003956564819968\""},
        {"int256",
         "\"57896044618658097711785492504343953926634992332820282019728792003956564819967\""},
        {"uint256", "\"0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\""},
    };
    static const char *const not [][2] = {
        {"uint8", "256"},
        {"uint8", "-1"},
        {"uint8", "\"-0\""},
        {"uint8", "1.0"},
        {"uint8", "1e1"},
        {"uint8", "true"},
        {"uint8", "null"},
        {"uint8", "\"\""},
        {"uint8", "\"0x\""},
        {"uint8", "\"0X1\""},
        {"uint8", "\"01\""},
        {"uint8", "\"+1\""},
        {"uint8", "\" 1\""},
        {"uint8", "\"1 \""},
        {"uint8", "\"1e1\""},
        {"uint8", "[1]"},
        {"int8", "128"},
        {"int8", "-129"},
        {"int8", "\"-0x1\""},
        {"int8", "\"0xff\""},
        {"int8", "\"-\""},
        {"int16", "-32769"},
        {"uint256", "9007199254740992"}, /* not exact for every reader */
        {"uint256", "18446744073709551616"},
        {"uint256",
         "\"115792089237316195423570985008687907853269984665640564039457584007913129639936\""},
        {"uint256", "\"0x10000000000000000000000000000000000000000000000000000000000000000\""},
        {"int256",
         "\"57896044618658097711785492504343953926634992332820282019728792003956564819968\""},
        {"int256",
         "\"-57896044618658097711785492504343953926634992332820282019728792003956564819969\""},
    };
    uint8_t first[32];

    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        assert_int_equal(value(same[i][0], same[i][1]), QR_OK);
        memcpy(first, digest, 32);
        assert_int_equal(value(same[i][0], same[i][2]), QR_OK);
        assert_memory_equal(first, digest, 32);
    }
    for (size_t i = 0; i < sizeof fits / sizeof fits[0]; i++) {
        if (value(fits[i][0], fits[i][1]) != QR_OK) {
            fail_msg("%s = %s: %s", fits[i][0], fits[i][1], why);
        }
    }
    for (size_t i = 0; i < sizeof not / sizeof not [0]; i++) {
        if (value(not [i][0], not [i][1]) != QR_ERR_PREIMAGE || !why[0]) {
            fail_msg("%s = %s was taken", not [i][0], not [i][1]);
        }
    }
}

#define T "\"T\":[{\"name\":\"x\",\"type\":\"uint8\"}]"
#define D "\"name\":\"n\""
#define X "\"x\":1"

static void
test_refused(void **state)
{
    static const struct {
        const char *types, *primary, *domain, *message, *why;
    } bad[] = {
        {T, "T", D, "", "message.x: is missing"},
        {T, "T", D, X ",\"y\":2", "message: type \"T\" has no member \"y\""},
        {T, "T", D, X ",\"x\":1", NULL},
        {T, "U", D, X, "primaryType: type \"U\" is not defined"},
        {T, "uint8", D, X, "primaryType: type \"uint8\" is not defined"},
        {"\"EIP712Domain\":[{\"name\":\"name\",\"type\":\"string\"}]," T, "EIP712Domain", D, D,
         "primaryType: type \"EIP712Domain\" is not defined"},
        {"", "T", D, X, "types: 0 types; 1 to 64 are allowed"},
        {T "," T, "T", D, X, NULL},
        {"\"T\":[]", "T", D, "", "types.T: 0 elements; 1 to 64 are allowed"},
        {"\"T\":{}", "T", D, "", "types.T: must be an array"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"uint8\"},{\"name\":\"x\",\"type\":\"bool\"}]", "T", D,
         X, "types.T[1]: member \"x\" is defined twice"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"V\"}]", "T", D, X,
         "types.T[0]: type \"V\" is not defined"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"T\"}]", "T", D, X, "types: type \"T\" contains itself"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"T[]\"}]", "T", D, "\"x\":[]",
         "types: type \"T\" contains itself"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"A\"}],\"A\":[{\"name\":\"b\",\"type\":\"B[2]\"}],"
         "\"B\":[{\"name\":\"a\",\"type\":\"A\"}]",
         "T", D, X, "types: type \"A\" contains itself"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"EIP712Domain\"}],"
         "\"EIP712Domain\":[{\"name\":\"name\",\"type\":\"string\"}]",
         "T", D, "\"x\":{\"name\":\"n\"}", "types.T[0]: type \"EIP712Domain\" is not defined"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"uint\"}]", "T", D, X,
         "types.T[0]: \"uint\" is no type of EIP-712 (write uint256 for uint)"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"int\"}]", "T", D, X, NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"uint7\"}]", "T", D, X, NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"uint08\"}]", "T", D, X, NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"int264\"}]", "T", D, X, NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"bytes33\"}]", "T", D, X, NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"bytes0\"}]", "T", D, X, NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"uint8[0]\"}]", "T", D, "\"x\":[]",
         "types.T[0]: \"uint8[0]\" is not a type"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"uint8[01]\"}]", "T", D, "\"x\":[1]", NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"uint8[ ]\"}]", "T", D, "\"x\":[1]", NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"uint8]\"}]", "T", D, "\"x\":[1]", NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"[]\"}]", "T", D, "\"x\":[1]", NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"uint8 \"}]", "T", D, X, NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"uint8[][][][][][][][][][][][][][][][][]\"}]", "T", D,
         "\"x\":[]", "types.T[0]: an array of more than 16 dimensions"},
        {"\"T\":[{\"name\":\"x y\",\"type\":\"uint8\"}]", "T", D, "\"x y\":1",
         "types.T[0]: \"x y\" cannot be the name of a member"},
        {"\"T\":[{\"name\":\"0x\",\"type\":\"uint8\"}]", "T", D, "\"0x\":1", NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"uint8\",\"z\":1}]", "T", D, X, NULL},
        {"\"T\":[{\"name\":\"x\"}]", "T", D, X, NULL},
        {"\"T$\":[{\"name\":\"x\",\"type\":\"uint8\"}]", "T$", D, X,
         "types: \"T$\" cannot be the name of a type"},
        {"\"uint8\":[{\"name\":\"x\",\"type\":\"uint8\"}]", "uint8", D, X,
         "types: \"uint8\" cannot be the name of a type"},
        {"\"int\":[{\"name\":\"x\",\"type\":\"uint8\"}]", "int", D, X, NULL},
        {"\"T(\":[{\"name\":\"x\",\"type\":\"uint8\"}]", "T(", D, X, NULL},
        {T, "T", "", X,
         "domain: one or more of name, version, chainId, verifyingContract, salt, and nothing "
         "else"},
        {T, "T", D ",\"other\":1", X, NULL},
        {T, "T", "\"chainId\":\"18446744073709551616\"", X, "domain.chainId: is above 2^64-1"},
        {T, "T", "\"chainId\":null", X, NULL},
        {T, "T", "\"name\":1", X, "domain.name: must be text"},
        {T, "T", "\"salt\":\"0x00\"", X, "domain.salt: has 1 bytes; bytes32 has 32"},
        {T, "T", "\"verifyingContract\":\"0x00\"", X, NULL},
        {"\"EIP712Domain\":[{\"name\":\"name\",\"type\":\"bytes\"}]," T, "T", D, X, NULL},
        {"\"EIP712Domain\":[{\"name\":\"version\",\"type\":\"string\"}]," T, "T", D, X, NULL},
        {"\"EIP712Domain\":[{\"name\":\"version\",\"type\":\"string\"},{\"name\":\"name\","
         "\"type\":\"string\"}]," T,
         "T", D ",\"version\":\"1\"", X,
         "domain: type \"EIP712Domain\" must name exactly its members, in the order and with the "
         "types of EIP-712"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"uint8[2]\"}]", "T", D, "\"x\":[1]",
         "message.x: has 1 elements; its type says 2"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"uint8[]\"}]", "T", D, "\"x\":1",
         "message.x: must be an array"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"uint8[][2]\"}]", "T", D, "\"x\":[[1],[2,300]]",
         "message.x[1][1]: does not fit uint8"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"U[]\"}],\"U\":[{\"name\":\"y\",\"type\":\"bool\"}]",
         "T", D, "\"x\":[{\"y\":true},{\"y\":\"true\"}]", "message.x[1].y: must be true or false"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"U\"}],\"U\":[{\"name\":\"y\",\"type\":\"bool\"}]", "T",
         D, "\"x\":null", "message.x: must be an object (type \"U\")"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"string\"}]", "T", D, "\"x\":1",
         "message.x: must be text"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"string\"}]", "T", D, "\"x\":\"\\u0000\"", NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"string\"}]", "T", D, "\"x\":\"\\ud800\"", NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"string\"}]", "T", D, "\"x\":\"\xff\"", NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"bytes\"}]", "T", D, "\"x\":\"0x0\"",
         "message.x: must be text of 0x and an even number of hex digits"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"bytes\"}]", "T", D, "\"x\":\"00\"", NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"bytes\"}]", "T", D, "\"x\":\"0x0g\"", NULL},
        {"\"T\":[{\"name\":\"x\",\"type\":\"bytes4\"}]", "T", D, "\"x\":\"0x010203\"",
         "message.x: has 3 bytes; bytes4 has 4"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"address\"}]", "T", D,
         "\"x\":\"0xcD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826\"",
         "message.x: must be an address: 0x and 40 hex digits, with a right checksum if of both "
         "cases"},
        {"\"T\":[{\"name\":\"x\",\"type\":\"address\"}]", "T", D, "\"x\":\"0x00\"", NULL},
    };
    const char *doc;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        doc = document(bad[i].types, bad[i].primary, bad[i].domain, bad[i].message);
        qr_err e = parse(doc, strlen(doc));
        if (e != QR_ERR_PREIMAGE || strncmp(why, "typed data: ", 12) != 0 || !why[12] ||
            (bad[i].why && strcmp(why + 12, bad[i].why) != 0)) {
            fail_msg("row %zu, %s: %s, \"%s\"", i, doc, qr_err_name(e), why);
        }
    }
    /* the document's own members */
    static const char *const roots[] = {
        "[]",
        "{}",
        "1",
        "{\"types\":{" T "},\"primaryType\":\"T\",\"domain\":{" D "}}",
        "{\"types\":{" T "},\"primaryType\":\"T\",\"domain\":{" D "},\"message\":{" X "},\"v\":1}",
        "{\"types\":{" T "},\"primaryType\":\"T\",\"domain\":{" D "},\"message\":[]}",
        "{\"types\":{" T "},\"primaryType\":1,\"domain\":{" D "},\"message\":{" X "}}",
        "{\"types\":{" T "},\"primaryType\":\"T\",\"domain\":{" D "},\"message\":{" X "}} x",
        "\xef\xbb\xbf{\"types\":{" T "},\"primaryType\":\"T\",\"domain\":{" D "},\"message\":{" X
        "}}",
    };
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        assert_int_equal(parse(roots[i], strlen(roots[i])), QR_ERR_PREIMAGE);
    }
    doc = document(T, "T", D, X);
    assert_int_equal(parse(doc, strlen(doc)), QR_OK);
}

/* Values nested as deep as may be, and one more. */
static void
test_depth(void **state)
{
    char types[128], message[128];

    (void)state;
    for (unsigned dims = QR_712_DEPTH - 2; dims <= QR_712_DEPTH; dims++) {
        size_t n = (size_t)snprintf(types, sizeof types, "\"T\":[{\"name\":\"x\",\"type\":\"bool");
        size_t m = (size_t)snprintf(message, sizeof message, "\"x\":");
        for (unsigned i = 0; i < dims; i++) {
            n += (size_t)snprintf(types + n, sizeof types - n, "[]");
            message[m++] = '[';
        }
        (void)snprintf(types + n, sizeof types - n, "\"}]");
        for (unsigned i = 0; i < dims; i++) {
            message[m++] = ']';
        }
        message[m] = '\0';
        const char *doc = document(types, "T", D, message);
        assert_int_equal(parse(doc, strlen(doc)),
                         dims < QR_712_DEPTH ? QR_OK : QR_ERR_PREIMAGE); /* the message is one */
    }
}

static double
ms_between(const struct timespec *a, const struct timespec *b)
{
    return (double)(b->tv_sec - a->tv_sec) * 1e3 + (double)(b->tv_nsec - a->tv_nsec) / 1e6;
}

/* What this machine and build take for Keccak-256 of a mebibyte: some 5 ms. */
static double
reference_ms(void)
{
    static uint8_t block[1024 * 1024];
    struct timespec a, b;
    double best = 1e9;

    for (int i = 0; i < 3; i++) {
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
        qr_keccak256(qr_view_of(block, sizeof block), digest);
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
        best = ms_between(&a, &b) < best ? ms_between(&a, &b) : best;
    }
    return best;
}

static double
ms_of(const char *doc, qr_err want)
{
    struct timespec a, b;
    double best = 1e9;

    for (int i = 0; i < 3; i++) {
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
        qr_err e = parse(doc, strlen(doc));
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
        if (e != want) {
            fail_msg("%s: %s", qr_err_name(e), why);
        }
        double ms = ms_between(&a, &b);
        best = ms < best ? ms : best;
    }
    return best;
}

/* `head`, `unit` again and again as long as `max` bytes last, `tail`. */
static const char *
fill(char *buf, size_t cap, const char *head, const char *unit, const char *tail, size_t max)
{
    size_t n = (size_t)snprintf(buf, cap, "%s", head);
    for (size_t i = 0; n + strlen(unit) + strlen(tail) < max && i < 2000; i++) {
        n += (size_t)snprintf(buf + n, cap - n, "%s%s", i ? "," : "", unit);
    }
    (void)snprintf(buf + n, cap - n, "%s", tail);
    return buf;
}

/* Documents of 32 KiB that are all work: none may hold a party up. */
static void
test_cost(void **state)
{
    static char big[QR_PREIMAGE_MAX], types[QR_PREIMAGE_MAX];
    double worst = 0, ms;
    size_t n = 0;

    (void)state;
    /* empty arrays: a hash for three bytes */
    (void)fill(big, sizeof big, "\"x\":[", "[]", "]", 30000);
    ms = ms_of(document("\"T\":[{\"name\":\"x\",\"type\":\"bool[][]\"}]", "T", D, big), QR_OK);
    worst = ms > worst ? ms : worst;
    /* structs of one member */
    (void)fill(big, sizeof big, "\"x\":[", "{\"y\":true}", "]", 30000);
    ms = ms_of(document("\"T\":[{\"name\":\"x\",\"type\":\"U[]\"}],"
                        "\"U\":[{\"name\":\"y\",\"type\":\"bool\"}]",
                        "T", D, big),
               QR_OK);
    worst = ms > worst ? ms : worst;
    /* numbers of 78 digits */
    (void)fill(big, sizeof big, "\"x\":[",
               "\"11579208923731619542357098500868790785326998466564056403945758400791312963993\"",
               "]", 30000);
    ms = ms_of(document("\"T\":[{\"name\":\"x\",\"type\":\"uint256[]\"}]", "T", D, big), QR_OK);
    worst = ms > worst ? ms : worst;
    /* addresses with checksums */
    (void)fill(big, sizeof big, "\"x\":[", "\"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826\"", "]",
               30000);
    ms = ms_of(document("\"T\":[{\"name\":\"x\",\"type\":\"address[]\"}]", "T", D, big), QR_OK);
    worst = ms > worst ? ms : worst;
    /* 60 types that all need three of 6 KiB: the texts are bounded together */
    for (unsigned i = 0; i < 58; i++) {
        n += (size_t)snprintf(types + n, sizeof types - n,
                              "\"A%02u\":[{\"name\":\"n\",\"type\":\"A%02u[]\"}],", i, i + 1);
    }
    n += (size_t)snprintf(types + n, sizeof types - n, "\"A58\":[");
    for (unsigned i = 0; i < 64; i++) {
        n += (size_t)snprintf(types + n, sizeof types - n,
                              "%s{\"name\":\"m%062u\",\"type\":\"bytes32\"}", i ? "," : "", i);
    }
    n += (size_t)snprintf(types + n, sizeof types - n,
                          "],\"T\":[{\"name\":\"n0\",\"type\":\"A00[]\"}");
    for (unsigned i = 1; i < 59; i++) {
        n += (size_t)snprintf(types + n, sizeof types - n, ",{\"name\":\"n%u\",\"type\":\"A%02u\"}",
                              i, i);
    }
    (void)snprintf(types + n, sizeof types - n, "]");
    n = (size_t)snprintf(big, sizeof big, "\"n0\":[]");
    for (unsigned i = 1; i < 58; i++) {
        n += (size_t)snprintf(big + n, sizeof big - n, ",\"n%u\":{\"n\":[]}", i);
    }
    ms = ms_of(document(types, "T", D, big), QR_ERR_PREIMAGE);
    assert_non_null(strstr(why, "the types are too long together"));
    worst = ms > worst ? ms : worst;
    /* more values than may be */
    n = (size_t)snprintf(big, sizeof big, "\"x\":[");
    for (unsigned i = 0; i < 5000; i++) {
        n += (size_t)snprintf(big + n, sizeof big - n, "%s1", i ? "," : "");
    }
    (void)snprintf(big + n, sizeof big - n, "]");
    ms = ms_of(document("\"T\":[{\"name\":\"x\",\"type\":\"uint8[]\"}]", "T", D, big),
               QR_ERR_PREIMAGE);
    worst = ms > worst ? ms : worst;
    double reference = reference_ms();
    print_message("worst document: %.2f ms (a mebibyte hashed: %.2f ms)\n", worst, reference);
    assert_true(worst < 3 * reference);
    /* and one that is too long */
    memset(big, ' ', sizeof big);
    static char longer[QR_PREIMAGE_MAX + 1];
    memset(longer, ' ', sizeof longer);
    assert_int_equal(parse(longer, sizeof longer), QR_ERR_PREIMAGE);
    assert_string_equal(why, "typed data: 32769 bytes, at most 32768 are allowed");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example), cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_depth),   cmocka_unit_test(test_cost),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
