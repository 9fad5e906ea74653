/*
 * Reports through configfs-tsm, /dev/sev-guest and a helper process, over a kernel that fails in every
 * way it can; and boot logs.
 */
#include "enclave-shim/tsm/tsm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/tsm/bootlog.h"
#include "enclave-shim/tsm/door.h"
#include "enclave-shim/tsm/helper.h"
#include "enclave-shim/tsm/sevguest.h"
#include "protocol/base/hash.h"
#include "test/common/evgen_tpm.h"
#include "test/common/faketsm.h"
#include "test/common/tmpdir.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct faketsm k;
static struct qr_report r;
static char why[600];

static void
fill(uint8_t data[64], int with)
{
    memset(data, with, 64);
}

static int
is_over(const uint8_t data[64])
{
    return r.out_len == 96 && memcmp(r.out, "report over ", 12) == 0 &&
           memcmp(r.out + 12, data, 64) == 0 && r.aux_len == 12 &&
           memcmp(r.aux, "certificates", 12) == 0;
}

static qr_err
open_tsm(const char *entry, struct qr_report_src *s)
{
    const struct qr_tsm_opts o = {
        .root = FAKETSM_ROOT, .entry = entry, .provider = "sev_guest", .patience_ms = 1000};
    why[0] = '\0';
    return qr_tsm_open(&o, &k.sys, s, why, sizeof why);
}

/* ---- configfs-tsm -------------------------------------------------------------------------- */

static void
test_reports(void **state)
{
    struct qr_report_src s;
    uint8_t data[64];

    (void)state;
    faketsm_init(&k);
    assert_int_equal(open_tsm("", &s), QR_OK);
    assert_int_equal(k.n_entries, 1);
    for (int i = 1; i <= 5; i++) { /* one entry, many reports */
        fill(data, i);
        k.one_byte = i % 2 == 0;
        assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
        assert_true(is_over(data));
        assert_string_equal(s.why(s.ctx), "");
    }
    assert_int_equal(k.n_reports, 5);
    assert_int_equal(k.n_mkdir, 1);
    qr_report_close(&s);
    assert_int_equal(k.n_entries, 0);
    assert_int_equal(k.open_files, 0);
}

/* Who cannot make entries is given one; it is neither made nor removed. */
static void
test_prepared_entry(void **state)
{
    struct qr_report_src s;
    uint8_t data[64];

    (void)state;
    faketsm_init(&k);
    assert_int_equal(open_tsm("quorate", &s), QR_ERR_PLATFORM);
    assert_non_null(strstr(why, "/tsm/quorate/provider"));
    (void)snprintf(k.entry[0], sizeof k.entry[0], "quorate");
    faketsm_fail(&k, FAKETSM_MKDIR, "", -EPERM, -1);
    assert_int_equal(open_tsm("quorate", &s), QR_OK);
    fill(data, 7);
    assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
    assert_true(is_over(data));
    qr_report_close(&s);
    assert_int_equal(k.n_rmdir, 0);
    assert_int_equal(open_tsm("../etc", &s), QR_ERR_PLATFORM);
}

/* A crash leaves an entry; it is removed when its process is gone, and others are left alone. */
static void
test_sweep(void **state)
{
    struct qr_report_src s;
    char live[48];

    (void)state;
    faketsm_init(&k);
    k.dead_pid = 4711;
    (void)snprintf(k.entry[0], sizeof k.entry[0], "quorate-4711-0");
    (void)snprintf(k.entry[1], sizeof k.entry[1], "other-4711-0");
    (void)snprintf(live, sizeof live, "quorate-%ld-0", (long)getpid());
    (void)snprintf(k.entry[2], sizeof k.entry[2], "%s", live);
    assert_int_equal(open_tsm("", &s), QR_OK); /* and the next free name of ours is taken */
    assert_int_equal(k.n_rmdir, 1);
    assert_string_equal(k.entry[1], "other-4711-0");
    assert_string_equal(k.entry[2], live);
    (void)snprintf(live, sizeof live, "quorate-%ld-1", (long)getpid());
    assert_string_equal(k.entry[0], live);
    qr_report_close(&s);
    assert_int_equal(k.n_rmdir, 2);
}

