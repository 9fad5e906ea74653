/*
 * quorate approve: what an approver does at his own machine.
 *
 * show: the request in plain words, who stamped it, and which rule asks whom (with a policy).
 * sign: an approval by a key of one's own; takes the hash that show printed, so that what was read is
 *       what is approved, whatever became of the file since.
 * link: the address of an approvers' page with the request behind its '#'.
 * check: are these approvals good, and whose are they.
 * A passkey approves in a browser (clients/approve); its approvals are checked here like the others.
 */
#include "daemon/ctl.h"

#include "daemon/jsonw.h"
#include "daemon/loop.h"
#include "daemon/policy.h"
#include "daemon/words.h"
#include "protocol/base/enc.h"

#include <openssl/evp.h>
#include <stdio.h>

#define REQUEST_FILE_MAX (2u * QR_BODY_MAX + 2u * QR_STAMP_MAX)
#define WORDS_MAX (1024u * 1024u)

/* A request as it was handed over, and the policy it is held against. */
struct job {
    const char *policy_file;
    struct qr_dbuf file, policy_text, words;
    struct qr_json doc; /* of a request file; body and stamp point into it */
    qr_view body, stamp;
    struct qr_request q;
    struct qr_policy *policy;       /* NULL: none given */
    const struct qr_client *client; /* NULL: not known */
    char hash[65];
};

static void
job_clear(struct job *j)
{
    qr_json_clear(&j->doc);
    qr_request_clear(&j->q);
    qr_policy_free(j->policy);
    qr_dbuf_free(&j->file);
    qr_dbuf_free(&j->policy_text);
    qr_dbuf_free(&j->words);
}

/* ---- reading ---- */

static int
load_policy(const struct qr_ctl *c, struct job *j)
{
    char why[QR_ERR_TEXT_MAX] = "";

    if (!j->policy_file) {
        return QR_EXIT_OK;
    }
    int code = qr_ctl_read(c, j->policy_file, QR_DOC_MAX, &j->policy_text);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_err e = qr_policy_parse(qr_view_of(j->policy_text.p, j->policy_text.len), &j->policy, why,
                               sizeof why);
    return e == QR_OK ? QR_EXIT_OK : qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", j->policy_file, why);
}

/*
 * A request file ({"body","stamp"}, perhaps with what a party answered), or a body alone: no body has a
 * member "body".
 */
static qr_err
open_file(struct job *j, char *why, size_t cap)
{
    qr_view all = qr_view_of(j->file.p, j->file.len);
    int has_body = 0, has_stamp = 0;

    QR_TRY(qr_json_parse_foreign(&j->doc, all, QR_BODY_MAX, why, cap));
    struct qr_json_at root = qr_json_root(&j->doc);
    for (size_t i = 0, n = qr_json_size(&root); i < n && i < 8; i++) {
        has_body |= strcmp(qr_json_member(&root, i).name, "body") == 0;
    }
    if (!has_body) {
        j->body = all;
        return QR_OK;
    }
    const struct qr_json_field fields[] = {
        {"body", QR_JSON_UTF8, 1, QR_BODY_MAX, &j->body, NULL},
        {"stamp", QR_JSON_TEXT, 1, QR_STAMP_MAX, &j->stamp, &has_stamp},
        {"answer", QR_JSON_SKIP, 0, 0, NULL, &(int){0}},
        {.type = QR_JSON_END},
    };
    return qr_json_fields(&root, fields);
}

static int
load_request(const struct qr_ctl *c, struct job *j, const char *path)
{
    char why[QR_ERR_TEXT_MAX] = "";

    qr_dbuf_init(&j->words, WORDS_MAX);
    int code = qr_ctl_read(c, path, REQUEST_FILE_MAX, &j->file);
    if (code != QR_EXIT_OK) {
        return code;
    }
    if (open_file(j, why, sizeof why) != QR_OK ||
        qr_request_parse(j->body, &j->q, why, sizeof why) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s is no request that a party would take: %s", path,
                           why);
    }
    qr_hex_encode(qr_view_of(j->q.hash, 32), j->hash);
    code = load_policy(c, j);
    if (code != QR_EXIT_OK || !j->policy) {
        return code;
    }
    if (j->stamp.len == 0) {
        qr_ctl_warn(c, "%s has no stamp, so nobody knows who asks", path);
        return QR_EXIT_OK;
    }
    if (qr_policy_check_stamp(j->policy, j->stamp, j->body, &j->client, why, sizeof why) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_REFUSED, "%s: %s", path, why);
    }
    return QR_EXIT_OK;
}

