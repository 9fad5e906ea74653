/*
 * Sealing on a real (software) TPM: the next release opens, a revoked one does not; other PCRs, another
 * key, another TPM, a counter deleted and made anew, a planted object.
 */
#include "enclave-shim/tpm/tpm_seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/tpm/tpm_blob.h"
#include "enclave-shim/tpm/tpm_int.h"
#include "protocol/base/hash.h"
#include "test/common/swtpm.h"
#include "test/common/tpmrel.h"

#include <stdio.h>
#include <string.h>

#define MASK 0x1a90u /* 4, 7, 9, 11, 12 */

static struct swtpm sw;
static struct qr_tpm *tpm;
static struct tpmrel rel;
static struct qr_dbuf blob;
static struct qr_sec32 secret, out;
static char why[512];

static void
open_tpm(void)
{
    tpm = qr_tpm_close(tpm);
    if (qr_tpm_open(sw.path, 0, &tpm, why, sizeof why) != QR_OK) {
        fail_msg("%s", why);
    }
}

/* Signs `release` for what is in the PCRs now. */
static void
sign_now(uint64_t release)
{
    uint8_t pcr[QR_TPM_PCRS][32];
    assert_int_equal(qr_tpm_pcr_read(tpm, MASK, pcr), QR_OK);
    tpmrel_sign(&rel, release, MASK, (const uint8_t(*)[32])pcr);
}

/* Boots an image: each has a PCR 11 of its own. */
static void
boot(uint8_t image)
{
    uint8_t digest[32] = {image};
    tpm = qr_tpm_close(tpm);
    swtpm_reboot(&sw);
    open_tpm();
    assert_int_equal(swtpm_extend(qr_tpm_fd(tpm), 11, digest), 0);
}

static int
setup(void **state)
{
    (void)state;
    swtpm_start(&sw);
    open_tpm();
    tpmrel_new(&rel);
    qr_dbuf_init(&blob, QR_TPM_WRAPPED_MAX);
    memset(secret.b, 0x5a, sizeof secret.b);
    memset(out.b, 0, sizeof out.b);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    unsigned left = swtpm_leftovers(qr_tpm_fd(tpm));
    tpm = qr_tpm_close(tpm);
    swtpm_stop(&sw);
    tpmrel_free(&rel);
    qr_dbuf_free(&blob);
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

static void
opens(void)
{
    memset(out.b, 0, sizeof out.b);
    must(qr_tpm_unseal(tpm, &rel.r, qr_view_of(blob.p, blob.len), &out));
    assert_memory_equal(out.b, secret.b, sizeof out.b);
}

static void
refused(qr_err e, const char *words)
{
    memset(out.b, 0, sizeof out.b);
    assert_int_equal(qr_tpm_unseal(tpm, &rel.r, qr_view_of(blob.p, blob.len), &out), e);
    says(words);
    assert_int_equal(out.b[0], 0);
}

static uint64_t
revoke(uint64_t minimum)
{
    uint64_t now = 0;
    must(qr_tpm_revoke(tpm, minimum, &now));
    return now;
}

static void
test_round_trip(void **state)
{
    struct qr_tpm_key ak = {0};

    (void)state;
    /* With an attestation key loaded: a TPM without a resource manager has room for one more. */
    must(qr_tpm_key_own(tpm, &ak));
    sign_now(1);
    must(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob));
    opens();
    qr_tpm_key_free(tpm, &ak);
    open_tpm(); /* another process */
    opens();
    boot(0); /* another boot with other PCRs */
    refused(QR_ERR_SEAL, "PCR 11 differs");
}

