/* Evidence: one order, one encoding, every bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/evidence.h"

static uint8_t wire[QR_EVIDENCE_TOTAL_MAX + 4096], other[QR_EVIDENCE_TOTAL_MAX + 4096];
static uint8_t bytes[131072];

static size_t
encode(const struct qr_evidence *e, uint8_t *out)
{
    struct qr_buf b = qr_buf_over(out, sizeof wire);
    qr_evidence_encode(e, &b);
    assert_int_equal(b.err, QR_OK);
    return b.len;
}

static void
test_names(void **state)
{
    (void)state;
    assert_string_equal(qr_evidence_kind_name(QR_EV_NITRO), "aws-nitro");
    assert_string_equal(qr_evidence_kind_name(QR_EV_NONE), "unknown");
    assert_string_equal(qr_evidence_kind_name((enum qr_evidence_kind)99), "unknown");
    assert_int_equal(qr_evidence_kind_by_name(qr_view_str("gcp-tdx-vtpm")), QR_EV_GCP_TDX);
    assert_int_equal(qr_evidence_kind_by_name(qr_view_str("gcp-tdx-vtp")), QR_EV_NONE);
    assert_int_equal(qr_evidence_kind_by_name(qr_view_str("unknown")), QR_EV_NONE);
    assert_string_equal(qr_part_name(QR_PART_QUOTE), "quote.bin");
    assert_string_equal(qr_part_name(QR_PART_NONE), "unknown");
    assert_string_equal(qr_part_name((enum qr_part)200), "unknown");
    assert_int_equal(qr_part_max(QR_PART_QUOTE), 16384);
    assert_int_equal(qr_part_max(QR_PART_NONE), 0);
    assert_int_equal(qr_part_max((enum qr_part)31), 0);
    for (unsigned k = 0; k < 256; k++) {
        const char *name = qr_evidence_kind_name((enum qr_evidence_kind)k);
        if (strcmp(name, "unknown") != 0) {
            assert_int_equal(qr_evidence_kind_by_name(qr_view_str(name)), k);
        }
    }
}

static void
test_add(void **state)
{
    struct qr_evidence e = {.kind = QR_EV_SNP};
    const struct qr_evidence before = e;
    (void)state;
    assert_int_equal(qr_evidence_add(&e, QR_PART_NONE, 0, qr_view_of(bytes, 1)), QR_ERR_MALFORMED);
    assert_int_equal(qr_evidence_add(&e, (enum qr_part)31, 0, qr_view_of(bytes, 1)),
                     QR_ERR_MALFORMED);
    assert_int_equal(qr_evidence_add(&e, (enum qr_part)9999, 0, qr_view_of(bytes, 1)),
                     QR_ERR_MALFORMED);
    assert_int_equal(qr_evidence_add(&e, QR_PART_SNP_VEK, 0, qr_view_of(bytes, 0)),
                     QR_ERR_MALFORMED);
    assert_int_equal(qr_evidence_add(&e, QR_PART_SNP_VEK, 0, (qr_view){NULL, 4}), QR_ERR_MALFORMED);
    assert_int_equal(qr_evidence_add(&e, QR_PART_SNP_VEK, 0, qr_view_of(bytes, 4097)),
                     QR_ERR_TOO_LARGE);
    assert_memory_equal(&e, &before, sizeof e);
    assert_int_equal(qr_evidence_add(&e, QR_PART_SNP_VEK, 0, qr_view_of(bytes, 4096)), QR_OK);
    assert_int_equal(qr_evidence_add(&e, QR_PART_SNP_REPORT, 0, qr_view_of(bytes, 1)), QR_OK);
    assert_int_equal(qr_evidence_add(&e, QR_PART_SNP_VEK, 2, qr_view_of(bytes, 2)), QR_OK);
    assert_int_equal(qr_evidence_add(&e, QR_PART_SNP_VEK, 1, qr_view_of(bytes, 3)), QR_OK);
    assert_int_equal(qr_evidence_add(&e, QR_PART_SNP_VEK, 1, qr_view_of(bytes, 3)),
                     QR_ERR_MALFORMED);
    assert_int_equal(e.n, 4);
    for (size_t i = 1; i < e.n; i++) {
        assert_true(e.item[i - 1].part < e.item[i].part || e.item[i - 1].slot < e.item[i].slot);
    }
    assert_int_equal(qr_evidence_get(&e, QR_PART_SNP_VEK).len, 4096);
    assert_int_equal(qr_evidence_get_slot(&e, QR_PART_SNP_VEK, 1).len, 3);
    assert_int_equal(qr_evidence_get_slot(&e, QR_PART_SNP_VEK, 2).len, 2);
    assert_null(qr_evidence_get_slot(&e, QR_PART_SNP_VEK, 3).p);
    assert_null(qr_evidence_get(&e, QR_PART_QUOTE).p);
}

static void
test_bounds(void **state)
{
    struct qr_evidence e = {.kind = QR_EV_SNP};
    (void)state;
    for (unsigned i = 0; i < QR_ITEMS_OF_EVIDENCE; i++) {
        assert_int_equal(qr_evidence_add(&e, QR_PART_TPM_QUOTE, (uint8_t)i, qr_view_of(bytes, 1)),
                         QR_OK);
    }
    assert_int_equal(qr_evidence_add(&e, QR_PART_TPM_QUOTE, 99, qr_view_of(bytes, 1)),
                     QR_ERR_TOO_LARGE);
    assert_int_equal(e.n, QR_ITEMS_OF_EVIDENCE);
    e = (struct qr_evidence){.kind = QR_EV_SNP};
    assert_int_equal(qr_evidence_add(&e, QR_PART_TCG_LOG, 0, qr_view_of(bytes, 131072)), QR_OK);
    assert_int_equal(qr_evidence_add(&e, QR_PART_CC_LOG, 0, qr_view_of(bytes, 131071)), QR_OK);
    assert_int_equal(qr_evidence_add(&e, QR_PART_QUOTE, 0, qr_view_of(bytes, 2)), QR_ERR_TOO_LARGE);
    assert_int_equal(qr_evidence_add(&e, QR_PART_QUOTE, 0, qr_view_of(bytes, 1)), QR_OK);
}

static struct qr_evidence
sample(void)
{
    struct qr_evidence e = {.kind = QR_EV_AZURE_SNP};
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    assert_int_equal(qr_evidence_add(&e, QR_PART_TPM_QUOTE, 2, qr_view_of(bytes, 200)), QR_OK);
    assert_int_equal(qr_evidence_add(&e, QR_PART_HCL_REPORT, 0, qr_view_of(bytes + 5, 300)), QR_OK);
    assert_int_equal(qr_evidence_add(&e, QR_PART_TPM_QUOTE, 1, qr_view_of(bytes + 9, 1)), QR_OK);
    return e;
}

static void
test_round_trip(void **state)
{
    struct qr_evidence e = sample(), back;
    (void)state;
    size_t len = encode(&e, wire);
    assert_int_equal(len, 8 + 3 * 6 + 501);
    assert_memory_equal(wire, "QREV\x01\x07\x00\x03\x10\x00\x00\x00\x01\x2c", 14);
    assert_int_equal(qr_evidence_decode(qr_view_of(wire, len), &back), QR_OK);
    assert_int_equal(back.kind, QR_EV_AZURE_SNP);
    assert_int_equal(back.n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(back.item[i].part, e.item[i].part);
        assert_int_equal(back.item[i].slot, e.item[i].slot);
        assert_true(qr_view_eq(back.item[i].bytes, e.item[i].bytes));
    }
    assert_int_equal(encode(&back, other), len);
    assert_memory_equal(wire, other, len);
    e.n = 0; /* nothing is evidence, too; the verifiers miss what they need */
    len = encode(&e, wire);
    assert_int_equal(qr_evidence_decode(qr_view_of(wire, len), &back), QR_OK);
    assert_int_equal(back.n, 0);
}

