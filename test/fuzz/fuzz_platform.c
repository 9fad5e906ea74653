/*
 * What a guest's kernel and TPM hand to the back ends: boot logs, processors' reports with the host's
 * certificate table, TD quotes, certificates with an address in them, attributes of configfs-tsm. Whatever
 * it is, opening and evidence succeed or say why, the needs that follow are what the gateway reads, and a
 * log that was cut is whole.
 */
#include "daemon/gw_need.h"
#include "enclave-shim/gcp/aia.h"
#include "enclave-shim/snp/snp.h"
#include "enclave-shim/snp/snp_part.h"
#include "enclave-shim/tdx/tdx.h"
#include "enclave-shim/tsm/bootlog.h"
#include "enclave-shim/tsm/tsm.h"
#include "protocol/base/hash.h"
#include "test/common/faketsm.h"
#include "test/fuzz/kit.h"

static qr_view report, table;
static size_t data_at;

/* The input as the kernel's answer; over our bytes, or nothing behind it would be reached. */
static qr_err
get(void *ctx, const uint8_t data[QR_REPORT_DATA], struct qr_report *ret)
{
    (void)ctx;
    memcpy(ret->out, report.p, report.len);
    memcpy(ret->aux, table.p, table.len);
    ret->out_len = report.len;
    ret->aux_len = table.len;
    if (report.len >= data_at + QR_REPORT_DATA) {
        memcpy(ret->out + data_at, data, QR_REPORT_DATA);
    }
    return QR_OK;
}

static const char *
no_why(void *ctx)
{
    (void)ctx;
    return "the source does not fail";
}

static void
use(struct qr_tee *t)
{
    static const struct qr_need_bases bases = {.amd_kds = "https://a.example",
                                               .intel_pcs = "https://b.example",
                                               .intel_crl = "https://c.example"};
    static struct qr_needs needs;
    static uint8_t mem[QR_EVIDENCE_MAX];
    uint8_t binder[32] = {1};
    char why[512] = "";
    struct qr_buf out = qr_buf_over(mem, sizeof mem);
    struct qr_dbuf json;

    qr_err e = t->evidence(t->ctx, binder, &out);
    FUZZ_MUST(e == QR_OK || qr_tee_why(t, e)[0]);
    fuzz_text(qr_tee_why(t, e), 512);
    qr_dbuf_init(&json, 65536);
    FUZZ_MUST(t->needs(t->ctx, &json) == QR_OK);
    FUZZ_MUST(qr_needs_read(qr_view_of(json.p, json.len), &bases, &needs, why, sizeof why) ==
              QR_OK);
    qr_dbuf_free(&json);
    qr_tee_close(t);
}

static void
backend(const uint8_t *data, size_t size, int tdx)
{
    const struct qr_tee_opts o = {.cc_log = "", .patience_ms = 1};
    struct qr_report_src src = {NULL, get, no_why, NULL, -1};
    struct qr_tee t = {0};
    char why[700] = "";

    if (size < 2) {
        return;
    }
    size_t n = (size_t)data[0] << 8 | data[1];
    n = n < size - 2 ? n : size - 2;
    n = n < QR_REPORT_OUT_MAX ? n : QR_REPORT_OUT_MAX;
    size_t rest = size - 2 - n;
    report = qr_view_of(data + 2, n);
    table = qr_view_of(data + 2 + n, rest < QR_REPORT_AUX_MAX ? rest : QR_REPORT_AUX_MAX);
    data_at = !tdx ? QR_SNP_DATA_AT : n > 0 && report.p[0] == 5 ? 574 : 568;
    qr_err e = tdx ? qr_tee_tdx_over(&o, &src, &t, why, sizeof why)
                   : qr_tee_snp_over(&o, &src, &t, why, sizeof why);
    if (e == QR_OK) {
        use(&t);
    } else {
        FUZZ_MUST(why[0]);
        fuzz_text(why, sizeof why);
    }
}

static void
bootlog(qr_view in, enum qr_bootlog_kind kind)
{
    static struct qr_verdict v;

    size_t n = qr_bootlog_length(kind, in, &v);
    FUZZ_MUST(n <= in.len);
    if (n == 0) {
        FUZZ_MUST(v.sentence[0]);
        fuzz_text(v.sentence, sizeof v.sentence);
    } else {
        FUZZ_MUST(qr_bootlog_length(kind, qr_view_of(in.p, n), &v) == n);
    }
}

static void
address(qr_view in)
{
    struct qr_gcp_aia a;
    if (qr_gcp_aia_read(in, &a) == QR_OK) {
        FUZZ_MUST(strspn(a.bucket, "0123456789abcdef-") == QR_GCP_AIA_BUCKET);
        FUZZ_MUST(strspn(a.object, "0123456789abcdef") == QR_GCP_AIA_OBJECT);
    }
}

/* "generation" and "provider", a line each. */
static void
attributes(const uint8_t *data, size_t size)
{
    static struct faketsm k;
    static struct qr_report r;
    const struct qr_tsm_opts o = {
        .root = FAKETSM_ROOT, .entry = "", .provider = "", .patience_ms = 9};
    struct qr_report_src src = {.fd = -1};
    uint8_t zero[64] = {0};
    char text[2][48] = {"", ""}, why[600] = "";
    size_t n = 0;

    for (int i = 0; i < 2; i++) {
        for (size_t at = 0; n < size && data[n] != '\n' && at + 1 < sizeof text[i]; n++) {
            if (data[n]) {
                text[i][at++] = (char)data[n];
            }
        }
        n++;
    }
    faketsm_init(&k);
    k.generation_text = text[0];
    k.provider_text = text[1];
    qr_err e = qr_tsm_open(&o, &k.sys, &src, why, sizeof why);
    if (e == QR_OK) {
        FUZZ_MUST(strcmp(text[1], "sev_guest") == 0 || strcmp(text[1], "tdx_guest") == 0);
        FUZZ_MUST(src.get(src.ctx, zero, &r) != QR_OK); /* it never moves */
        fuzz_text(src.why(src.ctx), 512);
        qr_report_close(&src);
    } else {
        FUZZ_MUST(why[0]);
        fuzz_text(why, sizeof why);
    }
    FUZZ_MUST(k.open_files == 0 && k.n_entries == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int started;

    if (!started) {
        FUZZ_MUST(qr_hash_init() == QR_OK);
        started = 1;
    }
    switch (fuzz_choice(&data, &size, 6)) {
    case 0:
        bootlog(qr_view_of(data, size), QR_BOOTLOG_OF_CC);
        break;
    case 1:
        bootlog(qr_view_of(data, size), QR_BOOTLOG_OF_TPM);
        break;
    case 2:
        backend(data, size, 0);
        break;
    case 3:
        backend(data, size, 1);
        break;
    case 4:
        address(qr_view_of(data, size));
        break;
    default:
        attributes(data, size);
        break;
    }
    return 0;
}
