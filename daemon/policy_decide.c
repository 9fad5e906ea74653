/*
 * Deciding. Rules that do not concern client, key and kinds fall out once, for all items; what is left
 * is asked item by item. Denials are found before approvals and limits are looked at, so that nobody is
 * asked to approve, or to wait for, what will be refused.
 */
#include "daemon/policy_int.h"

#include <stdarg.h>
#include <stdio.h>

#define NO_SLOT 0u

/* What is known while one request is decided. */
struct deciding {
    const struct qr_policy *p;
    const struct qr_policy_ask *ask;
    struct qr_rule_ask q;
    struct qr_policy_says *says;
    uint16_t rule[QR_RULES_MAX]; /* those that concern it, in the document's order */
    size_t n_rules;
    uint16_t slot[QR_LIMITS_MAX]; /* of a limit: 1 + its place in says->charge; NO_SLOT: none yet */
    uint16_t first[QR_ITEMS_MAX]; /* the first allow rule that matches an item, in `rule` */
    const struct qr_rule *by[QR_ITEMS_MAX]; /* the rule that allows it */
};

static qr_err __attribute__((format(printf, 5, 6)))
refuse(struct deciding *d, qr_err e, size_t item, const char *rule, const char *format, ...)
{
    va_list ap;

    d->says->rule = rule;
    d->says->item = item;
    d->says->kind = d->ask->req->items[item].kind;
    va_start(ap, format);
    (void)vsnprintf(d->says->why, sizeof d->says->why, format, ap);
    va_end(ap);
    return e;
}

/* No rule allows it: names the first that concerns this kind, and what was in its way. */
static qr_err
refuse_unmatched(struct deciding *d, size_t i)
{
    const struct qr_request_item *item = &d->ask->req->items[i];
    const char *kind = qr_kind_name(item->kind), *client = d->ask->client->name;
    const struct qr_rule *near = NULL;
    enum qr_pred pred = QR_PRED_COUNT;
    size_t others = 0;
    char found[128];

    for (size_t k = 0; k < d->n_rules; k++) {
        const struct qr_rule *r = &d->p->rule[d->rule[k]];
        if (!r->deny && r->kinds & QR_KIND_BIT(item->kind)) {
            others += near != NULL;
            if (!near && !qr_rule_match(r, &d->q, item, &pred)) {
                near = r;
            }
        }
    }
    if (!near) {
        return refuse(d, QR_ERR_POLICY_DENIED, i, "",
                      "client %s may not have %s signed: no rule allows it", client, kind);
    }
    qr_rule_found(pred, &d->q, item, found, sizeof found);
    return refuse(d, QR_ERR_POLICY_DENIED, i, "",
                  "client %s may not have this %s signed: not by rule %s (%s: %s)%s", client, kind,
                  near->id, qr_pred_name(pred), found,
                  others ? ", nor by others that concern it" : "");
}

/* A deny rule that matches, or no allow rule that does. */
static qr_err
check_denied(struct deciding *d, size_t i)
{
    const struct qr_request_item *item = &d->ask->req->items[i];
    int allowed = 0;

    for (size_t k = 0; k < d->n_rules; k++) {
        const struct qr_rule *r = &d->p->rule[d->rule[k]];
        if (!r->deny && allowed) {
            continue;
        }
        if (qr_rule_match(r, &d->q, item, NULL)) {
            if (r->deny) {
                return refuse(d, QR_ERR_POLICY_DENIED, i, r->id,
                              "client %s may not have this %s signed: denied by rule %s",
                              d->ask->client->name, qr_kind_name(item->kind), r->id);
            }
            allowed = 1;
            d->first[i] = (uint16_t)k;
        }
    }
    return allowed ? QR_OK : refuse_unmatched(d, i);
}

/* ---- limits ---- */

/* The transaction that an item is about was charged to this rule before: the most of that. */
static uint64_t
charged_sat(const struct deciding *d, const struct qr_rule *r, size_t i)
{
    const struct qr_btc *t = &d->ask->req->items[i].btc;
    uint64_t most = 0;

    for (size_t k = 0; k < i; k++) {
        const struct qr_request_item *other = &d->ask->req->items[k];
        if (d->by[k] == r && qr_view_eq(other->btc.tx, t->tx)) {
            uint64_t sat = qr_rule_leaving_sat(&other->btc);
            most = sat > most ? sat : most;
        }
    }
    return most;
}

/* What item i takes from a limit of rule r. */
static struct qr_u256
amount(const struct deciding *d, const struct qr_rule *r, enum qr_unit unit, size_t i)
{
    const struct qr_request_item *item = &d->ask->req->items[i];
    struct qr_u256 v = qr_u256_of(1);

    if (unit == QR_UNIT_WEI) {
        memcpy(v.b, item->eth.value, sizeof v.b);
    } else if (unit == QR_UNIT_SAT) {
        uint64_t sat = qr_rule_leaving_sat(&item->btc), before = charged_sat(d, r, i);
        v = qr_u256_of(sat > before ? sat - before : 0);
    }
    return v;
}

