/* Options, messages and files of the command line. */
#include "daemon/ctl.h"

#include "daemon/addr.h"
#include "daemon/client/problem.h"
#include "daemon/stamp.h"
#include "protocol/base/enc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- saying things ---- */

static void say(const struct qr_ctl *c, const char *colour, const char *what, const char *format,
                va_list ap) __attribute__((format(printf, 4, 0)));

static void
say(const struct qr_ctl *c, const char *colour, const char *what, const char *format, va_list ap)
{
    fprintf(stderr, "quorate: %s%s%s", c->color ? colour : "", what, c->color ? "\033[0m" : "");
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
}

int
qr_ctl_fail(const struct qr_ctl *c, int code, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say(c, "\033[31m", code == QR_EXIT_REFUSED ? "refused: " : "", format, ap);
    va_end(ap);
    return code;
}

void
qr_ctl_warn(const struct qr_ctl *c, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say(c, "\033[33m", "warning: ", format, ap);
    va_end(ap);
}

void
qr_ctl_progress(const struct qr_ctl *c, const char *format, ...)
{
    va_list ap;
    if (!c->tty_err) {
        return;
    }
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
}

int
qr_ctl_code(qr_err e)
{
    switch (qr_err_class(e)) {
    case QR_CLASS_OK:
        return QR_EXIT_OK;
    case QR_CLASS_USAGE:
        return QR_EXIT_USAGE;
    case QR_CLASS_INPUT:
    case QR_CLASS_PROTOCOL:
        return QR_EXIT_CONFIG;
    case QR_CLASS_AUTH:
    case QR_CLASS_ATTEST:
    case QR_CLASS_PEER:
        return QR_EXIT_REFUSED;
    case QR_CLASS_TEMPORARY:
    case QR_CLASS_STORE:
        return QR_EXIT_TEMPORARY;
    case QR_CLASS_INTERNAL:
    default:
        return QR_EXIT_INTERNAL;
    }
}

int
qr_ctl_emit(const struct qr_ctl *c, qr_view bytes)
{
    int ok = bytes.len == 0 || fwrite(bytes.p, 1, bytes.len, stdout) == bytes.len;
    if (ok && (bytes.len == 0 || bytes.p[bytes.len - 1] != '\n')) {
        ok = fputc('\n', stdout) != EOF;
    }
    return ok && fflush(stdout) == 0
               ? QR_EXIT_OK
               : qr_ctl_fail(c, QR_EXIT_INTERNAL, "stdout: %s", strerror(errno));
}

/* ---- options ---- */

static void
help(const struct qr_ctl_cmd *cmd, const struct qr_ctl_opt *opts)
{
    printf("Usage: quorate %s [options]%s%s\n\n%s\n\nOptions:\n", cmd->name,
           cmd->args[0] ? " " : "", cmd->args, cmd->doc);
    for (const struct qr_ctl_opt *o = opts; o->kind != QR_CTL_END; o++) {
        char left[48];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        printf("  %-26s %s%s%s\n", left, o->doc, o->kind == QR_CTL_MANY ? " (repeatable)" : "",
               o->required ? " (required)" : "");
    }
    printf("  %-26s %s\n  %-26s %s\n", "--json", "machine-readable result", "--help", "this text");
}

static int
set_option(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, const struct qr_ctl_opt *o,
           const char *value)
{
    if (o->kind == QR_CTL_TEXT) {
        const char **at = o->ret;
        if (*at) {
            return qr_ctl_fail(c, QR_EXIT_USAGE, "%s: --%s is given twice", cmd->name, o->name);
        }
        *at = value;
    } else if (o->kind == QR_CTL_MANY) {
        struct qr_ctl_list *l = o->ret;
        if (l->n == QR_CTL_LIST_MAX) {
            return qr_ctl_fail(c, QR_EXIT_USAGE, "%s: more than %u times --%s", cmd->name,
                               QR_CTL_LIST_MAX, o->name);
        }
        l->v[l->n++] = value;
    } else if (!qr_parse_decimal(value, strlen(value), o->max, o->ret)) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "%s: --%s takes a number up to %lu, not \"%s\"",
                           cmd->name, o->name, o->max, value);
    }
    return -1;
}

