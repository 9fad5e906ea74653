/*
 * The software TEE: sealing, its key file and the permissions around it, evidence and every way to
 * spoil it, the generator; and that other platforms are refused by name.
 */
#include "enclave-shim/tee.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/seal.h"
#include "enclave-shim/tee_sim.h"
#include "protocol/base/hash.h"
#include "test/common/tmpdir.h"

#include <sodium.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct tmpdir dir;
static char why[256];

static int
setup(void **state)
{
    (void)state;
    tmpdir_new(&dir);
    return qr_hash_init() == QR_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    tmpdir_remove(&dir);
    return 0;
}

/* Sealed blobs, every platform's. */
#define EPOCH 0x01020304u

static void
test_seal(void **state)
{
    const struct qr_rng rng = qr_rng_system();
    struct qr_sec32 key = {{1}}, other = {{2}};
    uint8_t mem[256], out[256], ad_max[QR_SEAL_AD_MAX + 1] = {0};
    qr_view ad = qr_view_str("table/name"), plain = qr_view_str("a share");
    struct qr_buf b = qr_buf_over(mem, sizeof mem), o = qr_buf_over(out, sizeof out);

    (void)state;
    qr_buf_put(&b, "head", 4); /* appended to what is there */
    assert_int_equal(qr_seal_blob(&key, &rng, EPOCH, ad, plain, &b), QR_OK);
    qr_view sealed = qr_view_of(mem + 4, b.len - 4);
    assert_true(sealed.len <= plain.len + QR_SEAL_OVERHEAD);
    qr_buf_put(&o, "xy", 2);
    assert_int_equal(qr_unseal_blob(&key, EPOCH, ad, sealed, &o), QR_OK);
    assert_true(o.len == 2 + plain.len && memcmp(out, "xya share", 9) == 0);
    /* key, ad and every bit count */
    assert_int_equal(qr_unseal_blob(&key, EPOCH + 1, ad, sealed, &o), QR_ERR_SEAL);
    assert_int_equal(qr_unseal_blob(&other, EPOCH, ad, sealed, &o), QR_ERR_SEAL);
    assert_int_equal(qr_unseal_blob(&key, EPOCH, qr_view_str("table/nam"), sealed, &o),
                     QR_ERR_SEAL);
    assert_int_equal(qr_unseal_blob(&key, EPOCH, qr_view_of(NULL, 0), sealed, &o), QR_ERR_SEAL);
    for (size_t i = 0; i < 8 * sealed.len; i++) {
        mem[4 + i / 8] ^= (uint8_t)(1u << (i % 8));
        assert_int_equal(qr_unseal_blob(&key, EPOCH, ad, sealed, &o), QR_ERR_SEAL);
        mem[4 + i / 8] ^= (uint8_t)(1u << (i % 8));
    }
    for (size_t n = 0; n < sealed.len; n++) {
        assert_int_equal(qr_unseal_blob(&key, EPOCH, ad, qr_view_of(sealed.p, n), &o), QR_ERR_SEAL);
    }
    assert_int_equal(o.len, 2 + plain.len); /* nothing was appended by any of these */
    /* the format, as another program would read it */
    uint8_t plain2[16], full_ad[15] = "\x02\x01\x02\x03\x04table/name";
    unsigned long long n2 = 0;
    assert_int_equal(sealed.p[0], 2);
    assert_memory_equal(sealed.p, full_ad, 5);
    assert_int_equal(crypto_aead_xchacha20poly1305_ietf_decrypt(
                         plain2, &n2, NULL, sealed.p + 29, sealed.len - 29, full_ad, sizeof full_ad,
                         sealed.p + 5, key.b),
                     0);
    assert_true(n2 == plain.len && memcmp(plain2, plain.p, plain.len) == 0);
    /* two sealings of the same are different */
    uint8_t again[256];
    struct qr_buf c = qr_buf_over(again, sizeof again);
    assert_int_equal(qr_seal_blob(&key, &rng, EPOCH, ad, plain, &c), QR_OK);
    assert_memory_not_equal(again, sealed.p, c.len);
    /* nothing inside, no room, an ad that is too long */
    c = qr_buf_over(again, sizeof again);
    assert_int_equal(qr_seal_blob(&key, &rng, EPOCH, ad, qr_view_of(NULL, 0), &c), QR_OK);
    assert_int_equal(qr_unseal_blob(&key, EPOCH, ad, qr_buf_view(&c), &o), QR_OK);
    assert_int_equal(qr_seal_blob(&key, &rng, EPOCH, qr_view_of(ad_max, sizeof ad_max), plain, &c),
                     QR_ERR_TOO_LARGE);
    for (size_t cap = 0; cap < sealed.len; cap++) {
        c = qr_buf_over(again, cap);
        assert_int_equal(qr_seal_blob(&key, &rng, EPOCH, ad, plain, &c), QR_ERR_NO_SPACE);
        assert_int_equal(c.len, 0);
    }
    c = qr_buf_over(again, plain.len - 1);
    assert_int_equal(qr_unseal_blob(&key, EPOCH, ad, sealed, &c), QR_ERR_NO_SPACE);
}