static void
test_open_refused(void **state)
{
    static const struct {
        long e;
        qr_err want;
        const char *says;
    } c[] = {
        {-ENOENT, QR_ERR_NOT_FOUND, "older than 6.7"},
        {-ENXIO, QR_ERR_PLATFORM, "sev-guest or tdx-guest"},
        {-EPERM, QR_ERR_PERMISSIONS, "tsm_entry"},
        {-EACCES, QR_ERR_PERMISSIONS, "tsm_entry"},
        {-EBUSY, QR_ERR_PLATFORM, "busy"},
        {-EAGAIN, QR_ERR_PLATFORM, "unavailable"},
        {-ENOMEM, QR_ERR_PLATFORM, "mkdir"},
    };
    struct qr_report_src s;

    (void)state;
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
        faketsm_init(&k);
        faketsm_fail(&k, FAKETSM_MKDIR, "", c[i].e, -1);
        assert_int_equal(open_tsm("", &s), c[i].want);
        assert_non_null(strstr(why, c[i].says));
        assert_non_null(strstr(why, FAKETSM_ROOT));
    }
    faketsm_init(&k); /* what passes is waited for */
    faketsm_fail(&k, FAKETSM_MKDIR, "", -EBUSY, 3);
    assert_int_equal(open_tsm("", &s), QR_OK);
    assert_int_equal(k.sleeps, 3);
    qr_report_close(&s);

    faketsm_init(&k);
    k.provider = "tdx_guest"; /* another machine */
    assert_int_equal(open_tsm("", &s), QR_ERR_PLATFORM);
    assert_non_null(strstr(why, "come from tdx_guest, this platform's from sev_guest"));
    assert_int_equal(k.n_entries, 0);
    k.provider_text = "sev guest";
    assert_int_equal(open_tsm("", &s), QR_ERR_PLATFORM);
    assert_non_null(strstr(why, "provider"));
    k.provider_text = "a-very-long-provider-name-that-no-kernel-has";
    assert_int_equal(open_tsm("", &s), QR_ERR_PLATFORM);
    k.provider_text = NULL;
    k.provider = "sev_guest";
    faketsm_fail(&k, FAKETSM_OPEN, "/provider", -EACCES, -1);
    assert_int_equal(open_tsm("", &s), QR_ERR_PERMISSIONS);
    assert_int_equal(k.n_entries, 0);
    assert_int_equal(k.open_files, 0);
}

static void
test_privilege_level(void **state)
{
    struct qr_report_src s;
    uint8_t data[64];

    (void)state;
    for (int floor = -1; floor <= 2; floor++) {
        faketsm_init(&k);
        k.privlevel_floor = floor;
        k.privlevel = 9;
        assert_int_equal(open_tsm("", &s), QR_OK);
        assert_int_equal(k.privlevel, floor > 0 ? floor : 9);
        fill(data, floor);
        assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
        assert_true(is_over(data));
        qr_report_close(&s);
    }
}

/* What passes: each file's each call fails twice, and the report is good all the same. */
static void
test_passing_errors(void **state)
{
    static const struct {
        enum faketsm_call call;
        const char *file;
    } at[] = {
        {FAKETSM_OPEN, "/inblob"},     {FAKETSM_OPEN, "/outblob"}, {FAKETSM_OPEN, "/auxblob"},
        {FAKETSM_OPEN, "/generation"}, {FAKETSM_READ, "outblob"},  {FAKETSM_READ, "auxblob"},
        {FAKETSM_READ, "generation"},  {FAKETSM_WRITE, "inblob"},
    };
    static const long e[] = {-EBUSY, -EAGAIN, -EINTR, -ETIMEDOUT};
    struct qr_report_src s;
    uint8_t data[64];

    (void)state;
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        for (size_t n = 0; n < sizeof e / sizeof e[0]; n++) {
            faketsm_init(&k);
            assert_int_equal(open_tsm("", &s), QR_OK);
            faketsm_fail(&k, at[i].call, at[i].file, e[n], 2);
            fill(data, (int)(i + 16 * n));
            assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
            assert_true(is_over(data));
            qr_report_close(&s);
            assert_int_equal(k.open_files, 0);
        }
    }
}

