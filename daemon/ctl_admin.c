/* quorate keygen, retire, readmit, send, keys, status: what operators do with running parties. */
#include "daemon/ctl.h"

#include "daemon/addr.h"
#include "daemon/client/check.h"
#include "daemon/client/http.h"
#include "daemon/command.h"
#include "daemon/ctl_sock.h"
#include "daemon/jsonw.h"
#include "daemon/keyjson.h"
#include "daemon/loop.h"
#include "daemon/roster.h"
#include "protocol/base/enc.h"
#include "protocol/base/rng.h"

#include <jansson.h>
#include <openssl/evp.h>

#define QUERY_MS 10000u
#define COMMAND_MS 120000u
#define LIFE_MS 240000u /* of a command; below QR_REQUEST_LIFE_MS */

/* ---- asking ---- */

int
qr_ctl_ask_party(const struct qr_ctl *c, const char *socket, struct qr_ask *ask,
                 unsigned timeout_ms, struct qr_answer **ret)
{
    char err[512];
    struct qr_answer *a = NULL;
    qr_err e = qr_ctl_ask(socket, ask, timeout_ms, &a, err, sizeof err);

    if (e != QR_OK) {
        return qr_ctl_fail(c, qr_ctl_code(e), "%s", err);
    }
    if (a->error != QR_OK) {
        qr_view d = a->detail.len ? a->detail : qr_view_str(qr_err_text(a->error));
        int code = qr_ctl_fail(c, qr_ctl_code(a->error), "%s: %.*s", socket, (int)d.len,
                               (const char *)d.p);
        qr_answer_free(a);
        return code;
    }
    *ret = a;
    return QR_EXIT_OK;
}

int
qr_ctl_tell_all(const struct qr_ctl *c, const struct qr_ctl_list *sockets, struct qr_ask *ask,
                unsigned timeout_ms)
{
    int code = QR_EXIT_OK;

    for (size_t i = 0; i < sockets->n; i++) {
        struct qr_answer *a = NULL;
        int one = qr_ctl_ask_party(c, sockets->v[i], ask, timeout_ms, &a);
        if (one == QR_EXIT_OK && !c->json) {
            printf("%s: ok\n", sockets->v[i]);
        }
        code = one > code ? one : code;
        qr_answer_free(a);
    }
    if (code == QR_EXIT_OK && c->json) {
        printf("{\"ok\":true,\"parties\":%zu}\n", sockets->n);
    }
    return code;
}

/* The text of a query, from a socket or from a gateway's path. */
static int
fetch(const struct qr_ctl *c, const char *socket, const char *gateway, const char *ca,
      enum qr_query query, const char *path, struct qr_dbuf *ret)
{
    char err[512];

    qr_dbuf_init(ret, QR_ANSWER_FRAME_MAX);
    if (!socket == !gateway) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "give either --socket or --gateway");
    }
    if (socket) {
        struct qr_ask ask = {.what = QR_ASK_QUERY, .query = query};
        struct qr_answer *a = NULL;
        int code = qr_ctl_ask_party(c, socket, &ask, QUERY_MS, &a);
        if (code == QR_EXIT_OK && qr_dbuf_append(ret, a->json.p, a->json.len) != QR_OK) {
            code = qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
        }
        qr_answer_free(a);
        return code;
    }
    struct qr_http_url u;
    struct qr_http_request q = {
        .method = "GET", .path = path, .ca_file = ca, .timeout_ms = QUERY_MS};
    struct qr_http_response r;
    if (qr_http_url_parse(gateway, &u) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "\"%s\" is not http(s)://HOST:PORT", gateway);
    }
    qr_err e = qr_http_do(&u, &q, &r, err, sizeof err);
    if (e != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_TEMPORARY, "%s", err);
    }
    if (r.status != 200) {
        int code = qr_ctl_problem(c, gateway, r.status, qr_view_of(r.body.p, r.body.len));
        qr_dbuf_free(&r.body);
        return code;
    }
    *ret = r.body;
    return QR_EXIT_OK;
}

