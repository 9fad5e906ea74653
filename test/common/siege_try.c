/*
 * What the gateway of a siege tries (siege.h): a grammar over requests that somebody really stamped.
 *
 * Each move makes a body and a list of stamps of what the gateway has seen, and says how it is handed
 * over. A move need not be refused: whatever comes of it is judged by what was made, not by intent.
 */
#include "test/common/siege.h"

#include "protocol/base/check.h"
#include "protocol/base/enc.h"

#include <stdio.h>
#include <string.h>

const char *const siege_move_name[SIEGE_MOVES] = {
    "as it was asked",
    "another request's stamp",
    "a bit of the body",
    "a digit of the body",
    "a member of another body",
    "a member twice",
    "white space and what follows",
    "no stamp",
    "stamps in another order",
    "another client's key in the stamp",
    "approvals of another request",
    "one approval twice",
    "a client's stamp as approval",
    "an approval by another page",
    "an old request",
    "all coordinators at once",
    "answers withheld",
    "straight to a signer",
    "an older policy",
    "two forms in one body",
};

static unsigned
below(struct siege *s, unsigned n)
{
    return (unsigned)qr_testrng_below(&s->rng, n);
}

/* Some request: mostly one of the newest. */
static struct siege_req *
some(struct siege *s)
{
    unsigned n = (unsigned)s->n_req;
    unsigned newest = n < 24 ? n : 24;
    return s->req[below(s, 8) ? n - 1 - below(s, newest) : below(s, n)];
}

/* One that two people approved, if there is any among the newest. */
static struct siege_req *
approved(struct siege *s)
{
    for (unsigned k = 0; k < 24; k++) {
        struct siege_req *q = some(s);
        if ((q->approved & (q->approved - 1)) != 0 && q->who == OPS) {
            return q;
        }
    }
    return some(s);
}

/* One that a rule with limits allows, if there is any among the newest. */
static struct siege_req *
limited(struct siege *s, unsigned rules)
{
    for (unsigned k = 0; k < 24; k++) {
        struct siege_req *q = some(s);
        if (siege_allowed(q, 0) & rules) {
            return q;
        }
    }
    return some(s);
}

static void
push(struct siege *s, const char *text)
{
    if (s->n_stamps < QR_STAMPS_MAX) {
        (void)snprintf(s->stamp[s->n_stamps++], SIEGE_APPROVAL, "%s", text);
    }
}

static void
push_approvals(struct siege *s, const struct siege_req *q)
{
    for (unsigned a = 0; a < SIEGE_APPROVERS; a++) {
        if (q->approved >> a & 1) {
            push(s, q->approval[a]);
        }
    }
}

/* Body, stamp and approvals as they were made. */
static void
whole(struct siege *s, const struct siege_req *q)
{
    (void)snprintf(s->body, sizeof s->body, "%s", q->body);
    push(s, q->stamp);
    push_approvals(s, q);
}

/* ---- text -------------------------------------------------------------------------------- */

/* The value of a top-level member: its first byte; *len its length. NULL: there is none. */
static char *
member(char *body, const char *name, size_t *len)
{
    char quoted[40];
    int depth = 0, text = 0;

    (void)snprintf(quoted, sizeof quoted, "\"%s\":", name);
    char *at = strstr(body, quoted);
    if (!at) {
        return NULL;
    }
    at += strlen(quoted);
    for (*len = 0; at[*len]; ++*len) {
        char ch = at[*len];
        if (ch == '"') {
            text = !text;
        } else if (!text && depth == 0 && (ch == ',' || ch == '}' || ch == ']')) {
            break;
        } else if (!text && (ch == '[' || ch == '{')) {
            depth++;
        } else if (!text && (ch == ']' || ch == '}')) {
            depth--;
        }
    }
    return at;
}

static const char *const native[] = {"cluster", "key",   "id",   "issued_ms", "expires_ms",
                                     "path",    "items", "kind", "preimage"};
static const char *const raw[] = {"type",     "timestampMs", "organizationId",      "parameters",
                                  "signWith", "payload",     "unsignedTransaction", "hashFunction",
                                  "encoding"};

static const char *
some_name(struct siege *s)
{
    return below(s, 4) ? native[below(s, 9)] : raw[below(s, 9)];
}

/* A member's value in the body at hand becomes that of another body. */
static void
graft(struct siege *s, struct siege_req *from)
{
    char rest[sizeof s->body];
    size_t len = 0, other = 0;
    const char *name = some_name(s);
    char *at = member(s->body, name, &len);
    const char *value = member(from->body, name, &other);

    if (at && value && strlen(s->body) + other < sizeof s->body) {
        (void)snprintf(rest, sizeof rest, "%s", at + len);
        memcpy(at, value, other);
        (void)snprintf(at + other, sizeof s->body - (size_t)(at + other - s->body), "%s", rest);
    }
}

