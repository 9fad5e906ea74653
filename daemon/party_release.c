/*
 * Measurement manifests that the policy refers to: taken from an operator, believed by the policy
 * alone (by hash, or by its release keys' signatures), kept over restarts, tried again when another
 * policy comes into force.
 *
 * A record is u32 length of the manifest || manifest || its signature lines, named "release-" and the
 * first 16 hex digits of the manifest's SHA-256.
 */
#include "daemon/party_int.h"

#include <stdio.h>

#define PREFIX "release-"
#define RECORD_MAX (4u + QR_MANIFEST_MAX + QR_MANIFEST_SIGS_MAX)

static void
drop(struct qr_release *r)
{
    qr_manifest_free(r->m);
    qr_free(r->rec);
    *r = (struct qr_release){0};
}

static qr_view
text_of(const struct qr_release *r)
{
    return qr_view_of(r->rec + 4, qr_get32(r->rec));
}

static qr_view
signatures_of(const struct qr_release *r)
{
    size_t n = qr_get32(r->rec);
    return qr_view_of(r->rec + 4 + n, r->len - 4 - n);
}

/* rec becomes r's; it is freed on an error. */
static qr_err
adopt(struct qr_release *r, uint8_t *rec, size_t len, char *why, size_t cap)
{
    char hex[17];

    *r = (struct qr_release){.rec = rec, .len = len};
    qr_err e = len < 4 || qr_get32(rec) > len - 4 ? QR_ERR_MALFORMED
                                                  : qr_manifest_parse(text_of(r), &r->m, why, cap);
    if (e != QR_OK) {
        drop(r);
        return e;
    }
    qr_hex_encode(qr_view_of(qr_manifest_sha256(r->m), 8), hex);
    (void)snprintf(r->name, sizeof r->name, PREFIX "%s", hex);
    return QR_OK;
}

/* From the operator's question: the signature lines come as stamps, one a line. */
static qr_err
receive(struct qr_release *r, const struct qr_ask *ask, char *why, size_t cap)
{
    size_t len = 4 + ask->body.len;

    for (size_t i = 0; i < ask->n_stamps; i++) {
        len += ask->stamps[i].len + 1;
    }
    if (ask->body.len > QR_MANIFEST_MAX || len > RECORD_MAX) {
        (void)snprintf(why, cap, "a manifest has at most %u bytes", QR_MANIFEST_MAX);
        return QR_ERR_TOO_LARGE;
    }
    uint8_t *rec = qr_alloc(len);
    if (!rec) {
        return QR_ERR_NO_MEMORY;
    }
    struct qr_buf b = qr_buf_over(rec, len);
    qr_buf_put32(&b, (uint32_t)ask->body.len);
    qr_buf_put(&b, ask->body.p, ask->body.len);
    for (size_t i = 0; i < ask->n_stamps; i++) {
        qr_buf_put(&b, ask->stamps[i].p, ask->stamps[i].len);
        qr_buf_put8(&b, '\n');
    }
    return adopt(r, rec, len, why, cap);
}

static int
is_known(const struct qr_party *p, const struct qr_release *r)
{
    for (size_t i = 0; i < p->n_releases; i++) {
        if (memcmp(qr_manifest_sha256(p->release[i].m), qr_manifest_sha256(r->m), 32) == 0) {
            return 1;
        }
    }
    return 0;
}

/*
 * What the manifest asks of our own platform. What fails is tried again at every start and with every
 * policy: a counter that is where it should be is left alone.
 */
static void
raise_minimum(struct qr_party *p, const struct qr_release *r)
{
    const struct qr_tee *t = p->env.tee;
    uint64_t minimum = qr_manifest_min_release(r->m);

    if (minimum == 0 || minimum <= p->min_release) {
        return;
    }
    if (!t->revoke) {
        qr_party_log(QR_LOG_INFO, "release_minimum", 0,
                     "release %s asks that code below release number %llu open nothing; this "
                     "platform has no counter for it",
                     qr_manifest_release(r->m), (unsigned long long)minimum);
        p->min_release = minimum;
        return;
    }
    qr_err e = t->revoke(t->ctx, minimum);
    if (e == QR_OK) {
        p->min_release = minimum;
        qr_party_log(QR_LOG_WARN, "release_minimum", 0,
                     "code below release number %llu opens nothing on this machine any more, as "
                     "release %s asks",
                     (unsigned long long)minimum, qr_manifest_release(r->m));
    } else {
        qr_party_log(QR_LOG_ERROR, "release_minimum", 0,
                     "the platform did not revoke releases below %llu (%s); it is asked again at "
                     "the next start",
                     (unsigned long long)minimum, qr_err_text(e));
    }
}

