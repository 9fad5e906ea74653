#include "enclave-shim/tee_base.h"

#include "enclave-shim/seal.h"
#include "enclave-shim/verify/cert.h"
#include "proto/json_strict.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))
#define NEED_MAX 2048u

qr_err
qr_tee_base_fail(struct qr_tee_base *b, qr_err e, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(b->why, sizeof b->why, format, ap);
    va_end(ap);
    return e;
}

/* ---- the table ----------------------------------------------------------------------------- */

static qr_err
base_seal(void *ctx, uint32_t epoch, qr_view ad, qr_view plain, struct qr_buf *out)
{
    struct qr_tee_base *b = ctx;
    struct qr_rng rng = qr_rng_system();
    b->why[0] = '\0';
    return qr_sealroot_seal(b->root, &rng, epoch, ad, plain, out);
}

static qr_err
base_unseal(void *ctx, uint32_t epoch, qr_view ad, qr_view sealed, struct qr_buf *out)
{
    struct qr_tee_base *b = ctx;
    b->why[0] = '\0';
    return qr_sealroot_unseal(b->root, epoch, ad, sealed, out);
}

static qr_err
base_derive(void *ctx, uint32_t epoch, const char *label, qr_view ad, struct qr_sec32 *ret)
{
    struct qr_tee_base *b = ctx;
    b->why[0] = '\0';
    return qr_sealroot_derive(b->root, epoch, label, ad, ret);
}

/*
 * Mixed into the system's generator by the caller, so that a TPM that fails or lies makes nothing worse:
 * then these are the system's bytes.
 */
static void
base_random(void *ctx, uint8_t *out, size_t n)
{
    struct qr_tee_base *b = ctx;
    struct qr_rng rng = qr_rng_system();
    uint8_t more[32];

    qr_rng_fill(&rng, out, n);
    for (size_t at = 0; b->tpm && at < n; at += sizeof more) {
        size_t k = n - at < sizeof more ? n - at : sizeof more;
        if (qr_tpm_random(b->tpm, more, k) != QR_OK) {
            break;
        }
        for (size_t i = 0; i < k; i++) {
            out[at + i] ^= more[i];
        }
    }
    qr_wipe(more, sizeof more);
}

static qr_err
base_revoke(void *ctx, uint64_t minimum)
{
    struct qr_tee_base *b = ctx;
    uint64_t now = 0;

    if (!b->kept) {
        return QR_OK; /* nothing outlives this process */
    }
    if (minimum > b->release) {
        return qr_tee_base_fail(b, QR_ERR_PLATFORM,
                                "release %llu is to be the lowest, this one is %llu: update first",
                                (unsigned long long)minimum, (unsigned long long)b->release);
    }
    do {
        uint64_t was = now;
        qr_err e = qr_tpm_revoke(b->tpm, minimum, &now);
        if (e != QR_OK || (now < minimum && now <= was)) {
            return qr_tee_base_fail(b, e == QR_OK ? QR_ERR_PLATFORM : e,
                                    "TPM: releases below %llu cannot be revoked: %s",
                                    (unsigned long long)minimum, qr_tpm_error(b->tpm));
        }
    } while (now < minimum);
    return QR_OK;
}

static const char *
base_why(void *ctx)
{
    return ((struct qr_tee_base *)ctx)->why;
}

void
qr_tee_base_table(const struct qr_tee_base *b, struct qr_tee *t)
{
    t->seal = base_seal;
    t->unseal = base_unseal;
    t->derive = base_derive;
    t->random = base_random;
    t->why = base_why;
    t->revoke = b->tpm ? base_revoke : NULL;
}

/* ---- opening ------------------------------------------------------------------------------- */

static qr_err
open_tpm(struct qr_tee_base *b, const struct qr_tee_opts *o, enum qr_tee_base_tpm tpm,
         char *err_text, size_t err_cap)
{
    int given = o->tpm && o->tpm[0];
    if (tpm == QR_TEE_NO_TPM || (tpm == QR_TEE_MAY_TPM && !given)) {
        return QR_OK;
    }
    return qr_tpm_open(given ? o->tpm : QR_TEE_TPM_PATH,
                       o->patience_ms ? o->patience_ms : QR_TEE_PATIENCE_MS, &b->tpm, err_text,
                       err_cap);
}