/* Sums of the rule's limits with item i added; an amount that does not fit is more than any share. */
static size_t
charges_with(const struct deciding *d, const struct qr_rule *r, size_t i,
             struct qr_charge ret[static QR_RULE_LIMITS_MAX])
{
    for (size_t k = 0; k < r->n_limits; k++) {
        size_t limit = r->limit_first + k;
        struct qr_u256 add = amount(d, r, d->p->limit[limit].unit, i);
        ret[k] = (struct qr_charge){.limit = (uint16_t)limit};
        if (d->slot[limit] != NO_SLOT) {
            ret[k].amount = d->says->charge[d->slot[limit] - 1].amount;
        }
        qr_err e = qr_u256_add(&ret[k].amount, &add, &ret[k].amount);
        (void)e; /* all ones then */
    }
    return r->n_limits;
}

static void
keep_charges(struct deciding *d, const struct qr_charge *c, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        uint16_t *slot = &d->slot[c[k].limit];
        if (*slot == NO_SLOT) {
            *slot = (uint16_t)(++d->says->n_charges);
        }
        d->says->charge[*slot - 1] = c[k];
    }
}

/* ---- allowing ---- */

static unsigned
count_bits(uint64_t v)
{
    unsigned n = 0;

    for (; v; v &= v - 1) {
        n++;
    }
    return n;
}

static qr_err
refuse_approvals(struct deciding *d, const struct qr_rule *r, size_t i)
{
    unsigned have = count_bits(r->of & d->ask->approved);

    d->says->need = r->need - have;
    d->says->of = r->of & ~d->ask->approved;
    return refuse(d, QR_ERR_APPROVALS, i, r->id,
                  "rule %s wants %u approvals of %u approvers, the request has %u", r->id, r->need,
                  count_bits(r->of), have);
}

static qr_err
refuse_limit(struct deciding *d, const struct qr_rule *r, size_t i, uint16_t limit, uint64_t retry)
{
    const struct qr_limit *l = &d->p->limit[limit];
    char max[QR_U256_TEXT];

    d->says->retry_s = retry;
    qr_u256_text(&l->max, max);
    return refuse(d, QR_ERR_LIMIT, i, r->id,
                  retry ? "rule %s: this party's part of %s %s in %u s is used up, or not yet open"
                        : "rule %s: more than this party's part of %s %s in %u s at once",
                  r->id, max, qr_unit_name(l->unit), l->window_s);
}

/* The first rule that matches, is approved and has room; else what the first that matches lacks. */
static qr_err
allow(struct deciding *d, size_t i)
{
    const struct qr_request_item *item = &d->ask->req->items[i];
    struct qr_charge charge[QR_RULE_LIMITS_MAX];
    const struct qr_rule *lacking = NULL;
    uint16_t limit = 0, lacking_limit = 0;
    uint64_t retry = 0, lacking_retry = 0;

    for (size_t k = d->first[i]; k < d->n_rules; k++) {
        const struct qr_rule *r = &d->p->rule[d->rule[k]];
        if (r->deny || !qr_rule_match(r, &d->q, item, NULL)) {
            continue;
        }
        int approved = count_bits(r->of & d->ask->approved) >= r->need;
        size_t n = approved ? charges_with(d, r, i, charge) : 0;
        if (approved && (!d->ask->budget ||
                         qr_budget_room(d->ask->budget, charge, n, &limit, &retry) == QR_OK)) {
            d->by[i] = r;
            keep_charges(d, charge, n);
            d->says->of |= r->of & d->ask->approved;
            d->says->life_ms =
                i == 0 || r->life_ms < d->says->life_ms ? r->life_ms : d->says->life_ms;
            return QR_OK;
        }
        if (!lacking) {
            lacking = r;
            lacking_limit = limit;
            lacking_retry = retry;
        }
    }
    d->says->n_charges = 0;
    if (!lacking) {
        return refuse_unmatched(d, i); /* cannot be: check_denied found one */
    }
    return count_bits(lacking->of & d->ask->approved) < lacking->need
               ? refuse_approvals(d, lacking, i)
               : refuse_limit(d, lacking, i, lacking_limit, lacking_retry);
}

qr_err
qr_policy_decide(const struct qr_policy *p, const struct qr_policy_ask *ask,
                 struct qr_policy_says *ret)
{
    const struct qr_window *w = &ask->req->window;
    struct deciding d = {.p = p,
                         .ask = ask,
                         .says = ret,
                         .q = {.client = ask->client,
                               .req = ask->req,
                               .key = ask->key,
                               .now = qr_rule_moment(ask->now_ms),
                               .lower = qr_rule_moment(ask->lower_ms),
                               .life_ms = w->expires_ms - w->issued_ms}};

    ret->rule = "";
    ret->item = ret->n_charges = ret->need = 0;
    ret->of = ret->retry_s = 0;
    ret->life_ms = QR_REQUEST_LIFE_MS;
    ret->why[0] = '\0';
    for (size_t i = 0; i < p->n_rules; i++) {
        if (qr_rule_concerns(&p->rule[i], &d.q)) {
            d.rule[d.n_rules++] = (uint16_t)i;
        }
    }
    for (size_t i = 0; i < ask->req->n_items; i++) {
        QR_TRY(check_denied(&d, i));
    }
    for (size_t i = 0; i < ask->req->n_items; i++) {
        QR_TRY(allow(&d, i));
    }
    ret->kind = ask->req->items[0].kind;
    ret->rule = d.by[0]->id;
    return QR_OK;
}
