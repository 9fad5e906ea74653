/* The CBOR reader: the examples of RFC 8949, every bound, forms that are not read, hostile heads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/cbor.h"

static struct qr_cbor c;
static struct qr_cbor_item it;

static void
over(const char *bytes, size_t len)
{
    qr_cbor_init(&c, qr_view_of(bytes, len));
    memset(&it, 0xa5, sizeof it);
}
#define OVER(s) over(s, sizeof(s) - 1)

/* RFC 8949, appendix A: what is one item and is read here. */
static void
test_scalars(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum qr_cbor_type type;
        uint64_t u;
        int minimal;
    } rows[] = {
#define ROW(s) s, sizeof(s) - 1
        {ROW("\x00"), QR_CBOR_UINT, 0, 1},
        {ROW("\x17"), QR_CBOR_UINT, 23, 1},
        {ROW("\x18\x18"), QR_CBOR_UINT, 24, 1},
        {ROW("\x18\x64"), QR_CBOR_UINT, 100, 1},
        {ROW("\x19\x03\xe8"), QR_CBOR_UINT, 1000, 1},
        {ROW("\x1a\x00\x0f\x42\x40"), QR_CBOR_UINT, 1000000, 1},
        {ROW("\x1b\x00\x00\x00\xe8\xd4\xa5\x10\x00"), QR_CBOR_UINT, 1000000000000, 1},
        {ROW("\x1b\xff\xff\xff\xff\xff\xff\xff\xff"), QR_CBOR_UINT, UINT64_MAX, 1},
        {ROW("\x18\x17"), QR_CBOR_UINT, 23, 0},
        {ROW("\x19\x00\xff"), QR_CBOR_UINT, 255, 0},
        {ROW("\x1a\x00\x00\xff\xff"), QR_CBOR_UINT, 65535, 0},
        {ROW("\x1b\x00\x00\x00\x00\xff\xff\xff\xff"), QR_CBOR_UINT, UINT32_MAX, 0},
        {ROW("\x20"), QR_CBOR_NEGINT, 0, 1},           /* -1 */
        {ROW("\x38\x22"), QR_CBOR_NEGINT, 34, 1},      /* -35: ES384 */
        {ROW("\x39\x03\xe7"), QR_CBOR_NEGINT, 999, 1}, /* -1000 */
        {ROW("\x3a\x00\x01\x00\x00"), QR_CBOR_NEGINT, 65536, 1},
        {ROW("\x3b\xff\xff\xff\xff\xff\xff\xff\xff"), QR_CBOR_NEGINT, UINT64_MAX, 1},
        {ROW("\x40"), QR_CBOR_BYTES, 0, 1},
        {ROW("\x44\x01\x02\x03\x04"), QR_CBOR_BYTES, 4, 1},
        {ROW("\x58\x01x"), QR_CBOR_BYTES, 1, 0},
        {ROW("\x60"), QR_CBOR_TEXT, 0, 1},
        {ROW("\x64IETF"), QR_CBOR_TEXT, 4, 1},
        {ROW("\x62\xc3\xbc"), QR_CBOR_TEXT, 2, 1},
        {ROW("\x64\xf0\x90\x85\x91"), QR_CBOR_TEXT, 4, 1},
        {ROW("\x78\x01x"), QR_CBOR_TEXT, 1, 0},
        {ROW("\xc1"), QR_CBOR_TAG, 1, 1},
        {ROW("\xd2"), QR_CBOR_TAG, 18, 1},
        {ROW("\xd8\x20"), QR_CBOR_TAG, 32, 1},
        {ROW("\xd8\x12"), QR_CBOR_TAG, 18, 0},
        {ROW("\xf4"), QR_CBOR_BOOL, 0, 1},
        {ROW("\xf5"), QR_CBOR_BOOL, 1, 1},
        {ROW("\xf6"), QR_CBOR_NULL, 0, 1},
        {ROW("\xf7"), QR_CBOR_OTHER, 0, 1},         /* undefined */
        {ROW("\xf9\x3c\x00"), QR_CBOR_OTHER, 0, 1}, /* half float */
        {ROW("\xfa\x47\xc3\x50\x00"), QR_CBOR_OTHER, 0, 1},
        {ROW("\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a"), QR_CBOR_OTHER, 0, 1},
#undef ROW
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        over(rows[i].bytes, rows[i].len);
        assert_int_equal(qr_cbor_next(&c, &it), QR_OK);
        assert_int_equal(it.type, rows[i].type);
        assert_int_equal(it.u, rows[i].u);
        assert_int_equal(it.minimal, rows[i].minimal);
        assert_int_equal(it.indefinite, 0);
        assert_int_equal(qr_cbor_end(&c), QR_OK);
        if (it.type == QR_CBOR_BYTES || it.type == QR_CBOR_TEXT) {
            assert_int_equal(it.v.len, rows[i].u);
            assert_ptr_equal(it.v.p + it.v.len, (const uint8_t *)rows[i].bytes + rows[i].len);
        }
        /* One byte less is an error each time, and stays one. */
        over(rows[i].bytes, rows[i].len - 1);
        assert_int_equal(qr_cbor_next(&c, &it), QR_ERR_MALFORMED);
        assert_int_equal(qr_cbor_next(&c, &it), QR_ERR_MALFORMED);
        assert_int_equal(qr_cbor_end(&c), QR_ERR_MALFORMED);
    }
}

