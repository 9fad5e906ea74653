/*
 * PSBTs with inputs of each kind: what a key is asked for, the same signatures as another library puts in
 * (test/vectors/preimage/psbt.json), what is kept, and what is refused.
 */
#include "daemon/psbt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/btc_wire.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/group.h"
#include "test/common/vectors.h"

#include <stdio.h>

static char why[256];
static uint8_t key[32], pk[33];
static json_t *file;

static int
setup(void **state)
{
    struct qr_rng rng = qr_rng_system();
    qr_fq k;
    qr_pt p;
    json_error_t e;

    (void)state;
    if (qr_hash_init() != QR_OK || qr_group_init(&rng) != QR_OK) {
        return -1;
    }
    file = json_load_file("test/vectors/preimage/psbt.json", 0, &e);
    hex_bytes(json_string_value(json_object_get(file, "key")), key, sizeof key);
    if (!file || qr_fq_parse(&k, key) != QR_OK || qr_pt_mul_base(&p, &k) != QR_OK) {
        return -1;
    }
    qr_pt_put(pk, &p);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    json_decref(file);
    return 0;
}

static const char *
text_of(size_t i)
{
    const json_t *c = json_array_get(json_object_get(file, "cases"), i);
    return json_string_value(json_object_get(c, "psbt"));
}

static qr_err
read_bytes(const void *p, size_t len, struct qr_psbt **ret)
{
    /* a block of its own, so that a read past the end is seen by sanitizers */
    uint8_t *copy = test_malloc(len ? len : 1);
    memcpy(copy, p, len);
    why[0] = '\0';
    qr_err e = qr_psbt_read(qr_view_of(copy, len), ret, why, sizeof why);
    test_free(copy);
    return e;
}

/* The signature the key makes for an input. */
static void
sign(const struct qr_psbt *p, const struct qr_psbt_ask *ask, uint8_t rs[static 64])
{
    uint8_t digest[32];
    struct qr_btc t;

    if (qr_btc_parse(qr_psbt_tx(p), ask->bip143, ask->input, qr_psbt_prevouts(p),
                     qr_psbt_n_inputs(p), &t, digest, why, sizeof why) != QR_OK) {
        fail_msg("input %u: %s", (unsigned)ask->input, why);
    }
    assert_int_equal(qr_ecdsa_sign(rs, digest, key), QR_OK);
}

static void
test_sign(void **state)
{
    const json_t *cases = json_object_get(file, "cases");
    struct qr_psbt_ask ask[QR_BTC_INPUTS_MAX];
    size_t signatures = 0;

    (void)state;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *sigs = json_object_get(json_array_get(cases, i), "sigs");
        struct qr_psbt *p = NULL, *again = NULL;
        struct qr_dbuf out;
        uint8_t rs[64], want[80];

        if (read_bytes(text_of(i), strlen(text_of(i)), &p) != QR_OK) {
            fail_msg("case %zu: %s", i, why);
        }
        assert_int_equal(qr_psbt_was_text(p), 1);
        size_t n = qr_psbt_asks(p, pk, ask);
        assert_int_equal(n, json_array_size(sigs));
        /* nothing added: the same bytes */
        qr_dbuf_init(&out, QR_PSBT_MAX);
        assert_int_equal(qr_psbt_write(p, 1, &out), QR_OK);
        assert_int_equal(out.len, strlen(text_of(i)));
        assert_memory_equal(out.p, text_of(i), out.len);
        qr_dbuf_free(&out);
        for (size_t k = 0; k < n; k++) {
            const json_t *s = json_array_get(sigs, k);
            assert_int_equal(ask[k].input, json_integer_value(json_object_get(s, "input")));
            assert_int_equal(ask[k].bip143, json_is_true(json_object_get(s, "bip143")));
            sign(p, &ask[k], rs);
            rs[63] ^= 1;
            assert_int_not_equal(qr_psbt_add(p, ask[k].input, pk, rs), QR_OK); /* not a signature */
            rs[63] ^= 1;
            assert_int_equal(qr_psbt_add(p, ask[k].input, pk, rs), QR_OK);
            assert_int_equal(qr_psbt_add(p, ask[k].input, pk, rs), QR_ERR_PREIMAGE); /* twice */
        }
        assert_int_equal(qr_psbt_asks(p, pk, ask), 0);
        qr_dbuf_init(&out, QR_PSBT_MAX);
        assert_int_equal(qr_psbt_write(p, 0, &out), QR_OK);
        /* as a record of its own: key length, type, key, length, signature */
        for (size_t k = 0; k < n; k++) {
            const json_t *s = json_array_get(sigs, k);
            size_t len = hex_any(json_string_value(json_object_get(s, "sig")), want, sizeof want);
            uint8_t record[128] = {34, 2};
            memcpy(record + 2, pk, 33);
            record[35] = (uint8_t)len;
            memcpy(record + 36, want, len);
            if (!memmem(out.p, out.len, record, 36 + len)) {
                fail_msg("case %zu: another signature for input %u", i,
                         (unsigned)json_integer_value(json_object_get(s, "input")));
            }
            signatures++;
        }
        /* what was written can be read, and nothing is left to sign */
        assert_int_equal(read_bytes(out.p, out.len, &again), QR_OK);
        assert_int_equal(qr_psbt_was_text(again), 0);
        assert_int_equal(qr_psbt_asks(again, pk, ask), 0);
        assert_true(qr_view_eq(qr_psbt_tx(again), qr_psbt_tx(p)));
        assert_non_null(memmem(out.p, out.len, "kept", 4));
        qr_dbuf_free(&out);
        qr_psbt_free(again);
        qr_psbt_free(p);
    }
    vectors_ran("PSBT signatures by bitcoinjs-lib", signatures);
}