static void
test_key_file(void **state)
{
    struct qr_tee a, b;
    struct stat st;
    uint8_t mem[200], out[200], other_key[32] = {9}, key[64];
    struct qr_buf s = qr_buf_over(mem, sizeof mem), o = qr_buf_over(out, sizeof out);
    const char *file = tmpdir_file(&dir, "sim-seal.key");
    qr_view ad = qr_view_str("ad"), plain = qr_view_str("plain");

    (void)state;
    assert_int_equal(qr_tee_sim_open(dir.path, &a, why, sizeof why), QR_OK);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 32);
    assert_int_equal(access(tmpdir_file(&dir, "sim-seal.key.new"), F_OK), -1);
    assert_int_equal(a.platform, QR_PLATFORM_SIM);
    assert_int_equal(a.insecure, 1);
    assert_int_equal(a.seal(a.ctx, 0, ad, plain, &s), QR_OK);
    /* opened again: the same key */
    assert_int_equal(qr_tee_sim_open(dir.path, &b, why, sizeof why), QR_OK);
    assert_memory_equal(a.measurement, b.measurement, 32);
    assert_int_equal(b.unseal(b.ctx, 0, ad, qr_buf_view(&s), &o), QR_OK);
    assert_true(qr_view_eq(qr_buf_view(&o), plain));
    qr_tee_close(&b);
    /* another key file */
    assert_int_equal(tmpdir_read(file, key, sizeof key), 32);
    tmpdir_write(file, other_key, 32);
    assert_int_equal(qr_tee_sim_open(dir.path, &b, why, sizeof why), QR_OK);
    assert_int_equal(b.unseal(b.ctx, 0, ad, qr_buf_view(&s), &o), QR_ERR_SEAL);
    qr_tee_close(&b);
    /* the measurement is in the key: what the file alone gives is not enough */
    struct qr_sec32 file_only;
    memcpy(file_only.b, key, 32);
    assert_int_equal(qr_unseal_blob(&file_only, 0, ad, qr_buf_view(&s), &o), QR_ERR_SEAL);
    tmpdir_write(file, key, 32);
    assert_int_equal(qr_tee_sim_open(dir.path, &b, why, sizeof why), QR_OK);
    assert_int_equal(b.unseal(b.ctx, 0, ad, qr_buf_view(&s), &o), QR_OK);
    qr_tee_close(&b);
    qr_tee_close(&b); /* a closed one, too */

    /* what is wrong with the file, said */
    for (size_t n = 0; n < 40; n++) {
        if (n != 32) {
            tmpdir_write(file, mem, n);
            assert_int_equal(qr_tee_sim_open(dir.path, &b, why, sizeof why), QR_ERR_PLATFORM);
            assert_non_null(strstr(why, "does not hold 32 bytes"));
        }
    }
    tmpdir_write(file, key, 32);
    static const mode_t open_modes[] = {0640, 0604, 0660, 0620, 0610, 0666};
    for (size_t i = 0; i < sizeof open_modes / sizeof open_modes[0]; i++) {
        assert_int_equal(chmod(file, open_modes[i]), 0);
        assert_int_equal(qr_tee_sim_open(dir.path, &b, why, sizeof why), QR_ERR_PERMISSIONS);
        assert_non_null(strstr(why, "sim-seal.key: owner"));
    }
    assert_int_equal(chmod(file, 0400), 0);
    assert_int_equal(qr_tee_sim_open(dir.path, &b, why, sizeof why), QR_OK);
    qr_tee_close(&b);
    /* a link instead of a file, a directory that others may write to, no directory */
    assert_int_equal(rename(file, tmpdir_file(&dir, "real")), 0);
    assert_int_equal(symlink("real", file), 0);
    assert_int_equal(qr_tee_sim_open(dir.path, &b, why, sizeof why), QR_ERR_PLATFORM);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rename(tmpdir_file(&dir, "real"), file), 0);
    assert_int_equal(chmod(dir.path, 0770), 0);
    assert_int_equal(qr_tee_sim_open(dir.path, &b, why, sizeof why), QR_ERR_PERMISSIONS);
    assert_non_null(strstr(why, "others may write here"));
    assert_int_equal(chmod(dir.path, 0701), 0); /* looking is no harm */
    assert_int_equal(qr_tee_sim_open(dir.path, &b, why, sizeof why), QR_OK);
    qr_tee_close(&b);
    assert_int_equal(chmod(dir.path, 0700), 0);
    assert_int_equal(qr_tee_sim_open(file, &b, why, sizeof why), QR_ERR_PLATFORM);
    assert_int_equal(qr_tee_sim_open("/nonexistent/x", &b, why, sizeof why), QR_ERR_PLATFORM);
    assert_non_null(strstr(why, "/nonexistent/x"));
    /* another owner's file (only root can make one) */
    if (geteuid() == 0) {
        assert_int_equal(chown(file, 65534, 65534), 0);
        assert_int_equal(qr_tee_sim_open(dir.path, &b, why, sizeof why), QR_ERR_PERMISSIONS);
        assert_int_equal(chown(file, 0, 0), 0);
    } else {
        print_message("not root: a key file of another owner was not tried\n");
    }
    qr_tee_close(&a);
}

