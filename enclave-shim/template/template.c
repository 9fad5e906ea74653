/*
 * Read from top to bottom: the device, what is made of it, opening. Marked "PORT:" is what a real back
 * end does in that place.
 */
#include "enclave-shim/template/template.h"

#include "enclave-shim/seal.h"
#include "enclave-shim/tee_coll.h"
#include "enclave-shim/tee_sim.h"
#include "enclave-shim/tsm/report.h"
#include "protocol/base/hash.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))
#define PATIENCE_MS 200u
#define KEEP_NAME "template-root"
#define WRAPPED_LEN (32u + crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES)

/*
 * PORT: what evidence speaks of, what the platform has and has not. The daemon refuses configurations
 * that do not fit (daemon/fit.c): say 0 for whatever you are not sure of.
 */
const struct qr_tee_profile qr_tee_template_profile = {
    .name = "template",
    .grain = QR_TEE_PROCESS,
    .network = 1,
    .disk = 1,
    .clock_signed = 0,
    .keeps_secrets = 1,
    .memory_max = 0,
};

/* ---- the device ---------------------------------------------------------------------------- */

/*
 * PORT: an open descriptor and the buffers of its calls. Open it once, at start, and keep it: after the
 * filter of system calls (enclave-shim/sandbox.h) only what is listed there can be called. If your
 * device wants files opened for every report, put it behind enclave-shim/tsm/helper.h.
 */
struct device {
    uint8_t machine_key[32]; /* a stand-in for the machine's own secret */
};

static int trouble_times, trouble_lasting;

void
qr_tee_template_trouble(int times, int lasting)
{
    trouble_times = times;
    trouble_lasting = lasting;
}

/* One call to it; 0, -1: busy, another attempt may do better, -2: no. */
static int
device_call(void)
{
    if (trouble_times > 0) {
        trouble_times--;
        return trouble_lasting ? -2 : -1;
    }
    return 0;
}

/* ---- the back end -------------------------------------------------------------------------- */

struct template
{
    struct device device;
    struct qr_sealroot *root; /* PORT: every secret in locked memory */
    struct qr_tee sim;        /* makes the evidence */
    struct qr_tee_coll coll;
    uint32_t patience_ms;
    char why[256];
};

static qr_err __attribute__((format(printf, 3, 4)))
fail(struct template *t, qr_err e, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(t->why, sizeof t->why, format, ap);
    va_end(ap);
    return e;
}

/*
 * PORT: what passes is tried again, within a bound that the operator set; what does not is told at once.
 * Each text says what failed, where, and what to do.
 */
static qr_err
call(struct template *t)
{
    struct qr_patience p = qr_patience_of(&qr_sys_kernel, t->patience_ms);
    int r;

    t->why[0] = '\0';
    do {
        r = device_call();
    } while (r == -1 && qr_patience_wait(&qr_sys_kernel, &p));
    if (r == -1) {
        return fail(t, QR_ERR_PLATFORM,
                    "template device: busy for %u ms; is another process using it?",
                    t->patience_ms);
    }
    return r == 0 ? QR_OK
                  : fail(t, QR_ERR_PLATFORM,
                         "template device: refused the request; restart the party");
}

/*
 * PORT: put the binder into the platform's user field, and 32 zeros behind it if that has 64 bytes;
 * check that what comes back is over it (a stale report is a real thing); encode it with
 * qr_evidence_add and qr_evidence_encode, certificates and collateral beside it. Never let anybody but
 * the caller choose the bytes: whoever can have bytes of his choice attested can be us.
 */
static qr_err
template_evidence(void *ctx, const uint8_t binder[32], struct qr_buf *out)
{
    struct template *t = ctx;
    QR_TRY(call(t));
    return t->sim.evidence(t->sim.ctx, binder, out);
}

/* PORT: these three are the same everywhere: the root is what differs. Do not invent formats. */
static qr_err
template_seal(void *ctx, uint32_t epoch, qr_view ad, qr_view plain, struct qr_buf *out)
{
    struct template *t = ctx;
    struct qr_rng rng = qr_rng_system();
    t->why[0] = '\0';
    return qr_sealroot_seal(t->root, &rng, epoch, ad, plain, out);
}

static qr_err
template_unseal(void *ctx, uint32_t epoch, qr_view ad, qr_view sealed, struct qr_buf *out)
{
    struct template *t = ctx;
    t->why[0] = '\0';
    return qr_sealroot_unseal(t->root, epoch, ad, sealed, out);
}

static qr_err
template_derive(void *ctx, uint32_t epoch, const char *label, qr_view ad, struct qr_sec32 *ret)
{
    struct template *t = ctx;
    t->why[0] = '\0';
    return qr_sealroot_derive(t->root, epoch, label, ad, ret);
}

/*
 * PORT: the device's generator, if it has one; it is mixed with the system's, so that a bad one does no
 * harm. When it fails, give the system's bytes: this function has no errors.
 */
static void
template_random(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    randombytes_buf(out, n);
}

/* PORT: what vendors must bring, as daemon/gw_need.h reads it. Nothing: leave needs and collateral NULL. */
static qr_err
template_needs(void *ctx, struct qr_dbuf *out)
{
    static const char json[] = "{\"v\":1,\"needs\":[{\"source\":\"azure-thim\"}]}";
    (void)ctx;
    return qr_dbuf_append(out, json, sizeof json - 1);
}

