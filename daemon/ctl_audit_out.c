/* quorate audit export, audit diff: what logs say, for people and for other programs. */
#include "daemon/ctl_audit.h"
#include "daemon/ctl_logs.h"
#include "daemon/jsonw.h"
#include "proto/json_strict.h"
#include "protocol/base/enc.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RECORDS_MAX (8u * 1024u * 1024u)
#define TEXT_MAX (2048u * 1024u * 1024u)

/* ---- export ------------------------------------------------------------------------------ */

struct entry {
    uint64_t time_ms, boot, serial;
    size_t at, len; /* of the text */
    uint16_t party;
};

struct gather {
    const struct qr_ctl *c;
    struct qr_dbuf text;
    struct entry *entry;
    size_t n, cap;
};

static int
take(void *ctx, const struct qr_ctl_log *log, size_t number, qr_view text, int ended)
{
    struct gather *g = ctx;
    struct qr_audit_record r;
    char why[128];
    if (qr_audit_parse(text, &r, why, sizeof why) != QR_OK) {
        if (ended) {
            qr_ctl_warn(g->c, "%s:%zu: no record, left out: %s", log->path, number, why);
        }
        return QR_EXIT_OK;
    }
    if (g->n == g->cap) {
        size_t cap = g->cap ? 2 * g->cap : 1024;
        struct entry *more = cap > RECORDS_MAX ? NULL
                             : g->entry        ? qr_realloc(g->entry, cap * sizeof *more)
                                               : qr_alloc(cap * sizeof *more);
        if (!more) {
            return qr_ctl_fail(g->c, QR_EXIT_INTERNAL, "too many records; export fewer files");
        }
        g->entry = more;
        g->cap = cap;
    }
    g->entry[g->n++] = (struct entry){r.time_ms, r.boot, r.serial, g->text.len, text.len, r.party};
    return qr_dbuf_append(&g->text, text.p, text.len) == QR_OK
               ? QR_EXIT_OK
               : qr_ctl_fail(g->c, QR_EXIT_INTERNAL, "too much text; export fewer files");
}

/* By time; within a party as it wrote them, whatever its clock did. */
static int
order(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    if (a->party == b->party) {
        return a->boot != b->boot ? (a->boot < b->boot ? -1 : 1)
                                  : (a->serial < b->serial ? -1 : a->serial > b->serial);
    }
    if (a->time_ms != b->time_ms) {
        return a->time_ms < b->time_ms ? -1 : 1;
    }
    return a->party < b->party ? -1 : 1;
}

/* A text or number member of the record's top level, as it stands; empty when it is not there. */
static qr_view
member(struct qr_json *j, const char *name)
{
    struct qr_json_at root = qr_json_root(j);
    for (size_t i = 0; i < qr_json_size(&root); i++) {
        struct qr_json_at m = qr_json_member(&root, i);
        qr_view v = {NULL, 0};
        const struct qr_json_field f = {name, QR_JSON_UTF8, 0, QR_AUDIT_RECORD_MAX, &v, NULL};
        if (strcmp(m.name, name) == 0 && qr_json_value(&m, &f) == QR_OK) {
            return v;
        }
    }
    return (qr_view){NULL, 0};
}

/* RFC 4180, and nothing that a spreadsheet takes for a formula. */
static void
put_csv(qr_view v, char after)
{
    int formula = v.len && strchr("=+-@", v.p[0]) != NULL;
    putchar('"');
    if (formula) {
        putchar('\'');
    }
    for (size_t i = 0; i < v.len; i++) {
        if (v.p[i] == '"') {
            putchar('"');
        }
        putchar(v.p[i] < 0x20 ? ' ' : v.p[i]);
    }
    putchar('"');
    putchar(after);
}

static void
put_time(uint64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    char text[32] = "";
    if (gmtime_r(&s, &tm)) {
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    }
    printf("%s.%03uZ,", text, (unsigned)(ms % 1000));
}

static void
put_row(const struct entry *e, qr_view line)
{
    static const char *const names[] = {"event",  "what", "request", "key",
                                        "client", "rule", "code",    "detail"};
    struct qr_json j = {0};
    char why[QR_ERR_TEXT_MAX];
    int ok = qr_json_parse(&j, line, 4096, why, sizeof why) == QR_OK;
    put_time(e->time_ms);
    printf("%u,%llu,%llu,", e->party, (unsigned long long)e->boot, (unsigned long long)e->serial);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        put_csv(ok ? member(&j, names[i]) : (qr_view){NULL, 0},
                i + 1 < sizeof names / sizeof names[0] ? ',' : '\n');
    }
    qr_json_clear(&j);
}

