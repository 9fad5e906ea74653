/*
 * The boundary to libsodium. A verdict is public; an output is secret if an input was, unless the
 * function says otherwise: ciphertexts, signatures and public keys are for everybody.
 */
#include "test/ctime/wrap.h"

#include <sodium.h>

/* MSan does not see what the library writes. */
WRAPPED(void, sodium_memzero, (void *const pnt, const size_t len))
{
    CROSS("sodium_memzero");
    __real_sodium_memzero(pnt, len);
    poison_public(pnt, len);
}

/* ---- verdicts ----------------------------------------------------------------------------- */

WRAPPED(int, sodium_memcmp, (const void *a, const void *b, size_t n))
{
    CROSS("sodium_memcmp");
    struct hold x, y;
    (void)poison_hold(&x, a, n);
    (void)poison_hold(&y, b, n);
    int verdict = __real_sodium_memcmp(a, b, n);
    poison_release(&y);
    poison_release(&x);
    return verdict;
}

WRAPPED(int, sodium_is_zero, (const unsigned char *n, const size_t nlen))
{
    CROSS("sodium_is_zero");
    struct hold h;
    (void)poison_hold(&h, n, nlen);
    int verdict = __real_sodium_is_zero(n, nlen);
    poison_release(&h);
    return verdict;
}

/* ---- ristretto255 ------------------------------------------------------------------------- */

WRAPPED(int, crypto_core_ristretto255_is_valid_point, (const unsigned char *p))
{
    CROSS("crypto_core_ristretto255_is_valid_point");
    struct hold h;
    (void)poison_hold(&h, p, 32);
    int verdict = __real_crypto_core_ristretto255_is_valid_point(p);
    poison_release(&h);
    return verdict;
}

