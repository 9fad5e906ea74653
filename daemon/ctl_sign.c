/*
 * quorate sign, quorate request, and verification of a signature: a client that trusts nobody.
 *
 * sign: reads the roster, writes and stamps the request (or takes one that was made before), and hands
 * it to daemon/client, which asks gateways in turn and verifies what comes back before any of it is
 * shown. request: the same without sending, for those who must approve it first.
 */
#include "daemon/ctl.h"

#include "daemon/client/client.h"
#include "daemon/client/ecsig.h"
#include "daemon/ctl_want.h"
#include "protocol/base/check.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"

#include <openssl/evp.h>

#define APPROVAL_FILE_MAX 4096u
#define NOWHERE "http://127.0.0.1:1" /* a client that is not asked to send */

struct job {
    struct qr_ctl_want want;
    const char *gateways, *der, *pem, *out, *receipt;
    struct qr_ctl_list approval;
    struct qr_dbuf approval_text[QR_APPROVALS_MAX];
    struct qr_ctl say; /* how on_step speaks */
    struct qr_client *client;
    struct qr_client_job j;
};

/* ---- asking ---- */

static void
on_step(void *ctx, enum qr_client_step step, const char *gateway, const struct qr_client_fail *f)
{
    const struct qr_ctl *c = ctx;

    switch (step) {
    case QR_CLIENT_ASKS_KEY:
        qr_ctl_progress(c, "%s: asking for the key", gateway);
        break;
    case QR_CLIENT_SENDS:
        qr_ctl_progress(c, "%s: the key is the roster's; sending the request", gateway);
        break;
    case QR_CLIENT_FAILED:
        qr_ctl_fail(c, f->verdict >= QR_CLIENT_REFUSED ? QR_EXIT_REFUSED : QR_EXIT_TEMPORARY, "%s",
                    f->text);
        break;
    case QR_CLIENT_NEXT:
        qr_ctl_warn(c, "trying the next gateway");
        break;
    case QR_CLIENT_SIGNED:
        qr_ctl_progress(c, "%s: signed and verified", gateway);
        break;
    }
}

static int
exit_code(enum qr_client_verdict v)
{
    switch (v) {
    case QR_CLIENT_DONE:
        return QR_EXIT_OK;
    case QR_CLIENT_BAD_REQUEST:
        return QR_EXIT_USAGE;
    case QR_CLIENT_TEMPORARY:
        return QR_EXIT_TEMPORARY;
    case QR_CLIENT_REFUSED:
    case QR_CLIENT_UNTRUSTED:
        return QR_EXIT_REFUSED;
    case QR_CLIENT_INTERNAL:
        break;
    }
    return QR_EXIT_INTERNAL;
}

/* Each file is one X-Approval value, with white space around it. */
static int
read_approvals(const struct qr_ctl *c, struct job *j)
{
    if (j->approval.n > QR_APPROVALS_MAX) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "at most %u approvals", QR_APPROVALS_MAX);
    }
    for (size_t i = 0; i < j->approval.n; i++) {
        struct qr_dbuf *d = &j->approval_text[i];
        int code = qr_ctl_read(c, j->approval.v[i], APPROVAL_FILE_MAX, d);
        if (code != QR_EXIT_OK) {
            return code;
        }
        while (d->len > 0 && d->p[d->len - 1] <= ' ') {
            d->len--;
        }
        if (qr_dbuf_append(d, "", 1) != QR_OK) {
            return qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
        }
        const char *text = (const char *)d->p;
        size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
        if (n == 0 || n != d->len - 1 || n >= QR_STAMP_MAX) {
            return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s holds no approval", j->approval.v[i]);
        }
        j->j.approval[j->j.n_approvals++] = text;
    }
    return QR_EXIT_OK;
}

static int
new_client(const struct qr_ctl *c, struct job *j, const char *gateways)
{
    char err[512];
    const struct qr_client_opts o = {.gateways = gateways,
                                     .roster = j->want.r,
                                     .key = j->want.client_key,
                                     .ca_file = j->want.ca,
                                     .on_step = on_step,
                                     .ctx = &j->say};

    j->say = *c;
    return qr_client_new(&o, &j->client, err, sizeof err) == QR_OK
               ? QR_EXIT_OK
               : qr_ctl_fail(c, QR_EXIT_USAGE, "--gateway: %s", err);
}

