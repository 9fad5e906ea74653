/*
 * Azure's HCL report and its runtime data: read, and refused with one thing broken. Every report is
 * hashed and signed again, so that the processor vouches for what is broken.
 *
 * Numbers in brackets are those of the list of hostile evidence that this verifier must refuse.
 */
#include "test/common/tpmbench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct tpmbench b;

#define IN(stage)                                                                                  \
    if (s != (stage)) {                                                                            \
        return;                                                                                    \
    }

/* ---- the header ---- */

static void
magic(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->hcl.magic[arg] ^= 0x20;
}

static void
version(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint32_t v[] = {0, 3, 0x01000000, 0xffffffff};
    IN(TB_SPEC)
    if (arg < 4) {
        t->hcl.version = v[arg];
    } else {
        t->hcl.data_version = arg == 4 ? 0 : 2;
    }
}

static void
request(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    if (arg < 3) {
        t->hcl.request_type = arg == 2 ? 3 : arg;
    } else if (arg < 5) {
        t->hcl.status = arg == 3 ? 1 : 0x80000000;
    } else {
        t->hcl.reserved[arg - 5] = 1;
    }
}

/* (89) */
static void
report_type(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint32_t v[] = {0, 1, 3, 4, 5, 0xffffffff};
    IN(TB_SPEC)
    t->hcl.report_type = v[arg];
}

/* (89) */
static void
hash_type(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint32_t v[] = {0, 2, 3, 4, 0xffffffff};
    IN(TB_SPEC)
    t->hcl.hash_type = v[arg];
}

/* Outside the report. */
static void
var_size(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    int32_t len = (int32_t)t->hcl.json_len;
    int32_t to[] = {-len, 2600 - 1236 - len + 1, INT32_MAX - len, -len - 1};
    t->hcl.var_size_add = to[arg];
}

/* One more or less than was hashed (88). */
static void
var_off(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const int32_t off[] = {1, -1, 16, -200};
    IN(TB_SPEC)
    t->hcl.var_size_add = off[arg];
    t->hcl.data_size_add = off[arg];
    t->hcl.report_size_add = off[arg];
}

static void
sizes(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const int32_t off[] = {1, -1, 20, -1236};
    IN(TB_SPEC)
    if (arg < 4) {
        t->hcl.data_size_add = off[arg];
    } else {
        t->hcl.report_size_add = off[arg - 4];
    }
}

static void
padding(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    size_t first = 1236 + t->hcl.json_len, at[] = {first, first + 100, t->hcl.total - 1};
    t->hcl.bytes[at[arg]] = '}';
}

static void
cut(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t keep[] = {4, 32, 1216, 1236, 1237, 1300};
    IN(TB_EVIDENCE)
    tb_cut(t, QR_PART_HCL_REPORT, 0, t->hcl.total - keep[arg]);
}

/* ---- the binding ---- */

/* What the processor reports is not the hash of the runtime data. */
static void
report_data(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint8_t at[] = {0, 31, 32, 63};
    IN(TB_REPORT)
    if (arg < 4) {
        t->report_data[at[arg]] ^= 1;
    } else if (arg == 4) {
        memset(t->report_data, 0, 64);
    } else {
        memcpy(t->report_data + 32, t->report_data, 32);
        memset(t->report_data, 0, 32);
    }
}

/* Text changed after it was hashed: the same length, still JSON. */
static void
json_bytes(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const char *const from[] = {"\"secure-boot\":true", "HCLEkPub", "390CBCF5",
                                       "\"user-data\":\"0"};
    static const char *const to[] = {"\"secure-boot\":null", "HCLXkPub", "390CBCF6",
                                     "\"user-data\":\"1"};
    IN(TB_EVIDENCE)
    char *p = memmem(t->hcl.bytes, t->hcl.total, from[arg], strlen(from[arg]));
    assert_non_null(p);
    memcpy(p, to[arg], strlen(to[arg]));
}

/* ---- runtime data: $N stands for the key's modulus ---- */

#define KEY(kid, ops) "{\"kid\":\"" kid "\"," ops "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"$N\"}"
#define AK KEY("HCLAkPub", "\"key_ops\":[\"sign\"],")
#define DOC(keys, rest) "{\"keys\":[" keys "]" rest "}"

