/*
 * What `quorate sign` and `quorate request` have in common: options and files in, one stamped request out.
 *
 * What: the items are files of one kind, or the inputs of a PSBT that carry the key; or a request that
 *       was made before is read back with its stamp, byte for byte, so that approvals given for it hold.
 * A request file is {"body":"<the exact text>","stamp":"<X-Stamp>"}: what approvers are shown.
 */
#ifndef QR_CTL_WANT_H
#define QR_CTL_WANT_H

#include "daemon/client/client.h"
#include "daemon/ctl.h"
#include "daemon/psbt.h"

#define QR_CTL_REQUEST_MAX (2u * QR_BODY_MAX + 2u * QR_STAMP_MAX)

struct qr_ctl_want {
    /* options */
    const char *roster, *key_hex, *client, *kind, *path, *id, *request, *psbt_file, *ca;
    unsigned long life_s;
    int hex;
    const struct qr_ctl_list *files;
    /* what they gave */
    struct qr_roster *r;
    struct evp_pkey_st *client_key;
    uint8_t key[33];
    struct qr_dbuf input[QR_CTL_LIST_MAX];
    uint8_t digest[QR_CTL_LIST_MAX][32];
    struct qr_want_item item[QR_ITEMS_MAX];
    size_t n_items;
    struct qr_psbt *psbt; /* of psbt_file, or NULL */
};

/* Reads roster and key; 0 or an exit code. Neither --client nor --key is needed with --request. */
int qr_ctl_want_trust(const struct qr_ctl *c, struct qr_ctl_want *w);
/*
 * Reads the input and prepares *j with it, by a client of this roster and key. Of a PSBT and a path, the
 * key's record is asked for: which inputs are the child's depends on its chain code.
 */
int qr_ctl_want_job(const struct qr_ctl *c, struct qr_ctl_want *w, struct qr_client *client,
                    struct qr_client_job *j);
/* Puts the signatures of a job into the PSBT and writes it to a new file, in the form it came in. */
int qr_ctl_want_psbt(const struct qr_ctl *c, struct qr_ctl_want *w, const struct qr_client_job *j,
                     const char *out);
void qr_ctl_want_free(struct qr_ctl_want *w);
/* Appends the request file of a job. */
qr_err QR_MUST qr_ctl_want_put(const struct qr_client_job *j, struct qr_dbuf *out);

#endif
