/* The operator's socket: documents and stamped commands. The socket is a way in, not authority. */
#include "daemon/party_int.h"

#include "proto/json_strict.h"

#include <stdio.h>

static void
done(struct qr_party *p, uint64_t to, const char *what)
{
    char json[128];
    int n = snprintf(json, sizeof json, "{\"ok\":true,\"done\":\"%s\"}", what);
    qr_party_answer_json(p, to, json, (size_t)n);
}

static void
failed(struct qr_party *p, uint64_t to, const char *what, qr_err e, const char *why)
{
    char text[512];
    (void)snprintf(text, sizeof text, "%s refused: %s", what, why[0] ? why : qr_err_text(e));
    qr_party_log(QR_LOG_WARN, "admin_refused", 0, "%s", text);
    qr_audit_event(p, "admin", "refused", 0, "%s", text);
    qr_party_answer_error(p, to, e, 0, text);
}

/* A new roster is a new start: nothing that was agreed under the old one may go on. */
static qr_err
relink(struct qr_party *p, char *why, size_t cap)
{
    if (p->net) {
        for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
            if (i != p->self) {
                qr_party_forget(p, i, "the roster changed");
            }
        }
        qr_net_free(p->net);
        p->net = NULL;
        QR_TRY(qr_state_boot(p));
    }
    if (p->store_failed) { /* also when it failed just there: the old boot nonce has had its net */
        (void)snprintf(why, cap, "the store failed; restart this party with a working one");
        return QR_ERR_STORE;
    }
    return p->roster && p->policy && p->self ? qr_party_link(p, why, cap) : QR_OK;
}

/* What came into force stands in the log by its hash. */
static void
log_document(struct qr_party *p, int is_roster)
{
    char hex[65];
    if (!p->roster || (!is_roster && !p->policy)) {
        return;
    }
    qr_hex_encode(qr_view_of(is_roster ? p->roster->hash : qr_policy_hash(p->policy), 32), hex);
    qr_audit_event(
        p, is_roster ? "roster" : "policy", "loaded", 0, "serial %llu, hash %s",
        (unsigned long long)(is_roster ? p->roster->serial : qr_policy_serial(p->policy)), hex);
}

static void
load(struct qr_party *p, uint64_t to, const struct qr_ask *ask)
{
    int is_roster = ask->admin == QR_ADMIN_LOAD_ROSTER;
    const char *what = is_roster ? "roster" : "policy";
    char why[QR_ERR_TEXT_MAX] = "";
    uint64_t before = qr_store_serial(p->env.store);
    qr_err e =
        is_roster ? qr_state_load_roster(p, ask->body, ask->stamps, ask->n_stamps, why, sizeof why)
                  : qr_state_load_policy(p, ask->body, ask->stamps, ask->n_stamps, why, sizeof why);
    int changed = qr_store_serial(p->env.store) != before;
    if (e == QR_OK && (!p->net || (changed && is_roster))) {
        e = relink(p, why, sizeof why); /* also again, if the address was taken the last time */
    } else if (e == QR_OK && changed) {
        qr_attest_policy(p);
    }
    if (e != QR_OK) {
        failed(p, to, what, e, why);
        return;
    }
    if (changed) {
        qr_party_log(
            QR_LOG_INFO, is_roster ? "roster_loaded" : "policy_loaded", 0,
            "%s serial %llu is in force", what,
            (unsigned long long)(is_roster ? p->roster->serial : qr_policy_serial(p->policy)));
        log_document(p, is_roster);
    }
    done(p, to, changed ? "loaded" : "already in force");
}

/* Whoever hands a manifest over need not be an administrator: the policy knows whom to believe. */
static void
load_measurements(struct qr_party *p, uint64_t to, const struct qr_ask *ask)
{
    char why[QR_ERR_TEXT_MAX] = "";
    int same = 0;
    qr_err e = qr_release_load(p, ask, &same, why, sizeof why);

    if (e != QR_OK) {
        failed(p, to, "manifest", e, why);
        return;
    }
    if (!same) {
        qr_audit_event(p, "policy", "measurements", 0, "a manifest of measurements counts");
    }
    if (!same && p->net) {
        qr_attest_policy(p); /* it may have revoked what somebody runs */
    }
    done(p, to, same ? "already in force" : "loaded");
}

/* Checks a command once, wherever it came from. */
static qr_err
check(struct qr_party *p, qr_view body, const qr_view *stamps, size_t n, struct qr_command *cmd,
      enum qr_replay_state *state, char *why, size_t cap)
{
    struct qr_stamp_key nobody = {0};
    uint64_t slot;
    uint64_t now = qr_stage_now_ms(p); /* raises started_ms */
    QR_TRY(qr_command_check(&p->roster->admins, p->roster->cluster, now, p->started_ms, body,
                            stamps, n, cmd, why, cap));
    nobody.scheme = QR_SCHEME_P256;
    return qr_replay_begin(p->commands, &nobody, qr_view_str(cmd->id), cmd->hash,
                           qr_stage_floor_ms(p), qr_window_forget_ms(&cmd->window), 0, state,
                           &slot);
}

