#include "daemon/gw_audit.h"

#include "daemon/audit_read.h"
#include "daemon/log.h"
#include "protocol/base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define RETRY_MS 5000u /* after a disk that failed, or a party that contradicts it */
#define PATH_MAX_ 512u

enum phase { IDLE, ASKING, ANSWERED, WRITING };

/* One append; the worker's while WRITING. */
struct job {
    int dir_fd, fd, event;
    off_t size; /* durable, before and (on success) after */
    struct qr_dbuf text;
    size_t from, len;  /* of text */
    int new_file, err; /* errno */
};

struct qr_gw_audit {
    char folder[PATH_MAX_ / 2];
    struct qr_gw_party *party;
    enum phase phase;
    int dir_fd, fd, event;
    off_t size;
    uint64_t file_boot; /* of the open file; 0: none is open */
    uint16_t file_party;
    uint64_t boot, serial;           /* the last durable record */
    uint64_t next_boot, next_serial; /* the same, once the job at hand is done */
    uint64_t next_ask, now_ns, heard_ns;
    uint64_t records, failures, job_records;
    int said; /* one line per trouble */
    pthread_t worker;
    struct job job;
    char tag;
};

/* ---- files ------------------------------------------------------------------------------- */

/* audit-1-7-12.jsonl */
static int
read_name(const char *name, uint64_t v[3])
{
    unsigned long long a, b, c;
    if (strlen(name) > 80 || strncmp(name, "audit-", 6) != 0) {
        return 0;
    }
    char again[96];
    char *p = NULL;
    errno = 0;
    a = strtoull(name + 6, &p, 10);
    b = *p == '-' ? strtoull(p + 1, &p, 10) : 0;
    c = *p == '-' ? strtoull(p + 1, &p, 10) : 0;
    (void)snprintf(again, sizeof again, "audit-%llu-%llu-%llu.jsonl", a, b, c);
    v[0] = a;
    v[1] = b;
    v[2] = c;
    return errno == 0 && strcmp(name, again) == 0 && a >= 1 && a <= QR_MAX_PARTIES;
}

/* The last file by boot and serial. 0: there is none. */
static int
find_last(DIR *d, char *name, size_t cap, uint64_t best[3])
{
    int found = 0;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        uint64_t v[3];
        size_t len = strlen(e->d_name);
        if (len < cap && read_name(e->d_name, v) &&
            (!found || v[1] > best[1] || (v[1] == best[1] && v[2] > best[2]))) {
            memcpy(best, v, sizeof v);
            memcpy(name, e->d_name, len + 1);
            found = 1;
        }
    }
    return found;
}

/*
 * The last whole line that ends at *end or before it; *end becomes the place behind it. boot 0 in *ret: there is none.
 * MALFORMED: it is no record; NOT_FOUND: the file cannot be read.
 */
static qr_err
last_record(int fd, off_t *end, struct qr_audit_record *ret, char *why, size_t cap)
{
    static char tail[QR_AUDIT_RECORD_MAX + 2];
    *ret = (struct qr_audit_record){0};
    for (;;) {
        size_t want = *end > (off_t)sizeof tail ? sizeof tail : (size_t)*end;
        ssize_t n = want ? pread(fd, tail, want, *end - (off_t)want) : 0;
        if (n != (ssize_t)want) {
            (void)snprintf(why, cap, "it cannot be read");
            return QR_ERR_NOT_FOUND;
        }
        size_t stop = want; /* behind the last newline */
        while (stop > 0 && tail[stop - 1] != '\n') {
            stop--;
        }
        if (stop == 0 && want == (size_t)*end) {
            *end = 0;
            return QR_OK;
        }
        *end -= (off_t)(want - stop);
        if (stop > 0 && stop < want && want == sizeof tail) {
            continue; /* the whole last line, from its beginning */
        }
        size_t from = stop ? stop - 1 : 0;
        while (from > 0 && tail[from - 1] != '\n') {
            from--;
        }
        if (stop == 0 || (from == 0 && want < (size_t)*end)) {
            (void)snprintf(why, cap, "too long a line");
            return QR_ERR_MALFORMED;
        }
        return qr_audit_parse(qr_view_of(tail + from, stop - 1 - from), ret, why, cap);
    }
}

