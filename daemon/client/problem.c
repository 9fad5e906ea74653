#include "daemon/client/problem.h"

#include "proto/json_strict.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Text of a stranger: printable characters only. */
static void
put_safe(char *out, size_t cap, const char *s)
{
    size_t n = strlen(out);
    for (; s && *s && n + 1 < cap; s++) {
        out[n++] = *s >= 0x20 && *s < 0x7f ? *s : '?';
    }
    out[n] = '\0';
}

static void
read_approvers(const json_t *list, struct qr_problem *p)
{
    for (size_t i = 0; i < json_array_size(list) && i < QR_APPROVERS_MAX; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name) {
            put_safe(p->approvers, sizeof p->approvers, p->approvers[0] ? ", " : "");
            put_safe(p->approvers, sizeof p->approvers, name);
        }
    }
}

void
qr_problem_read(unsigned status, qr_view body, struct qr_problem *ret)
{
    struct qr_json j = {0};
    char err[QR_ERR_TEXT_MAX];

    memset(ret, 0, sizeof *ret);
    ret->status = status;
    if (qr_json_parse_foreign(&j, body, QR_PROBLEM_VALUES, err, sizeof err) != QR_OK) {
        return;
    }
    put_safe(ret->code, sizeof ret->code, json_string_value(json_object_get(j.root, "code")));
    put_safe(ret->detail, sizeof ret->detail, json_string_value(json_object_get(j.root, "detail")));
    put_safe(ret->rule, sizeof ret->rule, json_string_value(json_object_get(j.root, "rule")));
    json_int_t party = json_integer_value(json_object_get(j.root, "party"));
    json_int_t need = json_integer_value(json_object_get(j.root, "need"));
    ret->party = party > 0 && party <= QR_MAX_PARTIES ? (unsigned)party : 0;
    ret->need = need > 0 && need <= (json_int_t)QR_APPROVERS_MAX ? (uint32_t)need : 0;
    read_approvers(json_object_get(j.root, "approvers"), ret);
    qr_json_clear(&j);
}

/* Appends ", name value". */
static size_t
add(char *out, size_t cap, size_t at, const char *name, const char *value)
{
    if (!value[0] || at >= cap) {
        return at;
    }
    int n = snprintf(out + at, cap - at, ", %s %s", name, value);
    return n > 0 ? at + (size_t)n : at;
}

const char *
qr_problem_text(const struct qr_problem *p, char *out, size_t cap)
{
    char number[24] = "", rule[QR_QUOTE_MAX], code[QR_QUOTE_MAX];

    int n = snprintf(out, cap, "%u %s%s%s", p->status, qr_quote(code, qr_view_str(p->code)),
                     p->detail[0] ? ": " : "", p->detail);
    size_t at = n > 0 ? (size_t)n : 0;
    if (p->party) {
        snprintf(number, sizeof number, "%u", p->party);
    }
    at = add(out, cap, at, "party", number);
    at = add(out, cap, at, "rule", p->rule[0] ? qr_quote(rule, qr_view_str(p->rule)) : "");
    number[0] = '\0';
    if (p->need) {
        snprintf(number, sizeof number, "%u", p->need);
    }
    at = add(out, cap, at, "approvals needed", number);
    (void)add(out, cap, at, "of", p->approvers);
    return out;
}

int
qr_problem_is_temporary(const struct qr_problem *p)
{
    return p->status == 429 || p->status >= 502;
}

int
qr_problem_is_refusal(const struct qr_problem *p)
{
    return p->status == 401 || p->status == 403 || p->status == 409;
}
