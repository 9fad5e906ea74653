#include "enclave-shim/tsm/door.h"

#include "enclave-shim/tee_base.h"
#include "enclave-shim/tsm/helper.h"
#include "enclave-shim/tsm/sevguest.h"
#include "enclave-shim/tsm/tsm.h"
#include "protocol/base/hash.h"

#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))
#define PROBE "quorate/report-probe/v1"

void
qr_report_probe(uint8_t out[static QR_REPORT_DATA])
{
    qr_sha256(qr_view_str(PROBE), out);
    qr_sha256(qr_view_of(out, 32), out + 32); /* a binder is followed by zeros */
}

static uint32_t
patience(const struct qr_tee_opts *o)
{
    return o->patience_ms ? o->patience_ms : QR_TEE_PATIENCE_MS;
}

qr_err
qr_report_open_over(const struct qr_tee_opts *o, enum qr_door door, const struct qr_sys *sys,
                    struct qr_report_src *ret, char *err_text, size_t err_cap)
{
    char tsm[400] = "", sev[300] = "";
    const struct qr_tsm_opts t = {.root = o->tsm,
                                  .entry = o->tsm_entry,
                                  .provider = door == QR_DOOR_SNP   ? "sev_guest"
                                              : door == QR_DOOR_TDX ? "tdx_guest"
                                                                    : "",
                                  .patience_ms = patience(o)};

    qr_err e = qr_tsm_open(&t, sys, ret, tsm, sizeof tsm);
    if (e != QR_ERR_NOT_FOUND || door == QR_DOOR_TDX) {
        EXPLAIN("%s", tsm);
        return e == QR_ERR_NOT_FOUND ? QR_ERR_PLATFORM : e;
    }
    e = qr_sevguest_open(o->sev_guest, patience(o), sys, ret, sev, sizeof sev);
    EXPLAIN("%s; and %s", tsm, sev);
    return e == QR_ERR_NOT_FOUND ? QR_ERR_PLATFORM : e;
}

struct how {
    const struct qr_tee_opts *o;
    enum qr_door door;
};

static qr_err
open_in_child(void *ctx, struct qr_report_src *ret, char *err_text, size_t err_cap)
{
    const struct how *h = ctx;
    return qr_report_open_over(h->o, h->door, &qr_sys_kernel, ret, err_text, err_cap);
}

qr_err
qr_report_open(const struct qr_tee_opts *o, enum qr_door door, struct qr_report_src *ret,
               char *err_text, size_t err_cap)
{
    struct how h = {o, door};
    const struct qr_helper_open how = {&h, open_in_child};
    return qr_helper_start(&how, patience(o) + QR_HELPER_EXTRA_MS, ret, err_text, err_cap);
}
