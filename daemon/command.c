#include "daemon/command.h"

#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

#define COMMAND_VALUES 16u
#define COMMAND_MAX 4096u

static const char *const names[] = {
    [QR_CMD_KEYGEN] = "keygen",
    [QR_CMD_RETIRE] = "retire",
    [QR_CMD_READMIT] = "readmit",
};
#define NAMES (sizeof names / sizeof names[0])

const char *
qr_cmd_name(enum qr_cmd c)
{
    return (size_t)c < NAMES && names[c] ? names[c] : "unknown";
}

static qr_err
read_pair(const struct qr_json_at *list, struct qr_command *c)
{
    for (size_t i = 0; i < 2; i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        uint64_t v = 0;
        const struct qr_json_field f = {"", QR_JSON_U64, 1, QR_MAX_PARTIES, &v, NULL};
        QR_TRY(qr_json_value(&at, &f));
        c->pair[i] = (uint16_t)v;
    }
    if (c->pair[0] >= c->pair[1]) {
        return qr_json_fail(list, QR_ERR_SET, "two different parties, the lower index first");
    }
    return QR_OK;
}

static qr_err
read_command(struct qr_json *j, struct qr_command *c, char *err_text, size_t err_cap)
{
    struct qr_json_at root = qr_json_root(j), pair;
    qr_view id, cmd;
    uint64_t t = 0;
    int has_t = 0, has_pair = 0;
    char q[QR_QUOTE_MAX];
    const struct qr_json_field fields[] = {
        {"v", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"type", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"cluster", QR_JSON_HEX, 0, 32, c->cluster, NULL},
        {"id", QR_JSON_ID, QR_ID_MIN, QR_ID_MAX, &id, NULL},
        {"issued_ms", QR_JSON_U64, 0, INT64_MAX, &c->window.issued_ms, NULL},
        {"expires_ms", QR_JSON_U64, 0, INT64_MAX, &c->window.expires_ms, NULL},
        {"cmd", QR_JSON_TEXT, 1, 32, &cmd, NULL},
        {"t", QR_JSON_U64, QR_MIN_THRESHOLD, QR_MAX_PARTIES, &t, &has_t},
        {"pair", QR_JSON_ARRAY, 2, 2, &pair, &has_pair},
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_head(&root, "quorate/command"));
    QR_TRY(qr_json_fields(&root, fields));
    for (size_t i = 1; i < NAMES; i++) {
        if (qr_view_eq(cmd, qr_view_str(names[i]))) {
            c->cmd = (enum qr_cmd)i;
        }
    }
    if (!c->cmd) {
        return qr_json_fail(&root, QR_ERR_MALFORMED, "unknown cmd \"%s\"", qr_quote(q, cmd));
    }
    int wants_t = c->cmd == QR_CMD_KEYGEN;
    if (has_t != wants_t || has_pair == wants_t) {
        return qr_json_fail(&root, QR_ERR_MALFORMED, "cmd \"%s\" takes \"%s\" and nothing else",
                            qr_cmd_name(c->cmd), wants_t ? "t" : "pair");
    }
    QR_TRY(qr_window_valid(&c->window, QR_REQUEST_LIFE_MS, err_text, err_cap));
    memcpy(c->id, id.p, id.len);
    c->t = (uint16_t)t;
    return has_pair ? read_pair(&pair, c) : QR_OK;
}

qr_err
qr_command_parse(qr_view text, struct qr_command *ret, char *err_text, size_t err_cap)
{
    struct qr_command c = {0};
    struct qr_json j;

    if (text.len > COMMAND_MAX) {
        EXPLAIN("command has %zu bytes, at most %u are allowed", text.len, COMMAND_MAX);
        return QR_ERR_TOO_LARGE;
    }
    QR_TRY(qr_json_parse(&j, text, COMMAND_VALUES, err_text, err_cap));
    qr_err e = read_command(&j, &c, err_text, err_cap);
    qr_json_clear(&j);
    if (e == QR_OK) {
        qr_doc_hash("command", text, c.hash);
        *ret = c;
    }
    return e;
}

qr_err
qr_command_check(const struct qr_admins *admins, const uint8_t cluster[static 32], uint64_t now_ms,
                 uint64_t not_before_ms, qr_view text, const qr_view *stamps, size_t n_stamps,
                 struct qr_command *ret, char *err_text, size_t err_cap)
{
    struct qr_command c;

    QR_TRY(qr_admins_verify(admins, text, stamps, n_stamps, err_text, err_cap));
    QR_TRY(qr_command_parse(text, &c, err_text, err_cap));
    if (memcmp(c.cluster, cluster, 32) != 0) {
        EXPLAIN("command is for another cluster");
        return QR_ERR_CLUSTER;
    }
    QR_TRY(qr_window_check(&c.window, now_ms, not_before_ms, err_text, err_cap));
    *ret = c;
    return QR_OK;
}
