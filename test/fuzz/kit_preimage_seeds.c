/*
 * The named seeds of the targets 712, btc, psbt and request: a few of the vectors of test/vectors/preimage
 * (run in the repository's root), each in the form that its target reads.
 */
#include "test/fuzz/kit_preimage_seeds.h"

#include "protocol/base/enc.h"
#include "test/fuzz/fuzz.h"

#include <jansson.h>

#define KEY "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
#define WITH "\"signWith\":\"" KEY "\","

static json_t *
load(const char *path)
{
    json_error_t e;
    json_t *j = json_load_file(path, 0, &e);
    FUZZ_MUST(j);
    return j;
}

static const char *
member(const json_t *j, const char *name)
{
    const char *s = json_string_value(json_object_get(j, name));
    return s ? s : "";
}

static void
typed(qr_seed_fn seed)
{
    json_t *all = load("test/vectors/preimage/typed.json");
    char name[32];

    for (size_t i = 0; i < 6; i++) {
        (void)snprintf(name, sizeof name, "vector-%zu", i);
        seed("712", name, -1, qr_view_str(member(json_array_get(all, i), "doc")));
    }
    json_decref(all);
}

static size_t
put_hex(uint8_t *out, const char *hex)
{
    size_t n = strlen(hex) / 2;
    FUZZ_MUST(qr_hex_decode(hex, 2 * n, out, n) == QR_OK);
    return n;
}

/* How, which input, three scripts with their lengths, the transaction; and the same as an item. */
static void
bitcoin(qr_seed_fn seed)
{
    static const char *const parts[3] = {"script", "redeem", "witness"};
    static uint8_t b[8192];
    json_t *all = load("test/vectors/preimage/btc.json");
    char name[32];

    for (size_t i = 0; i < 7; i++) {
        json_t *v = json_array_get(all, i);
        size_t input = (size_t)json_integer_value(json_object_get(v, "input")), n = 2;
        const json_t *prev = json_array_get(json_object_get(v, "prevouts"), input);
        b[0] = strcmp(member(v, "kind"), "btc_bip143") == 0;
        b[1] = (uint8_t)input;
        for (size_t k = 0; k < 3; k++) {
            size_t len = put_hex(b + n + 1, member(prev, parts[k]));
            b[n] = (uint8_t)len;
            n += 1 + len;
        }
        n += put_hex(b + n, member(v, "tx"));
        (void)snprintf(name, sizeof name, "vector-%zu", i);
        seed("btc", name, -1, qr_view_of(b, n));

        json_t *item = json_pack("{s:s, s:s, s:i, s:O}", "kind", member(v, "kind"), "preimage",
                                 member(v, "tx"), "input", (int)input, "prevouts",
                                 json_object_get(v, "prevouts"));
        char *text = json_dumps(item, JSON_COMPACT);
        FUZZ_MUST(text);
        if (i % 3 == 0) {
            seed("request", name, 1, qr_view_str(text));
        }
        free(text);
        json_decref(item);
    }
    json_decref(all);
}

static void
psbts(qr_seed_fn seed)
{
    static uint8_t b[8192];
    json_t *all = load("test/vectors/preimage/psbt.json");
    char name[32];
    size_t len = 0;

    for (size_t i = 0; i < 3; i++) {
        const char *text = member(json_array_get(json_object_get(all, "cases"), i), "psbt");
        FUZZ_MUST(qr_b64_decode(text, strlen(text), b, sizeof b, &len) == QR_OK);
        (void)snprintf(name, sizeof name, "case-%zu", i);
        seed("psbt", name, -1, qr_view_of(b, len));
        if (i == 0) {
            seed("psbt", "text", -1, qr_view_str(text));
        }
    }
    json_decref(all);
}

static void
requests(qr_seed_fn seed)
{
    seed("request", "native", 0,
         qr_view_str("{\"v\":1,\"cluster\":"
                     "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\","
                     "\"key\":\"" KEY
                     "\",\"id\":\"0123456789abcdef\",\"issued_ms\":1,\"expires_ms\":2,"
                     "\"path\":[0,5],\"items\":[{\"kind\":\"sha256d\",\"preimage\":\"00\"}]}"));
    seed("request", "eip712", 1,
         qr_view_str("{\"kind\":\"eip712\",\"preimage\":"
                     "\"7b227479706573223a7b2254223a5b7b226e616d65223a2278222c2274797065223a227569"
                     "6e7438227d5d7d2c227072696d61727954797065223a2254222c22646f6d61696e223a7b226e"
                     "616d65223a226e227d2c226d657373616765223a7b2278223a317d7d\"}"));
    seed("request", "of", 1,
         qr_view_str("{\"kind\":\"digest\",\"digest\":"
                     "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"},"
                     "{\"kind\":\"btc_bip143\",\"input\":0,\"of\":0}"));
    seed("request", "raw-one", 2,
         qr_view_str(WITH "\"payload\":\"0x6162\",\"encoding\":\"PAYLOAD_ENCODING_HEXADECIMAL\","
                          "\"hashFunction\":\"HASH_FUNCTION_KECCAK256\""));
    seed("request", "raw-typed", 2,
         qr_view_str("\"signWith\":\"0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf\",\"payload\":"
                     "\"{\\\"types\\\":{\\\"T\\\":[{\\\"name\\\":\\\"x\\\",\\\"type\\\":"
                     "\\\"uint8\\\"}]},\\\"primaryType\\\":\\\"T\\\",\\\"domain\\\":{"
                     "\\\"name\\\":\\\"n\\\"},\\\"message\\\":{\\\"x\\\":1}}\",\"encoding\":"
                     "\"PAYLOAD_ENCODING_EIP712\",\"hashFunction\":\"HASH_FUNCTION_NO_OP\""));
    seed("request", "raw-many", 3,
         qr_view_str(WITH "\"payloads\":[\"a\",\"\"],\"encoding\":\"PAYLOAD_ENCODING_TEXT_UTF8\","
                          "\"hashFunction\":\"HASH_FUNCTION_SHA256\""));
    seed("request", "raw-tx", 4,
         qr_view_str(WITH
                     "\"type\":\"TRANSACTION_TYPE_ETHEREUM\",\"unsignedTransaction\":"
                     "\"02df0101010a825208947e5f4552091a69125d5dfcb7b8c2659029395bdf0580c0\""));
}

void
fuzz_seeds_preimage(qr_seed_fn seed)
{
    typed(seed);
    bitcoin(seed);
    psbts(seed);
    requests(seed);
}
