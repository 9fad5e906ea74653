#include "daemon/gw_check.h"

#include "daemon/addr.h"

#include <limits.h>
#include <strings.h>

static int
is(qr_view name, const char *s)
{
    return name.len == strlen(s) && strncasecmp((const char *)name.p, s, name.len) == 0;
}

static void
add_approvals(struct qr_gw_head *h, qr_view list)
{
    for (size_t at = 0, n = 0; at <= list.len; at += n + 1) {
        n = 0;
        while (at + n < list.len && list.p[at + n] != ',') {
            n++;
        }
        qr_view v = {list.len ? list.p + at : list.p, n};
        while (v.len && (v.p[0] == ' ' || v.p[0] == '\t')) {
            v.p++;
            v.len--;
        }
        while (v.len && (v.p[v.len - 1] == ' ' || v.p[v.len - 1] == '\t')) {
            v.len--;
        }
        if (h->n_approval < QR_APPROVALS_MAX) {
            h->approval[h->n_approval] = v;
        }
        h->n_approval++;
    }
}

void
qr_gw_head_add(struct qr_gw_head *h, qr_view name, qr_view value)
{
    h->n++;
    if (memchr(name.p, 0, name.len) || (value.len && memchr(value.p, 0, value.len))) {
        h->bad++;
    }
    if (is(name, "Content-Length")) {
        h->n_length++;
        h->length = value;
    } else if (is(name, "Transfer-Encoding")) {
        h->n_coding++;
    } else if (is(name, "Host")) {
        h->n_host++;
    } else if (is(name, "Content-Type")) {
        h->n_type++;
        h->type = value;
    } else if (is(name, "Content-Encoding")) {
        h->n_encoding++;
    } else if (is(name, "X-Stamp")) {
        h->n_stamp++;
        h->stamp = value;
    } else if (is(name, "X-Approval")) {
        add_approvals(h, value);
    } else if (is(name, "Origin")) {
        h->n_origin++;
        h->origin = value;
    } else if (is(name, "Access-Control-Request-Method")) {
        h->n_preflight++;
    } else if (is(name, "traceparent")) {
        h->n_trace++;
        h->trace = value;
    }
}

static void
refuse(struct qr_gw_verdict *v, unsigned status, const char *code, const char *detail)
{
    v->problem =
        (struct qr_gw_problem){.status = status, .code = code, .detail = qr_view_str(detail)};
}

/* "application/json", perhaps with charset=utf-8. */
static int
is_json(qr_view t)
{
    static const char base[] = "application/json";
    size_t n = sizeof base - 1;
    if (t.len < n || strncasecmp((const char *)t.p, base, n) != 0) {
        return 0;
    }
    while (n < t.len && (t.p[n] == ' ' || t.p[n] == ';')) {
        n++;
    }
    qr_view rest = {t.p + n, t.len - n};
    return rest.len == 0 || (n > sizeof base - 1 && is(rest, "charset=utf-8"));
}

/* 00-<32 hex>-<16 hex>-<2 hex>; anything else is ignored, as the standard says. */
static int
is_trace(qr_view t)
{
    if (t.len != QR_TRACEPARENT_LEN || memcmp(t.p, "00-", 3) != 0) {
        return 0;
    }
    for (size_t i = 3; i < t.len; i++) {
        int dash = i == 35 || i == 52;
        int hex = (t.p[i] >= '0' && t.p[i] <= '9') || (t.p[i] >= 'a' && t.p[i] <= 'f');
        if (dash ? t.p[i] != '-' : !hex) {
            return 0;
        }
    }
    return 1;
}