static void
set_text(struct tpmbench *t, const char *text)
{
    char out[3000], n[352];
    size_t len = 0;
    evhcl_modulus(t->ak, n);
    for (const char *p = text; *p; p++) {
        const char *add = p[0] == '$' && p[1] == 'N' ? n : NULL;
        size_t k = add ? strlen(add) : 1;
        assert_true(len + k < sizeof out);
        memcpy(out + len, add ? add : p, k);
        len += k;
        p += add != NULL;
    }
    out[len] = 0;
    evhcl_text(&t->hcl, out);
}

static const char *const twice[] = {
    DOC(AK "," AK, ""),                                          /* (90) */
    DOC(KEY("HCLEkPub", "") "," AK "," KEY("HCLAkPub", ""), ""), /* (90) */
    DOC(AK, ",\"keys\":[]"),
    DOC("{\"kid\":\"x\",\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],\"kty\":\"RSA\",\"e\":\"AQAB\","
        "\"n\":\"$N\"}",
        ""),
    DOC("{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"$N\","
        "\"n\":\"$N\"}",
        ""),
    DOC(AK, ",\"vm-configuration\":{\"secure-boot\":true,\"secure-boot\":false}"),
    DOC(AK, ",\"user-data\":\"00\",\"user-data\":\"01\""),
};

static const char *const wrong_key[] = {
    DOC(KEY("HCLAkPub", "\"key_ops\":[\"encrypt\"],"), ""), /* (91) */
    DOC(KEY("HCLAkPub", "\"key_ops\":[],"), ""),
    DOC(KEY("HCLAkPub", "\"key_ops\":[\"sign\",\"encrypt\"],"), ""),
    DOC(KEY("HCLAkPub", "\"key_ops\":[\"sign\",\"sign\"],"), ""),
    DOC(KEY("HCLAkPub", "\"key_ops\":\"sign\","), ""),
    DOC(KEY("HCLAkPub", "\"key_ops\":[\"Sign\"],"), ""),
    DOC(KEY("HCLAkPub", "\"key_ops\":[[\"sign\"]],"), ""),
    DOC(KEY("HCLAkPub", ""), ""),
    DOC(KEY("HCLEkPub", "\"key_ops\":[\"sign\"],"), ""),
    DOC(KEY("hclakpub", "\"key_ops\":[\"sign\"],"), ""),
    DOC("{\"inner\":" AK "}", ""), /* (90) */
    DOC("[" AK "]", ""),
    DOC("{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],\"kty\":\"EC\",\"crv\":\"P-256\"}", ""),
    DOC("{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],\"kty\":\"rsa\",\"e\":\"AQAB\",\"n\":\"$N\"}",
        ""),
    DOC("{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],\"e\":\"AQAB\",\"n\":\"$N\"}", ""),
};

#define NUMBERS(e, n)                                                                              \
    DOC("{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],\"kty\":\"RSA\"" e n "}", "")

static const char *const malformed[] = {
    NUMBERS(",\"e\":\"Aw\"", ",\"n\":\"$N\""),
    NUMBERS(",\"e\":\"AQAA\"", ",\"n\":\"$N\""),
    NUMBERS(",\"e\":65537", ",\"n\":\"$N\""),
    NUMBERS("", ",\"n\":\"$N\""),
    NUMBERS(",\"e\":\"AQAB\"", ""),
    NUMBERS(",\"e\":\"AQAB\"", ",\"n\":\"\""),
    NUMBERS(",\"e\":\"AQAB\"", ",\"n\":\"AAAA$N\""),
    NUMBERS(",\"e\":\"AQAB\"", ",\"n\":\"$N=\""),
    NUMBERS(",\"e\":\"AQAB\"", ",\"n\":\"$N==\""),
    NUMBERS(",\"e\":\"AQAB\"", ",\"n\":\"+$N\""),
    NUMBERS(",\"e\":\"AQAB\"", ",\"n\":\"qrvM\""),
    "{}",
    "[]",
    "\"keys\"",
    "null",
    "{\"keys\":[]}",
    "{\"keys\":{}}",
    "{\"keys\":\"HCLAkPub\"}",
    DOC("{},{},{},{},{},{},{},{}," AK, ""),
    DOC(AK, "") "x",
    DOC(AK, "") DOC(AK, ""),
    DOC(AK, ",\"user-data\":12"),
    DOC(AK, ",\"user-data\":\"00\""),
    DOC(AK, ",\"user-data\":null"),
    DOC(AK, ",\"vm-configuration\":[]"),
    DOC(AK, ",\"vm-configuration\":{\"a.b\":1}"),
    DOC(AK, ",\"vm-configuration\":{\"\":1}"),
    DOC(AK, ",\"vm-configuration\":{\"a[0]\":1}"),
    DOC(AK, ",\"x\":\"\xff\""),
    DOC(AK, ",\"x\":\"\\u0000\""),
    "\xef\xbb\xbf" DOC(AK, ""),
    DOC(AK, ",}"),
    DOC(AK, "") ",",
    "{'keys':[]}",
};

