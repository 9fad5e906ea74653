/*
 * The boundary to libsecp256k1. Constant-time functions get their inputs made public for the call and
 * their results marked as their inputs were; functions that vary in time must get nothing secret.
 */
#include "test/ctime/wrap.h"

#include <secp256k1.h>
#include <secp256k1_ecdh.h>
#include <secp256k1_recovery.h>

#include "protocol/base/check.h"

WRAPPED(int, secp256k1_context_randomize, (secp256k1_context * ctx, const unsigned char *seed32))
{
    CROSS("secp256k1_context_randomize");
    struct hold h;
    (void)poison_hold(&h, seed32, 32);
    int ok = __real_secp256k1_context_randomize(ctx, seed32);
    poison_release(&h);
    return ok;
}

WRAPPED(int, secp256k1_ec_pubkey_create,
        (const secp256k1_context *ctx, secp256k1_pubkey *pubkey, const unsigned char *seckey))
{
    CROSS("secp256k1_ec_pubkey_create");
    struct hold h;
    int secret = poison_hold(&h, seckey, 32);
    int ok = __real_secp256k1_ec_pubkey_create(ctx, pubkey, seckey);
    poison_release(&h);
    poison_output(pubkey, sizeof *pubkey, secret);
    return ok;
}

/* Our hash function sees secret coordinates: it is part of what is tested. */
struct copied {
    secp256k1_ecdh_hash_function real;
    void *data;
    int secret;
};

static int
hash_secret(unsigned char *out, const unsigned char *x32, const unsigned char *y32, void *data)
{
    const struct copied *c = data;
    unsigned char x[32], y[32];

    for (int i = 0; i < 32; i++) {
        x[i] = x32[i];
        y[i] = y32[i];
    }
    poison_output(x, sizeof x, c->secret);
    poison_output(y, sizeof y, c->secret);
    return c->real(out, x, y, c->data);
}

/* Its hash function writes 65 bytes: a whole point (protocol/group.c). */
WRAPPED(int, secp256k1_ecdh,
        (const secp256k1_context *ctx, unsigned char *output, const secp256k1_pubkey *pubkey,
         const unsigned char *seckey, secp256k1_ecdh_hash_function hashfp, void *data))
{
    CROSS("secp256k1_ecdh");
    struct hold point, key;
    int secret = poison_hold(&point, pubkey, sizeof *pubkey);
    secret |= poison_hold(&key, seckey, 32);
    struct copied c = {hashfp, data, secret};
    int ok = __real_secp256k1_ecdh(ctx, output, pubkey, seckey, hash_secret, &c);
    poison_release(&key);
    poison_release(&point);
    poison_output(output, 65, secret);
    return ok;
}

WRAPPED(int, secp256k1_ec_pubkey_parse,
        (const secp256k1_context *ctx, secp256k1_pubkey *pubkey, const unsigned char *input,
         size_t inputlen))
{
    CROSS("secp256k1_ec_pubkey_parse");
    struct hold h;
    int secret = poison_hold(&h, input, inputlen);
    int ok = __real_secp256k1_ec_pubkey_parse(ctx, pubkey, input, inputlen);
    poison_release(&h);
    poison_output(pubkey, sizeof *pubkey, secret);
    return ok;
}

WRAPPED(int, secp256k1_ec_pubkey_serialize,
        (const secp256k1_context *ctx, unsigned char *output, size_t *outputlen,
         const secp256k1_pubkey *pubkey, unsigned int flags))
{
    CROSS("secp256k1_ec_pubkey_serialize");
    struct hold h;
    int secret = poison_hold(&h, pubkey, sizeof *pubkey);
    int ok = __real_secp256k1_ec_pubkey_serialize(ctx, output, outputlen, pubkey, flags);
    poison_release(&h);
    poison_output(outputlen, sizeof *outputlen, 0);
    poison_output(output, *outputlen, secret);
    return ok;
}

