/*
 * Quotes of a real (software) TPM, judged by our own verifier; PCRs, keys and NV indices where providers
 * keep them; what is missing, too short or of the wrong kind.
 */
#include "enclave-shim/tpm/tpm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/hcl.h"
#include "enclave-shim/verify/tpm.h"
#include "enclave-shim/verify/verify.h"
#include "protocol/base/hash.h"
#include "test/common/evgen_tpm.h"
#include "test/common/swtpm.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NV_HCL 0x01400001u
#define NV_USER_DATA 0x01400002u
#define NV_TEMPLATE 0x01c10003u
#define AZURE_AK 0x81000003u
#define PCRS 0x1a90u /* 4, 7, 9, 11, 12 */

static struct swtpm sw;
static struct qr_tpm *tpm;
static struct qr_tpm_key key;
static struct qr_tpm_quote quote;
static char why[512];
static const uint8_t binder[32] = "what the channel commits to ...";

static int
setup(void **state)
{
    (void)state;
    swtpm_start(&sw);
    if (qr_tpm_open(sw.path, 0, &tpm, why, sizeof why) != QR_OK) {
        fail_msg("%s", why);
    }
    return 0;
}

/* Nothing may stay in the TPM: a guest without a resource manager would fill up. */
static int
teardown(void **state)
{
    (void)state;
    qr_tpm_key_free(tpm, &key);
    unsigned left = swtpm_leftovers(qr_tpm_fd(tpm));
    tpm = qr_tpm_close(tpm);
    swtpm_stop(&sw);
    return left == 2 ? 0 : -1; /* the storage key and its session */
}

static void
must(qr_err e)
{
    if (e != QR_OK) {
        fail_msg("%s: %s", qr_err_name(e), qr_tpm_error(tpm));
    }
}

static void
says(const char *words)
{
    if (!strstr(qr_tpm_error(tpm), words)) {
        fail_msg("expected \"%s\" in: %s", words, qr_tpm_error(tpm));
    }
}

/* The quote as evidence of a bare TPM: everything but the trust in its key. */
static qr_err
judge(const struct qr_tpm_quote *q, const struct qr_tpm_key *k, const uint8_t commit[32],
      struct qr_verdict *v)
{
    static uint8_t values[QR_TPM_PCRS * 32];
    struct qr_evidence e = {.kind = QR_EV_TPM};
    struct qr_verify_opts o = {.now_ms = -1, .binder = {commit, 32}};
    size_t n = 0;

    for (unsigned i = 0; i < QR_TPM_PCRS; i++) {
        if (q->pcr_mask >> i & 1) {
            memcpy(values + n, q->pcr[i], 32);
            n += 32;
        }
    }
    assert_int_equal(
        qr_evidence_add(&e, QR_PART_TPM_QUOTE, 0, qr_view_of(q->attest, q->attest_len)), QR_OK);
    assert_int_equal(qr_evidence_add(&e, QR_PART_TPM_SIG, 0, qr_view_of(q->sig, q->sig_len)),
                     QR_OK);
    assert_int_equal(qr_evidence_add(&e, QR_PART_TPM_PCRS, 0, qr_view_of(values, n)), QR_OK);
    assert_int_equal(
        qr_evidence_add(&e, QR_PART_AK_PUBLIC, 0, qr_view_of(k->public_area, k->public_len)),
        QR_OK);
    return qr_verify(&e, &o, v, NULL);
}

static void
quotes_verify(const struct qr_tpm_key *k)
{
    static struct qr_verdict v;
    uint8_t other[32];
    uint8_t measured[32] = {1, 2, 3}, want[64] = {0}, digest[32];

    must(qr_tpm_quote(tpm, k, PCRS, qr_view_of(binder, 32), &quote));
    if (judge(&quote, k, binder, &v) != QR_OK) {
        fail_msg("refused: %s", v.sentence);
    }
    memcpy(other, binder, 32);
    other[31] ^= 1;
    assert_int_not_equal(judge(&quote, k, other, &v), QR_OK);
    assert_int_equal(v.reason, QR_REASON_BINDER);

    /* Another PCR is another quote; the old value extended is the new one. */
    memcpy(want, quote.pcr[11], 32);
    memcpy(want + 32, measured, 32);
    qr_sha256(qr_view_of(want, 64), digest);
    assert_int_equal(swtpm_extend(qr_tpm_fd(tpm), 11, measured), 0);
    quote.pcr[11][0] ^= 1;
    assert_int_not_equal(judge(&quote, k, binder, &v), QR_OK);
    must(qr_tpm_quote(tpm, k, PCRS, qr_view_of(binder, 32), &quote));
    assert_int_equal(judge(&quote, k, binder, &v), QR_OK);
    assert_memory_equal(quote.pcr[11], digest, 32);
}

