/*
 * The Nitro back end over a module in memory and a key service in a thread: evidence that the verifier
 * takes, a root that comes back at the next start, and every start that must fail.
 */
#include "enclave-shim/nitro/nitro.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/nitro_doc.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "test/common/fakensm.h"
#include "test/common/kmsbox.h"
#include "test/common/rsawrap.h"
#include "test/common/tmpdir.h"

#include <errno.h>
#include <pthread.h>

/* A keep in memory: one value, and what goes wrong with it. */
struct memkeep {
    uint8_t v[QR_TEE_KEEP_MAX];
    size_t len;
    unsigned loads, saves;
    qr_err load_err, save_err;
};

static struct kmsbox box;
static struct fakensm fake;
static struct memkeep mem;
static struct qr_tee_keep keep;
static struct qr_nitro_kms cfg;
static struct qr_tee_opts opts;
static struct qr_tee tee;
static char why[512];
static int closed;

static qr_err
mem_load(void *ctx, const char *name, struct qr_dbuf *out)
{
    struct memkeep *m = ctx;
    assert_string_equal(name, QR_NITRO_KEEP);
    m->loads++;
    if (m->load_err != QR_OK) {
        return m->load_err;
    }
    if (m->len == 0) {
        return QR_ERR_NOT_FOUND;
    }
    return qr_dbuf_append(out, m->v, m->len);
}

static qr_err
mem_save(void *ctx, const char *name, qr_view v)
{
    struct memkeep *m = ctx;
    assert_string_equal(name, QR_NITRO_KEEP);
    assert_true(v.len <= sizeof m->v);
    m->saves++;
    if (m->save_err != QR_OK) {
        return m->save_err;
    }
    memcpy(m->v, v.p, v.len);
    m->len = v.len;
    return QR_OK;
}

static const char *
mem_why(void *ctx)
{
    (void)ctx;
    return "the keep says why";
}

static void
close_counted(void *ctx)
{
    (void)ctx;
    closed++;
}

static int
setup(void **state)
{
    (void)state;
    fakensm_init(&fake);
    memset(&box, 0, sizeof box);
    kmsbox_start(&box);
    qr_hex_encode(qr_view_of(fake.pcr[0], 48), box.pcr0);
    memset(&mem, 0, sizeof mem);
    keep = (struct qr_tee_keep){.ctx = &mem, .load = mem_load, .save = mem_save, .why = mem_why};
    cfg = (struct qr_nitro_kms){.key = KMSBOX_KEY,
                                .route = box.route,
                                .credentials = box.creds_route,
                                .name = "party-1",
                                .roots = kmsbox_roots(),
                                .tries = 1,
                                .timeout_ms = 1000};
    opts = (struct qr_tee_opts){.platform = "nitro", .keep = &keep, .kms = &cfg};
    closed = 0;
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    qr_tee_close(&tee);
    kmsbox_stop(&box);
    return 0;
}

static qr_err
start(void)
{
    struct qr_nsm_dev dev = fakensm_dev(&fake);
    dev.close = close_counted;
    memset(why, 0, sizeof why);
    return qr_tee_nitro_over(&dev, &opts, &tee, why, sizeof why);
}

static void
must(qr_err e)
{
    if (e != QR_OK) {
        fail_msg("%s: %s; the box: %s", qr_err_name(e), why, box.refused);
    }
}

/* Fails with this error and these words, and has closed the device. */
static void
refused(qr_err want, const char *words)
{
    int before = closed;
    qr_err e = start();
    if (e != want || !strstr(why, words)) {
        fail_msg("%s: %s; expected \"%s\"", qr_err_name(e), why, words);
    }
    assert_int_equal(closed, before + 1);
}