/* ---- a PSBT made here, with one thing wrong ---- */

static uint8_t made[4096];
static size_t made_len;

static void
put_hex(const char *hex)
{
    made_len += hex_any(hex, made + made_len, sizeof made - made_len);
}

static void
put_record(const char *key_hex, const char *value_hex)
{
    static uint8_t v[2048];
    size_t n = hex_any(key_hex, v, sizeof v);
    made_len += qr_btc_put_size(made + made_len, n);
    put_hex(key_hex);
    n = hex_any(value_hex, v, sizeof v);
    made_len += qr_btc_put_size(made + made_len, n);
    put_hex(value_hex);
}

#define PKH "751e76e8199196d454941c45d1b3a323f1433bd6" /* of the key 1 */
#define PREV                                                                                       \
    "0200000001" H64 "0000000000ffffffff01e80300000000000016"                                      \
    "0014" PKH "00000000"
#define H64 "6464646464646464646464646464646464646464646464646464646464646464"
#define OUT                                                                                        \
    "e80300000000000016"                                                                           \
    "0014" PKH

struct made {
    const char *global[5], *input[7]; /* key, value, ...; NULL ends */
    const char *tail;                 /* after the input's map: the output's map is "00" */
    qr_err e;
    const char *why;
};

static qr_err
make(const struct made *m)
{
    static char tx[512];
    uint8_t prev[256], id[32];
    char id_hex[65];
    struct qr_psbt *p = NULL;

    size_t n = hex_any(PREV, prev, sizeof prev);
    qr_btc_hash256(qr_view_of(prev, n), id);
    qr_hex_encode(qr_view_of(id, 32), id_hex);
    (void)snprintf(tx, sizeof tx, "0200000001%s0000000000ffffffff01e703000000000000026a0000000000",
                   id_hex);
    made_len = 0;
    put_hex("70736274ff");
    for (size_t i = 0; m->global[i]; i += 2) {
        put_record(m->global[i], strcmp(m->global[i + 1], "TX") ? m->global[i + 1] : tx);
    }
    put_hex("00");
    for (size_t i = 0; m->input[i]; i += 2) {
        put_record(m->input[i], m->input[i + 1]);
    }
    put_hex("00");
    put_hex(m->tail);
    qr_err e = read_bytes(made, made_len, &p);
    qr_psbt_free(p);
    return e;
}

