/*
 * A client that trusts a roster and nobody else.
 *
 * What: asks gateways in turn, the same bytes each. Before a request leaves, the key is fetched and its n
 *       confirmations are checked against the roster, once for each key; what comes back is verified
 *       (check.h) before the caller sees any of it. A gateway that is away, busy or lying is left for
 *       the next one, and so is one that refuses: its refusal may be a lie. An id is signed once,
 *       whoever carries it.
 * Users: `quorate sign`, the facades, libquorate-client. Nothing in here prints or logs: what happens is told
 *       to `on_step`.
 * Thread rules: a qr_client may be used from several threads at once; each call needs a job of its
 *       own. on_step is called by the thread that called, and may be called by several.
 */
#ifndef QR_CLIENT_CLIENT_H
#define QR_CLIENT_CLIENT_H

#include "daemon/client/check.h"
#include "daemon/client/problem.h"
#include "daemon/client/want.h"

#define QR_CLIENT_GATEWAYS_MAX 16u
#define QR_CLIENT_URL_MAX 300u
#define QR_CLIENT_TIMEOUT_MS 30000u /* of one exchange with one gateway */

struct evp_pkey_st;
struct qr_client;

/* How bad it is; of several gateways' failures the worst is told. */
enum qr_client_verdict {
    QR_CLIENT_DONE,
    QR_CLIENT_BAD_REQUEST, /* ours: it was not understood */
    QR_CLIENT_INTERNAL,
    QR_CLIENT_TEMPORARY, /* nobody could be asked, or not now */
    QR_CLIENT_REFUSED,   /* it was judged and refused */
    QR_CLIENT_UNTRUSTED, /* a gateway said what is not so */
};

struct qr_client_fail {
    enum qr_client_verdict verdict;
    qr_err err;                /* ours; QR_OK when the gateway answered with a problem */
    struct qr_problem problem; /* status 0: no problem document */
    char gateway[QR_CLIENT_URL_MAX];
    char text[1200]; /* a sentence with all of it */
};

enum qr_client_step {
    QR_CLIENT_ASKS_KEY,
    QR_CLIENT_SENDS,
    QR_CLIENT_FAILED, /* at this gateway; `fail` tells why */
    QR_CLIENT_NEXT,   /* another gateway is tried */
    QR_CLIENT_SIGNED, /* and verified */
};

struct qr_client_opts {
    const char *gateways;           /* "URL[,URL...]" */
    const struct qr_roster *roster; /* outlives the client */
    struct evp_pkey_st *key; /* stamps; outlives the client; NULL: jobs come with their stamp */
    const char *ca_file;     /* PEM roots instead of the system's, or NULL */
    unsigned timeout_ms;     /* 0: QR_CLIENT_TIMEOUT_MS */
    void (*on_step)(void *ctx, enum qr_client_step step, const char *gateway,
                    const struct qr_client_fail *fail); /* or NULL */
    void *ctx;
};

/* ADDRESS (err says which URL), NO_MEMORY. */
qr_err QR_MUST qr_client_new(const struct qr_client_opts *o, struct qr_client **ret, char *err,
                             size_t err_cap);
struct qr_client *qr_client_free(struct qr_client *c);

/* One request on its way: zeroed, then prepared, in the end cleared. Some 30 KiB. */
struct qr_client_job {
    struct qr_dbuf body;
    char stamp[QR_STAMP_MAX];
    const char *approval[QR_APPROVALS_MAX]; /* X-Approval values, the caller's, in this order */
    size_t n_approvals;
    struct qr_request request; /* our own body, read as every party will read it */
    struct qr_key_pub key;
    struct qr_client_signed out; /* verified */
};

/*
 * Writes and stamps the body of w; w->cluster, id and times may be left empty: the roster's, a new one, from
 * now for QR_WANT_LIFE_MS. Errors, explained in why: those of qr_want_write and qr_request_parse, USAGE (a key that
 * cannot stamp, or none).
 */
qr_err QR_MUST qr_client_prepare(const struct qr_client *c, const struct qr_want *w,
                                 struct qr_client_job *j, char *why, size_t cap);
/* The same for a body and a stamp that exist. */
qr_err QR_MUST qr_client_adopt(struct qr_client_job *j, qr_view body, const char *stamp, char *why,
                               size_t cap);
void qr_client_job_clear(struct qr_client_job *j);

/* Has it signed: j->key and j->out are filled and good when DONE is returned; else *fail. */
enum qr_client_verdict qr_client_sign(struct qr_client *c, struct qr_client_job *j,
                                      struct qr_client_fail *fail);
/* A key's record, checked against the roster; remembered from then on. */
enum qr_client_verdict qr_client_key(struct qr_client *c, const uint8_t key[static 33],
                                     struct qr_key_pub *ret, struct qr_client_fail *fail);
/*
 * The receipt of a request that was signed, from the gateways in turn, for up to QR_CLIENT_RECEIPT_MS: its
 * members speak when their audit logs have it. Not judged: qr_receipt_verify (receipt.h).
 */
#define QR_CLIENT_RECEIPT_MS 10000u
enum qr_client_verdict qr_client_receipt(struct qr_client *c, const uint8_t request[static 32],
                                         struct qr_dbuf *ret, struct qr_client_fail *fail);
/* GET path of the first gateway that answers 200; its body, not judged in any way. */
enum qr_client_verdict qr_client_get(struct qr_client *c, const char *path, struct qr_dbuf *ret,
                                     struct qr_client_fail *fail);

/* A PEM private key from a file that nobody else may read. CONFIG, PERMISSIONS; why says which file. */
qr_err QR_MUST qr_client_key_file(const char *path, struct evp_pkey_st **ret, char *why,
                                  size_t cap);

#endif
