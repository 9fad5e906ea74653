/*
 * The suite of test/common/teeconform.h over the software TEE, the template, and back ends of hardware
 * whose devices are played; and what only they do.
 */
#include "test/common/teeconform.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/snp/snp.h"
#include "enclave-shim/tdx/tdx.h"
#include "enclave-shim/template/template.h"
#include "enclave-shim/tsm/door.h"
#include "enclave-shim/tsm/sevguest.h"
#include "protocol/base/hash.h"
#include "test/common/evgen_ca.h"
#include "test/common/fakehw.h"
#include "test/common/tmpdir.h"

#include <errno.h>
#include <stdio.h>

static struct tmpdir dir[2];
static struct memkeep kept[2];
static struct qr_tee_keep keep[2];
static struct faketsm k;
static struct qr_roots roots;
static char why[700];

static int
setup(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        tmpdir_new(&dir[i]);
        kept[i] = (struct memkeep){0};
        memkeep_table(&kept[i], &keep[i]);
    }
    return qr_hash_init() == QR_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    tmpdir_remove(&dir[0]);
    tmpdir_remove(&dir[1]);
    return 0;
}

/* ---- software ---- */

static qr_err
open_sim(void *ctx, int machine, struct qr_tee *ret, char *err_text, size_t err_cap)
{
    const struct qr_tee_opts o = {.platform = "sim", .state_dir = dir[machine].path};
    (void)ctx;
    return qr_tee_open(&o, ret, err_text, err_cap);
}

static void
test_sim(void **state)
{
    (void)state;
    const struct teeconform c = {.name = "sim", .open = open_sim, .survives = 1};
    teeconform_run(&c);
}

static qr_err
open_template(void *ctx, int machine, struct qr_tee *ret, char *err_text, size_t err_cap)
{
    const struct qr_tee_opts o = {
        .state_dir = dir[machine].path, .keep = &keep[machine], .patience_ms = 40};
    (void)ctx;
    return qr_tee_template_open(&o, ret, err_text, err_cap);
}

static int
trouble_template(void *ctx, size_t i, struct teeconform_trouble *ret)
{
    static const struct {
        int times, lasting;
        struct teeconform_trouble x;
    } of[] = {{2, 0, {0, NULL}}, {100, 0, {1, "busy"}}, {1, 1, {1, "refused"}}};
    (void)ctx;
    if (i >= sizeof of / sizeof of[0]) {
        return 0;
    }
    qr_tee_template_trouble(of[i].times, of[i].lasting);
    *ret = of[i].x;
    return 1;
}

static void
calm_template(void *ctx)
{
    (void)ctx;
    qr_tee_template_trouble(0, 0);
}

static void
test_template(void **state)
{
    struct qr_tee t;

    (void)state;
    const struct teeconform c = {.name = "template",
                                 .open = open_template,
                                 .survives = 1,
                                 .trouble = trouble_template,
                                 .calm = calm_template};
    teeconform_run(&c);
    /* What was kept and is another's is told, and stays as it is. */
    struct memkeep before = kept[0];
    struct qr_tee_opts o = {.state_dir = dir[1].path, .keep = &keep[0]};
    assert_int_equal(qr_tee_template_open(&o, &t, why, sizeof why), QR_ERR_SEAL);
    assert_non_null(strstr(why, "another machine"));
    assert_memory_equal(&before, &kept[0], sizeof before);
    kept[0].item[0].v[20] ^= 1;
    assert_int_equal(open_template(NULL, 0, &t, why, sizeof why), QR_ERR_SEAL);
    kept[0] = (struct memkeep){.fail_save = QR_ERR_STORE_READONLY};
    assert_int_equal(open_template(NULL, 0, &t, why, sizeof why), QR_ERR_STORE_READONLY);
    assert_non_null(strstr(why, "read-only today"));
}

/* ---- hardware over a fake kernel ---- */

struct hw {
    enum qr_door door;
    void (*cpu)(struct faketsm *k);
    qr_err (*over)(const struct qr_tee_opts *o, struct qr_report_src *src, struct qr_tee *ret,
                   char *err_text, size_t err_cap);
    int sev; /* no configfs-tsm */
};

