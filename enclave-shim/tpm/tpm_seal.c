/*
 * Sealing: a key that the TPM made, its policy, and our own encryption under what that key gives.
 *
 * The key is an HMAC key and not a sealed value, because of who may plant one: on this TPM anybody who
 * boots anything can make objects with any policy, but nobody can make one whose HMACs he knows and
 * that says fixedTPM and sensitiveDataOrigin. So what opens was sealed by a release.
 */
#include "enclave-shim/tpm/tpm_seal.h"

#include "enclave-shim/seal.h"
#include "enclave-shim/tpm/tpm_blob.h"
#include "enclave-shim/tpm/tpm_policy.h"
#include "protocol/base/hash.h"
#include "protocol/base/rng.h"

#include <stdio.h>
#include <string.h>

#define LABEL "quorate/tpm-seal/v1"
#define TRIES 3

static const TPM2B_PUBLIC sealing_template = {
    .publicArea = {
        .type = TPM2_ALG_KEYEDHASH,
        .nameAlg = TPM2_ALG_SHA256,
        /* No userWithAuth: the policy is the only way. No noDA needed: there is no password. */
        .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                            TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_ADMINWITHPOLICY |
                            TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT,
        .authPolicy = {.size = 32},
        .parameters.keyedHashDetail.scheme = {.scheme = TPM2_ALG_HMAC,
                                              .details.hmac.hashAlg = TPM2_ALG_SHA256},
        .unique.keyedHash = {.size = 32},
    }};

/* All that one call of seal or unseal works with. */
struct work {
    struct qr_tpm_statement s;
    uint8_t key_public[QR_TPM_RELEASE_PUBLIC_LEN], key_name[QR_TPM_NAME_LEN];
    struct qr_tpm_counter counter;
    struct qr_tpm_scale scale;
    struct qr_tpm_path path;
    TPM2B_PUBLIC pub;
    TPM2B_PRIVATE priv;
};

/* ---- what can be told before the TPM is asked ---- */

static qr_err
read_release(struct qr_tpm *t, const struct qr_tpm_release *r, struct work *w)
{
    QR_TRY(qr_tpm_statement_read(r, &w->s, t->err, sizeof t->err));
    if (qr_tpm_release_key(r->key, w->key_public, w->key_name) != QR_OK) {
        return qr_tpm_fail(t, QR_ERR_MALFORMED, "the release key is no P-256 key in DER");
    }
    return QR_OK;
}

/* SEAL, with the numbers of the PCRs that are not what the statement says. */
static qr_err
check_pcrs(struct qr_tpm *t, const struct qr_tpm_statement *s)
{
    uint8_t pcr[QR_TPM_PCRS][32];
    char list[QR_TPM_PCRS * 4] = "";
    size_t n = 0;

    QR_TRY(qr_tpm_pcr_read(t, s->mask, pcr));
    for (uint32_t i = 0; i < QR_TPM_PCRS; i++) {
        if ((s->mask >> i & 1) && memcmp(pcr[i], s->pcr[i], 32) != 0) {
            n += (size_t)snprintf(list + n, sizeof list - n, " %u", i);
        }
    }
    if (n > 0) {
        return qr_tpm_fail(t, QR_ERR_SEAL,
                           "what was booted is not what the statement of release %llu was signed "
                           "for: PCR%s differ%s (tpm2_pcrread sha256; quorate image release show)",
                           (unsigned long long)s->release, list, strchr(list + 1, ' ') ? "" : "s");
    }
    return QR_OK;
}

/* The lowest release that is not revoked. */
static uint64_t
lowest(const struct qr_tpm_scale *s, uint64_t counter)
{
    return s->minimum + (counter > s->start ? counter - s->start : 0);
}