int
qr_ctl_audit_export(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    int csv = 0;
    struct qr_ctl_list paths = {0};
    struct qr_ctl_logs logs = {0};
    struct gather g = {.c = c};
    const struct qr_ctl_opt opts[] = {
        {"csv", QR_CTL_FLAG, &csv, NULL,
         "columns: time, party, boot, serial, event, what, request, key, client, rule, code, "
         "detail",
         0, 0},
        {.kind = QR_CTL_END},
    };
    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &paths, 1, QR_CTL_LIST_MAX);
    if (code >= 0) {
        return code;
    }
    qr_dbuf_init(&g.text, TEXT_MAX);
    code = qr_ctl_logs_open(c, &paths, &logs);
    for (size_t i = 0; i < logs.n && code == QR_EXIT_OK; i++) {
        code = qr_ctl_logs_lines(c, &logs.log[i], take, &g);
    }
    if (code == QR_EXIT_OK) {
        if (g.n) {
            qsort(g.entry, g.n, sizeof *g.entry, order);
        }
        if (csv) {
            puts("time,party,boot,serial,event,what,request,key,client,rule,code,detail");
        }
        for (size_t i = 0; i < g.n; i++) {
            qr_view line = qr_view_of(g.text.p + g.entry[i].at, g.entry[i].len);
            if (csv) {
                put_row(&g.entry[i], line);
            } else {
                (void)fwrite(line.p, 1, line.len, stdout);
                putchar('\n');
            }
        }
        if (fflush(stdout) != 0 || ferror(stdout)) {
            code = qr_ctl_fail(c, QR_EXIT_INTERNAL, "stdout cannot be written");
        }
    }
    qr_free(g.entry);
    qr_dbuf_free(&g.text);
    qr_ctl_logs_free(&logs);
    return code;
}

/* ---- diff -------------------------------------------------------------------------------- */

/* What a log says of one request, one attempt. */
struct seen {
    uint8_t request[32];
    uint32_t attempt;
    uint16_t coordinator, party, mask;
    uint64_t boot, serial, time_ms;
    uint8_t policy[32];
    char rule[QR_NAME_MAX + 1];
};

struct side {
    const struct qr_ctl *c;
    struct seen *v;
    size_t n, cap;
    uint16_t party; /* 0: none yet; UINT16_MAX: several */
    uint64_t first_ms, last_ms;
    struct qr_audit_signature tmp;
};

static int
look(void *ctx, const struct qr_ctl_log *log, size_t number, qr_view text, int ended)
{
    struct side *s = ctx;
    struct qr_audit_record r;
    char why[QR_ERR_TEXT_MAX];
    (void)ended;
    if (qr_audit_parse(text, &r, why, sizeof why) != QR_OK) {
        return QR_EXIT_OK;
    }
    s->party = s->party == 0 || s->party == r.party ? r.party : UINT16_MAX;
    s->first_ms = s->first_ms && s->first_ms < r.time_ms ? s->first_ms : r.time_ms;
    s->last_ms = s->last_ms > r.time_ms ? s->last_ms : r.time_ms;
    if (strcmp(r.event, "signed") != 0) {
        return QR_EXIT_OK;
    }
    if (qr_audit_read_signed(text, &s->tmp, why, sizeof why) != QR_OK) {
        qr_ctl_warn(s->c, "%s:%zu: left out: %s", log->path, number, why);
        return QR_EXIT_OK;
    }
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 1024;
        struct seen *more = cap > RECORDS_MAX ? NULL
                            : s->v            ? qr_realloc(s->v, cap * sizeof *more)
                                              : qr_alloc(cap * sizeof *more);
        if (!more) {
            return qr_ctl_fail(s->c, QR_EXIT_INTERNAL, "too many records; give fewer files");
        }
        s->v = more;
        s->cap = cap;
    }
    struct seen *o = &s->v[s->n++];
    *o = (struct seen){.attempt = s->tmp.attempt,
                       .coordinator = s->tmp.coordinator,
                       .party = r.party,
                       .boot = r.boot,
                       .serial = r.serial,
                       .time_ms = r.time_ms};
    memcpy(o->request, s->tmp.request, 32);
    memcpy(o->policy, s->tmp.policy, 32);
    memcpy(o->rule, s->tmp.rule, sizeof o->rule);
    for (size_t i = 0; i < s->tmp.n_set; i++) {
        o->mask |= (uint16_t)(1u << (s->tmp.set[i].party - 1));
    }
    return QR_EXIT_OK;
}

