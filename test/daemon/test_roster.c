/*
 * Rosters, administrator sets and descriptors: form, hashes, m-of-n, succession of administrators,
 * serials; a party's descriptor and what a stranger could do to it.
 */
#include "daemon/roster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/descriptor.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "test/common/documents.h"

#include <sodium.h>
#include <stdio.h>

#define CAP 16384

static char why[256], text[CAP], admins[4096];
static struct stamper who[5]; /* p256, secp256k1, ed25519, p256, p256 */

static int
setup(void **state)
{
    (void)state;
    if (qr_stamp_init() != QR_OK) {
        return -1;
    }
    for (size_t i = 0; i < 5; i++) {
        stamper_new(&who[i], i < 3 ? (enum qr_scheme)(QR_SCHEME_P256 + (int)i) : QR_SCHEME_P256);
    }
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        stamper_free(&who[i]);
    }
    return 0;
}

static qr_err
parse(struct qr_roster **ret)
{
    why[0] = 0;
    return qr_roster_parse(qr_view_str(text), ret, why, sizeof why);
}

/* The good roster of three parties and 2-of-3 administrators, into text. */
static void
good(void)
{
    doc_admins(admins, sizeof admins, 2, who, 3);
    doc_roster(text, sizeof text, 1, 3, admins, "party");
}

static void
test_parse(void **state)
{
    struct qr_roster *r = NULL;
    uint8_t h[32];

    (void)state;
    good();
    assert_int_equal(parse(&r), QR_OK);
    assert_int_equal(r->n, 3);
    assert_string_equal(r->name, "demo");
    assert_true(r->serial == 1);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(r->party[i].index, i + 1);
        assert_int_equal(r->party[i].platform, QR_PLATFORM_SIM);
        assert_string_equal(r->party[i].cloud, "local");
        assert_ptr_equal(qr_roster_find(r, r->party[i].identity), &r->party[i]);
    }
    assert_string_equal(r->party[2].address, "tcp://127.0.0.1:7003");
    assert_null(qr_roster_find(r, r->cluster));
    qr_th(QR_TAG_DOC, QR_FIELDS(qr_view_str("roster"), qr_view_str(text)), h);
    assert_memory_equal(r->hash, h, 32);
    assert_int_equal(r->admins.need, 2);
    assert_int_equal(r->admins.n, 3);
    qr_roster_free(r);
    qr_roster_free(NULL);

    doc_roster(text, sizeof text, 1, QR_MAX_PARTIES, admins, "party");
    assert_int_equal(parse(&r), QR_OK);
    qr_roster_free(r);
    doc_roster(text, sizeof text, 1, QR_MAX_PARTIES + 1, admins, "party");
    assert_int_equal(parse(&r), QR_ERR_TOO_LARGE);
    doc_roster(text, sizeof text, 1, 1, admins, "party");
    assert_int_equal(parse(&r), QR_ERR_MALFORMED);
    assert_string_equal(why, "parties: 1 elements; 2 to 16 are allowed");
}

