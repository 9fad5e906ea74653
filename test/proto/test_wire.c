/*
 * Envelopes: the one accepted encoding, and every way to miss it.
 */
#include "proto/wire.h"

#include "proto/wire.pb-c.h"
#include "protocol/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct qr_envelope
sample(qr_view payload)
{
    struct qr_envelope e = {.type = QR_MSG_PRESIGN1,
                            .from = 3,
                            .to = 16,
                            .epoch = 300,
                            .seq = 1u << 20,
                            .payload = payload};
    for (size_t i = 0; i < 32; i++) {
        e.sid[i] = (uint8_t)i;
    }
    return e;
}

static qr_view
encode(const struct qr_envelope *e, uint8_t *mem, size_t cap)
{
    struct qr_buf w = qr_buf_over(mem, cap);
    assert_int_equal(qr_wire_encode(e, &w), QR_OK);
    return qr_buf_view(&w);
}

static void
same(const struct qr_envelope *a, const struct qr_envelope *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->from, b->from);
    assert_int_equal(a->to, b->to);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->seq, b->seq);
    assert_memory_equal(a->sid, b->sid, 32);
    assert_true(qr_view_eq(a->payload, b->payload));
}

static void
round_trip(void **state)
{
    uint8_t payload[300], mem[512];
    (void)state;

    memset(payload, 0x5a, sizeof payload);
    for (size_t n = 0; n <= sizeof payload; n++) {
        struct qr_envelope e = sample(qr_view_of(payload, n)), back;
        qr_view v = encode(&e, mem, sizeof mem);
        assert_int_equal(qr_wire_decode(v, &back), QR_OK);
        same(&e, &back);
        if (n > 0) { /* a view, not a copy */
            assert_ptr_equal(back.payload.p, v.p + v.len - n);
        }
    }
}

static void
extremes(void **state)
{
    uint8_t mem[256];
    struct qr_envelope e = sample(qr_view_str("x")), back;
    (void)state;

    e.epoch = 0;
    e.seq = 1;
    e.from = e.to = 1;
    assert_int_equal(qr_wire_decode(encode(&e, mem, sizeof mem), &back), QR_OK);
    same(&e, &back);
    e.epoch = UINT32_MAX;
    e.seq = UINT64_MAX;
    e.from = e.to = QR_MAX_PARTIES;
    assert_int_equal(qr_wire_decode(encode(&e, mem, sizeof mem), &back), QR_OK);
    same(&e, &back);
}

/* Our bytes are protobuf's canonical ones: another implementation could talk to us. */
static void
agrees_with_protobuf(void **state)
{
    uint8_t payload[1000], mem[1200], theirs[1200];
    (void)state;

    memset(payload, 7, sizeof payload);
    struct qr_envelope e = sample(qr_view_of(payload, sizeof payload));
    qr_view v = encode(&e, mem, sizeof mem);
    Quorate__Wire__Envelope *m = quorate__wire__envelope__unpack(NULL, v.len, v.p);
    assert_non_null(m);
    assert_int_equal(m->version, QR_PROTOCOL_VERSION);
    assert_int_equal(m->type, e.type);
    assert_int_equal(m->seq, e.seq);
    assert_int_equal(m->payload.len, sizeof payload);
    assert_int_equal(quorate__wire__envelope__pack(m, theirs), v.len);
    assert_memory_equal(theirs, v.p, v.len);
    quorate__wire__envelope__free_unpacked(m, NULL);
}

/* Field by field, so that tests can leave out, repeat, reorder and lengthen. */
struct field {
    uint8_t tag;
    const char *bytes; /* hex-free: literal bytes after the tag */
    size_t len;
};

#define SID                                                                                        \
    "\x20"                                                                                         \
    "0123456789abcdef0123456789abcdef"
static const struct field good[] = {
    {0x08, "\x01", 1}, {0x10, "\x20", 1}, {0x18, "\x01", 1}, {0x20, "\x02", 1},
    {0x28, "\x05", 1}, {0x32, SID, 33},   {0x38, "\x09", 1}, {0x42, "\x03xyz", 4},
};
#define GOOD (sizeof good / sizeof good[0])

static size_t
put_field(uint8_t *out, const struct field *f)
{
    out[0] = f->tag;
    memcpy(out + 1, f->bytes, f->len);
    return 1 + f->len;
}

/* All good fields, with number `at` replaced (at < GOOD) or `instead` appended (at == GOOD). */
static qr_err
decode_with(size_t at, const struct field *instead)
{
    uint8_t mem[256];
    size_t n = 0;
    struct qr_envelope e;

    for (size_t i = 0; i <= GOOD; i++) {
        const struct field *f = i == at ? instead : i < GOOD ? &good[i] : NULL;
        n += f ? put_field(mem + n, f) : 0;
    }
    return qr_wire_decode(qr_view_of(mem, n), &e);
}