/* ---- keys, status ---- */

static const char *
text_of(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? s : "-";
}

static long long
number_of(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static void
print_keys(const json_t *keys)
{
    size_t i, p;
    const json_t *k, *pool;

    if (json_array_size(keys) == 0) {
        puts("no keys yet; make one with quorate keygen");
    }
    json_array_foreach (keys, i, k) {
        long long ready = 0;
        json_array_foreach (json_object_get(k, "pools"), p, pool) {
            ready += number_of(pool, "ready");
        }
        printf("%s  %lld-of-%lld  %s  %lld presignatures%s\n", text_of(k, "key"), number_of(k, "t"),
               number_of(k, "n"), text_of(k, "state"), ready,
               json_is_true(json_object_get(k, "insecure_sim")) ? "  SOFTWARE TEE: NOT SECURE"
                                                                : "");
    }
}

static void
print_status(const json_t *s)
{
    size_t i;
    const json_t *p;

    printf("party     %lld of %s: %s\n", number_of(s, "party"), text_of(s, "name"),
           text_of(s, "status"));
    printf("cluster   %s\nplatform  %s%s\nroster    serial %lld\npolicy    serial %lld\n",
           text_of(s, "cluster"), text_of(s, "platform"),
           json_is_true(json_object_get(s, "insecure_sim")) ? " (SOFTWARE TEE: NOT SECURE)" : "",
           number_of(s, "roster_serial"), number_of(s, "policy_serial"));
    json_array_foreach (json_object_get(s, "parties"), i, p) {
        int self = json_is_true(json_object_get(p, "self"));
        printf("party %2lld  %-4s  %s  %s, operator %s", number_of(p, "party"),
               self                                     ? "self"
               : json_is_true(json_object_get(p, "up")) ? "up"
                                                        : "DOWN",
               text_of(p, "address"), text_of(p, "cloud"), text_of(p, "operator"));
        if (!self) {
            printf(", pair %s, rtt %lld us", text_of(p, "pair"), number_of(p, "rtt_us"));
        }
        putchar('\n');
    }
    print_keys(json_object_get(s, "keys"));
}

static int
show_query(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv,
           enum qr_query query, const char *path)
{
    const char *socket = NULL, *gateway = NULL, *ca = NULL;
    struct qr_ctl_list rest;
    struct qr_dbuf d;
    const struct qr_ctl_opt opts[] = {
        {"socket", QR_CTL_TEXT, &socket, "PATH", "the party's admin_socket", 0, 0},
        {"gateway", QR_CTL_TEXT, &gateway, "URL", "or a gateway", 0, 0},
        {"ca", QR_CTL_TEXT, &ca, "FILE", "roots for https instead of the system's", 0, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 0, 0);
    if (code >= 0) {
        return code;
    }
    code = fetch(c, socket, gateway, ca, query, path, &d);
    if (code == QR_EXIT_OK && c->json) {
        code = qr_ctl_emit(c, qr_view_of(d.p, d.len));
    } else if (code == QR_EXIT_OK) {
        json_t *j = json_loadb((const char *)d.p, d.len, JSON_REJECT_DUPLICATES, NULL);
        if (!j) {
            code = qr_ctl_fail(c, QR_EXIT_INTERNAL, "the answer is not JSON");
        } else if (query == QR_QUERY_STATUS) {
            print_status(j);
        } else {
            print_keys(json_object_get(j, "keys"));
        }
        json_decref(j);
    }
    qr_dbuf_free(&d);
    return code;
}

static int
keys(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    return show_query(c, cmd, argc, argv, QR_QUERY_KEYS, "/v1/keys");
}

static int
status(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    return show_query(c, cmd, argc, argv, QR_QUERY_STATUS, "/v1/status");
}

/* ---- commands ---- */

/* What a command needs besides its own members. */
struct order {
    const char *socket, *roster, *out;
    struct qr_ctl_list keys;
    struct qr_roster *r;
};

/*
 * The roster that the command is for: a file of the administrator's, or what the party says it is
 * in. In the second case the administrator signs for a cluster that the party named, so it is said.
 */
static int
load_order_roster(const struct qr_ctl *c, struct order *o)
{
    char err[QR_ERR_TEXT_MAX] = "", cluster[65];
    struct qr_dbuf d;
    int code;

    if (o->roster) {
        code = qr_ctl_read(c, o->roster, QR_DOC_MAX, &d);
    } else {
        struct qr_ask ask = {.what = QR_ASK_QUERY, .query = QR_QUERY_ROSTER};
        struct qr_answer *a = NULL;
        if (!o->socket) {
            return qr_ctl_fail(c, QR_EXIT_USAGE, "give --roster when there is no --socket");
        }
        qr_dbuf_init(&d, QR_DOC_MAX);
        code = qr_ctl_ask_party(c, o->socket, &ask, QUERY_MS, &a);
        if (code == QR_EXIT_OK && qr_dbuf_append(&d, a->text.p, a->text.len) != QR_OK) {
            code = qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
        }
        qr_answer_free(a);
    }
    if (code != QR_EXIT_OK) {
        return code;
    }
    if (qr_roster_parse(qr_view_of(d.p, d.len), &o->r, err, sizeof err) != QR_OK) {
        code = qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s",
                           o->roster ? o->roster : "the party's roster", err);
    } else if (!o->roster) {
        qr_hex_encode(qr_view_of(o->r->cluster, 32), cluster);
        qr_ctl_progress(c, "signing for %s, cluster %s, as the party says; --roster FILE checks it",
                        o->r->name, cluster);
    }
    qr_dbuf_free(&d);
    return code;
}

static qr_err
put_command(struct qr_dbuf *d, const struct order *o, enum qr_cmd cmd, unsigned long t,
            const unsigned long pair[2])
{
    struct qr_jsonw w = qr_jsonw_to(d);
    struct qr_rng rng = qr_rng_system();
    uint8_t id[16];
    uint64_t now = qr_wall_ms();

    qr_rng_fill(&rng, id, sizeof id);
    qr_jsonw_raw(&w, "{\"v\":1,\"type\":\"quorate/command\",\"cluster\":");
    qr_jsonw_hex(&w, o->r->cluster, sizeof o->r->cluster);
    qr_jsonw_raw(&w, ",\"id\":");
    qr_jsonw_hex(&w, id, sizeof id);
    qr_jsonw_raw(&w, ",\"issued_ms\":");
    qr_jsonw_u64(&w, now);
    qr_jsonw_raw(&w, ",\"expires_ms\":");
    qr_jsonw_u64(&w, now + LIFE_MS);
    qr_jsonw_raw(&w, ",\"cmd\":\"");
    qr_jsonw_raw(&w, qr_cmd_name(cmd));
    if (cmd == QR_CMD_KEYGEN) {
        qr_jsonw_raw(&w, "\",\"t\":");
        qr_jsonw_u64(&w, t);
    } else {
        qr_jsonw_raw(&w, "\",\"pair\":[");
        qr_jsonw_u64(&w, pair[0]);
        qr_jsonw_raw(&w, ",");
        qr_jsonw_u64(&w, pair[1]);
        qr_jsonw_raw(&w, "]");
    }
    qr_jsonw_raw(&w, "}\n");
    return w.err;
}

static int
stamp_command(const struct qr_ctl *c, const struct order *o, struct qr_ask *ask,
              char (*stamps)[QR_STAMP_MAX])
{
    for (size_t i = 0; i < o->keys.n; i++) {
        EVP_PKEY *k = NULL;
        int code = qr_ctl_load_key(c, o->keys.v[i], &k);
        if (code != QR_EXIT_OK) {
            return code;
        }
        qr_err e = qr_stamp_sign(k, ask->body, stamps[i], QR_STAMP_MAX);
        EVP_PKEY_free(k);
        if (e != QR_OK) {
            return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s cannot stamp: %s", o->keys.v[i],
                               qr_err_text(e));
        }
        ask->stamps[ask->n_stamps++] = qr_view_str(stamps[i]);
    }
    return QR_EXIT_OK;
}