/* PORT: kept for the evidence, believed in nothing. A delivery is taken whole or not at all. */
static qr_err
template_collateral(void *ctx, qr_view source, const struct qr_tee_piece *piece, size_t n)
{
    struct template *t = ctx;

    if (!qr_view_eq(source, qr_view_str(qr_tee_azure_thim.name))) {
        return fail(t, QR_ERR_PLATFORM, "documents that were not asked for");
    }
    qr_err e = qr_tee_coll_take(&t->coll, &qr_tee_azure_thim, piece, n);
    return e == QR_OK ? e : fail(t, e, "documents of other kinds or sizes than this need has");
}

static const char *
template_why(void *ctx)
{
    return ((struct template *)ctx)->why;
}

static void
template_free(void *ctx)
{
    struct template *t = ctx;
    qr_tee_close(&t->sim);
    qr_tee_coll_free(&t->coll);
    qr_locked_free(t->root);
    qr_wipe(&t->device, sizeof t->device);
    qr_free(t);
}

/* ---- opening ------------------------------------------------------------------------------- */

/*
 * PORT: the platform's own wrapping: a TPM's object, a KMS's ciphertext, a key derived from the
 * measurement. It must open for this machine and for code that may follow this one, and for nothing
 * else; if your platform cannot do that, keeps_secrets is 0 and the root lasts as long as the process.
 */
static void
wrap(const struct template *t, uint8_t out[static WRAPPED_LEN])
{
    randombytes_buf(out, crypto_secretbox_NONCEBYTES);
    (void)crypto_secretbox_easy(out + crypto_secretbox_NONCEBYTES, t->root->secret.b, 32, out,
                                t->device.machine_key);
}

static qr_err
unwrap(const struct template *t, qr_view wrapped)
{
    return wrapped.len == WRAPPED_LEN &&
                   crypto_secretbox_open_easy(t->root->secret.b,
                                              wrapped.p + crypto_secretbox_NONCEBYTES,
                                              WRAPPED_LEN - crypto_secretbox_NONCEBYTES, wrapped.p,
                                              t->device.machine_key) == 0
               ? QR_OK
               : QR_ERR_SEAL;
}

/* What was kept and does not open is never replaced: the host could have brought that about. */
static qr_err
open_root(struct template *t, struct qr_tee_keep *keep, char *err_text, size_t err_cap)
{
    uint8_t wrapped[WRAPPED_LEN];
    struct qr_dbuf kept;

    if (!keep) {
        EXPLAIN("the template needs a place to keep its wrapped secret");
        return QR_ERR_PLATFORM;
    }
    qr_dbuf_init(&kept, QR_TEE_KEEP_MAX);
    qr_err e = keep->load(keep->ctx, KEEP_NAME, &kept);
    if (e == QR_ERR_NOT_FOUND) {
        randombytes_buf(t->root->secret.b, 32);
        wrap(t, wrapped);
        e = keep->save(keep->ctx, KEEP_NAME, qr_view_of(wrapped, sizeof wrapped));
        if (e != QR_OK) {
            EXPLAIN("the wrapped secret cannot be kept: %s", keep->why(keep->ctx));
        }
    } else if (e == QR_OK) {
        e = unwrap(t, qr_view_of(kept.p, kept.len));
        if (e != QR_OK) {
            EXPLAIN(
                "the kept secret does not open here: it is another machine's, or it was changed");
        }
    } else {
        EXPLAIN("the kept secret cannot be read: %s", keep->why(keep->ctx));
    }
    qr_dbuf_free(&kept);
    /* Equal secrets on another machine give other keys. */
    qr_sha256(qr_view_of(t->device.machine_key, 32), t->root->context);
    return e;
}

qr_err
qr_tee_template_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text,
                     size_t err_cap)
{
    struct template *t = qr_alloc(sizeof *t);

    if (!t) {
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    t->patience_ms = o->patience_ms ? o->patience_ms : PATIENCE_MS;
    t->root = qr_locked_alloc(sizeof *t->root, NULL);
    qr_sha256(qr_view_str(o->state_dir), t->device.machine_key);
    qr_err e =
        t->root ? qr_tee_sim_open(o->state_dir, &t->sim, err_text, err_cap) : QR_ERR_NO_MEMORY;
    e = e == QR_OK ? open_root(t, o->keep, err_text, err_cap) : e;
    if (e == QR_OK) {
        e = call(t); /* PORT: ask it something at the start: a machine without it is told now */
        if (e != QR_OK) {
            EXPLAIN("%s", t->why);
        }
    }
    if (e != QR_OK) {
        template_free(t);
        return e;
    }
    *ret = (struct qr_tee){
        .ctx = t,
        .profile = &qr_tee_template_profile,
        .platform = QR_PLATFORM_SIM, /* PORT: your own number */
        .insecure = 1,               /* PORT: 0, and never 1 */
        .evidence = template_evidence,
        .seal = template_seal,
        .unseal = template_unseal,
        .derive = template_derive,
        .random = template_random,
        .needs = template_needs,
        .collateral = template_collateral,
        .why = template_why,
        .free = template_free,
    };
    memcpy(ret->measurement, t->sim.measurement, 32);
    return QR_OK;
}
