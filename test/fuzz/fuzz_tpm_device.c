/*
 * What comes from a TPM, or lies on the host for one. The first byte chooses: the framing of answers, in
 * pieces; a release statement; a sealed secret; a statement's fields that a release key signs.
 *
 * Beyond "no crash": a frame is whole exactly when its length is there, whatever the pieces; a statement
 * that is accepted is signed by the key and means what its bytes say; a blob that is read is written to
 * the same bytes; refusals are printable.
 */
#include "enclave-shim/tpm/tpm_blob.h"
#include "enclave-shim/tpm/tpm_int.h"
#include "enclave-shim/tpm/tpm_seal.h"
#include "protocol/base/hash.h"
#include "test/common/tpmrel.h"
#include "test/fuzz/kit.h"
#include "test/fuzz/kit_tpm_seeds.h"

static void
frame(struct fuzz_in *in)
{
    static uint8_t answer[2 * QR_TPM_ANSWER_MAX];
    size_t have = 0, len = 0;

    while (in->len > 0 && have < QR_TPM_ANSWER_MAX) {
        qr_view piece = fuzz_bytes(in);
        size_t n = piece.len < QR_TPM_ANSWER_MAX ? piece.len : QR_TPM_ANSWER_MAX;
        memcpy(answer + have, piece.p, n);
        have += n;
        qr_err e = qr_tcti_frame(qr_view_of(answer, have), &len);
        if (e != QR_OK) {
            FUZZ_MUST(have >= 10);
            return;
        }
        FUZZ_MUST((len == 0) == (have < 10));
        FUZZ_MUST(len == 0 || (len >= 10 && len <= QR_TPM_ANSWER_MAX && have <= len));
    }
}

static void
statement(const struct tpmrel *rel, qr_view bytes)
{
    const struct qr_tpm_release r = {rel->r.key, bytes};
    struct qr_tpm_statement s;
    char why[256] = "";

    qr_err e = qr_tpm_statement_read(&r, &s, why, sizeof why);
    FUZZ_MUST(e == QR_OK || why[0]);
    fuzz_text(why, sizeof why);
    if (e == QR_OK) { /* nobody but the key made it: it is the seed's */
        FUZZ_MUST(s.release >= 1 && s.release <= QR_TPM_RELEASE_MAX && s.mask != 0);
    }
}

static void
blob(qr_view bytes)
{
    uint8_t mem[QR_TPM_WRAPPED_MAX];
    struct qr_buf out = qr_buf_over(mem, sizeof mem);
    struct qr_tpm_blob o;

    if (qr_tpm_blob_read(bytes, &o) != QR_OK) {
        return;
    }
    FUZZ_MUST(o.secret.p + o.secret.len == bytes.p + bytes.len);
    qr_tpm_blob_write_head(&o, &out);
    FUZZ_MUST(out.err == QR_OK && qr_view_eq(qr_buf_view(&out), o.head));
    FUZZ_MUST(o.head.len + 2 + o.secret.len == bytes.len);
}

/* Any release and PCRs: what is signed reads back; one bit changed does not. */
static void
signed_fields(struct tpmrel *rel, struct fuzz_in *in)
{
    uint8_t pcr[QR_TPM_PCRS][32] = {{0}};
    struct qr_tpm_statement s = {.release = fuzz_u32(in), .mask = fuzz_u32(in)}, back;
    uint8_t mem[QR_TPM_STATEMENT_MAX];
    struct qr_buf b = qr_buf_over(mem, sizeof mem);

    for (size_t i = 0; i < QR_TPM_PCRS && in->len > 0; i++) {
        pcr[i][fuzz_u8(in) % 32] = fuzz_u8(in);
        if (s.mask >> i & 1) {
            memcpy(s.pcr[i], pcr[i], 32);
        }
    }
    int fits = s.release >= 1 && s.release <= QR_TPM_RELEASE_MAX && s.mask != 0 &&
               s.mask < 1u << QR_TPM_PCRS;
    qr_err e = qr_tpm_statement_sign(&s, rel->key, &b);
    FUZZ_MUST((e == QR_OK) == fits);
    if (e != QR_OK) {
        return;
    }
    const struct qr_tpm_release r = {rel->r.key, qr_buf_view(&b)};
    FUZZ_MUST(qr_tpm_statement_read(&r, &back, NULL, 0) == QR_OK);
    FUZZ_MUST(back.release == s.release && back.mask == s.mask &&
              memcmp(back.pcr, s.pcr, sizeof s.pcr) == 0);
    mem[fuzz_u16(in) % b.len] ^= (uint8_t)(1u << (fuzz_u8(in) % 8));
    FUZZ_MUST(qr_tpm_statement_read(&r, &back, NULL, 0) != QR_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tpmrel rel;

    if (!rel.key) {
        FUZZ_MUST(qr_hash_init() == QR_OK);
        fuzz_tpm_release(&rel);
    }
    unsigned mode = fuzz_choice(&data, &size, 4);
    struct fuzz_in in = fuzz_in_of(data, size);
    switch (mode) {
    case 0:
        frame(&in);
        break;
    case 1:
        statement(&rel, qr_view_of(data, size));
        break;
    case 2:
        blob(qr_view_of(data, size));
        break;
    default:
        signed_fields(&rel, &in);
        break;
    }
    return 0;
}
