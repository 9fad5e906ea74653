/* quorate receipt get, receipt verify (receipt.h). */
#include "daemon/client/http.h"
#include "daemon/ctl.h"
#include "daemon/ctl_audit.h"
#include "daemon/jsonw.h"
#include "daemon/receipt.h"
#include "protocol/base/enc.h"

#include <stdio.h>

#define GET_MS 10000u

static int
get(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    const char *gateway = NULL, *request = NULL, *out = NULL, *ca = NULL;
    struct qr_ctl_list rest = {0};
    const struct qr_ctl_opt opts[] = {
        {"gateway", QR_CTL_TEXT, &gateway, "URL", "the gateway that answered the request", 1, 0},
        {"request", QR_CTL_TEXT, &request, "HEX", "\"request\" of its answer", 1, 0},
        {"out", QR_CTL_TEXT, &out, "FILE", "a new file instead of stdout", 0, 0},
        {"ca", QR_CTL_TEXT, &ca, "FILE", "PEM roots instead of the system's", 0, 0},
        {.kind = QR_CTL_END},
    };
    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 0, 0);
    if (code >= 0) {
        return code;
    }
    char path[128], err[QR_ERR_TEXT_MAX] = "";
    uint8_t hash[32];
    struct qr_http_url u;
    struct qr_http_response r = {0};
    if (qr_hex_decode(request, strlen(request), hash, 32) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--request takes 64 lower-case hex digits");
    }
    if (qr_http_url_parse(gateway, &u) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--gateway takes http://HOST:PORT or https://HOST");
    }
    (void)snprintf(path, sizeof path, "/v1/receipts/%s", request);
    const struct qr_http_request q = {
        .method = "GET", .path = path, .ca_file = ca, .timeout_ms = GET_MS};
    qr_err e = qr_http_do(&u, &q, &r, err, sizeof err);
    if (e != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_TEMPORARY, "%s: %s", gateway, err[0] ? err : qr_err_text(e));
    }
    qr_view body = qr_view_of(r.body.p, r.body.len);
    code = r.status == 200 ? qr_ctl_write(c, out, body, 0644)
                           : qr_ctl_problem(c, gateway, r.status, body);
    qr_dbuf_free(&r.body);
    return code;
}

/* ---- verify ------------------------------------------------------------------------------ */

struct job {
    const char *roster, *policy, *body;
    struct qr_ctl_list manifests;
    struct qr_roster *r;
    struct qr_policy *p;
    struct qr_manifest *m[QR_CTL_LIST_MAX];
};

static int
load_policy(const struct qr_ctl *c, struct job *j)
{
    char err[QR_ERR_TEXT_MAX] = "";
    struct qr_dbuf d;
    int code = qr_ctl_read(c, j->policy, QR_DOC_MAX, &d);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_err e = qr_policy_parse(qr_view_of(d.p, d.len), &j->p, err, sizeof err);
    qr_dbuf_free(&d);
    return e == QR_OK
               ? QR_EXIT_OK
               : qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", j->policy, err[0] ? err : qr_err_text(e));
}

