#include "test/common/teebox.h"

#include "protocol/base/check.h"
#include "protocol/base/enc.h"
#include "test/common/evgen_dcap.h"
#include "test/common/evgen_nitro.h"
#include "test/common/evgen_snp.h"

#include <stdio.h>

static struct evnitro nitro;
static struct evsnp snp;
static struct evgen_dcap dcap;
static struct evgen_dcap_out dcap_out;

static void
make_nitro(const struct teebox *b, const uint8_t binder[32], struct qr_evidence *e)
{
    evnitro_init(&nitro);
    nitro.timestamp_ms = *b->wall_ms;
    for (int i = EVNITRO_REGIONAL; i < EVNITRO_CERTS; i++) { /* tests jump over days */
        nitro.spec[i].to_ms = EVGEN_NOW_MS + 365 * EVGEN_DAY_MS;
    }
    if (binder) {
        nitro.nonce = qr_view_of(binder, 32);
    }
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
    evnitro_build(&nitro);
    QR_ASSERT(qr_evidence_add(e, QR_PART_NITRO_DOCUMENT, 0, evnitro_doc(&nitro)) == QR_OK);
}

/* Versions that the throwaway chip reports, and its endorsement key's certificate with them. */
static const struct evsnp_tcb snp_tcb = {.bootloader = 10, .tee = 2, .snp = 24, .microcode = 85};

static void
make_snp(const struct teebox *b, const uint8_t binder[32], struct qr_evidence *e)
{
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
    memset(snp.report + EVSNP_REPORT_DATA, 0, 64);
    if (binder) {
        memcpy(snp.report + EVSNP_REPORT_DATA, binder, 32);
    }
    if (b->fault == TEEBOX_MEASUREMENT) {
        snp.report[EVSNP_MEASUREMENT] ^= 1;
    }
    if (b->fault == TEEBOX_DEBUG) {
        snp.report[EVSNP_POLICY + 2] |= 1u << 3; /* bit 19 */
    }
    if (b->fault == TEEBOX_MACHINE) {
        snp.report[EVSNP_CHIP_ID] ^= 1;
        evsnp_ext_raw(&snp, EVSNP_EXT_HWID, snp.report + EVSNP_CHIP_ID, 64);
    }
    evsnp_build(&snp);
    evsnp_evidence(&snp, QR_EV_SNP, e);
}

static void
make_tdx(const struct teebox *b, const uint8_t binder[32], struct qr_evidence *e)
{
    evgen_dcap_default(&dcap, EVGEN_TDX_V4);
    memset(evgen_dcap_report_data(&dcap), 0, 64);
    if (binder) {
        memcpy(evgen_dcap_report_data(&dcap), binder, 32);
    }
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
make(const struct teebox *b, const uint8_t binder[32], struct qr_evidence *e)
{
    switch (b->platform) {
    case QR_PLATFORM_NITRO:
        e->kind = QR_EV_NITRO;
        make_nitro(b, binder, e);
        break;
    case QR_PLATFORM_SNP:
        e->kind = QR_EV_SNP;
        make_snp(b, binder, e);
        break;
    default:
        e->kind = QR_EV_TDX;
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
seal(void *ctx, qr_view ad, qr_view plain, struct qr_buf *out)
{
    struct teebox *b = ctx;
    return b->inner.seal(b->inner.ctx, ad, plain, out);
}

static qr_err
unseal(void *ctx, qr_view ad, qr_view sealed, struct qr_buf *out)
{
    struct teebox *b = ctx;
    return b->inner.unseal(b->inner.ctx, ad, sealed, out);
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
    struct qr_evidence e = {0};
    make(&b, NULL, &e);
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
    }
    return &roots;
}

void
teebox_measurement(enum qr_platform platform, unsigned which, char out[static 97])
{
    const uint8_t *p;

    good(platform);
    p = platform == QR_PLATFORM_NITRO ? nitro.pcr[which]
        : platform == QR_PLATFORM_SNP ? snp.report + EVSNP_MEASUREMENT
        : which == 0                  ? dcap.body + EVGEN_TD_MR_TD
                                      : dcap.body + EVGEN_TD_RTMR0 + 48 * (size_t)(which - 1);
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