static void
test_forms_that_are_not_read(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
#define ROW(s) {s, sizeof(s) - 1}
        ROW("\x1c"),
        ROW("\x1d"),
        ROW("\x1e"),
        ROW("\x1f"), /* reserved, indefinite integer */
        ROW("\x3c"),
        ROW("\x3f"),
        ROW("\xdc"),
        ROW("\xdf"), /* the same of the others */
        ROW("\x5c"),
        ROW("\x7c"),
        ROW("\x9c"),
        ROW("\xbc"),
        ROW("\xfc"),
        ROW("\x5f\x41x\xff"),
        ROW("\x7f\x61x\xff"), /* indefinite strings */
        ROW("\xff"),          /* a break that ends nothing */
        ROW("\xe0"),
        ROW("\xf3"),
        ROW("\xf8\xff"),
        ROW("\xf8\x18"), /* unassigned simple values */
        ROW("\x62\xff\xff"),
        ROW("\x61\x80"),
        ROW("\x62\xc0\x80"), /* no UTF-8 */
        ROW("\x63\xed\xa0\x80"),
        ROW("\x64\xf4\x90\x80\x80"),
        ROW("\x62\xc3("),
        ROW("\x5b\xff\xff\xff\xff\xff\xff\xff\xff"), /* sizes that nobody has */
        ROW("\x7b\xff\xff\xff\xff\xff\xff\xff\xff"),
        ROW("\x5b\x7f\xff\xff\xff\xff\xff\xff\xff"),
        ROW("\x5a\xff\xff\xff\xff"),
        ROW("\x81"),
        ROW("\x82\x00"),
        ROW("\xa1\x00"),
        ROW("\xa1"), /* counts above what is left */
#undef ROW
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        over(rows[i].bytes, rows[i].len);
        assert_int_equal(qr_cbor_next(&c, &it), QR_ERR_MALFORMED);
        assert_int_equal(c.pos, 0);
        over(rows[i].bytes, rows[i].len);
        assert_int_equal(qr_cbor_skip(&c), QR_ERR_MALFORMED);
    }
    over("", 0);
    assert_int_equal(qr_cbor_next(&c, &it), QR_ERR_MALFORMED);
    over("", 0);
    assert_int_equal(qr_cbor_end(&c), QR_OK);
}

/* Heads that declare more elements than may be read at all. */
static void
test_declared_counts(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        {"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", 9},
        {"\x9b\x00\x00\x00\x01\x00\x00\x00\x00", 9},
        {"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", 9},
        {"\xbb\x80\x00\x00\x00\x00\x00\x00\x00", 9},
        {"\x9a\xff\xff\xff\xff", 5},
        {"\xba\xff\xff\xff\xff", 5},
        {"\x99\x02\x01", 3},
        {"\xb9\x02\x01", 3},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        over(rows[i].bytes, rows[i].len);
        assert_int_equal(qr_cbor_next(&c, &it), QR_ERR_TOO_LARGE);
        over(rows[i].bytes, rows[i].len);
        assert_int_equal(qr_cbor_skip(&c), QR_ERR_TOO_LARGE);
    }
    OVER("\x99\x02\x00"); /* 512: allowed, but not there */
    assert_int_equal(qr_cbor_next(&c, &it), QR_ERR_MALFORMED);
}

