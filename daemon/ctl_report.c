#include "daemon/ctl_report.h"

#include "daemon/jsonw.h"

#include <jansson.h>
#include <stdarg.h>

#define CLAIMS_FIRST (64u * 1024u)

/* ---- claims ---- */

/* The claims as JSON text, NUL-terminated; the caller frees d. */
static qr_err
claims_text(const struct qr_verdict *v, struct qr_dbuf *d)
{
    qr_err e = QR_ERR_TOO_LARGE;

    qr_dbuf_init(d, QR_REPORT_MAX);
    for (size_t cap = CLAIMS_FIRST; e == QR_ERR_TOO_LARGE && cap <= QR_REPORT_MAX; cap *= 4) {
        size_t len = 0;
        qr_dbuf_free(d);
        QR_TRY(qr_dbuf_reserve(d, cap));
        e = qr_claims_json(&v->claims, (char *)d->p, cap, &len);
        d->len = len;
    }
    return e;
}

/* For looking into; a number that jansson cannot hold (TPM clocks are 64 bits) is read roughly. */
static json_t *
claims_tree(const struct qr_dbuf *text)
{
    json_error_t err;
    json_t *j = json_loadb((const char *)text->p, text->len, JSON_ALLOW_NUL, &err);

    return j ? j
             : json_loadb((const char *)text->p, text->len,
                          JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &err);
}

/* A member of the claim "tcb", which Intel's platforms have; a borrowed reference or NULL. */
static const json_t *
of_tcb(const json_t *claims, const char *name)
{
    return json_object_get(json_object_get(claims, "tcb"), name);
}

static void
put_text(struct qr_jsonw *w, const json_t *s)
{
    qr_jsonw_str(w, qr_view_of(json_string_value(s), json_string_length(s)));
}

static void
put_tcb(struct qr_jsonw *w, const struct qr_verdict *v, const json_t *claims)
{
    const json_t *status = of_tcb(claims, "final_status"), *list = of_tcb(claims, "advisories");
    size_t n = v->reason == QR_REASON_NONE ? json_array_size(list) : 0, put = 0;

    qr_jsonw_raw(w, ",\"tcb_status\":");
    if (v->reason == QR_REASON_NONE && json_is_string(status)) {
        put_text(w, status);
    } else {
        qr_jsonw_raw(w, "null");
    }
    qr_jsonw_raw(w, ",\"advisories\":[");
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i);
        if (json_is_string(one)) {
            qr_jsonw_raw(w, put++ ? "," : "");
            put_text(w, one);
        }
    }
    qr_jsonw_raw(w, "]");
}

/* ---- for programs ---- */

static const char *
result_word(const struct qr_verdict *v, enum qr_check c)
{
    switch ((enum qr_check_result)v->check[c]) {
    case QR_CHECK_PASS:
        return "pass";
    case QR_CHECK_FAIL:
        return "fail";
    case QR_CHECK_SKIPPED:
    default:
        return "skipped";
    }
}

qr_err
qr_ctl_report_json(const char *platform, const struct qr_verdict *v, struct qr_dbuf *out)
{
    struct qr_jsonw w = qr_jsonw_to(out);
    struct qr_dbuf claims;
    qr_err e = claims_text(v, &claims);

    if (e != QR_OK) {
        qr_dbuf_free(&claims);
        return e;
    }
    json_t *j = claims_tree(&claims);
    qr_jsonw_raw(&w, "{\"platform\":");
    qr_jsonw_str(&w, qr_view_str(platform));
    qr_jsonw_raw(&w, v->reason == QR_REASON_NONE ? ",\"verdict\":\"valid\",\"reason\":null"
                                                 : ",\"verdict\":\"invalid\",\"reason\":\"");
    if (v->reason != QR_REASON_NONE) {
        qr_jsonw_raw(&w, qr_reason_word(v->reason));
        qr_jsonw_raw(&w, "\"");
    }
    put_tcb(&w, v, j);
    qr_jsonw_raw(&w, ",\"checks\":{");
    for (int i = 0; i < QR_CHECK_COUNT; i++) {
        qr_jsonw_raw(&w, i ? ",\"" : "\"");
        qr_jsonw_raw(&w, qr_check_name((enum qr_check)i));
        qr_jsonw_raw(&w, "\":\"");
        qr_jsonw_raw(&w, result_word(v, (enum qr_check)i));
        qr_jsonw_raw(&w, "\"");
    }
    qr_jsonw_raw(&w, "},\"claims\":");
    qr_jsonw_raw(&w, (const char *)claims.p);
    qr_jsonw_raw(&w, "}\n");
    json_decref(j);
    qr_dbuf_free(&claims);
    return w.err;
}

/* ---- for people ---- */