/* The place of the last whole line; what a crash left of another one is cut off. */
static qr_err
find_end(struct qr_gw_audit *a, const char *name, char *err_text, size_t err_cap)
{
    struct qr_audit_record r;
    char why[128] = "";
    struct stat st;
    if (fstat(a->fd, &st) != 0) {
        (void)snprintf(err_text, err_cap, "%s/%s: %s", a->folder, name, strerror(errno));
        return QR_ERR_NOT_FOUND;
    }
    off_t end = st.st_size;
    qr_err e = last_record(a->fd, &end, &r, why, sizeof why);
    if (e != QR_OK) {
        (void)snprintf(err_text, err_cap,
                       "%s/%s does not end with a record of an audit log (%s); move it away to "
                       "start a new file",
                       a->folder, name, why);
        return e;
    }
    if (r.boot && end < st.st_size) {
        qr_log(QR_LOG_WARN, "audit", "cut_off", "a record that a crash cut off is fetched again",
               QR_LOG_STR("file", name), QR_LOG_U64("bytes", (uint64_t)(st.st_size - end)),
               QR_LOG_END);
        if (ftruncate(a->fd, end) != 0) {
            (void)snprintf(err_text, err_cap, "%s/%s: %s", a->folder, name, strerror(errno));
            return QR_ERR_PERMISSIONS;
        }
    }
    a->boot = r.boot;
    a->serial = r.serial;
    a->size = end;
    return QR_OK;
}

