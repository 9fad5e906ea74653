/*
 * PROVES: the bytes of a certificate's SubjectPublicKeyInfo. Whatever length OpenSSL announces and writes,
 *         nothing is written past the buffer on the stack and no byte is hashed that was not written.
 * BOUND:  none: any announced length; OpenSSL writes exactly what it announces or something else.
 * CBMC:   --unwind 2
 * BITE:   transport/tls.c s/(size_t)n > sizeof der ||/(size_t)n > sizeof der + 1 ||/
 * BITE:   transport/tls.c s/if (n <= 0 ||/if (n < -1 ||/
 */
#include "transport/tls.c"

#include "test/proof/cbmc/proof.h"

static int announced, written, calls;

X509_PUBKEY *
X509_get_X509_PUBKEY(const X509 *cert)
{
    return (X509_PUBKEY *)(uintptr_t)cert;
}

int
i2d_X509_PUBKEY(const X509_PUBKEY *key, unsigned char **out)
{
    (void)key;
    if (!out) {
        return announced;
    }
    calls++;
    if (announced > 0) {
        PROVE(__CPROVER_w_ok(*out, (size_t)announced), "room for what was announced");
        *out += announced;
    }
    return written;
}

void
qr_sha256(qr_view v, uint8_t ret[static 32])
{
    PROVE(calls == 1 && announced > 0 && v.len == (size_t)announced && written == announced,
          "what was written is hashed");
    PROVE(__CPROVER_r_ok(v.p, v.len), "and nothing else");
    ret[0] = 1;
}

void
proof(void)
{
    X509 *cert = (X509 *)(void *)any_bytes(8);
    uint8_t out[32];
    announced = nondet_int();
    written = nondet_int();
    if (spki_hash(cert, out) == QR_OK) {
        PROVE(calls == 1 && announced >= 1 && announced <= 512, "only of a key that fits");
    }
}