static void
missing_fields(void **state)
{
    (void)state;
    assert_int_equal(decode_with(GOOD, NULL), QR_OK);
    assert_int_equal(decode_with(0, NULL), QR_ERR_VERSION);
    assert_int_equal(decode_with(1, NULL), QR_ERR_MALFORMED); /* type */
    assert_int_equal(decode_with(2, NULL), QR_ERR_MALFORMED); /* from */
    assert_int_equal(decode_with(3, NULL), QR_ERR_MALFORMED); /* to */
    assert_int_equal(decode_with(4, NULL), QR_OK);            /* epoch 0 is left out */
    assert_int_equal(decode_with(5, NULL), QR_ERR_LENGTH);    /* sid */
    assert_int_equal(decode_with(6, NULL), QR_ERR_MALFORMED); /* seq */
    assert_int_equal(decode_with(7, NULL), QR_OK);            /* an empty payload is left out */
}

static void
bad_fields(void **state)
{
    static const struct {
        size_t at;
        struct field f;
        qr_err want;
    } cases[] = {
        {0, {0x08, "\x02", 1}, QR_ERR_VERSION},
        {0, {0x08, "\x81\x00", 2}, QR_ERR_MALFORMED},             /* 1, a byte too long */
        {0, {0x08, "\x81\x80\x80\x80\x10", 5}, QR_ERR_MALFORMED}, /* 2^32 + 1 is not 1 */
        {0, {0x09, "\x01\0\0\0\0\0\0\0", 8}, QR_ERR_MALFORMED},   /* fixed64 */
        {0, {0x0a, "\x01\x01", 2}, QR_ERR_MALFORMED},             /* bytes */
        {1, {0x10, "\x00", 1}, QR_ERR_MALFORMED},                 /* a default, spelt out */
        {1, {0x10, "\x7f", 1}, QR_ERR_MALFORMED},                 /* no such type */
        {1, {0x10, "\xa0\x80\x80\x80\x10", 5}, QR_ERR_MALFORMED}, /* 32 + 2^32 */
        {2, {0x18, "\x11", 1}, QR_ERR_MALFORMED},                 /* party 17 */
        {2, {0x18, "\x81\x80\x04", 3}, QR_ERR_MALFORMED},         /* 65537 is not 1 */
        {3, {0x20, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11}, QR_ERR_MALFORMED},
        {4, {0x28, "\x00", 1}, QR_ERR_MALFORMED},
        {4, {0x28, "\xff\xff\xff\xff\x1f", 5}, QR_ERR_MALFORMED}, /* 33 bits */
        {5,
         {0x32,
          "\x1f"
          "0123456789abcdef0123456789abcde",
          32},
         QR_ERR_LENGTH},
        {5,
         {0x32,
          "\x21"
          "0123456789abcdef0123456789abcdef!",
          34},
         QR_ERR_LENGTH},
        {5, {0x32, "\x00", 1}, QR_ERR_LENGTH},
        {5,
         {0x32,
          "\xa0\x00"
          "0123456789abcdef0123456789abcdef",
          34},
         QR_ERR_MALFORMED},
        {6, {0x38, "\x00", 1}, QR_ERR_MALFORMED},
        {6, {0x38, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10}, QR_ERR_MALFORMED},
        {6, {0x38, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10}, QR_OK},
        {7, {0x42, "\x00", 1}, QR_ERR_MALFORMED},
        {7, {0x42, "\x04xyz", 4}, QR_ERR_TRUNCATED},
        {7, {0x42, "\x02xyz", 4}, QR_ERR_TRAILING},
        {7, {0x42, "\x83\x00xyz", 5}, QR_ERR_MALFORMED},
        {7, {0x42, "\xff\xff\xff\xff\x0fxyz", 8}, QR_ERR_TOO_LARGE},
        {7, {0x42, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01xyz", 13}, QR_ERR_TOO_LARGE},
        {GOOD, {0x08, "\x01", 1}, QR_ERR_TRAILING},        /* after the payload */
        {GOOD, {0x42, "\x03xyz", 4}, QR_ERR_TRAILING},     /* the payload again */
        {6, {0x32, SID, 33}, QR_ERR_MALFORMED},            /* sid again */
        {1, {0x08, "\x01", 1}, QR_ERR_MALFORMED},          /* version again */
        {3, {0x10, "\x20", 1}, QR_ERR_MALFORMED},          /* out of order */
        {7, {0x48, "\x01", 1}, QR_ERR_UNKNOWN_FIELD},      /* field 9 */
        {7, {0x7a, "\x01x", 2}, QR_ERR_UNKNOWN_FIELD},     /* field 15 */
        {7, {0x82, "\x01\x01x", 3}, QR_ERR_UNKNOWN_FIELD}, /* field 16 */
        {7, {0x02, "\x01x", 2}, QR_ERR_UNKNOWN_FIELD},     /* field 0 */
        {7, {0x43, "", 0}, QR_ERR_MALFORMED},              /* group */
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        qr_err e = decode_with(cases[i].at, &cases[i].f);
        if (e != cases[i].want) {
            fail_msg("case %zu: %s, want %s", i, qr_err_name(e), qr_err_name(cases[i].want));
        }
    }
}

/* Every prefix is refused, but the two that are whole: with the payload, and without its field. */
static void
every_prefix(void **state)
{
    uint8_t mem[256];
    struct qr_envelope e = sample(qr_view_str("payload")), back;
    size_t ok = 0;
    (void)state;

    qr_view v = encode(&e, mem, sizeof mem);
    for (size_t n = 0; n <= v.len; n++) {
        /* An exact copy on the heap: a read past the end is a sanitizer's business. */
        uint8_t *copy = qr_alloc(n + 1);
        memcpy(copy, v.p, n);
        qr_err r = qr_wire_decode(qr_view_of(copy, n), &back);
        if (r == QR_OK) {
            ok++;
            assert_true(n == v.len || back.payload.len == 0);
        }
        qr_free(copy);
    }
    assert_true(ok >= 2 &&
                ok <= 5); /* seq's integer may be cut down to a shorter one: no payload */
}

/* Whatever single byte is changed: refused, or decoded and encoded again to the same bytes. */
static void
one_encoding(void **state)
{
    uint8_t mem[256], again[256];
    struct qr_envelope e = sample(qr_view_str("p")), back;
    size_t accepted = 0;
    (void)state;

    qr_view v = encode(&e, mem, sizeof mem);
    for (size_t i = 0; i < v.len; i++) {
        uint8_t was = mem[i];
        for (unsigned x = 0; x < 256; x++) {
            mem[i] = (uint8_t)x;
            if (qr_wire_decode(v, &back) == QR_OK) {
                qr_view w = encode(&back, again, sizeof again);
                assert_true(qr_view_eq(v, w));
                accepted++;
            }
        }
        mem[i] = was;
    }
    assert_true(accepted > 32 * 256); /* all of sid's values at least */
}

static void
refuses_to_encode(void **state)
{
    uint8_t mem[256], header[QR_WIRE_HEADER_MAX];
    size_t n;
    (void)state;

    struct qr_envelope e = sample(qr_view_str("x"));
    e.seq = 0;
    assert_int_equal(qr_wire_header(&e, header, &n), QR_ERR_MALFORMED);
    e = sample(qr_view_str("x"));
    e.to = 17;
    assert_int_equal(qr_wire_header(&e, header, &n), QR_ERR_MALFORMED);
    e = sample(qr_view_str("x"));
    e.from = 0;
    assert_int_equal(qr_wire_header(&e, header, &n), QR_ERR_MALFORMED);
    e = sample(qr_view_str("x"));
    e.type = (enum qr_msg)200;
    assert_int_equal(qr_wire_header(&e, header, &n), QR_ERR_MALFORMED);
    e = sample((qr_view){mem, QR_WIRE_PAYLOAD_MAX + 1}); /* only the length is looked at */
    assert_int_equal(qr_wire_header(&e, header, &n), QR_ERR_TOO_LARGE);
    e = sample((qr_view){mem, QR_WIRE_PAYLOAD_MAX});
    assert_int_equal(qr_wire_header(&e, header, &n), QR_OK);
    struct qr_buf w = qr_buf_over(mem, 20);
    e = sample(qr_view_str("x"));
    assert_int_equal(qr_wire_encode(&e, &w), QR_ERR_NO_SPACE);
}

/* Decoding takes nothing from the heap, whatever the sizes. */
static int
no_heap(size_t n)
{
    (void)n;
    return 0;
}

static void
large_without_heap(void **state)
{
    size_t cap = QR_WIRE_PAYLOAD_MAX + QR_WIRE_HEADER_MAX, b0, k0, b1, k1;
    uint8_t *payload = qr_alloc(QR_WIRE_PAYLOAD_MAX), *mem = qr_alloc(cap);
    struct qr_envelope e = sample((qr_view){payload, QR_WIRE_PAYLOAD_MAX}), back;
    (void)state;

    qr_view v = encode(&e, mem, cap);
    qr_alloc_stats(&b0, &k0);
    qr_alloc_gate(no_heap);
    assert_int_equal(qr_wire_decode(v, &back), QR_OK);
    qr_alloc_gate(NULL);
    qr_alloc_stats(&b1, &k1);
    assert_int_equal(k0, k1);
    assert_int_equal(back.payload.len, QR_WIRE_PAYLOAD_MAX);
    qr_free(payload);
    qr_free(mem);
}

static void
types(void **state)
{
    size_t known = 0;
    (void)state;

    for (uint32_t t = 0; t < 1000; t++) {
        known += (size_t)qr_wire_type_known(t);
    }
    assert_true(known >= 18);
    assert_true(qr_wire_type_known(QR_MSG_PAIR1) && qr_wire_type_known(QR_MSG_TIME));
    assert_false(qr_wire_type_known(0));
    assert_false(qr_wire_type_known(UINT32_MAX));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),           cmocka_unit_test(extremes),
        cmocka_unit_test(agrees_with_protobuf), cmocka_unit_test(missing_fields),
        cmocka_unit_test(bad_fields),           cmocka_unit_test(every_prefix),
        cmocka_unit_test(one_encoding),         cmocka_unit_test(refuses_to_encode),
        cmocka_unit_test(large_without_heap),   cmocka_unit_test(types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
