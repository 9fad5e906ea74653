/*
 * What a client checks: a key that is not the roster's, a record that contradicts itself, an answer
 * that does not carry what was asked. Each forgery a hostile gateway could try has a case.
 */
#include "daemon/client/check.h"
#include "daemon/client/ecsig.h"
#include "daemon/gw_render.h"
#include "daemon/keyjson.h"
#include "daemon/stamp.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/derive.h"
#include "test/common/fakekey.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t cluster[32] = {1}, admins[32] = {2}, roster_hash[32] = {3};
static struct fakekey key, other;
static struct qr_roster roster;

static int
setup(void **state)
{
    (void)state;
    fakekey_make(&key, 2, 3, 1, cluster, admins, roster_hash, QR_KEY_INSECURE_SIM);
    fakekey_make(&other, 2, 3, 2, cluster, admins, roster_hash, QR_KEY_INSECURE_SIM);
    memset(&roster, 0, sizeof roster);
    memcpy(roster.cluster, cluster, 32);
    memcpy(roster.admins.hash, admins, 32);
    roster.n = 3;
    for (size_t i = 0; i < 3; i++) {
        memcpy(roster.party[i].identity, key.pub.id[i], 32);
    }
    return 0;
}

static qr_err
check(const struct qr_key_pub *k)
{
    char why[256] = "";
    qr_err e = qr_client_key_check(k, &roster, why, sizeof why);
    assert_true((e == QR_OK) == (why[0] == '\0'));
    return e;
}

static void
test_key(void **state)
{
    (void)state;
    struct fakekey k = key;
    assert_int_equal(check(&k.pub), QR_OK);

    /* A whole quorum of the gateway's own, perfectly signed. */
    assert_int_equal(check(&other.pub), QR_ERR_IDENTITY);
    /* The gateway's key under the roster's identities: it cannot sign for them. */
    k = other;
    memcpy(k.pub.id, key.pub.id, sizeof k.pub.id);
    assert_int_equal(check(&k.pub), QR_ERR_IDENTITY);
    /* One identity of the gateway's slipped in. */
    k = key;
    memcpy(k.pub.id[1], other.pub.id[1], 32);
    memcpy(k.id_sk[1], other.id_sk[1], 64);
    fakekey_confirm(&k);
    assert_int_equal(check(&k.pub), QR_ERR_IDENTITY);
    /* A confirmation missing, changed, or of another party. */
    k = key;
    memset(k.pub.confirm[2], 0, 64);
    assert_int_equal(check(&k.pub), QR_ERR_IDENTITY);
    k = key;
    k.pub.confirm[0][5] ^= 1;
    assert_int_equal(check(&k.pub), QR_ERR_IDENTITY);
    k = key;
    memcpy(k.pub.confirm[0], key.pub.confirm[1], 64);
    assert_int_equal(check(&k.pub), QR_ERR_IDENTITY);
    /* Old confirmations with another public key, share, chain code, flag, threshold. */
    k = key;
    memcpy(k.pub.pk, other.pub.pk, 33);
    assert_int_not_equal(check(&k.pub), QR_OK);
    k = key;
    memcpy(k.pub.P[1], other.pub.P[1], 33);
    assert_int_not_equal(check(&k.pub), QR_OK);
    k = key;
    k.pub.cc[0] ^= 1;
    assert_int_equal(check(&k.pub), QR_ERR_IDENTITY);
    k = key;
    k.pub.flags = 0;
    assert_int_equal(check(&k.pub), QR_ERR_IDENTITY);
    k = key;
    k.pub.t = 3;
    assert_int_not_equal(check(&k.pub), QR_OK);
    k = key;
    k.pub.epoch = 1;
    assert_int_equal(check(&k.pub), QR_ERR_IDENTITY);
    /* Genuine, but of another cluster, other administrators, fewer parties. */
    fakekey_make(&k, 2, 3, 1, admins, admins, roster_hash, 0);
    assert_int_equal(check(&k.pub), QR_ERR_CLUSTER);
    fakekey_make(&k, 2, 3, 1, cluster, cluster, roster_hash, 0);
    assert_int_equal(check(&k.pub), QR_ERR_ADMIN);
    fakekey_make(&k, 2, 2, 1, cluster, admins, roster_hash, 0);
    assert_int_equal(check(&k.pub), QR_ERR_IDENTITY);
    /* Made under an earlier roster of the same quorum. */
    fakekey_make(&k, 2, 3, 1, cluster, admins, cluster, 0);
    assert_int_equal(check(&k.pub), QR_OK);
}

