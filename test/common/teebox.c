#include "test/common/teebox.h"

#include "enclave-shim/verify/cert.h"
#include "enclave-shim/verify/gcp.h"
#include "protocol/base/check.h"
#include "protocol/base/enc.h"
#include "test/common/evgen_dcap.h"
#include "test/common/evgen_nitro.h"
#include "test/common/evgen_snp.h"
#include "test/common/evgen_tpm.h"

#include <stdio.h>

static struct evnitro nitro;
static struct evsnp snp;
static struct evgen_dcap dcap;
static struct evgen_dcap_out dcap_out;
static struct evhcl hcl;
static struct evtpm quote;
static struct evak google;

/* Certificates that outlive a test's jumps over days; signed once, as P-384 takes its time. */
static void
nitro_certs(void)
{
    static struct evgen_der kept[EVNITRO_CERTS];

    if (kept[EVNITRO_ROOT].len == 0) {
        for (int i = EVNITRO_REGIONAL; i < EVNITRO_CERTS; i++) {
            nitro.spec[i].to_ms = EVGEN_NOW_MS + 365 * EVGEN_DAY_MS;
        }
        evnitro_certs(&nitro);
        memcpy(kept, nitro.cert, sizeof kept);
    }
    memcpy(nitro.cert, kept, sizeof kept);
    nitro.n_bundle = EVNITRO_LEAF;
    for (size_t i = 0; i < EVNITRO_LEAF; i++) {
        nitro.bundle[i] = evgen_view(&nitro.cert[i]);
    }
    nitro.leaf = evgen_view(&nitro.cert[EVNITRO_LEAF]);
}

static void
make_nitro(const struct teebox *b, const uint8_t binder[static 32], struct qr_evidence *e)
{
    evnitro_init(&nitro);
    nitro.timestamp_ms = *b->wall_ms;
    nitro.nonce = qr_view_of(binder, 32);
    if (b->fault == TEEBOX_MEASUREMENT) {
        nitro.pcr[0][7] ^= 1;
    }
    if (b->fault == TEEBOX_DEBUG) {
        memset(nitro.pcr[0], 0, sizeof nitro.pcr[0]);
        memset(nitro.pcr[1], 0, sizeof nitro.pcr[1]);
        memset(nitro.pcr[2], 0, sizeof nitro.pcr[2]);
    }
    if (b->fault == TEEBOX_MACHINE) {
        nitro.module_id = "i-0000000000000bad0-enc0123456789abcdef";
    }
    if (b->fault == TEEBOX_SIGNER) {
        nitro.pcr[8][0] ^= 1;
    }
    nitro_certs();
    evnitro_payload(&nitro);
    evnitro_sign(&nitro);
    QR_ASSERT(qr_evidence_add(e, QR_PART_NITRO_DOCUMENT, 0, evnitro_doc(&nitro)) == QR_OK);
}

/* Versions that the throwaway chip reports, and its endorsement key's certificate with them. */
static const struct evsnp_tcb snp_tcb = {.bootloader = 10, .tee = 2, .snp = 24, .microcode = 85};

/* The report and its chain; a machine's own certificate is the same each time, as it is in life. */
static void
build_snp(const struct teebox *b, const uint8_t data[static 64])
{
    static struct evsnp good;
    int other_vek = b->fault == TEEBOX_TCB || b->fault == TEEBOX_MACHINE;
    struct evsnp_tcb tcb = snp_tcb;

    evsnp_init(&snp, EVSNP_GENOA, 3);
    if (b->fault == TEEBOX_TCB) {
        tcb.microcode -= 30;
    }
    evsnp_put_tcb(&snp, EVSNP_REPORTED_TCB, &tcb);
    evsnp_put_tcb(&snp, EVSNP_CURRENT_TCB, &tcb);
    evsnp_put_tcb(&snp, EVSNP_COMMITTED_TCB, &tcb);
    evsnp_put_tcb(&snp, EVSNP_LAUNCH_TCB, &tcb);
    evsnp_ext_tcb(&snp, &tcb);
    memcpy(snp.report + EVSNP_REPORT_DATA, data, 64);
    if (b->fault == TEEBOX_MEASUREMENT) {
        snp.report[EVSNP_MEASUREMENT] ^= 1;
    }
    if (b->fault == TEEBOX_DEBUG) {
        snp.report[EVSNP_POLICY + 2] |= 1u << 3; /* bit 19 */
    }
    if (b->fault == TEEBOX_SIGNER) {
        snp.report[EVSNP_ID_KEY_DIGEST] ^= 1;
    }
    if (b->fault == TEEBOX_MACHINE) {
        snp.report[EVSNP_CHIP_ID] ^= 1;
        evsnp_ext_raw(&snp, EVSNP_EXT_HWID, snp.report + EVSNP_CHIP_ID, 64);
    }
    if (other_vek || good.vek.len == 0) {
        evsnp_build(&snp);
    } else {
        snp.vek = good.vek;
        snp.ask = good.ask;
        snp.ark = good.ark;
        evsnp_sign(&snp);
    }
    if (!other_vek) {
        good = snp;
    }
}