static qr_err
check_scale(struct qr_tpm *t, const struct work *w)
{
    uint64_t now = lowest(&w->scale, w->counter.value);
    unsigned long long release = w->s.release;

    if (w->counter.value < w->scale.start) {
        return qr_tpm_fail(t, QR_ERR_SEAL,
                           "the TPM's release counter (%llu) is below where it was when this was "
                           "sealed (%llu): the TPM was rolled back",
                           (unsigned long long)w->counter.value,
                           (unsigned long long)w->scale.start);
    }
    if (w->s.release < now) {
        return qr_tpm_fail(t, QR_ERR_SEAL,
                           "release %llu was revoked on this machine: the lowest that may open is "
                           "%llu",
                           release, (unsigned long long)now);
    }
    if (w->s.release - w->scale.minimum >= QR_TPM_WINDOW) {
        return qr_tpm_fail(t, QR_ERR_SEAL,
                           "what is sealed knows releases %llu to %llu; release %llu is too far "
                           "from the one that sealed it: set this party up anew",
                           (unsigned long long)w->scale.minimum,
                           (unsigned long long)w->scale.minimum + QR_TPM_WINDOW - 1, release);
    }
    return QR_OK;
}

/* ---- the sealing key ---- */

static qr_err
create(struct qr_tpm *t, struct work *w)
{
    const TPM2B_SENSITIVE_CREATE no_auth = {0};
    const TPM2B_DATA no_info = {0};
    const TPML_PCR_SELECTION no_pcrs = {0};
    TPM2B_PUBLIC in = sealing_template, *pub = NULL;
    TPM2B_PRIVATE *priv = NULL;
    qr_err e = QR_OK;

    memcpy(in.publicArea.authPolicy.buffer, w->path.root, 32);
    in.publicArea.unique.keyedHash.size = 0;
    TSS2_RC rc = Esys_Create(t->esys, t->storage, t->session, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth,
                             &in, &no_info, &no_pcrs, &priv, &pub, NULL, NULL, NULL);
    if (rc != TSS2_RC_SUCCESS) {
        return qr_tpm_rc(t, "TPM2_Create (sealing key)", rc);
    }
    if (pub->publicArea.type != TPM2_ALG_KEYEDHASH || pub->publicArea.unique.keyedHash.size != 32 ||
        priv->size == 0 || priv->size > QR_TPM_PRIVATE_MAX) {
        e = qr_tpm_fail(t, QR_ERR_PLATFORM,
                        "TPM2_Create: the TPM made another kind of key than it was asked for");
    } else {
        w->pub = in;
        w->pub.publicArea.unique = pub->publicArea.unique;
        w->priv = *priv;
    }
    Esys_Free(pub);
    Esys_Free(priv);
    return e;
}

/* Its parts are no secret to the bus, and its name is in what TPM2_HMAC is authorised over. */
static qr_err
load(struct qr_tpm *t, const struct work *w, ESYS_TR *ret)
{
    TSS2_RC rc = Esys_Load(t->esys, t->storage, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                           &w->priv, &w->pub, ret);
    TSS2_RC base = qr_tpm_rc_base(rc);
    if (rc == TSS2_RC_SUCCESS) {
        return QR_OK;
    }
    qr_err e = qr_tpm_rc(t, "TPM2_Load (sealing key)", rc);
    int changed = base == TPM2_RC_INTEGRITY || base == TPM2_RC_SIZE || base == TPM2_RC_VALUE ||
                  base == TPM2_RC_INSUFFICIENT || base == TPM2_RC_BINDING;
    return e == QR_ERR_PLATFORM && changed ? QR_ERR_SEAL : e;
}

/*
 * HMAC(sealing key, label || SHA-256(head)): what the secret is encrypted under. `policy` authorises it,
 * t->session encrypts it and has it under its HMAC.
 */
static qr_err
hmac(struct qr_tpm *t, ESYS_TR key, ESYS_TR policy, const uint8_t head[static 32], TSS2_RC *ret_rc,
     struct qr_sec32 *ret)
{
    TPM2B_MAX_BUFFER in = {.size = sizeof LABEL - 1 + 32};
    TPM2B_DIGEST *d = NULL;