/* What does not pass is told at once, what does not end after the patience; the file and cause are named. */
static void
test_lasting_errors(void **state)
{
    static const struct {
        enum faketsm_call call;
        const char *file;
        long e;
        int waits;
        qr_err want;
        const char *says;
    } c[] = {
        {FAKETSM_OPEN, "/inblob", -EACCES, 0, QR_ERR_PERMISSIONS, "give this user"},
        {FAKETSM_OPEN, "/inblob", -ENOENT, 0, QR_ERR_PLATFORM, "restart the party"},
        {FAKETSM_WRITE, "inblob", -EINVAL, 0, QR_ERR_PLATFORM, "inblob: write"},
        {FAKETSM_WRITE, "inblob", 63, 0, QR_ERR_PLATFORM, "inblob"},
        {FAKETSM_WRITE, "inblob", -EBUSY, 1, QR_ERR_PLATFORM, "another process"},
        {FAKETSM_CLOSE, "inblob", -EIO, 0, QR_ERR_PLATFORM, "inblob"},
        {FAKETSM_READ, "outblob", -EIO, 0, QR_ERR_PLATFORM, "kernel's log"},
        {FAKETSM_READ, "outblob", -EINVAL, 0, QR_ERR_PLATFORM, "outblob"},
        {FAKETSM_READ, "outblob", -EAGAIN, 1, QR_ERR_PLATFORM, "throttled"},
        {FAKETSM_READ, "outblob", -ETIMEDOUT, 1, QR_ERR_PLATFORM, "quoting service"},
        {FAKETSM_READ, "outblob", 0, 1, QR_ERR_PLATFORM, "empty"},
        {FAKETSM_READ, "auxblob", -EIO, 0, QR_ERR_PLATFORM, "auxblob"},
        {FAKETSM_READ, "generation", -EIO, 0, QR_ERR_PLATFORM, "generation"},
    };
    struct qr_report_src s;
    uint8_t data[64];

    (void)state;
    fill(data, 1);
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
        faketsm_init(&k);
        assert_int_equal(open_tsm("", &s), QR_OK);
        faketsm_fail(&k, c[i].call, c[i].file, c[i].e, -1);
        uint64_t from = k.now_ms;
        assert_int_equal(s.get(s.ctx, data, &r), c[i].want);
        assert_non_null(strstr(s.why(s.ctx), c[i].says));
        assert_non_null(strstr(s.why(s.ctx), FAKETSM_ROOT "/quorate-"));
        if (c[i].waits) {
            assert_in_range(k.now_ms - from, 500, 1000);
            assert_non_null(strstr(s.why(s.ctx), "tried for 1000 ms"));
        } else {
            assert_int_equal(k.now_ms, from);
        }
        k.n_faults = 0; /* it recovers by itself */
        assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
        assert_true(is_over(data));
        qr_report_close(&s);
        assert_int_equal(k.open_files, 0);
    }
}

/* No auxblob at all is no error. */
static void
test_no_certificates(void **state)
{
    static const long e[] = {-ENOENT, -ENODATA};
    struct qr_report_src s;
    uint8_t data[64];

    (void)state;
    fill(data, 2);
    for (size_t i = 0; i < 2; i++) {
        faketsm_init(&k);
        assert_int_equal(open_tsm("", &s), QR_OK);
        faketsm_fail(&k, FAKETSM_OPEN, "/auxblob", e[i], -1);
        assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
        assert_int_equal(r.aux_len, 0);
        qr_report_close(&s);
    }
}

/* A report over other bytes is never taken for ours. */
static void
test_generation(void **state)
{
    struct qr_report_src s;
    uint8_t data[64];

    (void)state;
    fill(data, 3);
    faketsm_init(&k);
    assert_int_equal(open_tsm("", &s), QR_OK);
    k.moves_after_write = 2;
    k.moves_after_read = 1;
    k.ignores_writes = 1;
    assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
    assert_true(is_over(data));
    assert_in_range(k.sleeps, 3, 4);
    k.moves_after_write = -1;
    assert_int_equal(s.get(s.ctx, data, &r), QR_ERR_PLATFORM);
    assert_non_null(strstr(s.why(s.ctx), "another process uses this entry"));
    k.moves_after_write = 0;
    k.moves_after_read = -1;
    assert_int_equal(s.get(s.ctx, data, &r), QR_ERR_PLATFORM);
    assert_non_null(strstr(s.why(s.ctx), "after reading"));
    k.moves_after_read = 0;
    k.ignores_writes = -1;
    assert_int_equal(s.get(s.ctx, data, &r), QR_ERR_PLATFORM);
    assert_non_null(strstr(s.why(s.ctx), "the kernel did not take ours"));
    k.ignores_writes = 0;
    static const char *const garbage[] = {"",
                                          "\n",
                                          "-1\n",
                                          "12a\n",
                                          "4294967296\n",
                                          "1 2\n",
                                          "000000000000000000000000000000000000000001\n"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        k.generation_text = garbage[i];
        assert_int_equal(s.get(s.ctx, data, &r), QR_ERR_PLATFORM);
        assert_non_null(strstr(s.why(s.ctx), "not what configfs-tsm says there"));
    }
    k.generation_text = NULL;
    k.generation = UINT32_MAX; /* the counter has 32 bits and turns over */
    k.generation_text = NULL;
    assert_int_equal(s.get(s.ctx, data, &r), QR_ERR_PLATFORM); /* 2^32 is no generation */
    k.generation = 5;
    assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
    qr_report_close(&s);
}