/* One "--name[=value]"; *i moves past a value of its own. */
static int
take_option(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, const struct qr_ctl_opt *opts, int argc,
            char **argv, int *i)
{
    const char *name = argv[*i] + 2;
    size_t n = strcspn(name, "=");
    const char *value = name[n] ? name + n + 1 : NULL;

    for (const struct qr_ctl_opt *o = opts; o->kind != QR_CTL_END; o++) {
        if (strlen(o->name) != n || strncmp(o->name, name, n) != 0) {
            continue;
        }
        if (o->kind == QR_CTL_FLAG) {
            if (value) {
                return qr_ctl_fail(c, QR_EXIT_USAGE, "%s: --%s takes no value", cmd->name, o->name);
            }
            *(int *)o->ret = 1;
            return -1;
        }
        if (!value && *i + 1 >= argc) {
            return qr_ctl_fail(c, QR_EXIT_USAGE, "%s: --%s needs a value: %s", cmd->name, o->name,
                               o->arg);
        }
        return set_option(c, cmd, o, value ? value : argv[++*i]);
    }
    return qr_ctl_fail(c, QR_EXIT_USAGE, "%s has no option --%.*s; see quorate %s --help",
                       cmd->name, (int)n, name, cmd->name);
}

static int
is_missing(const struct qr_ctl_opt *o)
{
    if (!o->required) {
        return 0;
    }
    switch (o->kind) {
    case QR_CTL_TEXT:
        return *(const char *const *)o->ret == NULL;
    case QR_CTL_MANY:
        return ((const struct qr_ctl_list *)o->ret)->n == 0;
    case QR_CTL_NUMBER:
        return *(const unsigned long *)o->ret == 0;
    case QR_CTL_FLAG:
    case QR_CTL_END:
    default:
        return 0;
    }
}

int
qr_ctl_parse(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, const struct qr_ctl_opt *opts,
             int argc, char **argv, struct qr_ctl_list *rest, size_t min, size_t max)
{
    int only_rest = 0;

    rest->n = 0;
    for (int i = 0; i < argc; i++) {
        if (only_rest || strncmp(argv[i], "--", 2) != 0) {
            if (rest->n == max || rest->n == QR_CTL_LIST_MAX) {
                return qr_ctl_fail(c, QR_EXIT_USAGE, "%s: unexpected argument \"%s\"", cmd->name,
                                   argv[i]);
            }
            rest->v[rest->n++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            only_rest = 1;
        } else if (strcmp(argv[i], "--json") == 0) {
            c->json = 1;
        } else if (strcmp(argv[i], "--help") == 0) {
            help(cmd, opts);
            return QR_EXIT_OK;
        } else {
            int code = take_option(c, cmd, opts, argc, argv, &i);
            if (code >= 0) {
                return code;
            }
        }
    }
    for (const struct qr_ctl_opt *o = opts; o->kind != QR_CTL_END; o++) {
        if (is_missing(o)) {
            return qr_ctl_fail(c, QR_EXIT_USAGE, "%s needs --%s %s: %s", cmd->name, o->name,
                               o->arg ? o->arg : "", o->doc);
        }
    }
    if (rest->n < min) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "%s needs %s; see quorate %s --help", cmd->name,
                           cmd->args, cmd->name);
    }
    return -1;
}

/* ---- gateways ---- */

int
qr_ctl_problem(const struct qr_ctl *c, const char *from, unsigned status, qr_view body)
{
    struct qr_problem p;
    char text[sizeof p.detail + sizeof p.approvers + 256];

    qr_problem_read(status, body, &p);
    int code = qr_problem_is_temporary(&p) ? QR_EXIT_TEMPORARY
               : qr_problem_is_refusal(&p) ? QR_EXIT_REFUSED
               : status >= 500             ? QR_EXIT_INTERNAL
                                           : QR_EXIT_USAGE;
    return qr_ctl_fail(c, code, "%s answered %s", from, qr_problem_text(&p, text, sizeof text));
}

/* ---- files ---- */

