/* quorate descriptor, roster, policy: authority documents are made, checked and handed over. */
#include "daemon/ctl.h"

#include "daemon/ctl_sock.h"
#include "daemon/descriptor.h"
#include "daemon/jsonw.h"
#include "daemon/policy.h"
#include "daemon/roster.h"
#include "protocol/base/enc.h"
#include "protocol/base/rng.h"

#define DOC_TEXT_MAX (QR_DOC_MAX + 1024u)
#define LOAD_MS 15000u
/* Every client, every key, every kind whose meaning a party can see: not bare digests. */
#define DEFAULT_RULE "default:allow:*:*:sha256,sha256d,eip191,eip712,eth_tx,btc_legacy,btc_bip143"

/* ---- documents on disk ---- */

struct doc {
    const char *path;
    struct qr_dbuf text;
    struct qr_ctl_stamps stamps;
};

static qr_view
bytes_of(const struct doc *d)
{
    return qr_view_of(d->text.p, d->text.len);
}

static void
doc_free(struct doc *d)
{
    qr_dbuf_free(&d->text);
    qr_dbuf_free(&d->stamps.text);
}

static int
doc_read(const struct qr_ctl *c, const char *path, struct doc *d)
{
    *d = (struct doc){.path = path};
    int code = qr_ctl_read(c, path, QR_DOC_MAX, &d->text);
    if (code == QR_EXIT_OK) {
        code = qr_ctl_read_stamps(c, path, &d->stamps);
    }
    if (code != QR_EXIT_OK) {
        doc_free(d);
    }
    return code;
}

static int
roster_of(const struct qr_ctl *c, const struct doc *d, struct qr_roster **ret)
{
    char err[QR_ERR_TEXT_MAX] = "";
    qr_err e = qr_roster_parse(bytes_of(d), ret, err, sizeof err);
    return e == QR_OK
               ? QR_EXIT_OK
               : qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", d->path, err[0] ? err : qr_err_text(e));
}

/* 0 when enough administrators stamped it; else says who is missing. */
static int
check_stamps(const struct qr_ctl *c, const struct doc *d, const struct qr_admins *admins)
{
    char err[QR_ERR_TEXT_MAX] = "";
    qr_err e = qr_admins_verify(admins, bytes_of(d), d->stamps.v, d->stamps.n, err, sizeof err);
    return e == QR_OK
               ? QR_EXIT_OK
               : qr_ctl_fail(c, QR_EXIT_REFUSED, "%s: %s", d->path, err[0] ? err : qr_err_text(e));
}

/* ---- descriptor ---- */

