/* What a party says of its secret, and what of it stands in the way of keys. */
#include "daemon/party_int.h"

#include <stdio.h>

static uint16_t
bit(uint16_t index)
{
    return (uint16_t)(1u << (index - 1));
}

static unsigned
count(uint16_t mask)
{
    return (unsigned)__builtin_popcount(mask);
}

static uint16_t
threshold(const struct qr_party *p)
{
    return p->policy ? qr_peers_secret(qr_policy_peers(p->policy)) : 0;
}

/* What the documents in force ask for; epoch 0. 0: nothing, or what this roster cannot give. */
int
qr_secret_wanted(const struct qr_party *p, struct qr_sharing *ret)
{
    uint16_t t = threshold(p);

    *ret = (struct qr_sharing){0};
    if (t == 0 || !p->roster || p->self == 0 || t > p->roster->n) {
        return 0;
    }
    ret->owner = p->self;
    ret->need = (uint8_t)(t - 1);
    for (size_t i = 0; i < p->roster->n; i++) {
        const struct qr_roster_party *r = &p->roster->party[i];
        if (r->index != p->self) {
            ret->holder[ret->n].index = r->index;
            memcpy(ret->holder[ret->n++].id, r->identity, 32);
        }
    }
    return 1;
}

/* ---- what it says ------------------------------------------------------------------------ */

enum qr_secret_state
qr_secret_state(const struct qr_party *p)
{
    const struct qr_secret *s = &p->secret;

    if (s->broken[0]) {
        return QR_SECRET_BROKEN;
    }
    if (s->now.epoch != 0 && !s->open) {
        return QR_SECRET_LOCKED;
    }
    if (s->next.epoch != 0) {
        return QR_SECRET_MAKING;
    }
    return s->now.epoch != 0 ? QR_SECRET_OPEN : QR_SECRET_NONE;
}

const char *
qr_secret_state_name(enum qr_secret_state s)
{
    static const char *const name[] = {"none", "making", "locked", "open", "broken"};
    return name[s];
}

int
qr_secret_keys_open(const struct qr_party *p)
{
    return p->secret.now.epoch == 0 || p->secret.open;
}

uint16_t
qr_secret_waits(const struct qr_party *p)
{
    const struct qr_secret *s = &p->secret;

    switch (qr_secret_state(p)) {
    case QR_SECRET_MAKING:
        return (uint16_t)(qr_sharing_mask(&s->next) & ~s->acked);
    case QR_SECRET_LOCKED:
        return (uint16_t)(qr_sharing_mask(&s->now) & ~s->got);
    case QR_SECRET_NONE:
    case QR_SECRET_OPEN:
    case QR_SECRET_BROKEN:
        break;
    }
    return 0;
}

/* "2", "2 and 3", "2, 3 and 5" */
static void
list_text(uint16_t mask, const char *last, char *out, size_t cap)
{
    size_t at = 0;
    unsigned n = count(mask), k = 0;

    out[0] = '\0';
    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        if (mask & bit(i)) {
            k++;
            int w = snprintf(out + at, cap - at, "%s%u", k == 1 ? "" : k == n ? last : ", ", i);
            at += w > 0 && (size_t)w < cap - at ? (size_t)w : 0;
        }
    }
}

void
qr_secret_text(const struct qr_party *p, char out[static QR_SECRET_TEXT_MAX])
{
    const struct qr_secret *s = &p->secret;
    char list[64];
    struct qr_sharing want;

    out[0] = '\0';
    switch (qr_secret_state(p)) {
    case QR_SECRET_LOCKED:
        list_text(qr_secret_waits(p), " or ", list, sizeof list);
        (void)snprintf(out, QR_SECRET_TEXT_MAX,
                       "locked: needs %u more of its pieces, from party %s",
                       s->now.need - count(s->got), list);
        break;
    case QR_SECRET_MAKING:
        list_text(qr_secret_waits(p), " and ", list, sizeof list);
        (void)snprintf(out, QR_SECRET_TEXT_MAX, "peer secret not made yet: waits for party %s",
                       list);
        break;
    case QR_SECRET_BROKEN:
        (void)snprintf(out, QR_SECRET_TEXT_MAX, "%s", s->broken);
        break;
    case QR_SECRET_NONE:
        if (threshold(p) != 0 && !qr_secret_wanted(p, &want)) {
            (void)snprintf(out, QR_SECRET_TEXT_MAX,
                           "peer secret cannot be made: threshold %u of %zu parties", threshold(p),
                           p->roster ? p->roster->n : 0);
        } else if (threshold(p) != 0) {
            (void)snprintf(out, QR_SECRET_TEXT_MAX, "peer secret not made yet");
        }
        break;
    case QR_SECRET_OPEN:
        break;
    }
}

qr_err
qr_secret_may_keygen(const struct qr_party *p, uint16_t t, char *why, size_t cap)
{
    const struct qr_secret *s = &p->secret;
    struct qr_sharing want;
    char text[QR_SECRET_TEXT_MAX];

    if (!qr_secret_keys_open(p)) {
        qr_secret_text(p, text);
        (void)snprintf(why, cap, "%s", text);
        return QR_ERR_NOT_READY;
    }
    if (threshold(p) == 0) {
        return QR_OK;
    }
    if (t > threshold(p)) {
        (void)snprintf(why, cap,
                       "a key of threshold %u is above the policy's peer_secret.threshold, %u: its "
                       "shares would open with fewer parties than it needs to sign",
                       t, threshold(p));
        return QR_ERR_USAGE;
    }
    if (!qr_secret_wanted(p, &want) || s->now.epoch == 0 || !qr_sharing_same(&want, &s->now)) {
        qr_secret_text(p, text);
        (void)snprintf(why, cap, "%s", text[0] ? text : "peer secret not made yet");
        return QR_ERR_NOT_READY;
    }
    return QR_OK;
}