static size_t
too_long(void *ctx, const uint8_t data[64], uint8_t *out, uint8_t *aux, size_t *aux_len)
{
    (void)data;
    memset(out, 1, QR_REPORT_OUT_MAX + 1);
    memset(aux, 1, QR_REPORT_AUX_MAX + 1);
    *aux_len = QR_REPORT_AUX_MAX + 1;
    return ctx ? 96 : QR_REPORT_OUT_MAX + 1;
}

static void
test_too_long(void **state)
{
    struct qr_report_src s;
    uint8_t data[64] = {0};

    (void)state;
    faketsm_init(&k);
    k.make = too_long;
    assert_int_equal(open_tsm("", &s), QR_OK);
    assert_int_equal(s.get(s.ctx, data, &r), QR_ERR_PLATFORM);
    assert_non_null(strstr(s.why(s.ctx), "outblob"));
    k.make_ctx = &k;
    assert_int_equal(s.get(s.ctx, data, &r), QR_ERR_PLATFORM);
    assert_non_null(strstr(s.why(s.ctx), "auxblob"));
    qr_report_close(&s);
}

/* ---- /dev/sev-guest ------------------------------------------------------------------------ */

static qr_err
open_sev(struct qr_report_src *s)
{
    why[0] = '\0';
    return qr_sevguest_open(FAKETSM_SEV, 1000, &k.sys, s, why, sizeof why);
}

/* The table's length is not told: it has whole pages. */
static int
sev_is_over(const uint8_t data[64])
{
    return r.out_len == 96 && memcmp(r.out + 12, data, 64) == 0 && r.aux_len % 4096 == 0 &&
           r.aux_len > 0 && memcmp(r.aux, "certificates", 12) == 0;
}

static void
test_sevguest(void **state)
{
    struct qr_report_src s;
    uint8_t data[64];

    (void)state;
    faketsm_init(&k);
    assert_int_equal(open_sev(&s), QR_OK);
    assert_true(s.fd >= 0);
    for (int i = 0; i < 3; i++) {
        fill(data, i);
        assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
        assert_true(sev_is_over(data));
    }
    assert_int_equal(k.ioctls, 3);
    faketsm_fail(&k, FAKETSM_IOCTL, "", -EAGAIN, 4); /* throttled for a while */
    assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
    assert_int_equal(k.sleeps, 4);
    k.certs_needed = 20000; /* the table has grown: asked once more, and remembered */
    k.ioctls = 0;
    assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
    assert_int_equal(r.aux_len, 20480);
    assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
    assert_int_equal(k.ioctls, 3);
    qr_report_close(&s);
    assert_int_equal(k.open_files, 0);

    faketsm_init(&k);
    k.no_ext = 1; /* a kernel or host without a table */
    assert_int_equal(open_sev(&s), QR_OK);
    assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
    assert_int_equal(r.aux_len, 0);
    assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
    assert_int_equal(k.ioctls, 3);
    qr_report_close(&s);
}