static void
text(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    if (arg < 100) {
        set_text(t, twice[arg]);
    } else if (arg < 200) {
        set_text(t, wrong_key[arg - 100]);
    } else {
        set_text(t, malformed[arg - 200]);
    }
}

/* A second document behind a NUL (92), which the hash covers. */
static void
behind_nul(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    set_text(t, DOC(AK, ""));
    t->hcl.json[t->hcl.json_len++] = 0;
    if (arg == 1) {
        memcpy(t->hcl.json + t->hcl.json_len, "{}", 2);
        t->hcl.json_len += 2;
    }
}

/* Deeper or longer than anything there is. */
static void
too_much(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    char out[3000];
    IN(TB_SPEC)
    t->hcl.total = sizeof t->hcl.bytes;
    char *p = out;
    p += snprintf(out, sizeof out, "{\"x\":");
    size_t n = arg == 0 ? 9 : 300;
    memset(p, '[', arg == 0 ? n : 1);
    p += arg == 0 ? n : 1;
    for (size_t i = 0; arg == 1 && i < n; i++) {
        *p++ = '1';
        *p++ = ',';
    }
    p -= arg == 1;
    memset(p, ']', arg == 0 ? n : 1);
    p += arg == 0 ? n : 1;
    memcpy(p, "}", 2);
    evhcl_text(&t->hcl, out);
}

#define ROW(name, change, from, to, check, reason)                                                 \
    {                                                                                              \
        name, TB_AZURE, change, from, to, QR_CHECK_##check, QR_REASON_##reason                     \
    }
#define N(list) (unsigned)(sizeof list / sizeof list[0])

static const struct tb_row rows[] = {
    ROW("another magic", magic, 0, 3, PARSE, MALFORMED),
    ROW("another version", version, 0, 5, PARSE, UNSUPPORTED),
    ROW("request, status, reserved", request, 0, 16, PARSE, MALFORMED),
    ROW("another report (89)", report_type, 0, 5, PARSE, MALFORMED),
    ROW("another hash (89)", hash_type, 0, 4, ALGORITHM, UNSUPPORTED),
    ROW("runtime data outside", var_size, 0, 3, PARSE, MALFORMED),
    ROW("more or less than was hashed (88)", var_off, 0, 3, RUNTIME_DATA, KEY_BINDING),
    ROW("sizes that disagree", sizes, 0, 7, PARSE, MALFORMED),
    ROW("something in the padding", padding, 0, 2, PARSE, MALFORMED),
    ROW("a cut report", cut, 0, 5, PARSE, MALFORMED),
    ROW("report_data of something else", report_data, 0, 5, RUNTIME_DATA, KEY_BINDING),
    ROW("another text", json_bytes, 0, 3, RUNTIME_DATA, KEY_BINDING),
    ROW("twice (90)", text, 0, N(twice) - 1, RUNTIME_DATA, DUPLICATE_KEY),
    ROW("a key of another use (90, 91)", text, 100, 99 + N(wrong_key), RUNTIME_DATA, KEY_BINDING),
    ROW("malformed runtime data", text, 200, 199 + N(malformed), RUNTIME_DATA, MALFORMED),
    ROW("a NUL in it (92)", behind_nul, 0, 1, RUNTIME_DATA, MALFORMED),
    ROW("too deep or too long", too_much, 0, 1, RUNTIME_DATA, RESOURCE_LIMIT),
};