static int
make_words(const struct qr_ctl *c, struct job *j)
{
    qr_err e = qr_words(&j->q, j->client ? j->client->name : NULL, &j->words);
    return e == QR_OK ? QR_EXIT_OK
                      : qr_ctl_fail(c, QR_EXIT_REFUSED,
                                    "the request is too long or too deep to be shown; do not "
                                    "approve what cannot be read");
}

/* ---- show ---- */

/* "2 more of alice, bob"; out has QR_ERR_TEXT_MAX bytes. */
static void
missing_text(const struct qr_policy *p, const struct qr_policy_says *says, char *out)
{
    size_t len = (size_t)snprintf(out, QR_ERR_TEXT_MAX, "%u of", says->need);
    int first = 1;

    for (size_t i = 0; i < qr_policy_n_approvers(p) && len < QR_ERR_TEXT_MAX; i++) {
        const struct qr_approver *a = qr_policy_approver(p, i);
        if (says->of >> a->index & 1) {
            len += (size_t)snprintf(out + len, QR_ERR_TEXT_MAX - len, "%s %s", first ? "" : ",",
                                    a->name);
            first = 0;
        }
    }
}

/* What the policy says to it, now and without an approval; appended to the words. */
static qr_err
add_rule(struct job *j)
{
    struct qr_policy_says says;
    char line[2 * QR_ERR_TEXT_MAX], who[QR_ERR_TEXT_MAX];
    int64_t now = (int64_t)qr_wall_ms();

    if (!j->client) {
        return QR_OK;
    }
    if (j->q.by_address) {
        (void)snprintf(line, sizeof line,
                       "rule: not known here, for the request names its key by an address\n");
        return qr_dbuf_append(&j->words, line, strlen(line));
    }
    const struct qr_policy_ask ask = {
        .client = j->client, .req = &j->q, .key = j->q.key, .now_ms = now, .lower_ms = now};
    switch (qr_policy_decide(j->policy, &ask, &says)) {
    case QR_OK:
        (void)snprintf(line, sizeof line, "rule: %s allows it, without an approval\n", says.rule);
        break;
    case QR_ERR_APPROVALS:
        missing_text(j->policy, &says, who);
        (void)snprintf(line, sizeof line, "rule: %s asks for approvals: %s\n", says.rule, who);
        break;
    default:
        (void)snprintf(line, sizeof line, "rule: REFUSED, whoever approves: %s\n", says.why);
        break;
    }
    return qr_dbuf_append(&j->words, line, strlen(line));
}

/* Each line as ["label","text"]. */
static int
print_json(const struct qr_ctl *c, const struct job *j)
{
    struct qr_dbuf d;
    struct qr_jsonw w = qr_jsonw_to(&d);
    const char *p = (const char *)j->words.p, *end = p + j->words.len;

    qr_dbuf_init(&d, 8 * WORDS_MAX);
    qr_jsonw_raw(&w, "{\"request\":\"");
    qr_jsonw_raw(&w, j->hash);
    qr_jsonw_raw(&w, "\",\"client\":");
    if (j->client) {
        qr_jsonw_str(&w, qr_view_str(j->client->name));
    } else {
        qr_jsonw_raw(&w, "null");
    }
    qr_jsonw_raw(&w, ",\"words\":[");
    for (const char *sep = ""; p < end; sep = ",") {
        const char *nl = memchr(p, '\n', (size_t)(end - p)), *colon = p;
        while (colon < nl && !(colon[0] == ':' && colon[1] == ' ')) {
            colon++;
        }
        qr_jsonw_raw(&w, sep);
        qr_jsonw_raw(&w, "[");
        qr_jsonw_str(&w, qr_view_of(p, (size_t)(colon - p)));
        qr_jsonw_raw(&w, ",");
        qr_jsonw_str(&w, qr_view_of(colon + 2, (size_t)(nl - colon - 2)));
        qr_jsonw_raw(&w, "]");
        p = nl + 1;
    }
    qr_jsonw_raw(&w, "]}\n");
    int code = w.err == QR_OK ? qr_ctl_emit(c, qr_view_of(d.p, d.len))
                              : qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
    qr_dbuf_free(&d);
    return code;
}

