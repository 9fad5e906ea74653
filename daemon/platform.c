#include "daemon/platform.h"

#include "daemon/fit.h"
#include "daemon/store_remote.h"

#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

static qr_err
open_tee(const struct qr_config_party *c, struct qr_platform_node *p, struct qr_tee *ret,
         char *err_text, size_t err_cap)
{
    const struct qr_tee_opts o = {
        .platform = c->tee.platform,
        .state_dir = c->state_dir,
        .tpm = c->tee.tpm,
        .tsm = c->tee.tsm,
        .tsm_entry = c->tee.tsm_entry,
        .sev_guest = c->tee.sev_guest,
        .nsm = c->tee.nsm,
        .cc_log = c->tee.cc_log,
        .tcg_log = c->tee.tcg_log,
        .ak_chain = c->tee.ak_chain,
        .release_key = c->tee.release_key,
        .release = c->tee.release,
        .patience_ms = c->tee.patience_ms,
        .keep = p->keep.load ? &p->keep : NULL,
        .kms = c->tee.kms_key[0] ? &p->kms : NULL,
    };

    QR_TRY(qr_tee_open(&o, ret, err_text, err_cap));
    qr_err e = qr_fit_after(c, ret, qr_fit_in_memory(c->state_dir), err_text, err_cap);
    if (e != QR_OK) {
        qr_tee_close(ret);
    }
    return e;
}

qr_err
qr_platform_open(const struct qr_config_party *c, struct qr_platform_node *p, struct qr_tee *ret,
                 char *err_text, size_t err_cap)
{
    const struct qr_tee_profile *profile = qr_tee_profile_of(c->tee.platform);

    *p = (struct qr_platform_node){.kms = {.key = c->tee.kms_key,
                                           .route = c->tee.kms_route,
                                           .credentials = c->tee.kms_credentials,
                                           .name = c->cloud}};
    if (!profile) {
        EXPLAIN("[tee] platform: \"%s\" is no platform", c->tee.platform);
        return QR_ERR_CONFIG;
    }
    QR_TRY(qr_fit_before(c, profile, err_text, err_cap));
    if (c->store[0]) {
        QR_TRY(qr_tee_keep_remote(c->store, &p->keep, err_text, err_cap));
    } else if (strcmp(c->tee.platform, "sim") != 0) { /* it has a file of its own */
        QR_TRY(qr_tee_keep_files(c->state_dir, &p->keep, err_text, err_cap));
    }
    qr_err e = open_tee(c, p, ret, err_text, err_cap);
    if (e != QR_OK) {
        qr_tee_keep_close(&p->keep);
    }
    return e;
}

void
qr_platform_settle(struct qr_platform_node *p)
{
    qr_tee_keep_seal(&p->keep);
}

void
qr_platform_close(struct qr_platform_node *p, struct qr_tee *t)
{
    qr_tee_close(t);
    qr_tee_keep_close(&p->keep);
}