static void
test_sevguest_refused(void **state)
{
    static const struct {
        long e;
        qr_err want;
        const char *says;
    } c[] = {
        {-EAGAIN, QR_ERR_PLATFORM, "throttles"}, {-EACCES, QR_ERR_PERMISSIONS, "give this user"},
        {-EIO, QR_ERR_PLATFORM, "host 0x2"},     {-ENODEV, QR_ERR_PLATFORM, "restart the machine"},
        {-EINVAL, QR_ERR_PLATFORM, "/sev"},
    };
    struct qr_report_src s;
    uint8_t data[64] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++) {
        faketsm_init(&k);
        k.exitinfo2 = UINT64_C(0x200000016);
        assert_int_equal(open_sev(&s), QR_OK);
        faketsm_fail(&k, FAKETSM_IOCTL, "", c[i].e, -1);
        assert_int_equal(s.get(s.ctx, data, &r), c[i].want);
        assert_non_null(strstr(s.why(s.ctx), c[i].says));
        assert_non_null(strstr(s.why(s.ctx), "firmware 0x16"));
        qr_report_close(&s);
    }
    static const struct {
        uint32_t status, size, needed;
        const char *says;
    } bad[] = {
        {0x16, 0, 0, "status 0x16"},
        {0, 3969, 0, "3969 bytes"},
        {0, UINT32_MAX, 0, "bytes, expected"},
        {0, 0, QR_REPORT_AUX_MAX + 1, "at most 65536"},
        {0, 0, UINT32_MAX, "at most 65536"},
        {0, 0, 1, "certificate table needs 1 bytes"}, /* ENOSPC, and asks for less than it got */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        faketsm_init(&k);
        assert_int_equal(open_sev(&s), QR_OK);
        k.sev_status = bad[i].status;
        k.sev_size = bad[i].size;
        k.certs_needed = bad[i].needed;
        assert_int_equal(s.get(s.ctx, data, &r), QR_ERR_PLATFORM);
        assert_non_null(strstr(s.why(s.ctx), bad[i].says));
        qr_report_close(&s);
    }
    static const struct {
        long e;
        qr_err want;
        const char *says;
    } open_e[] = {{-ENOENT, QR_ERR_NOT_FOUND, "sev-guest"},
                  {-EACCES, QR_ERR_PERMISSIONS, "udev"},
                  {-EBUSY, QR_ERR_PLATFORM, "busy"},
                  {-ENXIO, QR_ERR_PLATFORM, "/sev"}};
    for (size_t i = 0; i < sizeof open_e / sizeof open_e[0]; i++) {
        faketsm_init(&k);
        faketsm_fail(&k, FAKETSM_OPEN, "", open_e[i].e, -1);
        assert_int_equal(open_sev(&s), open_e[i].want);
        assert_non_null(strstr(why, open_e[i].says));
    }
    assert_int_equal(k.open_files, 0);
}

/* ---- doors --------------------------------------------------------------------------------- */

static void
test_doors(void **state)
{
    const struct qr_tee_opts o = {.tsm = FAKETSM_ROOT, .sev_guest = FAKETSM_SEV, .patience_ms = 50};
    struct qr_report_src s;

    (void)state;
    faketsm_init(&k);
    assert_int_equal(qr_report_open_over(&o, QR_DOOR_SNP, &k.sys, &s, why, sizeof why), QR_OK);
    assert_int_equal(s.fd, -1); /* configfs-tsm comes first */
    qr_report_close(&s);
    assert_int_equal(qr_report_open_over(&o, QR_DOOR_TDX, &k.sys, &s, why, sizeof why),
                     QR_ERR_PLATFORM);
    assert_int_equal(qr_report_open_over(&o, QR_DOOR_EITHER, &k.sys, &s, why, sizeof why), QR_OK);
    qr_report_close(&s);
    k.no_root = 1;
    assert_int_equal(qr_report_open_over(&o, QR_DOOR_SNP, &k.sys, &s, why, sizeof why), QR_OK);
    assert_true(s.fd >= 0);
    qr_report_close(&s);
    faketsm_fail(&k, FAKETSM_OPEN, "", -ENOENT, -1);
    assert_int_equal(qr_report_open_over(&o, QR_DOOR_SNP, &k.sys, &s, why, sizeof why),
                     QR_ERR_PLATFORM);
    assert_non_null(strstr(why, "no configfs-tsm"));
    assert_non_null(strstr(why, FAKETSM_SEV));
    assert_int_equal(qr_report_open_over(&o, QR_DOOR_TDX, &k.sys, &s, why, sizeof why),
                     QR_ERR_PLATFORM);
    /* A provider that refuses us is no reason to try another door. */
    faketsm_init(&k);
    k.provider = "tdx_guest";
    assert_int_equal(qr_report_open_over(&o, QR_DOOR_SNP, &k.sys, &s, why, sizeof why),
                     QR_ERR_PLATFORM);
    /* The probe is nobody's binder: a binder is followed by zeros. */
    uint8_t probe[64], zero[32] = {0};
    qr_report_probe(probe);
    assert_memory_not_equal(probe + 32, zero, 32);
}

