/* Runs one command of the command line in this process and keeps what it wrote. */
#include "test/common/ctlkit.h"

#include "daemon/ctl.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

char ctl_home[64];
char ctl_out[65536], ctl_err[16384];

void
ctl_read(const char *path, char *to, size_t cap)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(to, 1, cap - 1, f);
    to[n] = '\0';
    fclose(f);
}

static const struct qr_ctl_cmd *
find(const char *name)
{
    const struct qr_ctl_cmd *const groups[] = {
        qr_ctl_key_cmds,    qr_ctl_doc_cmds,     qr_ctl_admin_cmds,   qr_ctl_sign_cmds,
        qr_ctl_verify_cmds, qr_ctl_measure_cmds, qr_ctl_release_cmds, qr_ctl_approve_cmds};
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        for (const struct qr_ctl_cmd *c = groups[g]; c->name; c++) {
            if (strcmp(c->name, name) == 0) {
                return c;
            }
        }
    }
    fail_msg("no command %s", name);
    return NULL;
}

int
ctl_run(const char *name, const char *format, ...)
{
    static char words[16384], expanded[16384];
    char *argv[64];
    int argc = 0;
    struct qr_ctl c = {0};
    va_list ap;
    va_start(ap, format);
    vsnprintf(words, sizeof words, format, ap);
    va_end(ap);
    size_t n = 0;
    for (const char *p = words; *p; p++) {
        const char *piece = *p == '@' ? ctl_home : p;
        size_t len = *p == '@' ? strlen(ctl_home) : 1;
        assert_true(n + len < sizeof expanded);
        memcpy(expanded + n, piece, len);
        n += len;
    }
    expanded[n] = '\0';
    for (char *p = expanded; *p && argc < 63;) {
        argv[argc++] = p;
        p += strcspn(p, " ");
        if (*p) {
            *p++ = '\0';
        }
    }
    argv[argc] = NULL;

    char o[128], e[128];
    snprintf(o, sizeof o, "%s/stdout", ctl_home);
    snprintf(e, sizeof e, "%s/stderr", ctl_home);
    fflush(stdout);
    fflush(stderr);
    int keep1 = dup(1), keep2 = dup(2);
    int f1 = open(o, O_WRONLY | O_CREAT | O_TRUNC, 0600),
        f2 = open(e, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(keep1 >= 0 && keep2 >= 0 && f1 >= 0 && f2 >= 0);
    dup2(f1, 1);
    dup2(f2, 2);
    const struct qr_ctl_cmd *cmd = find(name);
    int code = cmd ? cmd->run(&c, cmd, argc, argv) : -1;
    fflush(stdout);
    fflush(stderr);
    dup2(keep1, 1);
    dup2(keep2, 2);
    close(keep1);
    close(keep2);
    close(f1);
    close(f2);
    ctl_read(o, ctl_out, sizeof ctl_out);
    ctl_read(e, ctl_err, sizeof ctl_err);
    return code;
}

void
ctl_says(const char *text)
{
    if (!strstr(ctl_err, text)) {
        fail_msg("stderr \"%s\" does not say \"%s\"", ctl_err, text);
    }
}

char *
ctl_path(const char *name)
{
    static char paths[4][400];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[0], "%s/%s", ctl_home, name);
    return paths[next];
}

void
ctl_write(const char *name, const void *p, size_t n)
{
    FILE *f = fopen(ctl_path(name), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}