static void
test_evidence(void **state)
{
    static uint8_t wire[QR_EVIDENCE_MAX];
    static struct qr_verdict v;
    struct qr_verify_out out;
    struct qr_claims claims;
    struct qr_buf b = qr_buf_over(wire, sizeof wire);
    uint8_t binder[32], other[32] = {0};
    struct qr_verify_opts o = {.roots = fakensm_roots(), .now_ms = EVGEN_NOW_MS};
    char text[256];
    (void)state;

    opts.kms = NULL;
    must(start());
    assert_int_equal(tee.platform, QR_PLATFORM_NITRO);
    assert_int_equal(tee.insecure, 0);
    assert_string_equal(tee.profile->name, "nitro");
    memset(binder, 0x21, sizeof binder);
    must(tee.evidence(tee.ctx, binder, &b));
    assert_int_equal(qr_tee_verify(QR_PLATFORM_NITRO, qr_buf_view(&b), binder, &o, &v, &out,
                                   &claims, text, sizeof text),
                     QR_OK);
    assert_memory_equal(claims.measurement, tee.measurement, 32); /* what we say of ourselves */
    assert_int_equal(claims.debug, 0);
    assert_int_equal(qr_tee_verify(QR_PLATFORM_NITRO, qr_buf_view(&b), other, &o, &v, &out, &claims,
                                   text, sizeof text),
                     QR_ERR_ATTESTATION);
    o.roots = NULL;
    assert_int_equal(qr_tee_verify(QR_PLATFORM_NITRO, qr_buf_view(&b), binder, &o, &v, &out,
                                   &claims, text, sizeof text),
                     QR_ERR_ATTESTATION);
    /* No room, and a module that fails: an error with words. */
    struct qr_buf small = qr_buf_over(wire, 100);
    assert_int_equal(tee.evidence(tee.ctx, binder, &small), QR_ERR_NO_SPACE);
    fake.error = "InternalError";
    b.len = 0;
    assert_int_equal(tee.evidence(tee.ctx, binder, &b), QR_ERR_PLATFORM);
    assert_non_null(strstr(tee.why(tee.ctx), "InternalError"));
    assert_int_equal(b.len, 0);
}

static void
test_time_and_randomness(void **state)
{
    int64_t now = EVGEN_NOW_MS, a = 0, b = 0;
    uint8_t x[64], y[64];
    (void)state;

    opts.kms = NULL;
    fake.now_ms = &now;
    must(start());
    must(tee.time(tee.ctx, &a));
    assert_true(a >= EVGEN_NOW_MS && a < EVGEN_NOW_MS + 5000);
    unsigned documents = fake.documents;
    must(tee.time(tee.ctx, &b));
    assert_true(b >= a);
    assert_int_equal(fake.documents, documents); /* carried on by our own clock for a minute */
    tee.random(tee.ctx, x, sizeof x);
    tee.random(tee.ctx, y, sizeof y);
    assert_memory_not_equal(x, y, sizeof x);
    fake.error = "InternalError"; /* the system's generator stands in */
    memset(x, 0, sizeof x);
    memset(y, 0, sizeof y);
    tee.random(tee.ctx, x, sizeof x);
    assert_memory_not_equal(x, y, sizeof x);
}

static qr_err
reopen(uint32_t epoch, const char *ad, qr_view sealed, char *out, size_t cap, size_t *ret_len)
{
    struct qr_buf b = qr_buf_over(out, cap);
    qr_err e = tee.unseal(tee.ctx, epoch, qr_view_str(ad), sealed, &b);
    *ret_len = b.len;
    return e;
}