/* A new key: its confirmations are checked against the roster before it is shown. */
static int
show_key(const struct qr_ctl *c, const struct qr_answer *a, const struct qr_roster *r)
{
    static struct qr_key_pub k;
    char why[256], hex[67];

    qr_err e = qr_keyjson_parse(a->json, &k);
    if (e == QR_OK) {
        e = qr_client_key_check(&k, r, why, sizeof why);
    } else {
        snprintf(why, sizeof why, "the party's answer is no key record: %s", qr_err_text(e));
    }
    if (e != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_REFUSED, "%s", why);
    }
    if (c->json) {
        return qr_ctl_emit(c, a->json);
    }
    qr_hex_encode(qr_view_of(k.pk, sizeof k.pk), hex);
    printf("%s\n", hex);
    qr_ctl_progress(c, "%u-of-%u key, confirmed by all %u parties%s", k.t, k.n, k.n,
                    k.flags & QR_KEY_INSECURE_SIM ? "; SOFTWARE TEE: NOT SECURE" : "");
    return QR_EXIT_OK;
}

static int
send_command(const struct qr_ctl *c, const char *socket, struct qr_ask *ask,
             const struct qr_roster *r)
{
    struct qr_answer *a = NULL;
    struct qr_command cmd;
    char err[QR_ERR_TEXT_MAX];

    if (qr_command_parse(ask->body, &cmd, err, sizeof err) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "this is no command: %s", err);
    }
    qr_ctl_progress(c, cmd.cmd == QR_CMD_KEYGEN ? "the parties are making a key ..."
                                                : "telling the parties ...");
    int code = qr_ctl_ask_party(c, socket, ask, COMMAND_MS, &a);
    if (code != QR_EXIT_OK) {
        return code;
    }
    if (cmd.cmd == QR_CMD_KEYGEN) {
        code = show_key(c, a, r);
    } else if (c->json) {
        code = qr_ctl_emit(c, a->json);
    } else {
        printf("%s: done\n", qr_cmd_name(cmd.cmd));
    }
    qr_answer_free(a);
    return code;
}