/* A log is evidence of the measured boot; without a file for it there is none. */
static qr_err
open_log(struct qr_tee_base *b, const struct qr_tee_opts *o, enum qr_bootlog_kind kind,
         char *err_text, size_t err_cap)
{
    const char *usual = kind == QR_BOOTLOG_OF_CC ? QR_BOOTLOG_CC : QR_BOOTLOG_TCG;
    const char *path = kind == QR_BOOTLOG_OF_CC ? o->cc_log : o->tcg_log;
    char mine[256] = "";

    if (kind == QR_BOOTLOG_NONE) {
        return QR_OK;
    }
    int given = path && path[0];

    qr_err e =
        qr_bootlog_read(kind, given ? path : usual, &qr_sys_kernel, &b->log, mine, sizeof mine);
    if (e == QR_OK && given && b->log.len == 0) {
        (void)snprintf(mine, sizeof mine, "%s: no such file", path);
        e = QR_ERR_PLATFORM;
    }
    if (e != QR_OK && (given || e == QR_ERR_NO_MEMORY)) {
        EXPLAIN("%s", mine);
        return e;
    }
    /* The usual place may be closed to us: then there is no log, and a policy that wants one says so. */
    if (e == QR_OK && b->log.len > 0) {
        b->log_part = kind == QR_BOOTLOG_OF_CC ? QR_PART_CC_LOG : QR_PART_TCG_LOG;
    }
    return QR_OK;
}

static qr_err
open_root(struct qr_tee_base *b, const struct qr_tee_opts *o, const char *name,
          struct qr_tee_release *r, char *err_text, size_t err_cap)
{
    struct qr_tpm_statement s;

    QR_TRY(qr_tee_release_load(o, r, err_text, err_cap));
    if (r->key_len > 0) {
        const struct qr_tpm_release rel = {qr_view_of(r->key, r->key_len),
                                           qr_view_of(r->statement, r->statement_len)};
        QR_TRY(qr_tpm_statement_read(&rel, &s, err_text, err_cap));
        b->release = s.release;
    }
    return qr_tee_root_open(b->tpm, r, o->keep, name, b->root, &b->kept, err_text, err_cap);
}

qr_err
qr_tee_base_vouch(struct qr_tee_base *b, const struct qr_tpm_key *ak, char *err_text,
                  size_t err_cap)
{
    qr_err e = qr_tpm_vouch(b->tpm, ak);
    if (e != QR_OK) {
        EXPLAIN("TPM: it is not the one of the attestation key: %s", qr_tpm_error(b->tpm));
    }
    return e;
}

qr_err
qr_tee_base_secret(struct qr_tee_base *b, const struct qr_tee_opts *o, const char *name,
                   char *err_text, size_t err_cap)
{
    struct qr_tee_release *r = qr_alloc(sizeof *r);

    b->root = qr_locked_alloc(sizeof *b->root, NULL);
    qr_err e = r && b->root ? open_root(b, o, name, r, err_text, err_cap) : QR_ERR_NO_MEMORY;
    qr_free(r);
    return e;
}

qr_err
qr_tee_base_open(struct qr_tee_base *b, const struct qr_tee_opts *o, enum qr_tee_base_tpm tpm,
                 enum qr_bootlog_kind log, char *err_text, size_t err_cap)
{
    *b = (struct qr_tee_base){0};
    qr_dbuf_init(&b->log, QR_BOOTLOG_AREA_MAX);
    qr_err e = open_tpm(b, o, tpm, err_text, err_cap);
    if (e == QR_OK) {
        e = open_log(b, o, log, err_text, err_cap);
    }
    if (e != QR_OK) {
        qr_tee_base_close(b);
    }
    return e;
}

void
qr_tee_base_close(struct qr_tee_base *b)
{
    b->tpm = qr_tpm_close(b->tpm);
    b->root = qr_locked_free(b->root);
    qr_tee_coll_free(&b->coll);
    qr_dbuf_free(&b->log);
}

/* ---- evidence ------------------------------------------------------------------------------ */

qr_err
qr_tee_base_finish(struct qr_tee_base *b, struct qr_evidence *e, struct qr_buf *out)
{
    qr_err r = qr_tee_coll_add(&b->coll, e);
    if (r != QR_OK) {
        return qr_tee_base_fail(b, r, "the vendors' documents do not fit into evidence");
    }
    if (b->log_part != QR_PART_NONE) {
        /* Too large beside all else: evidence goes without it. */
        r = qr_evidence_add(e, b->log_part, 0, qr_view_of(b->log.p, b->log.len));
        if (r != QR_OK && r != QR_ERR_TOO_LARGE) {
            return r;
        }
    }
    qr_evidence_encode(e, out);
    return out->err;
}

qr_err
qr_tee_base_collateral(struct qr_tee_base *b, const struct qr_tee_source *const *sources,
                       qr_view source, const struct qr_tee_piece *piece, size_t n)
{
    char q[QR_QUOTE_MAX];
    for (; *sources; sources++) {
        if (qr_view_eq(source, qr_view_str((*sources)->name))) {
            qr_err e = qr_tee_coll_take(&b->coll, *sources, piece, n);
            return e == QR_OK ? e
                              : qr_tee_base_fail(b, e,
                                                 "%s: documents of other kinds or sizes than "
                                                 "this need has",
                                                 (*sources)->name);
        }
    }
    return qr_tee_base_fail(b, QR_ERR_PLATFORM, "documents from \"%s\" were not asked for",
                            qr_quote(q, source));
}