qr_err
qr_release_load(struct qr_party *p, const struct qr_ask *ask, int *ret_same, char *why, size_t cap)
{
    struct qr_release r;

    *ret_same = 0;
    if (!p->policy || !qr_peers_wants_manifests(qr_policy_peers(p->policy))) {
        (void)snprintf(why, cap, "%s",
                       p->policy
                           ? "the policy in force refers to no manifest: load the one that does"
                           : "load the policy first: it says which manifests are believed");
        return QR_ERR_USAGE;
    }
    QR_TRY(receive(&r, ask, why, cap));
    *ret_same = is_known(p, &r);
    qr_err e = *ret_same || p->n_releases < QR_PEERS_MANIFESTS ? QR_OK : QR_ERR_TOO_LARGE;
    if (e == QR_OK && !*ret_same) {
        e = qr_policy_add_manifest(p->policy, r.m, signatures_of(&r), why, cap);
    }
    if (e != QR_OK || *ret_same) {
        drop(&r);
        return e;
    }
    /* From here the policy points to it, so it stays, whatever the disk says. */
    p->release[p->n_releases++] = r;
    qr_party_log(QR_LOG_INFO, "release_loaded", 0, "the measurements of release %s count now",
                 qr_manifest_release(r.m));
    raise_minimum(p, &r);
    return qr_state_put(p, QR_TABLE_META, r.name, qr_view_of(r.rec, r.len));
}

void
qr_release_apply(struct qr_party *p)
{
    size_t n = p->n_releases;
    char why[QR_ERR_TEXT_MAX];

    p->n_releases = 0;
    for (size_t i = 0; i < n; i++) {
        struct qr_release r = p->release[i];
        why[0] = '\0';
        qr_err e = qr_policy_add_manifest(p->policy, r.m, signatures_of(&r), why, sizeof why);
        if (e == QR_OK) {
            p->release[p->n_releases++] = r;
            raise_minimum(p, &r);
            continue;
        }
        qr_party_log(QR_LOG_WARN, "release_dropped", 0,
                     "the policy does not believe the measurements of release %s any more: %s",
                     qr_manifest_release(r.m), why[0] ? why : qr_err_text(e));
        e = qr_state_del(p, QR_TABLE_META, r.name);
        (void)e; /* the party has stopped signing and said so */
        drop(&r);
    }
}

struct load {
    struct qr_party *p;
    qr_err err;
};

static qr_err
load_one(struct qr_party *p, const char *name)
{
    char why[QR_ERR_TEXT_MAX];
    uint8_t *rec = qr_alloc(RECORD_MAX);

    if (!rec) {
        return QR_ERR_NO_MEMORY;
    }
    struct qr_buf b = qr_buf_over(rec, RECORD_MAX);
    qr_err e = qr_store_get(p->env.store, QR_TABLE_META, name, &b);
    e = e == QR_OK ? b.err : e;
    if (e != QR_OK) {
        qr_free(rec);
        return e;
    }
    e = adopt(&p->release[p->n_releases], rec, b.len, why, sizeof why);
    if (e == QR_ERR_NO_MEMORY) {
        return e;
    }
    if (e != QR_OK || strcmp(p->release[p->n_releases].name, name) != 0) {
        drop(&p->release[p->n_releases]);
        return QR_ERR_STORE_CORRUPT;
    }
    p->n_releases++;
    return QR_OK;
}

static int
on_name(void *ctx, const char *name)
{
    struct load *l = ctx;

    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0) {
        return 0;
    }
    l->err = l->p->n_releases < QR_PEERS_MANIFESTS ? load_one(l->p, name) : QR_ERR_STORE_CORRUPT;
    return l->err != QR_OK;
}

qr_err
qr_release_open(struct qr_party *p)
{
    struct load l = {.p = p, .err = QR_OK};
    qr_err e = qr_store_scan(p->env.store, QR_TABLE_META, on_name, &l);
    return e == QR_OK ? l.err : e;
}

void
qr_release_close(struct qr_party *p)
{
    for (size_t i = 0; i < p->n_releases; i++) {
        drop(&p->release[i]);
    }
    p->n_releases = 0;
}