static int
descriptor(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    const char *socket = NULL, *out = NULL;
    struct qr_ctl_list rest;
    char err[512];
    struct qr_answer *a = NULL;
    struct qr_descriptor d;
    const struct qr_ctl_opt opts[] = {
        {"socket", QR_CTL_TEXT, &socket, "PATH", "the party's admin_socket", 1, 0},
        {"out", QR_CTL_TEXT, &out, "FILE", "write it there instead of stdout", 0, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 0, 0);
    if (code >= 0) {
        return code;
    }
    struct qr_ask ask = {.what = QR_ASK_QUERY, .query = QR_QUERY_DESCRIPTOR};
    qr_err e = qr_ctl_ask(socket, &ask, LOAD_MS, &a, err, sizeof err);
    if (e != QR_OK) {
        return qr_ctl_fail(c, qr_ctl_code(e), "%s", err);
    }
    e = a->error != QR_OK ? a->error : qr_descriptor_parse(a->json, &d, err, sizeof err);
    if (e != QR_OK) {
        code = qr_ctl_fail(c, qr_ctl_code(e), "%s: %s", socket,
                           a->error != QR_OK ? qr_err_text(e) : err);
    } else {
        code = qr_ctl_write(c, out, a->json, 0644);
    }
    qr_answer_free(a);
    return code;
}

/* ---- roster new ---- */

struct new_roster {
    const char *name;
    uint8_t cluster[32];
    uint64_t serial;
    unsigned long need;
    size_t n_admins;
    struct {
        char name[QR_NAME_MAX];
        struct qr_stamp_key key;
    } admin[QR_ADMINS_MAX];
    size_t n;
    struct qr_descriptor party[QR_MAX_PARTIES];
};

static void
put_named_key(struct qr_jsonw *w, const char *name, const struct qr_stamp_key *k,
              const char *before)
{
    qr_jsonw_raw(w, before);
    qr_jsonw_raw(w, "{\"name\":");
    qr_jsonw_str(w, qr_view_str(name));
    qr_jsonw_raw(w, ",\"scheme\":\"");
    qr_jsonw_raw(w, qr_scheme_name(k->scheme));
    qr_jsonw_raw(w, "\",\"key\":");
    qr_jsonw_hex(w, k->b, qr_scheme_key_len(k->scheme));
    qr_jsonw_raw(w, "}");
}

static qr_err
put_roster(struct qr_dbuf *d, const struct new_roster *r)
{
    struct qr_jsonw w = qr_jsonw_to(d);

    qr_jsonw_raw(&w, "{\"v\":1,\"type\":\"quorate/roster\",\"cluster\":");
    qr_jsonw_hex(&w, r->cluster, sizeof r->cluster);
    qr_jsonw_raw(&w, ",\"name\":");
    qr_jsonw_str(&w, qr_view_str(r->name));
    qr_jsonw_raw(&w, ",\"serial\":");
    qr_jsonw_u64(&w, r->serial);
    qr_jsonw_raw(&w, ",\n \"parties\":[");
    for (size_t i = 0; i < r->n; i++) {
        const struct qr_roster_party *p = &r->party[i].party;
        qr_jsonw_raw(&w, i ? ",\n  {\"index\":" : "\n  {\"index\":");
        qr_jsonw_u64(&w, i + 1);
        qr_jsonw_raw(&w, ",\"identity\":");
        qr_jsonw_hex(&w, p->identity, sizeof p->identity);
        qr_jsonw_raw(&w, ",\"address\":");
        qr_jsonw_str(&w, qr_view_str(p->address));
        qr_jsonw_raw(&w, ",\"cloud\":");
        qr_jsonw_str(&w, qr_view_str(p->cloud));
        qr_jsonw_raw(&w, ",\"operator\":");
        qr_jsonw_str(&w, qr_view_str(p->operator_name));
        qr_jsonw_raw(&w, ",\"tee\":");
        qr_jsonw_str(&w, qr_view_str(qr_platform_name(p->platform)));
        qr_jsonw_raw(&w, "}");
    }
    qr_jsonw_raw(&w, "],\n \"admins\":{\"need\":");
    qr_jsonw_u64(&w, r->need);
    qr_jsonw_raw(&w, ",\"keys\":[");
    for (size_t i = 0; i < r->n_admins; i++) {
        put_named_key(&w, r->admin[i].name, &r->admin[i].key, i ? ",\n  " : "\n  ");
    }
    qr_jsonw_raw(&w, "]}}\n");
    return w.err;
}

/* Reads descriptors and administrators; what they say together is for qr_roster_parse. */
static int
collect(const struct qr_ctl *c, const struct qr_ctl_list *files, const struct qr_ctl_list *admins,
        struct new_roster *r)
{
    char err[QR_ERR_TEXT_MAX];
    struct qr_dbuf d;

    for (size_t i = 0; i < files->n; i++) {
        int code = qr_ctl_read(c, files->v[i], 8192, &d);
        if (code != QR_EXIT_OK) {
            return code;
        }
        /* A shell or an editor may have ended it with a newline. */
        while (d.len > 0 && d.p[d.len - 1] == '\n') {
            d.len--;
        }
        qr_err e = qr_descriptor_parse(qr_view_of(d.p, d.len), &r->party[i], err, sizeof err);
        qr_dbuf_free(&d);
        if (e != QR_OK) {
            return qr_ctl_fail(c, e == QR_ERR_IDENTITY ? QR_EXIT_REFUSED : QR_EXIT_CONFIG, "%s: %s",
                               files->v[i], err);
        }
    }
    r->n = files->n;
    for (size_t i = 0; i < admins->n; i++) {
        int code = qr_ctl_named_key(c, admins->v[i], r->admin[i].name, &r->admin[i].key);
        if (code != QR_EXIT_OK) {
            return code;
        }
    }
    r->n_admins = admins->n;
    return QR_EXIT_OK;
}

/* The cluster and the next serial: given, taken from the roster before, or new. */
static int
number_roster(const struct qr_ctl *c, const char *after, struct new_roster *r)
{
    struct qr_roster *old = NULL;
    struct doc d;

    if (!after) {
        struct qr_rng rng = qr_rng_system();
        qr_rng_fill(&rng, r->cluster, sizeof r->cluster);
        r->serial = 1;
        return QR_EXIT_OK;
    }
    int code = doc_read(c, after, &d);
    if (code != QR_EXIT_OK) {
        return code;
    }
    code = roster_of(c, &d, &old);
    if (code == QR_EXIT_OK) {
        memcpy(r->cluster, old->cluster, sizeof r->cluster);
        r->serial = old->serial + 1;
        qr_roster_free(old);
    }
    doc_free(&d);
    return code;
}

static int
roster_new(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    static struct new_roster r;
    const char *out = NULL, *after = NULL;
    char err[QR_ERR_TEXT_MAX] = "";
    struct qr_ctl_list files, admins = {.n = 0};
    struct qr_roster *check = NULL;
    struct qr_dbuf d;
    const struct qr_ctl_opt opts[] = {
        {"name", QR_CTL_TEXT, &r.name, "NAME", "a name for the quorum", 1, 0},
        {"admin", QR_CTL_MANY, &admins, "NAME:HEX[:SCHEME]", "an administrator's public key", 1, 0},
        {"need", QR_CTL_NUMBER, &r.need, "M", "how many administrators must sign", 1,
         QR_ADMINS_MAX},
        {"after", QR_CTL_TEXT, &after, "ROSTER", "same cluster, next serial", 0, 0},
        {"out", QR_CTL_TEXT, &out, "FILE", "write it there instead of stdout", 0, 0},
        {.kind = QR_CTL_END},
    };

    memset(&r, 0, sizeof r);
    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &files, 2, QR_MAX_PARTIES);
    if (code < 0 && admins.n > QR_ADMINS_MAX) {
        code = qr_ctl_fail(c, QR_EXIT_USAGE, "at most %u administrators", QR_ADMINS_MAX);
    }
    if (code >= 0 || (code = collect(c, &files, &admins, &r)) != QR_EXIT_OK ||
        (code = number_roster(c, after, &r)) != QR_EXIT_OK) {
        return code;
    }
    qr_dbuf_init(&d, DOC_TEXT_MAX);
    qr_err e = put_roster(&d, &r);
    if (e == QR_OK) {
        e = qr_roster_parse(qr_view_of(d.p, d.len), &check, err, sizeof err);
    }
    if (e != QR_OK) {
        code = qr_ctl_fail(c, QR_EXIT_USAGE, "this would be no roster: %s",
                           err[0] ? err : qr_err_text(e));
    } else {
        qr_roster_free(check);
        code = qr_ctl_write(c, out, qr_view_of(d.p, d.len), 0644);
    }
    qr_dbuf_free(&d);
    return code;
}