/* A member of another body is put in front of all, or behind. */
static void
twice(struct siege *s, struct siege_req *from)
{
    char all[sizeof s->body];
    size_t len = 0;
    const char *name = some_name(s), *value = member(from->body, name, &len);

    if (!value || strlen(s->body) + len + 40 > sizeof s->body) {
        return;
    }
    if (below(s, 2)) {
        (void)snprintf(all, sizeof all, "{\"%s\":%.*s,%s", name, (int)len, value, s->body + 1);
    } else {
        (void)snprintf(all, sizeof all, "%.*s,\"%s\":%.*s}", (int)strlen(s->body) - 1, s->body,
                       name, (int)len, value);
    }
    (void)snprintf(s->body, sizeof s->body, "%s", all);
}

static void
change_digit(struct siege *s)
{
    size_t n = strlen(s->body);
    for (unsigned k = 0; k < 64; k++) {
        char *at = &s->body[below(s, (unsigned)n)];
        if (*at >= '0' && *at <= '9') {
            *at = (char)('0' + below(s, 10));
            return;
        }
        if (*at >= 'a' && *at <= 'f') {
            *at = (char)('a' + below(s, 6));
            return;
        }
    }
}

static void
pad(struct siege *s)
{
    static const char *const put[] = {" ", "\n", "{}", "\t", "0", "\r\n"};
    char all[sizeof s->body];
    size_t n = strlen(s->body), at = below(s, 2) ? n : below(s, (unsigned)n + 1);

    (void)snprintf(all, sizeof all, "%.*s%s%s", (int)at, s->body, put[below(s, 6)], s->body + at);
    (void)snprintf(s->body, sizeof s->body, "%s", all);
}

/* The stamp says that another client's key made it. */
static void
rename_stamp(struct siege *s, enum siege_who to)
{
    uint8_t json[QR_STAMP_MAX];
    size_t len = 0, n = 0;

    if (qr_b64url_decode(s->stamp[0], strlen(s->stamp[0]), json, sizeof json - 1, &len) != QR_OK) {
        return;
    }
    json[len] = 0;
    char *key = member((char *)json, "publicKey", &n);
    if (key && n == strlen(s->who[to].hex) + 2) {
        memcpy(key + 1, s->who[to].hex, n - 2);
    }
    qr_b64url_encode(qr_view_of(json, len), s->stamp[0]);
}

/* ---- moves ------------------------------------------------------------------------------- */

static void
move_approvals(struct siege *s)
{
    struct siege_req *q = some(s), *other = approved(s);

    /* what rule big is for: of the client that may, and more than rule pay gives */
    for (unsigned k = 0; k < 24 && !(q->who == OPS && q->item[0].kind == QR_KIND_ETH_TX &&
                                     q->item[0].value > 1000 && q->item[0].to < 3);
         k++) {
        q = some(s);
    }
    (void)snprintf(s->body, sizeof s->body, "%s", q->body);
    push(s, q->stamp);
    if (below(s, 3)) { /* one that is missing, and those that are not */
        unsigned a = below(s, SIEGE_APPROVERS);
        if ((other->approved & ~q->approved) >> a & 1) {
            push(s, other->approval[a]);
        }
        push_approvals(s, q);
    } else {
        push_approvals(s, other);
    }
}

static void
move_direct(struct siege *s, struct siege_try *t)
{
    struct siege_req *q = below(s, 3) ? limited(s, R_PAY | R_MOLE) : approved(s), *other = some(s);

    t->way = WAY_DIRECT;
    t->at = below(s, 2) ? 1 : 3;
    whole(s, q);
    memcpy(t->sid, q->hash, 32);
    t->n = (uint16_t)q->n_items;
    t->key = below(s, 8) ? q->key : 1 - q->key;
    switch (below(s, 10)) {
    case 0:
        memcpy(t->sid, other->hash, 32);
        break;
    case 1:
        t->n = (uint16_t)(1 + below(s, SIEGE_ITEMS));
        break;
    case 2: /* the session of the good one, the bytes of another */
        (void)snprintf(s->body, sizeof s->body, "%s", other->body);
        break;
    case 3:
        change_digit(s);
        break;
    case 4:
        s->n_stamps = below(s, (unsigned)s->n_stamps + 1);
        break;
    default:
        break;
    }
}

static void
move_policy(struct siege *s, struct siege_try *t)
{
    struct siege_req *q = some(s);

    for (unsigned k = 0; k < 24 && q->who != LEAVER; k++) {
        q = some(s);
    }
    whole(s, q);
    t->way = WAY_POLICY;
}

static void
shuffle(struct siege *s)
{
    char one[SIEGE_APPROVAL];
    size_t i = below(s, (unsigned)s->n_stamps), j = below(s, (unsigned)s->n_stamps);

    memcpy(one, s->stamp[i], sizeof one);
    memcpy(s->stamp[i], s->stamp[j], sizeof one);
    memcpy(s->stamp[j], one, sizeof one);
}