static void
test_refused(void **state)
{
    static const struct made good = {{"00", "TX"}, {"01", OUT}, "00", QR_OK, NULL};
    static const struct made bad[] = {
        {{"00", "TX", NULL}, {"00", PREV}, "00", QR_OK, NULL},
        {{"00", "TX", "fb", "00000000"}, {"00", PREV, "01", OUT}, "00", QR_OK, NULL},
        {{"fb", "02000000"},
         {"01", OUT},
         "00",
         QR_ERR_PREIMAGE,
         "a PSBT of version 2; only 0 is supported"},
        {{"00", "TX", "fb", "00"}, {"01", OUT}, "00", QR_ERR_MALFORMED, NULL},
        {{NULL},
         {"01", OUT},
         "00",
         QR_ERR_PREIMAGE,
         "the unsigned transaction is missing (version 0 has one)"},
        {{"00", "TX", "00", "TX"},
         {"01", OUT},
         "00",
         QR_ERR_MALFORMED,
         "global map 0: a key stands twice"},
        {{"0001", "TX"},
         {"01", OUT},
         "00",
         QR_ERR_MALFORMED,
         "the unsigned transaction's key has data"},
        {{"00", "0200"}, {"01", OUT}, "00", QR_ERR_PREIMAGE, NULL},
        {{"00", "TX"}, {NULL}, "00", QR_ERR_PREIMAGE, "input 0: what it spends is missing"},
        {{"00", "TX"},
         {"01", OUT, "01", OUT},
         "00",
         QR_ERR_MALFORMED,
         "input 0: a key stands twice"},
        {{"00", "TX"},
         {"0100", OUT},
         "00",
         QR_ERR_MALFORMED,
         "input 0: the key of type 1 has data"},
        {{"00", "TX"},
         {"01", OUT "00"},
         "00",
         QR_ERR_MALFORMED,
         "input 0: the spent output is badly written"},
        {{"00", "TX"}, {"01", "e803"}, "00", QR_ERR_MALFORMED, NULL},
        {{"00", "TX"},
         {"01", "e903000000000000160014" PKH, "00", PREV},
         "00",
         QR_ERR_PREIMAGE,
         "input 0: the spent output is not the previous transaction's"},
        {{"00", "TX"},
         {"00", "0300000001" H64 "0000000000ffffffff01e80300000000000016"
                "0014" PKH "00000000"},
         "00",
         QR_ERR_PREIMAGE,
         "input 0: the previous transaction is not the one that is spent"},
        {{"00", "TX"},
         {"00", PREV "00"},
         "00",
         QR_ERR_MALFORMED,
         "input 0: the previous transaction is not one"},
        {{"00", "TX"},
         {"01", "e803000000000000"
                "19"
                "76a914" PKH "88ac"},
         "00",
         QR_ERR_PREIMAGE,
         "input 0 spends no SegWit output, so it needs the previous transaction"},
        {{"00", "TX"},
         {"01", OUT, "03", "83000000"},
         "00",
         QR_ERR_PREIMAGE,
         "input 0: only SIGHASH_ALL (1) is supported, not 0x83"},
        {{"00", "TX"}, {"01", OUT, "03", "01"}, "00", QR_ERR_PREIMAGE, NULL},
        {{"00", "TX"},
         {"01", OUT, "0203", "00"},
         "00",
         QR_ERR_MALFORMED,
         "input 0: a signature's key has 1 bytes"},
        {{"00", "TX"},
         {"01", OUT},
         "0000",
         QR_ERR_MALFORMED,
         "1 bytes are left over after the PSBT"},
        {{"00", "TX"},
         {"01", OUT},
         "",
         QR_ERR_MALFORMED,
         "output 0: a record is cut off or badly written"},
        {{"00", "TX"}, {"01", OUT}, "fd0100", QR_ERR_MALFORMED, NULL},
    };
    struct qr_psbt_ask ask[QR_BTC_INPUTS_MAX];
    struct qr_psbt *p = NULL;

    (void)state;
    assert_int_equal(make(&good), QR_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        qr_err e = make(&bad[i]);
        if (e != bad[i].e || (bad[i].why && strcmp(why, bad[i].why) != 0)) {
            fail_msg("row %zu: %s, \"%s\"", i, qr_err_name(e), why);
        }
    }
    /* every truncation of a good one, binary and text */
    assert_int_equal(make(&good), QR_OK);
    for (size_t n = 0; n < made_len; n++) {
        assert_int_not_equal(read_bytes(made, n, &p), QR_OK);
        assert_null(p);
    }
    for (size_t n = 0; n < strlen(text_of(0)); n++) {
        assert_int_not_equal(read_bytes(text_of(0), n, &p), QR_OK);
    }
    assert_int_equal(read_bytes("not base64!", 11, &p), QR_ERR_MALFORMED);
    assert_string_equal(why, "neither a binary PSBT nor base64");
    assert_int_equal(read_bytes("cHNi", 4, &p), QR_ERR_MALFORMED);
    assert_string_equal(why, "does not begin as a PSBT");
    /* white space in base64 is let be */
    char spaced[2048];
    (void)snprintf(spaced, sizeof spaced, " %.40s\n%s\r\n", text_of(0), text_of(0) + 40);
    assert_int_equal(read_bytes(spaced, strlen(spaced), &p), QR_OK);
    /* another key is asked for nothing, and cannot sign */
    uint8_t stranger[33], rs[64] = {1};
    memcpy(stranger, pk, 33);
    stranger[0] ^= 1;
    assert_int_equal(qr_psbt_asks(p, stranger, ask), 0);
    assert_int_equal(qr_psbt_add(p, 0, stranger, rs), QR_ERR_PREIMAGE);
    assert_int_equal(qr_psbt_add(p, 1, pk, rs), QR_ERR_PREIMAGE);
    qr_psbt_free(p);
    /* what is finalised is not asked for */
    static const struct made final = {{"00", "TX"}, {"01", OUT, "08", "00"}, "00", QR_OK, NULL};
    assert_int_equal(make(&final), QR_OK);
    assert_int_equal(read_bytes(made, made_len, &p), QR_OK);
    assert_int_equal(qr_psbt_asks(p, pk, ask), 0);
    qr_psbt_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
