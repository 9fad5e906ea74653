/*
 * Back ends over hardware, as far as their devices can be played here: the sealing secret of a process
 * without a TPM, and Nitro's root with a module in memory and a key service in a process of its own.
 * Secret are the drawn sealing secret, the key that KMS's answer opens to, and what is made of both; see
 * wrap_own.c. The host's AWS credentials are the host's own and are not.
 */
#include "test/ctime/ctime.h"

#include <string.h>

#include "enclave-shim/nitro/nitro.h"
#include "enclave-shim/tee_base.h"
#include "protocol/base/enc.h"
#include "test/common/fakensm.h"
#include "test/common/kmsbox.h"
#include "test/ctime/poison.h"

/* Seals, opens and derives with an open platform. */
static void
use(const struct qr_tee *t)
{
    uint8_t plain[100], sealed[200], open[200];
    struct qr_buf out = qr_buf_over(sealed, sizeof sealed), in = qr_buf_over(open, sizeof open);
    const qr_view ad = qr_view_str("record 1");
    struct qr_sec32 key;

    draw(plain, sizeof plain);
    must(t->seal(t->ctx, 3, ad, qr_view_of(plain, sizeof plain), &out) == QR_OK, "sealing");
    must(t->unseal(t->ctx, 3, ad, qr_buf_view(&out), &in) == QR_OK && in.len == sizeof plain,
         "unsealing");
    must(t->derive(t->ctx, 3, "share", ad, &key) == QR_OK, "a derived key");
    must(poison_watched() == 0 || poison_is_all_secret(key.b, sizeof key.b), "which is secret");
}

/* Without a TPM the secret is this process's. */
static void
base(void)
{
    const struct qr_tee_opts o = {.platform = "none"};
    struct qr_tee_base b;
    struct qr_tee t = {.ctx = &b};
    char why[256] = "";

    must(qr_tee_base_open(&b, &o, QR_TEE_NO_TPM, QR_BOOTLOG_NONE, why, sizeof why) == QR_OK &&
             qr_tee_base_secret(&b, &o, "none", why, sizeof why) == QR_OK,
         "a secret of this process");
    qr_tee_base_table(&b, &t);
    use(&t);
    qr_tee_base_close(&b);
}

/* What the host keeps for the enclave, in memory. */
struct host {
    size_t len;
    qr_err err; /* of the next load */
    uint8_t kept[QR_TEE_KEEP_MAX];
};

static qr_err
load(void *ctx, const char *name, struct qr_dbuf *out)
{
    const struct host *h = ctx;
    (void)name;
    if (h->err != QR_OK)
        return h->err;
    return h->len > 0 ? qr_dbuf_append(out, h->kept, h->len) : QR_ERR_NOT_FOUND;
}

static qr_err
save(void *ctx, const char *name, qr_view v)
{
    struct host *h = ctx;
    (void)name;
    must(v.len <= sizeof h->kept && !poison_is_secret(v.p, v.len), "what the host keeps is public");
    memcpy(h->kept, v.p, v.len);
    h->len = v.len;
    return QR_OK;
}

static const char *
no_reason(void *ctx)
{
    (void)ctx;
    return "as the driver wants it";
}

/* Starts, uses what platform there is, and ends. */
static void
start(struct fakensm *f, const struct qr_tee_opts *o)
{
    const uint8_t binder[32] = {0};
    static uint8_t wire[65536];
    struct qr_buf out = qr_buf_over(wire, sizeof wire);
    const struct qr_nsm_dev dev = fakensm_dev(f);
    struct qr_tee t;
    char why[512] = "";
    uint8_t some[16];
    int64_t ms;

    must(qr_tee_nitro_over(&dev, o, &t, why, sizeof why) == QR_OK, why);
    use(&t);
    must(t.evidence(t.ctx, binder, &out) == QR_OK, "evidence");
    must(t.time(t.ctx, &ms) == QR_OK, "the module's time");
    t.random(t.ctx, some, sizeof some);
    must(t.why(t.ctx) != NULL, "words");
    t.free(t.ctx);
}

/* The first start makes the root, the next one opens what the host kept, and one is refused that. */
static void
nitro(void)
{
    static struct kmsbox box;
    static struct host host;
    static struct fakensm fake;
    struct qr_tee_keep keep = {.ctx = &host, .load = load, .save = save, .why = no_reason};
    struct qr_nitro_kms kms = {.key = KMSBOX_KEY, .name = "party-1", .tries = 1};
    const struct qr_tee_opts o = {.platform = "nitro", .keep = &keep, .kms = &kms};
    struct qr_tee t;
    char why[512] = "";

    fakensm_init(&fake);
    qr_hex_encode(qr_view_of(fake.pcr[0], sizeof fake.pcr[0]), box.pcr0);
    kmsbox_fork(&box);
    kms.route = box.route;
    kms.credentials = box.creds_route;
    kms.roots = kmsbox_roots();
    kms.timeout_ms = 60000; /* the tool is slow */
    start(&fake, &o);
    start(&fake, &o);
    kmsbox_kill(&box);

    host.err = QR_ERR_STORE;
    const struct qr_nsm_dev dev = fakensm_dev(&fake);
    must(qr_tee_nitro_over(&dev, &o, &t, why, sizeof why) == QR_ERR_STORE, "a host that fails");
}

void
drive_platform(void)
{
    base();
    nitro();
}