/* What people said of a request, and something that is no approval of theirs. */
static void
add_fake(struct siege *s, unsigned move)
{
    struct siege_req *q = approved(s);

    (void)snprintf(s->body, sizeof s->body, "%s", q->body);
    push(s, q->stamp);
    if (move == 13) {
        /* one who approved, and what Carol did not mean */
        for (unsigned a = 0; a < CAROL; a++) {
            if (q->approved >> a & 1) {
                push(s, q->approval[a]);
            }
        }
        if (s->n_stamps < QR_STAMPS_MAX) {
            siege_phish(s, (int)below(s, 2), q->hash, s->stamp[s->n_stamps++]);
        }
        return;
    }
    push_approvals(s, q);
    if (move == 11 && s->n_stamps < QR_STAMPS_MAX) {
        memcpy(s->stamp[s->n_stamps], s->stamp[s->n_stamps - 1], SIEGE_APPROVAL);
        s->n_stamps++;
    } else if (s->n_stamps < QR_STAMPS_MAX) {
        char text[QR_APPROVAL_TEXT_LEN];
        unsigned which = below(s, 3);
        if (which == 0) {
            push(s, q->stamp);
        } else if (which == 1) {
            siege_stamp(s, LEAVER, q->body, s->stamp[s->n_stamps++]);
        } else {
            /* the text of an approval, by a key that is the gateway's */
            qr_approval_text(q->hash, text);
            char body[QR_APPROVAL_TEXT_LEN + 1];
            (void)snprintf(body, sizeof body, "%.*s", (int)sizeof text, text);
            siege_stamp(s, MOLE, body, s->stamp[s->n_stamps++]);
        }
    }
}

static void
mix_forms(struct siege *s)
{
    struct siege_req *q = some(s), *other = some(s);
    char all[sizeof s->body];

    for (unsigned k = 0; k < 24 && q->raw == other->raw; k++) {
        other = some(s);
    }
    whole(s, q);
    if (strlen(q->body) + strlen(other->body) + 2 < sizeof all) {
        (void)snprintf(all, sizeof all, "%.*s,%s", (int)strlen(q->body) - 1, q->body,
                       other->body + 1);
        (void)snprintf(s->body, sizeof s->body, "%s", all);
    }
}

/* The gateway has the mole's key and stamps what no reader may take for a request. */
static void
stamp_by_mole(struct siege *s, struct siege_try *t)
{
    if (below(s, 2)) {
        siege_stamp(s, MOLE, s->body, s->stamp[0]);
        t->by_mole = 1;
    }
}

void
siege_try_make(struct siege *s, struct siege_try *t)
{
    *t = (struct siege_try){.at = 1 + below(s, 3)};
    s->n_stamps = 0;
    t->move = below(s, 5) ? 1 + below(s, SIEGE_MOVES - 1) : 0;
    if (t->move == 18 && below(s, 4)) {
        t->move = 10; /* a policy takes longest */
    }
    switch (t->move) {
    case 0:
    case 14:
        whole(s, t->move       ? s->req[below(s, (unsigned)s->n_req)]
                 : below(s, 2) ? limited(s, R_PAY | R_MOLE)
                               : some(s));
        break;
    case 1:
        whole(s, some(s));
        (void)snprintf(s->stamp[0], SIEGE_APPROVAL, "%s", some(s)->stamp);
        break;
    case 2:
        whole(s, some(s));
        s->body[below(s, (unsigned)strlen(s->body))] ^= (char)(1u << below(s, 7));
        break;
    case 3:
        whole(s, some(s));
        change_digit(s);
        break;
    case 4:
        whole(s, some(s));
        graft(s, some(s));
        break;
    case 5:
        whole(s, limited(s, R_SCRAP));
        twice(s, some(s));
        stamp_by_mole(s, t);
        break;
    case 6:
        whole(s, some(s));
        pad(s);
        break;
    case 7:
        (void)snprintf(s->body, sizeof s->body, "%s", some(s)->body);
        break;
    case 8:
        whole(s, approved(s));
        shuffle(s);
        break;
    case 9:
        whole(s, some(s));
        rename_stamp(s, below(s, 2) ? OPS : MOLE);
        break;
    case 10:
        move_approvals(s);
        break;
    case 11:
    case 12:
    case 13:
        add_fake(s, t->move);
        break;
    case 15:
        whole(s, limited(s, R_PAY | R_MOLE));
        t->way = WAY_ALL;
        break;
    case 16:
        whole(s, some(s));
        t->way = WAY_WITHHOLD;
        break;
    case 17:
        move_direct(s, t);
        break;
    case 18:
        move_policy(s, t);
        break;
    default:
        mix_forms(s);
        stamp_by_mole(s, t);
        break;
    }
}
