/*
 * Frame heads, items, packing and addresses: the small parsers.
 */
#include "transport/frame.h"

#include "protocol/base/mem.h"
#include "transport/address.h"
#include "transport/zip.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <zstd.h>

#include <cmocka.h>

static qr_err
head(uint32_t n, uint8_t kind, enum qr_frame *ret_kind, int *ret_zstd, size_t *ret_len)
{
    uint8_t h[QR_FRAME_HEAD_LEN];
    qr_put32(h, n);
    h[4] = kind;
    return qr_frame_head_get(h, ret_kind, ret_zstd, ret_len);
}

static void
heads(void **state)
{
    enum qr_frame kind;
    int zstd;
    size_t len, ok = 0;
    uint8_t h[QR_FRAME_HEAD_LEN];
    (void)state;

    for (unsigned k = 0; k < 256; k++) {
        for (uint32_t n = 0; n < 600; n++) {
            if (head(n, (uint8_t)k, &kind, &zstd, &len) == QR_OK) {
                /* What is accepted is what put() writes. */
                assert_int_equal(len + 1, n);
                assert_int_equal(kind | (zstd ? QR_FRAME_ZSTD : 0), k);
                qr_frame_head_put(h, k, len);
                assert_int_equal(qr_get32(h), n);
                assert_int_equal(h[4], k);
                ok++;
            }
        }
    }
    assert_true(ok > 1000);
    assert_int_equal(head(QR_FRAME_MAX, QR_FRAME_DATA, &kind, &zstd, &len), QR_OK);
    assert_int_equal(len, QR_FRAME_MAX - 1);
    assert_int_equal(head(QR_FRAME_MAX + 1, QR_FRAME_DATA, &kind, &zstd, &len), QR_ERR_TOO_LARGE);
    assert_int_equal(head(UINT32_MAX, QR_FRAME_DATA, &kind, &zstd, &len), QR_ERR_TOO_LARGE);
    assert_int_equal(head(0, QR_FRAME_DATA, &kind, &zstd, &len), QR_ERR_LENGTH);
    assert_int_equal(head(8, QR_FRAME_ACK, &kind, &zstd, &len), QR_ERR_LENGTH);
    assert_int_equal(head(9, QR_FRAME_ACK, &kind, &zstd, &len), QR_OK);
    assert_int_equal(head(10, QR_FRAME_ACK, &kind, &zstd, &len), QR_ERR_LENGTH);
    assert_int_equal(head(9, QR_FRAME_ACK | QR_FRAME_ZSTD, &kind, &zstd, &len), QR_ERR_MALFORMED);
    assert_int_equal(head(100, QR_FRAME_DATA | QR_FRAME_ZSTD, &kind, &zstd, &len),
                     QR_ERR_MALFORMED);
    assert_int_equal(head(100, QR_FRAME_EVIDENCE | QR_FRAME_ZSTD, &kind, &zstd, &len), QR_OK);
    assert_int_equal(zstd, 1);
}

static void
items(void **state)
{
    uint8_t mem[64];
    struct qr_buf w = qr_buf_over(mem, sizeof mem);
    qr_view v;
    int zstd;
    (void)state;

    qr_buf_put32(&w, 3);
    qr_buf_put(&w, "abc", 3);
    qr_buf_put32(&w, QR_ITEM_ZSTD | 1);
    qr_buf_put(&w, "d", 1);
    for (size_t n = 0; n <= w.len; n++) {
        struct qr_buf r = qr_buf_read((qr_view){mem, n});
        size_t got = 0;
        qr_err e = QR_OK;
        while (r.pos < r.len && e == QR_OK) {
            e = qr_frame_item(&r, &zstd, &v);
            got += e == QR_OK;
        }
        assert_int_equal(e, n == 0 || n == 7 || n == 12 ? QR_OK : QR_ERR_TRUNCATED);
        assert_int_equal(got, n < 7 ? 0 : n < 12 ? 1 : 2);
    }
    assert_int_equal(zstd, 1);
    assert_memory_equal(v.p, "d", 1);
    qr_put32(mem, 0x7fffffff);
    struct qr_buf r = qr_buf_read((qr_view){mem, sizeof mem});
    assert_int_equal(qr_frame_item(&r, &zstd, &v), QR_ERR_TRUNCATED);
    qr_put32(mem, 0);
    r = qr_buf_read((qr_view){mem, sizeof mem});
    assert_int_equal(qr_frame_item(&r, &zstd, &v), QR_ERR_MALFORMED);
}