static void
test_upgrade(void **state)
{
    (void)state;
    boot(1);
    sign_now(1);
    must(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob));

    boot(2);
    refused(QR_ERR_SEAL, "PCR 11 differs"); /* with the old statement */
    sign_now(2);
    opens();
    boot(1); /* back to the older one: nobody revoked it */
    sign_now(1);
    opens();
    boot(2);
    sign_now(2);
    opens();
    assert_int_equal(revoke(2), 2);
    assert_int_equal(revoke(1), 2); /* only up */
    opens();
    boot(1);
    sign_now(1);
    refused(QR_ERR_SEAL, "release 1 was revoked");
    boot(3);
    sign_now(3);
    opens();
    boot(2);
    sign_now(2);
    opens();
}

/* The statement says release 2, as the broken release 1 would like: the policy is not what was approved. */
static void
test_the_tpm_refuses(void **state)
{
    struct tpmrel forged;
    uint8_t pcr[QR_TPM_PCRS][32];
    (void)state;
    boot(1);
    sign_now(1);
    must(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob));
    must(qr_tpm_pcr_read(tpm, MASK, pcr));
    tpmrel_new(&forged);
    tpmrel_sign(&forged, 2, MASK, (const uint8_t(*)[32])pcr);
    struct qr_tpm_release mixed = {rel.r.key, forged.r.statement};
    assert_int_equal(qr_tpm_unseal(tpm, &mixed, qr_view_of(blob.p, blob.len), &out),
                     QR_ERR_STAMP_INVALID);
    says("not signed by this image's release key");
    /* An image with another release key in it. */
    assert_int_equal(qr_tpm_unseal(tpm, &forged.r, qr_view_of(blob.p, blob.len), &out),
                     QR_ERR_SEAL);
    says("another key");
    /* It lies about whose key it is: our words fail, the TPM does not. */
    uint8_t public_area[QR_TPM_RELEASE_PUBLIC_LEN], name[QR_TPM_NAME_LEN];
    assert_int_equal(qr_tpm_release_key(forged.r.key, public_area, name), QR_OK);
    memcpy(blob.p + 5 + QR_TPM_NAME_LEN, name, sizeof name);
    assert_int_equal(qr_tpm_unseal(tpm, &forged.r, qr_view_of(blob.p, blob.len), &out),
                     QR_ERR_SEAL);
    says("TPM2_Load");
    tpmrel_free(&forged);
}

static void
test_pcr_changed(void **state)
{
    static const uint8_t x[32] = {9};
    (void)state;
    sign_now(7);
    must(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob));
    assert_int_equal(swtpm_extend(qr_tpm_fd(tpm), 10, x), 0);
    opens(); /* not one of ours */
    assert_int_equal(swtpm_extend(qr_tpm_fd(tpm), 4, x), 0);
    refused(QR_ERR_SEAL, "PCR 4 differs");
    assert_int_equal(swtpm_extend(qr_tpm_fd(tpm), 12, x), 0);
    refused(QR_ERR_SEAL, "PCR 4 12 differ");
    /* And nobody seals what he could not open. */
    assert_int_equal(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob), QR_ERR_SEAL);
}

static void
test_scale(void **state)
{
    uint64_t now = 0;
    (void)state;
    assert_int_equal(qr_tpm_revoke(tpm, 1, &now), QR_ERR_USAGE);
    says("nothing was sealed");
    /* Counters that were on this TPM before ours: it starts above them. */
    assert_int_equal(swtpm_nv_define(qr_tpm_fd(tpm), 0x01800001, 0x02060016, 8), 0);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(swtpm_nv_increment(qr_tpm_fd(tpm), 0x01800001), 0);
    }
    assert_int_equal(swtpm_nv_undefine(qr_tpm_fd(tpm), 0x01800001), 0);

    sign_now(5);
    assert_int_equal(qr_tpm_seal(tpm, &rel.r, 0, &secret, &blob), QR_ERR_USAGE);
    assert_int_equal(qr_tpm_seal(tpm, &rel.r, 6, &secret, &blob), QR_ERR_USAGE);
    must(qr_tpm_seal(tpm, &rel.r, 4, &secret, &blob));
    opens();
    assert_int_equal(qr_tpm_revoke(tpm, 6, &now), QR_ERR_USAGE);
    says("cannot revoke itself");
    sign_now(3);
    refused(QR_ERR_SEAL, "the lowest that may open is 4");
    sign_now(4);
    opens();
    sign_now(4 + QR_TPM_WINDOW - 1);
    opens();
    sign_now(4 + QR_TPM_WINDOW);
    refused(QR_ERR_SEAL, "knows releases 4 to 515");

    /* Sealed again by a later release: the scale goes on, the window moves. */
    sign_now(400);
    opens();
    assert_int_equal(revoke(40), 40);
    assert_int_equal(qr_tpm_seal(tpm, &rel.r, 41, &secret, &blob), QR_ERR_USAGE);
    says("revoked first");
    must(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob));
    sign_now(39);
    refused(QR_ERR_SEAL, "the lowest that may open is 40");
    sign_now(40 + QR_TPM_WINDOW - 1);
    opens();
}