/* ---- answers ---- */

static struct qr_request asked;
static struct qr_answer_sig sigs[3];
static struct qr_answer_signed good;

static void
make_request(const char *path)
{
    char body[2048], k[67], cl[65], detail[256];
    qr_hex_encode(qr_view_of(key.pub.pk, 33), k);
    qr_hex_encode(qr_view_of(cluster, 32), cl);
    snprintf(
        body, sizeof body,
        "{\"v\":1,\"cluster\":\"%s\",\"key\":\"%s\",\"id\":\"0123456789abcdef\",\"issued_ms\":1,"
        "\"expires_ms\":2,\"path\":[%s],\"items\":[{\"kind\":\"sha256\",\"preimage\":\"61\"},"
        "{\"kind\":\"sha256d\",\"preimage\":\"62\"},{\"kind\":\"eip191\",\"preimage\":\"63\"}]}",
        cl, k, path);
    if (qr_request_parse(qr_view_str(body), &asked, detail, sizeof detail) != QR_OK) {
        fail_msg("%s", detail);
    }
    memset(&good, 0, sizeof good);
    memcpy(good.request, asked.hash, 32);
    memcpy(good.key, key.pub.pk, 33);
    for (size_t i = 0; i < 3; i++) {
        memcpy(sigs[i].digest, asked.items[i].digest, 32);
        fakekey_sign(&key, asked.path, asked.depth, sigs[i].digest, sigs[i].rs, &sigs[i].recid);
    }
    good.sigs = sigs;
    good.n_sigs = 3;
    good.signers[0] = 1;
    good.signers[1] = 3;
    good.n_signers = 2;
    good.insecure_sim = 1;
    good.moves = 1;
    good.move_reason = qr_view_str("party 2 was slow");
    good.micros = 10;
    good.bytes = 20;
}

static qr_err
answer(const struct qr_answer_signed *s, struct qr_client_signed *ret)
{
    char why[256];
    struct qr_dbuf d;
    qr_dbuf_init(&d, 65536);
    assert_int_equal(qr_gw_render_signed(&d, s), QR_OK);
    qr_err e =
        qr_client_signed_check(qr_view_of(d.p, d.len), &asked, &key.pub, ret, why, sizeof why);
    qr_dbuf_free(&d);
    return e;
}

static void
test_answer_good(void **state)
{
    (void)state;
    struct qr_client_signed out;
    make_request("");
    assert_int_equal(answer(&good, &out), QR_OK);
    assert_int_equal(out.n, 3);
    assert_memory_equal(out.rs[2], sigs[2].rs, 64);
    assert_memory_equal(out.pk, key.pub.pk, 33);
    assert_int_equal(out.n_signers, 2);
    assert_int_equal(out.signers[1], 3);
    assert_int_equal(out.moves, 1);
    assert_true(out.insecure_sim);
    make_request("0,5");
    assert_int_equal(answer(&good, &out), QR_OK);
    assert_memory_not_equal(out.pk, key.pub.pk, 33);
}

static void
expect_bad(const struct qr_answer_signed *s)
{
    struct qr_client_signed out;
    assert_int_equal(answer(s, &out), QR_ERR_BAD_SIGNATURE);
}