static int
by_request(const void *x, const void *y)
{
    const struct seen *a = x, *b = y;
    int d = memcmp(a->request, b->request, 32);
    if (d) {
        return d;
    }
    if (a->coordinator != b->coordinator) {
        return a->coordinator < b->coordinator ? -1 : 1;
    }
    return a->attempt < b->attempt ? -1 : a->attempt > b->attempt;
}

static int
load_side(struct qr_ctl *c, const char *path, struct side *s)
{
    struct qr_ctl_list one = {.v = {path}, .n = 1};
    struct qr_ctl_logs logs = {0};
    s->c = c;
    int code = qr_ctl_logs_open(c, &one, &logs);
    for (size_t i = 0; i < logs.n && code == QR_EXIT_OK; i++) {
        code = qr_ctl_logs_lines(c, &logs.log[i], look, s);
    }
    qr_ctl_logs_free(&logs);
    if (code == QR_EXIT_OK && (s->party == 0 || s->party == UINT16_MAX)) {
        code = qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: expected the log of one party", path);
    }
    if (s->n) {
        qsort(s->v, s->n, sizeof *s->v, by_request);
    }
    return code;
}

static void
tell(const struct qr_ctl *c, const struct seen *a, uint16_t other, const char *what)
{
    char hex[65];
    qr_hex_encode(qr_view_of(a->request, 32), hex);
    if (c->json) {
        printf("{\"request\":\"%s\",\"party\":%u,\"boot\":%llu,\"serial\":%llu,\"time_ms\":%llu,"
               "\"coordinator\":%u,\"attempt\":%lu,\"other\":%u,\"what\":\"%s\"}\n",
               hex, a->party, (unsigned long long)a->boot, (unsigned long long)a->serial,
               (unsigned long long)a->time_ms, a->coordinator, (unsigned long)a->attempt, other,
               what);
        return;
    }
    printf(
        "request %s: party %u has it (boot %llu, serial %llu, attempt %lu of party %u); party %u: "
        "%s\n",
        hex, a->party, (unsigned long long)a->boot, (unsigned long long)a->serial,
        (unsigned long)a->attempt, a->coordinator, other, what);
}

/*
 * Records of a that b must have: b was in the set, and either b led it, or a did and released a signature,
 * which takes b's share. A member's record without the leader's means a signature that did not come out.
 */
static size_t
missing_in(const struct qr_ctl *c, const struct side *a, const struct side *b, int differences)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++) {
        const struct seen *x = &a->v[i];
        if (!(x->mask >> (b->party - 1) & 1) ||
            (x->coordinator != a->party && x->coordinator != b->party)) {
            continue;
        }
        const struct seen *y = b->n ? bsearch(x, b->v, b->n, sizeof *b->v, by_request) : NULL;
        if (!y) {
            tell(c, x, b->party,
                 x->coordinator == a->party ? "has no record of it"
                                            : "led it, and has no signature of it");
            n++;
        } else if (differences && (memcmp(x->policy, y->policy, 32) != 0 ||
                                   strcmp(x->rule, y->rule) != 0 || x->mask != y->mask)) {
            tell(c, x, b->party, "has it under another policy, rule or set");
            n++;
        }
    }
    return n;
}

int
qr_ctl_audit_diff(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    struct qr_ctl_list paths = {0};
    const struct qr_ctl_opt opts[] = {{.kind = QR_CTL_END}};
    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &paths, 2, 2);
    if (code >= 0) {
        return code;
    }
    struct side *s = qr_alloc(2 * sizeof *s);
    if (!s) {
        return qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
    }
    for (size_t i = 0; i < 2 && code < 0; i++) {
        int e = load_side(c, paths.v[i], &s[i]);
        code = e == QR_EXIT_OK ? code : e;
    }
    if (code < 0 && s[0].party == s[1].party) {
        code = qr_ctl_fail(c, QR_EXIT_USAGE, "both are logs of party %u", s[0].party);
    }
    if (code < 0) {
        size_t n = missing_in(c, &s[0], &s[1], 1) + missing_in(c, &s[1], &s[0], 0);
        if (!c->json) {
            printf("%zu differences in %zu and %zu records of requests\n", n, s[0].n, s[1].n);
        }
        code = n ? QR_EXIT_REFUSED : QR_EXIT_OK;
    }
    qr_free(s[0].v);
    qr_free(s[1].v);
    qr_free(s);
    return code;
}
