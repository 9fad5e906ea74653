#include "daemon/audit_check.h"

#include "proto/json_strict.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define GROW 4096u

/* A record that somebody vouches for: by another party (1..16), or by the party's own next boot (0). */
struct place {
    uint64_t boot, serial, time_ms;
    uint8_t hash[32];
    uint16_t party, by;
};

/* What is wrong since the last good head, told once the next head or the end says where it stops. */
struct pending {
    int is;
    int either; /* of two records whose link is broken, which one was changed is not known yet */
    uint8_t hash[32]; /* of the second of them */
    uint64_t first, second;
    char where[200], where_second[200], text[QR_AUDIT_FINDING_MAX];
};

struct qr_audit_check {
    const struct qr_roster *roster;
    uint64_t until_ms;
    int partial;
    qr_audit_finding *found;
    void *ctx;
    struct place *place;
    size_t n_places, cap_places, at; /* at: the next one in pass two */
    struct qr_audit_totals sum;
    /* the party at hand */
    int begun;
    char where_last[200];
    struct qr_audit_record last;
    uint8_t boot_nonce[32];
    int has_nonce;
    uint64_t head_serial; /* of this boot's last good head, 0: none */
    uint64_t since_head;
    struct pending p;
};

qr_err
qr_audit_check_new(const struct qr_roster *r, uint64_t until_ms, int partial,
                   qr_audit_finding *found, void *ctx, struct qr_audit_check **ret)
{
    struct qr_audit_check *k = qr_alloc(sizeof *k);
    if (!k) {
        return QR_ERR_NO_MEMORY;
    }
    k->roster = r;
    k->until_ms = until_ms;
    k->partial = partial;
    k->found = found;
    k->ctx = ctx;
    *ret = k;
    return QR_OK;
}

struct qr_audit_check *
qr_audit_check_free(struct qr_audit_check *k)
{
    if (k) {
        qr_free(k->place);
    }
    return qr_free(k);
}

void
qr_audit_check_totals(const struct qr_audit_check *k, struct qr_audit_totals *ret)
{
    *ret = k->sum;
}