static void
make_snp(const struct teebox *b, const uint8_t binder[static 32], struct qr_evidence *e)
{
    uint8_t data[64] = {0};

    memcpy(data, binder, 32);
    build_snp(b, data);
    evsnp_evidence(&snp, QR_EV_SNP, e);
}

static void
add_tdx(const struct teebox *b, const uint8_t data[static 64], struct qr_evidence *e)
{
    evgen_dcap_default(&dcap, EVGEN_TDX_V4);
    memcpy(evgen_dcap_report_data(&dcap), data, 64);
    dcap.qe_identity.evaluation = dcap.tcb.evaluation;
    if (b->issued[0]) {
        dcap.tcb.issued = dcap.qe_identity.issued = b->issued;
        dcap.tcb.next = dcap.qe_identity.next = b->next;
    }
    if (b->fault == TEEBOX_MEASUREMENT) {
        dcap.body[EVGEN_TD_MR_TD] ^= 1;
    }
    if (b->fault == TEEBOX_DEBUG) {
        dcap.body[EVGEN_TD_ATTRIBUTES] |= 1;
    }
    if (b->fault == TEEBOX_MACHINE) {
        dcap.ppid[0] ^= 1;
        dcap.instance_id[0] ^= 1;
    }
    evgen_dcap_make(&dcap, &dcap_out);
    evgen_dcap_add(&dcap_out, e);
}

static void
make_tdx(const struct teebox *b, const uint8_t binder[static 32], struct qr_evidence *e)
{
    uint8_t data[64] = {0};

    memcpy(data, binder, 32);
    add_tdx(b, data, e);
}

/* ---- with a virtual TPM ------------------------------------------------------------------ */

static EVP_PKEY *
ak(void)
{
    return evgen_key(EVGEN_RSA2048, 2);
}

static void
add_quote(const struct teebox *b, const uint8_t binder[static 32], enum evtpm_form form,
          struct qr_evidence *e)
{
    evtpm_init(&quote, ak());
    evtpm_extra(&quote, binder, 32);
    quote.form = form;
    quote.reset_count += b->resets;
    quote.clock += *b->wall_ms - EVGEN_NOW_MS + (uint64_t)b->clock_off_ms;
    if (b->fault == TEEBOX_MEASUREMENT) {
        quote.pcr[11][0] ^= 1;
    }
    evtpm_build(&quote);
    evtpm_add(&quote, 0, e);
}

static void
make_azure_snp(const struct teebox *b, const uint8_t binder[static 32], struct qr_evidence *e)
{
    uint8_t data[64] = {0};

    evhcl_init(&hcl, 2);
    evhcl_runtime(&hcl, ak());
    evhcl_hash(&hcl, data);
    build_snp(b, data);
    memcpy(hcl.report, snp.report, sizeof hcl.report);
    evhcl_make(&hcl);
    evtpm_swap(e, QR_PART_HCL_REPORT, 0, qr_view_of(hcl.bytes, hcl.total));
    evtpm_swap(e, QR_PART_SNP_VEK, 0, evgen_view(&snp.vek));
    evtpm_swap(e, QR_PART_SNP_ASK, 0, evgen_view(&snp.ask));
    evtpm_swap(e, QR_PART_SNP_ARK, 0, evgen_view(&snp.ark));
    add_quote(b, binder, EVTPM_RAW, e);
}

static void
make_gcp_tdx(const struct teebox *b, const uint8_t binder[static 32], struct qr_evidence *e)
{
    uint8_t key[32], data[64];

    QR_ASSERT(qr_key_sha256(ak(), key) && qr_gcp_report_data(key, binder, data));
    add_tdx(b, data, e);
    if (google.leaf.len == 0) {
        evak_init(&google, QR_ROOT_GOOGLE_VTPM, ak());
        evak_build(&google);
    }
    evak_add(&google, e);
    add_quote(b, binder, EVTPM_TPMT, e);
}

static void
make(const struct teebox *b, const uint8_t binder[static 32], struct qr_evidence *e)
{
    e->kind = (enum qr_evidence_kind)b->platform; /* one number for both: enclave-shim/tee.c */
    switch (b->platform) {
    case QR_PLATFORM_NITRO:
        make_nitro(b, binder, e);
        break;
    case QR_PLATFORM_SNP:
        make_snp(b, binder, e);
        break;
    case QR_PLATFORM_AZURE_SNP:
        make_azure_snp(b, binder, e);
        break;
    case QR_PLATFORM_GCP_TDX:
        make_gcp_tdx(b, binder, e);
        break;
    default:
        make_tdx(b, binder, e);
    }
}