/* Each of the 24 tags that take one byte; libcbor's decoder knows some of them only. */
static void
test_short_tags(void **state)
{
    (void)state;
    for (unsigned tag = 0; tag < 24; tag++) {
        uint8_t in[2] = {(uint8_t)(0xc0 | tag), 0x07};
        qr_cbor_init(&c, qr_view_of(in, sizeof in));
        assert_int_equal(qr_cbor_next(&c, &it), QR_OK);
        assert_int_equal(it.type, QR_CBOR_TAG);
        assert_int_equal(it.u, tag);
        assert_int_equal(it.minimal, 1);
        assert_int_equal(qr_cbor_next(&c, &it), QR_OK);
        assert_int_equal(it.type, QR_CBOR_UINT);
        assert_int_equal(it.u, 7);
        assert_int_equal(qr_cbor_end(&c), QR_OK);
    }
}

/* Walks {"a": 1, "b": [2, 3]} in all four mixtures of definite and indefinite. */
static void
test_containers(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        {"\xa2\x61"
         "a\x01\x61"
         "b\x82\x02\x03",
         9},
        {"\xbf\x61"
         "a\x01\x61"
         "b\x82\x02\x03\xff",
         10},
        {"\xa2\x61"
         "a\x01\x61"
         "b\x9f\x02\x03\xff",
         10},
        {"\xbf\x61"
         "a\x01\x61"
         "b\x9f\x02\x03\xff\xff",
         11},
    };
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct qr_cbor_open map, list;
        unsigned pairs = 0, sum = 0;
        over(rows[i].bytes, rows[i].len);
        assert_int_equal(qr_cbor_next(&c, &it), QR_OK);
        assert_int_equal(it.type, QR_CBOR_MAP);
        assert_int_equal(it.indefinite, i == 1 || i == 3);
        assert_int_equal(qr_cbor_enter(&c, &it, &map), QR_OK);
        assert_int_equal(c.depth, 1);
        while (qr_cbor_more(&c, &map)) {
            pairs++;
            assert_int_equal(qr_cbor_next(&c, &it), QR_OK);
            assert_int_equal(it.type, QR_CBOR_TEXT);
            assert_int_equal(qr_cbor_next(&c, &it), QR_OK);
            if (it.type == QR_CBOR_ARRAY) {
                assert_int_equal(it.indefinite, i >= 2);
                assert_int_equal(qr_cbor_enter(&c, &it, &list), QR_OK);
                while (qr_cbor_more(&c, &list)) {
                    assert_int_equal(qr_cbor_next(&c, &it), QR_OK);
                    sum += (unsigned)it.u;
                }
            }
        }
        assert_int_equal(pairs, 2);
        assert_int_equal(sum, 5);
        assert_int_equal(c.depth, 0);
        assert_int_equal(qr_cbor_end(&c), QR_OK);
        /* skipped as a whole, it ends at the same place; cut anywhere it is an error */
        over(rows[i].bytes, rows[i].len);
        assert_int_equal(qr_cbor_skip(&c), QR_OK);
        assert_int_equal(qr_cbor_end(&c), QR_OK);
        for (size_t n = 0; n < rows[i].len; n++) {
            over(rows[i].bytes, n);
            assert_int_equal(qr_cbor_skip(&c), QR_ERR_MALFORMED);
        }
    }
    OVER("\x80\x00");
    assert_int_equal(qr_cbor_skip(&c), QR_OK);
    assert_int_equal(qr_cbor_end(&c), QR_ERR_TRAILING);
    OVER("\xa0");
    assert_int_equal(qr_cbor_skip(&c), QR_OK);
    OVER("\x9f\xff");
    assert_int_equal(qr_cbor_skip(&c), QR_OK);
    OVER("\xc1\xc2\x82\xc1\x00\xc1\x00"); /* tags before anything */
    assert_int_equal(qr_cbor_skip(&c), QR_OK);
    assert_int_equal(qr_cbor_end(&c), QR_OK);
    OVER("\xc1"); /* a tag of nothing */
    assert_int_equal(qr_cbor_skip(&c), QR_ERR_MALFORMED);
    OVER("\xbf\x01\xff"); /* a key without a value */
    assert_int_equal(qr_cbor_skip(&c), QR_ERR_MALFORMED);
}