static void
test_answer_forged(void **state)
{
    (void)state;
    struct qr_answer_signed s;
    struct qr_answer_sig keep[3];
    uint32_t path[2] = {0, 6};
    make_request("0,5");
    memcpy(keep, sigs, sizeof keep);

    s = good;
    s.request[0] ^= 1; /* an answer to another request */
    expect_bad(&s);
    s = good;
    memcpy(s.key, other.pub.pk, 33);
    expect_bad(&s);
    s = good;
    s.n_sigs = 2;
    expect_bad(&s);
    for (size_t i = 0; i < 3; i++) {
        sigs[i].rs[40] ^= 1;
        expect_bad(&good);
        memcpy(sigs, keep, sizeof keep);
        sigs[i].rs[0] ^= 1;
        expect_bad(&good);
        memcpy(sigs, keep, sizeof keep);
        sigs[i].recid ^= 1;
        expect_bad(&good);
        memcpy(sigs, keep, sizeof keep);
        memset(sigs[i].rs, 0, 64);
        expect_bad(&good);
        memcpy(sigs, keep, sizeof keep);
    }
    /* Two genuine signatures in each other's place; a genuine one of another digest. */
    struct qr_answer_sig swap = sigs[0];
    sigs[0] = sigs[1];
    sigs[1] = swap;
    expect_bad(&good);
    memcpy(sigs, keep, sizeof keep);
    sigs[0].digest[0] ^= 1;
    fakekey_sign(&key, asked.path, asked.depth, sigs[0].digest, sigs[0].rs, &sigs[0].recid);
    expect_bad(&good);
    memcpy(sigs, keep, sizeof keep);
    memcpy(sigs[0].rs, sigs[1].rs, 64); /* right digest, other's signature */
    expect_bad(&good);
    memcpy(sigs, keep, sizeof keep);
    /* Signed by the parent, another child, another key. */
    fakekey_sign(&key, NULL, 0, sigs[0].digest, sigs[0].rs, &sigs[0].recid);
    expect_bad(&good);
    fakekey_sign(&key, path, 2, sigs[0].digest, sigs[0].rs, &sigs[0].recid);
    expect_bad(&good);
    fakekey_sign(&other, asked.path, asked.depth, sigs[0].digest, sigs[0].rs, &sigs[0].recid);
    expect_bad(&good);
    memcpy(sigs, keep, sizeof keep);
    /* High s: n - s is as valid to a naive verifier. */
    qr_fq x;
    assert_int_equal(qr_fq_parse(&x, sigs[0].rs + 32), QR_OK);
    qr_fq_neg(&x, &x);
    qr_fq_put(sigs[0].rs + 32, &x);
    sigs[0].recid ^= 1;
    expect_bad(&good);
    memcpy(sigs, keep, sizeof keep);
    struct qr_client_signed out;
    assert_int_equal(answer(&good, &out), QR_OK);
}

static void
test_answer_form(void **state)
{
    (void)state;
    struct qr_client_signed out;
    char why[256], text[8192];
    struct qr_dbuf d;
    make_request("");
    qr_dbuf_init(&d, 65536);
    assert_int_equal(qr_gw_render_signed(&d, &good), QR_OK);
    for (size_t n = 0; n + 1 < d.len; n++) { /* the last byte is a newline */
        assert_int_not_equal(
            qr_client_signed_check(qr_view_of(d.p, n), &asked, &key.pub, &out, why, sizeof why),
            QR_OK);
    }
    static const char *const edits[][2] = {
        {"\"v\":1", "\"v\":2"},
        {"\"v\":1", "\"v\":1,\"x\":1"},
        {"\"recid\":", "\"recid\":4,\"r\":"},
        {"[1,3]", "[0,3]"},
        {"[1,3]", "[1,17]"},
        {"[1,3]", "[]"},
        {"\"signatures\":[", "\"signatures\":[{},"},
    };
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        const char *from = edits[i][0], *base = (const char *)d.p;
        const char *at = memmem(base, d.len, from, strlen(from));
        assert_non_null(at);
        size_t before = (size_t)(at - base), after = d.len - before - strlen(from);
        int n = snprintf(text, sizeof text, "%.*s%s%.*s", (int)before, base, edits[i][1],
                         (int)after, at + strlen(from));
        if (qr_client_signed_check(qr_view_of(text, (size_t)n), &asked, &key.pub, &out, why,
                                   sizeof why) == QR_OK) {
            fail_msg("edit %zu was taken", i);
        }
    }
    qr_dbuf_free(&d);
}