static int
say(const struct qr_ctl *c, const struct qr_receipt_said *s, int sim)
{
    struct qr_dbuf d;
    char request[65], key[67];
    qr_hex_encode(qr_view_of(s->request, 32), request);
    qr_hex_encode(qr_view_of(s->key, 33), key);
    if (sim) {
        qr_ctl_warn(c, "the software TEE protects nothing, and anybody can make its evidence");
    }
    qr_dbuf_init(&d, 4096);
    struct qr_jsonw w = qr_jsonw_to(&d);
    if (c->json) {
        qr_jsonw_raw(&w, "{\"valid\":true,\"request\":");
        qr_jsonw_hex(&w, s->request, 32);
        qr_jsonw_raw(&w, ",\"key\":");
        qr_jsonw_hex(&w, s->key, 33);
        qr_jsonw_raw(&w, ",\"rule\":");
        qr_jsonw_str(&w, qr_view_str(s->rule));
        qr_jsonw_raw(&w, ",\"signatures\":");
        qr_jsonw_u64(&w, s->n_sigs);
        qr_jsonw_raw(&w, ",\"time_ms\":");
        qr_jsonw_u64(&w, s->time_ms);
        qr_jsonw_raw(&w, ",\"bytes\":");
        qr_jsonw_u64(&w, s->bytes);
        qr_jsonw_raw(&w, ",\"signers\":[");
        for (size_t i = 0; i < s->n_signers; i++) {
            qr_jsonw_raw(&w, i ? "," : "");
            qr_jsonw_u64(&w, s->signers[i]);
        }
        qr_jsonw_raw(&w, "]}");
    } else {
        char line[400];
        (void)snprintf(line, sizeof line,
                       "the receipt is valid\nrequest    %s\nkey        %s\nrule       %s\n"
                       "signatures %zu\nbytes      %llu\nsigners   ",
                       request, key, s->rule, s->n_sigs, (unsigned long long)s->bytes);
        qr_jsonw_raw(&w, line);
        for (size_t i = 0; i < s->n_signers; i++) {
            qr_jsonw_raw(&w, " ");
            qr_jsonw_u64(&w, s->signers[i]);
        }
    }
    int code = w.err == QR_OK ? qr_ctl_emit(c, qr_view_of(d.p, d.len))
                              : qr_ctl_fail(c, QR_EXIT_INTERNAL, "%s", qr_err_text(w.err));
    qr_dbuf_free(&d);
    return code;
}

static int
judge(const struct qr_ctl *c, const struct job *j, const char *path)
{
    struct qr_dbuf text, body = {0};
    struct qr_receipt_said said;
    char why[QR_ERR_TEXT_MAX] = "";
    int code = qr_ctl_read(c, path, QR_RECEIPT_MAX, &text);
    if (code == QR_EXIT_OK && j->body) {
        code = qr_ctl_read(c, j->body, QR_BODY_MAX, &body);
    }
    if (code == QR_EXIT_OK) {
        qr_err e = qr_receipt_verify(qr_view_of(text.p, text.len), j->r, j->p,
                                     qr_view_of(body.p, body.len), &said, why, sizeof why);
        int form = e == QR_ERR_NO_MEMORY || e == QR_ERR_TOO_LARGE;
        code = e == QR_OK
                   ? say(c, &said, qr_policy_insecure_sim(j->p))
                   : qr_ctl_fail(c, form ? qr_ctl_code(e) : QR_EXIT_REFUSED, "%s: %s", path, why);
    }
    qr_dbuf_free(&text);
    qr_dbuf_free(&body);
    return code;
}

static int
verify(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    struct job j = {0};
    struct qr_ctl_list rest = {0};
    const struct qr_ctl_opt opts[] = {
        {"roster", QR_CTL_TEXT, &j.roster, "FILE", "the roster it must have been signed under", 1,
         0},
        {"policy", QR_CTL_TEXT, &j.policy, "FILE", "the policy it must have been signed under", 1,
         0},
        {"manifest", QR_CTL_MANY, &j.manifests, "FILE",
         "measurements that the policy refers to, with FILE.sigs beside it", 0, 0},
        {"body", QR_CTL_TEXT, &j.body, "FILE", "the request's own bytes", 0, 0},
        {.kind = QR_CTL_END},
    };
    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    code = qr_ctl_load_roster(c, j.roster, &j.r);
    if (code == QR_EXIT_OK) {
        code = load_policy(c, &j);
    }
    if (code == QR_EXIT_OK) {
        code = qr_ctl_add_manifests(c, j.p, &j.manifests, j.m);
    }
    if (code == QR_EXIT_OK) {
        code = judge(c, &j, rest.v[0]);
    }
    qr_policy_free(j.p);
    for (size_t i = 0; i < j.manifests.n; i++) {
        j.m[i] = qr_manifest_free(j.m[i]);
    }
    qr_roster_free(j.r);
    return code;
}

const struct qr_ctl_cmd qr_ctl_receipt_cmds[] = {
    {"receipt get", "", "fetch the receipt of a request that was signed", get},
    {"receipt verify", "FILE", "check a receipt offline, against a roster and a policy", verify},
    {.name = NULL},
};
