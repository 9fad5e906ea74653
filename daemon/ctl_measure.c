/* quorate measurements: release manifests are signed, checked and shown; a policy in words. */
#include "daemon/ctl.h"

#include "daemon/jsonw.h"
#include "daemon/policy.h"
#include "daemon/stamp.h"
#include "proto/boundary.h"
#include "protocol/base/enc.h"

#include <errno.h>
#include <openssl/evp.h>
#include <unistd.h>

/* ---- a manifest and its signatures on disk ---- */

struct release {
    struct qr_dbuf text, signatures;
    struct qr_manifest *m;
};

static void
release_free(struct release *r)
{
    qr_manifest_free(r->m);
    qr_dbuf_free(&r->text);
    qr_dbuf_free(&r->signatures);
}

static int
sigs_name(const struct qr_ctl *c, const char *path, char *out, size_t cap)
{
    return (size_t)snprintf(out, cap, "%s.sigs", path) < cap
               ? QR_EXIT_OK
               : qr_ctl_fail(c, QR_EXIT_USAGE, "%s: the name is too long", path);
}

/* FILE, and FILE.sigs if there is one. The caller frees r, whatever is returned. */
static int
release_read(const struct qr_ctl *c, const char *path, struct release *r)
{
    char err[QR_ERR_TEXT_MAX] = "", name[4096];

    *r = (struct release){0};
    int code = qr_ctl_read(c, path, QR_MANIFEST_MAX, &r->text);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_err e = qr_manifest_parse(qr_view_of(r->text.p, r->text.len), &r->m, err, sizeof err);
    if (e != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", path, err[0] ? err : qr_err_text(e));
    }
    code = sigs_name(c, path, name, sizeof name);
    if (code == QR_EXIT_OK && strcmp(path, "-") != 0 && access(name, F_OK) == 0) {
        code = qr_ctl_read(c, name, QR_MANIFEST_SIGS_MAX, &r->signatures);
    }
    return code;
}

/* ---- measurements sign ---- */

static int
append(const struct qr_ctl *c, const char *path, const char *line)
{
    char name[4096];
    int code = sigs_name(c, path, name, sizeof name);

    if (code != QR_EXIT_OK) {
        return code;
    }
    FILE *f = fopen(name, "ae");
    if (!f) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", name, strerror(errno));
    }
    int ok = fputs(line, f) >= 0 && fflush(f) == 0 && fsync(fileno(f)) == 0;
    int why = errno;
    if (fclose(f) != 0 && ok) {
        ok = 0;
        why = errno;
    }
    return ok ? QR_EXIT_OK : qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", name, strerror(why));
}

/*
 * Does this key's line stand there already? Then it must be good: the manifest was not changed
 * since.
 */
static int
signed_already(const struct qr_ctl *c, const char *path, const struct release *r, const char *line,
               int *ret_already)
{
    struct qr_release_signers s = {.need = 1, .n = 1};
    char err[QR_ERR_TEXT_MAX] = "";
    size_t scheme = strcspn(line, " "), key = strcspn(line + scheme + 1, " ");

    *ret_already = r->signatures.len > 0 &&
                   memmem(r->signatures.p, r->signatures.len, line, scheme + 1 + key) != NULL;
    if (!*ret_already) {
        return QR_EXIT_OK;
    }
    qr_err e = qr_release_key_read(qr_view_of(line, scheme), qr_view_of(line + scheme + 1, key),
                                   &s.key[0]);
    memcpy(s.key[0].name, "this key", 9);
    if (e == QR_OK) {
        e = qr_manifest_verify(qr_view_of(r->text.p, r->text.len),
                               qr_view_of(r->signatures.p, r->signatures.len), &s, NULL, err,
                               sizeof err);
    }
    return e == QR_OK
               ? QR_EXIT_OK
               : qr_ctl_fail(c, e == QR_ERR_ATTESTATION ? QR_EXIT_REFUSED : QR_EXIT_CONFIG,
                             "%s.sigs: %s; remove the line", path, err[0] ? err : qr_err_text(e));
}