/* ---- roster show, check ---- */

static void
print_roster(const struct qr_roster *r)
{
    char cluster[65], hash[65], id[65];

    qr_hex_encode(qr_view_of(r->cluster, 32), cluster);
    qr_hex_encode(qr_view_of(r->hash, 32), hash);
    printf("roster    %s, serial %llu\ncluster   %s\nhash      %s\nadmins    %u of %zu:", r->name,
           (unsigned long long)r->serial, cluster, hash, r->admins.need, r->admins.n);
    for (size_t i = 0; i < r->admins.n; i++) {
        printf(" %s", r->admins.who[i].name);
    }
    putchar('\n');
    for (size_t i = 0; i < r->n; i++) {
        const struct qr_roster_party *p = &r->party[i];
        qr_hex_encode(qr_view_of(p->identity, 32), id);
        printf("party %2u  %s  %s, operator %s, tee %s\n          identity %s\n", p->index,
               p->address, p->cloud, p->operator_name, qr_platform_name(p->platform), id);
    }
}

static int
roster_show(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    struct qr_ctl_list rest;
    struct qr_roster *r = NULL;
    struct doc d;
    const struct qr_ctl_opt opts[] = {{.kind = QR_CTL_END}};

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0 || (code = doc_read(c, rest.v[0], &d)) != QR_EXIT_OK) {
        return code;
    }
    code = roster_of(c, &d, &r);
    if (code == QR_EXIT_OK && c->json) {
        code = qr_ctl_emit(c, bytes_of(&d));
    } else if (code == QR_EXIT_OK) {
        print_roster(r);
    }
    qr_roster_free(r);
    doc_free(&d);
    return code;
}