int
qr_ctl_read(const struct qr_ctl *c, const char *path, size_t max, struct qr_dbuf *d)
{
    int is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), code = QR_EXIT_OK;
    const char *name = is_stdin ? "stdin" : path;

    qr_dbuf_init(d, max + 1);
    if (fd < 0) {
        return qr_ctl_fail(c, errno == ENOENT ? QR_EXIT_USAGE : QR_EXIT_CONFIG, "%s: %s", name,
                           strerror(errno));
    }
    for (;;) {
        size_t room = max + 1 - d->len < 65536 ? max + 1 - d->len : 65536;
        if (room == 0) {
            code = qr_ctl_fail(c, QR_EXIT_CONFIG, "%s is longer than %zu bytes", name, max);
            break;
        }
        if (qr_dbuf_reserve(d, room) != QR_OK) {
            code = qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
            break;
        }
        ssize_t n = read(fd, d->p + d->len, room);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            code = n == 0 ? QR_EXIT_OK
                          : qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", name, strerror(errno));
            break;
        }
        d->len += (size_t)n;
    }
    if (!is_stdin) {
        close(fd);
    }
    if (code != QR_EXIT_OK) {
        qr_dbuf_free(d);
    }
    return code;
}

int
qr_ctl_write(const struct qr_ctl *c, const char *path, qr_view bytes, unsigned mode)
{
    if (!path || strcmp(path, "-") == 0) {
        return qr_ctl_emit(c, bytes);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
    if (fd < 0) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", path,
                           errno == EEXIST ? "exists already and is not overwritten"
                                           : strerror(errno));
    }
    size_t at = 0;
    int err = 0;
    while (at < bytes.len && err == 0) {
        ssize_t n = write(fd, bytes.p + at, bytes.len - at);
        if (n < 0 && errno != EINTR) {
            err = errno;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    if (err == 0 && fsync(fd) != 0 && errno != EINVAL && errno != EROFS) {
        err = errno;
    }
    if (close(fd) != 0 && err == 0) {
        err = errno;
    }
    if (err != 0) {
        unlink(path); /* half a file is worse than none */
        return qr_ctl_fail(c, QR_EXIT_INTERNAL, "%s: %s", path, strerror(err));
    }
    return QR_EXIT_OK;
}

int
qr_ctl_read_stamps(const struct qr_ctl *c, const char *path, struct qr_ctl_stamps *s)
{
    char name[4096];

    memset(s, 0, sizeof *s);
    if ((size_t)snprintf(name, sizeof name, "%s.stamps", path) >= sizeof name) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "%s: the name is too long", path);
    }
    if (access(name, F_OK) != 0) {
        return QR_EXIT_OK;
    }
    int code = qr_ctl_read(c, name, QR_ADMINS_MAX * 2 * (QR_STAMP_MAX + 2), &s->text);
    if (code != QR_EXIT_OK) {
        return code;
    }
    for (size_t at = 0; at < s->text.len;) {
        const uint8_t *line = s->text.p + at;
        const uint8_t *nl = memchr(line, '\n', s->text.len - at);
        size_t n = nl ? (size_t)(nl - line) : s->text.len - at;
        at += n + 1;
        if (n == 0) {
            continue;
        }
        if (s->n == sizeof s->v / sizeof s->v[0] || n > QR_STAMP_MAX) {
            qr_dbuf_free(&s->text);
            return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: too many stamps, or one that is too long",
                               name);
        }
        s->v[s->n++] = qr_view_of(line, n);
    }
    return QR_EXIT_OK;
}

int
qr_ctl_named_key(const struct qr_ctl *c, const char *text, char name[static QR_NAME_MAX],
                 struct qr_stamp_key *ret)
{
    const char *key = strchr(text, ':');
    const char *scheme = key ? strchr(key + 1, ':') : NULL;
    size_t name_len = key ? (size_t)(key - text) : 0;

    memset(ret, 0, sizeof *ret);
    ret->scheme = QR_SCHEME_P256;
    if (!key || name_len == 0 || name_len >= QR_NAME_MAX) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "\"%s\" is not NAME:PUBLIC_KEY_HEX[:SCHEME]", text);
    }
    if (scheme && qr_scheme_parse(qr_view_str(scheme + 1), &ret->scheme) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "\"%s\" is no scheme: p256, secp256k1 or ed25519",
                           scheme + 1);
    }
    size_t hex = scheme ? (size_t)(scheme - key - 1) : strlen(key + 1);
    size_t want = qr_scheme_key_len(ret->scheme);
    if (qr_hex_decode(key + 1, hex, ret->b, want) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "the public key of \"%.*s\" must be %zu lower-case hex digits",
                           (int)name_len, text, 2 * want);
    }
    memcpy(name, text, name_len);
    name[name_len] = '\0';
    return QR_EXIT_OK;
}