static void
test_counter_deleted(void **state)
{
    (void)state;
    sign_now(1);
    must(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob));
    sign_now(3);
    opens();
    assert_int_equal(revoke(3), 3);
    /* Deleted, to forget: it comes back higher, and what was lowest is revoked with it. */
    assert_int_equal(swtpm_nv_undefine(qr_tpm_fd(tpm), QR_TPM_COUNTER), 0);
    refused(QR_ERR_SEAL, "release 3 was revoked on this machine: the lowest that may open is 4");
    sign_now(4);
    opens();
    sign_now(2);
    refused(QR_ERR_SEAL, "revoked");

    /* Deleted, and made anew by somebody else: a plain index that says 1, by the same name of a file. */
    assert_int_equal(swtpm_nv_undefine(qr_tpm_fd(tpm), QR_TPM_COUNTER), 0);
    must(qr_tpm_nv_write(tpm, QR_TPM_COUNTER, qr_view_of("\0\0\0\0\0\0\0\1", 8)));
    refused(QR_ERR_PLATFORM, "is not our release counter");
    sign_now(9);
    assert_int_equal(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob), QR_ERR_PLATFORM);
    says("is not our release counter");
    assert_int_equal(swtpm_nv_undefine(qr_tpm_fd(tpm), QR_TPM_COUNTER), 0);
    opens();
    /* Defined and not counted: a first start that was cut short. */
    assert_int_equal(swtpm_nv_undefine(qr_tpm_fd(tpm), QR_TPM_COUNTER), 0);
    assert_int_equal(swtpm_nv_define(qr_tpm_fd(tpm), QR_TPM_COUNTER, 0x02060016, 8), 0);
    opens();
}

static void
test_another_tpm(void **state)
{
    (void)state;
    sign_now(1);
    must(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob));
    assert_int_equal(swtpm_clear(qr_tpm_fd(tpm)), 0);
    /* Our own storage key is gone as well. */
    assert_int_not_equal(qr_tpm_unseal(tpm, &rel.r, qr_view_of(blob.p, blob.len), &out), QR_OK);
    open_tpm();
    refused(QR_ERR_SEAL, "another TPM, or this TPM was cleared");

    tpm = qr_tpm_close(tpm);
    swtpm_stop(&sw);
    swtpm_start(&sw);
    open_tpm();
    refused(QR_ERR_SEAL, "another TPM");
    /* It lies about where it comes from. */
    memcpy(blob.p + 5, tpm->storage_name, QR_TPM_NAME_LEN);
    refused(QR_ERR_SEAL, "TPM2_Load");
}

