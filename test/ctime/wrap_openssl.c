/*
 * The boundary to OpenSSL. A context is opaque, so that whether it has eaten secrets is remembered
 * beside it; what comes out of it is secret if it has.
 */
#include "test/ctime/wrap.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

/* Which contexts hold secrets. Contexts are few and long-lived; addresses may come again. */
static struct {
    const void *ctx;
    int secret;
} contexts[256];

static int *
secret_of(const void *ctx)
{
    size_t i = 0;

    while (i < 256 && contexts[i].ctx != NULL && contexts[i].ctx != ctx)
        i++;
    if (i == 256) {
        fprintf(stderr, "ctime: more than 256 OpenSSL contexts\n");
        abort();
    }
    contexts[i].ctx = ctx;
    return &contexts[i].secret;
}

/* ---- AES ---------------------------------------------------------------------------------- */

WRAPPED(int, EVP_EncryptInit_ex2,
        (EVP_CIPHER_CTX * ctx, const EVP_CIPHER *cipher, const unsigned char *key,
         const unsigned char *iv, const OSSL_PARAM params[]))
{
    CROSS("EVP_EncryptInit_ex2");
    struct hold h;
    int secret = poison_hold(&h, key, 16);
    int ok = __real_EVP_EncryptInit_ex2(ctx, cipher, key, iv, params);
    poison_release(&h);
    if (key != NULL)
        *secret_of(ctx) = secret;
    return ok;
}

WRAPPED(int, EVP_EncryptUpdate,
        (EVP_CIPHER_CTX * ctx, unsigned char *out, int *outl, const unsigned char *in, int inl))
{
    CROSS("EVP_EncryptUpdate");
    struct hold h;
    int secret = poison_hold(&h, in, (size_t)inl) | *secret_of(ctx);
    int ok = __real_EVP_EncryptUpdate(ctx, out, outl, in, inl);
    poison_release(&h);
    poison_output(outl, sizeof *outl, 0);
    poison_output(out, (size_t)*outl, secret);
    return ok;
}

/* ---- RSA ---------------------------------------------------------------------------------- */

/*
 * The key is inside OpenSSL, which made it. What comes out goes to OpenSSL's AES at once; what that
 * gives becomes secret at the end of qr_cms_decrypt (wrap_own.c).
 */
WRAPPED(int, EVP_PKEY_decrypt,
        (EVP_PKEY_CTX * ctx, unsigned char *out, size_t *outlen, const unsigned char *in,
         size_t inlen))
{
    CROSS("EVP_PKEY_decrypt");
    return __real_EVP_PKEY_decrypt(ctx, out, outlen, in, inlen);
}

/* ---- digests ------------------------------------------------------------------------------ */

WRAPPED(int, EVP_DigestInit_ex2, (EVP_MD_CTX * ctx, const EVP_MD *type, const OSSL_PARAM params[]))
{
    CROSS("EVP_DigestInit_ex2");
    *secret_of(ctx) = 0;
    return __real_EVP_DigestInit_ex2(ctx, type, params);
}

WRAPPED(int, EVP_DigestUpdate, (EVP_MD_CTX * ctx, const void *d, size_t cnt))
{
    CROSS("EVP_DigestUpdate");
    struct hold h;
    *secret_of(ctx) |= poison_hold(&h, d, cnt);
    int ok = __real_EVP_DigestUpdate(ctx, d, cnt);
    poison_release(&h);
    return ok;
}

WRAPPED(int, EVP_DigestFinal_ex, (EVP_MD_CTX * ctx, unsigned char *md, unsigned int *s))
{
    CROSS("EVP_DigestFinal_ex");
    int ok = __real_EVP_DigestFinal_ex(ctx, md, s);
    poison_output(md, (size_t)EVP_MD_CTX_get_size(ctx), *secret_of(ctx));
    return ok;
}

WRAPPED(int, EVP_DigestFinalXOF, (EVP_MD_CTX * ctx, unsigned char *out, size_t outlen))
{
    CROSS("EVP_DigestFinalXOF");
    int ok = __real_EVP_DigestFinalXOF(ctx, out, outlen);
    poison_output(out, outlen, *secret_of(ctx));
    return ok;
}

/* ---- TLS ---------------------------------------------------------------------------------- */

WRAPPED(int, SSL_export_keying_material,
        (SSL * s, unsigned char *out, size_t olen, const char *label, size_t llen,
         const unsigned char *context, size_t contextlen, int use_context))
{
    CROSS("SSL_export_keying_material");
    int ok = __real_SSL_export_keying_material(s, out, olen, label, llen, context, contextlen,
                                               use_context);
    poison_output(out, olen, 1);
    return ok;
}

WRAPPED(int, SSL_write_ex, (SSL * s, const void *buf, size_t num, size_t *written))
{
    CROSS("SSL_write_ex");
    struct hold h;
    (void)poison_hold(&h, buf, num);
    int ok = __real_SSL_write_ex(s, buf, num, written);
    poison_release(&h);
    return ok;
}
