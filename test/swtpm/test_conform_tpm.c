/*
 * The suite of test/common/teeconform.h over Azure's and Google's back ends, with a software TPM as the
 * virtual one; plain guests that seal by a TPM; and what is wrong with such machines, told by name.
 */
#include "test/common/teeconform.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/azure/azure.h"
#include "enclave-shim/gcp/gcp.h"
#include "enclave-shim/snp/snp.h"
#include "enclave-shim/tpm/tpm.h"
#include "enclave-shim/tsm/door.h"
#include "protocol/base/hash.h"
#include "test/common/fakecloud.h"
#include "test/common/fakehw.h"
#include "test/common/swtpm.h"
#include "test/common/tpmrel.h"

#include <errno.h>
#include <stdio.h>

enum cloud { AZURE_SNP, AZURE_TDX, GOOGLE_SNP, GOOGLE_TDX, PLAIN_SNP };

static struct swtpm sw[2];
static struct tmpdir dir[2];
static struct memkeep kept[2];
static struct qr_tee_keep keep[2];
static struct faketsm k;
static struct qr_roots roots;
static enum cloud cloud;
static int no_chain_file;
static char why[700], path[2][4][96];

static void
provision(int machine)
{
    const char *tpm = sw[machine].path;
    switch (cloud) {
    case AZURE_SNP:
    case AZURE_TDX:
        fakecloud_azure(tpm, cloud == AZURE_TDX);
        break;
    case GOOGLE_SNP:
    case GOOGLE_TDX:
        fakecloud_google(tpm, dir[machine].path, machine == 0 ? &roots : NULL);
        break;
    case PLAIN_SNP:
    default:
        break;
    }
    fakecloud_release(tpm, dir[machine].path);
}

static void
start(enum cloud c)
{
    static const char *const files[] = {"release.key", "release.stmt", "ak_chain.pem", "log"};
    cloud = c;
    no_chain_file = 0;
    roots = (struct qr_roots){0};
    fakehw_roots(&roots);
    faketsm_init(&k);
    if (c == GOOGLE_TDX) {
        fakehw_tdx(&k);
    } else {
        fakehw_snp(&k);
    }
    for (int i = 0; i < 2; i++) {
        swtpm_start(&sw[i]);
        tmpdir_new(&dir[i]);
        kept[i] = (struct memkeep){0};
        memkeep_table(&kept[i], &keep[i]);
        for (size_t f = 0; f < 4; f++) {
            (void)snprintf(path[i][f], sizeof path[i][f], "%s/%s", dir[i].path, files[f]);
        }
    }
    provision(1);
    provision(0); /* last: the TD quote is asked for this one */
}

static int
teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        swtpm_stop(&sw[i]);
        tmpdir_remove(&dir[i]);
        sw[i] = (struct swtpm){0};
    }
    return 0;
}

static struct qr_tee_opts
options(int machine)
{
    return (struct qr_tee_opts){
        .tpm = sw[machine].path,
        .tsm = FAKETSM_ROOT,
        .sev_guest = FAKETSM_SEV,
        .ak_chain =
            (cloud == GOOGLE_SNP || cloud == GOOGLE_TDX) && !no_chain_file ? path[machine][2] : "",
        .release_key = path[machine][0],
        .release = path[machine][1],
        .keep = &keep[machine],
        .patience_ms = 500,
    };
}

static qr_err
open_with(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text, size_t err_cap)
{
    struct qr_report_src src = {.fd = -1};

    if (cloud == AZURE_SNP || cloud == AZURE_TDX) {
        return qr_tee_azure_open(o, ret, err_text, err_cap);
    }
    QR_TRY(qr_report_open_over(o, cloud == PLAIN_SNP ? QR_DOOR_SNP : QR_DOOR_EITHER, &k.sys, &src,
                               err_text, err_cap));
    return cloud == PLAIN_SNP ? qr_tee_snp_over(o, &src, ret, err_text, err_cap)
                              : qr_tee_gcp_over(o, &src, ret, err_text, err_cap);
}

static qr_err
open_one(void *ctx, int machine, struct qr_tee *ret, char *err_text, size_t err_cap)
{
    const struct qr_tee_opts o = options(machine);
    (void)ctx;
    return open_with(&o, ret, err_text, err_cap);
}

