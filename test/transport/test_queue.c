/*
 * The queue of what one peer has not acknowledged.
 */
#include "transport/queue.h"

#include "proto/wire.h"
#include "protocol/base/mem.h"
#include "transport/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t sid[32] = {7, 7, 7};
static struct qr_zip *zip;

static uint8_t *
put(struct qr_queue *q, enum qr_msg type, size_t len, uint8_t value)
{
    uint8_t *p = qr_queue_reserve(q, type, 5, sid, len);
    assert_non_null(p);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(p[i], 0); /* never what the heap held */
    }
    memset(p, value, len);
    return p;
}

static void
commit(struct qr_queue *q, enum qr_msg type, size_t len, uint8_t value)
{
    qr_queue_commit(q, zip, put(q, type, len, value));
}

static void
items_are_envelopes(void **state)
{
    struct qr_queue q;
    (void)state;

    qr_queue_init(&q, 1, 2);
    for (size_t len = 0; len < 3000; len += 97) {
        commit(&q, QR_MSG_PRESIGN1, len, (uint8_t)len);
        const struct qr_queued *m = q.last;
        struct qr_buf items = qr_buf_read((qr_view){m->p + m->item_at, m->item_len});
        struct qr_envelope e;
        qr_view v;
        int packed;
        assert_int_equal(qr_frame_item(&items, &packed, &v), QR_OK);
        assert_int_equal(items.pos, items.len);
        assert_int_equal(packed, 0);
        assert_int_equal(qr_wire_decode(v, &e), QR_OK);
        assert_int_equal(e.seq, len / 97 + 1);
        assert_int_equal(e.from, 1);
        assert_int_equal(e.to, 2);
        assert_int_equal(e.epoch, 5);
        assert_memory_equal(e.sid, sid, 32);
        assert_int_equal(e.payload.len, len);
        assert_int_equal(v.len - e.payload.len, m->header_len);
    }
    qr_queue_clear(&q);
    assert_int_equal(q.bytes, 0);
}

static void
packing(void **state)
{
    struct qr_queue q;
    (void)state;

    qr_queue_init(&q, 1, 2);
    commit(&q, QR_MSG_ADMIN, 50000, 'a');
    assert_true(q.last->item_len < 300);
    assert_true(q.last->header_len <= q.last->item_len - QR_ITEM_HEAD_LEN);
    assert_int_equal(q.last->payload_len, 50000);
    struct qr_buf items = qr_buf_read((qr_view){q.last->p + q.last->item_at, q.last->item_len});
    qr_view v;
    int packed;
    size_t n;
    assert_int_equal(qr_frame_item(&items, &packed, &v), QR_OK);
    assert_int_equal(packed, 1);
    assert_int_equal(qr_zip_size(v, QR_FRAME_MAX, &n), QR_OK);
    uint8_t *plain = qr_alloc(n);
    struct qr_envelope e;
    assert_int_equal(qr_zip_unpack(zip, v, plain, n), QR_OK);
    assert_int_equal(qr_wire_decode((qr_view){plain, n}, &e), QR_OK);
    assert_int_equal(e.type, QR_MSG_ADMIN);
    assert_int_equal(e.payload.p[49999], 'a');
    qr_free(plain);
    commit(&q, QR_MSG_PRESIGN1, 50000, 'a'); /* compressible, but not of a class that is packed */
    assert_true(q.last->item_len > 50000);
    commit(&q, QR_MSG_ADMIN, 20, 'a'); /* too short to gain */
    assert_true(q.last->item_len > 20 + 40);
    qr_queue_clear(&q);
    assert_int_equal(q.bytes, 0);
}

static void
order_of_commit(void **state)
{
    struct qr_queue q;
    (void)state;

    qr_queue_init(&q, 1, 2);
    uint8_t *a = put(&q, QR_MSG_PAIR1, 10, 'a');
    uint8_t *b = put(&q, QR_MSG_PAIR1, 10, 'b');
    uint8_t *c = put(&q, QR_MSG_PAIR1, 10, 'c');
    qr_queue_commit(&q, zip, c);
    qr_queue_cancel(&q, b);
    qr_queue_commit(&q, zip, a);
    assert_int_equal(q.first->seq, 1);
    assert_int_equal(q.first->p[q.first->item_at + q.first->item_len - 1], 'c');
    assert_int_equal(q.last->seq, 2);
    assert_int_equal(q.last->p[q.last->item_at + q.last->item_len - 1], 'a');
    assert_null(q.open);
    assert_int_equal((uintptr_t)a % 64, 0);
    qr_queue_clear(&q);
}

/* As a line does: everything written so far. */
static void
written(struct qr_queue *q, uint64_t seq)
{
    while (q->cursor && q->cursor->seq <= seq) {
        q->cursor = q->cursor->next;
    }
}