static void
test_refused(void **state)
{
    static const struct {
        const char *from, *to;
        qr_err e;
        const char *why;
    } bad[] = {
        {"\"v\":1", "\"v\":2", QR_ERR_VERSION, "version 2 is not supported, only 1"},
        {"quorate/roster", "quorate/policy", QR_ERR_MALFORMED,
         "this is a \"quorate/policy\", not a \"quorate/roster\""},
        {"\"serial\":1", "\"serial\":0", QR_ERR_MALFORMED, NULL},
        {"\"serial\":1", "\"serial\":1,\"serial\":1", QR_ERR_MALFORMED, NULL},
        {"\"serial\":1", "\"serial\":1,\"epoch\":1", QR_ERR_UNKNOWN_FIELD,
         "unknown member \"epoch\""},
        {"\"name\":\"demo\"", "\"name\":\"de mo\"", QR_ERR_MALFORMED,
         "name: \"de mo\" may hold only letters, digits, '.', '_' and '-'"},
        {"\"index\":2", "\"index\":3", QR_ERR_SET,
         "parties[1]: index is 3; parties are listed as 1, 2, 3 and so on"},
        {"\"index\":1", "\"index\":0", QR_ERR_MALFORMED, NULL},
        {"\"index\":1", "\"index\":17", QR_ERR_TOO_LARGE, NULL},
        {"7002", "7001", QR_ERR_SET, "parties[1]: same address as party 1"},
        {"tcp://127.0.0.1:7002", "tcp://127.0.0.1", QR_ERR_ADDRESS, NULL},
        {"tcp://127.0.0.1:7002", "tcp://127.0.0.1:0", QR_ERR_ADDRESS, NULL},
        {"tcp://127.0.0.1:7002", "http://127.0.0.1:7002", QR_ERR_ADDRESS, NULL},
        {"\"cloud\":\"local\",", "", QR_ERR_MALFORMED, "parties[0]: member \"cloud\" is missing"},
        {"\"tee\":\"sim\"", "\"tee\":\"sgx\"", QR_ERR_MALFORMED, "parties[0]: unknown tee \"sgx\""},
        {"\"tee\":\"sim\"", "\"tee\":\"sim\",\"root\":true", QR_ERR_UNKNOWN_FIELD,
         "parties[0]: unknown member \"root\""},
        {"\"need\":2", "\"need\":0", QR_ERR_MALFORMED, NULL},
        {"\"need\":2", "\"need\":4", QR_ERR_MALFORMED,
         "admins: need is 4 but there are only 3 keys"},
        {"\"name\":\"a2\"", "\"name\":\"a1\"", QR_ERR_MALFORMED,
         "admins.keys[1]: name \"a1\" is used twice"},
        {"\"scheme\":\"p256\"", "\"scheme\":\"rsa\"", QR_ERR_MALFORMED,
         "admins.keys[0]: unknown scheme \"rsa\"; known are p256, secp256k1, ed25519"},
        {"\"scheme\":\"p256\"", "\"scheme\":\"ed25519\"", QR_ERR_MALFORMED,
         "admins.keys[0]: key must be 64 lower-case hex digits for ed25519"},
    };
    struct qr_roster *r = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        good();
        doc_replace(text, sizeof text, bad[i].from, bad[i].to);
        qr_err e = parse(&r);
        if (e != bad[i].e || !why[0] || (bad[i].why && strcmp(why, bad[i].why) != 0)) {
            fail_msg("%s -> %s: %s, \"%s\"", bad[i].from, bad[i].to, qr_err_name(e), why);
        }
    }
    /* the same identity, the same administrator's key, twice */
    char id1[80], id2[80];
    good();
    memcpy(id1, strstr(text, "\"identity\":\""), 76);
    memcpy(id2, strstr(strstr(text, "\"identity\":\"") + 5, "\"identity\":\""), 76);
    id1[76] = id2[76] = 0;
    doc_replace(text, sizeof text, id2, id1);
    assert_int_equal(parse(&r), QR_ERR_SET);
    assert_string_equal(why, "parties[1]: same identity as party 1");
    good();
    doc_replace(text, sizeof text, who[1].hex, who[0].hex);
    doc_replace(text, sizeof text, "secp256k1", "p256");
    assert_int_equal(parse(&r), QR_ERR_MALFORMED);
    assert_string_equal(why, "admins.keys[1]: \"a1\" and \"a2\" have the same key");
    /* identities and keys that are no points */
    good();
    doc_replace(text, sizeof text, id1 + 12,
                "0100000000000000000000000000000000000000000000000000000000000000");
    assert_int_equal(parse(&r), QR_ERR_POINT);
    assert_string_equal(why, "parties[0]: identity is not an Ed25519 public key");
    good();
    doc_replace(text, sizeof text, who[0].hex,
                "02ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
    assert_int_equal(parse(&r), QR_ERR_POINT);
    assert_string_equal(why, "admins.keys[0]: key is not a p256 public key");
    /* size */
    static char huge[QR_DOC_MAX + 1];
    memset(huge, ' ', sizeof huge);
    assert_int_equal(qr_roster_parse(qr_view_of(huge, sizeof huge), &r, why, sizeof why),
                     QR_ERR_TOO_LARGE);
}

