/*
 * Release statements and the policies that follow from them, without a TPM: known digests (a software TPM
 * came to the same ones), what is refused, blobs of sealed secrets.
 */
#include "enclave-shim/tpm/tpm_release.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/tpm/tpm_blob.h"
#include "enclave-shim/tpm/tpm_seal.h"
#include "enclave-shim/tpm/tpm_tree.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "test/common/evgen_ca.h"
#include "test/common/tpmrel.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#define MASK 0x1a90u

static struct tpmrel rel;
static uint8_t pcr[QR_TPM_PCRS][32];
static char why[256];

static int
setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < QR_TPM_PCRS; i++) {
        memset(pcr[i], (int)(i + 1), 32);
    }
    tpmrel_of(&rel, evgen_key(EVGEN_P256, 15));
    return 0;
}

static void
is(const uint8_t *p, size_t n, const char *hex)
{
    char text[200];
    qr_hex_encode(qr_view_of(p, n), text);
    assert_string_equal(text, hex);
}

static qr_err
read_back(qr_view st, struct qr_tpm_statement *s)
{
    const struct qr_tpm_release r = {rel.r.key, st};
    why[0] = '\0';
    return qr_tpm_statement_read(&r, s, why, sizeof why);
}

static void
test_known_digests(void **state)
{
    static const struct qr_tpm_scale scale = {3, 1000};
    static struct qr_tpm_path path;
    uint8_t d[32], counter[QR_TPM_NAME_LEN], name[QR_TPM_NAME_LEN];

    (void)state;
    tpmrel_sign(&rel, 42, MASK, (const uint8_t(*)[32])pcr);
    memset(name, 0x11, sizeof name);
    qr_tpm_policy_pcr(&rel.s, d);
    is(d, 32, "0066b9192bd1f91a35d0677768494a2ea185973a1ae714cab487348561941f63");
    qr_tpm_policy_authorize(name, 42, d);
    is(d, 32, "17461fc372ec60a91fcc7f01085f85fbef23c11a4064de2f48df6f72e012d662");
    qr_tpm_counter_name(counter);
    is(counter, sizeof counter,
       "000b2a8a933bc11a83528e1fd6125903b57febc2f3c44a9edec6d485cebab5c49ac3");
    qr_tpm_policy_nv(d, counter, 1039, d);
    is(d, 32, "9af21bed2b504eb6ba059f3cbfcc4d50d58c43a67857295618ec1c5e5d926445");
    qr_tpm_tree_path(name, &scale, 42, &path);
    assert_memory_equal(path.node[0][39 % 8], d, 32);
    is(path.root, 32, "6221a6073445e4e1fd4435e913d2216f927f672cbab73be11848bfd8b3dedb72");
    for (size_t level = 0, at = 39; level < QR_TPM_TREE_LEVELS; level++, at /= 8) {
        assert_memory_equal(path.node[level][at % 8], d, 32);
        qr_tpm_policy_or((const uint8_t(*)[32])path.node[level], 8, d);
    }
    assert_memory_equal(path.root, d, 32);
    /* Every release of the window has the same root, and no other scale has it. */
    static struct qr_tpm_path other;
    qr_tpm_tree_path(name, &scale, 3 + QR_TPM_WINDOW - 1, &other);
    assert_memory_equal(other.root, path.root, 32);
    for (int i = 0; i < 3; i++) {
        struct qr_tpm_scale s = {scale.minimum + (i == 0), scale.start + (i == 1)};
        name[5] ^= i == 2;
        qr_tpm_tree_path(name, &s, 42, &other);
        assert_memory_not_equal(other.root, path.root, 32);
    }
}

