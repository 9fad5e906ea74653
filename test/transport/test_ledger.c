/*
 * Counting: classes, link kinds, and bytes that are counted when the link takes them.
 */
#include "transport/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
classes(void **state)
{
    (void)state;
    assert_int_equal(qr_msg_class(QR_MSG_PAIR2), QR_CLASSES_SETUP);
    assert_int_equal(qr_msg_class(QR_MSG_DKG1), QR_CLASSES_KEYGEN);
    assert_int_equal(qr_msg_class(QR_MSG_DKG4), QR_CLASSES_KEYGEN);
    assert_int_equal(qr_msg_class(QR_MSG_PRESIGN2), QR_CLASSES_PRESIGN);
    assert_int_equal(qr_msg_class(QR_MSG_SIGN_REQUEST), QR_CLASSES_ONLINE);
    assert_int_equal(qr_msg_class(QR_MSG_SIGN_SHARE), QR_CLASSES_ONLINE);
    assert_int_equal(qr_msg_class(QR_MSG_ADMIN), QR_CLASSES_CONTROL);
    assert_int_equal(qr_msg_class(QR_MSG_PRESIGN_START), QR_CLASSES_CONTROL);
    assert_int_equal(qr_msg_class(QR_MSG_PRESIGN_DONE), QR_CLASSES_CONTROL);
    for (int c = 0; c < QR_CLASSES_COUNT; c++) {
        for (int d = 0; d < c; d++) {
            assert_string_not_equal(qr_class_name((enum qr_class)c),
                                    qr_class_name((enum qr_class)d));
        }
    }
    assert_string_equal(qr_class_name(QR_CLASSES_PRESIGN), "presign");
    assert_string_equal(qr_class_name(QR_CLASSES_COUNT), "unknown");
}

static void
kinds(void **state)
{
    (void)state;
    assert_int_equal(qr_link_kind_of("tcp://127.0.0.1:7001", "a", "b"), QR_LINK_LOOPBACK);
    assert_int_equal(qr_link_kind_of("tcp://localhost:7001", "a", "b"), QR_LINK_LOOPBACK);
    assert_int_equal(qr_link_kind_of("tcp://[::1]:7001", "a", "b"), QR_LINK_LOOPBACK);
    assert_int_equal(qr_link_kind_of("unix:///run/x", "a", "b"), QR_LINK_LOOPBACK);
    assert_int_equal(qr_link_kind_of("tcp://10.0.0.1:7001", "a", "a"), QR_LINK_INTRA);
    assert_int_equal(qr_link_kind_of("tcp://10.0.0.1:7001", "a", "b"), QR_LINK_CROSS);
    /* Nothing known is the dear kind, not the cheap one. */
    assert_int_equal(qr_link_kind_of("tcp://10.0.0.1:7001", "", ""), QR_LINK_CROSS);
    assert_string_equal(qr_link_kind_name(QR_LINK_INTRA), "intra");
    assert_string_equal(qr_link_kind_name(QR_LINK_KINDS), "unknown");
}

static void
tcpip(void **state)
{
    struct qr_ledger_peer p;
    (void)state;

    memset(&p, 0, sizeof p);
    qr_ledger_tcpip(&p, QR_DIR_OUT, 1); /* a segment, and the ACK that answers it */
    assert_int_equal(p.tcpip_estimate[QR_DIR_OUT], 52);
    assert_int_equal(p.tcpip_estimate[QR_DIR_IN], 52);
    qr_ledger_tcpip(&p, QR_DIR_IN, 4 * 1448 + 1); /* five segments, three ACKs */
    assert_int_equal(p.tcpip_estimate[QR_DIR_IN], 52 + 5 * 52);
    assert_int_equal(p.tcpip_estimate[QR_DIR_OUT], 52 + 3 * 52);
}

static void
received(void **state)
{
    struct qr_ledger_peer p;
    (void)state;

    memset(&p, 0, sizeof p);
    p.class_[QR_CLASSES_OVERHEAD].wire[QR_DIR_IN] = 1000;
    qr_ledger_in(&p, QR_CLASSES_PRESIGN, 900);
    assert_int_equal(p.class_[QR_CLASSES_PRESIGN].wire[QR_DIR_IN], 900);
    assert_int_equal(p.class_[QR_CLASSES_OVERHEAD].wire[QR_DIR_IN], 100);
    assert_int_equal(qr_ledger_wire(&p, QR_DIR_IN), 1000);
    struct qr_ledger_peer q = p;
    q.duplicates = 3;
    qr_ledger_merge(&p, &q);
    assert_int_equal(qr_ledger_wire(&p, QR_DIR_IN), 2000);
    assert_int_equal(p.duplicates, 3);
}

/* However the link takes it, the sum is right at every moment, and the classes at the end. */
static void
tally(void **state)
{
    (void)state;

    for (size_t step = 1; step < 400; step += 13) {
        struct qr_tally t;
        struct qr_ledger_peer p;
        size_t total = 0, taken = 0, sum[QR_CLASSES_COUNT] = {0};
        memset(&t, 0, sizeof t);
        memset(&p, 0, sizeof p);
        for (size_t i = 0; i < 40; i++) { /* more than there are spans: the last one grows */
            size_t by[QR_CLASSES_COUNT] = {0};
            by[i % QR_CLASSES_COUNT] = i % QR_CLASSES_COUNT == QR_CLASSES_OVERHEAD ? 0 : 10 * i;
            qr_tally_add(&t, 10 * i + 22, by);
            total += 10 * i + 22;
            sum[i % QR_CLASSES_COUNT] += by[i % QR_CLASSES_COUNT];
            if (i % 5 == 4) {
                size_t n = step < total - taken ? step : total - taken;
                qr_tally_take(&t, n, &p);
                taken += n;
                assert_int_equal(qr_ledger_wire(&p, QR_DIR_OUT), taken);
            }
        }
        while (taken < total) {
            size_t n = step < total - taken ? step : total - taken;
            qr_tally_take(&t, n, &p);
            taken += n;
            assert_int_equal(qr_ledger_wire(&p, QR_DIR_OUT), taken);
        }
        size_t rest = total;
        for (size_t c = 0; c < QR_CLASSES_OVERHEAD; c++) {
            assert_int_equal(p.class_[c].wire[QR_DIR_OUT], sum[c]);
            rest -= sum[c];
        }
        assert_int_equal(p.class_[QR_CLASSES_OVERHEAD].wire[QR_DIR_OUT], rest);
        assert_int_equal(t.n, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes),  cmocka_unit_test(kinds), cmocka_unit_test(tcpip),
        cmocka_unit_test(received), cmocka_unit_test(tally),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