static void
job_clear(struct job *j)
{
    qr_client_free(j->client);
    qr_client_job_clear(&j->j);
    qr_ctl_want_free(&j->want);
    for (size_t i = 0; i < QR_APPROVALS_MAX; i++) {
        qr_dbuf_free(&j->approval_text[i]);
    }
}

static int
sign_it(const struct qr_ctl *c, struct job *j)
{
    static struct qr_client_fail f;
    (void)c; /* on_step has told every failure */
    return exit_code(qr_client_sign(j->client, &j->j, &f));
}

/* ---- results ---- */

/* The set's members hand in their words when all of them have audited it: soon, not at once. */
static int
write_receipt(const struct qr_ctl *c, const struct job *j)
{
    static struct qr_client_fail f;
    struct qr_dbuf d;

    enum qr_client_verdict v = qr_client_receipt(j->client, j->j.request.hash, &d, &f);
    if (v != QR_CLIENT_DONE) {
        return qr_ctl_fail(c, exit_code(v),
                           "the signature is good, but there is no receipt yet; ask again with "
                           "quorate receipt get: %s",
                           f.text);
    }
    int code = qr_ctl_write(c, j->receipt, qr_view_of(d.p, d.len), 0644);
    qr_dbuf_free(&d);
    return code;
}

static void
print_signature_json(const struct qr_client_job *j, size_t i)
{
    char t[129];
    qr_hex_encode(qr_view_of(j->request.items[i].digest, 32), t);
    printf("\"digest\":\"%s\"", t);
    qr_hex_encode(qr_view_of(j->out.rs[i], 64), t);
    printf(",\"r\":\"%.64s\",\"s\":\"%s\",\"recid\":%u", t, t + 64, j->out.recid[i]);
}

static void
print_json(const struct qr_client_job *j)
{
    char t[129];
    qr_hex_encode(qr_view_of(j->request.hash, 32), t);
    printf("{\"verified\":true,\"request\":\"%s\"", t);
    qr_hex_encode(qr_view_of(j->out.pk, 33), t);
    printf(",\"public_key\":\"%s\",", t);
    print_signature_json(j, 0);
    printf(",\"signatures\":[");
    for (size_t i = 0; i < j->out.n; i++) {
        printf(i ? ",{" : "{");
        print_signature_json(j, i);
        printf("}");
    }
    printf("],\"signers\":[");
    for (size_t i = 0; i < j->out.n_signers; i++) {
        printf("%s%u", i ? "," : "", j->out.signers[i]);
    }
    printf("],\"micros\":%llu,\"bytes\":%llu,\"moves\":%llu,\"insecure_sim\":%s}\n",
           (unsigned long long)j->out.micros, (unsigned long long)j->out.bytes,
           (unsigned long long)j->out.moves, j->key.flags & QR_KEY_INSECURE_SIM ? "true" : "false");
}

static void
print_human(const struct qr_ctl *c, const struct qr_client_job *j)
{
    char t[129];
    for (size_t i = 0; i < j->out.n; i++) {
        qr_hex_encode(qr_view_of(j->out.rs[i], 64), t);
        printf("r          %.64s\ns          %s\nrecid      %u\n", t, t + 64, j->out.recid[i]);
        qr_hex_encode(qr_view_of(j->request.items[i].digest, 32), t);
        printf("digest     %s\n", t);
    }
    qr_hex_encode(qr_view_of(j->out.pk, 33), t);
    printf("public key %s\nsigners   ", t);
    for (size_t i = 0; i < j->out.n_signers; i++) {
        printf(" %u", j->out.signers[i]);
    }
    printf(" (of %u, %u needed)\n", j->key.n, j->key.t);
    qr_ctl_progress(c, "verified: the key is the roster's, the signature is the key's");
    if (j->key.flags & QR_KEY_INSECURE_SIM) {
        qr_ctl_warn(c, "the key was made with the software TEE, which protects nothing");
    }
}