static qr_err
open_hw(void *ctx, int machine, struct qr_tee *ret, char *err_text, size_t err_cap)
{
    const struct hw *h = ctx;
    const struct qr_tee_opts o = {
        .tsm = FAKETSM_ROOT, .sev_guest = FAKETSM_SEV, .patience_ms = 500, .cc_log = ""};
    struct qr_report_src src = {.fd = -1};

    (void)machine;
    k.no_root = h->sev;
    QR_TRY(qr_report_open_over(&o, h->door, &k.sys, &src, err_text, err_cap));
    return h->over(&o, &src, ret, err_text, err_cap);
}

static int
trouble_hw(void *ctx, size_t i, struct teeconform_trouble *ret)
{
    static const struct {
        enum faketsm_call call;
        const char *file;
        long e;
        int times;
        struct teeconform_trouble x;
    } of[] = {
        {FAKETSM_READ, "outblob", -EAGAIN, 3, {0, NULL}},
        {FAKETSM_READ, "outblob", -EBUSY, -1, {1, "busy"}},
        {FAKETSM_READ, "outblob", -EIO, -1, {1, "outblob"}},
        {FAKETSM_OPEN, "/inblob", -EACCES, -1, {1, "give this user"}},
        {FAKETSM_READ, "outblob", 0, -1, {1, "empty"}},
    };
    const struct hw *h = ctx;
    if (h->sev) {
        static const struct teeconform_trouble throttled = {1, "throttles"};
        *ret = throttled;
        if (i == 0) {
            faketsm_fail(&k, FAKETSM_IOCTL, "", -EAGAIN, -1);
        }
        return i == 0;
    }
    if (i < sizeof of / sizeof of[0]) {
        faketsm_fail(&k, of[i].call, of[i].file, of[i].e, of[i].times);
        *ret = of[i].x;
        return 1;
    }
    k.moves_after_write = i == 5 ? -1 : 0;
    k.moves_after_read = i == 6 ? 2 : 0;
    *ret = i == 5 ? (struct teeconform_trouble){1, "generation"} : (struct teeconform_trouble){0};
    return i < 7;
}

static void
calm_hw(void *ctx)
{
    (void)ctx;
    k.n_faults = 0;
    k.moves_after_write = k.moves_after_read = 0;
}

static qr_err
deliver_amd(void *ctx, struct qr_tee *t)
{
    (void)ctx;
    return fakehw_amd(t);
}

static qr_err
deliver_intel(void *ctx, struct qr_tee *t)
{
    (void)ctx;
    return fakehw_intel(t);
}

static void
run_hw(const char *name, struct hw *h, qr_err (*deliver)(void *ctx, struct qr_tee *t))
{
    faketsm_init(&k);
    h->cpu(&k);
    roots = (struct qr_roots){0};
    fakehw_roots(&roots);
    const struct teeconform c = {.name = name,
                                 .ctx = h,
                                 .open = open_hw,
                                 .roots = &roots,
                                 .now_ms = EVGEN_NOW_MS,
                                 .deliver = deliver,
                                 .trouble = trouble_hw,
                                 .calm = calm_hw};
    teeconform_run(&c);
    assert_int_equal(k.n_entries, 0);
    assert_int_equal(k.open_files, 0);
}

static void
test_snp(void **state)
{
    struct hw h = {QR_DOOR_SNP, fakehw_snp, qr_tee_snp_over, 0};

    (void)state;
    run_hw("snp", &h, NULL); /* the host's table will do */
    run_hw("snp", &h, deliver_amd);
}

static void
test_snp_without_tsm(void **state)
{
    struct hw h = {QR_DOOR_SNP, fakehw_snp, qr_tee_snp_over, 1};

    (void)state;
    run_hw("snp", &h, deliver_amd);
}

static void
test_tdx(void **state)
{
    struct hw h = {QR_DOOR_TDX, fakehw_tdx, qr_tee_tdx_over, 0};

    (void)state;
    run_hw("tdx", &h, deliver_intel);
}

/* ---- what the kernel gives that is no report of ours ---- */

static size_t
stale(void *ctx, const uint8_t data[64], uint8_t *out, uint8_t *aux, size_t *aux_len)
{
    static const uint8_t others[64] = {1};
    size_t (*make)(const uint8_t data[64], uint8_t *out) =
        ctx == &k ? fakehw_td_quote : fakehw_snp_report;
    (void)data;
    (void)aux;
    *aux_len = 0;
    return make(others, out);
}