static int
sign_file(const struct qr_ctl *c, struct evp_pkey_st *key, const char *path, int print)
{
    char line[QR_SIGNATURE_LINE_MAX];
    struct release r;
    int already = 0;

    int code = release_read(c, path, &r);
    if (code == QR_EXIT_OK &&
        qr_manifest_sign(key, qr_view_of(r.text.p, r.text.len), line) != QR_OK) {
        code = qr_ctl_fail(c, QR_EXIT_CONFIG,
                           "the key cannot sign a release: it must be Ed25519 or P-256");
    }
    if (code == QR_EXIT_OK && print) {
        code = qr_ctl_emit(c, qr_view_str(line));
    } else if (code == QR_EXIT_OK) {
        code = signed_already(c, path, &r, line, &already);
        if (code == QR_EXIT_OK && already) {
            qr_ctl_warn(c, "%s.sigs has this key's signature already; nothing was added", path);
        } else if (code == QR_EXIT_OK) {
            code = append(c, path, line);
        }
    }
    if (code == QR_EXIT_OK && c->json && !print) {
        printf("{\"ok\":true,\"added\":%s}\n", already ? "false" : "true");
    }
    release_free(&r);
    return code;
}

static int
measurements_sign(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    const char *key = NULL;
    int print = 0;
    struct qr_ctl_list rest;
    struct evp_pkey_st *k = NULL;
    const struct qr_ctl_opt opts[] = {
        {"key", QR_CTL_TEXT, &key, "FILE", "the release key, Ed25519 or P-256", 1, 0},
        {"print", QR_CTL_FLAG, &print, NULL, "print the signature's line and write nothing", 0, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    if (!print && strcmp(rest.v[0], "-") == 0) {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "stdin has no file beside it for the signature: --print it");
    }
    code = qr_ctl_load_key(c, key, &k);
    if (code == QR_EXIT_OK) {
        code = sign_file(c, k, rest.v[0], print);
        EVP_PKEY_free(k);
    }
    return code;
}

/* ---- measurements verify ---- */

static int
signers_of(const struct qr_ctl *c, const struct qr_ctl_list *keys, unsigned long need,
           struct qr_release_signers *s)
{
    if (keys->n > QR_MANIFEST_SIGNERS) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "at most %u keys", QR_MANIFEST_SIGNERS);
    }
    for (size_t i = 0; i < keys->n; i++) {
        struct qr_release_key *k = &s->key[i];
        struct qr_stamp_key key;
        char hex[67];
        int code = qr_ctl_named_key(c, keys->v[i], k->name, &key);
        if (code != QR_EXIT_OK) {
            return code;
        }
        char name[QR_NAME_MAX];
        memcpy(name, k->name, sizeof name);
        qr_hex_encode(qr_view_of(key.b, qr_scheme_key_len(key.scheme)), hex);
        if (qr_release_key_read(qr_view_str(qr_scheme_name(key.scheme)), qr_view_str(hex), k) !=
            QR_OK) {
            return qr_ctl_fail(c, QR_EXIT_USAGE, "\"%s\" is no release key: p256 or ed25519",
                               keys->v[i]);
        }
        memcpy(k->name, name, sizeof name);
        for (size_t n = 0; n < i; n++) {
            if (memcmp(s->key[n].b, k->b, sizeof k->b) == 0) {
                return qr_ctl_fail(c, QR_EXIT_USAGE, "\"%s\" and \"%s\" are one key",
                                   s->key[n].name, k->name);
            }
        }
        s->n++;
    }
    s->need = (unsigned)need;
    return s->need <= s->n ? QR_EXIT_OK
                           : qr_ctl_fail(c, QR_EXIT_USAGE,
                                         "--need %u, but only %zu keys were given", s->need, s->n);
}

static int
measurements_verify(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    static struct qr_release_signers s;
    unsigned long need = 0;
    struct qr_ctl_list rest, keys = {.n = 0};
    char err[QR_ERR_TEXT_MAX] = "", sha[65];
    struct release r;
    unsigned mask = 0;
    const struct qr_ctl_opt opts[] = {
        {"key", QR_CTL_MANY, &keys, "NAME:HEX[:SCHEME]", "a release key; p256 or ed25519", 1, 0},
        {"need", QR_CTL_NUMBER, &need, "K", "how many of them must have signed", 1,
         QR_MANIFEST_SIGNERS},
        {.kind = QR_CTL_END},
    };

    s = (struct qr_release_signers){0};
    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0 || (code = signers_of(c, &keys, need, &s)) != QR_EXIT_OK) {
        return code;
    }
    code = release_read(c, rest.v[0], &r);
    if (code == QR_EXIT_OK) {
        qr_err e = qr_manifest_verify(qr_view_of(r.text.p, r.text.len),
                                      qr_view_of(r.signatures.p, r.signatures.len), &s, &mask, err,
                                      sizeof err);
        code = e == QR_OK ? QR_EXIT_OK
                          : qr_ctl_fail(c, QR_EXIT_REFUSED, "%s: %s", rest.v[0],
                                        err[0] ? err : qr_err_text(e));
    }
    if (code == QR_EXIT_OK) {
        qr_hex_encode(qr_view_of(qr_manifest_sha256(r.m), 32), sha);
        printf(c->json ? "{\"ok\":true,\"release\":\"%s\",\"sha256\":\"%s\",\"signed_by\":["
                       : "ok: release %s, SHA-256 %s, signed by",
               qr_manifest_release(r.m), sha);
        for (size_t i = 0, n = 0; i < s.n; i++) {
            if (mask >> i & 1) {
                printf(c->json ? "%s\"%s\"" : "%s %s", n++ && c->json ? "," : "", s.key[i].name);
            }
        }
        puts(c->json ? "]}" : "");
    }
    release_free(&r);
    return code;
}