/* The other machine's TD quote would not be of its TD; nobody asks it for evidence. */
static qr_err
deliver_td(void *ctx, struct qr_tee *t)
{
    static uint8_t quote[QR_REPORT_OUT_MAX];
    uint8_t data[64];

    (void)ctx;
    fakecloud_td_data(data);
    const struct qr_tee_piece p = {QR_PART_QUOTE, qr_view_of(quote, fakehw_td_quote(data, quote))};
    qr_err e = t->collateral(t->ctx, qr_view_str("azure-tdquote"), &p, 1);
    if (e == QR_ERR_PLATFORM && strstr(qr_tee_why(t, e), "another TD")) {
        return QR_OK;
    }
    return e == QR_OK ? fakehw_intel(t) : e;
}

static qr_err
deliver(void *ctx, struct qr_tee *t)
{
    (void)ctx;
    return cloud == AZURE_SNP    ? fakehw_thim(t)
           : cloud == GOOGLE_TDX ? fakehw_intel(t)
                                 : fakehw_amd(t);
}

static int
trouble(void *ctx, size_t i, struct teeconform_trouble *ret)
{
    (void)ctx;
    if (cloud == AZURE_SNP || cloud == AZURE_TDX || i > 1) {
        return 0;
    }
    faketsm_fail(&k, FAKETSM_READ, "outblob", i ? -EIO : -EBUSY, i ? -1 : 2);
    *ret = (struct teeconform_trouble){i == 1, "outblob"};
    return 1;
}

static void
calm(void *ctx)
{
    (void)ctx;
    k.n_faults = 0;
}

static void
run(const char *name)
{
    const struct teeconform c = {
        .name = name,
        .open = open_one,
        .roots = &roots,
        .now_ms = EVGEN_NOW_MS,
        .survives = 1,
        .deliver = cloud == AZURE_TDX ? deliver_td : deliver,
        .trouble = trouble,
        /* A start takes 50 ms here; the TDX ones differ in nothing that allocates. */
        .no_starvation = cloud == AZURE_TDX || cloud == GOOGLE_TDX,
        .calm = calm};
    teeconform_run(&c);
}

static void
test_azure_snp(void **state)
{
    (void)state;
    start(AZURE_SNP);
    run("azure-vtpm");
}

static void
test_azure_tdx(void **state)
{
    uint8_t binder[32] = {1}, mem[64];
    struct qr_buf b = qr_buf_over(mem, sizeof mem);
    struct qr_tee t = {0};

    (void)state;
    start(AZURE_TDX);
    assert_int_equal(open_one(NULL, 0, &t, why, sizeof why), QR_OK);
    assert_int_equal(t.evidence(t.ctx, binder, &b),
                     QR_ERR_PLATFORM); /* not before the host spoke */
    assert_non_null(strstr(qr_tee_why(&t, QR_OK), "quorate-gateway"));
    assert_int_equal(fakehw_thim(&t), QR_ERR_PLATFORM); /* that is for the other processor */
    qr_tee_close(&t);
    run("azure-vtpm");
}

static void
test_google_snp(void **state)
{
    (void)state;
    start(GOOGLE_SNP);
    run("gcp-vtpm");
}

static void
test_google_tdx(void **state)
{
    (void)state;
    start(GOOGLE_TDX);
    run("gcp-vtpm");
}

/* Without a file of CA certificates each is asked for by the address in the one below it. */
static void
test_google_cas(void **state)
{
    struct qr_tee t = {0};
    struct qr_dbuf json;

    (void)state;
    start(GOOGLE_SNP);
    no_chain_file = 1;
    assert_int_equal(open_one(NULL, 0, &t, why, sizeof why), QR_OK);
    qr_dbuf_init(&json, 8192);
    assert_int_equal(t.needs(t.ctx, &json), QR_OK);
    assert_int_equal(qr_dbuf_append(&json, "", 1), QR_OK);
    assert_non_null(strstr((char *)json.p, "{\"source\":\"google-ca\",\"bucket\":"
                                           "\"65cf2318-0000-2408-a9b3-14c14ef06180\""));
    assert_null(strstr((char *)json.p, "google-root"));
    const struct qr_tee_piece inter = {QR_PART_AK_INTERMEDIATE,
                                       evgen_view(&fakecloud_google_cas()->inter)};
    const struct qr_tee_piece root = {QR_PART_AK_ROOT, evgen_view(&fakecloud_google_cas()->root)};
    assert_int_equal(t.collateral(t.ctx, qr_view_str("google-ca"), &root, 1), QR_ERR_PLATFORM);
    assert_int_equal(t.collateral(t.ctx, qr_view_str("google-ca"), &inter, 1), QR_OK);
    json.len = 0;
    assert_int_equal(t.needs(t.ctx, &json), QR_OK);
    assert_int_equal(qr_dbuf_append(&json, "", 1), QR_OK);
    assert_non_null(strstr((char *)json.p, "{\"source\":\"google-root\",\"bucket\":"
                                           "\"65cf2318-0000-2408-a9b3-14c14ef06181\""));
    assert_int_equal(t.collateral(t.ctx, qr_view_str("google-root"), &root, 1), QR_OK);
    assert_int_equal(fakehw_amd(&t), QR_OK);
    qr_dbuf_free(&json);
    qr_tee_close(&t);
}

