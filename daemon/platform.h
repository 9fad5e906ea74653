/*
 * qr_platform_node: the platform that a configuration names, opened.
 *
 * What: the configuration held against the profile (fit.h), the place for what the platform keeps
 *       between starts (files in state_dir, or the host's store for a party without a disk), and the
 *       platform.
 * Order: before the store, which the platform seals. qr_platform_settle comes before the sandbox, which
 *       forbids new files.
 */
#ifndef QR_PLATFORM_H
#define QR_PLATFORM_H

#include "daemon/config.h"
#include "enclave-shim/nitro/kms.h"
#include "enclave-shim/tee_keep.h"
#include "enclave-shim/tee_open.h"

/* What must live as long as the platform. Zeroed at birth. */
struct qr_platform_node {
    struct qr_tee_keep keep;
    struct qr_nitro_kms kms;
};

/*
 * c and p must stay in place as long as *ret. CONFIG (the key is named), and errors as qr_tee_open,
 * qr_tee_keep_files, qr_tee_keep_remote; err_text: what, where, what to do. On errors nothing stays
 * open.
 */
qr_err QR_MUST qr_platform_open(const struct qr_config_party *c, struct qr_platform_node *p,
                                struct qr_tee *ret, char *err_text, size_t err_cap);
/* From here on nothing is kept that wants a new file. */
void qr_platform_settle(struct qr_platform_node *p);
/* Takes zeroed ones. */
void qr_platform_close(struct qr_platform_node *p, struct qr_tee *t);

#endif