/* Every seventh byte of a blob changed, one bit: it never opens, and never to something else. */
static void
test_changed_blob(void **state)
{
    (void)state;
    sign_now(1);
    must(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob));
    for (size_t i = 0; i < blob.len; i += 7) {
        blob.p[i] ^= 0x10;
        memset(out.b, 0, sizeof out.b);
        assert_int_not_equal(qr_tpm_unseal(tpm, &rel.r, qr_view_of(blob.p, blob.len), &out), QR_OK);
        assert_int_equal(out.b[0], 0);
        blob.p[i] ^= 0x10;
    }
    for (size_t n = 0; n < blob.len; n += 7) {
        assert_int_not_equal(qr_tpm_unseal(tpm, &rel.r, qr_view_of(blob.p, n), &out), QR_OK);
    }
    opens();
}

/* Whoever booted something else on this TPM makes an object by our policy, around a secret he knows. */
static void
test_planted(void **state)
{
    struct qr_tpm_blob o;
    struct qr_dbuf mine;
    uint8_t mem[QR_TPM_WRAPPED_MAX];
    struct qr_buf b = qr_buf_over(mem, sizeof mem);

    (void)state;
    sign_now(1);
    must(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob));
    /* The best that he has: a genuine key's parts, and a ciphertext under a key of his own. */
    assert_int_equal(qr_tpm_blob_read(qr_view_of(blob.p, blob.len), &o), QR_OK);
    qr_tpm_blob_write_head(&o, &b);
    qr_buf_put16(&b, (uint16_t)o.secret.len);
    size_t at = b.len;
    qr_buf_put(&b, o.secret.p, o.secret.len);
    memset(mem + at + 5, 0x77, o.secret.len - 5);
    qr_dbuf_init(&mine, sizeof mem);
    assert_int_equal(qr_dbuf_append(&mine, mem, b.len), QR_OK);
    assert_int_equal(qr_tpm_unseal(tpm, &rel.r, qr_view_of(mine.p, mine.len), &out), QR_ERR_SEAL);
    says("was not sealed by a release");
    qr_dbuf_free(&mine);

    /* A sealed value or a key that he brought along cannot take the TPM's own key's place. */
    const TPM2B_SENSITIVE_CREATE known = {
        .size = 32, .sensitive.data = {.size = 32, .buffer = "a key that its planter knows ..."}};
    TPM2B_PUBLIC pub = {
        .publicArea = {
            .type = TPM2_ALG_KEYEDHASH,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_ADMINWITHPOLICY |
                                TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT,
            .parameters.keyedHashDetail.scheme = {.scheme = TPM2_ALG_HMAC,
                                                  .details.hmac.hashAlg = TPM2_ALG_SHA256},
        }};
    const TPM2B_DATA no_info = {0};
    const TPML_PCR_SELECTION no_pcrs = {0};
    TPM2B_PRIVATE *priv = NULL;
    TPM2B_PUBLIC *made = NULL;
    TSS2_RC rc = Esys_Create(tpm->esys, tpm->storage, tpm->session, ESYS_TR_NONE, ESYS_TR_NONE,
                             &known, &pub, &no_info, &no_pcrs, &priv, &made, NULL, NULL, NULL);
    assert_int_equal(qr_tpm_rc_base(rc), TPM2_RC_ATTRIBUTES);
}

