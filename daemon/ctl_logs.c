#include "daemon/ctl_logs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static int
add(const struct qr_ctl *c, struct qr_ctl_logs *l, const char *path)
{
    if (l->n == QR_CTL_LOGS_MAX) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "more than %u files", QR_CTL_LOGS_MAX);
    }
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        struct qr_ctl_log *more =
            l->log ? qr_realloc(l->log, cap * sizeof *more) : qr_alloc(cap * sizeof *more);
        if (!more) {
            return qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
        }
        l->log = more;
        l->cap = cap;
    }
    l->log[l->n] = (struct qr_ctl_log){.path = qr_strdup(path)};
    if (!l->log[l->n].path) {
        return qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
    }
    l->n++;
    return QR_EXIT_OK;
}

static int
add_folder(const struct qr_ctl *c, struct qr_ctl_logs *l, const char *path)
{
    char name[4096];
    int code = QR_EXIT_OK;
    DIR *d = opendir(path);
    if (!d) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", path, strerror(errno));
    }
    for (struct dirent *e = readdir(d); e && code == QR_EXIT_OK; e = readdir(d)) {
        size_t n = strlen(e->d_name);
        if (strncmp(e->d_name, "audit-", 6) != 0 || n < 6 ||
            strcmp(e->d_name + n - 6, ".jsonl") != 0) {
            continue;
        }
        if ((size_t)snprintf(name, sizeof name, "%s/%s", path, e->d_name) >= sizeof name) {
            code = qr_ctl_fail(c, QR_EXIT_USAGE, "%s: the name is too long", path);
        } else {
            code = add(c, l, name);
        }
    }
    closedir(d);
    return code;
}

/* The first line that is a record says whose log it is. */
static int
first_record(void *ctx, const struct qr_ctl_log *log, size_t number, qr_view text, int ended)
{
    struct qr_ctl_log *out = ctx;
    struct qr_audit_record r;
    char why[128];
    (void)log;
    (void)number;
    (void)ended;
    if (qr_audit_parse(text, &r, why, sizeof why) != QR_OK) {
        return 0;
    }
    out->party = r.party;
    out->boot = r.boot;
    out->serial = r.serial;
    return -1;
}

static int
order(const void *x, const void *y)
{
    const struct qr_ctl_log *a = x, *b = y;
    if (a->party != b->party) {
        return a->party < b->party ? -1 : 1;
    }
    if (a->boot != b->boot) {
        return a->boot < b->boot ? -1 : 1;
    }
    if (a->serial != b->serial) {
        return a->serial < b->serial ? -1 : 1;
    }
    return strcmp(a->path, b->path);
}

int
qr_ctl_logs_open(const struct qr_ctl *c, const struct qr_ctl_list *paths, struct qr_ctl_logs *ret)
{
    int code = QR_EXIT_OK;
    *ret = (struct qr_ctl_logs){0};
    for (size_t i = 0; i < paths->n && code == QR_EXIT_OK; i++) {
        struct stat st;
        if (stat(paths->v[i], &st) != 0) {
            code = qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", paths->v[i], strerror(errno));
        } else {
            code = S_ISDIR(st.st_mode) ? add_folder(c, ret, paths->v[i]) : add(c, ret, paths->v[i]);
        }
    }
    if (code == QR_EXIT_OK && ret->n == 0) {
        code = qr_ctl_fail(c, QR_EXIT_CONFIG, "no file audit-*.jsonl there");
    }
    for (size_t i = 0; i < ret->n && code == QR_EXIT_OK; i++) {
        struct qr_ctl_log *l = &ret->log[i];
        code = qr_ctl_logs_lines(c, l, first_record, l);
        code = code == -1 ? QR_EXIT_OK : code;
    }
    if (ret->n) {
        qsort(ret->log, ret->n, sizeof *ret->log, order);
    }
    return code;
}

void
qr_ctl_logs_free(struct qr_ctl_logs *l)
{
    for (size_t i = 0; i < l->n; i++) {
        l->log[i].path = qr_free(l->log[i].path);
    }
    l->log = qr_free(l->log);
    l->n = l->cap = 0;
}

int
qr_ctl_logs_lines(const struct qr_ctl *c, const struct qr_ctl_log *log,
                  int (*line)(void *ctx, const struct qr_ctl_log *log, size_t number, qr_view text,
                              int ended),
                  void *ctx)
{
    struct qr_dbuf d;
    int code = qr_ctl_read(c, log->path, QR_CTL_LOG_MAX, &d);
    size_t number = 0;
    for (size_t at = 0; code == QR_EXIT_OK && at < d.len;) {
        const uint8_t *nl = memchr(d.p + at, '\n', d.len - at);
        size_t n = nl ? (size_t)(nl - (d.p + at)) : d.len - at;
        code = line(ctx, log, ++number, qr_view_of(d.p + at, n), nl != NULL);
        at += n + 1;
    }
    qr_dbuf_free(&d);
    return code;
}