static void
test_seals_over_restarts(void **state)
{
    uint8_t blob[256];
    char out[64];
    size_t n = 0;
    struct qr_buf b = qr_buf_over(blob, sizeof blob);
    struct qr_sec32 k1 = {{0}}, k2 = {{0}}, k3 = {{0}};
    (void)state;

    must(start());
    assert_int_equal(mem.saves, 1);
    assert_int_equal(box.generated, 1);
    assert_int_equal(box.decrypted, 1); /* asked for once before anything depends on it */
    must(tee.seal(tee.ctx, 3, qr_view_str("ad"), qr_view_str("a share"), &b));
    must(tee.derive(tee.ctx, 3, "share", qr_view_str("x"), &k1));
    qr_tee_close(&tee);
    assert_int_equal(closed, 1);

    must(start());
    assert_int_equal(mem.saves, 1);
    assert_int_equal(box.generated, 1);
    must(reopen(3, "ad", qr_buf_view(&b), out, sizeof out, &n));
    assert_memory_equal(out, "a share", 7);
    must(tee.derive(tee.ctx, 3, "share", qr_view_str("x"), &k2));
    assert_memory_equal(k1.b, k2.b, 32);
    must(tee.derive(tee.ctx, 4, "share", qr_view_str("x"), &k3));
    assert_memory_not_equal(k1.b, k3.b, 32);
    assert_int_equal(reopen(4, "ad", qr_buf_view(&b), out, sizeof out, &n), QR_ERR_SEAL);
    assert_int_equal(reopen(3, "da", qr_buf_view(&b), out, sizeof out, &n), QR_ERR_SEAL);
    blob[b.len - 1] ^= 1;
    assert_int_equal(reopen(3, "ad", qr_buf_view(&b), out, sizeof out, &n), QR_ERR_SEAL);
    assert_true(strlen(tee.why(tee.ctx)) > 0);
    blob[b.len - 1] ^= 1;
    qr_tee_close(&tee);

    /* The host forgets the wrapping: another root, which opens nothing of the first. */
    mem.len = 0;
    must(start());
    assert_int_equal(box.generated, 2);
    assert_int_equal(reopen(3, "ad", qr_buf_view(&b), out, sizeof out, &n), QR_ERR_SEAL);
}

/* What the host keeps does not hold the local bytes in clear, and KMS's key alone is not the root. */
static void
test_wrapping(void **state)
{
    (void)state;
    must(start());
    assert_true(mem.len > 100 && mem.len < 512);
    assert_memory_equal(mem.v, "QRNK\x01", 5);
    qr_tee_close(&tee);
    /* The same KMS blob with other local bytes does not open: they are sealed to this blob. */
    struct memkeep first = mem;
    mem.len = 0;
    must(start());
    qr_tee_close(&tee);
    assert_int_equal(first.len, mem.len);
    memcpy(mem.v + mem.len - 77, first.v + first.len - 77, 77); /* seal.h: 32 bytes and 45 around */
    refused(QR_ERR_SEAL, "does not open with the key that KMS gave");
}

static void
test_kept_is_changed(void **state)
{
    struct memkeep good;
    (void)state;
    must(start());
    qr_tee_close(&tee);
    good = mem;

    for (size_t len = 1; len < good.len; len += 13) {
        mem.len = len;
        assert_int_equal(start(), QR_ERR_SEAL);
    }
    static const size_t at[] = {0, 4, 6, 20};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        mem = good;
        mem.v[at[i]] ^= 1;
        assert_int_equal(start(), QR_ERR_SEAL);
        assert_non_null(strstr(why, QR_NITRO_KEEP));
    }
    mem = good;
    mem.v[mem.len++] = 0;
    assert_int_equal(start(), QR_ERR_SEAL);
    mem = good;
    mem.v[mem.len - 1] ^= 1;
    refused(QR_ERR_SEAL, "does not open with the key that KMS gave");
    mem = good;
    mem.v[mem.len - 90] ^= 1; /* KMS's blob */
    refused(QR_ERR_SEAL, "InvalidCiphertextException");
    mem = good;
    cfg.name = "party-2";
    refused(QR_ERR_SEAL, "InvalidCiphertextException");
    cfg.name = "party-1";
    cfg.key = KMSBOX_OTHER_KEY;
    refused(QR_ERR_SEAL, "wrapped under another KMS key");
    cfg.key = KMSBOX_KEY;
    must(start());
}

static void
test_kms_faults(void **state)
{
    (void)state;
    kmsbox_set(&box, KMSBOX_OTHER_KEY_ID, 0);
    refused(QR_ERR_SEAL, "expected an answer of");
    assert_int_equal(mem.saves, 0);
    memset(box.pcr0, '0', 96);
    kmsbox_set(&box, KMSBOX_GOOD, 0);
    refused(QR_ERR_PLATFORM, "AccessDenied");
    assert_non_null(strstr(why, "PCR0 begins a0a0a0a0"));
    assert_int_equal(mem.saves, 0);
    qr_hex_encode(qr_view_of(fake.pcr[0], 48), box.pcr0);
    must(start());
    qr_tee_close(&tee);
    kmsbox_set(&box, KMSBOX_OTHER_DATA_KEY, 0);
    refused(QR_ERR_SEAL, "another key answered");
    kmsbox_set(&box, KMSBOX_OTHER_RECIPIENT, 0);
    refused(QR_ERR_SEAL, "made for another one");
    kmsbox_set(&box, KMSBOX_GOOD, 0);
    must(start());
}