/* Our own digests against a trial session of the TPM. */
static void
test_policies(void **state)
{
    static struct qr_tpm_path path;
    struct qr_tpm_scale scale = {3, 1000};
    uint8_t public_area[QR_TPM_RELEASE_PUBLIC_LEN], name[QR_TPM_NAME_LEN], want[32];
    const TPMT_SYM_DEF none = {.algorithm = TPM2_ALG_NULL};
    ESYS_TR s = ESYS_TR_NONE, nv = ESYS_TR_NONE;
    TPM2B_DIGEST *d = NULL, approved = {.size = 32};
    TPML_PCR_SELECTION sel;

    (void)state;
    sign_now(42);
    must(qr_tpm_seal(tpm, &rel.r, 1, &secret, &blob)); /* makes the counter */
    assert_int_equal(qr_tpm_release_key(rel.r.key, public_area, name), QR_OK);
    assert_int_equal(Esys_StartAuthSession(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                           ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_TRIAL, &none,
                                           TPM2_ALG_SHA256, &s),
                     0);
    const TPM2B_DIGEST now = {0};
    qr_tpm_selection(MASK, &sel);
    assert_int_equal(
        Esys_PolicyPCR(tpm->esys, s, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &now, &sel), 0);
    assert_int_equal(
        Esys_PolicyGetDigest(tpm->esys, s, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &d), 0);
    qr_tpm_policy_pcr(&rel.s, want);
    assert_memory_equal(d->buffer, want, 32);
    memcpy(approved.buffer, want, 32);
    Esys_Free(d);

    TPM2B_NONCE ref = {.size = QR_TPM_REF_LEN};
    TPM2B_NAME key_name = {.size = QR_TPM_NAME_LEN};
    const TPMT_TK_VERIFIED ticket = {.tag = TPM2_ST_VERIFIED, .hierarchy = TPM2_RH_OWNER};
    qr_tpm_policy_ref(42, ref.buffer);
    memcpy(key_name.name, name, sizeof name);
    assert_int_equal(Esys_PolicyAuthorize(tpm->esys, s, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                          &approved, &ref, &key_name, &ticket),
                     0);
    assert_int_equal(
        Esys_PolicyGetDigest(tpm->esys, s, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &d), 0);
    qr_tpm_policy_authorize(name, 42, want);
    assert_memory_equal(d->buffer, want, 32);
    Esys_Free(d);

    TPM2B_OPERAND most = {.size = 8, .buffer = {0, 0, 0, 0, 0, 0, 0x04, 0x0f}}; /* 1000 + 39 */
    uint8_t counter[QR_TPM_NAME_LEN];
    TPM2B_NAME *nv_name = NULL;
    assert_int_equal(Esys_TR_FromTPMPublic(tpm->esys, QR_TPM_COUNTER, ESYS_TR_NONE, ESYS_TR_NONE,
                                           ESYS_TR_NONE, &nv),
                     0);
    assert_int_equal(Esys_TR_GetName(tpm->esys, nv, &nv_name), 0);
    qr_tpm_counter_name(counter);
    assert_memory_equal(nv_name->name, counter, sizeof counter);
    Esys_Free(nv_name);
    assert_int_equal(Esys_PolicyNV(tpm->esys, nv, nv, s, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                   ESYS_TR_NONE, &most, 0, TPM2_EO_UNSIGNED_LE),
                     0);
    assert_int_equal(
        Esys_PolicyGetDigest(tpm->esys, s, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &d), 0);
    qr_tpm_policy_nv(want, counter, 1039, want);
    assert_memory_equal(d->buffer, want, 32);
    Esys_Free(d);

    qr_tpm_tree_path(name, &scale, 42, &path);
    for (size_t level = 0; level < QR_TPM_TREE_LEVELS; level++) {
        TPML_DIGEST list = {.count = 8};
        for (size_t i = 0; i < 8; i++) {
            list.digests[i].size = 32;
            memcpy(list.digests[i].buffer, path.node[level][i], 32);
        }
        assert_int_equal(
            Esys_PolicyOR(tpm->esys, s, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &list), 0);
    }
    assert_int_equal(
        Esys_PolicyGetDigest(tpm->esys, s, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &d), 0);
    assert_memory_equal(d->buffer, path.root, 32);
    Esys_Free(d);
    assert_int_equal(Esys_TR_Close(tpm->esys, &nv), 0);
    assert_int_equal(Esys_FlushContext(tpm->esys, s), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_upgrade, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_tpm_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pcr_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scale, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counter_deleted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_tpm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changed_blob, setup, teardown),
        cmocka_unit_test_setup_teardown(test_planted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_policies, setup, teardown),
    };
    if (qr_hash_init() != QR_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