/* ---- the helper ---------------------------------------------------------------------------- */

static char farewell[100]; /* a folder that the child removes when it frees its source */

enum trick { TRICK_NONE, TRICK_FAIL_OPEN, TRICK_DIE, TRICK_SLOW };
static enum trick trick;
static int told[2]; /* descriptors that the child must not have */

static qr_err
child_get(void *ctx, const uint8_t data[64], struct qr_report *out)
{
    (void)ctx;
    if (trick == TRICK_DIE) {
        _exit(3);
    }
    if (trick == TRICK_SLOW && data[0] == 1) {
        (void)poll(NULL, 0, 60);
    }
    if (data[0] == 9) {
        return QR_ERR_PERMISSIONS;
    }
    memset(out->out, data[0], 100);
    memset(out->aux, data[0], QR_REPORT_AUX_MAX);
    out->out_len = 100;
    out->aux_len = QR_REPORT_AUX_MAX;
    return QR_OK;
}

static const char *
child_why(void *ctx)
{
    (void)ctx;
    return "the child says no";
}

static void
child_free(void *ctx)
{
    (void)ctx;
    if (farewell[0]) {
        (void)rmdir(farewell); /* as an entry is removed; the child may make no files */
    }
}

static qr_err
child_open(void *ctx, struct qr_report_src *ret, char *err_text, size_t err_cap)
{
    (void)ctx;
    if (trick == TRICK_FAIL_OPEN) {
        (void)snprintf(err_text, err_cap, "no device at all");
        return QR_ERR_NOT_FOUND;
    }
    /* Nothing of the parent's is open but the standard streams and the pair. */
    struct stat st;
    if (told[0] > 3 && fstat(told[0], &st) == 0) {
        (void)snprintf(err_text, err_cap, "descriptor %d is open", told[0]);
        return QR_ERR_INTERNAL;
    }
    *ret = (struct qr_report_src){NULL, child_get, child_why, child_free, -1};
    return QR_OK;
}

static const struct qr_helper_open how = {NULL, child_open};