#undef ROW

static void
test_refused(void **state)
{
    unsigned documents = 0, hits[QR_CHECK_COUNT] = {0};

    (void)state;
    assert_int_equal(tb_run_rows(&b, rows, sizeof rows / sizeof rows[0], &documents, hits), 0);
    print_message("%u documents\n", documents);
    assert_true(documents >= 100);
    assert_true(hits[QR_CHECK_RUNTIME_DATA] >= 3);
    assert_true(hits[QR_CHECK_PARSE] >= 3);
    assert_true(hits[QR_CHECK_ALGORITHM] >= 3);
}

/* What is genuine: both versions, the generation without user-data, members nobody knows. */
static const char *const genuine[] = {
    DOC(AK, ""),
    DOC(KEY("HCLEkPub", "") "," AK, ""),
    DOC("{}," AK, ",\"user-data\":\""
                  "0000000000000000000000000000000000000000000000000000000000000000"
                  "ABCDEFabcdef00000000000000000000000000000000000000000000000000ff\""),
    DOC(AK, ",\"vm-configuration\":{\"a\":null,\"b\":[],\"c\":{\"d\":1},\"e\":-1,\"f\":1.5,\"g\":7,"
            "\"h\":\"t\"},\"later\":[{\"x\":1}]"),
    " " DOC(AK, "") "\n",
};

static void
accepted(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->hcl.version = arg % 2 + 1;
    if (arg < N(genuine)) {
        set_text(t, genuine[arg]);
    } else {
        t->hcl.total = 2048 + arg * 64;
    }
}

static void
test_accepted(void **state)
{
    (void)state;
    for (unsigned i = 0; i < N(genuine) + 3; i++) {
        if (tb_run(&b, TB_AZURE, accepted, i) != QR_OK) {
            print_error("%u: %s\n", i, b.v.sentence);
        }
        assert_int_equal(b.v.reason, QR_REASON_NONE);
    }
}

static void
must_be_text(const char *path, const char *want)
{
    qr_view v = {0};
    assert_true(qr_claim_get_text(&b.v.claims, path, &v));
    assert_true(qr_view_eq(v, qr_view_str(want)));
}

static void
test_claims(void **state)
{
    uint64_t u = 0;
    int on = 0;
    uint8_t h[32];
    qr_view v;

    (void)state;
    assert_int_equal(tb_run(&b, TB_AZURE, NULL, 0), QR_OK);
    must_be_text("hcl.signature", "HCLA");
    must_be_text("hcl.report_type", "SNP");
    must_be_text("hcl.hash_type", "sha256");
    must_be_text("hcl.keys[0].kid", "HCLAkPub");
    must_be_text("hcl.keys[0].key_ops[0]", "sign");
    must_be_text("hcl.keys[1].kid", "HCLEkPub");
    must_be_text("hcl.vm_configuration.vmUniqueId", "390CBCF5-6C67-4D9B-98EF-C3F1699CC8FC");
    assert_true(qr_claim_get_bool(&b.v.claims, "hcl.vm_configuration.secure-boot", &on) && on);
    assert_true(qr_claim_get_uint(&b.v.claims, "hcl.var_size", &u) && u == b.hcl.json_len);
    assert_true(qr_claim_get_uint(&b.v.claims, "hcl.report_size", &u));
    assert_int_equal(u, 1236 + b.hcl.json_len);
    evhcl_hash(&b.hcl, h);
    assert_true(qr_claim_get_hex(&b.v.claims, "hcl.var_data_sha256", &v));
    assert_true(qr_view_eq(v, qr_view_of(h, 32)));
    /* Absent user data is said to be absent, and what has no simple value is not claimed. */
    assert_int_equal(tb_run(&b, TB_AZURE, accepted, 3), QR_OK);
    const struct qr_claim *c = qr_claim_find(&b.v.claims, "hcl.user_data");
    assert_true(c && c->type == QR_CLAIM_NULL);
    assert_null(qr_claim_find(&b.v.claims, "hcl.vm_configuration.b"));
    assert_null(qr_claim_find(&b.v.claims, "hcl.vm_configuration.e"));
    assert_true(qr_claim_get_uint(&b.v.claims, "hcl.vm_configuration.g", &u) && u == 7);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