static void
test_keep_faults(void **state)
{
    (void)state;
    mem.save_err = QR_ERR_STORE_FULL;
    refused(QR_ERR_STORE_FULL, "the keep says why");
    mem.load_err = QR_ERR_PERMISSIONS;
    refused(QR_ERR_PERMISSIONS, "the keep says why");
    opts.keep = NULL;
    refused(QR_ERR_CONFIG, "no place");
    opts.keep = &keep;
    cfg.name = "not a name";
    refused(QR_ERR_CONFIG, "KMS name");
}

static void
test_without_kms(void **state)
{
    uint8_t out[64];
    struct qr_buf b = qr_buf_over(out, sizeof out);
    struct qr_sec32 k;
    (void)state;
    opts.kms = NULL;
    must(start());
    assert_int_equal(tee.seal(tee.ctx, 0, (qr_view){0}, (qr_view){0}, &b), QR_ERR_PLATFORM);
    assert_int_equal(tee.unseal(tee.ctx, 0, (qr_view){0}, (qr_view){0}, &b), QR_ERR_PLATFORM);
    assert_int_equal(tee.derive(tee.ctx, 0, "x", (qr_view){0}, &k), QR_ERR_PLATFORM);
    assert_non_null(strstr(tee.why(tee.ctx), "no KMS key"));
}

static void
test_module_faults(void **state)
{
    (void)state;
    fake.error = "InternalError";
    refused(QR_ERR_PLATFORM, "DescribeNSM");
    fake.error = NULL;
    fake.fail_errno = EPERM;
    fake.fail_times = 100;
    refused(QR_ERR_PLATFORM, "denies");
    fake.fail_times = 0;
    fake.locked = 0xfffe;
    refused(QR_ERR_PLATFORM, "PCR 0 is not locked");
    fake.locked = 0xffff;
    for (unsigned i = 0; i < 3; i++) {
        memset(fake.pcr[i], 0, 48);
    }
    refused(QR_ERR_PLATFORM, "debug mode");
    assert_int_equal(box.requests, 0); /* nothing was asked for a debug enclave */
    fakensm_init(&fake);
    fake.dummy = 1; /* a module that signs nothing is no witness of the time */
    refused(QR_ERR_PLATFORM, "the module's document");
    assert_int_equal(box.requests, 0);
    opts.nsm = "/nonexistent/nsm";
    assert_int_equal(qr_tee_nitro_open(&opts, &tee, why, sizeof why), QR_ERR_PLATFORM);
    assert_non_null(strstr(why, "no Nitro enclave"));
}

static pthread_t starved;
static int fail_at;

/* The box's own allocations do not count. */
static int
may_allocate(size_t n)
{
    (void)n;
    return !pthread_equal(pthread_self(), starved) || fail_at-- != 0;
}

/* Memory that runs out at any point of a first start and of a later one: an error, and the device closed. */
static void
test_starvation(void **state)
{
    (void)state;
    starved = pthread_self();
    for (int later = 0; later < 2; later++) {
        int n = 0;
        for (;; n += n < 24 ? 1 : 7) { /* the first ones are all ours; then JSON's, alike */
            int before = closed;
            assert_true(n < 200);
            fail_at = n;
            qr_alloc_gate(may_allocate);
            qr_err e = start();
            int failed = fail_at < 0;
            qr_alloc_gate(NULL);
            if (e == QR_OK) {
                qr_tee_close(&tee);
            } else {
                assert_true(failed);
                assert_true(strlen(why) > 0);
            }
            assert_int_equal(closed, before + 1);
            if (e == QR_OK && !failed) {
                break;
            }
        }
        assert_true(n > 3);
    }
}

static int
once(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_evidence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_and_randomness, setup, teardown),
        cmocka_unit_test_setup_teardown(test_seals_over_restarts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrapping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kept_is_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kms_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keep_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_kms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_module_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_starvation, setup, teardown),
    };
    return cmocka_run_group_tests(tests, once, NULL);
}