static void
test_helper(void **state)
{
    struct qr_report_src s;
    uint8_t data[64];

    (void)state;
    int spare = open("/dev/null", O_RDONLY | O_CLOEXEC); /* 3 is the child's end */
    assert_int_equal(pipe(told), 0);
    struct tmpdir dir;
    tmpdir_new(&dir);
    (void)snprintf(farewell, sizeof farewell, "%s/entry", dir.path);
    assert_int_equal(mkdir(farewell, 0700), 0);
    trick = TRICK_NONE;
    assert_int_equal(qr_helper_start(&how, 1000, &s, why, sizeof why), QR_OK);
    for (int i = 1; i < 4; i++) {
        fill(data, i);
        assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
        assert_int_equal(r.out_len, 100);
        assert_int_equal(r.out[99], i);
        assert_int_equal(r.aux_len, QR_REPORT_AUX_MAX);
        assert_int_equal(r.aux[QR_REPORT_AUX_MAX - 1], i);
    }
    fill(data, 9);
    assert_int_equal(s.get(s.ctx, data, &r), QR_ERR_PERMISSIONS);
    assert_string_equal(s.why(s.ctx), "the child says no");
    fill(data, 5);
    assert_int_equal(s.get(s.ctx, data, &r), QR_OK);
    assert_int_equal(access(farewell, F_OK), 0);
    qr_report_close(&s); /* the child hears of it, and frees what it has */
    for (int i = 0; i < 2000 && access(farewell, F_OK) == 0; i++) {
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(access(farewell, F_OK), -1);
    farewell[0] = '\0';
    tmpdir_remove(&dir);
    trick = TRICK_FAIL_OPEN;
    assert_int_equal(qr_helper_start(&how, 1000, &s, why, sizeof why), QR_ERR_NOT_FOUND);
    assert_string_equal(why, "no device at all");
    (void)close(told[0]);
    (void)close(told[1]);
    (void)close(spare);
    told[0] = -1;
}

static void
test_helper_gone(void **state)
{
    struct qr_report_src s;
    uint8_t data[64];

    (void)state;
    trick = TRICK_DIE;
    assert_int_equal(qr_helper_start(&how, 1000, &s, why, sizeof why), QR_OK);
    fill(data, 1);
    for (int i = 0; i < 2; i++) { /* and it stays so */
        assert_int_equal(s.get(s.ctx, data, &r), QR_ERR_PLATFORM);
        assert_non_null(strstr(s.why(s.ctx), "restart the party"));
    }
    qr_report_close(&s);
}

/* An answer that comes too late is not taken for the next question's. */
static void
test_helper_late(void **state)
{
    struct qr_report_src s;
    uint8_t data[64];

    (void)state;
    trick = TRICK_SLOW;
    assert_int_equal(qr_helper_start(&how, 30, &s, why, sizeof why), QR_OK);
    fill(data, 1);
    assert_int_equal(s.get(s.ctx, data, &r), QR_ERR_PLATFORM);
    assert_non_null(strstr(s.why(s.ctx), "did not answer within 30 ms"));
    fill(data, 2);
    qr_err e = QR_ERR_PLATFORM;
    for (int i = 0; i < 100 && e != QR_OK; i++) {
        e = s.get(s.ctx, data, &r);
        assert_true(e == QR_OK || strstr(s.why(s.ctx), "did not answer"));
    }
    assert_int_equal(e, QR_OK);
    assert_int_equal(r.out[0], 2);
    qr_report_close(&s);
}

/* ---- boot logs ----------------------------------------------------------------------------- */

static void
write_file(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void
test_bootlog(void **state)
{
    static uint8_t area[200000];
    static const enum qr_hash_alg alg[] = {QR_SHA384};
    struct tmpdir dir;
    struct evlog l;
    struct qr_dbuf out;
    char path[300];

    (void)state;
    tmpdir_new(&dir);
    qr_dbuf_init(&out, QR_BOOTLOG_AREA_MAX);
    (void)snprintf(path, sizeof path, "%s/log", dir.path);
    assert_int_equal(qr_bootlog_read(QR_BOOTLOG_OF_CC, path, &qr_sys_kernel, &out, why, sizeof why),
                     QR_OK);
    assert_int_equal(out.len, 0); /* there is none */

    evlog_open(&l, area, sizeof area, 1, alg, 1);
    evlog_boot(&l);
    memset(area + l.b.len, 0xff, sizeof area - l.b.len); /* the area is longer than the log */
    write_file(path, area, sizeof area);
    assert_int_equal(qr_bootlog_read(QR_BOOTLOG_OF_CC, path, &qr_sys_kernel, &out, why, sizeof why),
                     QR_OK);
    assert_int_equal(out.len, l.b.len);
    assert_memory_equal(out.p, area, out.len);

    area[l.b.len] = 0x12; /* neither an event nor padding */
    write_file(path, area, sizeof area);
    assert_int_equal(qr_bootlog_read(QR_BOOTLOG_OF_CC, path, &qr_sys_kernel, &out, why, sizeof why),
                     QR_ERR_PLATFORM);
    assert_int_equal(out.len, 0);
    assert_non_null(strstr(why, "event log"));
    write_file(path, "not a log", 9);
    assert_int_equal(
        qr_bootlog_read(QR_BOOTLOG_OF_TPM, path, &qr_sys_kernel, &out, why, sizeof why),
        QR_ERR_PLATFORM);
    assert_int_equal(
        qr_bootlog_read(QR_BOOTLOG_OF_TPM, dir.path, &qr_sys_kernel, &out, why, sizeof why),
        QR_ERR_PLATFORM); /* a folder */
    qr_dbuf_free(&out);
    tmpdir_remove(&dir);
}

static int
setup(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reports),         cmocka_unit_test(test_prepared_entry),
        cmocka_unit_test(test_sweep),           cmocka_unit_test(test_open_refused),
        cmocka_unit_test(test_privilege_level), cmocka_unit_test(test_passing_errors),
        cmocka_unit_test(test_lasting_errors),  cmocka_unit_test(test_no_certificates),
        cmocka_unit_test(test_generation),      cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_sevguest),        cmocka_unit_test(test_sevguest_refused),
        cmocka_unit_test(test_doors),           cmocka_unit_test(test_helper),
        cmocka_unit_test(test_helper_gone),     cmocka_unit_test(test_helper_late),
        cmocka_unit_test(test_bootlog),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