static void
test_own_key(void **state)
{
    (void)state;
    must(qr_tpm_key_own(tpm, &key));
    assert_false(key.persistent);
    quotes_verify(&key);
    must(qr_tpm_vouch(tpm, &key));
    /* All PCRs at once: a TPM gives 8 at a time. */
    must(qr_tpm_quote(tpm, &key, 0xffffff, qr_view_of(binder, 32), &quote));
    static struct qr_verdict v;
    assert_int_equal(judge(&quote, &key, binder, &v), QR_OK);
    assert_int_equal(quote.pcr[17][0], 0xff); /* before a dynamic launch */
}

static void
test_azure_key(void **state)
{
    (void)state;
    assert_int_equal(qr_tpm_key_at(tpm, AZURE_AK, &key), QR_ERR_NOT_FOUND);
    says("no attestation key at 0x81000003");
    assert_int_equal(swtpm_keep_ak(qr_tpm_fd(tpm), AZURE_AK, SWTPM_AK_ATTRIBUTES), 0);
    must(qr_tpm_key_at(tpm, AZURE_AK, &key));
    assert_true(key.persistent);
    quotes_verify(&key);
    must(qr_tpm_vouch(tpm, &key));
    qr_tpm_key_free(tpm, &key);
    /* It is still there. */
    must(qr_tpm_key_at(tpm, AZURE_AK, &key));
    qr_tpm_key_free(tpm, &key);
    assert_int_equal(qr_tpm_key_at(tpm, 0x01c10003, &key), QR_ERR_USAGE);
}

/* A key that signs whatever it is given could sign a quote that nobody made. */
static void
test_unrestricted_key(void **state)
{
    (void)state;
    assert_int_equal(swtpm_keep_ak(qr_tpm_fd(tpm), AZURE_AK, SWTPM_AK_ATTRIBUTES & ~0x10000u), 0);
    assert_int_equal(qr_tpm_key_at(tpm, AZURE_AK, &key), QR_ERR_PLATFORM);
    says("restricted signing key");
    assert_int_equal(key.handle, 0);
}

static void
test_google_key(void **state)
{
    uint8_t t[128], again[QR_TPM_PUBLIC_MAX];
    size_t n = swtpm_template(t);

    (void)state;
    assert_int_equal(qr_tpm_key_by_template(tpm, NV_TEMPLATE, &key), QR_ERR_NOT_FOUND);
    must(qr_tpm_nv_write(tpm, NV_TEMPLATE, qr_view_of(t, n)));
    must(qr_tpm_key_by_template(tpm, NV_TEMPLATE, &key));
    quotes_verify(&key);
    must(qr_tpm_vouch(tpm, &key));
    size_t len = key.public_len;
    memcpy(again, key.public_area, len);
    qr_tpm_key_free(tpm, &key);

    /* The same with a length before it, and zeros behind it: the same key. */
    uint8_t sized[160] = {(uint8_t)(n >> 8), (uint8_t)n};
    memcpy(sized + 2, t, n);
    must(qr_tpm_nv_write(tpm, NV_TEMPLATE + 1, qr_view_of(sized, sizeof sized)));
    must(qr_tpm_key_by_template(tpm, NV_TEMPLATE + 1, &key));
    assert_int_equal(key.public_len, len);
    assert_memory_equal(key.public_area, again, len);
}

