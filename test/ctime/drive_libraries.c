/*
 * The installed libraries themselves, with secrets that stay poisoned inside: what the boundary takes
 * on trust elsewhere is looked at here, for the functions on which a key depends.
 *
 * Whether a build of libsecp256k1 is constant time depends on its compiler, and nothing but such a run
 * can tell (protocol/group.c). __real_NAME is the library's function, past our wrapper. Results are
 * verdicts and public: a scalar was in range, an encoding was a point.
 */
#include "test/ctime/ctime.h"
#include "test/ctime/poison.h"

#include <openssl/evp.h>
#include <secp256k1.h>
#include <secp256k1_ecdh.h>
#include <sodium.h>
#include <string.h>

int __real_secp256k1_context_randomize(secp256k1_context *ctx, const unsigned char *seed32);
int __real_secp256k1_ec_pubkey_create(const secp256k1_context *ctx, secp256k1_pubkey *pubkey,
                                      const unsigned char *seckey);
int __real_secp256k1_ecdh(const secp256k1_context *ctx, unsigned char *output,
                          const secp256k1_pubkey *pubkey, const unsigned char *seckey,
                          secp256k1_ecdh_hash_function hashfp, void *data);
int __real_crypto_core_ristretto255_from_hash(unsigned char *p, const unsigned char *r);
void __real_crypto_core_ristretto255_scalar_reduce(unsigned char *r, const unsigned char *s);
int __real_crypto_scalarmult_ristretto255_base(unsigned char *q, const unsigned char *n);
int __real_crypto_scalarmult_ristretto255(unsigned char *q, const unsigned char *n,
                                          const unsigned char *p);
int __real_sodium_memcmp(const void *a, const void *b, size_t n);
int __real_sodium_is_zero(const unsigned char *n, const size_t nlen);
int __real_crypto_sign_detached(unsigned char *sig, unsigned long long *siglen,
                                const unsigned char *m, unsigned long long mlen,
                                const unsigned char *sk);
int __real_crypto_aead_xchacha20poly1305_ietf_encrypt(
    unsigned char *c, unsigned long long *clen_p, const unsigned char *m, unsigned long long mlen,
    const unsigned char *ad, unsigned long long adlen, const unsigned char *nsec,
    const unsigned char *npub, const unsigned char *k);
int __real_crypto_auth_hmacsha256(unsigned char *out, const unsigned char *in,
                                  unsigned long long inlen, const unsigned char *k);
int __real_crypto_stream_chacha20(unsigned char *c, unsigned long long clen, const unsigned char *n,
                                  const unsigned char *k);
int __real_EVP_EncryptUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl,
                             const unsigned char *in, int inl);
int __real_EVP_DigestUpdate(EVP_MD_CTX *ctx, const void *d, size_t cnt);
int __real_EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *md, unsigned int *s);
int __real_EVP_DigestFinalXOF(EVP_MD_CTX *ctx, unsigned char *out, size_t outlen);

static int
verdict(int v)
{
    poison_public(&v, sizeof v);
    return v;
}

/* The poison came out at the other end, so that it was there on the way. */
static void
stayed_secret(const void *p, size_t n)
{
    must(!poison_watched() || poison_is_secret(p, n), "what a library makes of a secret");
}

static int
copy_point(unsigned char *out, const unsigned char *x32, const unsigned char *y32, void *data)
{
    (void)data;
    out[0] = 4;
    memcpy(out + 1, x32, 32);
    memcpy(out + 33, y32, 32);
    return 1;
}

static void
secp256k1(void)
{
    secp256k1_context *ctx = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
    uint8_t blind[32], key[32], out[65];
    secp256k1_pubkey P;

    draw(blind, sizeof blind);
    must(verdict(__real_secp256k1_context_randomize(ctx, blind)), "blinding");
    draw(key, sizeof key);
    must(verdict(__real_secp256k1_ec_pubkey_create(ctx, &P, key)), "k*G");
    stayed_secret(&P, sizeof P);
    poison_public(&P, sizeof P);
    draw(key, sizeof key);
    must(verdict(__real_secp256k1_ecdh(ctx, out, &P, key, copy_point, NULL)), "k*P");
    stayed_secret(out, sizeof out);
    secp256k1_context_destroy(ctx);
}