static void tell(struct qr_audit_check *k, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
tell(struct qr_audit_check *k, const char *where, const char *fmt, ...)
{
    char text[QR_AUDIT_FINDING_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    k->sum.findings++;
    k->found(k->ctx, where, text);
}

/* ---- pass one ---------------------------------------------------------------------------- */

static qr_err
keep(struct qr_audit_check *k, const struct place *p)
{
    if (k->n_places == k->cap_places) {
        size_t cap = k->cap_places ? 2 * k->cap_places : GROW;
        if (cap > QR_AUDIT_ANCHORS_MAX) {
            return QR_ERR_TOO_LARGE;
        }
        struct place *more =
            k->place ? qr_realloc(k->place, cap * sizeof *more) : qr_alloc(cap * sizeof *more);
        if (!more) {
            return QR_ERR_NO_MEMORY;
        }
        k->place = more;
        k->cap_places = cap;
    }
    k->place[k->n_places++] = *p;
    return QR_OK;
}

/* 1: signed by that party of the roster. */
static int
is_signed(const struct qr_audit_check *k, const struct qr_audit_signed_head *h)
{
    return h->party <= k->roster->n &&
           qr_audit_verify_head(h, k->roster->cluster, k->roster->party[h->party - 1].identity) ==
               QR_OK;
}

qr_err
qr_audit_check_collect(struct qr_audit_check *k, qr_view line)
{
    struct qr_audit_record r;
    char why[128];
    if (qr_audit_parse(line, &r, why, sizeof why) != QR_OK) {
        return QR_OK;
    }
    struct place p = {.time_ms = r.time_ms};
    if (strcmp(r.event, "anchor") == 0) {
        struct qr_audit_signed_head h;
        if (qr_audit_read_anchor(line, &h, why, sizeof why) != QR_OK || !is_signed(k, &h) ||
            (k->until_ms && r.time_ms > k->until_ms)) {
            return QR_OK;
        }
        p.party = h.party;
        p.by = r.party;
        p.boot = h.at.boot;
        p.serial = h.at.serial;
        memcpy(p.hash, h.at.hash, 32);
        return keep(k, &p);
    }
    if (strcmp(r.event, "boot") == 0) {
        struct qr_audit_boot b;
        if (qr_audit_read_boot(line, &b, why, sizeof why) != QR_OK || b.last_serial == 0) {
            return QR_OK;
        }
        p.party = r.party;
        p.boot = b.last_boot;
        p.serial = b.last_serial;
        memcpy(p.hash, r.prev, 32);
        return keep(k, &p);
    }
    return QR_OK;
}

static int
order(const void *x, const void *y)
{
    const struct place *a = x, *b = y;
    if (a->party != b->party) {
        return a->party < b->party ? -1 : 1;
    }
    if (a->boot != b->boot) {
        return a->boot < b->boot ? -1 : 1;
    }
    return a->serial < b->serial ? -1 : a->serial > b->serial;
}

void
qr_audit_check_sort(struct qr_audit_check *k)
{
    if (k->n_places) {
        qsort(k->place, k->n_places, sizeof *k->place, order);
    }
    k->at = 0;
    k->begun = 0;
}

/* ---- findings within a log --------------------------------------------------------------- */

static void pend(struct qr_audit_check *k, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* One stretch between two heads has one finding: what follows from it says nothing new. */
static void
pend(struct qr_audit_check *k, const char *where, const char *fmt, ...)
{
    va_list ap;
    if (k->p.is) {
        return;
    }
    k->p = (struct pending){.is = 1};
    va_start(ap, fmt);
    (void)vsnprintf(k->p.text, sizeof k->p.text, fmt, ap);
    va_end(ap);
    (void)snprintf(k->p.where, sizeof k->p.where, "%s", where);
}

/* next_head: serial of the good head that ends the stretch, 0: none came. */
static void
settle(struct qr_audit_check *k, uint64_t next_head)
{
    char text[QR_AUDIT_FINDING_MAX], before[48], after[48];
    if (!k->p.is) {
        return;
    }
    if (k->p.either) {
        (void)snprintf(k->p.text, sizeof k->p.text, "record %llu or %llu was changed",
                       (unsigned long long)k->p.first, (unsigned long long)k->p.second);
    }
    (void)snprintf(before, sizeof before, "the signed head at %llu",
                   (unsigned long long)k->head_serial);
    (void)snprintf(after, sizeof after, "that at %llu", (unsigned long long)next_head);
    (void)snprintf(text, sizeof text, "party %u, boot %llu: %.400s; between %s and %s",
                   k->last.party, (unsigned long long)k->last.boot, k->p.text,
                   k->head_serial ? before : "its beginning", next_head ? after : "its end");
    k->sum.findings++;
    k->found(k->ctx, k->p.where, text);
    k->p.is = 0;
}

/* A broken link's two records: the one that the next link still holds was not changed. */
static void
decide(struct qr_audit_check *k, const struct qr_audit_record *next)
{
    struct pending *p = &k->p;
    if (!p->is || !p->either) {
        return;
    }
    int second_holds = next->serial == p->second + 1 && memcmp(next->prev, p->hash, 32) == 0;
    uint64_t n = second_holds ? p->first : p->second;
    if (!second_holds) {
        memcpy(p->where, p->where_second, sizeof p->where);
    }
    p->either = 0;
    (void)snprintf(p->text, sizeof p->text, "record %llu was changed", (unsigned long long)n);
}

static void
check_link(struct qr_audit_check *k, const char *where, const struct qr_audit_record *r,
           const char *where_last)
{
    const struct qr_audit_record *l = &k->last;
    if (r->serial == l->serial + 1) {
        if (memcmp(r->prev, l->hash, 32) == 0 || k->p.is) {
            return;
        }
        pend(k, where_last, "-");
        k->p.either = 1;
        k->p.first = l->serial;
        k->p.second = r->serial;
        memcpy(k->p.hash, r->hash, 32);
        (void)snprintf(k->p.where_second, sizeof k->p.where_second, "%s", where);
    } else if (r->serial > l->serial) {
        uint64_t from = l->serial + 1, to = r->serial - 1;
        if (from == to) {
            pend(k, where, "record %llu is missing here", (unsigned long long)from);
        } else {
            pend(k, where, "records %llu to %llu are missing here", (unsigned long long)from,
                 (unsigned long long)to);
        }
    } else {
        pend(k, where, "record %llu stands after record %llu: repeated, or out of its place",
             (unsigned long long)r->serial, (unsigned long long)l->serial);
    }
}

/* ---- boots ------------------------------------------------------------------------------- */

static const char *
voucher(const struct place *p, char out[static 48])
{
    if (p->by) {
        (void)snprintf(out, 48, "party %u's log", p->by);
    } else {
        (void)snprintf(out, 48, "the party's next boot");
    }
    return out;
}

/* Past the places of parties whose logs are not given. */
static void
skip_to(struct qr_audit_check *k, uint16_t party)
{
    while (k->at < k->n_places && k->place[k->at].party < party) {
        k->at++;
    }
}

/* Places of boots before `boot` (or of all, UINT64_MAX) of this party that no line reached. */
static void
tell_unreached(struct qr_audit_check *k, uint16_t party, uint64_t boot, int has_last)
{
    while (k->at < k->n_places && k->place[k->at].party == party && k->place[k->at].boot < boot) {
        const struct place *p = &k->place[k->at], *last = p;
        size_t n = 0;
        for (; k->at < k->n_places && k->place[k->at].party == party &&
               k->place[k->at].boot == p->boot;
             k->at++, n++) {
            last = &k->place[k->at];
        }
        char by[48];
        if (has_last && k->last.boot == p->boot) {
            tell(
                k, "",
                "party %u, boot %llu: the end is missing: records %llu to %llu; %s vouches for the "
                "last of them (at %llu ms)",
                party, (unsigned long long)p->boot, (unsigned long long)k->last.serial + 1,
                (unsigned long long)last->serial, voucher(last, by),
                (unsigned long long)last->time_ms);
        } else if (!(k->partial && !has_last)) {
            tell(k, "",
                 "party %u, boot %llu: its log is missing; %s vouches for its record %llu (at %llu "
                 "ms)",
                 party, (unsigned long long)p->boot, voucher(last, by),
                 (unsigned long long)last->serial, (unsigned long long)last->time_ms);
        }
    }
}

static void
begin_boot(struct qr_audit_check *k, const char *where, qr_view line,
           const struct qr_audit_record *r)
{
    struct qr_audit_boot b;
    char why[QR_ERR_TEXT_MAX] = "";
    const struct qr_roster *o = k->roster;
    k->sum.boots++;
    k->head_serial = 0;
    k->has_nonce = 0;
    k->last = *r;
    if (r->serial != 1) {
        if (!(k->partial && !k->begun)) {
            pend(k, where, "records 1 to %llu are missing here", (unsigned long long)r->serial - 1);
        }
        return;
    }
    if (qr_audit_read_boot(line, &b, why, sizeof why) != QR_OK) {
        pend(k, where, "the first record is not a boot's: %s", why);
        return;
    }
    memcpy(k->boot_nonce, b.boot_nonce, 32);
    k->has_nonce = 1;
    if (memcmp(b.cluster, o->cluster, 32) != 0 || r->party > o->n ||
        memcmp(b.identity, o->party[r->party - 1].identity, 32) != 0) {
        tell(k, where, "party %u, boot %llu: another cluster or identity key than the roster's",
             r->party, (unsigned long long)r->boot);
    }
}

/* ---- pass two ---------------------------------------------------------------------------- */

static void
check_places(struct qr_audit_check *k, const char *where, const struct qr_audit_record *r)
{
    while (k->at < k->n_places &&
           order(&k->place[k->at],
                 &(struct place){.party = r->party, .boot = r->boot, .serial = r->serial}) < 0) {
        /* Within a boot: a gap, which was told. Before the first line of a party: the roster's lower ones. */
        k->at++;
    }
    for (; k->at < k->n_places && k->place[k->at].party == r->party &&
           k->place[k->at].boot == r->boot && k->place[k->at].serial == r->serial;
         k->at++) {
        const struct place *p = &k->place[k->at];
        char by[48];
        if (memcmp(p->hash, r->hash, 32) == 0) {
            k->sum.anchors++;
        } else if (!k->p.is) {
            pend(k, where,
                 "record %llu is another one than %s vouches for: it was changed, or the party "
                 "wrote two logs",
                 (unsigned long long)r->serial, voucher(p, by));
        }
    }
}

static void
check_head(struct qr_audit_check *k, const char *where, qr_view line,
           const struct qr_audit_record *r)
{
    struct qr_audit_signed_head h;
    char why[QR_ERR_TEXT_MAX] = "";
    if (qr_audit_read_head(line, &h, why, sizeof why) != QR_OK) {
        pend(k, where, "record %llu is no head: %s", (unsigned long long)r->serial, why);
        return;
    }
    k->sum.unrecorded += h.unknown_clients + h.refused + h.other;
    if (!is_signed(k, &h) || (k->has_nonce && memcmp(h.boot_nonce, k->boot_nonce, 32) != 0)) {
        pend(k, where,
             "the head at %llu does not carry the party's signature: records before it were "
             "changed, and the chain computed anew",
             (unsigned long long)r->serial);
        return;
    }
    if (k->p.is && k->p.either && k->p.second == r->serial) {
        /* The head is good, so what it was made over is not what stands before it. */
        k->p.either = 0;
        (void)snprintf(k->p.text, sizeof k->p.text, "record %llu was changed",
                       (unsigned long long)k->p.first);
    }
    settle(k, r->serial);
    k->sum.heads++;
    k->head_serial = r->serial;
    k->since_head = 0;
}

static void
check_event(struct qr_audit_check *k, const char *where, qr_view line,
            const struct qr_audit_record *r)
{
    struct qr_audit_signed_head h;
    char why[QR_ERR_TEXT_MAX] = "";
    if (strcmp(r->event, "head") == 0) {
        check_head(k, where, line, r);
    } else if (strcmp(r->event, "anchor") == 0) {
        if (qr_audit_read_anchor(line, &h, why, sizeof why) != QR_OK || !is_signed(k, &h)) {
            pend(k, where, "record %llu: an anchor that its party did not sign%s%s",
                 (unsigned long long)r->serial, why[0] ? ": " : "", why);
        }
    }
}

void
qr_audit_check_line(struct qr_audit_check *k, const char *where, qr_view line)
{
    struct qr_audit_record r;
    char why[128] = "", where_last[200];
    (void)snprintf(where_last, sizeof where_last, "%s", k->where_last);
    (void)snprintf(k->where_last, sizeof k->where_last, "%s", where);
    if (qr_audit_parse(line, &r, why, sizeof why) != QR_OK) {
        if (k->begun) {
            pend(k, where, "the line after record %llu is no record: %s",
                 (unsigned long long)k->last.serial, why);
        } else {
            tell(k, where, "no record: %s", why);
        }
        return;
    }
    k->sum.records++;
    k->since_head++;
    if (!k->begun || r.boot != k->last.boot) {
        if (k->begun && (r.boot < k->last.boot || r.party != k->last.party)) {
            tell(k, where,
                 "a record of party %u, boot %llu stands in the log of party %u, boot %llu",
                 r.party, (unsigned long long)r.boot, k->last.party,
                 (unsigned long long)k->last.boot);
            return;
        }
        if (k->begun) {
            settle(k, 0);
            k->sum.uncovered += k->since_head - 1;
            k->since_head = 1;
        }
        skip_to(k, r.party);
        tell_unreached(k, r.party, r.boot, k->begun);
        begin_boot(k, where, line, &r);
        k->begun = 1;
    } else if (r.party != k->last.party) {
        tell(k, where, "a record of party %u stands in the log of party %u", r.party,
             k->last.party);
        return;
    } else {
        decide(k, &r);
        check_link(k, where, &r, where_last);
        k->last = r;
    }
    check_places(k, where, &r);
    check_event(k, where, line, &r);
}

void
qr_audit_check_end(struct qr_audit_check *k, uint16_t party)
{
    if (k->begun) {
        settle(k, 0);
        k->sum.uncovered += k->since_head;
    }
    skip_to(k, party);
    tell_unreached(k, party, UINT64_MAX, k->begun);
    k->begun = 0;
    k->since_head = 0;
    k->where_last[0] = '\0';
}