    memcpy(in.buffer, LABEL, sizeof LABEL - 1);
    memcpy(in.buffer + sizeof LABEL - 1, head, 32);
    TSS2_RC rc =
        Esys_HMAC(t->esys, key, policy, t->session, ESYS_TR_NONE, &in, TPM2_ALG_SHA256, &d);
    *ret_rc = qr_tpm_rc_base(rc);
    if (rc != TSS2_RC_SUCCESS) {
        qr_err e = qr_tpm_rc(t, "TPM2_HMAC (sealing key)", rc);
        return e == QR_ERR_PLATFORM && *ret_rc == TPM2_RC_POLICY_FAIL ? QR_ERR_SEAL : e;
    }
    int ok = d->size == 32;
    if (ok) {
        memcpy(ret->b, d->buffer, 32);
    }
    qr_wipe(d, sizeof *d);
    Esys_Free(d);
    return ok ? QR_OK : qr_tpm_fail(t, QR_ERR_PLATFORM, "TPM2_HMAC: not 32 bytes");
}

/* Shows the policy and asks for the HMAC. *ret_changed: some PCR was extended in between. */
static qr_err
use_key(struct qr_tpm *t, const struct qr_tpm_shown *shown, ESYS_TR key,
        const uint8_t head[static 32], int *ret_changed, struct qr_sec32 *ret)
{
    ESYS_TR policy = ESYS_TR_NONE;
    TSS2_RC rc = TSS2_RC_SUCCESS;

    qr_err e = qr_tpm_policy_show(t, shown, &policy);
    if (e == QR_OK) {
        e = hmac(t, key, policy, head, &rc, ret);
    }
    qr_tpm_flush(t, &policy);
    *ret_changed = rc == TPM2_RC_PCR_CHANGED;
    return e;
}

static qr_err
wrapping_key(struct qr_tpm *t, const struct work *w, const uint8_t head[static 32],
             struct qr_sec32 *ret)
{
    struct qr_tpm_shown shown = {.s = &w->s,
                                 .key_public = w->key_public,
                                 .key_name = w->key_name,
                                 .counter = &w->counter,
                                 .scale = &w->scale,
                                 .path = &w->path};
    ESYS_TR key = ESYS_TR_NONE;
    int changed = 0;

    qr_err e = qr_tpm_policy_ticket(t, &shown);
    if (e == QR_OK) {
        e = load(t, w, &key);
    }
    if (e == QR_OK) {
        e = use_key(t, &shown, key, head, &changed, ret);
    }
    for (int i = 1; i < TRIES && changed; i++) {
        e = check_pcrs(t, &w->s); /* one of ours: then it is said which */
        if (e != QR_OK) {
            break;
        }
        e = use_key(t, &shown, key, head, &changed, ret);
    }
    qr_tpm_flush(t, &key);
    return e;
}

static void
remember(struct qr_tpm *t, const struct work *w)
{
    t->scaled = 1;
    t->minimum = w->scale.minimum;
    t->start = w->scale.start;
    t->release = w->s.release;
}

/* ---- seal ---- */

static qr_err
choose_scale(struct qr_tpm *t, struct work *w, uint64_t minimum)
{
    if (minimum < 1 || minimum > w->s.release) {
        return qr_tpm_fail(t, QR_ERR_USAGE,
                           "the lowest release must be between 1 and this one, %llu, not %llu",
                           (unsigned long long)w->s.release, (unsigned long long)minimum);
    }
    w->scale = (struct qr_tpm_scale){minimum, w->counter.value};
    if (t->scaled) { /* the same secret's next wrapping must not forget what was revoked */
        const struct qr_tpm_scale was = {t->minimum, t->start};
        uint64_t now = lowest(&was, w->counter.value);
        if (minimum > now) {
            return qr_tpm_fail(t, QR_ERR_USAGE,
                               "releases below %llu are to be revoked first; so far it is %llu",
                               (unsigned long long)minimum, (unsigned long long)now);
        }
        w->scale.minimum = now;
    }
    return check_scale(t, w);
}