/* ---- encodings ---- */

static void
test_der(void **state)
{
    (void)state;
    uint8_t rs[64], again[64], der[72];
    struct qr_rng rng = qr_rng_system();
    for (int i = 0; i < 2000; i++) {
        qr_rng_fill(&rng, rs, sizeof rs);
        if (i % 4 == 0) { /* leading zeros, high bits */
            memset(rs, 0, (size_t)(i / 4) % 31);
            rs[32] = (uint8_t)i;
        }
        size_t n = qr_ecsig_der(rs, der);
        assert_true(n <= 72);
        assert_int_equal(qr_ecsig_parse(qr_view_of(der, n), again), QR_OK);
        assert_memory_equal(rs, again, 64);
        assert_int_not_equal(qr_ecsig_parse(qr_view_of(der, n - 1), again), QR_OK);
        der[n - 1] ^= 0; /* unchanged */
        uint8_t longer[73];
        memcpy(longer, der, n);
        longer[n] = 0;
        assert_int_not_equal(qr_ecsig_parse(qr_view_of(longer, n + 1), again), QR_OK);
    }
    const uint8_t negative[] = {0x30, 6, 2, 1, 0x80, 2, 1, 1};
    const uint8_t padded[] = {0x30, 7, 2, 2, 0, 1, 2, 1, 1};
    const uint8_t ber_len[] = {0x30, 0x81, 6, 2, 1, 1, 2, 1, 1};
    assert_int_not_equal(qr_ecsig_parse(qr_view_of(negative, sizeof negative), again), QR_OK);
    assert_int_not_equal(qr_ecsig_parse(qr_view_of(padded, sizeof padded), again), QR_OK);
    assert_int_not_equal(qr_ecsig_parse(qr_view_of(ber_len, sizeof ber_len), again), QR_OK);
    assert_int_not_equal(qr_ecsig_parse(qr_view_of(NULL, 0), again), QR_OK);
}

/* OpenSSL, from the two files that the command writes, says the same as libsecp256k1. */
static void
test_openssl_agrees(void **state)
{
    (void)state;
    static const char msg[] = "any file";
    uint8_t digest[32], rs[64], der[72], recid;
    struct qr_dbuf pem;
    qr_sha256(qr_view_of(msg, sizeof msg - 1), digest);
    fakekey_sign(&key, NULL, 0, digest, rs, &recid);
    size_t n = qr_ecsig_der(rs, der);
    qr_dbuf_init(&pem, 4096);
    assert_int_equal(qr_ecsig_spki_pem(key.pub.pk, &pem), QR_OK);
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.len);
    EVP_PKEY *k = PEM_read_bio_PUBKEY(b, NULL, NULL, NULL);
    assert_non_null(k);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, k), 1);
    assert_int_equal(EVP_DigestVerify(md, der, n, (const unsigned char *)msg, sizeof msg - 1), 1);
    assert_int_not_equal(EVP_DigestVerify(md, der, n, (const unsigned char *)msg, sizeof msg - 2),
                         1);
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(k);
    BIO_free(b);
    uint8_t not_a_point[33];
    memset(not_a_point, 0xff, sizeof not_a_point);
    assert_int_not_equal(qr_ecsig_spki_pem(not_a_point, &pem), QR_OK);
    qr_dbuf_free(&pem);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key),           cmocka_unit_test(test_answer_good),
        cmocka_unit_test(test_answer_forged), cmocka_unit_test(test_answer_form),
        cmocka_unit_test(test_der),           cmocka_unit_test(test_openssl_agrees),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