#define ALL_PCRS ((1u << QR_TPM_PCRS) - 1)

qr_err
qr_tee_base_quote(struct qr_tee_base *b, const struct qr_tpm_key *k, uint32_t mask,
                  const uint8_t binder[static 32], struct qr_tee_quote *qt, struct qr_evidence *e)
{
    qr_err r = qr_tpm_quote(b->tpm, k, mask ? mask : ALL_PCRS, qr_view_of(binder, 32), &qt->q);
    if (r != QR_OK) {
        return qr_tee_base_fail(b, r, "TPM: quote: %s", qr_tpm_error(b->tpm));
    }
    qt->values_len = 0;
    for (unsigned i = 0; i < QR_TPM_PCRS; i++) {
        if (qt->q.pcr_mask & (1u << i)) {
            memcpy(qt->values + qt->values_len, qt->q.pcr[i], 32);
            qt->values_len += 32;
        }
    }
    QR_TRY(qr_evidence_add(e, QR_PART_TPM_QUOTE, 0, qr_view_of(qt->q.attest, qt->q.attest_len)));
    QR_TRY(qr_evidence_add(e, QR_PART_TPM_SIG, 0, qr_view_of(qt->q.sig, qt->q.sig_len)));
    return qr_evidence_add(e, QR_PART_TPM_PCRS, 0, qr_view_of(qt->values, qt->values_len));
}

#define CHAIN_MAX 32768u
#define FROM_FILE "file"

static qr_err
put_chain(struct qr_tee_base *b, const char *path, const struct qr_certs *s, char *err_text,
          size_t err_cap)
{
    uint8_t slot = 0;
    int roots = 0;

    for (size_t i = 0; i < s->n; i++) {
        int root =
            X509_NAME_cmp(X509_get_subject_name(s->x[i]), X509_get_issuer_name(s->x[i])) == 0;
        roots += root;
        QR_TRY(qr_tee_coll_put(&b->coll, FROM_FILE,
                               root ? QR_PART_AK_ROOT : QR_PART_AK_INTERMEDIATE, root ? 0 : slot++,
                               s->der[i]));
    }
    if (roots != 1 || slot == 0 || slot > 4) {
        EXPLAIN("%s: expected one root and 1 to 4 intermediate certificates, found %d and %u", path,
                roots, slot);
        return QR_ERR_PLATFORM;
    }
    return QR_OK;
}

qr_err
qr_tee_base_ak_chain(struct qr_tee_base *b, const char *path, char *err_text, size_t err_cap)
{
    struct qr_certs s = {0};

    if (!path || !path[0]) {
        return QR_OK;
    }
    char *pem = qr_alloc(CHAIN_MAX);
    struct qr_verdict *v = qr_alloc(sizeof *v);
    long n = pem && v ? qr_sys_slurp(&qr_sys_kernel, path, pem, CHAIN_MAX) : -ENOMEM;
    qr_err e = n > 0 ? QR_OK : n == -ENOMEM ? QR_ERR_NO_MEMORY : QR_ERR_PLATFORM;
    if (e == QR_OK) {
        qr_verdict_init(v);
        e = qr_certs_add_pem(&s, qr_view_of(pem, (size_t)n), v, QR_CHECK_PARSE, path);
        if (e == QR_OK) {
            e = put_chain(b, path, &s, err_text, err_cap);
        } else if (e != QR_ERR_NO_MEMORY) {
            EXPLAIN("%s", v->sentence);
            e = QR_ERR_PLATFORM;
        }
    } else {
        EXPLAIN("%s: %s", path, n < 0 ? strerror((int)-n) : "empty");
    }
    qr_certs_free(&s);
    qr_free(v);
    qr_free(pem);
    return e;
}

/* ---- needs --------------------------------------------------------------------------------- */

struct qr_tee_needs
qr_tee_needs_begin(struct qr_dbuf *out)
{
    static const char head[] = "{\"v\":1,\"needs\":[";
    return (struct qr_tee_needs){.out = out, .e = qr_dbuf_append(out, head, sizeof head - 1)};
}

void
qr_tee_needs_add(struct qr_tee_needs *n, const char *format, ...)
{
    char text[NEED_MAX];
    va_list ap;

    va_start(ap, format);
    int len = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (n->e == QR_OK && (len < 0 || (size_t)len >= sizeof text)) {
        n->e = QR_ERR_TOO_LARGE;
    }
    if (n->e == QR_OK && n->n++ > 0) {
        n->e = qr_dbuf_append(n->out, ",", 1);
    }
    if (n->e == QR_OK) {
        n->e = qr_dbuf_append(n->out, text, (size_t)len);
    }
}

qr_err
qr_tee_needs_end(struct qr_tee_needs *n)
{
    return n->e == QR_OK ? qr_dbuf_append(n->out, "]}", 2) : n->e;
}