/* r of `len` bytes from one input of `in_len` bytes. */
#define ONE_INPUT(name, params, args, r, len, in, in_len)                                          \
    WRAPPED(int, name, params)                                                                     \
    {                                                                                              \
        CROSS(#name);                                                                              \
        struct hold h;                                                                             \
        int secret = poison_hold(&h, in, in_len);                                                  \
        int rc = __real_##name args;                                                               \
        poison_release(&h);                                                                        \
        poison_output(r, len, secret);                                                             \
        return rc;                                                                                 \
    }

/* r of 32 bytes from two inputs of 32 bytes. */
#define TWO_INPUTS(name)                                                                           \
    WRAPPED(int, name, (unsigned char *r, const unsigned char *a, const unsigned char *b))         \
    {                                                                                              \
        CROSS(#name);                                                                              \
        struct hold x, y;                                                                          \
        int secret = poison_hold(&x, a, 32);                                                       \
        secret |= poison_hold(&y, b, 32);                                                          \
        int rc = __real_##name(r, a, b);                                                           \
        poison_release(&y);                                                                        \
        poison_release(&x);                                                                        \
        poison_output(r, 32, secret);                                                              \
        return rc;                                                                                 \
    }

ONE_INPUT(crypto_core_ristretto255_from_hash, (unsigned char *p, const unsigned char *r), (p, r), p,
          32, r, 64)
ONE_INPUT(crypto_scalarmult_ristretto255_base, (unsigned char *q, const unsigned char *n), (q, n),
          q, 32, n, 32)
TWO_INPUTS(crypto_core_ristretto255_add)
TWO_INPUTS(crypto_core_ristretto255_sub)
TWO_INPUTS(crypto_scalarmult_ristretto255)

WRAPPED(void, crypto_core_ristretto255_scalar_reduce, (unsigned char *r, const unsigned char *s))
{
    CROSS("crypto_core_ristretto255_scalar_reduce");
    struct hold h;
    int secret = poison_hold(&h, s, 64);
    __real_crypto_core_ristretto255_scalar_reduce(r, s);
    poison_release(&h);
    poison_output(r, 32, secret);
}

/* ---- Ed25519 ------------------------------------------------------------------------------ */

/* libsodium's secret key is seed || public key. */
WRAPPED(int, crypto_sign_seed_keypair,
        (unsigned char *pk, unsigned char *sk, const unsigned char *seed))
{
    CROSS("crypto_sign_seed_keypair");
    struct hold h;
    int secret = poison_hold(&h, seed, 32);
    int rc = __real_crypto_sign_seed_keypair(pk, sk, seed);
    poison_release(&h);
    poison_output(pk, 32, 0);
    poison_output(sk, 32, secret);
    poison_output(sk + 32, 32, 0);
    return rc;
}

WRAPPED(int, crypto_sign_ed25519_sk_to_pk, (unsigned char *pk, const unsigned char *sk))
{
    CROSS("crypto_sign_ed25519_sk_to_pk");
    struct hold h;
    (void)poison_hold(&h, sk, 64);
    int rc = __real_crypto_sign_ed25519_sk_to_pk(pk, sk);
    poison_release(&h);
    poison_output(pk, 32, 0);
    return rc;
}

WRAPPED(int, crypto_sign_detached,
        (unsigned char *sig, unsigned long long *siglen, const unsigned char *m,
         unsigned long long mlen, const unsigned char *sk))
{
    CROSS("crypto_sign_detached");
    struct hold key, msg;
    (void)poison_hold(&key, sk, 64);
    (void)poison_hold(&msg, m, mlen);
    int rc = __real_crypto_sign_detached(sig, siglen, m, mlen, sk);
    poison_release(&msg);
    poison_release(&key);
    poison_output(sig, 64, 0);
    return rc;
}

/* The message may be a hash of a TLS exporter: made public for the call, as for the signature. */
#define VERIFY(name)                                                                               \
    WRAPPED(int, name,                                                                             \
            (const unsigned char *sig, const unsigned char *m, unsigned long long mlen,            \
             const unsigned char *pk))                                                             \
    {                                                                                              \
        CROSS(#name);                                                                              \
        struct hold msg;                                                                           \
        poison_must_be_public(sig, 64);                                                            \
        poison_must_be_public(pk, 32);                                                             \
        (void)poison_hold(&msg, m, mlen);                                                          \
        int rc = __real_##name(sig, m, mlen, pk);                                                  \
        poison_release(&msg);                                                                      \
        return rc;                                                                                 \
    }
VERIFY(crypto_sign_verify_detached)
VERIFY(crypto_sign_ed25519_verify_detached)

/* ---- sealing, streams, MACs --------------------------------------------------------------- */

WRAPPED(int, crypto_aead_xchacha20poly1305_ietf_encrypt,
        (unsigned char *c, unsigned long long *clen_p, const unsigned char *m,
         unsigned long long mlen, const unsigned char *ad, unsigned long long adlen,
         const unsigned char *nsec, const unsigned char *npub, const unsigned char *k))
{
    CROSS("crypto_aead_xchacha20poly1305_ietf_encrypt");
    struct hold msg, key;
    (void)poison_hold(&msg, m, mlen);
    (void)poison_hold(&key, k, 32);
    poison_public(npub, 24); /* it goes out beside the ciphertext */
    int rc = __real_crypto_aead_xchacha20poly1305_ietf_encrypt(c, clen_p, m, mlen, ad, adlen, nsec,
                                                               npub, k);
    poison_release(&key);
    poison_release(&msg);
    poison_output(c, mlen + crypto_aead_xchacha20poly1305_ietf_ABYTES, 0);
    return rc;
}

/* What of a record is secret is its reader's to say: see qr_store_get in wrap_own.c. */
WRAPPED(int, crypto_aead_xchacha20poly1305_ietf_decrypt,
        (unsigned char *m, unsigned long long *mlen_p, unsigned char *nsec, const unsigned char *c,
         unsigned long long clen, const unsigned char *ad, unsigned long long adlen,
         const unsigned char *npub, const unsigned char *k))
{
    CROSS("crypto_aead_xchacha20poly1305_ietf_decrypt");
    struct hold key;
    (void)poison_hold(&key, k, 32);
    int rc = __real_crypto_aead_xchacha20poly1305_ietf_decrypt(m, mlen_p, nsec, c, clen, ad, adlen,
                                                               npub, k);
    poison_release(&key);
    return rc;
}

WRAPPED(int, crypto_auth_hmacsha256,
        (unsigned char *out, const unsigned char *in, unsigned long long inlen,
         const unsigned char *k))
{
    CROSS("crypto_auth_hmacsha256");
    struct hold key, msg;
    int secret = poison_hold(&key, k, 32);
    secret |= poison_hold(&msg, in, inlen);
    int rc = __real_crypto_auth_hmacsha256(out, in, inlen, k);
    poison_release(&msg);
    poison_release(&key);
    poison_output(out, 32, secret);
    return rc;
}

WRAPPED(int, crypto_auth_hmacsha512_init,
        (crypto_auth_hmacsha512_state * s, const unsigned char *key, size_t keylen))
{
    CROSS("crypto_auth_hmacsha512_init");
    struct hold h;
    int secret = poison_hold(&h, key, keylen);
    int rc = __real_crypto_auth_hmacsha512_init(s, key, keylen);
    poison_release(&h);
    poison_output(s, sizeof *s, secret);
    return rc;
}

WRAPPED(int, crypto_auth_hmacsha512_update,
        (crypto_auth_hmacsha512_state * s, const unsigned char *in, unsigned long long inlen))
{
    CROSS("crypto_auth_hmacsha512_update");
    struct hold h;
    int secret = poison_is_secret(s, sizeof *s) | poison_hold(&h, in, inlen);
    poison_public(s, sizeof *s);
    int rc = __real_crypto_auth_hmacsha512_update(s, in, inlen);
    poison_release(&h);
    poison_output(s, sizeof *s, secret);
    return rc;
}

WRAPPED(int, crypto_auth_hmacsha512_final, (crypto_auth_hmacsha512_state * s, unsigned char *out))
{
    CROSS("crypto_auth_hmacsha512_final");
    int secret = poison_is_secret(s, sizeof *s);
    poison_public(s, sizeof *s);
    int rc = __real_crypto_auth_hmacsha512_final(s, out);
    poison_output(s, sizeof *s, secret);
    poison_output(out, 64, secret);
    return rc;
}

WRAPPED(int, crypto_stream_chacha20,
        (unsigned char *c, unsigned long long clen, const unsigned char *n, const unsigned char *k))
{
    CROSS("crypto_stream_chacha20");
    struct hold key;
    int secret = poison_hold(&key, k, 32);
    int rc = __real_crypto_stream_chacha20(c, clen, n, k);
    poison_release(&key);
    poison_output(c, clen, secret);
    return rc;
}

/* The tee's generator: its draws are marked by whoever makes them (wrap_own.c). */
WRAPPED(int, crypto_stream_chacha20_xor,
        (unsigned char *c, const unsigned char *m, unsigned long long mlen, const unsigned char *n,
         const unsigned char *k))
{
    CROSS("crypto_stream_chacha20_xor");
    struct hold key;
    (void)poison_hold(&key, k, 32);
    int rc = __real_crypto_stream_chacha20_xor(c, m, mlen, n, k);
    poison_release(&key);
    return rc;
}

WRAPPED(void, randombytes_buf, (void *const buf, const size_t size))
{
    CROSS("randombytes_buf");
    __real_randombytes_buf(buf, size);
}