/* The hash covers need and keys, whatever their order and names. */
static void
test_admin_hash(void **state)
{
    struct qr_roster *a = NULL, *b = NULL;
    struct stamper turned[3] = {who[2], who[0], who[1]};

    (void)state;
    good();
    assert_int_equal(parse(&a), QR_OK);
    doc_admins(admins, sizeof admins, 2, turned, 3);
    doc_replace(admins, sizeof admins, "a1", "zoe");
    doc_roster(text, sizeof text, 9, 2, admins, "other");
    assert_int_equal(parse(&b), QR_OK);
    assert_memory_equal(a->admins.hash, b->admins.hash, 32);
    assert_memory_not_equal(a->hash, b->hash, 32);
    for (size_t i = 0; i + 1 < b->admins.n; i++) {
        assert_true(qr_stamp_key_cmp(&b->admins.who[i].key, &b->admins.who[i + 1].key) < 0);
    }
    /* by the formula of the header */
    uint8_t f0[2] = {0, 2}, f1[2] = {0, 3}, key[3][34], h[32];
    for (size_t i = 0; i < 3; i++) {
        key[i][0] = (uint8_t)who[i].pub.scheme;
        memcpy(key[i] + 1, who[i].pub.b, 33);
    }
    qr_th(QR_TAG_ADMINS,
          QR_FIELDS(qr_view_of(f0, 2), qr_view_of(f1, 2), qr_view_of(key[0], 34),
                    qr_view_of(key[1], 34), qr_view_of(key[2], 33)),
          h);
    assert_memory_equal(a->admins.hash, h, 32);
    qr_roster_free(b);
    doc_admins(admins, sizeof admins, 3, who, 3);
    doc_roster(text, sizeof text, 1, 3, admins, "party");
    assert_int_equal(parse(&b), QR_OK);
    assert_memory_not_equal(a->admins.hash, b->admins.hash, 32);
    qr_roster_free(b);
    doc_admins(admins, sizeof admins, 2, who, 2);
    doc_roster(text, sizeof text, 1, 3, admins, "party");
    assert_int_equal(parse(&b), QR_OK);
    assert_memory_not_equal(a->admins.hash, b->admins.hash, 32);
    qr_roster_free(a);
    qr_roster_free(b);
}

static void
test_m_of_n(void **state)
{
    static char mem[20 * QR_STAMP_MAX];
    struct qr_roster *r = NULL;
    qr_view st[20], doc, other = qr_view_str("{}");
    int same = -1;

    (void)state;
    good();
    doc = qr_view_str(text);
    assert_int_equal(parse(&r), QR_OK);
    doc_stamps(who, 5, doc, mem, st);
#define VERIFY(list, n) qr_admins_verify(&r->admins, doc, list, n, why, sizeof why)
    assert_int_equal(VERIFY(st, 0), QR_ERR_STAMP_MISSING);
    assert_int_equal(VERIFY(st, 1), QR_ERR_ADMIN);
    assert_string_equal(why, "1 of 2 needed administrators signed (a1), 0 stamps are by others");
    assert_int_equal(VERIFY(st, 2), QR_OK);
    assert_int_equal(VERIFY(st, 3), QR_OK);
    assert_int_equal(VERIFY(st + 1, 2), QR_OK);
    /* strangers do not count, and do not spoil */
    assert_int_equal(VERIFY(st + 3, 2), QR_ERR_ADMIN);
    assert_string_equal(why, "0 of 2 needed administrators signed (none), 2 stamps are by others");
    assert_int_equal(VERIFY(st + 2, 3), QR_ERR_ADMIN);
    assert_int_equal(VERIFY(st, 5), QR_OK);
    /* one administrator twice is one administrator */
    qr_view twice[3] = {st[0], st[0], st[3]};
    assert_int_equal(VERIFY(twice, 3), QR_ERR_ADMIN);
    (void)stamper_stamp(&who[0], doc, mem + 6 * QR_STAMP_MAX); /* another signature by the same */
    twice[1] = qr_view_str(mem + 6 * QR_STAMP_MAX);
    assert_int_equal(VERIFY(twice, 2), QR_ERR_ADMIN);
    /* an administrator's stamp over other bytes refuses the whole, even if enough others are good */
    qr_view spoiled[3] = {st[0], st[1], stamper_stamp(&who[2], other, mem + 7 * QR_STAMP_MAX)};
    assert_int_equal(VERIFY(spoiled, 3), QR_ERR_STAMP_INVALID);
    assert_string_equal(why, "stamp of administrator \"a3\" is not over these bytes");
    qr_view broken[2] = {st[0], qr_view_str("not base64url!")};
    assert_int_equal(VERIFY(broken, 2), QR_ERR_STAMP_INVALID);
    for (size_t i = 0; i < 17; i++) {
        st[i] = st[0];
    }
    assert_int_equal(VERIFY(st, 17), QR_ERR_TOO_LARGE);
    /* every bit of the document is signed */
    doc_stamps(who, 2, doc, mem, st);
    assert_int_equal(qr_roster_accept(NULL, r, doc, st, 2, &same, why, sizeof why), QR_OK);
    assert_int_equal(same, 0);
    for (size_t i = 0; i < doc.len; i += 7) {
        text[i] = (char)(text[i] ^ 1);
        assert_int_equal(qr_roster_accept(NULL, r, doc, st, 2, &same, why, sizeof why),
                         QR_ERR_STAMP_INVALID);
        text[i] = (char)(text[i] ^ 1);
    }
    qr_roster_free(r);
}

