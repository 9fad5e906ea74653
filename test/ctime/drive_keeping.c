/* What a party keeps and where its secrets come from: key records, sealing, the platform's generator. */
#include "test/ctime/ctime.h"
#include "test/ctime/poison.h"

#include <pthread.h>
#include <string.h>

#include "enclave-shim/seal.h"
#include "enclave-shim/tee.h"
#include "protocol/base/hash.h"
#include "protocol/key.h"
#include "test/common/fakekey.h"

/* A record out and in again; a share of zero and one that does not fit are refused. */
static void
key_record(void)
{
    static uint8_t rec[QR_KEY_RECORD_MAX];
    const uint8_t same[32] = {5};
    struct fakekey fake;
    struct qr_key k = {.self = 1, .state = QR_KEY_ACTIVE}, back;

    fakekey_make(&fake, 2, 3, 1, same, same, same, 0);
    k.pub = fake.pub;
    draw_scalar(&k.share);
    size_t len = qr_key_encode(&k, rec);
    must(qr_key_decode(qr_view_of(rec, len), &back) == QR_OK, "a key record");
    must(qr_key_check_share(&back) == QR_ERR_SHARE, "a share of another key");
}

static void
sealing(void)
{
    struct qr_sec32 key;
    uint8_t plain[200], sealed[300], open[300];
    struct qr_buf out = qr_buf_over(sealed, sizeof sealed), in = qr_buf_over(open, sizeof open);
    const qr_view ad = qr_view_str("record 1");

    draw(&key, sizeof key);
    draw(plain, sizeof plain);
    must(qr_seal_blob(&key, secret_rng(), 0, ad, qr_view_of(plain, sizeof plain), &out) == QR_OK,
         "sealing");
    must(qr_unseal_blob(&key, 0, ad, qr_buf_view(&out), &in) == QR_OK && in.len == sizeof plain,
         "unsealing");
    sealed[100] ^= 1;
    in.len = 0;
    must(qr_unseal_blob(&key, 0, ad, qr_buf_view(&out), &in) == QR_ERR_SEAL, "a changed blob");
}

/* A thread that hashed a secret ends, and its contexts with it. */
static void *
hash_and_end(void *secret)
{
    uint8_t out[32];
    qr_sha256(qr_view_of(secret, 32), out);
    return NULL;
}

static void
thread(void)
{
    struct qr_sec32 s;
    pthread_t t;

    draw(&s, sizeof s);
    must(qr_declassify_sec32(&s, "a test") == s.b, "the door");
    must(pthread_create(&t, NULL, hash_and_end, s.b) == 0 && pthread_join(t, NULL) == 0, "thread");
}

/* A secret key of HMAC, which key derivation and the generator use. */
static void
mac(void)
{
    uint8_t key[32], out[64];

    draw(key, sizeof key);
    qr_hmac_sha512(qr_view_of(key, sizeof key), qr_view_str("message"), out);
    must(poison_watched() == 0 || poison_is_secret(out, sizeof out), "a MAC stays secret");
}

void
drive_keeping(void)
{
    key_record();
    sealing();
    mac();
    thread();
}