static void
close_codes(void **state)
{
    (void)state;
    /* Coarse: nothing that tells one refusal of an identity from another. */
    assert_int_equal(qr_close_code(QR_ERR_IDENTITY), QR_CLOSE_REFUSED);
    assert_int_equal(qr_close_code(QR_ERR_ATTESTATION), QR_CLOSE_REFUSED);
    assert_int_equal(qr_close_code(QR_ERR_BOOT_NONCE), QR_CLOSE_REFUSED);
    assert_int_equal(qr_close_code(QR_ERR_ROLLBACK), QR_CLOSE_REFUSED);
    assert_int_equal(qr_close_code(QR_ERR_POLICY_MISMATCH), QR_CLOSE_CONFIG);
    assert_int_equal(qr_close_code(QR_ERR_NO_MEMORY), QR_CLOSE_BUSY);
    assert_int_equal(qr_close_code(QR_ERR_LENGTH), QR_CLOSE_PROTOCOL);
    assert_int_equal(qr_close_code(QR_OK), QR_CLOSE_NORMAL);
    for (unsigned c = 0; c < 256; c++) {
        assert_true(strlen(qr_close_text((uint8_t)c)) > 0);
    }
}

static void
blocks(void **state)
{
    size_t b0, k0, b1, k1;
    (void)state;

    qr_alloc_stats(&b0, &k0);
    struct qr_block *b = qr_block_new(100);
    assert_int_equal(b->len, 100);
    assert_ptr_equal(qr_block_ref(b), b);
    assert_null(qr_block_unref(b));
    memset(b->p, 1, 100);
    assert_null(qr_block_unref(b));
    assert_null(qr_block_unref(NULL));
    qr_alloc_stats(&b1, &k1);
    assert_int_equal(k0, k1);
}

static void
zip_round_trip(void **state)
{
    struct qr_zip *z = qr_zip_new(3), *off = qr_zip_new(0);
    uint8_t in[1000], out[1000], back[1000];
    size_t n, len;
    (void)state;

    memset(in, 'x', sizeof in);
    n = qr_zip_pack(z, (qr_view){in, sizeof in}, out);
    assert_true(n > 0 && n < 100);
    assert_int_equal(qr_zip_size((qr_view){out, n}, sizeof in, &len), QR_OK);
    assert_int_equal(len, sizeof in);
    assert_int_equal(qr_zip_unpack(off, (qr_view){out, n}, back, len), QR_OK); /* off still reads */
    assert_memory_equal(in, back, sizeof in);
    assert_int_equal(qr_zip_pack(off, (qr_view){in, sizeof in}, out), 0);
    assert_int_equal(qr_zip_pack(z, (qr_view){in, 20}, out), 0);
    for (size_t i = 0; i < sizeof in; i++) { /* noise does not shrink */
        in[i] = (uint8_t)((i * 2654435761u) >> 13 ^ (i * i * 40503u >> 7));
    }
    n = qr_zip_pack(z, (qr_view){in, 140}, out);
    assert_true(n == 0 || n < 140);
    qr_zip_free(z);
    qr_zip_free(off);
    assert_null(qr_zip_free(NULL));
}