static int
write_results(const struct qr_ctl *c, struct job *j)
{
    uint8_t der[QR_ECSIG_DER_MAX];
    struct qr_dbuf pem;
    int code = QR_EXIT_OK;

    if (j->der) {
        code = qr_ctl_write(c, j->der, qr_view_of(der, qr_ecsig_der(j->j.out.rs[0], der)), 0644);
    }
    if (code == QR_EXIT_OK && j->pem) {
        qr_dbuf_init(&pem, 4096);
        code = qr_ecsig_spki_pem(j->j.out.pk, &pem) == QR_OK
                   ? qr_ctl_write(c, j->pem, qr_view_of(pem.p, pem.len), 0644)
                   : qr_ctl_fail(c, QR_EXIT_INTERNAL, "the public key cannot be encoded");
        qr_dbuf_free(&pem);
    }
    if (code == QR_EXIT_OK && j->out) {
        code = qr_ctl_want_psbt(c, &j->want, &j->j, j->out);
    }
    if (code == QR_EXIT_OK && c->json) {
        print_json(&j->j);
    } else if (code == QR_EXIT_OK) {
        print_human(c, &j->j);
    }
    return code;
}

/* ---- sign, request ---- */

#define OPTIONS_MAX 24u

/* What both commands take, then `own`, which ends with QR_CTL_END. */
static void
put_options(struct qr_ctl_want *w, const struct qr_ctl_opt *own,
            struct qr_ctl_opt out[static OPTIONS_MAX])
{
    const struct qr_ctl_opt both[] = {
        {"roster", QR_CTL_TEXT, &w->roster, "FILE", "the roster you trust", 1, 0},
        {"key", QR_CTL_TEXT, &w->key_hex, "HEX", "the quorum's public key", 0, 0},
        {"client", QR_CTL_TEXT, &w->client, "FILE",
         "your private key, whose public half is in the policy", 0, 0},
        {"kind", QR_CTL_TEXT, &w->kind, "KIND",
         "sha256 (default), sha256d, keccak256, eip191, eip712, eth_tx, digest", 0, 0},
        {"psbt", QR_CTL_TEXT, &w->psbt_file, "FILE",
         "a PSBT instead of FILE: all inputs of the key", 0, 0},
        {"path", QR_CTL_TEXT, &w->path, "0/5", "BIP32 child, non-hardened", 0, 0},
        {"hex", QR_CTL_FLAG, &w->hex, NULL, "the input is hex text", 0, 0},
        {"id", QR_CTL_TEXT, &w->id, "ID", "request id; repeat it to repeat a request", 0, 0},
        {"life", QR_CTL_NUMBER, &w->life_s, "SECONDS",
         "how long it may be answered (default 120); longer while approvers decide", 0,
         QR_APPROVAL_LIFE_MS / 1000},
        {"ca", QR_CTL_TEXT, &w->ca, "FILE", "roots for https instead of the system's", 0, 0},
    };
    size_t n = sizeof both / sizeof both[0];

    memcpy(out, both, sizeof both);
    do {
        QR_ASSERT(n < OPTIONS_MAX);
        out[n++] = *own;
    } while (own++->kind != QR_CTL_END);
}

static int
sign(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    static struct job j;
    struct qr_ctl_list rest;
    struct qr_ctl_opt opts[OPTIONS_MAX];
    const struct qr_ctl_opt own[] = {
        {"gateway", QR_CTL_TEXT, &j.gateways, "URL[,URL...]", "gateways, tried in this order", 1,
         0},
        {"request", QR_CTL_TEXT, &j.want.request, "FILE", "a request by quorate request, as it is",
         0, 0},
        {"approval", QR_CTL_MANY, &j.approval, "FILE", "an approver's consent; up to 7 times", 0,
         0},
        {"der", QR_CTL_TEXT, &j.der, "FILE", "write the (first) signature in DER", 0, 0},
        {"pem", QR_CTL_TEXT, &j.pem, "FILE", "write the public key it verifies under, in PEM", 0,
         0},
        {"out", QR_CTL_TEXT, &j.out, "FILE", "write the PSBT with its signatures", 0, 0},
        {"receipt", QR_CTL_TEXT, &j.receipt, "FILE", "write the receipt", 0, 0},
        {.kind = QR_CTL_END},
    };

    memset(&j, 0, sizeof j);
    put_options(&j.want, own, opts);
    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 0, QR_CTL_LIST_MAX);
    if (code >= 0) {
        return code;
    }
    j.want.files = &rest;
    if ((j.want.psbt_file == NULL) != (j.out == NULL)) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--psbt and --out belong together");
    }
    code = qr_ctl_want_trust(c, &j.want);
    if (code == QR_EXIT_OK) {
        code = read_approvals(c, &j);
    }
    if (code == QR_EXIT_OK) {
        code = new_client(c, &j, j.gateways);
    }
    if (code == QR_EXIT_OK) {
        code = qr_ctl_want_job(c, &j.want, j.client, &j.j);
    }
    if (code == QR_EXIT_OK) {
        code = sign_it(c, &j);
    }
    if (code == QR_EXIT_OK) {
        code = write_results(c, &j);
    }
    if (code == QR_EXIT_OK && j.receipt) {
        code = write_receipt(c, &j);
    }
    job_clear(&j);
    return code;
}