static qr_err
write_blob(struct qr_tpm *t, const struct work *w, const struct qr_sec32 *secret, uint8_t *mem,
           size_t cap, size_t *ret_len)
{
    struct qr_tpm_blob o = {.scale = w->scale,
                            .private_area = qr_view_of(w->priv.buffer, w->priv.size)};
    struct qr_buf b = qr_buf_over(mem, cap);
    struct qr_sec32 key QR_WIPE(qr_sec32) = {{0}};
    struct qr_rng rng = qr_rng_system();
    uint8_t head[32];

    memcpy(o.storage, t->storage_name, sizeof o.storage);
    memcpy(o.key, w->key_name, sizeof o.key);
    memcpy(o.unique, w->pub.publicArea.unique.keyedHash.buffer, sizeof o.unique);
    qr_tpm_blob_write_head(&o, &b);
    QR_TRY(b.err);
    qr_sha256(qr_buf_view(&b), head);
    QR_TRY(wrapping_key(t, w, head, &key));

    size_t at = b.len;
    qr_buf_put16(&b, 0);
    QR_TRY(qr_seal_blob(&key, &rng, 0, qr_view_of(head, sizeof head),
                        qr_view_of(secret->b, sizeof secret->b), &b));
    mem[at] = (uint8_t)((b.len - at - 2) >> 8);
    mem[at + 1] = (uint8_t)(b.len - at - 2);
    *ret_len = b.len;
    return b.err;
}

static qr_err
seal(struct qr_tpm *t, const struct qr_tpm_release *r, uint64_t minimum,
     const struct qr_sec32 *secret, struct qr_dbuf *wrapped, struct work *w)
{
    uint8_t mem[QR_TPM_WRAPPED_MAX];
    size_t n = 0;

    QR_TRY(read_release(t, r, w));
    QR_TRY(check_pcrs(t, &w->s));
    QR_TRY(qr_tpm_counter_open(t, &w->counter));
    QR_TRY(choose_scale(t, w, minimum));
    qr_tpm_tree_path(w->key_name, &w->scale, w->s.release, &w->path);
    QR_TRY(create(t, w));
    QR_TRY(write_blob(t, w, secret, mem, sizeof mem, &n));
    wrapped->len = 0;
    QR_TRY(qr_dbuf_append(wrapped, mem, n));
    remember(t, w);
    return QR_OK;
}