/* How long the body is must be certain before anything else is looked at. Returns 0 if it is not. */
static int
judge_framing(const struct qr_gw_head *h, struct qr_gw_verdict *v)
{
    unsigned long n = 0;

    v->must_close = 1;
    if (h->bad) {
        refuse(v, 400, "malformed", "a header field contains a NUL");
    } else if (h->n > QR_GW_FIELDS_MAX) {
        refuse(v, 400, "malformed", "more than 64 header fields");
    } else if (h->n_host > 1) {
        refuse(v, 400, "malformed", "more than one Host header");
    } else if (h->n_length > 1) {
        refuse(v, 400, "malformed", "more than one Content-Length header");
    } else if (h->n_length && h->n_coding) {
        refuse(v, 400, "malformed", "both Content-Length and Transfer-Encoding");
    } else if (h->n_coding) {
        refuse(v, 411, QR_GW_CODE_LENGTH,
               "send a Content-Length; transfer codings are not accepted");
    } else if (h->n_length &&
               !qr_parse_decimal((const char *)h->length.p, h->length.len, LONG_MAX, &n)) {
        refuse(v, 400, "malformed", "Content-Length is not a plain decimal number");
    } else {
        v->body_len = n;
        v->must_close = n > QR_GW_DRAIN_MAX;
        return 1;
    }
    return 0;
}

static void
judge_approvals(const struct qr_gw_head *h, struct qr_gw_verdict *v)
{
    if (h->n_approval > QR_APPROVALS_MAX) {
        refuse(v, 400, "malformed", "more than 7 X-Approval headers");
        return;
    }
    for (unsigned i = 0; i < h->n_approval; i++) {
        if (h->approval[i].len == 0) {
            refuse(v, 400, "malformed", "X-Approval is empty");
        } else if (h->approval[i].len > QR_STAMP_MAX) {
            refuse(v, 413, "too_large", "X-Approval may have 2048 bytes");
        }
    }
}

static void
judge_post(const struct qr_gw_head *h, struct qr_gw_verdict *v)
{
    if (!h->n_length) {
        refuse(v, 411, QR_GW_CODE_LENGTH, "send a Content-Length");
    } else if (v->body_len > QR_BODY_MAX) {
        refuse(v, 413, "too_large", "the body may have 65536 bytes");
    } else if (v->body_len == 0) {
        refuse(v, 400, "malformed", "the body is empty");
    } else if (h->n_type > 1) {
        refuse(v, 400, "malformed", "more than one Content-Type header");
    } else if (!h->n_type || !is_json(h->type)) {
        refuse(v, 415, QR_GW_CODE_MEDIA, "Content-Type must be application/json");
    } else if (h->n_encoding) {
        refuse(v, 415, QR_GW_CODE_MEDIA, "content codings are not accepted");
    } else if (h->n_stamp == 0) {
        refuse(v, 401, "stamp_missing", "send the client's signature over the body as X-Stamp");
    } else if (h->n_stamp > 1) {
        refuse(v, 400, "malformed", "more than one X-Stamp header");
    } else if (h->stamp.len == 0) {
        refuse(v, 401, "stamp_missing", "X-Stamp is empty");
    } else if (h->stamp.len > QR_STAMP_MAX) {
        refuse(v, 413, "too_large", "X-Stamp may have 2048 bytes");
    } else {
        judge_approvals(h, v);
    }
}

void
qr_gw_judge(const struct qr_gw_head *h, enum qr_gw_route route, enum qr_gw_method method,
            struct qr_gw_verdict *ret)
{
    *ret = (struct qr_gw_verdict){.body_len = 0};
    if (!judge_framing(h, ret)) {
        return;
    }
    if (h->n_trace == 1 && is_trace(h->trace)) {
        ret->trace = h->trace;
    }
    if (route == QR_GW_NONE) {
        refuse(ret, 404, QR_GW_CODE_ROUTE, "no such path");
    } else if (!qr_gw_route_takes(route, method)) {
        refuse(ret, 405, QR_GW_CODE_METHOD, "this path does not take this method; see Allow");
    } else if (method == QR_GW_POST) {
        judge_post(h, ret);
    } else if (ret->body_len > 0) {
        refuse(ret, 400, "malformed", "this request takes no body");
    }
}
