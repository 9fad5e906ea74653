/* quorate audit verify: are these parties' audit logs whole? (audit_check.h) */
#include "daemon/ctl_audit.h"
#include "daemon/audit_check.h"
#include "daemon/ctl.h"
#include "daemon/ctl_case.h"
#include "daemon/ctl_logs.h"
#include "daemon/jsonw.h"
#include "daemon/roster.h"

#define FINDINGS_MAX 1000u
#define REPORT_MAX (4u * 1024u * 1024u)

struct job {
    const struct qr_ctl *c;
    struct qr_audit_check *check;
    struct qr_dbuf findings; /* JSON objects with commas */
    size_t n;
    int last_of_party; /* the file at hand is a party's newest */
};

static void
found(void *ctx, const char *where, const char *text)
{
    struct job *j = ctx;
    if (++j->n > FINDINGS_MAX) {
        return;
    }
    if (!j->c->json) {
        printf("%s%s%s\n", where, where[0] ? ": " : "", text);
        return;
    }
    struct qr_jsonw w = qr_jsonw_to(&j->findings);
    qr_jsonw_raw(&w, j->findings.len ? ",{\"where\":" : "{\"where\":");
    qr_jsonw_str(&w, qr_view_str(where));
    qr_jsonw_raw(&w, ",\"text\":");
    qr_jsonw_str(&w, qr_view_str(text));
    qr_jsonw_raw(&w, "}"); /* a full buffer shows as a smaller list than "findings" counts */
}

static int
collect(void *ctx, const struct qr_ctl_log *log, size_t number, qr_view text, int ended)
{
    struct job *j = ctx;
    (void)number;
    if (!ended) {
        return QR_EXIT_OK;
    }
    qr_err e = qr_audit_check_collect(j->check, text);
    return e == QR_OK ? QR_EXIT_OK
                      : qr_ctl_fail(j->c, QR_EXIT_INTERNAL, "%s: %s", log->path,
                                    e == QR_ERR_TOO_LARGE ? "more anchors than this program takes"
                                                          : qr_err_text(e));
}

static int
check(void *ctx, const struct qr_ctl_log *log, size_t number, qr_view text, int ended)
{
    struct job *j = ctx;
    char where[200];
    if (!ended && j->last_of_party) {
        qr_ctl_warn(j->c, "%s:%zu: an unfinished line at the end was left out", log->path, number);
        return QR_EXIT_OK;
    }
    (void)snprintf(where, sizeof where, "%s:%zu", log->path, number);
    qr_audit_check_line(j->check, where, text);
    return QR_EXIT_OK;
}

static int
run(struct job *j, const struct qr_ctl_logs *logs, const struct qr_roster *r)
{
    int code = QR_EXIT_OK;
    uint32_t have = 0;
    for (size_t i = 0; i < logs->n && code == QR_EXIT_OK; i++) {
        code = qr_ctl_logs_lines(j->c, &logs->log[i], collect, j);
    }
    qr_audit_check_sort(j->check);
    for (size_t i = 0; i < logs->n && code == QR_EXIT_OK; i++) {
        const struct qr_ctl_log *l = &logs->log[i];
        j->last_of_party = i + 1 == logs->n || logs->log[i + 1].party != l->party;
        if (l->party == 0) {
            found(j, l->path, "no line of this file is a record");
            continue;
        }
        have |= 1u << l->party;
        code = qr_ctl_logs_lines(j->c, l, check, j);
        if (j->last_of_party) {
            qr_audit_check_end(j->check, l->party);
        }
    }
    for (uint16_t i = 1; i <= r->n && code == QR_EXIT_OK; i++) {
        if (!(have >> i & 1)) {
            qr_ctl_warn(j->c, "no log of party %u was given: nothing is said of it", i);
        }
    }
    return code;
}