static qr_err
act(struct qr_party *p, const struct qr_command *cmd, uint64_t ask, char *why, size_t cap)
{
    char hex[65];
    qr_hex_encode(qr_view_of(cmd->hash, 32), hex);
    qr_audit_event(p, "admin", "command", 0, "%s, hash %s",
                   cmd->cmd == QR_CMD_KEYGEN   ? "make a key"
                   : cmd->cmd == QR_CMD_RETIRE ? "retire a pair"
                                               : "re-admit a pair",
                   hex);
    switch (cmd->cmd) {
    case QR_CMD_KEYGEN:
        return qr_keygen_begin(p, cmd, ask, why, cap);
    case QR_CMD_RETIRE:
    case QR_CMD_READMIT:
        if (cmd->pair[1] > p->roster->n) {
            return QR_ERR_SET;
        }
        qr_party_log(QR_LOG_WARN, "pair_command", 0, "administrators %s the pair %u-%u",
                     cmd->cmd == QR_CMD_RETIRE ? "retire" : "re-admit", cmd->pair[0], cmd->pair[1]);
        return qr_pairs_set_retired(p, cmd->pair[0], cmd->pair[1], cmd->cmd == QR_CMD_RETIRE);
    default:
        return QR_ERR_MALFORMED;
    }
}

static qr_err
tell_peers(struct qr_party *p, const struct qr_command *cmd, const struct qr_ask *ask)
{
    struct qr_ctl_admin m = {.body = ask->body, .n_stamps = ask->n_stamps};
    size_t len = 4 + ask->body.len + 1;
    for (size_t i = 0; i < ask->n_stamps; i++) {
        m.stamp[i] = ask->stamps[i];
        len += 4 + ask->stamps[i].len;
    }
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i == p->self) {
            continue;
        }
        uint8_t *out = p->out.reserve(p->out.ctx, i, QR_MSG_ADMIN, 0, cmd->hash, len);
        if (!out) {
            if (cmd->cmd == QR_CMD_KEYGEN) {
                return QR_ERR_QUORUM;
            }
            continue; /* a party that never came up: give it the command on its own socket */
        }
        struct qr_buf b = qr_buf_over(out, len);
        qr_ctl_put_admin(&b, &m);
        p->out.commit(p->out.ctx, i, out);
    }
    return QR_OK;
}

static void
command(struct qr_party *p, uint64_t to, const struct qr_ask *ask)
{
    struct qr_command cmd;
    enum qr_replay_state state = QR_REPLAY_NEW;
    char why[QR_ERR_TEXT_MAX] = "";
    if (!p->net) {
        failed(p, to, "command", QR_ERR_NOT_READY, "this party has no roster and policy yet");
        return;
    }
    qr_err e = check(p, ask->body, ask->stamps, ask->n_stamps, &cmd, &state, why, sizeof why);
    if (e == QR_OK && state != QR_REPLAY_NEW) {
        (void)snprintf(why, sizeof why, "this very command was carried out already");
        e = QR_ERR_REPLAY_CONFLICT;
    }
    for (uint16_t i = 1; e == QR_OK && cmd.cmd == QR_CMD_KEYGEN && i <= p->roster->n; i++) {
        if (i != p->self && !qr_net_is_up(p->net, i)) {
            (void)snprintf(why, sizeof why,
                           "party %u is not connected; a key needs all %zu parties", i,
                           p->roster->n);
            e = QR_ERR_QUORUM;
        }
    }
    if (e == QR_OK && cmd.cmd == QR_CMD_KEYGEN) { /* before anybody is told */
        e = qr_secret_may_keygen(p, cmd.t, why, sizeof why);
        if (e == QR_OK) {
            e = qr_attest_may_keygen(p, why, sizeof why);
        }
    }
    if (e == QR_OK) {
        e = tell_peers(p, &cmd, ask);
    }
    if (e == QR_OK) {
        e = act(p, &cmd, to, why, sizeof why);
    }
    if (e != QR_OK) {
        failed(p, to, "command", e, why);
    } else if (cmd.cmd != QR_CMD_KEYGEN) {
        done(p, to, qr_cmd_name(cmd.cmd));
    }
}

void
qr_admin_on_message(struct qr_party *p, struct qr_msg_in *m)
{
    struct qr_ctl_admin a;
    struct qr_command cmd;
    enum qr_replay_state state = QR_REPLAY_NEW;
    char why[QR_ERR_TEXT_MAX] = "";
    qr_err e = qr_ctl_get_admin(m->payload, &a);
    if (e == QR_OK) {
        e = check(p, a.body, a.stamp, a.n_stamps, &cmd, &state, why, sizeof why);
    }
    if (e == QR_OK && state != QR_REPLAY_NEW) {
        return; /* heard from another party before */
    }
    if (e == QR_OK) {
        e = act(p, &cmd, 0, why, sizeof why);
    }
    if (e != QR_OK) {
        qr_party_log(QR_LOG_WARN, "admin_refused", m->from,
                     "command passed on by this party refused: %s", why[0] ? why : qr_err_text(e));
    }
}

void
qr_admin_ask(struct qr_party *p, uint64_t to, const struct qr_ask *ask)
{
    switch (ask->admin) {
    case QR_ADMIN_COMMAND:
        command(p, to, ask);
        break;
    case QR_ADMIN_LOAD_ROSTER:
    case QR_ADMIN_LOAD_POLICY:
        load(p, to, ask);
        break;
    case QR_ADMIN_LOAD_MEASUREMENTS:
        load_measurements(p, to, ask);
        break;
    case QR_ADMIN_DRAIN:
        p->drain_asked = 1;
        qr_party_drain(p);
        done(p, to, "draining");
        break;
    default:
        qr_party_answer_error(p, to, QR_ERR_MALFORMED, 0, "unknown administration");
    }
}
