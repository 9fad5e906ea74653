/*
 * Is this request allowed? The same code and the same order at the coordinator and at every other
 * signer, each with its own policy, clock and tables: stamp, form, cluster, time, key, approvals,
 * repetition, rule, limits.
 */
#include "daemon/log.h"
#include "daemon/party_int.h"

#include <stdio.h>

/* The stamp, what was asked, and that it was asked of us and now. */
static qr_err
read_request(struct qr_party *p, qr_view body, const qr_view *stamps, size_t n,
             struct qr_judgement *v, const struct qr_client **ret_client)
{
    if (n == 0) {
        (void)snprintf(v->detail, sizeof v->detail, "the X-Stamp header is missing");
        return QR_ERR_STAMP_MISSING;
    }
    QR_TRY(
        qr_policy_check_stamp(p->policy, stamps[0], body, ret_client, v->detail, sizeof v->detail));
    v->client = (*ret_client)->key;
    QR_TRY(qr_request_parse(body, &v->req, v->detail, sizeof v->detail));
    if (memcmp(v->req.cluster, p->roster->cluster, v->req.cluster_len) != 0) {
        (void)snprintf(v->detail, sizeof v->detail, "cluster: this quorum is another cluster");
        return QR_ERR_CLUSTER;
    }
    uint64_t now = qr_stage_now_ms(p); /* raises started_ms */
    return qr_window_check(&v->req.window, now, p->started_ms, v->detail, sizeof v->detail);
}

static qr_err
find_key(struct qr_party *p, struct qr_judgement *v, const struct qr_key **ret)
{
    if (!qr_secret_keys_open(p)) {
        (void)snprintf(
            v->detail, sizeof v->detail,
            "this party waits for pieces of its secret after a restart; try another one");
        return QR_ERR_NOT_READY;
    }
    const struct qr_key *k = v->req.by_address ? qr_state_find_address(p, v->req.address, &v->key)
                                               : qr_state_find_key(p, v->req.key, &v->key);
    if (!k || k->state != QR_KEY_ACTIVE) {
        (void)snprintf(v->detail, sizeof v->detail, "key: this quorum has no such key");
        return QR_ERR_KEY_UNKNOWN;
    }
    if ((k->pub.flags & QR_KEY_INSECURE_SIM) && !qr_policy_insecure_sim(p->policy)) {
        (void)snprintf(v->detail, sizeof v->detail,
                       "key: made with the software TEE, which this policy does not accept");
        return QR_ERR_INSECURE_SIM;
    }
    *ret = k;
    return QR_OK;
}

/* Has this very request been allowed before? Then it was charged for, and is not again. */
static qr_err
find_before(struct qr_party *p, struct qr_judgement *v, int *ret_known)
{
    uint8_t hash[32];

    *ret_known =
        qr_replay_find(p->replay, &v->client, qr_view_str(v->req.id), qr_stage_floor_ms(p), hash);
    if (*ret_known && memcmp(hash, v->req.hash, sizeof hash) != 0) {
        (void)snprintf(v->detail, sizeof v->detail, "id: was used with another body before");
        return QR_ERR_REPLAY_CONFLICT;
    }
    return QR_OK;
}

static qr_err
decide(struct qr_party *p, const struct qr_client *client, const struct qr_key *k, int known,
       struct qr_judgement *v)
{
    if (!p->budget) { /* cannot be under a policy in force; a limit that is not looked at is none */
        (void)snprintf(v->detail, sizeof v->detail, "this party's limits are not loaded");
        return QR_ERR_NOT_READY;
    }
    qr_limits_time(p);
    const struct qr_policy_ask ask = {.client = client,
                                      .req = &v->req,
                                      .key = k->pub.pk,
                                      .approved = v->approved,
                                      .now_ms = p->attest.clock.now_ms,
                                      .lower_ms = p->attest.clock.lower_ms,
                                      .budget = known ? NULL : p->budget};
    qr_err e = qr_policy_decide(p->policy, &ask, &v->says);
    (void)snprintf(v->rule, sizeof v->rule, "%s", v->says.rule);
    if (e != QR_OK) {
        (void)snprintf(v->detail, sizeof v->detail, "%s", v->says.why);
    }
    return e;
}

static qr_err
judge(struct qr_party *p, int coordinator, qr_view body, const qr_view *stamps, size_t n,
      struct qr_judgement *v)
{
    const struct qr_client *client;
    const struct qr_key *k;
    int known;

    QR_TRY(read_request(p, body, stamps, n, v, &client));
    QR_TRY(find_key(p, v, &k));
    QR_TRY(qr_approvals_check(p->policy, stamps + 1, n - 1, v->req.hash, &v->approved, v->detail,
                              sizeof v->detail));
    QR_TRY(find_before(p, v, &known));
    QR_TRY(qr_audit_may_work(p, v->req.n_items, v->detail, sizeof v->detail));
    QR_TRY(decide(p, client, k, known, v));
    if (!known) {
        /* Before it is remembered: what is remembered counts as charged. */
        qr_err e = qr_limits_take(p, &v->says);
        if (e != QR_OK) {
            (void)snprintf(v->detail, sizeof v->detail,
                           "what this request takes from its limits could not be written down");
            return e;
        }
    }
    qr_err e =
        qr_replay_begin(p->replay, &client->key, qr_view_str(v->req.id), v->req.hash,
                        qr_stage_floor_ms(p), qr_window_forget_ms(&v->req.window),
                        coordinator ? qr_sign_cached_len(v->req.n_items) : 0, &v->replay, &v->slot);
    if (e != QR_OK) {
        (void)snprintf(v->detail, sizeof v->detail, "too many requests are remembered; try later");
    }
    return e;
}

void
qr_judge_start(struct qr_judgement *v)
{
    v->detail[0] = v->rule[0] = '\0';
    v->approved = 0;
    v->says.need = 0;
    v->says.retry_s = 0;
    memset(&v->client, 0, sizeof v->client);
}

qr_err
qr_judge(struct qr_party *p, int coordinator, qr_view body, const qr_view *stamps, size_t n,
         struct qr_judgement *v)
{
    qr_judge_start(v);
    qr_err e = judge(p, coordinator, body, stamps, n, v);
    if (e != QR_OK) {
        p->c.sign_refused++;
        /* Lines of one event are limited: whoever is no client must not crowd out what clients met. */
        qr_log(QR_LOG_INFO, "sign", v->client.scheme ? "refused" : "stranger_refused", v->detail,
               QR_LOG_ERR(e), QR_LOG_STR("rule", v->rule), QR_LOG_END);
    }
    return e;
}