static void
test_statements(void **state)
{
    static const uint32_t masks[] = {1, 0x800000, MASK, 0xffffff};
    struct qr_tpm_statement s;
    uint8_t st[QR_TPM_STATEMENT_MAX + 1] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        tpmrel_sign(&rel, QR_TPM_RELEASE_MAX, masks[i], (const uint8_t(*)[32])pcr);
        assert_int_equal(read_back(rel.r.statement, &s), QR_OK);
        assert_int_equal(s.release, QR_TPM_RELEASE_MAX);
        assert_int_equal(s.mask, masks[i]);
        assert_memory_equal(s.pcr, rel.s.pcr, sizeof s.pcr);
    }
    tpmrel_sign(&rel, 7, MASK, (const uint8_t(*)[32])pcr);
    size_t n = rel.r.statement.len;
    memcpy(st, rel.r.statement.p, n);
    for (size_t cut = 0; cut < n; cut++) {
        assert_int_not_equal(read_back(qr_view_of(st, cut), &s), QR_OK);
        assert_true(why[0]);
    }
    assert_int_equal(read_back(qr_view_of(st, n + 1), &s), QR_ERR_TRAILING);
    assert_int_equal(read_back(qr_view_of(st, sizeof st), &s), QR_ERR_TOO_LARGE);
    for (size_t bit = 0; bit < n * 8; bit += 5) {
        st[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(read_back(qr_view_of(st, n), &s), QR_OK);
        st[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    st[4] = 2;
    assert_int_equal(read_back(qr_view_of(st, n), &s), QR_ERR_VERSION);
    st[4] = 1;
    st[12] = 8;
    assert_int_equal(read_back(qr_view_of(st, n), &s), QR_ERR_STAMP_INVALID);
    assert_non_null(strstr(why, "release 8 is not signed by this image's release key"));
    st[12] = 0;
    assert_int_equal(read_back(qr_view_of(st, n), &s), QR_ERR_MALFORMED);
    st[12] = 7;
    assert_int_equal(read_back(qr_view_of(st, n), &s), QR_OK);
    /* err_text may be absent. */
    const struct qr_tpm_release none = {{NULL, 0}, qr_view_of(st, n)};
    assert_int_equal(qr_tpm_statement_read(&none, &s, NULL, 0), QR_ERR_MALFORMED);
}

/* The same signature in another encoding is another statement. */
static void
test_one_encoding(void **state)
{
    struct qr_tpm_statement s;
    uint8_t st[QR_TPM_STATEMENT_MAX];

    (void)state;
    tpmrel_sign(&rel, 7, 1, (const uint8_t(*)[32])pcr);
    size_t at = 4 + 1 + 8 + 4 + 32, n = rel.r.statement.len;
    memcpy(st, rel.r.statement.p, n);
    memmove(st + at + 7, st + at + 6, n - at - 6); /* a leading zero more in r */
    st[at + 1]++;
    st[at + 3]++;
    st[at + 5]++;
    st[at + 6] = 0;
    assert_int_not_equal(read_back(qr_view_of(st, n + 1), &s), QR_OK);
}

static void
test_keys(void **state)
{
    static const struct {
        const char *name;
        int other;
    } kinds[] = {{"P-384", 0}, {"secp256k1", 0}, {"P-256", 1}};
    uint8_t spki[256] = {0}, area[QR_TPM_RELEASE_PUBLIC_LEN], name[QR_TPM_NAME_LEN];

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        EVP_PKEY *k = EVP_EC_gen(kinds[i].name);
        uint8_t *p = spki;
        assert_non_null(k);
        size_t n = (size_t)i2d_PUBKEY(k, &p);
        assert_int_equal(qr_tpm_release_key(qr_view_of(spki, n), area, name),
                         kinds[i].other ? QR_OK : QR_ERR_MALFORMED);
        assert_int_equal(qr_tpm_release_key(qr_view_of(spki, n + 1), area, name), QR_ERR_MALFORMED);
        assert_int_equal(qr_tpm_release_key(qr_view_of(spki, n - 1), area, name), QR_ERR_MALFORMED);
        struct qr_tpm_statement s = {.release = 1, .mask = 1};
        uint8_t mem[QR_TPM_STATEMENT_MAX];
        struct qr_buf b = qr_buf_over(mem, sizeof mem);
        assert_int_equal(qr_tpm_statement_sign(&s, k, &b), kinds[i].other ? QR_OK : QR_ERR_USAGE);
        EVP_PKEY_free(k);
    }
    assert_int_equal(qr_tpm_release_key(qr_view_of(NULL, 0), area, name), QR_ERR_MALFORMED);
    struct qr_tpm_statement s = {.release = 0, .mask = 1};
    uint8_t mem[QR_TPM_STATEMENT_MAX];
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    assert_int_equal(qr_tpm_statement_sign(&s, rel.key, &b), QR_ERR_USAGE);
    s.release = QR_TPM_RELEASE_MAX + 1;
    assert_int_equal(qr_tpm_statement_sign(&s, rel.key, &b), QR_ERR_USAGE);
    s.release = 1;
    s.mask = 0;
    assert_int_equal(qr_tpm_statement_sign(&s, rel.key, &b), QR_ERR_USAGE);
    s.mask = 1u << 24;
    assert_int_equal(qr_tpm_statement_sign(&s, rel.key, &b), QR_ERR_USAGE);
    s.mask = 1;
    b = qr_buf_over(mem, 20);
    assert_int_equal(qr_tpm_statement_sign(&s, rel.key, &b), QR_ERR_NO_SPACE);
}

static void
test_blobs(void **state)
{
    struct qr_tpm_blob o = {.scale = {3, 9}, .private_area = qr_view_str("private")}, back;
    uint8_t mem[QR_TPM_WRAPPED_MAX + 1] = {0};
    struct qr_buf b = qr_buf_over(mem, sizeof mem);

    (void)state;
    memset(o.unique, 0x33, sizeof o.unique);
    qr_tpm_blob_write_head(&o, &b);
    size_t head = b.len;
    qr_buf_put16(&b, 6);
    qr_buf_put(&b, "secret", 6);
    assert_int_equal(qr_tpm_blob_read(qr_buf_view(&b), &back), QR_OK);
    assert_int_equal(back.head.len, head);
    assert_true(qr_view_eq(back.private_area, o.private_area));
    assert_true(qr_view_eq(back.secret, qr_view_str("secret")));
    assert_int_equal(back.scale.minimum, 3);
    assert_int_equal(back.scale.start, 9);
    for (size_t n = 0; n < b.len; n++) {
        assert_int_not_equal(qr_tpm_blob_read(qr_view_of(mem, n), &back), QR_OK);
    }
    assert_int_equal(qr_tpm_blob_read(qr_view_of(mem, b.len + 1), &back), QR_ERR_TRAILING);
    assert_int_equal(qr_tpm_blob_read(qr_view_of(mem, sizeof mem), &back), QR_ERR_TOO_LARGE);
    mem[4] = 2;
    assert_int_equal(qr_tpm_blob_read(qr_buf_view(&b), &back), QR_ERR_VERSION);
    mem[4] = 1;
    static const struct {
        size_t at;
        uint8_t v;
    } bad[] = {{0, 'X'}, {5 + 68 + 7, 0}, {5 + 68, 1}, {5 + 68 + 8, 0x80}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t was = mem[bad[i].at];
        mem[bad[i].at] = bad[i].v;
        assert_int_equal(qr_tpm_blob_read(qr_buf_view(&b), &back), QR_ERR_MALFORMED);
        mem[bad[i].at] = was;
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_digests), cmocka_unit_test(test_statements),
        cmocka_unit_test(test_one_encoding),  cmocka_unit_test(test_keys),
        cmocka_unit_test(test_blobs),
    };
    if (qr_hash_init() != QR_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, setup, NULL);
}