/* ---- measurements show ---- */

static void
show(const struct release *r)
{
    char from[21], until[21], sha[65], recipe[65], hex[129];

    qr_time_print(qr_manifest_from_ms(r->m), from);
    qr_time_print(qr_manifest_until_ms(r->m), until);
    qr_hex_encode(qr_view_of(qr_manifest_sha256(r->m), 32), sha);
    qr_hex_encode(qr_view_of(qr_manifest_recipe(r->m), 32), recipe);
    printf("release   %s\nsha256    %s\nsource    %s\nrecipe    %s\nvalid     %s until %s\n",
           qr_manifest_release(r->m), sha, qr_manifest_source(r->m), recipe, from, until);
    for (size_t i = 0; qr_manifest_superseded(r->m, i); i++) {
        printf("replaces  %s\n", qr_manifest_superseded(r->m, i));
    }
    for (size_t i = 0; qr_manifest_revoked(r->m, i); i++) {
        printf("revokes   %s\n", qr_manifest_revoked(r->m, i));
    }
    if (qr_manifest_min_release(r->m) > 0) {
        printf("sealed    opens for release number %llu and above only\n",
               (unsigned long long)qr_manifest_min_release(r->m));
    }
    for (size_t i = 0; i < qr_manifest_n(r->m); i++) {
        const struct qr_measurement *m = qr_manifest_get(r->m, i);
        qr_time_print(m->from_ms, from);
        qr_time_print(m->until_ms, until);
        printf("set       %s for %s, %s until %s\n", m->name, qr_evidence_kind_name(m->kind), from,
               until);
        for (size_t k = 0; k < m->n; k++) {
            qr_hex_encode(qr_view_of(m->expect[k].bytes, m->expect[k].len), hex);
            printf("          %s %s\n", m->expect[k].path, hex);
        }
    }
    for (size_t at = 0; at < r->signatures.len;) {
        const uint8_t *p = r->signatures.p + at, *nl = memchr(p, '\n', r->signatures.len - at);
        size_t len = nl ? (size_t)(nl - p) : r->signatures.len - at, words = 0, n = 0;
        while (n < len && (words += p[n] == ' ') < 2) {
            n++;
        }
        char key[96];
        size_t shown = n < sizeof key ? n : sizeof key - 1;
        for (size_t i = 0; i < shown; i++) {
            key[i] = (char)(p[i] >= 0x20 && p[i] < 0x7f ? p[i] : '?');
        }
        key[shown] = 0;
        if (len > 0) {
            printf("line of   %s (not checked here)\n", key);
        }
        at += len + 1;
    }
}

static int
measurements_show(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    struct qr_ctl_list rest;
    struct release r;
    const struct qr_ctl_opt opts[] = {{.kind = QR_CTL_END}};

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    code = release_read(c, rest.v[0], &r);
    if (code == QR_EXIT_OK && c->json) {
        code = qr_ctl_emit(c, qr_view_of(r.text.p, r.text.len));
    } else if (code == QR_EXIT_OK) {
        show(&r);
    }
    release_free(&r);
    return code;
}

/* ---- a policy in words ---- */

struct words {
    struct qr_jsonw *json; /* NULL: as text */
    size_t n;
};

static void
put_line(void *ctx, const char *text)
{
    struct words *w = ctx;

    if (w->json) {
        qr_jsonw_raw(w->json, w->n ? "," : "");
        qr_jsonw_str(w->json, qr_view_str(text));
    } else {
        puts(text);
    }
    w->n++;
}