static int
show(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    static struct job j;
    struct qr_ctl_list rest;
    const struct qr_ctl_opt opts[] = {
        {"policy", QR_CTL_TEXT, &j.policy_file, "FILE",
         "the policy in force: names who asks, and the rule", 0, 0},
        {.kind = QR_CTL_END},
    };

    memset(&j, 0, sizeof j);
    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    code = load_request(c, &j, rest.v[0]);
    if (code == QR_EXIT_OK) {
        code = make_words(c, &j);
    }
    if (code == QR_EXIT_OK && add_rule(&j) != QR_OK) {
        code = qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
    }
    if (code == QR_EXIT_OK) {
        code = c->json ? print_json(c, &j) : qr_ctl_emit(c, qr_view_of(j.words.p, j.words.len));
    }
    job_clear(&j);
    return code;
}

/* ---- sign ---- */

static int
sign(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    static struct job j;
    const char *key_file = NULL, *hash = NULL, *out = NULL;
    char approval[QR_STAMP_MAX + 2];
    EVP_PKEY *key = NULL;
    struct qr_ctl_list rest;
    const struct qr_ctl_opt opts[] = {
        {"key", QR_CTL_TEXT, &key_file, "FILE", "your private key, which the policy names", 1, 0},
        {"request", QR_CTL_TEXT, &hash, "HASH",
         "the hash of the request as quorate approve show printed it", 1, 0},
        {"policy", QR_CTL_TEXT, &j.policy_file, "FILE",
         "the policy in force: refuses a request that no client of it stamped", 0, 0},
        {"out", QR_CTL_TEXT, &out, "FILE", "where to write it (default: stdout)", 0, 0},
        {.kind = QR_CTL_END},
    };

    memset(&j, 0, sizeof j);
    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    code = load_request(c, &j, rest.v[0]);
    if (code == QR_EXIT_OK && strcmp(hash, j.hash) != 0) {
        code = qr_ctl_fail(c, QR_EXIT_REFUSED,
                           "%s holds another request than the one you name: %s; read it with "
                           "quorate approve show",
                           rest.v[0], j.hash);
    }
    if (code == QR_EXIT_OK && j.policy && !j.client) {
        code = qr_ctl_fail(c, QR_EXIT_REFUSED, "%s carries no stamp of a client of %s", rest.v[0],
                           j.policy_file);
    }
    if (code == QR_EXIT_OK) {
        code = make_words(c, &j); /* what cannot be shown is not approved */
    }
    if (code == QR_EXIT_OK) {
        code = qr_ctl_load_key(c, key_file, &key);
    }
    if (code == QR_EXIT_OK) {
        qr_err e = qr_approval_sign(key, j.q.hash, approval, QR_STAMP_MAX + 1);
        code = e == QR_OK ? QR_EXIT_OK
                          : qr_ctl_fail(c, QR_EXIT_CONFIG,
                                        "%s cannot approve: a P-256, secp256k1 or Ed25519 key is "
                                        "needed",
                                        key_file);
    }
    if (code == QR_EXIT_OK) {
        size_t n = strlen(approval);
        approval[n++] = '\n';
        code = qr_ctl_write(c, out, qr_view_of(approval, n), 0644);
    }
    EVP_PKEY_free(key);
    job_clear(&j);
    return code;
}

/* ---- link ---- */