/* Left over from a start that was killed. */
static void
test_half_made_key(void **state)
{
    struct qr_tee t;
    const char *file = tmpdir_file(&dir, "sim-seal.key");

    (void)state;
    (void)unlink(file);
    tmpdir_write(tmpdir_file(&dir, "sim-seal.key.new"), (const uint8_t *)"half", 4);
    assert_int_equal(qr_tee_sim_open(dir.path, &t, why, sizeof why), QR_OK);
    qr_tee_close(&t);
    assert_int_equal(access(tmpdir_file(&dir, "sim-seal.key.new"), F_OK), -1);
}

/* A derived key is the same at every start, and another for another epoch, label, ad, machine. */
static void
test_derive(void **state)
{
    struct tmpdir other;
    struct qr_tee a, b;
    struct qr_sec32 key, is;
    uint8_t ad_max[QR_SEAL_AD_MAX + 1] = {0};
    qr_view ad = qr_view_str("identity");

    (void)state;
    tmpdir_new(&other);
    assert_int_equal(qr_tee_sim_open(dir.path, &a, why, sizeof why), QR_OK);
    assert_int_equal(a.derive(a.ctx, 7, "share", ad, &key), QR_OK);
    qr_tee_close(&a);
    assert_int_equal(qr_tee_sim_open(dir.path, &a, why, sizeof why), QR_OK);
    assert_int_equal(a.derive(a.ctx, 7, "share", ad, &is), QR_OK);
    assert_memory_equal(key.b, is.b, 32);
    const struct {
        uint32_t epoch;
        const char *label, *ad;
    } apart[] = {{8, "share", "identity"},
                 {7, "shard", "identity"},
                 {7, "share", "identitz"},
                 {7, "sharei", "dentity"}, /* nothing can be shifted */
                 {7, "share", ""}};
    for (size_t i = 0; i < sizeof apart / sizeof apart[0]; i++) {
        assert_int_equal(
            a.derive(a.ctx, apart[i].epoch, apart[i].label, qr_view_str(apart[i].ad), &is), QR_OK);
        assert_memory_not_equal(key.b, is.b, 32);
    }
    assert_int_equal(qr_tee_sim_open(other.path, &b, why, sizeof why), QR_OK);
    assert_int_equal(b.derive(b.ctx, 7, "share", ad, &is), QR_OK);
    assert_memory_not_equal(key.b, is.b, 32);
    /* it opens nothing that the platform seals, whatever the epoch */
    uint8_t sealed[128], out[64];
    struct qr_buf s = qr_buf_over(sealed, sizeof sealed), o = qr_buf_over(out, sizeof out);
    assert_int_equal(a.seal(a.ctx, 7, ad, qr_view_str("x"), &s), QR_OK);
    assert_int_equal(qr_unseal_blob(&key, 7, ad, qr_buf_view(&s), &o), QR_ERR_SEAL);
    /* bounds, and what was there stays */
    is = key;
    assert_int_equal(a.derive(a.ctx, 7, "share", qr_view_of(ad_max, sizeof ad_max), &is),
                     QR_ERR_TOO_LARGE);
    assert_memory_equal(key.b, is.b, 32);
    assert_int_equal(a.derive(a.ctx, 7, "share", qr_view_of(ad_max, QR_SEAL_AD_MAX), &is), QR_OK);
    qr_tee_close(&a);
    qr_tee_close(&b);
    tmpdir_remove(&other);
}