static void
test_bad_templates(void **state)
{
    uint8_t t[128];
    size_t n = swtpm_template(t);
    uint32_t at = NV_TEMPLATE;

    (void)state;
    for (size_t cut = 10; cut < n; cut += 5) {
        must(qr_tpm_nv_write(tpm, at, qr_view_of(t, cut)));
        assert_int_equal(qr_tpm_key_by_template(tpm, at++, &key), QR_ERR_PLATFORM);
    }
    must(qr_tpm_nv_write(tpm, at, qr_view_of(t, 9)));
    assert_int_equal(qr_tpm_key_by_template(tpm, at++, &key), QR_ERR_PLATFORM);
    says("holds 9 bytes, 10 are needed");
    static const uint8_t noise[64] = {0xff, 0xff, 0xff};
    must(qr_tpm_nv_write(tpm, at, qr_view_of(noise, sizeof noise)));
    assert_int_equal(qr_tpm_key_by_template(tpm, at++, &key), QR_ERR_PLATFORM);
    says("no template");
    t[7] &= 0xfb; /* without sign */
    t[5] = 0x02;  /* decrypt */
    must(qr_tpm_nv_write(tpm, at, qr_view_of(t, n)));
    assert_int_equal(qr_tpm_key_by_template(tpm, at++, &key), QR_ERR_PLATFORM);
    assert_int_equal(key.handle, 0);
}

/* ---- NV ---- */

static void
round_trip(uint32_t index, const uint8_t *p, size_t n)
{
    struct qr_dbuf d;
    qr_dbuf_init(&d, QR_TPM_NV_MAX);
    must(qr_tpm_nv_write(tpm, index, qr_view_of(p, n)));
    must(qr_tpm_nv_read(tpm, index, n, &d));
    assert_int_equal(d.len, n);
    assert_memory_equal(d.p, p, n);
    assert_int_equal(qr_tpm_nv_read(tpm, index, n + 1, &d), QR_ERR_PLATFORM);
    says("are needed");
    assert_int_equal(d.len, 0);
    qr_dbuf_free(&d);
    qr_dbuf_init(&d, n - 1);
    assert_int_equal(qr_tpm_nv_read(tpm, index, 0, &d), QR_ERR_TOO_LARGE);
    qr_dbuf_free(&d);
}

static void
test_nv(void **state)
{
    static uint8_t big[2049];
    struct qr_dbuf d;

    (void)state;
    qr_dbuf_init(&d, 4096);
    assert_int_equal(qr_tpm_nv_read(tpm, NV_HCL, 1, &d), QR_ERR_NOT_FOUND);
    says("no NV index 0x01400001");
    assert_int_equal(qr_tpm_nv_read(tpm, 0x81000003, 1, &d), QR_ERR_USAGE);
    for (size_t i = 0; i < sizeof big; i++) {
        big[i] = (uint8_t)(i * 7 + i / 256);
    }
    round_trip(NV_HCL, big, 2048); /* two chunks */
    round_trip(NV_USER_DATA, big, 64);
    assert_int_equal(qr_tpm_nv_write(tpm, NV_USER_DATA, qr_view_of(big, 65)), QR_ERR_PLATFORM);
    says("holds 64 bytes");
    must(qr_tpm_nv_write(tpm, NV_USER_DATA, qr_view_of(big + 1, 64)));
    assert_int_equal(qr_tpm_nv_write(tpm, NV_HCL + 8, qr_view_of(big, 2049)), QR_ERR_PLATFORM);
    says("hold 2048 at most");
    assert_int_equal(qr_tpm_nv_write(tpm, NV_HCL + 8, qr_view_of(big, 0)), QR_ERR_USAGE);
    /* Defined, never written. */
    assert_int_equal(swtpm_nv_define(qr_tpm_fd(tpm), NV_HCL + 9, 0x02060006, 32), 0);
    assert_int_equal(qr_tpm_nv_read(tpm, NV_HCL + 9, 1, &d), QR_ERR_PLATFORM);
    says("never written");
    /* Not the owner's to read. */
    assert_int_equal(swtpm_nv_define(qr_tpm_fd(tpm), NV_HCL + 10, 0x02080006, 32), 0);
    assert_int_equal(qr_tpm_nv_read(tpm, NV_HCL + 10, 1, &d), QR_ERR_PLATFORM);
    qr_dbuf_free(&d);
}