/* Serial, cluster, and who must sign a change of administrators. */
static void
test_succession(void **state)
{
    static char mem[5 * QR_STAMP_MAX], first[CAP];
    struct qr_roster *now = NULL, *next = NULL;
    qr_view st[5];
    int same = -1;

    (void)state;
    good();
    doc_replace(text, sizeof text, "\"serial\":1", "\"serial\":5");
    assert_int_equal(parse(&now), QR_OK);
    memcpy(first, text, sizeof first);

    /* the very same bytes: nothing to do, stamps or not */
    assert_int_equal(parse(&next), QR_OK);
    assert_int_equal(
        qr_roster_accept(now, next, qr_view_str(text), NULL, 0, &same, why, sizeof why), QR_OK);
    assert_int_equal(same, 1);
    qr_roster_free(next);

    /* the same serial with other bytes; a lower one: stamps do not help */
    doc_replace(text, sizeof text, "demo", "dem0");
    assert_int_equal(parse(&next), QR_OK);
    doc_stamps(who, 3, qr_view_str(text), mem, st);
    assert_int_equal(qr_roster_accept(now, next, qr_view_str(text), st, 3, &same, why, sizeof why),
                     QR_ERR_SERIAL);
    assert_string_equal(why, "another roster with serial 5 is in force; raise the serial");
    qr_roster_free(next);
    doc_replace(text, sizeof text, "\"serial\":5", "\"serial\":4");
    assert_int_equal(parse(&next), QR_OK);
    doc_stamps(who, 3, qr_view_str(text), mem, st);
    assert_int_equal(qr_roster_accept(now, next, qr_view_str(text), st, 3, &same, why, sizeof why),
                     QR_ERR_SERIAL);
    assert_string_equal(why, "roster has serial 4 but 5 is in force");
    qr_roster_free(next);

    /* another cluster */
    memcpy(text, first, sizeof text);
    doc_replace(text, sizeof text, "c1c1", "c2c2");
    doc_replace(text, sizeof text, "\"serial\":5", "\"serial\":6");
    assert_int_equal(parse(&next), QR_OK);
    doc_stamps(who, 3, qr_view_str(text), mem, st);
    assert_int_equal(qr_roster_accept(now, next, qr_view_str(text), st, 3, &same, why, sizeof why),
                     QR_ERR_CLUSTER);
    qr_roster_free(next);

    /* new administrators: their own signatures are worth nothing, the old ones' are */
    doc_admins(admins, sizeof admins, 2, who + 3, 2);
    doc_roster(text, sizeof text, 6, 3, admins, "party");
    assert_int_equal(parse(&next), QR_OK);
    doc_stamps(who, 5, qr_view_str(text), mem, st);
    assert_int_equal(
        qr_roster_accept(now, next, qr_view_str(text), st + 3, 2, &same, why, sizeof why),
        QR_ERR_ADMIN);
    assert_int_equal(
        qr_roster_accept(now, next, qr_view_str(text), st + 2, 3, &same, why, sizeof why),
        QR_ERR_ADMIN);
    assert_int_equal(qr_roster_accept(now, next, qr_view_str(text), st, 2, &same, why, sizeof why),
                     QR_OK);
    assert_int_equal(same, 0);
    /* as the first roster of all it needs its own */
    assert_int_equal(qr_roster_accept(NULL, next, qr_view_str(text), st, 2, &same, why, sizeof why),
                     QR_ERR_ADMIN);
    assert_int_equal(
        qr_roster_accept(NULL, next, qr_view_str(text), st + 3, 2, &same, why, sizeof why), QR_OK);
    qr_roster_free(next);
    qr_roster_free(now);
}

