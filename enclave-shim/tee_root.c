#include "enclave-shim/tee_root.h"

#include "protocol/base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))
#define CONTEXT "quorate/tee-root/v1"

static qr_err
load_file(const char *path, uint8_t out[static QR_TEE_RELEASE_MAX], size_t *ret_len, char *err_text,
          size_t err_cap)
{
    size_t n = 0;
    ssize_t r = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        EXPLAIN("%s: %s; it is part of a release", path, strerror(errno));
        return QR_ERR_PLATFORM;
    }
    while (n < QR_TEE_RELEASE_MAX) {
        r = read(fd, out + n, QR_TEE_RELEASE_MAX - n);
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r <= 0) {
            break;
        }
        n += (size_t)r;
    }
    (void)close(fd);
    if (r < 0 || n == 0 || n == QR_TEE_RELEASE_MAX) {
        EXPLAIN("%s: %s", path, r < 0 ? "cannot be read" : "empty, or larger than 4095 bytes");
        return QR_ERR_PLATFORM;
    }
    *ret_len = n;
    return QR_OK;
}

qr_err
qr_tee_release_load(const struct qr_tee_opts *o, struct qr_tee_release *ret, char *err_text,
                    size_t err_cap)
{
    int key = o->release_key && o->release_key[0], statement = o->release && o->release[0];

    *ret = (struct qr_tee_release){0};
    if (!key && !statement) {
        return QR_OK;
    }
    if (key != statement) {
        EXPLAIN("[tee] release_key and release go together: who signs releases, and this one's "
                "statement");
        return QR_ERR_PLATFORM;
    }
    QR_TRY(load_file(o->release_key, ret->key, &ret->key_len, err_text, err_cap));
    return load_file(o->release, ret->statement, &ret->statement_len, err_text, err_cap);
}

static void
set_context(const char *platform, qr_view wrapped, struct qr_sealroot *root)
{
    uint8_t text[sizeof CONTEXT + QR_TPM_WRAPPED_MAX + 64];
    struct qr_buf b = qr_buf_over(text, sizeof text);

    qr_buf_put(&b, CONTEXT, sizeof CONTEXT);
    qr_buf_put_lp(&b, qr_view_str(platform));
    qr_buf_put(&b, wrapped.p, wrapped.len);
    qr_sha256(qr_buf_view(&b), root->context);
}

/* Neither source alone decides it: the system's generator and the TPM's. */
static qr_err
draw(struct qr_tpm *t, struct qr_sec32 *ret)
{
    struct qr_sec32 other QR_WIPE(qr_sec32) = {{0}};
    struct qr_rng sys = qr_rng_system();

    qr_rng_fill(&sys, ret->b, sizeof ret->b);
    if (t) {
        QR_TRY(qr_tpm_random(t, other.b, sizeof other.b));
    }
    for (size_t i = 0; i < sizeof ret->b; i++) {
        ret->b[i] ^= other.b[i];
    }
    return QR_OK;
}

static qr_err
first_start(struct qr_tpm *t, const struct qr_tpm_release *r, struct qr_tee_keep *keep,
            struct qr_sec32 *secret, struct qr_dbuf *wrapped, char *err_text, size_t err_cap)
{
    struct qr_tpm_statement statement;

    QR_TRY(qr_tpm_statement_read(r, &statement, err_text, err_cap));
    qr_err e = draw(t, secret);
    /* From this release on: an older one, with whatever was wrong with it, never opens it. */
    e = e == QR_OK ? qr_tpm_seal(t, r, statement.release, secret, wrapped) : e;
    if (e != QR_OK) {
        EXPLAIN("TPM: the new sealing secret cannot be wrapped: %s", qr_tpm_error(t));
        return e;
    }
    e = keep->save(keep->ctx, QR_TEE_ROOT_KEEP, qr_view_of(wrapped->p, wrapped->len));
    if (e != QR_OK) {
        EXPLAIN("the wrapped sealing secret cannot be kept: %s", keep->why(keep->ctx));
    }
    return e;
}

static qr_err
open_kept(struct qr_tpm *t, const struct qr_tpm_release *r, struct qr_tee_keep *keep,
          struct qr_sec32 *secret, struct qr_dbuf *wrapped, char *err_text, size_t err_cap)
{
    qr_err e = keep->load(keep->ctx, QR_TEE_ROOT_KEEP, wrapped);

    if (e == QR_ERR_NOT_FOUND) {
        return first_start(t, r, keep, secret, wrapped, err_text, err_cap);
    }
    if (e != QR_OK) {
        EXPLAIN("the wrapped sealing secret cannot be read: %s", keep->why(keep->ctx));
        return e;
    }
    e = wrapped->len <= QR_TPM_WRAPPED_MAX
            ? qr_tpm_unseal(t, r, qr_view_of(wrapped->p, wrapped->len), secret)
            : QR_ERR_SEAL;
    if (e != QR_OK) {
        EXPLAIN("the TPM does not open the sealing secret: %s", qr_tpm_error(t));
    }
    return e;
}

qr_err
qr_tee_root_open(struct qr_tpm *t, const struct qr_tee_release *r, struct qr_tee_keep *keep,
                 const char *platform, struct qr_sealroot *root, int *ret_kept, char *err_text,
                 size_t err_cap)
{
    const struct qr_tpm_release rel = {qr_view_of(r->key, r->key_len),
                                       qr_view_of(r->statement, r->statement_len)};
    struct qr_dbuf wrapped;

    qr_dbuf_init(&wrapped, QR_TEE_KEEP_MAX);
    int kept = t && r->key_len > 0 && keep && keep->load;
    qr_err e = kept ? open_kept(t, &rel, keep, &root->secret, &wrapped, err_text, err_cap)
                    : draw(NULL, &root->secret);
    if (e == QR_OK) {
        set_context(platform, qr_view_of(wrapped.p, kept ? wrapped.len : 0), root);
        *ret_kept = kept;
    }
    qr_dbuf_free(&wrapped);
    return e;
}
