/*
 * What the command line is given: arguments, keys, stamps beside documents, key files, problems that a
 * gateway reports, and whole documents through its checking commands.
 *
 * The first byte chooses. Complaints go to --wrap of qr_ctl_fail and qr_ctl_warn, which check that they
 * are printable; output goes nowhere. Must hold: an exit code that we document, and memory given back.
 */
#include "daemon/client/check.h"
#include "daemon/ctl.h"
#include "daemon/stamp.h"
#include "protocol/base/hash.h"
#include "protocol/group.h"
#include "test/fuzz/kit.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <unistd.h>

int __wrap_qr_ctl_fail(const struct qr_ctl *c, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void __wrap_qr_ctl_warn(const struct qr_ctl *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
heard(const char *text)
{
    FUZZ_MUST(text[0] != '\0');
    for (const char *p = text; *p; p++) {
        FUZZ_MUST(*p != '\033'); /* a terminal's language is not for strangers */
    }
}

int
__wrap_qr_ctl_fail(const struct qr_ctl *c, int code, const char *format, ...)
{
    char text[4096];
    va_list ap;
    (void)c;
    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    heard(text);
    return code;
}

void
__wrap_qr_ctl_warn(const struct qr_ctl *c, const char *format, ...)
{
    char text[4096];
    va_list ap;
    (void)c;
    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    heard(text);
}

static void
code(int rc)
{
    FUZZ_MUST(rc == QR_EXIT_OK || rc == QR_EXIT_USAGE || rc == QR_EXIT_INTERNAL ||
              rc == QR_EXIT_TEMPORARY || rc == QR_EXIT_REFUSED || rc == QR_EXIT_CONFIG);
}

/* Words are separated by NUL. */
static void
arguments(struct qr_ctl *c, char *text, size_t len)
{
    static const struct qr_ctl_cmd cmd = {.name = "fuzz it", .args = "[FILE]", .doc = "Nothing."};
    char *argv[24];
    const char *one = NULL;
    struct qr_ctl_list many = {0}, rest = {0};
    int flag = 0, argc = 0;
    unsigned long number = 0;
    const struct qr_ctl_opt opts[] = {
        {"text", QR_CTL_TEXT, &one, "TEXT", "a text", 0, 0},
        {"many", QR_CTL_MANY, &many, "TEXT", "texts", 0, 0},
        {"flag", QR_CTL_FLAG, &flag, NULL, "a flag", 0, 0},
        {"number", QR_CTL_NUMBER, &number, "N", "a number", 0, 1000},
        {NULL, QR_CTL_END, NULL, NULL, NULL, 0, 0},
    };
    for (size_t i = 0; i < len && argc < 23; i += strlen(text + i) + 1) {
        argv[argc++] = text + i;
    }
    argv[argc] = NULL;
    int rc = qr_ctl_parse(c, &cmd, opts, argc, argv, &rest, 0, 2);
    FUZZ_MUST(number <= 1000 && many.n <= QR_CTL_LIST_MAX && rest.n <= QR_CTL_LIST_MAX);
    if (rc == -1) {
        FUZZ_MUST(rest.n <= 2);
    } else {
        code(rc);
    }
}

static void
stamps(const struct qr_ctl *c, qr_view v)
{
    struct qr_ctl_stamps s = {0};
    char path[128];

    (void)fuzz_file("doc.stamps", 0, v);
    (void)snprintf(path, sizeof path, "%s/doc", fuzz_dir());
    int rc = qr_ctl_read_stamps(c, path, &s);
    code(rc);
    for (size_t i = 0; rc == 0 && i < s.n; i++) {
        FUZZ_MUST(s.v[i].len > 0 && s.v[i].len <= QR_STAMP_MAX);
        FUZZ_MUST(!memchr(s.v[i].p, '\n', s.v[i].len));
    }
    qr_dbuf_free(&s.text);
}

static void
key_file(const struct qr_ctl *c, qr_view v)
{
    EVP_PKEY *k = NULL;
    int rc = qr_ctl_load_key(c, fuzz_file("key.pem", 1, v), &k);
    code(rc);
    FUZZ_MUST((rc == 0) == (k != NULL));
    EVP_PKEY_free(k);
}

static void
named(const struct qr_ctl *c, const char *text)
{
    char name[QR_NAME_MAX];
    struct qr_stamp_key key;
    int rc = qr_ctl_named_key(c, text, name, &key);
    code(rc);
    if (rc == 0) {
        FUZZ_MUST(strncmp(name, text, strlen(name)) == 0 && text[strlen(name)] == ':');
    }
}

/* "roster check FILE" and its kin. */
static void
command(struct qr_ctl *c, const char *name, qr_view doc, qr_view more)
{
    char *argv[2] = {NULL, NULL};
    (void)fuzz_file("doc.stamps", 0, more);
    argv[0] = (char *)(uintptr_t)fuzz_file("doc", 2, doc);
    for (const struct qr_ctl_cmd *k = qr_ctl_doc_cmds; k->name; k++) {
        if (strcmp(k->name, name) == 0) {
            code(k->run(c, k, 1, argv));
            return;
        }
    }
    abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int started;
    static char text[4097];
    unsigned which = fuzz_choice(&data, &size, 8);
    struct qr_ctl c = {.json = (int)(which & 1)};
    size_t n = size < 4096 ? size : 4096;
    qr_view v = qr_view_of(data, size);

    if (!started) {
        FUZZ_MUST(qr_hash_init() == QR_OK && qr_stamp_init() == QR_OK);
        FUZZ_MUST(freopen("/dev/null", "w", stdout) != NULL);
        started = 1;
    }
    memcpy(text, data, n);
    text[n] = '\0';
    struct fuzz_in in = fuzz_in_of(data, size);
    qr_view more = which >= 5 ? fuzz_bytes(&in) : v;
    switch (which) {
    case 0:
        arguments(&c, text, n);
        break;
    case 1:
        stamps(&c, v);
        break;
    case 2:
        key_file(&c, v);
        break;
    case 3:
        named(&c, text);
        break;
    case 4:
        code(qr_ctl_problem(&c, "gateway", fuzz_u16(&in) % 600u, qr_view_of(in.p, in.len)));
        break;
    case 5:
        command(&c, "roster check", qr_view_of(in.p, in.len), more);
        break;
    case 6:
        command(&c, "roster show", qr_view_of(in.p, in.len), more);
        break;
    default:
        command(&c, "policy check", qr_view_of(in.p, in.len), more);
    }
    return 0;
}
