#include "test/common/stamps.h"

#include "protocol/base/enc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>

void
stamper_new(struct stamper *s, enum qr_scheme scheme)
{
    memset(s, 0, sizeof *s);
    s->key = scheme == QR_SCHEME_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
             : scheme == QR_SCHEME_P256  ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
                                         : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1");
    assert_non_null(s->key);
    assert_int_equal(qr_stamp_key_of(s->key, &s->pub), QR_OK);
    assert_int_equal(s->pub.scheme, scheme);
    qr_hex_encode(qr_view_of(s->pub.b, qr_scheme_key_len(scheme)), s->hex);
}

void
stamper_free(struct stamper *s)
{
    EVP_PKEY_free(s->key);
    s->key = NULL;
}

qr_view
stamper_stamp(const struct stamper *s, qr_view body, char *out)
{
    assert_int_equal(qr_stamp_sign(s->key, body, out, QR_STAMP_MAX), QR_OK);
    return qr_view_str(out);
}