/* What Azure's firmware leaves at its index comes back whole, and our parser takes it. */
static void
test_hcl(void **state)
{
    static struct evhcl h;
    struct qr_hcl parsed;
    static struct qr_verdict v;
    struct qr_dbuf d;
    EVP_PKEY *ak = EVP_RSA_gen(2048);

    (void)state;
    qr_dbuf_init(&d, QR_TPM_NV_MAX);
    evhcl_init(&h, 2);
    evhcl_runtime(&h, ak);
    h.total = 2048;
    evhcl_make(&h);
    must(qr_tpm_nv_write(tpm, NV_HCL, qr_view_of(h.bytes, h.total)));
    must(qr_tpm_nv_read(tpm, NV_HCL, 1216, &d));
    assert_int_equal(d.len, h.total);
    qr_verdict_init(&v);
    assert_int_equal(qr_hcl_parse(qr_view_of(d.p, d.len), QR_HCL_SNP, &v, &parsed), QR_OK);
    qr_dbuf_free(&d);
    EVP_PKEY_free(ak);
}

/* The same with blobs that real machines gave, where they are at hand. */
static void
test_hcl_real(void **state)
{
    static uint8_t blob[QR_TPM_NV_MAX];
    char path[1024];
    const char *dir = getenv("QUORATE_EVIDENCE");
    unsigned seen = 0, index = NV_HCL;

    (void)state;
    (void)snprintf(path, sizeof path, "%s/azure-snp-vtpm", dir ? dir : "../shared/evidence");
    DIR *h = opendir(path);
    for (struct dirent *e = h ? readdir(h) : NULL; e; e = readdir(h)) {
        (void)snprintf(path, sizeof path, "%s/azure-snp-vtpm/%s/hcl_report.bin",
                       dir ? dir : "../shared/evidence", e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (!f) {
            continue;
        }
        size_t n = fread(blob, 1, sizeof blob, f);
        (void)fclose(f);
        size_t whole = n;
        if (n > 2048) { /* what swtpm's indices hold */
            n = 2048;
        }
        struct qr_hcl parsed;
        static struct qr_verdict v;
        struct qr_dbuf d;
        qr_dbuf_init(&d, QR_TPM_NV_MAX);
        must(qr_tpm_nv_write(tpm, index, qr_view_of(blob, n)));
        must(qr_tpm_nv_read(tpm, index++, n, &d));
        assert_memory_equal(d.p, blob, n);
        qr_verdict_init(&v);
        if (n == whole) {
            assert_int_equal(qr_hcl_parse(qr_view_of(d.p, d.len), QR_HCL_SNP, &v, &parsed), QR_OK);
            seen++;
        }
        assert_int_equal(swtpm_nv_undefine(qr_tpm_fd(tpm), index - 1), 0);
        qr_dbuf_free(&d);
    }
    if (h) {
        (void)closedir(h);
        assert_true(seen >= 1);
        printf("real cases: %u\n", seen);
    } else {
        printf("no published evidence at %s; a generated report was used instead\n", path);
    }
}

static void
test_random(void **state)
{
    uint8_t a[100] = {0}, b[100] = {0};
    (void)state;
    must(qr_tpm_random(tpm, a, sizeof a));
    must(qr_tpm_random(tpm, b, sizeof b));
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + 68, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
}

static void
test_arguments(void **state)
{
    static const uint8_t long_data[65];
    uint8_t pcr[QR_TPM_PCRS][32];
    (void)state;
    must(qr_tpm_key_own(tpm, &key));
    assert_int_equal(qr_tpm_quote(tpm, &key, 0, qr_view_of(binder, 32), &quote), QR_ERR_USAGE);
    assert_int_equal(qr_tpm_quote(tpm, &key, 1u << 24, qr_view_of(binder, 32), &quote),
                     QR_ERR_USAGE);
    assert_int_equal(qr_tpm_quote(tpm, &key, 1, qr_view_of(binder, 0), &quote), QR_ERR_USAGE);
    assert_int_equal(qr_tpm_quote(tpm, &key, 1, qr_view_of(long_data, 65), &quote), QR_ERR_USAGE);
    must(qr_tpm_quote(tpm, &key, 1, qr_view_of(long_data, 50), &quote));
    assert_int_equal(qr_tpm_pcr_read(tpm, 0, pcr), QR_ERR_USAGE);
    must(qr_tpm_pcr_read(tpm, 0x1000001 & 0xffffff, pcr));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_own_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_azure_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unrestricted_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_google_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_templates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nv, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hcl, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hcl_real, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
        cmocka_unit_test_setup_teardown(test_arguments, setup, teardown),
    };
    if (qr_hash_init() != QR_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
