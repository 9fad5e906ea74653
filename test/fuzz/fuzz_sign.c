/*
 * One online signature of two parties: inputs, sets and paths that a script gives, shares that it
 * changes.
 *
 * Must hold: what combine returns verifies under the derived key, also by OpenSSL; unchanged shares
 * over equal inputs combine; an error leaves zeros; a presignature is gone after one use, whatever
 * became of it.
 */
#include "protocol/derive.h"
#include "test/fuzz/kit_quorum.h"

static struct quorum *q;
static struct qr_presig presig[2];

static void
prepare(void)
{
    static const uint16_t S[2] = {1, 3};

    q = quorum_new(3, 2, "fuzz sign");
    FUZZ_MUST(quorum_pairs(q, S, 2) == QR_OK && quorum_dkg(q) == QR_OK);
    FUZZ_MUST(quorum_presign(q, S, 2, 4) == QR_OK);
    presig[0] = q->party[1].presig[0];
    presig[1] = q->party[3].presig[0];
}

static int
zeros(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++) {
        any |= b[i];
    }
    return any == 0;
}

/* One party's idea of what is to be signed. */
struct idea {
    uint16_t S[QR_MAX_PARTIES], item;
    size_t t, depth;
    uint32_t path[QR_PATH_MAX + 1];
    uint8_t request[32], rq[32], digest[32];
};

static void
change(struct fuzz_in *in, struct idea *x)
{
    uint8_t op = fuzz_u8(in);
    switch (op & 7) {
    case 0:
        x->t = op >> 3 & 3u;
        for (size_t i = 0; i < x->t; i++) {
            x->S[i] = fuzz_u8(in);
        }
        break;
    case 1:
        x->depth = (op >> 3) % (QR_PATH_MAX + 2);
        for (size_t i = 0; i < x->depth && i <= QR_PATH_MAX; i++) {
            x->path[i] = fuzz_u32(in);
        }
        break;
    case 2:
        fuzz_flip(in, x->digest, 32);
        break;
    case 3:
        fuzz_flip(in, x->request, 32);
        break;
    case 4:
        fuzz_flip(in, x->rq, 32);
        break;
    case 5:
        x->item = fuzz_u16(in);
        break;
    case 6:
        memset(x->digest, op & 0x80 ? 0xff : 0, 32);
        break;
    default:
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = fuzz_in_of(data, size);
    struct idea idea[2] = {{.S = {1, 3}, .t = 2}};
    struct qr_sign_common c[2];
    struct qr_sign_item item[2];
    uint8_t share[2][QR_SIGN_SHARE_LEN], sig[64], pk[33];
    const uint8_t *const shares[2] = {share[0], share[1]};
    struct qr_presig mine[2];
    uint16_t blame = 0;
    int recid = 0, touched = 0;

    if (!q) {
        fuzz_prepare(1);
        prepare();
        fuzz_prepare(0);
    }
    for (uint8_t n = fuzz_u8(&in) & 7u; n > 0; n--) {
        change(&in, &idea[0]);
    }
    idea[1] = idea[0];
    uint8_t how = fuzz_u8(&in);
    if (how & 1) {
        change(&in, &idea[1]);
    }
    mine[0] = presig[0];
    mine[1] = presig[1];
    for (int i = 0; i < 2; i++) {
        const struct idea *x = &idea[i];
        const struct qr_key_pub *key = &q->party[i ? 3 : 1].key.pub;
        if (qr_sign_prepare(key, x->S, x->t, x->request, x->rq, x->path, x->depth, &c[i]) !=
            QR_OK) {
            return 0;
        }
        qr_err e = qr_sign_share(&c[i], x->digest, x->item, &mine[i], share[i], &item[i]);
        FUZZ_MUST(zeros(&mine[i], sizeof mine[i]));
        if (e != QR_OK) {
            FUZZ_MUST(e == QR_ERR_SET && zeros(share[i], sizeof share[i]));
            return 0;
        }
        FUZZ_MUST(qr_sign_share(&c[i], x->digest, x->item, &mine[i], (uint8_t[96]){0}, &item[i]) ==
                  QR_ERR_CONSUMED);
        /* the second call cleared the item; once more from a fresh copy */
        mine[i] = presig[i];
        FUZZ_MUST(qr_sign_share(&c[i], x->digest, x->item, &mine[i], share[i], &item[i]) == QR_OK);
    }
    for (uint8_t n = how >> 1 & 3u; n > 0; n--) {
        fuzz_flip(&in, share[how >> 7], QR_SIGN_SHARE_LEN);
        touched = 1;
    }
    if (how & 0x10) {
        qr_view v = fuzz_bytes(&in);
        memcpy(share[1], v.p, v.len < QR_SIGN_SHARE_LEN ? v.len : QR_SIGN_SHARE_LEN);
        touched = 1;
    }
    memset(sig, 0xee, sizeof sig);
    qr_err e = qr_sign_combine(&c[0], &item[0], shares, sig, &recid, &blame);
    if (e == QR_OK) {
        const struct qr_key_pub *key = &q->party[1].key.pub;
        qr_pt root, child;
        qr_fq tau;
        FUZZ_MUST(recid >= 0 && recid <= 3);
        FUZZ_MUST(qr_pt_parse(&root, key->pk) == QR_OK);
        FUZZ_MUST(qr_derive(&root, key->cc, idea[0].path, idea[0].depth, &child, &tau, NULL) ==
                  QR_OK);
        qr_pt_put(pk, &child);
        FUZZ_MUST(quorum_openssl_verify(pk, idea[0].digest, sig));
    } else {
        FUZZ_MUST(zeros(sig, sizeof sig));
        FUZZ_MUST(touched || memcmp(&idea[0], &idea[1], sizeof idea[0]) != 0);
        FUZZ_MUST(e != QR_ERR_SID || blame == 3 || blame == 1);
    }
    return 0;
}