static void
test_plain_snp_seals_by_a_tpm(void **state)
{
    (void)state;
    start(PLAIN_SNP);
    run("snp");
}

/* ---- what is wrong ------------------------------------------------------------------------- */

static void
refused(qr_err want, const char *says)
{
    struct qr_tee t = {0};
    qr_err e = open_one(NULL, 0, &t, why, sizeof why);
    if (e != want || !strstr(why, says)) {
        fail_msg("%s: \"%s\", expected \"%s\"", qr_err_text(e), why, says);
    }
}

static struct qr_tpm *
tpm_of(int machine)
{
    struct qr_tpm *t = NULL;
    assert_int_equal(qr_tpm_open(sw[machine].path, 500, &t, why, sizeof why), QR_OK);
    return t;
}

static void
test_azure_refused(void **state)
{
    static const uint8_t zeros[2048];
    struct qr_tpm *t;

    (void)state;
    start(AZURE_SNP);
    t = tpm_of(0); /* another size means another index */
    assert_int_equal(swtpm_nv_undefine(qr_tpm_fd(t), QR_AZURE_NV_REPORT), 0);
    assert_int_equal(qr_tpm_nv_write(t, QR_AZURE_NV_REPORT, qr_view_of(zeros, 100)), QR_OK);
    t = qr_tpm_close(t);
    refused(QR_ERR_PLATFORM, "0x01400001");
    t = tpm_of(0);
    assert_int_equal(swtpm_nv_undefine(qr_tpm_fd(t), QR_AZURE_NV_REPORT), 0);
    t = qr_tpm_close(t);
    refused(QR_ERR_PLATFORM, "Trusted Launch");
    t = tpm_of(0);
    assert_int_equal(qr_tpm_nv_write(t, QR_AZURE_NV_REPORT, qr_view_of(zeros, sizeof zeros)),
                     QR_OK);
    t = qr_tpm_close(t);
    refused(QR_ERR_PLATFORM, "HCL report");
    /* Another machine's report is of another key. */
    struct qr_dbuf nv;
    qr_dbuf_init(&nv, QR_TPM_NV_MAX);
    t = tpm_of(1);
    assert_int_equal(qr_tpm_nv_read(t, QR_AZURE_NV_REPORT, 1, &nv), QR_OK);
    qr_tpm_close(t);
    t = tpm_of(0);
    assert_int_equal(qr_tpm_nv_write(t, QR_AZURE_NV_REPORT, qr_view_of(nv.p, nv.len)), QR_OK);
    t = qr_tpm_close(t);
    qr_dbuf_free(&nv);
    refused(QR_ERR_PLATFORM, "binds another attestation key");
    swtpm_stop(&sw[0]);
    swtpm_start(&sw[0]);
    refused(QR_ERR_PLATFORM, "0x81000003");
}