static void
zip_hostile(void **state)
{
    struct qr_zip *z = qr_zip_new(3);
    uint8_t in[1000], out[1200], back[1000];
    size_t n, len;
    (void)state;

    memset(in, 'x', sizeof in);
    n = qr_zip_pack(z, (qr_view){in, sizeof in}, out);
    assert_int_equal(qr_zip_size((qr_view){out, n}, sizeof in - 1, &len), QR_ERR_TOO_LARGE);
    for (size_t k = 0; k < n; k++) { /* cut short */
        assert_int_equal(qr_zip_size((qr_view){out, k}, sizeof in, &len), QR_ERR_MALFORMED);
    }
    out[n] = 0; /* something behind it */
    assert_int_equal(qr_zip_size((qr_view){out, n + 1}, sizeof in, &len), QR_ERR_MALFORMED);
    memcpy(out + n, out, n); /* a second frame behind it */
    assert_int_equal(qr_zip_size((qr_view){out, 2 * n}, sizeof in, &len), QR_ERR_MALFORMED);
    uint8_t skippable[12] = {0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0};
    assert_int_equal(qr_zip_size((qr_view){skippable, 12}, sizeof in, &len), QR_ERR_MALFORMED);
    assert_int_equal(qr_zip_size(qr_view_str("not zstd"), sizeof in, &len), QR_ERR_MALFORMED);
    assert_int_equal(qr_zip_size((qr_view){NULL, 0}, sizeof in, &len), QR_ERR_MALFORMED);

    /* A frame that does not say how long it is, as streaming compressors write them. */
    ZSTD_CCtx *c = ZSTD_createCCtx();
    (void)ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
    n = ZSTD_compress2(c, out, sizeof out, in, sizeof in);
    assert_int_equal(ZSTD_isError(n), 0);
    assert_int_equal(qr_zip_size((qr_view){out, n}, sizeof in, &len), QR_ERR_MALFORMED);
    (void)ZSTD_freeCCtx(c);

    /* Damaged inside: whatever happens, not more than the size that was stated. */
    n = qr_zip_pack(z, (qr_view){in, sizeof in}, out);
    for (size_t i = 0; i < 8 * n; i++) {
        out[i / 8] ^= (uint8_t)(1u << i % 8);
        if (qr_zip_size((qr_view){out, n}, sizeof back, &len) == QR_OK) {
            uint8_t *exact = qr_alloc(len);
            (void)!qr_zip_unpack(z, (qr_view){out, n}, exact, len);
            qr_free(exact);
        }
        out[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    qr_zip_free(z);
}

static void
addresses(void **state)
{
    static const struct {
        const char *text, *host;
        enum qr_address_kind kind;
        uint16_t port;
    } good[] = {
        {"tcp://127.0.0.1:7001", "127.0.0.1", QR_ADDRESS_TCP, 7001},
        {"tcp://[::1]:65535", "::1", QR_ADDRESS_TCP, 65535},
        {"tcp://party-2.example.org:1", "party-2.example.org", QR_ADDRESS_TCP, 1},
        {"tcp://0.0.0.0:0", "0.0.0.0", QR_ADDRESS_TCP, 0},
        {"tcp://3com:1", "3com", QR_ADDRESS_TCP, 1},
        {"tcp://10.example.:1", "10.example.", QR_ADDRESS_TCP, 1},
        {"tcp://1.0xg:1", "1.0xg", QR_ADDRESS_TCP, 1},
        {"tcp://[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", QR_ADDRESS_TCP, 1},
        {"unix:///run/quorate/1.sock", "/run/quorate/1.sock", QR_ADDRESS_UNIX, 0},
        {"mem://x", "x", QR_ADDRESS_MEM, 0},
    };
    static const char *const bad[] = {
        "tcp:127.0.0.1:1", "tcp://:1",    "tcp://a:",    "tcp://a:65536",  "tcp://a:+1",
        "tcp://a: 1",      "tcp://a:1 ",  "tcp://a:01",  "tcp://a:123456", "tcp://::1:7001",
        "tcp://[::1:7001", "tcp://[g]:1", "tcp://a/b:1", "tcp://u@a:1",    "TCP://a:1",
        "unix://",         "unix://x",    "mem://",      "http://a:1",     " tcp://a:1",
        "tcp://a\n:1",     "tcp://[]:1"};
    struct qr_address a;
    char text[300];
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(qr_address_parse(good[i].text, &a), QR_OK);
        assert_int_equal(a.kind, good[i].kind);
        assert_int_equal(a.port, good[i].port);
        assert_string_equal(a.host, good[i].host);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (qr_address_parse(bad[i], &a) != QR_ERR_ADDRESS) {
            fail_msg("\"%s\" was accepted", bad[i]);
        }
    }
    memset(text, 'a', sizeof text);
    memcpy(text, "unix:///", 8);
    text[QR_ADDRESS_MAX] = '\0';
    assert_int_equal(qr_address_parse(text, &a), QR_ERR_ADDRESS);
    text[QR_ADDRESS_MAX - 1] = '\0';
    assert_int_equal(qr_address_parse(text, &a), QR_OK);

    qr_address_explain("tcp://127.0.0.1:7001", EADDRINUSE, text, sizeof text);
    assert_string_equal(
        text, "tcp://127.0.0.1:7001: address already in use: is another quorated running?");
    qr_address_explain("x", EACCES, text, sizeof text);
    assert_non_null(strstr(text, "permission denied"));
    qr_address_explain("x", EIO, text, sizeof text);
    assert_memory_equal(text, "x: ", 3);
}

/* What inet_aton() and a resolver read as an address, but as another one than is written. */
static void
addresses_that_a_resolver_reads_otherwise(void **state)
{
    static const char *const bad[] = {
        "tcp://[2]:7001",         "tcp://[127.0.0.1]:7001", "tcp://[face]:7001",
        "tcp://[1:2]:7001",       "tcp://[::1%lo]:7001",    "tcp://[:::]:7001",
        "tcp://2:7001",           "tcp://127.1:7001",       "tcp://127.0.1:7001",
        "tcp://010.0.0.1:7001",   "tcp://10.0.0.01:7001",   "tcp://256.0.0.1:7001",
        "tcp://0x7f000001:7001",  "tcp://0x7F.0.0.0X1:1",   "tcp://127.0.0.0x:7001",
        "tcp://2130706433:7001",  "tcp://1.2.3.4.5:7001",   "tcp://127.0.0.1.:7001",
        "tcp://example.org.1:80", "tcp://.:7001",           "tcp://..:7001"};
    struct qr_address a;
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (qr_address_parse(bad[i], &a) != QR_ERR_ADDRESS) {
            fail_msg("\"%s\" was accepted", bad[i]);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads),
        cmocka_unit_test(items),
        cmocka_unit_test(close_codes),
        cmocka_unit_test(blocks),
        cmocka_unit_test(zip_round_trip),
        cmocka_unit_test(zip_hostile),
        cmocka_unit_test(addresses),
        cmocka_unit_test(addresses_that_a_resolver_reads_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