static void
test_measurement(void **state)
{
    static uint8_t image[64u * 1024 * 1024];
    struct qr_tee t;
    uint8_t h[32];

    (void)state;
    size_t n = tmpdir_read("/proc/self/exe", image, sizeof image);
    qr_sha256(qr_view_of(image, n), h);
    assert_int_equal(qr_tee_sim_open(dir.path, &t, why, sizeof why), QR_OK);
    assert_memory_equal(t.measurement, h, 32);
    qr_tee_close(&t);
}

static qr_err
verify(enum qr_platform p, qr_view evidence, const uint8_t binder[32], struct qr_claims *ret,
       char *text, size_t cap)
{
    static struct qr_verdict v;
    static struct qr_verify_out out;
    const struct qr_verify_opts o = {.now_ms = -1};

    qr_err e = qr_tee_verify(p, evidence, binder, &o, &v, &out, ret, text, cap);
    assert_int_equal(out.marks.n, 0);
    assert_int_equal(out.latest_issue_ms, -1);
    return e;
}

static void
test_evidence(void **state)
{
    uint8_t binder[32] = {5}, other[32] = {6}, mem[QR_SIM_EVIDENCE_LEN + 1];
    struct qr_buf b = qr_buf_over(mem, sizeof mem), small = qr_buf_over(mem, 10);
    struct qr_claims c;
    struct qr_tee t;

    (void)state;
    assert_int_equal(qr_tee_sim_open(dir.path, &t, why, sizeof why), QR_OK);
    assert_int_equal(t.evidence(t.ctx, binder, &small), QR_ERR_NO_SPACE);
    assert_int_equal(t.evidence(t.ctx, binder, &b), QR_OK);
    assert_int_equal(b.len, QR_SIM_EVIDENCE_LEN);
#define VERIFY(n, bind) verify(QR_PLATFORM_SIM, qr_view_of(mem, n), bind, &c, why, sizeof why)
    assert_int_equal(VERIFY(b.len, binder), QR_OK);
    assert_int_equal(c.platform, QR_PLATFORM_SIM);
    assert_memory_equal(c.measurement, t.measurement, 32);
    assert_int_equal(c.insecure, 1);
    assert_int_equal(c.debug, prctl(PR_GET_DUMPABLE) == 1);
    assert_int_equal(VERIFY(b.len, other), QR_ERR_ATTESTATION);
    assert_string_equal(why, "sim evidence is bound to another channel (binder differs)");
    for (size_t i = 0; i < 8 * b.len; i++) {
        mem[i / 8] ^= (uint8_t)(1u << (i % 8));
        assert_int_equal(VERIFY(b.len, binder), QR_ERR_ATTESTATION);
        mem[i / 8] ^= (uint8_t)(1u << (i % 8));
    }
    for (size_t n = 0; n <= sizeof mem; n++) {
        assert_int_equal(VERIFY(n, binder), n == b.len ? QR_OK : QR_ERR_ATTESTATION);
    }
    /* As another platform's: it is no evidence in that form, and as nobody's. */
    static const struct {
        enum qr_platform p;
        const char *why;
    } others[] = {
        {QR_PLATFORM_NITRO, "evidence of 136 bytes: "},
        {QR_PLATFORM_SNP, "evidence of 136 bytes: "},
        {QR_PLATFORM_TDX, "evidence of 136 bytes: "},
        {QR_PLATFORM_SGX, "evidence of 136 bytes: "},
        {QR_PLATFORM_AZURE_SNP, "evidence of 136 bytes: "},
        {QR_PLATFORM_AZURE_TDX, "evidence of 136 bytes: "},
        {QR_PLATFORM_GCP_SNP, "evidence of 136 bytes: "},
        {QR_PLATFORM_GCP_TDX, "evidence of 136 bytes: "},
        {(enum qr_platform)0, "platform 0 is none that a party runs on"},
        {(enum qr_platform)6, "platform 6 is none that a party runs on"}, /* a TPM alone */
        {(enum qr_platform)77, "platform 77 is none that a party runs on"},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(verify(others[i].p, qr_buf_view(&b), binder, &c, why, sizeof why),
                         QR_ERR_ATTESTATION);
        assert_int_equal(strncmp(why, others[i].why, strlen(others[i].why)), 0);
    }
    static uint8_t huge[QR_EVIDENCE_MAX + 1];
    assert_int_equal(verify(QR_PLATFORM_SIM, qr_view_of(huge, sizeof huge), binder, &c, NULL, 0),
                     QR_ERR_ATTESTATION);
    qr_tee_close(&t);
}