static void
test_depth(void **state)
{
    struct qr_cbor_open o[QR_CBOR_DEPTH + 1];
    uint8_t deep[64];
    (void)state;
    for (int indefinite = 0; indefinite < 2; indefinite++) {
        memset(deep, indefinite ? 0x9f : 0x81, sizeof deep);
        qr_cbor_init(&c, qr_view_of(deep, sizeof deep));
        for (unsigned i = 0; i < QR_CBOR_DEPTH; i++) {
            assert_int_equal(qr_cbor_next(&c, &it), QR_OK);
            assert_int_equal(qr_cbor_enter(&c, &it, &o[i]), QR_OK);
            assert_true(qr_cbor_more(&c, &o[i]));
        }
        assert_int_equal(qr_cbor_next(&c, &it), QR_OK);
        assert_int_equal(qr_cbor_enter(&c, &it, &o[QR_CBOR_DEPTH]), QR_ERR_TOO_LARGE);
        assert_int_equal(qr_cbor_more(&c, &o[0]), 0);
        assert_int_equal(qr_cbor_next(&c, &it), QR_ERR_TOO_LARGE);
        assert_int_equal(qr_cbor_enter(&c, &it, &o[0]), QR_ERR_TOO_LARGE);
        qr_cbor_init(&c, qr_view_of(deep, sizeof deep));
        assert_int_equal(qr_cbor_skip(&c), QR_ERR_TOO_LARGE);
        memset(deep + QR_CBOR_DEPTH, 0, sizeof deep - QR_CBOR_DEPTH);
        if (!indefinite) {
            qr_cbor_init(&c, qr_view_of(deep, QR_CBOR_DEPTH + 1));
            assert_int_equal(qr_cbor_skip(&c), QR_OK);
            assert_int_equal(qr_cbor_end(&c), QR_OK);
        }
    }
}

static void
test_items(void **state)
{
    uint8_t many[QR_CBOR_ITEMS + 8];
    struct qr_cbor_open o;
    (void)state;
    memset(many, 0, sizeof many);
    many[0] = 0x9f;
    many[QR_CBOR_ITEMS] = 0xff; /* 511 elements: with their container just as many as are allowed */
    qr_cbor_init(&c, qr_view_of(many, QR_CBOR_ITEMS + 1));
    assert_int_equal(qr_cbor_skip(&c), QR_OK);
    assert_int_equal(c.items, QR_CBOR_ITEMS);
    many[QR_CBOR_ITEMS] = 0;
    many[QR_CBOR_ITEMS + 1] = 0xff;
    qr_cbor_init(&c, qr_view_of(many, QR_CBOR_ITEMS + 2));
    assert_int_equal(qr_cbor_skip(&c), QR_ERR_TOO_LARGE);
    qr_cbor_init(&c, qr_view_of(many, QR_CBOR_ITEMS)); /* never closed */
    assert_int_equal(qr_cbor_next(&c, &it), QR_OK);
    assert_int_equal(qr_cbor_enter(&c, &it, &o), QR_OK);
    while (qr_cbor_more(&c, &o)) {
        assert_int_equal(qr_cbor_next(&c, &it), QR_OK);
    }
    assert_int_equal(qr_cbor_end(&c), QR_ERR_MALFORMED);
    memset(many, 0xc1, sizeof many); /* tags of tags of tags */
    qr_cbor_init(&c, qr_view_of(many, sizeof many));
    assert_int_equal(qr_cbor_skip(&c), QR_ERR_TOO_LARGE);
}

/* Every two bytes and what follows: no crash, no read past the end, no item without progress. */
static void
test_every_head(void **state)
{
    uint8_t in[12] = {0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    size_t read = 0;
    (void)state;
    for (unsigned head = 0; head < 65536; head++) {
        in[0] = (uint8_t)(head >> 8);
        in[1] = (uint8_t)head;
        for (size_t len = 1; len <= sizeof in; len += 11) {
            qr_cbor_init(&c, qr_view_of(in, len));
            if (qr_cbor_next(&c, &it) == QR_OK) {
                read++;
                assert_true(c.pos >= 1 && c.pos <= len);
                if (it.type == QR_CBOR_BYTES || it.type == QR_CBOR_TEXT) {
                    assert_true(it.v.p > in && it.v.p + it.v.len == in + c.pos);
                }
                assert_true(it.type != QR_CBOR_BREAK);
            }
            qr_cbor_init(&c, qr_view_of(in, len));
            qr_err e = qr_cbor_skip(&c);
            assert_true(e == QR_OK || e == QR_ERR_MALFORMED || e == QR_ERR_TOO_LARGE);
        }
    }
    assert_true(read > 30000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),         cmocka_unit_test(test_forms_that_are_not_read),
        cmocka_unit_test(test_declared_counts), cmocka_unit_test(test_short_tags),
        cmocka_unit_test(test_containers),      cmocka_unit_test(test_depth),
        cmocka_unit_test(test_items),           cmocka_unit_test(test_every_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
