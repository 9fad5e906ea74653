/*
 * Is this request allowed? The same code and the same order at the coordinator and at every other
 * signer, each with its own policy, clock and tables: stamp, form, cluster, time, key, rule, replay.
 */
#include "daemon/log.h"
#include "daemon/party_int.h"

#include <stdio.h>

static qr_err
judge(struct qr_party *p, int coordinator, qr_view body, const qr_view *stamps, size_t n,
      struct qr_judgement *v)
{
    const struct qr_client *client;

    if (n == 0) {
        (void)snprintf(v->detail, sizeof v->detail, "the X-Stamp header is missing");
        return QR_ERR_STAMP_MISSING;
    }
    if (n > 1) {
        (void)snprintf(v->detail, sizeof v->detail, "exactly one stamp is expected, not %zu", n);
        return QR_ERR_STAMP_INVALID;
    }
    QR_TRY(qr_policy_check_stamp(p->policy, stamps[0], body, &client, v->detail, sizeof v->detail));
    v->client = client->key;
    QR_TRY(qr_request_parse(body, &v->req, v->detail, sizeof v->detail));
    if (memcmp(v->req.cluster, p->roster->cluster, 32) != 0) {
        (void)snprintf(v->detail, sizeof v->detail, "cluster: this quorum is another cluster");
        return QR_ERR_CLUSTER;
    }
    QR_TRY(qr_window_check(&v->req.window, p->wall_ms, p->started_ms, v->detail, sizeof v->detail));
    if (!qr_secret_keys_open(p)) {
        (void)snprintf(
            v->detail, sizeof v->detail,
            "this party waits for pieces of its secret after a restart; try another one");
        return QR_ERR_NOT_READY;
    }
    struct qr_key *k = qr_state_find_key(p, v->req.key, &v->key);
    if (!k || k->state != QR_KEY_ACTIVE) {
        (void)snprintf(v->detail, sizeof v->detail, "key: this quorum has no such key");
        return QR_ERR_KEY_UNKNOWN;
    }
    if ((k->pub.flags & QR_KEY_INSECURE_SIM) && !qr_policy_insecure_sim(p->policy)) {
        (void)snprintf(v->detail, sizeof v->detail,
                       "key: made with the software TEE, which this policy does not accept");
        return QR_ERR_INSECURE_SIM;
    }
    const struct qr_policy_ask ask = {.client = client, .req = &v->req, .key = v->req.key};
    qr_err e = qr_policy_decide(p->policy, &ask, &v->says);
    (void)snprintf(v->rule, sizeof v->rule, "%s", v->says.rule);
    if (e != QR_OK) {
        (void)snprintf(v->detail, sizeof v->detail, "%s", v->says.why);
        return e;
    }
    e = qr_replay_begin(p->replay, &client->key, qr_view_str(v->req.id), v->req.hash, p->wall_ms,
                        qr_window_forget_ms(&v->req.window),
                        coordinator ? qr_sign_cached_len(v->req.n_items) : 0, &v->replay, &v->slot);
    if (e == QR_ERR_REPLAY_CONFLICT) {
        (void)snprintf(v->detail, sizeof v->detail, "id: was used with another body before");
    } else if (e != QR_OK) {
        (void)snprintf(v->detail, sizeof v->detail, "too many requests are remembered; try later");
    }
    return e;
}

qr_err
qr_judge(struct qr_party *p, int coordinator, qr_view body, const qr_view *stamps, size_t n,
         struct qr_judgement *v)
{
    v->detail[0] = v->rule[0] = '\0';
    qr_err e = judge(p, coordinator, body, stamps, n, v);
    if (e != QR_OK) {
        p->c.sign_refused++;
        qr_log(QR_LOG_INFO, "sign", "refused", v->detail, QR_LOG_ERR(e),
               QR_LOG_STR("rule", v->rule), QR_LOG_END);
    }
    return e;
}