static size_t
garbage(void *ctx, const uint8_t data[64], uint8_t *out, uint8_t *aux, size_t *aux_len)
{
    (void)data;
    memset(out, 0xa5, 2000);
    memset(aux, 0xa5, 100);
    *aux_len = 100;
    return ctx ? 1184 : 2000;
}

static size_t
bad_table(void *ctx, const uint8_t data[64], uint8_t *out, uint8_t *aux, size_t *aux_len)
{
    (void)ctx;
    memset(aux, 0xa5, 100);
    *aux_len = 100;
    return fakehw_snp_report(data, out);
}

static void
test_not_a_report(void **state)
{
    struct hw snp = {QR_DOOR_SNP, fakehw_snp, qr_tee_snp_over, 0};
    struct hw tdx = {QR_DOOR_TDX, fakehw_tdx, qr_tee_tdx_over, 0};
    static const struct {
        int tdx, has_ctx;
        size_t (*make)(void *ctx, const uint8_t data[64], uint8_t *out, uint8_t *aux,
                       size_t *aux_len);
        const char *says;
    } of[] = {
        {0, 0, stale, "over other bytes"},     {1, 1, stale, "over other bytes"},
        {0, 0, garbage, "processor's report"}, {0, 1, garbage, "processor's report"},
        {1, 0, garbage, "TD quote"},           {0, 0, bad_table, "certificate table"},
    };
    struct qr_tee t = {0};

    (void)state;
    for (size_t i = 0; i < sizeof of / sizeof of[0]; i++) {
        struct hw *h = of[i].tdx ? &tdx : &snp;
        uint8_t mem[8192], binder[32] = {1};
        struct qr_buf b = qr_buf_over(mem, sizeof mem);
        faketsm_init(&k);
        h->cpu(&k);
        k.make = of[i].make;
        k.make_ctx = of[i].has_ctx ? &k : NULL;
        qr_err e = open_hw(h, 0, &t, why, sizeof why);
        if (e == QR_OK) { /* what only evidence needs */
            e = t.evidence(t.ctx, binder, &b);
            (void)snprintf(why, sizeof why, "%s", qr_tee_why(&t, e));
            qr_tee_close(&t);
        }
        assert_int_equal(e, QR_ERR_PLATFORM);
        if (!strstr(why, of[i].says)) {
            fail_msg("case %zu: \"%s\"", i, why);
        }
        assert_int_equal(k.n_entries, 0);
    }
}

/* ---- the list ---- */

static void
test_list(void **state)
{
    static const char *const words[] = {"sim", "nitro", "snp", "tdx", "azure-vtpm", "gcp-vtpm"};
    struct qr_tee t;
    size_t n = 0;

    (void)state;
    for (const char *const *w = qr_tee_words(); *w; w++, n++) {
        assert_string_equal(*w, words[n]);
        assert_string_equal(qr_tee_profile_of(*w)->name, *w);
    }
    assert_int_equal(n, 6);
    static const char *const none[] = {"", "sgx", "template", "SIM", NULL};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        const struct qr_tee_opts o = {.platform = none[i]};
        assert_null(qr_tee_profile_of(none[i]));
        assert_int_equal(qr_tee_open(&o, &t, why, sizeof why), QR_ERR_USAGE);
    }
    /* On this machine none of the devices is there, and each says which. */
    static const struct {
        const char *word, *says;
    } absent[] = {{"snp", "/nowhere/tsm"},
                  {"tdx", "/nowhere/tsm"},
                  {"gcp-vtpm", "/nowhere/tsm"},
                  {"azure-vtpm", "/nowhere/tpm"},
                  {"nitro", "/nowhere/nsm"}};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        const struct qr_tee_opts o = {.platform = absent[i].word,
                                      .tsm = "/nowhere/tsm",
                                      .sev_guest = "/nowhere/sev",
                                      .tpm = "/nowhere/tpm",
                                      .nsm = "/nowhere/nsm",
                                      .patience_ms = 1};
        assert_int_equal(qr_tee_open(&o, &t, why, sizeof why), QR_ERR_PLATFORM);
        if (!strstr(why, absent[i].says)) {
            fail_msg("%s: \"%s\"", absent[i].word, why);
        }
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_sim), T(test_template),     T(test_snp),  T(test_snp_without_tsm),
        T(test_tdx), T(test_not_a_report), T(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
