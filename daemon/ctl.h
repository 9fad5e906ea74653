/*
 * quorate, the command line: what its commands share.
 *
 * What: one table of commands; per command one table of options, from which parsing, help and errors
 *       come; files in, files out; one way to say what went wrong and what to do.
 * Habits: results on stdout, everything else on stderr; --json for programs; progress only on a
 *       terminal; NO_COLOR; nothing is overwritten; no question is ever asked.
 * Exit codes: enum qr_exit of config.h: 0; 64 wrong usage; 70 our own failure; 75 try again;
 *       77 refused (a signature, stamp, key or policy says no); 78 a file's content is not valid.
 * Thread rules: one thread, one command per process.
 */
#ifndef QR_CTL_H
#define QR_CTL_H

#include "daemon/config.h"
#include "protocol/base/mem.h"

#define QR_CTL_LIST_MAX 32u
#define QR_CTL_FILE_MAX (1024u * 1024u)

struct qr_ctl {
    int json;
    int tty_err; /* stderr is a terminal */
    int color;   /* stderr may be coloured */
};

/* ---- options ---- */

enum qr_ctl_kind {
    QR_CTL_TEXT,   /* const char ** */
    QR_CTL_MANY,   /* struct qr_ctl_list * */
    QR_CTL_FLAG,   /* int * */
    QR_CTL_NUMBER, /* unsigned long *, up to max */
    QR_CTL_END,
};

struct qr_ctl_list {
    const char *v[QR_CTL_LIST_MAX];
    size_t n;
};

struct qr_ctl_opt {
    const char *name; /* without "--" */
    enum qr_ctl_kind kind;
    void *ret;
    const char *arg; /* its name in the help, "FILE" */
    const char *doc;
    int required;
    unsigned long max;
};

struct qr_ctl_cmd {
    const char *name; /* "key new" */
    const char *args; /* positional, for the help: "[FILE]" */
    const char *doc;
    int (*run)(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv);
};

/*
 * Parses argv (options anywhere, "--" ends them; --json and --help are known to every command).
 * rest: positional arguments, min..max of them. Returns -1 to go on, or the exit code.
 */
int qr_ctl_parse(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, const struct qr_ctl_opt *opts,
                 int argc, char **argv, struct qr_ctl_list *rest, size_t min, size_t max);

/* ---- saying things ---- */

/* "quorate: ..." on stderr. Returns `code`, so that a command can return it. */
int qr_ctl_fail(const struct qr_ctl *c, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void qr_ctl_warn(const struct qr_ctl *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Only when stderr is a terminal. */
void qr_ctl_progress(const struct qr_ctl *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Says what a gateway's problem document says, or its status; returns the exit code that fits. */
int qr_ctl_problem(const struct qr_ctl *c, const char *from, unsigned status, qr_view body);
/* The exit code that fits an error. */
int qr_ctl_code(qr_err e);
/* Bytes that must be in one piece on stdout, a newline added if they do not end in one. */
int qr_ctl_emit(const struct qr_ctl *c, qr_view bytes);

/* ---- files ---- */

/*
 * Whole files; "-" is stdin. Up to max bytes. The caller frees d. Says what is wrong and returns an
 * exit code, or 0.
 */
int qr_ctl_read(const struct qr_ctl *c, const char *path, size_t max, struct qr_dbuf *d);
/* A new file (an existing one is refused); NULL or "-": stdout. */
int qr_ctl_write(const struct qr_ctl *c, const char *path, qr_view bytes, unsigned mode);

/* The stamps beside a document: lines of FILE.stamps, in order. No file: none. */
struct qr_ctl_stamps {
    struct qr_dbuf text;
    size_t n;
    qr_view v[QR_ADMINS_MAX * 2];
};
int qr_ctl_read_stamps(const struct qr_ctl *c, const char *path, struct qr_ctl_stamps *s);

/* "alice:02ab…:p256" in its parts; the last is optional (p256). key is hex, not yet decoded. */
struct qr_stamp_key;
int qr_ctl_named_key(const struct qr_ctl *c, const char *text, char name[static QR_NAME_MAX],
                     struct qr_stamp_key *ret);

/* ---- parties ---- */

struct qr_ask;
struct qr_answer;
/* *ret: an answer without an error (free it); else an exit code, and the error was told. */
int qr_ctl_ask_party(const struct qr_ctl *c, const char *socket, struct qr_ask *ask,
                     unsigned timeout_ms, struct qr_answer **ret);
/* The same to each of the sockets; says "ok" of each. The worst exit code. */
int qr_ctl_tell_all(const struct qr_ctl *c, const struct qr_ctl_list *sockets, struct qr_ask *ask,
                    unsigned timeout_ms);

/* ---- keys in files ---- */

struct evp_pkey_st;
/* A PEM private key; refuses files that others can read. */
int qr_ctl_load_key(const struct qr_ctl *c, const char *path, struct evp_pkey_st **ret);

/* The signature (DER, in a file) over SHA-256 of `file` under `pub` (hex). Says so; exit code. */
int qr_ctl_verify_signature(const struct qr_ctl *c, const char *pub, const char *sig,
                            const char *file);

/* ---- policies ---- */

struct qr_peers;
struct qr_policy;
struct qr_manifest;
/* The policy in words: lines on stdout, or with --json one array without a newline after it. */
int qr_ctl_explain(const struct qr_ctl *c, const struct qr_peers *p);
/* The same of its requests, for a quorum of n and t (0: not known). */
int qr_ctl_explain_requests(const struct qr_ctl *c, const struct qr_policy *p, unsigned n,
                            unsigned t);
/* Makes manifests (with FILE.sigs beside them) count; the caller frees kept[i] after the policy. */
int qr_ctl_add_manifests(const struct qr_ctl *c, struct qr_policy *p,
                         const struct qr_ctl_list *files,
                         struct qr_manifest *kept[static QR_CTL_LIST_MAX]);

/* ---- commands, by file ---- */

extern const struct qr_ctl_cmd qr_ctl_key_cmds[], qr_ctl_doc_cmds[], qr_ctl_admin_cmds[],
    qr_ctl_sign_cmds[], qr_ctl_verify_cmds[], qr_ctl_measure_cmds[], qr_ctl_image_eif_cmds[],
    qr_ctl_image_uki_cmds[], qr_ctl_release_cmds[], qr_ctl_facade_cmds[], qr_ctl_approve_cmds[],
    qr_ctl_audit_cmds[], qr_ctl_receipt_cmds[]; /* each ends with name NULL */

#endif