static void
acknowledgements(void **state)
{
    struct qr_queue q;
    (void)state;

    qr_queue_init(&q, 1, 2);
    for (int i = 0; i < 10; i++) {
        commit(&q, QR_MSG_PAIR1, 10, (uint8_t)i);
    }
    assert_int_equal(qr_queue_ack(&q, 1), QR_ERR_MALFORMED); /* nothing written yet */
    assert_int_equal(qr_queue_ack(&q, 0), QR_OK);
    written(&q, 4);
    assert_int_equal(qr_queue_ack(&q, 5), QR_ERR_MALFORMED);
    assert_int_equal(qr_queue_ack(&q, 3), QR_OK);
    assert_int_equal(q.first->seq, 4);
    assert_int_equal(qr_queue_ack(&q, 2), QR_ERR_MALFORMED); /* never backwards */
    assert_int_equal(qr_queue_ack(&q, 3), QR_OK);            /* but again */
    written(&q, 10);
    assert_null(q.cursor);
    assert_int_equal(qr_queue_ack(&q, UINT64_MAX), QR_ERR_MALFORMED);
    assert_int_equal(qr_queue_ack(&q, 10), QR_OK);
    assert_null(q.first);
    assert_null(q.last);
    assert_int_equal(q.bytes, 0);
    commit(&q, QR_MSG_PAIR1, 10, 0); /* seqs go on */
    assert_int_equal(q.first->seq, 11);
    assert_ptr_equal(q.cursor, q.first);
    qr_queue_clear(&q);
}

static void
resumption(void **state)
{
    struct qr_queue q;
    uint8_t copy[10][200];
    (void)state;

    qr_queue_init(&q, 1, 2);
    for (int i = 0; i < 10; i++) {
        commit(&q, QR_MSG_PAIR1, 100, (uint8_t)i);
        memcpy(copy[i], q.last->p + q.last->item_at, q.last->item_len);
    }
    written(&q, 8);
    assert_int_equal(qr_queue_resume(&q, 11), QR_ERR_STATE);
    assert_int_equal(q.cursor->seq, 9); /* untouched by a lie */
    assert_int_equal(qr_queue_resume(&q, 5), QR_OK);
    assert_int_equal(qr_queue_resume(&q, 4), QR_ERR_STATE);
    for (int i = 5; i < 10; i++) { /* the very bytes */
        assert_int_equal(q.cursor->seq, i + 1);
        assert_memory_equal(q.cursor->p + q.cursor->item_at, copy[i], q.cursor->item_len);
        q.cursor = q.cursor->next;
    }
    /* It may even have what we believe not to have finished writing. */
    assert_int_equal(qr_queue_resume(&q, 10), QR_OK);
    assert_null(q.cursor);
    assert_int_equal(q.bytes, 0);
    qr_queue_clear(&q);
}

static void
dropping(void **state)
{
    struct qr_queue q;
    (void)state;

    qr_queue_init(&q, 1, 2);
    commit(&q, QR_MSG_PAIR1, 10, 1);
    uint8_t *open = put(&q, QR_MSG_PAIR1, 10, 2);
    uint8_t *open2 = put(&q, QR_MSG_PAIR1, 10, 2);
    qr_queue_drop(&q);
    assert_null(q.first);
    assert_true(q.bytes > 0); /* the reserved ones are their holders' */
    memset(open, 3, 10);
    qr_queue_commit(&q, zip, open);
    qr_queue_cancel(&q, open2);
    assert_null(q.first);
    assert_int_equal(q.bytes, 0);
    commit(&q, QR_MSG_PAIR1, 10, 1);
    assert_int_equal(q.first->seq, 1);
    (void)put(&q, QR_MSG_PAIR1, 10, 2);
    qr_queue_clear(&q); /* frees what is reserved, too */
    assert_int_equal(q.bytes, 0);
}

static void
bounded(void **state)
{
    struct qr_queue q;
    size_t n = 0;
    (void)state;

    qr_queue_init(&q, 1, 2);
    assert_null(qr_queue_reserve(&q, QR_MSG_PAIR1, 0, sid, QR_WIRE_PAYLOAD_MAX + 1));
    assert_null(qr_queue_reserve(&q, (enum qr_msg)0, 0, sid, 10));
    while (qr_queue_reserve(&q, QR_MSG_PRESIGN2, 0, sid, 1000)) {
        n++;
    }
    assert_true(n > QR_PEER_QUEUE_MAX / 1500 && n <= QR_PEER_QUEUE_MAX / 1000);
    assert_true(q.bytes <= QR_PEER_QUEUE_MAX);
    qr_queue_clear(&q);
    n = 0; /* empty messages cost something, too */
    while (qr_queue_reserve(&q, QR_MSG_PRESIGN2, 0, sid, 0)) {
        assert_true(++n <= QR_PEER_QUEUE_MAX / 100);
    }
    qr_queue_clear(&q);
    assert_int_equal(q.bytes, 0);
}

static int
start(void **state)
{
    (void)state;
    zip = qr_zip_new(1);
    return zip ? 0 : -1;
}

static int
end(void **state)
{
    size_t bytes, blocks;
    (void)state;
    qr_zip_free(zip);
    qr_alloc_stats(&bytes, &blocks);
    return blocks == 0 ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_envelopes),
        cmocka_unit_test(packing),
        cmocka_unit_test(order_of_commit),
        cmocka_unit_test(acknowledgements),
        cmocka_unit_test(resumption),
        cmocka_unit_test(dropping),
        cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests(tests, start, end);
}
