/* What a party keeps and where its secrets come from: key records, sealing, the platform's generator. */
#include "test/ctime/ctime.h"
#include "test/ctime/poison.h"

#include <pthread.h>
#include <string.h>

#include "daemon/sharing.h"
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

static qr_err
derive(void *ctx, uint32_t epoch, const char *label, qr_view ad, struct qr_sec32 *ret)
{
    (void)ctx, (void)epoch, (void)label, (void)ad;
    draw(ret, sizeof *ret);
    return QR_OK;
}

/* A secret in pieces: dealt, taken back, a wrong one refused, a lost one made again, a key out of it. */
static void
sharing(void)
{
    const uint8_t id[32] = {3};
    const struct qr_tee tee = {.derive = derive};
    struct qr_sharing s = {.epoch = 4, .owner = 1, .need = 2, .n = 3};
    struct qr_shamir_point p[2], back[2];
    struct qr_piece piece, again;
    struct qr_sec32 key, same;
    uint8_t rec[QR_PIECE_RECORD_LEN], blob[300], open[300];
    struct qr_buf out = qr_buf_over(blob, sizeof blob), in = qr_buf_over(open, sizeof open);

    for (uint16_t i = 0; i < s.n; i++)
        s.holder[i].index = (uint16_t)(i + 2);
    must(qr_sharing_draw(&s, secret_rng(), id, p) == QR_OK, "a sharing");
    for (size_t i = 0; i < 2; i++) {
        must(qr_sharing_piece(&s, p, id, i, &piece) == QR_OK, "a piece");
        qr_piece_encode(&piece, rec);
        must(qr_piece_decode(qr_view_of(rec, sizeof rec), &again) == QR_OK, "a holder's record");
        must(qr_sharing_take(&s, id, i, &again, &back[i]) == QR_OK, "a piece that came back");
    }
    again.y.b[0] ^= 1;
    must(qr_sharing_take(&s, id, 1, &again, &back[1]) == QR_ERR_COMMITMENT, "a wrong piece");
    must(qr_shamir_at(back, 2, 4, &same) == QR_OK, "a lost piece");
    must(qr_sharing_key(&s, back, &tee, id, &key) == QR_OK, "a share-sealing key");
    must(qr_sharing_seal(&key, secret_rng(), 4, id, "k", qr_view_of(rec, 100), &out) == QR_OK &&
             qr_sharing_unseal(&key, 4, id, "k", qr_buf_view(&out), &in) == QR_OK,
         "a record under it");
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
    sharing();
    mac();
    thread();
}