/* ---- the table --------------------------------------------------------------------------- */

static qr_err
evidence(void *ctx, const uint8_t binder[32], struct qr_buf *out)
{
    struct teebox *b = ctx;
    struct qr_evidence e = {0};

    if (b->fault == TEEBOX_MUTE) {
        return QR_ERR_PLATFORM;
    }
    b->made++;
    if (b->platform == QR_PLATFORM_SIM) {
        return b->inner.evidence(b->inner.ctx, binder, out);
    }
    make(b, binder, &e);
    qr_evidence_encode(&e, out);
    return out->err;
}

static qr_err
seal(void *ctx, uint32_t epoch, qr_view ad, qr_view plain, struct qr_buf *out)
{
    struct teebox *b = ctx;
    return b->inner.seal(b->inner.ctx, epoch, ad, plain, out);
}

static qr_err
derive(void *ctx, uint32_t epoch, const char *label, qr_view ad, struct qr_sec32 *ret)
{
    struct teebox *b = ctx;
    return b->inner.derive(b->inner.ctx, epoch, label, ad, ret);
}

static qr_err
unseal(void *ctx, uint32_t epoch, qr_view ad, qr_view sealed, struct qr_buf *out)
{
    struct teebox *b = ctx;
    return b->inner.unseal(b->inner.ctx, epoch, ad, sealed, out);
}

static void
rnd(void *ctx, uint8_t *out, size_t n)
{
    struct teebox *b = ctx;
    b->inner.random(b->inner.ctx, out, n);
}

static void
free_inner(void *ctx)
{
    struct teebox *b = ctx;
    b->inner.free(b->inner.ctx);
}

void
teebox_wrap(struct teebox *b, enum qr_platform platform, const uint64_t *wall_ms,
            struct qr_tee *tee)
{
    b->inner = *tee;
    b->platform = platform;
    b->wall_ms = wall_ms;
    tee->ctx = b;
    tee->platform = platform;
    tee->insecure = platform == QR_PLATFORM_SIM;
    tee->evidence = evidence;
    tee->seal = seal;
    tee->unseal = unseal;
    tee->derive = derive;
    tee->random = rnd;
    tee->free = free_inner;
}

/* ---- what a policy says of them ---------------------------------------------------------- */

static const uint64_t at_now = EVGEN_NOW_MS;

/* The evidence of a good box, in the generators' statics. */
static void
good(enum qr_platform platform)
{
    struct teebox b = {.platform = platform, .wall_ms = &at_now};
    static const uint8_t binder[32] = {0};
    struct qr_evidence e = {0};
    make(&b, binder, &e);
}

const struct qr_roots *
teebox_roots(void)
{
    static struct qr_roots roots;
    static int made;

    if (!made) {
        made = 1;
        evsnp_roots(&roots);
        good(QR_PLATFORM_NITRO);
        evgen_pin(&roots, QR_ROOT_AWS_NITRO, &nitro.cert[EVNITRO_ROOT]);
        good(QR_PLATFORM_TDX);
        evgen_dcap_pin(&dcap_out, &roots);
        good(QR_PLATFORM_GCP_TDX);
        evak_pin(&google, &roots);
    }
    return &roots;
}

void
teebox_measurement(enum qr_platform platform, unsigned which, char out[static 97])
{
    const uint8_t *p;

    good(platform);
    if (platform == QR_PLATFORM_AZURE_SNP || platform == QR_PLATFORM_GCP_TDX) {
        qr_hex_encode(qr_view_of(quote.pcr[which], 32), out);
        return;
    }
    p = platform == QR_PLATFORM_NITRO ? nitro.pcr[which]
        : platform == QR_PLATFORM_SNP ? snp.report + EVSNP_MEASUREMENT
        : which == 0                  ? dcap.body + EVGEN_TD_MR_TD
                                      : dcap.body + EVGEN_TD_RTMR0 + 48 * (size_t)(which - 1);
    qr_hex_encode(qr_view_of(p, 48), out);
}

void
teebox_signer(enum qr_platform platform, char out[static 97])
{
    good(platform);
    const uint8_t *p =
        platform == QR_PLATFORM_NITRO ? nitro.pcr[8] : snp.report + EVSNP_ID_KEY_DIGEST;
    qr_hex_encode(qr_view_of(p, 48), out);
}

void
teebox_machine(enum qr_platform platform, char out[static 129])
{
    good(platform);
    if (platform == QR_PLATFORM_NITRO) {
        (void)snprintf(out, 129, "%s", nitro.module_id);
    } else if (platform == QR_PLATFORM_SNP) {
        qr_hex_encode(qr_view_of(snp.report + EVSNP_CHIP_ID, 64), out);
    } else {
        qr_hex_encode(qr_view_of(dcap.ppid, 16), out);
    }
}