/* The bytes are published: whoever verifies in another language hashes the same ones. */
static void
test_client_binder(void **state)
{
    uint8_t in[5][32], text[26 + 5 * 32], want[32], got[32];

    (void)state;
    memcpy(text, "quorate/client-evidence/v1", 26);
    for (size_t i = 0; i < 5; i++) {
        memset(in[i], (int)(i + 1), 32);
        memcpy(text + 26 + 32 * i, in[i], 32);
    }
    qr_sha256(qr_view_of(text, sizeof text), want);
    qr_client_binder(in[0], in[1], in[2], in[3], in[4], got);
    assert_memory_equal(got, want, 32);
    for (size_t i = 0; i < 5; i++) { /* each of the five matters */
        in[i][31] ^= 1;
        qr_client_binder(in[0], in[1], in[2], in[3], in[4], got);
        assert_memory_not_equal(got, want, 32);
        in[i][31] ^= 1;
    }
}

static void
test_not_dumpable(void **state)
{
    uint8_t binder[32] = {5}, mem[QR_SIM_EVIDENCE_LEN];
    int status = -1;

    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct qr_tee t;
        struct qr_claims c = {.debug = 1};
        struct qr_buf b = qr_buf_over(mem, sizeof mem);
        int ok = prctl(PR_SET_DUMPABLE, 0) == 0 &&
                 qr_tee_sim_open(dir.path, &t, why, sizeof why) == QR_OK &&
                 t.evidence(t.ctx, binder, &b) == QR_OK &&
                 verify(QR_PLATFORM_SIM, qr_buf_view(&b), binder, &c, NULL, 0) == QR_OK &&
                 c.debug == 0;
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The generator: a broken source of either kind does not show. */

static unsigned asked;

static void
stuck(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    asked++;
    memset(out, 0, n);
}

/* The system's generator, broken: libsodium lets a program bring its own. */
static const char *
zeros_name(void)
{
    return "zeros";
}

static uint32_t
zeros_random(void)
{
    return 0;
}

static void
zeros_fill(void *const out, const size_t n)
{
    memset(out, 0, n);
}

static void
test_rng_broken_system(void **state)
{
    static randombytes_implementation zeros = {
        .implementation_name = zeros_name, .random = zeros_random, .buf = zeros_fill};
    struct qr_tee t = {.random = stuck};
    uint8_t a[64], b[64], none[64] = {0};

    (void)state;
    assert_int_equal(randombytes_set_implementation(&zeros), 0);
    struct qr_rng r = qr_tee_rng(&t);
    qr_rng_fill(&r, a, sizeof a);
    qr_rng_fill(&r, b, sizeof b);
    assert_int_equal(randombytes_set_implementation(&randombytes_sysrandom_implementation), 0);
    /* the key moves on after each draw, so even two dead sources do not repeat themselves */
    assert_memory_not_equal(a, none, sizeof a);
    assert_memory_not_equal(a, b, sizeof a);
    qr_tee_close(&t);
}

static void
test_rng(void **state)
{
    struct qr_tee t = {.random = stuck};
    uint8_t a[64], b[64], big[3 * QR_TEE_RESEED];
    unsigned ones = 0;

    (void)state;
    asked = 0;
    struct qr_rng r = qr_tee_rng(&t), again = qr_tee_rng(&t);
    assert_int_equal(asked, 1);
    qr_rng_fill(&r, a, sizeof a);
    qr_rng_fill(&again, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    qr_rng_fill(&r, a, 0);
    /* asked again every QR_TEE_RESEED bytes, not at every call */
    for (size_t i = 0; i < QR_TEE_RESEED / 64 - 2; i++) {
        qr_rng_fill(&r, a, sizeof a);
    }
    assert_int_equal(asked, 1);
    qr_rng_fill(&r, a, sizeof a);
    assert_int_equal(asked, 2);
    qr_rng_fill(&r, big, sizeof big);
    assert_int_equal(asked, 3);
    for (size_t i = 0; i < sizeof big; i++) {
        ones += (unsigned)__builtin_popcount(big[i]);
    }
    /* 1,572,864 bits, deviation 627: seven of them */
    assert_in_range(ones, 8 * sizeof big / 2 - 4400, 8 * sizeof big / 2 + 4400);
    qr_tee_close(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seal),          cmocka_unit_test(test_key_file),
        cmocka_unit_test(test_half_made_key), cmocka_unit_test(test_derive),
        cmocka_unit_test(test_measurement),   cmocka_unit_test(test_evidence),
        cmocka_unit_test(test_client_binder), cmocka_unit_test(test_not_dumpable),
        cmocka_unit_test(test_rng),           cmocka_unit_test(test_rng_broken_system),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