static void
ristretto(void)
{
    uint8_t wide[64], scalar[32], p[32], q[32];

    draw(wide, sizeof wide);
    __real_crypto_core_ristretto255_scalar_reduce(scalar, wide);
    must(verdict(__real_crypto_scalarmult_ristretto255_base(p, scalar)) == 0, "s*B");
    stayed_secret(p, sizeof p);
    poison_public(p, sizeof p);
    draw(wide, sizeof wide);
    __real_crypto_core_ristretto255_scalar_reduce(scalar, wide);
    must(verdict(__real_crypto_scalarmult_ristretto255(q, scalar, p)) == 0, "s*P");
    stayed_secret(q, sizeof q);
    (void)__real_crypto_core_ristretto255_from_hash(q, wide);
    must(verdict(__real_sodium_memcmp(p, q, 32)) != 0, "comparison");
    must(verdict(__real_sodium_is_zero(q, 32)) == 0, "zero");
}

static void
keys(void)
{
    uint8_t pk[32], sk[64], key[32], msg[100], sig[64], out[116], nonce[24] = {0};

    must(crypto_sign_keypair(pk, sk) == 0, "a key pair");
    poison_secret(sk, 32);
    memset(msg, 1, sizeof msg);
    must(verdict(__real_crypto_sign_detached(sig, NULL, msg, sizeof msg, sk)) == 0, "Ed25519");
    stayed_secret(sig + 32, 32);
    draw(key, sizeof key);
    draw(msg, sizeof msg);
    (void)__real_crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, msg, sizeof msg, NULL, 0,
                                                            NULL, nonce, key);
    (void)__real_crypto_auth_hmacsha256(out, msg, sizeof msg, key);
    (void)__real_crypto_stream_chacha20(out, sizeof out, nonce, key);
}

static void
openssl(void)
{
    static uint8_t in[4096], out[4096], md[64];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    EVP_MD_CTX *d = EVP_MD_CTX_new();
    const uint8_t key[16] = {3};
    int n = 0;

    must(c != NULL && d != NULL, "contexts");
    draw(in, sizeof in);
    must(EVP_EncryptInit_ex2(c, EVP_aes_128_ecb(), key, NULL, NULL) == 1 &&
             EVP_CIPHER_CTX_set_padding(c, 0) == 1,
         "AES");
    must(verdict(__real_EVP_EncryptUpdate(c, out, &n, in, sizeof in)) == 1, "AES of secrets");
    stayed_secret(out, sizeof out);
    const EVP_MD *const digest[2] = {EVP_sha256(), EVP_sha512()};
    for (int i = 0; i < 2; i++) {
        must(EVP_DigestInit_ex2(d, digest[i], NULL) == 1, "SHA-2");
        must(verdict(__real_EVP_DigestUpdate(d, in, 1000)) == 1, "SHA-2 of secrets");
        must(verdict(__real_EVP_DigestFinal_ex(d, md, NULL)) == 1, "SHA-2's end");
        stayed_secret(md, 32);
    }
    must(EVP_DigestInit_ex2(d, EVP_shake256(), NULL) == 1, "SHAKE");
    must(verdict(__real_EVP_DigestUpdate(d, in, 1000)) == 1, "SHAKE of secrets");
    must(verdict(__real_EVP_DigestFinalXOF(d, out, 200)) == 1, "SHAKE's end");
    stayed_secret(out, 200);
    EVP_CIPHER_CTX_free(c);
    EVP_MD_CTX_free(d);
}

void
drive_libraries(void)
{
    secp256k1();
    ristretto();
    keys();
    openssl();
}