static struct work *
work_new(struct qr_tpm *t)
{
    struct work *w = qr_alloc(sizeof *w);
    if (!w) {
        (void)qr_tpm_fail(t, QR_ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    w->counter.nv = ESYS_TR_NONE;
    t->err[0] = '\0';
    return w;
}

qr_err
qr_tpm_seal(struct qr_tpm *t, const struct qr_tpm_release *r, uint64_t minimum,
            const struct qr_sec32 *secret, struct qr_dbuf *wrapped)
{
    struct work *w = work_new(t);
    if (!w) {
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = seal(t, r, minimum, secret, wrapped, w);
    qr_tpm_counter_close(t, &w->counter);
    qr_free(w);
    return e;
}

/* ---- unseal ---- */

/* What differs between where it was sealed and here, while that can be told in words. */
static qr_err
check_origin(struct qr_tpm *t, const struct qr_tpm_blob *o, const struct work *w)
{
    if (memcmp(o->storage, t->storage_name, sizeof o->storage) != 0) {
        return qr_tpm_fail(t, QR_ERR_SEAL,
                           "this was sealed by another TPM, or this TPM was cleared since (storage "
                           "key %02x%02x%02x%02x.. then, %02x%02x%02x%02x.. now)",
                           o->storage[2], o->storage[3], o->storage[4], o->storage[5],
                           t->storage_name[2], t->storage_name[3], t->storage_name[4],
                           t->storage_name[5]);
    }
    if (memcmp(o->key, w->key_name, sizeof o->key) != 0) {
        return qr_tpm_fail(t, QR_ERR_SEAL,
                           "this was sealed for releases of another key than this image's");
    }
    return QR_OK;
}

static qr_err
open_blob(struct qr_tpm *t, const struct qr_tpm_blob *o, struct work *w, struct qr_sec32 *ret)
{
    struct qr_sec32 key QR_WIPE(qr_sec32) = {{0}}, out QR_WIPE(qr_sec32) = {{0}};
    struct qr_buf b = qr_buf_over(out.b, sizeof out.b);
    uint8_t head[32];

    qr_tpm_tree_path(w->key_name, &w->scale, w->s.release, &w->path);
    w->pub = sealing_template;
    memcpy(w->pub.publicArea.authPolicy.buffer, w->path.root, 32);
    memcpy(w->pub.publicArea.unique.keyedHash.buffer, o->unique, 32);
    w->priv.size = (uint16_t)o->private_area.len;
    memcpy(w->priv.buffer, o->private_area.p, o->private_area.len);

    qr_sha256(o->head, head);
    QR_TRY(wrapping_key(t, w, head, &key));
    if (qr_unseal_blob(&key, 0, qr_view_of(head, sizeof head), o->secret, &b) != QR_OK ||
        b.len != sizeof out.b) {
        return qr_tpm_fail(t, QR_ERR_SEAL,
                           "the sealed secret was changed, or was not sealed by a release");
    }
    *ret = out;
    return QR_OK;
}

static qr_err
unseal(struct qr_tpm *t, const struct qr_tpm_release *r, qr_view wrapped, struct work *w,
       struct qr_sec32 *ret)
{
    struct qr_tpm_blob o;

    qr_err e = qr_tpm_blob_read(wrapped, &o);
    if (e != QR_OK) {
        return qr_tpm_fail(t, e, "what was kept is no sealed secret of ours (%zu bytes): %s",
                           wrapped.len, qr_err_text(e));
    }
    QR_TRY(read_release(t, r, w));
    QR_TRY(check_origin(t, &o, w));
    QR_TRY(check_pcrs(t, &w->s));
    /* Deleted, it is made again: above where it was, which revokes the lowest release at least. */
    QR_TRY(qr_tpm_counter_open(t, &w->counter));
    w->scale = o.scale;
    QR_TRY(check_scale(t, w));
    QR_TRY(open_blob(t, &o, w, ret));
    remember(t, w);
    return QR_OK;
}

qr_err
qr_tpm_unseal(struct qr_tpm *t, const struct qr_tpm_release *r, qr_view wrapped,
              struct qr_sec32 *ret)
{
    struct work *w = work_new(t);
    if (!w) {
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = unseal(t, r, wrapped, w, ret);
    qr_tpm_counter_close(t, &w->counter);
    qr_free(w);
    return e;
}

/* ---- revoke ---- */

qr_err
qr_tpm_revoke(struct qr_tpm *t, uint64_t minimum, uint64_t *ret_now)
{
    struct qr_tpm_counter c;

    if (!t->scaled) {
        return qr_tpm_fail(t, QR_ERR_USAGE, "nothing was sealed or opened yet");
    }
    if (minimum > t->release) {
        return qr_tpm_fail(t, QR_ERR_USAGE,
                           "release %llu cannot revoke itself: the lowest release was to be %llu",
                           (unsigned long long)t->release, (unsigned long long)minimum);
    }
    const struct qr_tpm_scale scale = {t->minimum, t->start};
    qr_err e = qr_tpm_counter_open(t, &c);
    QR_TRY(e);
    for (uint32_t i = 0; i < QR_TPM_REVOKE_STEPS && e == QR_OK; i++) {
        if (lowest(&scale, c.value) >= minimum) {
            break;
        }
        e = qr_tpm_counter_step(t, &c);
    }
    qr_tpm_counter_close(t, &c);
    QR_TRY(e);
    *ret_now = lowest(&scale, c.value);
    return QR_OK;
}