/* As lines, or as one array: of the peers' part, or of the requests' in a quorum of n and t. */
static int
explain(const struct qr_ctl *c, const struct qr_peers *peers, const struct qr_policy *p, unsigned n,
        unsigned t)
{
    struct qr_dbuf d;
    struct words w = {NULL, 0};

    qr_dbuf_init(&d, QR_CTL_FILE_MAX);
    struct qr_jsonw json = qr_jsonw_to(&d);
    w.json = c->json ? &json : NULL;
    if (peers) {
        qr_peers_explain(peers, put_line, &w);
    } else {
        qr_policy_explain(p, n, t, put_line, &w);
    }
    int code = QR_EXIT_OK;
    if (c->json && json.err == QR_OK) {
        printf("[%.*s]", (int)d.len, (const char *)d.p);
    } else if (c->json) {
        code = qr_ctl_fail(c, QR_EXIT_INTERNAL, "%s", qr_err_text(json.err));
    }
    qr_dbuf_free(&d);
    return code;
}

int
qr_ctl_explain(const struct qr_ctl *c, const struct qr_peers *p)
{
    return explain(c, p, NULL, 0, 0);
}

int
qr_ctl_explain_requests(const struct qr_ctl *c, const struct qr_policy *p, unsigned n, unsigned t)
{
    return explain(c, NULL, p, n, t);
}

/* Manifests stay in `kept` as long as the policy. */
int
qr_ctl_add_manifests(const struct qr_ctl *c, struct qr_policy *p, const struct qr_ctl_list *files,
                     struct qr_manifest *kept[static QR_CTL_LIST_MAX])
{
    int code = QR_EXIT_OK;

    for (size_t i = 0; i < files->n && code == QR_EXIT_OK; i++) {
        char err[QR_ERR_TEXT_MAX] = "";
        struct release r;
        code = release_read(c, files->v[i], &r);
        if (code == QR_EXIT_OK) {
            qr_err e = qr_policy_add_manifest(p, r.m, qr_view_of(r.signatures.p, r.signatures.len),
                                              err, sizeof err);
            kept[i] = r.m;
            r.m = NULL;
            code = e == QR_OK ? QR_EXIT_OK
                              : qr_ctl_fail(c, QR_EXIT_REFUSED, "%s: %s", files->v[i],
                                            err[0] ? err : qr_err_text(e));
        }
        release_free(&r);
    }
    return code;
}

/* ---- measurements load ---- */

#define LOAD_MS 30000

/* The signature file's lines as stamps. */
static int
lines_of(const struct qr_ctl *c, const char *path, const struct release *r, struct qr_ask *ask)
{
    const uint8_t *p = r->signatures.p, *end = p + r->signatures.len;

    while (p < end) {
        const uint8_t *stop = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((stop ? stop : end) - p);
        if (n > 0 && ask->n_stamps == QR_ADMINS_MAX) {
            return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s.sigs: more than %u lines", path,
                               QR_ADMINS_MAX);
        }
        if (n > 0) {
            ask->stamps[ask->n_stamps++] = qr_view_of(p, n);
        }
        p += n + (stop != NULL);
    }
    return QR_EXIT_OK;
}

static int
measurements_load(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    struct qr_ctl_list rest, sockets = {.n = 0};
    struct release r = {0};
    struct qr_ask ask = {.what = QR_ASK_ADMIN, .admin = QR_ADMIN_LOAD_MEASUREMENTS};
    const struct qr_ctl_opt opts[] = {
        {"socket", QR_CTL_MANY, &sockets, "PATH", "a party's admin_socket", 1, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    code = release_read(c, rest.v[0], &r);
    if (code == QR_EXIT_OK) {
        ask.body = qr_view_of(r.text.p, r.text.len);
        code = lines_of(c, rest.v[0], &r, &ask);
    }
    if (code == QR_EXIT_OK) {
        code = qr_ctl_tell_all(c, &sockets, &ask, LOAD_MS);
    }
    release_free(&r);
    return code;
}

const struct qr_ctl_cmd qr_ctl_measure_cmds[] = {
    {"measurements sign", "MANIFEST",
     "Sign a release manifest's exact bytes; adds a line to MANIFEST.sigs.", measurements_sign},
    {"measurements verify", "MANIFEST", "Check a manifest and that K of the given keys signed it.",
     measurements_verify},
    {"measurements show", "MANIFEST", "Show a release's measurements and dates.",
     measurements_show},
    {"measurements load", "MANIFEST", "Hand a manifest and its signatures to parties.",
     measurements_load},
    {.name = NULL},
};