static int
request(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    static struct job j;
    const char *out = NULL;
    char hash[65];
    struct qr_dbuf d;
    struct qr_ctl_list rest;
    struct qr_ctl_opt opts[OPTIONS_MAX];
    const struct qr_ctl_opt own[] = {
        {"gateway", QR_CTL_TEXT, &j.gateways, "URL[,URL...]",
         "for a PSBT with --path: shows the key", 0, 0},
        {"out", QR_CTL_TEXT, &out, "FILE", "where to write it (default: stdout)", 0, 0},
        {.kind = QR_CTL_END},
    };

    memset(&j, 0, sizeof j);
    put_options(&j.want, own, opts);
    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 0, QR_CTL_LIST_MAX);
    if (code >= 0) {
        return code;
    }
    j.want.files = &rest;
    qr_dbuf_init(&d, QR_CTL_REQUEST_MAX);
    code = qr_ctl_want_trust(c, &j.want);
    if (code == QR_EXIT_OK) {
        code = new_client(c, &j, j.gateways ? j.gateways : NOWHERE);
    }
    if (code == QR_EXIT_OK) {
        code = qr_ctl_want_job(c, &j.want, j.client, &j.j);
    }
    if (code == QR_EXIT_OK) {
        qr_hex_encode(qr_view_of(j.j.request.hash, 32), hash);
        code = qr_ctl_want_put(&j.j, &d) == QR_OK
                   ? qr_ctl_write(c, out, qr_view_of(d.p, d.len), 0644)
                   : qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
    }
    if (code == QR_EXIT_OK && out) {
        printf(c->json ? "{\"request\":\"%s\"}\n" : "%s\n", hash);
    }
    qr_dbuf_free(&d);
    job_clear(&j);
    return code;
}

/* ---- verify ---- */

int
qr_ctl_verify_signature(const struct qr_ctl *c, const char *pub, const char *sig, const char *file)
{
    struct qr_dbuf d = {0}, s = {0};
    uint8_t pk33[33], rs[64], digest[32];
    qr_pt pk;

    if (strlen(pub) != 66 || qr_hex_decode(pub, 66, pk33, sizeof pk33) != QR_OK ||
        qr_pt_parse(&pk, pk33) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--key is no compressed secp256k1 public key in hex");
    }
    int code = qr_ctl_read(c, sig, 128, &s);
    if (code != QR_EXIT_OK) {
        return code;
    }
    code = qr_ctl_read(c, file, 1u << 30, &d);
    if (code == QR_EXIT_OK) {
        qr_sha256(qr_view_of(d.p, d.len), digest);
        if (qr_ecsig_parse(qr_view_of(s.p, s.len), rs) != QR_OK) {
            code = qr_ctl_fail(c, QR_EXIT_CONFIG, "%s is no DER signature", sig);
        } else if (qr_ecdsa_verify(&pk, digest, rs) != QR_OK) {
            code = qr_ctl_fail(c, QR_EXIT_REFUSED, "the signature does not verify");
        } else {
            puts(c->json ? "{\"verified\":true}" : "verified");
        }
        qr_dbuf_free(&d);
    }
    qr_dbuf_free(&s);
    return code;
}

const struct qr_ctl_cmd qr_ctl_sign_cmds[] = {
    {"sign", "FILE...",
     "Have FILE (- for stdin) signed; checks the key and the signature before showing anything.",
     sign},
    {"request", "FILE...", "Write and stamp a request without sending it, for approvers to see.",
     request},
    {.name = NULL},
};