/* Descriptors. */

static uint8_t id_pk[32], id_sk[64];

static int
sign_id(void *ctx, const uint8_t msg[32], uint8_t sig[64])
{
    return ctx ? -1 : crypto_sign_detached(sig, NULL, msg, 32, id_sk);
}

static struct qr_descriptor
describe(void)
{
    struct qr_descriptor d = {.party = {.platform = QR_PLATFORM_SIM}};
    (void)snprintf(d.party.address, sizeof d.party.address, "tcp://[::1]:7001");
    (void)snprintf(d.party.cloud, sizeof d.party.cloud, "local");
    (void)snprintf(d.party.operator_name, sizeof d.party.operator_name, "demo-1");
    memcpy(d.party.identity, id_pk, 32);
    memset(d.measurement, 0xab, 32);
    return d;
}

static void
test_descriptor(void **state)
{
    const struct qr_id_signer signer = {NULL, sign_id}, broken = {id_sk, sign_id};
    struct qr_descriptor d, got;
    struct qr_dbuf out;
    char spoiled[4096];

    (void)state;
    (void)crypto_sign_keypair(id_pk, id_sk);
    d = describe();
    qr_dbuf_init(&out, 4096);
    assert_int_equal(qr_descriptor_build(&d, &signer, &out), QR_OK);
    qr_view v = qr_view_of(out.p, out.len);
    assert_int_equal(qr_descriptor_parse(v, &got, why, sizeof why), QR_OK);
    assert_memory_equal(got.party.identity, id_pk, 32);
    assert_memory_equal(got.measurement, d.measurement, 32);
    assert_string_equal(got.party.address, d.party.address);
    assert_string_equal(got.party.cloud, "local");
    assert_string_equal(got.party.operator_name, "demo-1");
    assert_int_equal(got.party.platform, QR_PLATFORM_SIM);
    assert_int_equal(got.party.index, 0);
    /* another address, signature kept */
    memcpy(spoiled, out.p, out.len);
    spoiled[out.len] = 0;
    doc_replace(spoiled, sizeof spoiled, "7001", "7002");
    assert_int_equal(qr_descriptor_parse(qr_view_str(spoiled), &got, why, sizeof why),
                     QR_ERR_IDENTITY);
    /* no change of a byte passes */
    for (size_t i = 0; i < out.len; i++) {
        out.p[i] ^= 1;
        assert_int_not_equal(qr_descriptor_parse(v, &got, why, sizeof why), QR_OK);
        out.p[i] ^= 1;
        assert_int_not_equal(qr_descriptor_parse(qr_view_of(out.p, i), &got, why, sizeof why),
                             QR_OK);
    }
    /* a roster is no descriptor */
    assert_int_equal(
        qr_descriptor_parse(qr_view_str("{\"descriptor\":\"{\\\"v\\\":1,\\\"type\\\":"
                                        "\\\"quorate/roster\\\"}\",\"signature\":\"\"}"),
                            &got, why, sizeof why),
        QR_ERR_MALFORMED);
    /* what cannot stand in a roster is not signed */
    struct qr_descriptor bad[6];
    for (size_t i = 0; i < 6; i++) {
        bad[i] = d;
    }
    memcpy(bad[0].party.cloud, "a b", 4);
    memcpy(bad[1].party.cloud, "", 1);
    memcpy(bad[2].party.operator_name, "x\"", 3);
    memcpy(bad[3].party.address, "tcp://x", 8);
    memcpy(bad[4].party.address, "unix:///a\"b", 12);
    bad[5].party.platform = (enum qr_platform)77;
    for (size_t i = 0; i < 6; i++) {
        out.len = 0;
        assert_int_equal(qr_descriptor_build(&bad[i], &signer, &out), QR_ERR_USAGE);
        assert_int_equal(out.len, 0);
    }
    assert_int_equal(qr_descriptor_build(&d, &broken, &out), QR_ERR_CRYPTO_LIB);
    qr_dbuf_free(&out);
    qr_dbuf_init(&out, 100);
    assert_int_equal(qr_descriptor_build(&d, &signer, &out), QR_ERR_TOO_LARGE);
    qr_dbuf_free(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_admin_hash), cmocka_unit_test(test_m_of_n),
        cmocka_unit_test(test_succession), cmocka_unit_test(test_descriptor),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
