#include "daemon/gw_render.h"

#include "daemon/jsonw.h"

static const char *
phrase(unsigned status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 411:
        return "Length Required";
    case 413:
        return "Content Too Large";
    case 415:
        return "Unsupported Media Type";
    case 422:
        return "Unprocessable Content";
    case 429:
        return "Too Many Requests";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    default:
        return "Internal Server Error";
    }
}

struct qr_gw_problem
qr_gw_problem_of(qr_err e, qr_view detail)
{
    int status = qr_err_http(e);
    if (status < 400) {
        /* An "ok" without a result is the party's fault, not the client's. */
        e = QR_ERR_INTERNAL;
        status = qr_err_http(e);
    }
    return (struct qr_gw_problem){
        .status = (unsigned)status,
        .code = qr_err_code(e),
        .detail = detail.len ? detail : qr_view_str(qr_err_text(e)),
        .retry_s = status == 429 || status == 503,
    };
}

struct qr_gw_problem
qr_gw_problem_of_answer(const struct qr_answer *a)
{
    struct qr_gw_problem p = qr_gw_problem_of(a->error, a->detail);

    p.party = a->party;
    p.rule = a->rule;
    if (a->error == QR_ERR_APPROVALS) {
        p.need = a->need;
        p.n_approvers = a->n_approvers;
        p.approvers = a->approvers;
    } else if (a->error == QR_ERR_LIMIT) {
        p.retry_s = a->retry_s;
    }
    return p;
}

qr_err
qr_gw_render_problem(struct qr_dbuf *out, const struct qr_gw_problem *p)
{
    struct qr_jsonw w = qr_jsonw_to(out);

    qr_jsonw_raw(&w, "{\"title\":\"");
    qr_jsonw_raw(&w, phrase(p->status));
    qr_jsonw_raw(&w, "\",\"status\":");
    qr_jsonw_u64(&w, p->status);
    qr_jsonw_raw(&w, ",\"code\":\"");
    qr_jsonw_raw(&w, p->code);
    qr_jsonw_raw(&w, "\"");
    if (p->detail.len) {
        qr_jsonw_raw(&w, ",\"detail\":");
        qr_jsonw_str(&w, p->detail);
    }
    if (p->party) {
        qr_jsonw_raw(&w, ",\"party\":");
        qr_jsonw_u64(&w, p->party);
    }
    if (p->rule.len) {
        qr_jsonw_raw(&w, ",\"rule\":");
        qr_jsonw_str(&w, p->rule);
    }
    if (p->need) {
        qr_jsonw_raw(&w, ",\"need\":");
        qr_jsonw_u64(&w, p->need);
        qr_jsonw_raw(&w, ",\"approvers\":[");
        for (size_t i = 0; i < p->n_approvers; i++) {
            qr_jsonw_raw(&w, i ? "," : "");
            qr_jsonw_str(&w, p->approvers[i]);
        }
        qr_jsonw_raw(&w, "]");
    }
    if (p->retry_s) {
        qr_jsonw_raw(&w, ",\"retry_s\":");
        qr_jsonw_u64(&w, p->retry_s);
    }
    qr_jsonw_raw(&w, "}\n");
    return w.err;
}

qr_err
qr_gw_render_signed(struct qr_dbuf *out, const struct qr_answer_signed *s)
{
    struct qr_jsonw w = qr_jsonw_to(out);

    qr_jsonw_raw(&w, "{\"v\":1,\"request\":");
    qr_jsonw_hex(&w, s->request, sizeof s->request);
    qr_jsonw_raw(&w, ",\"key\":");
    qr_jsonw_hex(&w, s->key, sizeof s->key);
    qr_jsonw_raw(&w, ",\"signatures\":[");
    for (size_t i = 0; i < s->n_sigs; i++) {
        const struct qr_answer_sig *g = &s->sigs[i];
        qr_jsonw_raw(&w, i ? ",{\"digest\":" : "{\"digest\":");
        qr_jsonw_hex(&w, g->digest, sizeof g->digest);
        qr_jsonw_raw(&w, ",\"r\":");
        qr_jsonw_hex(&w, g->rs, 32);
        qr_jsonw_raw(&w, ",\"s\":");
        qr_jsonw_hex(&w, g->rs + 32, 32);
        qr_jsonw_raw(&w, ",\"recid\":");
        qr_jsonw_u64(&w, g->recid);
        qr_jsonw_raw(&w, "}");
    }
    qr_jsonw_raw(&w, "],\"signers\":[");
    for (size_t i = 0; i < s->n_signers; i++) {
        qr_jsonw_raw(&w, i ? "," : "");
        qr_jsonw_u64(&w, s->signers[i]);
    }
    qr_jsonw_raw(&w, "],\"micros\":");
    qr_jsonw_u64(&w, s->micros);
    qr_jsonw_raw(&w, ",\"bytes\":");
    qr_jsonw_u64(&w, s->bytes);
    if (s->moves) {
        qr_jsonw_raw(&w, ",\"moves\":");
        qr_jsonw_u64(&w, s->moves);
        qr_jsonw_raw(&w, ",\"move_reason\":");
        qr_jsonw_str(&w, s->move_reason);
    }
    if (s->insecure_sim) {
        qr_jsonw_raw(&w, ",\"insecure_sim\":true");
    }
    qr_jsonw_raw(&w, "}\n");
    return w.err;
}