static void
test_hostile_wire(void **state)
{
    struct qr_evidence e = sample(), back = {.kind = QR_EV_TPM, .n = 31};
    size_t len = encode(&e, wire);
    static const struct {
        size_t at;
        uint8_t byte;
        qr_err e;
    } rows[] = {
        {0, 'q', QR_ERR_MALFORMED},   {3, 'W', QR_ERR_MALFORMED},   {4, 0, QR_ERR_VERSION},
        {4, 2, QR_ERR_VERSION},       {5, 0, QR_ERR_MALFORMED},     {5, 1, QR_ERR_MALFORMED},
        {5, 14, QR_ERR_MALFORMED},    {6, 1, QR_ERR_TOO_LARGE},     {7, 33, QR_ERR_TOO_LARGE},
        {7, 4, QR_ERR_MALFORMED},     {7, 2, QR_ERR_TRAILING},      {8, 0, QR_ERR_MALFORMED},
        {8, 31, QR_ERR_MALFORMED},    {8, 255, QR_ERR_MALFORMED},   {8, 18, QR_ERR_MALFORMED},
        {10, 0xff, QR_ERR_TOO_LARGE}, {11, 0x01, QR_ERR_TOO_LARGE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t was = wire[rows[i].at];
        wire[rows[i].at] = rows[i].byte;
        assert_int_equal(qr_evidence_decode(qr_view_of(wire, len), &back), rows[i].e);
        wire[rows[i].at] = was;
    }
    for (size_t n = 0; n < len; n++) {
        assert_int_equal(qr_evidence_decode(qr_view_of(wire, n), &back), QR_ERR_MALFORMED);
    }
    assert_int_equal(qr_evidence_decode(qr_view_of(wire, len + 1), &back), QR_ERR_TRAILING);
    assert_int_equal(back.kind, QR_EV_TPM); /* written on success only */
    assert_int_equal(back.n, 31);
    /* an empty item, a pair that is there twice, pairs that fall */
    memcpy(other, "QREV\x01\x03\x00\x01\x02\x00\x00\x00\x00\x00", 14);
    assert_int_equal(qr_evidence_decode(qr_view_of(other, 14), &back), QR_ERR_MALFORMED);
    memcpy(other, "QREV\x01\x03\x00\x02\x02\x00\x00\x00\x00\x01x\x02\x00\x00\x00\x00\x01y", 22);
    assert_int_equal(qr_evidence_decode(qr_view_of(other, 22), &back), QR_ERR_MALFORMED);
    other[16] = 1;
    assert_int_equal(qr_evidence_decode(qr_view_of(other, 22), &back), QR_OK);
    other[9] = 2;
    assert_int_equal(qr_evidence_decode(qr_view_of(other, 22), &back), QR_ERR_MALFORMED);
}

static void
test_small_buffer(void **state)
{
    struct qr_evidence e = sample();
    size_t len = encode(&e, wire);
    (void)state;
    struct qr_buf b = qr_buf_over(other, len - 1);
    qr_evidence_encode(&e, &b);
    assert_int_equal(b.err, QR_ERR_NO_SPACE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),        cmocka_unit_test(test_add),
        cmocka_unit_test(test_bounds),       cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_hostile_wire), cmocka_unit_test(test_small_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