static void
test_google_refused(void **state)
{
    struct qr_tpm *t;
    struct qr_dbuf nv;

    (void)state;
    start(GOOGLE_SNP);
    qr_dbuf_init(&nv, QR_TPM_NV_MAX);
    t = tpm_of(1);
    assert_int_equal(qr_tpm_nv_read(t, QR_GCP_NV_ECC_CERT, 1, &nv), QR_OK);
    qr_tpm_close(t);
    t = tpm_of(0);
    assert_int_equal(swtpm_nv_undefine(qr_tpm_fd(t), QR_GCP_NV_ECC_CERT), 0);
    t = qr_tpm_close(t);
    refused(QR_ERR_PLATFORM, "0x01c10002");
    t = tpm_of(0);
    assert_int_equal(qr_tpm_nv_write(t, QR_GCP_NV_ECC_CERT, qr_view_of(nv.p, nv.len)), QR_OK);
    t = qr_tpm_close(t);
    refused(QR_ERR_PLATFORM, "not of the attestation key");
    t = tpm_of(0);
    assert_int_equal(swtpm_nv_undefine(qr_tpm_fd(t), QR_GCP_NV_ECC_TEMPLATE), 0);
    t = qr_tpm_close(t);
    refused(QR_ERR_PLATFORM, "is this a Google Cloud VM");
    qr_dbuf_free(&nv);
}

/* What was kept is the TPM's to open, under the release that runs: each way it does not. */
static void
test_kept_secret(void **state)
{
    struct qr_tee t = {0};
    struct qr_tee_opts o;
    uint8_t digest[32] = {9};
    struct qr_tpm *tpm;

    (void)state;
    start(AZURE_SNP);
    assert_int_equal(open_one(NULL, 0, &t, why, sizeof why), QR_OK);
    assert_int_equal(t.revoke(t.ctx, 1), QR_OK); /* nothing is below the first */
    assert_int_equal(t.revoke(t.ctx, 2), QR_ERR_PLATFORM);
    assert_non_null(strstr(qr_tee_why(&t, QR_OK), "update first"));
    qr_tee_close(&t);
    struct memkeep mine = kept[0];
    kept[0].item[0].v[kept[0].item[0].len / 2] ^= 1;
    refused(QR_ERR_SEAL, "sealing secret");
    kept[0].item[0].len -= 1;
    assert_int_not_equal(open_one(NULL, 0, &t, why, sizeof why), QR_OK);
    assert_int_equal(open_one(NULL, 1, &t, why, sizeof why), QR_OK);
    qr_tee_close(&t);
    kept[0] = kept[1]; /* another machine's */
    refused(QR_ERR_SEAL, "sealing secret");
    kept[0] = mine;
    assert_int_equal(open_one(NULL, 0, &t, why, sizeof why), QR_OK);
    qr_tee_close(&t);

    tpm = tpm_of(0); /* another image */
    assert_int_equal(swtpm_extend(qr_tpm_fd(tpm), 11, digest), 0);
    qr_tpm_close(tpm);
    refused(QR_ERR_SEAL, "PCR");
    assert_memory_equal(&mine, &kept[0], sizeof mine); /* and nothing was put in its place */
    swtpm_reboot(&sw[0]);
    assert_int_equal(open_one(NULL, 0, &t, why, sizeof why), QR_OK);
    assert_int_equal(t.profile->keeps_secrets, 1);
    qr_tee_close(&t);

    o = options(0); /* without a statement, or a place: as long as the process */
    o.release = o.release_key = NULL;
    assert_int_equal(open_with(&o, &t, why, sizeof why), QR_OK);
    assert_int_equal(t.profile->keeps_secrets, 0);
    qr_tee_close(&t);
    o = options(0);
    o.keep = NULL;
    assert_int_equal(open_with(&o, &t, why, sizeof why), QR_OK);
    assert_int_equal(t.profile->keeps_secrets, 0);
    qr_tee_close(&t);
    o = options(0);
    o.release = NULL;
    assert_int_equal(open_with(&o, &t, why, sizeof why), QR_ERR_PLATFORM);
    assert_non_null(strstr(why, "release_key and release go together"));
    o = options(0);
    o.release = o.release_key;
    assert_int_not_equal(open_with(&o, &t, why, sizeof why), QR_OK);
    kept[0] = (struct memkeep){.fail_save = QR_ERR_STORE_FULL};
    refused(QR_ERR_STORE_FULL, "read-only today");
}

static int
setup(void **state)
{
    (void)state;
    return qr_hash_init() == QR_OK ? 0 : -1;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_azure_snp),     T(test_azure_tdx),      T(test_google_snp),
        T(test_google_tdx),    T(test_google_cas),     T(test_plain_snp_seals_by_a_tpm),
        T(test_azure_refused), T(test_google_refused), T(test_kept_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
