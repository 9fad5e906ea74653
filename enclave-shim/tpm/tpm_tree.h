/*
 * qr_tpm_tree: the policy of what is sealed: one of QR_TPM_WINDOW releases, none of them revoked.
 *
 * What: leaf i is "release minimum + i, approved by the release key, and the counter is not above
 *       start + i"; the leaves are joined by three levels of PolicyOR, eight to a node.
 * Why a tree: which release opens, and where this TPM's counters began, must both be in one comparison
 *       of PolicyNV, which compares with a constant. So there is a constant for each release.
 * Source: TPM 2.0 part 3, 23.6 (at most eight branches to a PolicyOR).
 */
#ifndef QR_TPM_TREE_H
#define QR_TPM_TREE_H

#include "enclave-shim/tpm/tpm_release.h"

#define QR_TPM_TREE_LEVELS 3u /* 8^3 == QR_TPM_WINDOW */

struct qr_tpm_scale {
    uint64_t minimum; /* the lowest release, 1.. */
    uint64_t start;   /* the counter's value at which it is not revoked yet; above, it is */
};

/* What one leaf's path shows to the TPM. */
struct qr_tpm_path {
    uint8_t node[QR_TPM_TREE_LEVELS][8][32]; /* branches of each PolicyOR, leaves first */
    uint8_t root[32];
};

/* The name of the counter, written at least once; it depends on nothing but its definition. */
void qr_tpm_counter_name(uint8_t out[static QR_TPM_NAME_LEN]);

/*
 * release: in minimum..minimum + QR_TPM_WINDOW - 1, and start at most 2^63. About 2200 hashes of a
 * block or two. Variable time, public data.
 */
void qr_tpm_tree_path(const uint8_t key_name[static QR_TPM_NAME_LEN], const struct qr_tpm_scale *s,
                      uint64_t release, struct qr_tpm_path *ret);

#endif