WRAPPED(int, secp256k1_ec_pubkey_combine,
        (const secp256k1_context *ctx, secp256k1_pubkey *out, const secp256k1_pubkey *const *ins,
         size_t n))
{
    CROSS("secp256k1_ec_pubkey_combine");
    struct hold h[64];
    int secret = 0;
    QR_ASSERT(n <= 64);
    for (size_t i = 0; i < n; i++)
        secret |= poison_hold(&h[i], ins[i], sizeof *ins[i]);
    int ok = __real_secp256k1_ec_pubkey_combine(ctx, out, ins, n);
    for (size_t i = n; i > 0; i--)
        poison_release(&h[i - 1]);
    poison_output(out, sizeof *out, secret);
    return ok;
}

WRAPPED(int, secp256k1_ec_pubkey_negate, (const secp256k1_context *ctx, secp256k1_pubkey *pubkey))
{
    CROSS("secp256k1_ec_pubkey_negate");
    struct hold h;
    int secret = poison_hold(&h, pubkey, sizeof *pubkey);
    int ok = __real_secp256k1_ec_pubkey_negate(ctx, pubkey);
    poison_release(&h);
    poison_output(pubkey, sizeof *pubkey, secret);
    return ok;
}

/* ---- variable in time --------------------------------------------------------------------- */

WRAPPED(int, secp256k1_ec_pubkey_tweak_mul,
        (const secp256k1_context *ctx, secp256k1_pubkey *pubkey, const unsigned char *tweak32))
{
    CROSS("secp256k1_ec_pubkey_tweak_mul");
    poison_must_be_public(pubkey, sizeof *pubkey);
    poison_must_be_public(tweak32, 32);
    return __real_secp256k1_ec_pubkey_tweak_mul(ctx, pubkey, tweak32);
}

WRAPPED(int, secp256k1_ec_pubkey_tweak_add,
        (const secp256k1_context *ctx, secp256k1_pubkey *pubkey, const unsigned char *tweak32))
{
    CROSS("secp256k1_ec_pubkey_tweak_add");
    poison_must_be_public(pubkey, sizeof *pubkey);
    poison_must_be_public(tweak32, 32);
    return __real_secp256k1_ec_pubkey_tweak_add(ctx, pubkey, tweak32);
}

WRAPPED(int, secp256k1_ecdsa_verify,
        (const secp256k1_context *ctx, const secp256k1_ecdsa_signature *sig,
         const unsigned char *msghash32, const secp256k1_pubkey *pubkey))
{
    CROSS("secp256k1_ecdsa_verify");
    poison_must_be_public(sig, sizeof *sig);
    poison_must_be_public(msghash32, 32);
    poison_must_be_public(pubkey, sizeof *pubkey);
    return __real_secp256k1_ecdsa_verify(ctx, sig, msghash32, pubkey);
}

WRAPPED(int, secp256k1_ecdsa_signature_parse_compact,
        (const secp256k1_context *ctx, secp256k1_ecdsa_signature *sig,
         const unsigned char *input64))
{
    CROSS("secp256k1_ecdsa_signature_parse_compact");
    poison_must_be_public(input64, 64);
    int ok = __real_secp256k1_ecdsa_signature_parse_compact(ctx, sig, input64);
    poison_output(sig, sizeof *sig, 0);
    return ok;
}

WRAPPED(int, secp256k1_ecdsa_recoverable_signature_parse_compact,
        (const secp256k1_context *ctx, secp256k1_ecdsa_recoverable_signature *sig,
         const unsigned char *input64, int recid))
{
    CROSS("secp256k1_ecdsa_recoverable_signature_parse_compact");
    poison_must_be_public(input64, 64);
    int ok = __real_secp256k1_ecdsa_recoverable_signature_parse_compact(ctx, sig, input64, recid);
    poison_output(sig, sizeof *sig, 0);
    return ok;
}

WRAPPED(int, secp256k1_ecdsa_recover,
        (const secp256k1_context *ctx, secp256k1_pubkey *pubkey,
         const secp256k1_ecdsa_recoverable_signature *sig, const unsigned char *msghash32))
{
    CROSS("secp256k1_ecdsa_recover");
    poison_must_be_public(sig, sizeof *sig);
    poison_must_be_public(msghash32, 32);
    int ok = __real_secp256k1_ecdsa_recover(ctx, pubkey, sig, msghash32);
    poison_output(pubkey, sizeof *pubkey, 0);
    return ok;
}