static int
link_to(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    static struct job j;
    const char *page = NULL;
    struct qr_ctl_list rest;
    struct qr_dbuf d;
    const struct qr_ctl_opt opts[] = {
        {"page", QR_CTL_TEXT, &page, "URL", "where your organisation serves its approvers' page", 1,
         0},
        {.kind = QR_CTL_END},
    };

    memset(&j, 0, sizeof j);
    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    const char *host = strncmp(page, "http://localhost", 16) == 0 ? page + 16 : NULL;
    int local = host && (*host == ':' || *host == '/' || *host == '\0');
    if ((strncmp(page, "https://", 8) != 0 && !local) || page[strcspn(page, "# \t\r\n")] != '\0') {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "--page takes an https:// address without anything behind a '#'");
    }
    qr_dbuf_init(&d, 2 * REQUEST_FILE_MAX + 4096);
    code = load_request(c, &j, rest.v[0]);
    if (code == QR_EXIT_OK) {
        size_t n = strlen(page), len = qr_b64url_len(j.file.len);
        if (qr_dbuf_append(&d, page, n) != QR_OK || qr_dbuf_append(&d, "#", 1) != QR_OK ||
            qr_dbuf_reserve(&d, len + 1) != QR_OK) {
            code = qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
        } else {
            qr_b64url_encode(qr_view_of(j.file.p, j.file.len), (char *)d.p + d.len);
            d.len += len;
            code = qr_ctl_emit(c, qr_view_of(d.p, d.len));
        }
    }
    qr_dbuf_free(&d);
    job_clear(&j);
    return code;
}

/* ---- check ---- */

static int
check_all(const struct qr_ctl *c, const struct job *j, const struct qr_ctl_list *files)
{
    struct qr_dbuf d[QR_APPROVALS_MAX] = {{0}};
    qr_view header[QR_APPROVALS_MAX];
    char why[QR_ERR_TEXT_MAX] = "";
    uint64_t mask = 0;
    int code = QR_EXIT_OK;

    for (size_t i = 0; i < files->n && code == QR_EXIT_OK; i++) {
        code = qr_ctl_read(c, files->v[i], QR_STAMP_MAX + 2, &d[i]);
        size_t n = d[i].len;
        while (n > 0 && (d[i].p[n - 1] == '\n' || d[i].p[n - 1] == '\r')) {
            n--;
        }
        header[i] = qr_view_of(d[i].p, n);
    }
    if (code == QR_EXIT_OK && qr_approvals_check(j->policy, header, files->n, j->q.hash, &mask, why,
                                                 sizeof why) != QR_OK) {
        code = qr_ctl_fail(c, QR_EXIT_REFUSED, "%s", why);
    }
    if (code == QR_EXIT_OK) {
        const char *sep = "";
        fputs(c->json ? "{\"approved_by\":[" : "approved by: ", stdout);
        for (size_t i = 0; i < qr_policy_n_approvers(j->policy); i++) {
            const struct qr_approver *a = qr_policy_approver(j->policy, i);
            if (mask >> a->index & 1) {
                printf(c->json ? "%s\"%s\"" : "%s%s", sep, a->name);
                sep = c->json ? "," : ", ";
            }
        }
        puts(c->json ? "]}" : "");
    }
    for (size_t i = 0; i < files->n; i++) {
        qr_dbuf_free(&d[i]);
    }
    return code;
}

static int
check(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    static struct job j;
    const char *request = NULL;
    struct qr_ctl_list rest;
    const struct qr_ctl_opt opts[] = {
        {"request", QR_CTL_TEXT, &request, "FILE", "the request they are for", 1, 0},
        {"policy", QR_CTL_TEXT, &j.policy_file, "FILE", "the policy that names the approvers", 1,
         0},
        {.kind = QR_CTL_END},
    };

    memset(&j, 0, sizeof j);
    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, QR_APPROVALS_MAX);
    if (code >= 0) {
        return code;
    }
    code = load_request(c, &j, request);
    if (code == QR_EXIT_OK) {
        code = check_all(c, &j, &rest);
    }
    job_clear(&j);
    return code;
}

const struct qr_ctl_cmd qr_ctl_approve_cmds[] = {
    {"approve show", "REQUEST", "Show in plain words what a request asks, and which rule asks you.",
     show},
    {"approve sign", "REQUEST", "Approve a request that you have read, with a key of your own.",
     sign},
    {"approve link", "REQUEST", "The address that shows a request on an approvers' page.", link_to},
    {"approve check", "APPROVAL...", "Whose are these approvals, and are they good?", check},
    {.name = NULL},
};