static int
report(const struct job *j)
{
    struct qr_audit_totals t;
    struct qr_dbuf d;
    qr_audit_check_totals(j->check, &t);
    if (!j->c->json) {
        printf("%s: %llu records of %llu boots, %llu signed heads, %llu places that others vouch "
               "for; %llu records not covered by a head yet; %llu refusals only counted\n",
               j->n ? "NOT WHOLE" : "whole", (unsigned long long)t.records,
               (unsigned long long)t.boots, (unsigned long long)t.heads,
               (unsigned long long)t.anchors, (unsigned long long)t.uncovered,
               (unsigned long long)t.unrecorded);
        return j->n ? QR_EXIT_REFUSED : QR_EXIT_OK;
    }
    qr_dbuf_init(&d, REPORT_MAX + 4096);
    struct qr_jsonw w = qr_jsonw_to(&d);
    const struct {
        const char *name;
        uint64_t v;
    } member[] = {{",\"records\":", t.records},     {",\"boots\":", t.boots},
                  {",\"heads\":", t.heads},         {",\"anchors\":", t.anchors},
                  {",\"uncovered\":", t.uncovered}, {",\"unrecorded\":", t.unrecorded},
                  {",\"n_findings\":", j->n}};
    qr_jsonw_raw(&w, "{\"whole\":");
    qr_jsonw_bool(&w, j->n == 0);
    for (size_t i = 0; i < sizeof member / sizeof member[0]; i++) {
        qr_jsonw_raw(&w, member[i].name);
        qr_jsonw_u64(&w, member[i].v);
    }
    qr_jsonw_raw(&w, ",\"findings\":[");
    if (w.err == QR_OK && j->findings.len) {
        w.err = qr_dbuf_append(&d, j->findings.p, j->findings.len);
    }
    qr_jsonw_raw(&w, "]}");
    int code = w.err == QR_OK ? qr_ctl_emit(j->c, qr_view_of(d.p, d.len))
                              : qr_ctl_fail(j->c, QR_EXIT_INTERNAL, "%s", qr_err_text(w.err));
    qr_dbuf_free(&d);
    return code == QR_EXIT_OK && j->n ? QR_EXIT_REFUSED : code;
}

int
qr_ctl_load_roster(const struct qr_ctl *c, const char *path, struct qr_roster **ret)
{
    char err[QR_ERR_TEXT_MAX] = "";
    struct qr_dbuf d;
    int code = qr_ctl_read(c, path, QR_DOC_MAX, &d);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_err e = qr_roster_parse(qr_view_of(d.p, d.len), ret, err, sizeof err);
    qr_dbuf_free(&d);
    return e == QR_OK
               ? QR_EXIT_OK
               : qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", path, err[0] ? err : qr_err_text(e));
}

static int
verify(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    const char *roster = NULL, *until = NULL;
    int partial = 0;
    int64_t until_ms = 0;
    struct qr_ctl_list paths = {0};
    const struct qr_ctl_opt opts[] = {
        {"roster", QR_CTL_TEXT, &roster, "FILE", "the roster: who the parties are", 1, 0},
        {"until", QR_CTL_TEXT, &until, "TIME",
         "leave out what parties heard of each other later, for files copied while they ran", 0, 0},
        {"partial", QR_CTL_FLAG, &partial, NULL, "the files need not begin where the logs begin", 0,
         0},
        {.kind = QR_CTL_END},
    };
    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &paths, 1, QR_CTL_LIST_MAX);
    if (code >= 0) {
        return code;
    }
    if (until && !qr_ctl_time(until, &until_ms)) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--until takes a time like 2026-11-21T17:00:00Z");
    }
    struct job j = {.c = c};
    struct qr_roster *r = NULL;
    struct qr_ctl_logs logs = {0};
    qr_dbuf_init(&j.findings, REPORT_MAX);
    code = qr_ctl_load_roster(c, roster, &r);
    if (code == QR_EXIT_OK) {
        code = qr_ctl_logs_open(c, &paths, &logs);
    }
    if (code == QR_EXIT_OK &&
        qr_audit_check_new(r, (uint64_t)until_ms, partial, found, &j, &j.check) != QR_OK) {
        code = qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
    }
    if (code == QR_EXIT_OK) {
        code = run(&j, &logs, r);
    }
    if (code == QR_EXIT_OK) {
        code = report(&j);
    }
    qr_audit_check_free(j.check);
    qr_ctl_logs_free(&logs);
    qr_dbuf_free(&j.findings);
    qr_roster_free(r);
    return code;
}

const struct qr_ctl_cmd qr_ctl_audit_cmds[] = {
    {"audit verify", "FILE|FOLDER...",
     "check audit logs: chains, heads, and one party's by the others'", verify},
    {"audit export", "FILE|FOLDER...", "audit logs in one, by time, as JSON lines or CSV",
     qr_ctl_audit_export},
    {"audit diff", "A B", "what one party's log has of requests and another's has not",
     qr_ctl_audit_diff},
    {.name = NULL},
};