static int
roster_check(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    const char *by = NULL;
    struct qr_ctl_list rest;
    struct qr_roster *r = NULL, *old = NULL;
    struct doc d, od = {0};
    const struct qr_ctl_opt opts[] = {
        {"after", QR_CTL_TEXT, &by, "ROSTER", "check as the successor of that roster", 0, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0 || (code = doc_read(c, rest.v[0], &d)) != QR_EXIT_OK) {
        return code;
    }
    code = roster_of(c, &d, &r);
    if (code == QR_EXIT_OK && by) {
        code = doc_read(c, by, &od);
        code = code == QR_EXIT_OK ? roster_of(c, &od, &old) : code;
    }
    if (code == QR_EXIT_OK) {
        char err[QR_ERR_TEXT_MAX] = "";
        int same = 0;
        qr_err e =
            qr_roster_accept(old, r, bytes_of(&d), d.stamps.v, d.stamps.n, &same, err, sizeof err);
        if (e != QR_OK) {
            code = qr_ctl_fail(c, QR_EXIT_REFUSED, "%s: %s", d.path, err[0] ? err : qr_err_text(e));
        }
    }
    if (code == QR_EXIT_OK) {
        printf(c->json ? "{\"ok\":true,\"serial\":%llu,\"parties\":%zu,\"stamps\":%zu}\n"
                       : "ok: serial %llu, %zu parties, %zu stamps\n",
               (unsigned long long)r->serial, r->n, d.stamps.n);
    }
    qr_roster_free(old);
    qr_roster_free(r);
    doc_free(&od);
    doc_free(&d);
    return code;
}

/* ---- policy ---- */

/* "a,b,c" as a JSON array of strings. */
static void
put_words(struct qr_jsonw *w, const char *list)
{
    qr_jsonw_raw(w, "[");
    for (const char *p = list; *p; p += *p == ',') {
        size_t n = strcspn(p, ",");
        qr_jsonw_raw(w, p == list ? "" : ",");
        qr_jsonw_str(w, qr_view_of(p, n));
        p += n;
    }
    qr_jsonw_raw(w, "]");
}

/* "ID:allow:CLIENTS:KEYS:KINDS". */
static int
put_rule(const struct qr_ctl *c, struct qr_jsonw *w, const char *text, int first)
{
    char part[5][1024];
    size_t n = 0;

    for (const char *p = text; n < 5; n++) {
        size_t len = n < 4 ? strcspn(p, ":") : strlen(p);
        if (len == 0 || len >= sizeof part[0] || (n < 4 && p[len] != ':')) {
            return qr_ctl_fail(c, QR_EXIT_USAGE,
                               "\"%s\" is not ID:allow|deny:CLIENTS:KEYS:KINDS, each a list with "
                               "commas, or * for all clients or keys",
                               text);
        }
        memcpy(part[n], p, len);
        part[n][len] = '\0';
        p += len + (n < 4);
    }
    qr_jsonw_raw(w, first ? "\n   {\"id\":" : ",\n   {\"id\":");
    qr_jsonw_str(w, qr_view_str(part[0]));
    qr_jsonw_raw(w, ",\"effect\":");
    qr_jsonw_str(w, qr_view_str(part[1]));
    qr_jsonw_raw(w, ",\"clients\":");
    put_words(w, part[2]);
    qr_jsonw_raw(w, ",\"keys\":");
    put_words(w, part[3]);
    qr_jsonw_raw(w, ",\"kinds\":");
    put_words(w, part[4]);
    qr_jsonw_raw(w, "}");
    return QR_EXIT_OK;
}

static int
put_policy(const struct qr_ctl *c, struct qr_dbuf *d, const struct qr_roster *r, uint64_t serial,
           int sim, uint64_t secret, const struct qr_ctl_list *clients,
           const struct qr_ctl_list *rules)
{
    struct qr_jsonw w = qr_jsonw_to(d);
    char name[QR_NAME_MAX];
    struct qr_stamp_key key;
    int code = QR_EXIT_OK;

    qr_jsonw_raw(&w, "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":");
    qr_jsonw_hex(&w, r->cluster, sizeof r->cluster);
    qr_jsonw_raw(&w, ",\"serial\":");
    qr_jsonw_u64(&w, serial);
    qr_jsonw_raw(&w, sim ? ",\n \"peers\":{\"insecure_sim\":true" : ",\n \"peers\":{");
    if (secret > 0) {
        qr_jsonw_raw(&w,
                     sim ? ",\"peer_secret\":{\"threshold\":" : "\"peer_secret\":{\"threshold\":");
        qr_jsonw_u64(&w, secret);
        qr_jsonw_raw(&w, "}");
    }
    qr_jsonw_raw(&w, "}");
    qr_jsonw_raw(&w, ",\n \"requests\":{\"clients\":[");
    for (size_t i = 0; i < clients->n && code == QR_EXIT_OK; i++) {
        code = qr_ctl_named_key(c, clients->v[i], name, &key);
        if (code == QR_EXIT_OK) {
            put_named_key(&w, name, &key, i ? ",\n   " : "\n   ");
        }
    }
    qr_jsonw_raw(&w, "],\n  \"rules\":[");
    for (size_t i = 0; i < rules->n && code == QR_EXIT_OK; i++) {
        code = put_rule(c, &w, rules->v[i], i == 0);
    }
    if (rules->n == 0 && clients->n > 0 && code == QR_EXIT_OK) {
        code = put_rule(c, &w, DEFAULT_RULE, 1);
    }
    qr_jsonw_raw(&w, "]}}\n");
    if (code == QR_EXIT_OK && w.err != QR_OK) {
        code = qr_ctl_fail(c, QR_EXIT_INTERNAL, "%s", qr_err_text(w.err));
    }
    return code;
}

static int
policy_new(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    const char *roster = NULL, *out = NULL;
    unsigned long serial = 0, secret = 0;
    int sim = 0;
    char err[QR_ERR_TEXT_MAX] = "";
    struct qr_ctl_list rest, clients = {.n = 0}, rules = {.n = 0};
    struct qr_roster *r = NULL;
    struct qr_policy *check = NULL;
    struct doc rd;
    struct qr_dbuf d;
    const struct qr_ctl_opt opts[] = {
        {"roster", QR_CTL_TEXT, &roster, "FILE", "the roster whose cluster it is for", 1, 0},
        {"client", QR_CTL_MANY, &clients, "NAME:HEX[:SCHEME]", "a client's public key", 0, 0},
        {"rule", QR_CTL_MANY, &rules, "ID:EFFECT:CLIENTS:KEYS:KINDS",
         "default: all clients, all keys, every kind but digest", 0, 0},
        {"serial", QR_CTL_NUMBER, &serial, "N", "must rise with every policy; default 1", 0,
         INT32_MAX},
        {"insecure-sim", QR_CTL_FLAG, &sim, NULL, "accept the software TEE; never in production", 0,
         0},
        {"peer-secret", QR_CTL_NUMBER, &secret, "T",
         "shares open with t - 1 peers only, T the highest threshold of your keys", 0,
         QR_MAX_PARTIES},
        {"out", QR_CTL_TEXT, &out, "FILE", "write it there instead of stdout", 0, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 0, 0);
    if (code >= 0 || (code = doc_read(c, roster, &rd)) != QR_EXIT_OK) {
        return code;
    }
    qr_dbuf_init(&d, DOC_TEXT_MAX);
    code = roster_of(c, &rd, &r);
    if (code == QR_EXIT_OK) {
        code = put_policy(c, &d, r, serial ? serial : 1, sim, secret, &clients, &rules);
    }
    if (code == QR_EXIT_OK &&
        qr_policy_parse(qr_view_of(d.p, d.len), &check, err, sizeof err) != QR_OK) {
        code = qr_ctl_fail(c, QR_EXIT_USAGE, "this would be no policy: %s", err);
    }
    if (code == QR_EXIT_OK) {
        code = qr_ctl_write(c, out, qr_view_of(d.p, d.len), 0644);
    }
    qr_policy_free(check);
    qr_roster_free(r);
    qr_dbuf_free(&d);
    doc_free(&rd);
    return code;
}

/* The stamps and the cluster, when the roster is given; how many parties it has. */
static int
check_authority(const struct qr_ctl *c, const char *roster, const struct qr_policy *p,
                const struct doc *d, unsigned long *ret_n)
{
    struct qr_roster *r = NULL;
    struct doc rd = {0};

    int code = doc_read(c, roster, &rd);
    if (code == QR_EXIT_OK && (code = roster_of(c, &rd, &r)) == QR_EXIT_OK) {
        code = memcmp(qr_policy_cluster(p), r->cluster, 32) != 0
                   ? qr_ctl_fail(c, QR_EXIT_REFUSED, "%s is for another cluster", d->path)
                   : check_stamps(c, d, &r->admins);
        *ret_n = r->n;
    }
    qr_roster_free(r);
    doc_free(&rd);
    return code;
}

static int
policy_check(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    const char *roster = NULL;
    unsigned long n = 0, threshold = 0;
    char err[QR_ERR_TEXT_MAX] = "";
    struct qr_ctl_list rest, files = {.n = 0};
    struct qr_manifest *manifest[QR_CTL_LIST_MAX] = {NULL};
    struct qr_policy *p = NULL;
    struct doc d;
    const struct qr_ctl_opt opts[] = {
        {"roster", QR_CTL_TEXT, &roster, "FILE", "check the stamps against its administrators", 0,
         0},
        {"manifest", QR_CTL_MANY, &files, "FILE", "a release manifest that the policy believes", 0,
         0},
        {"parties", QR_CTL_NUMBER, &n, "N", "how many parties; a roster says it, too", 0,
         QR_MAX_PARTIES},
        {"threshold", QR_CTL_NUMBER, &threshold, "T",
         "the lowest threshold of your keys: shows what each party gets of every limit", 0,
         QR_MAX_PARTIES},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0 || (code = doc_read(c, rest.v[0], &d)) != QR_EXIT_OK) {
        return code;
    }
    if (qr_policy_parse(bytes_of(&d), &p, err, sizeof err) != QR_OK) {
        code = qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", d.path, err);
    } else if (!roster || (code = check_authority(c, roster, p, &d, &n)) == QR_EXIT_OK) {
        code = qr_ctl_add_manifests(c, p, &files, manifest);
    }
    if (code == QR_EXIT_OK && threshold > 0 && n < threshold) {
        code =
            qr_ctl_fail(c, QR_EXIT_USAGE,
                        "--threshold wants --parties or --roster beside it, with as many parties");
    }
    if (code == QR_EXIT_OK) {
        printf(c->json ? "{\"ok\":true,\"serial\":%llu,\"clients\":%zu,\"stamps_checked\":%s,"
                         "\"peers\":"
                       : "ok: serial %llu, %zu clients, stamps checked: %s\n",
               (unsigned long long)qr_policy_serial(p), qr_policy_n_clients(p),
               c->json ? (roster ? "true" : "false") : (roster ? "yes" : "no, give --roster"));
        code = qr_ctl_explain(c, qr_policy_peers(p));
        fputs(c->json ? ",\"requests\":" : "requests:\n", stdout);
        if (code == QR_EXIT_OK) {
            code = qr_ctl_explain_requests(c, p, (unsigned)n, (unsigned)threshold);
        }
        if (c->json) {
            puts("}");
        }
        if (qr_policy_insecure_sim(p)) {
            qr_ctl_warn(c, "this policy accepts the software TEE, which protects nothing");
        }
    }
    qr_policy_free(p);
    for (size_t i = 0; i < QR_CTL_LIST_MAX; i++) {
        qr_manifest_free(manifest[i]);
    }
    doc_free(&d);
    return code;
}

/* ---- load ---- */

/* Every socket is tried; the worst result is the result. */
static int
load(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv, enum qr_admin kind)
{
    struct qr_ctl_list rest, sockets = {.n = 0};
    struct doc d;
    const struct qr_ctl_opt opts[] = {
        {"socket", QR_CTL_MANY, &sockets, "PATH", "a party's admin_socket", 1, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0 || (code = doc_read(c, rest.v[0], &d)) != QR_EXIT_OK) {
        return code;
    }
    if (d.stamps.n > QR_ADMINS_MAX) {
        doc_free(&d);
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s.stamps: more than %u stamps", rest.v[0],
                           QR_ADMINS_MAX);
    }
    struct qr_ask ask = {
        .what = QR_ASK_ADMIN, .admin = kind, .body = bytes_of(&d), .n_stamps = d.stamps.n};
    memcpy(ask.stamps, d.stamps.v, d.stamps.n * sizeof ask.stamps[0]);
    code = qr_ctl_tell_all(c, &sockets, &ask, LOAD_MS);
    doc_free(&d);
    return code;
}

static int
roster_load(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    return load(c, cmd, argc, argv, QR_ADMIN_LOAD_ROSTER);
}

static int
policy_load(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    return load(c, cmd, argc, argv, QR_ADMIN_LOAD_POLICY);
}

const struct qr_ctl_cmd qr_ctl_doc_cmds[] = {
    {"descriptor", "", "Print what a party says of itself, signed by its identity key.",
     descriptor},
    {"roster new", "DESCRIPTOR DESCRIPTOR...",
     "Assemble a roster from the parties' descriptors, in the order of their indices.", roster_new},
    {"roster show", "ROSTER", "Show a roster.", roster_show},
    {"roster check", "ROSTER", "Check a roster and the stamps beside it.", roster_check},
    {"roster load", "ROSTER", "Hand a stamped roster to parties.", roster_load},
    {"policy new", "", "Write a policy for a roster's cluster.", policy_new},
    {"policy check", "POLICY",
     "Check a policy and say it in words, with --roster also check the stamps beside it.",
     policy_check},
    {"policy load", "POLICY", "Hand a stamped policy to parties.", policy_load},
    {.name = NULL},
};
