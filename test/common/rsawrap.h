/*
 * rsawrap: one throwaway RSA key in place of new ones.
 *
 * Making an RSA key takes a tenth of a second. A binary that includes this (once) is linked with
 * --wrap=EVP_PKEY_Q_keygen and gets the same key each time but the first, so that the real way is gone
 * as well.
 */
#ifndef TEST_RSAWRAP_H
#define TEST_RSAWRAP_H

#include "test/common/evgen_ca.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

EVP_PKEY *__real_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *ctx, const char *propq, const char *type, ...);
EVP_PKEY *__wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *ctx, const char *propq, const char *type, ...);

EVP_PKEY *
__wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *ctx, const char *propq, const char *type, ...)
{
    static unsigned made;
    va_list ap;

    va_start(ap, type);
    size_t bits = va_arg(ap, size_t);
    va_end(ap);
    if (strcmp(type, "RSA") != 0 || bits != 2048) {
        abort();
    }
    if (made++ == 0) {
        return __real_EVP_PKEY_Q_keygen(ctx, propq, type, bits);
    }
    EVP_PKEY *k = evgen_key(EVGEN_RSA2048, 0);
    return EVP_PKEY_up_ref(k) == 1 ? k : NULL;
}

#endif