const char *
qr_ctl_report_advice(enum qr_reason r)
{
    static const char *const advice[QR_REASON_COUNT] = {
        [QR_REASON_MALFORMED] =
            "Fetch the evidence again; if it stays so, do not talk to its sender.",
        [QR_REASON_TRAILING_DATA] = "Hand over the document alone, without what follows it.",
        [QR_REASON_RESOURCE_LIMIT] =
            "Genuine evidence is never so large; do not talk to its sender.",
        [QR_REASON_DUPLICATE_KEY] =
            "Genuine evidence says nothing twice; do not talk to its sender.",
        [QR_REASON_UNSUPPORTED] =
            "A newer or other platform than this verifier knows: look for an update of quorate.",
        [QR_REASON_SIGNATURE] = "The evidence or its collateral was changed, or belongs to another "
                                "machine; fetch both again from the machine itself.",
        [QR_REASON_CHAIN] = "Fetch the certificates of this very machine again from the vendor.",
        [QR_REASON_UNTRUSTED_ROOT] =
            "These certificates end in a root that is not the vendor's; do not talk to the sender.",
        [QR_REASON_EXPIRED] = "Ask for new evidence, or name the time of recording with --at.",
        [QR_REASON_NOT_YET_VALID] = "Compare the clocks, or name the time of recording with --at.",
        [QR_REASON_REVOKED] =
            "The vendor no longer stands for this machine; take it out of service.",
        [QR_REASON_COLLATERAL_MISSING] = "Fetch the piece that the sentence names from the vendor.",
        [QR_REASON_COLLATERAL_EXPIRED] =
            "Fetch the vendor's lists again, or name the time of recording with --at.",
        [QR_REASON_COLLATERAL_MISMATCH] = "Fetch the vendor's lists of this very platform.",
        [QR_REASON_COLLATERAL_ROLLBACK] =
            "Fetch the vendor's lists again; somebody sent an older issue than was seen before.",
        [QR_REASON_TCB] =
            "Update the machine's firmware and microcode, or fetch the certificate of the firmware "
            "that it reports.",
        [QR_REASON_MEASUREMENT] =
            "Something else runs there than was agreed; compare with the published measurements.",
        [QR_REASON_DEBUG] = "Start it without debugging; what a debugger can read is no secret.",
        [QR_REASON_BINDER] =
            "Evidence for somebody else, or an old one: ask again with a new nonce.",
        [QR_REASON_KEY_BINDING] =
            "The key is not bound to this machine; do not talk to its sender.",
        [QR_REASON_IDENTITY_MISMATCH] = "Fetch the certificate of this very chip from the vendor.",
        [QR_REASON_NOT_EVIDENCE] =
            "This proves nothing to somebody far away: ask for a quote, a report or a token.",
        [QR_REASON_STALE] = "Ask for new evidence, or name the time of recording with --at.",
        [QR_REASON_POLICY] =
            "Genuine, and not what the policy wants: change the machine, or the policy, signed.",
    };
    return r < QR_REASON_COUNT && advice[r] ? advice[r] : "";
}

static void line(struct qr_jsonw *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
line(struct qr_jsonw *w, const char *format, ...)
{
    char text[QR_SENTENCE_MAX + 128];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    qr_jsonw_raw(w, text);
    qr_jsonw_raw(w, "\n");
}

static void
put_checks(struct qr_jsonw *w, const struct qr_verdict *v)
{
    static const struct {
        enum qr_check_result result;
        const char *mark;
    } order[] = {{QR_CHECK_FAIL, "NO"}, {QR_CHECK_PASS, "ok"}};
    size_t column = 0;

    for (size_t k = 0; k < sizeof order / sizeof order[0]; k++) {
        for (int i = 0; i < QR_CHECK_COUNT; i++) {
            if (v->check[i] == order[k].result) {
                line(w, "      %s  %-13s %s", order[k].mark, qr_check_name((enum qr_check)i),
                     qr_check_meaning((enum qr_check)i));
            }
        }
    }
    for (int i = 0; i < QR_CHECK_COUNT; i++) {
        const char *name = qr_check_name((enum qr_check)i);
        if (v->check[i] == QR_CHECK_SKIPPED) {
            int fresh = column == 0 || column + strlen(name) + 2 > 90;
            qr_jsonw_raw(w, column == 0 ? "not made  " : fresh ? ",\n          " : ", ");
            qr_jsonw_raw(w, name);
            column = (fresh ? 10 : column + 2) + strlen(name);
        }
    }
    qr_jsonw_raw(w, column ? "\n" : "");
}

/* Indented JSON, by jansson's own writer. */
static int
append(const char *p, size_t n, void *out)
{
    return qr_dbuf_append(out, p, n) == QR_OK ? 0 : -1;
}

qr_err
qr_ctl_report_text(const char *platform, const struct qr_verdict *v, int claims,
                   struct qr_dbuf *out)
{
    struct qr_jsonw w = qr_jsonw_to(out);
    struct qr_dbuf text;
    qr_err e = claims_text(v, &text);

    if (e != QR_OK) {
        qr_dbuf_free(&text);
        return e;
    }
    json_t *j = claims_tree(&text);
    const json_t *status = of_tcb(j, "final_status");
    line(&w, "platform  %s", platform);
    if (v->reason == QR_REASON_NONE) {
        line(&w, "verdict   valid");
    } else {
        line(&w, "verdict   invalid: %s (check %s)", qr_reason_word(v->reason),
             qr_check_name(v->failed));
        line(&w, "because   %s", v->sentence);
        line(&w, "to do     %s", qr_ctl_report_advice(v->reason));
    }
    if (v->reason == QR_REASON_NONE && json_is_string(status)) {
        line(&w, "TCB       %s", json_string_value(status));
    }
    put_checks(&w, v);
    if (claims && json_object_size(j) > 0) {
        line(&w, v->reason == QR_REASON_NONE ? "\nclaims" : "\nclaims, of refused evidence");
        if (w.err == QR_OK &&
            json_dump_callback(j, append, out, JSON_INDENT(2) | JSON_ENSURE_ASCII) != 0) {
            w.err = QR_ERR_NO_MEMORY;
        }
        qr_jsonw_raw(&w, "\n");
    }
    json_decref(j);
    qr_dbuf_free(&text);
    return w.err;
}