/* Writes, stamps and sends (or with --out writes only). */
static int
give_order(const struct qr_ctl *c, struct order *o, enum qr_cmd cmd, unsigned long t,
           const unsigned long pair[2])
{
    static char stamps[QR_ADMINS_MAX][QR_STAMP_MAX];
    struct qr_dbuf d;

    if (!o->socket == !o->out) {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "give --socket to send it now, or --out to have it stamped by others");
    }
    if (o->keys.n > QR_ADMINS_MAX || (o->socket && o->keys.n == 0)) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "give 1 to %u administrators' keys with --key",
                           QR_ADMINS_MAX);
    }
    int code = load_order_roster(c, o);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_dbuf_init(&d, QR_DOC_MAX);
    if (put_command(&d, o, cmd, t, pair) != QR_OK) {
        code = qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
    } else if (o->out) {
        code = qr_ctl_write(c, o->out, qr_view_of(d.p, d.len), 0644);
    } else {
        struct qr_ask ask = {
            .what = QR_ASK_ADMIN, .admin = QR_ADMIN_COMMAND, .body = qr_view_of(d.p, d.len)};
        code = stamp_command(c, o, &ask, stamps);
        code = code == QR_EXIT_OK ? send_command(c, o->socket, &ask, o->r) : code;
    }
    qr_roster_free(o->r);
    qr_dbuf_free(&d);
    return code;
}

#define ORDER_OPTIONS(o)                                                                           \
    {"socket", QR_CTL_TEXT, &(o).socket, "PATH", "a party's admin_socket", 0, 0},                  \
        {"key", QR_CTL_MANY, &(o).keys, "FILE", "an administrator's private key", 0, 0},           \
        {"roster", QR_CTL_TEXT, &(o).roster, "FILE", "whose cluster it is for", 0, 0},             \
    {                                                                                              \
        "out", QR_CTL_TEXT, &(o).out, "FILE", "write the command; others stamp it, then send", 0,  \
            0                                                                                      \
    }