static qr_err
open_folder(struct qr_gw_audit *a, char *err_text, size_t err_cap)
{
    char name[96] = "";
    uint64_t v[3] = {0};
    a->dir_fd = open(a->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (a->dir_fd < 0) {
        (void)snprintf(err_text, err_cap,
                       "[audit] path: %s: %s; make the folder, owned by the gateway's user",
                       a->folder, strerror(errno));
        return QR_ERR_NOT_FOUND;
    }
    if (faccessat(a->dir_fd, ".", W_OK | X_OK, 0) != 0) {
        (void)snprintf(err_text, err_cap, "[audit] path: %s: the gateway may not write there",
                       a->folder);
        return QR_ERR_PERMISSIONS;
    }
    for (;;) {
        DIR *d = opendir(a->folder);
        if (!d) {
            (void)snprintf(err_text, err_cap, "[audit] path: %s: %s", a->folder, strerror(errno));
            return QR_ERR_NOT_FOUND;
        }
        int found = find_last(d, name, sizeof name, v);
        closedir(d);
        if (!found) {
            return QR_OK;
        }
        a->fd = openat(a->dir_fd, name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
        if (a->fd < 0) {
            (void)snprintf(err_text, err_cap, "%s/%s: %s", a->folder, name, strerror(errno));
            return QR_ERR_PERMISSIONS;
        }
        QR_TRY(find_end(a, name, err_text, err_cap));
        if (a->boot) {
            a->file_party = (uint16_t)v[0];
            a->file_boot = v[1];
            return QR_OK;
        }
        /* A crash left a file without a record; the one before it is the last. */
        close(a->fd);
        a->fd = -1;
        if (unlinkat(a->dir_fd, name, 0) != 0) {
            (void)snprintf(err_text, err_cap, "%s/%s: %s", a->folder, name, strerror(errno));
            return QR_ERR_PERMISSIONS;
        }
    }
}

qr_err
qr_gw_audit_new(const char *folder, struct qr_gw_party *party, struct qr_gw_audit **ret,
                char *err_text, size_t err_cap)
{
    QR_TRY(qr_hash_init());
    struct qr_gw_audit *a = qr_alloc(sizeof *a);
    if (!a) {
        return QR_ERR_NO_MEMORY;
    }
    a->party = party;
    a->dir_fd = a->fd = -1;
    (void)snprintf(a->folder, sizeof a->folder, "%s", folder);
    qr_dbuf_init(&a->job.text, QR_AUDIT_FETCH_MAX);
    a->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    qr_err e = a->event < 0 ? QR_ERR_NO_MEMORY : open_folder(a, err_text, err_cap);
    if (e != QR_OK) {
        qr_gw_audit_free(a);
        return e;
    }
    *ret = a;
    return QR_OK;
}

struct qr_gw_audit *
qr_gw_audit_free(struct qr_gw_audit *a)
{
    if (!a) {
        return NULL;
    }
    if (a->phase == WRITING) {
        (void)pthread_join(a->worker, NULL);
    }
    qr_dbuf_free(&a->job.text);
    const int fds[] = {a->fd, a->dir_fd, a->event};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    return qr_free(a);
}

/* ---- the worker -------------------------------------------------------------------------- */

static int
append(const struct job *j)
{
    const uint8_t *p = j->text.p + j->from;
    for (size_t left = j->len; left > 0;) {
        ssize_t n = write(j->fd, p, left);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? errno : ENOSPC;
        }
        p += n;
        left -= (size_t)n;
    }
    if (fdatasync(j->fd) != 0 || (j->new_file && fsync(j->dir_fd) != 0)) {
        return errno;
    }
    return 0;
}

static void *
work(void *ctx)
{
    struct job *j = ctx;
    uint64_t one = 1;
    j->err = append(j);
    if (j->err == 0) {
        j->size += (off_t)j->len;
    } else if (ftruncate(j->fd, j->size) != 0) {
        j->err = errno; /* the half-written line is cut off at the next try, or the next start */
    }
    if (write(j->event, &one, sizeof one) != (ssize_t)sizeof one) {
        return NULL; /* the counter cannot be full; and the deadline looks as well */
    }
    return NULL;
}

/* ---- the gateway's thread ---------------------------------------------------------------- */

static void
trouble(struct qr_gw_audit *a, const char *ev, const char *what, const char *why)
{
    a->failures++;
    a->next_ask = a->now_ns + RETRY_MS * MS;
    a->phase = IDLE;
    a->job.text.len = 0;
    if (!a->said) {
        qr_log(QR_LOG_ERROR, "audit", ev, what, QR_LOG_STR("folder", a->folder),
               QR_LOG_TEXT("why", qr_view_str(why)), QR_LOG_END);
    }
    a->said = 1;
}

/* The file that this record goes to: the open one, or a new one for a new boot or size. */
static int
open_file(struct qr_gw_audit *a, const struct qr_audit_record *r)
{
    char name[96];
    if (a->fd >= 0 && a->file_boot == r->boot && a->file_party == r->party &&
        a->size < (off_t)QR_GW_AUDIT_FILE_MAX) {
        return 1;
    }
    (void)snprintf(name, sizeof name, "audit-%u-%llu-%llu.jsonl", r->party,
                   (unsigned long long)r->boot, (unsigned long long)r->serial);
    int fd = openat(a->dir_fd, name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        if (fd >= 0) {
            close(fd);
        }
        return 0;
    }
    if (a->fd >= 0) {
        close(a->fd);
    }
    a->fd = fd;
    a->size = st.st_size; /* not 0: a file of an earlier try */
    a->file_boot = r->boot;
    a->file_party = r->party;
    a->job.new_file = 1;
    return 1;
}

/* Lines of one boot from `from` on: their length, records, and the last of them. 0: not a record. */
static size_t
measure(struct qr_gw_audit *a, size_t from, struct qr_audit_record *first,
        struct qr_audit_record *last, char *why, size_t cap)
{
    const uint8_t *p = a->job.text.p;
    size_t at = from, len = a->job.text.len;
    a->job_records = 0;
    while (at < len) {
        const uint8_t *nl = memchr(p + at, '\n', len - at);
        struct qr_audit_record r;
        if (!nl) {
            (void)snprintf(why, cap, "the answer ends within a line");
            return 0;
        }
        size_t n = (size_t)(nl - (p + at));
        if (qr_audit_parse(qr_view_of(p + at, n), &r, why, cap) != QR_OK) {
            return 0;
        }
        if (a->job_records && r.boot != first->boot) {
            break;
        }
        if (!a->job_records) {
            *first = r;
        }
        *last = r;
        a->job_records++;
        at += n + 1;
    }
    return at - from;
}

/* Starts the worker on the next boot's lines of the answer; nothing left: asks again later. */
static void
start_job(struct qr_gw_audit *a)
{
    struct qr_audit_record first = {0}, last = {0};
    char why[QR_ANSWER_DETAIL_MAX] = "";
    struct job *j = &a->job;
    if (j->from >= j->text.len) {
        /* A long answer means that more waits. */
        a->next_ask = a->now_ns + (j->text.len > QR_AUDIT_FETCH_MAX / 2 ? 0
                                   : j->text.len > 0                    ? QR_GW_AUDIT_AGAIN_MS * MS
                                                     : QR_GW_AUDIT_EVERY_MS * MS);
        j->text.len = 0;
        a->phase = IDLE;
        return;
    }
    j->len = measure(a, j->from, &first, &last, why, sizeof why);
    if (j->len == 0) {
        trouble(a, "party_answer", "the party's audit records cannot be read", why);
        return;
    }
    if (a->boot && (first.boot == a->boot ? first.serial != a->serial + 1 : first.serial != 1)) {
        qr_log(QR_LOG_ERROR, "audit", "gap",
               "records are missing between what is kept here and what the party has",
               QR_LOG_U64("boot", first.boot), QR_LOG_U64("serial", first.serial),
               QR_LOG_U64("kept_boot", a->boot), QR_LOG_U64("kept_serial", a->serial), QR_LOG_END);
    }
    j->new_file = 0;
    if (!open_file(a, &first)) {
        trouble(a, "disk", "a file of the audit log cannot be made", strerror(errno));
        return;
    }
    j->fd = a->fd;
    j->dir_fd = a->dir_fd;
    j->event = a->event;
    j->size = a->size;
    a->next_boot = last.boot;
    a->next_serial = last.serial;
    a->phase = WRITING;
    int e = pthread_create(&a->worker, NULL, work, j);
    if (e != 0) {
        trouble(a, "thread", "no thread to write the audit log", strerror(e));
    }
}

static void
end_job(struct qr_gw_audit *a)
{
    uint64_t n;
    if (read(a->event, &n, sizeof n) != (ssize_t)sizeof n) {
        return; /* not done yet */
    }
    (void)pthread_join(a->worker, NULL);
    if (a->job.err != 0) {
        trouble(a, "disk",
                "the audit log cannot be written; the party keeps its records, and stops taking "
                "requests when they are too many",
                strerror(a->job.err));
        return;
    }
    a->size = a->job.size;
    a->boot = a->next_boot;
    a->serial = a->next_serial;
    a->records += a->job_records;
    if (a->said) {
        qr_log(QR_LOG_INFO, "audit", "written", "the audit log is kept again",
               QR_LOG_U64("serial", a->serial), QR_LOG_END);
        a->said = 0;
    }
    a->job.from += a->job.len;
    start_job(a);
}

static void
ask(struct qr_gw_audit *a)
{
    uint8_t arg[16];
    uint64_t id;
    qr_put64(arg, a->boot);
    qr_put64(arg + 8, a->serial);
    struct qr_ask q = {
        .what = QR_ASK_QUERY, .query = QR_QUERY_AUDIT, .body = qr_view_of(arg, sizeof arg)};
    a->next_ask = a->now_ns + QR_GW_AUDIT_EVERY_MS * MS;
    if (qr_gw_party_ask(a->party, &q, &a->tag, a->now_ns, &id) == QR_OK) {
        a->phase = ASKING;
    }
}

int
qr_gw_audit_owns(const struct qr_gw_audit *a, const void *waiter)
{
    return a && waiter == &a->tag;
}

void
qr_gw_audit_answer(struct qr_gw_audit *a, const struct qr_answer *answer, qr_err why)
{
    qr_err e = answer ? answer->error : why;
    a->phase = IDLE;
    a->job.text.len = a->job.from = 0;
    if (e == QR_ERR_MALFORMED) {
        trouble(a, "contradiction",
                "the party knows less than this folder holds: the party was rolled back, or the "
                "folder is another party's. Nothing is fetched",
                answer && answer->detail.len ? "see the party's log" : "");
        return;
    }
    if (e != QR_OK) {
        return; /* away, or without a roster yet: asked again in a second */
    }
    a->heard_ns = a->now_ns;
    if (qr_dbuf_append(&a->job.text, answer->text.p, answer->text.len) != QR_OK) {
        a->job.text.len = 0;
        return;
    }
    a->phase = ANSWERED;
}

void
qr_gw_audit_step(struct qr_gw_audit *a, uint64_t now_ns)
{
    a->now_ns = now_ns;
    if (a->phase == WRITING) {
        end_job(a);
    } else if (a->phase == ANSWERED) {
        start_job(a);
    }
    if (a->phase == IDLE && now_ns >= a->next_ask && qr_gw_party_up(a->party)) {
        ask(a);
    }
}

int
qr_gw_audit_fd(const struct qr_gw_audit *a)
{
    return a->phase == WRITING ? a->event : -1;
}

uint64_t
qr_gw_audit_deadline(const struct qr_gw_audit *a)
{
    if (a->phase == ANSWERED) {
        return 0;
    }
    if (a->phase == WRITING) {
        return a->now_ns + 1000 * MS;
    }
    return a->phase == IDLE && qr_gw_party_up(a->party) ? a->next_ask : UINT64_MAX;
}

qr_err
qr_gw_audit_metrics(const struct qr_gw_audit *a, struct qr_dbuf *out)
{
    char text[600];
    double age = a->heard_ns ? (double)(a->now_ns - a->heard_ns) / 1e9 : -1.0;
    int n = snprintf(text, sizeof text,
                     "# HELP quorate_gateway_audit_records_total Records of the party that were "
                     "made durable.\n# TYPE quorate_gateway_audit_records_total counter\n"
                     "quorate_gateway_audit_records_total %llu\n"
                     "# TYPE quorate_gateway_audit_failures_total counter\n"
                     "quorate_gateway_audit_failures_total %llu\n"
                     "# HELP quorate_gateway_audit_age_seconds Since the party last gave its "
                     "records; -1: never.\n# TYPE quorate_gateway_audit_age_seconds gauge\n"
                     "quorate_gateway_audit_age_seconds %.3f\n",
                     (unsigned long long)a->records, (unsigned long long)a->failures, age);
    return qr_dbuf_append(out, text, (size_t)n);
}