static int
keygen(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    struct order o = {0};
    unsigned long t = 0;
    struct qr_ctl_list rest;
    const struct qr_ctl_opt opts[] = {
        ORDER_OPTIONS(o),
        {"t", QR_CTL_NUMBER, &t, "T", "how many parties must sign together", 1, QR_MAX_PARTIES},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 0, 0);
    if (code >= 0) {
        return code;
    }
    if (t < QR_MIN_THRESHOLD) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--t must be at least %d", QR_MIN_THRESHOLD);
    }
    return give_order(c, &o, QR_CMD_KEYGEN, t, NULL);
}

static int
pair_order(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv, enum qr_cmd what)
{
    struct order o = {0};
    unsigned long a = 0, b = 0;
    struct qr_ctl_list rest;
    const struct qr_ctl_opt opts[] = {ORDER_OPTIONS(o), {.kind = QR_CTL_END}};

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 2, 2);
    if (code >= 0) {
        return code;
    }
    if (!qr_parse_decimal(rest.v[0], strlen(rest.v[0]), QR_MAX_PARTIES, &a) ||
        !qr_parse_decimal(rest.v[1], strlen(rest.v[1]), QR_MAX_PARTIES, &b) || a == 0 || b == 0 ||
        a == b) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "%s takes two different party numbers", cmd->name);
    }
    return give_order(c, &o, what, 0, (const unsigned long[2]){a < b ? a : b, a < b ? b : a});
}

static int
retire(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    return pair_order(c, cmd, argc, argv, QR_CMD_RETIRE);
}

static int
readmit(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    return pair_order(c, cmd, argc, argv, QR_CMD_READMIT);
}

static int
send_file(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    struct order o = {0};
    struct qr_ctl_list rest;
    struct qr_ctl_stamps s = {0};
    struct qr_dbuf d;
    const struct qr_ctl_opt opts[] = {
        {"socket", QR_CTL_TEXT, &o.socket, "PATH", "a party's admin_socket", 1, 0},
        {"roster", QR_CTL_TEXT, &o.roster, "FILE", "to check a new key against", 0, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0 || (code = qr_ctl_read(c, rest.v[0], QR_DOC_MAX, &d)) != QR_EXIT_OK) {
        return code;
    }
    code = qr_ctl_read_stamps(c, rest.v[0], &s);
    if (code == QR_EXIT_OK && (s.n == 0 || s.n > QR_ADMINS_MAX)) {
        code = qr_ctl_fail(c, QR_EXIT_CONFIG, "%s.stamps must hold 1 to %u stamps", rest.v[0],
                           QR_ADMINS_MAX);
    }
    code = code == QR_EXIT_OK ? load_order_roster(c, &o) : code;
    if (code == QR_EXIT_OK) {
        struct qr_ask ask = {.what = QR_ASK_ADMIN,
                             .admin = QR_ADMIN_COMMAND,
                             .body = qr_view_of(d.p, d.len),
                             .n_stamps = s.n};
        memcpy(ask.stamps, s.v, s.n * sizeof ask.stamps[0]);
        code = send_command(c, o.socket, &ask, o.r);
    }
    qr_roster_free(o.r);
    qr_dbuf_free(&s.text);
    qr_dbuf_free(&d);
    return code;
}

const struct qr_ctl_cmd qr_ctl_admin_cmds[] = {
    {"keygen", "", "Have the parties make a key; prints it once all have confirmed it.", keygen},
    {"retire", "PARTY PARTY", "Retire the pair of two parties: they never compute together again.",
     retire},
    {"readmit", "PARTY PARTY", "Lift the retirement of a pair.", readmit},
    {"send", "COMMAND", "Send a command made with --out and stamped by administrators.", send_file},
    {"keys", "", "List the keys.", keys},
    {"status", "", "Show a party, its peers and its keys.", status},
    {.name = NULL},
};
