/*
 * Manifests and their signature lines. A manifest that is read has dated, named sets that are not
 * zero; lines that the fuzzer writes are no signature of a key that it does not have.
 */
#include "enclave-shim/verify/manifest.h"
#include "test/fuzz/fuzz.h"

#include <openssl/ec.h>
#include <openssl/evp.h>

static void
read_manifest(qr_view v, char why[static QR_ERR_TEXT_MAX])
{
    struct qr_manifest *m = NULL;

    if (qr_manifest_parse(v, &m, why, QR_ERR_TEXT_MAX) != QR_OK) {
        FUZZ_MUST(!m && why[0]);
        return;
    }
    FUZZ_MUST(qr_manifest_n(m) > 0 && qr_manifest_release(m)[0]);
    FUZZ_MUST(!qr_manifest_revokes(m, qr_manifest_release(m)));
    FUZZ_MUST(qr_view_eq(qr_manifest_text(m), v) && qr_manifest_source(m)[39]);
    FUZZ_MUST(qr_manifest_recipe(m) && qr_manifest_sha256(m) && !qr_manifest_superseded(m, 99));
    for (size_t i = 0; qr_manifest_revoked(m, i); i++) {
        FUZZ_MUST(qr_manifest_revokes(m, qr_manifest_revoked(m, i)));
    }
    const struct qr_min_tcb *least = qr_manifest_min_tcb(m, qr_view_str("Milan"));
    FUZZ_MUST(!least || (least->line > 0 && !least->has_fmc));
    FUZZ_MUST(qr_manifest_min_evaluation(m) <= UINT32_MAX);
    for (size_t i = 0; i < qr_manifest_n(m); i++) {
        const struct qr_measurement *x = qr_manifest_get(m, i);
        FUZZ_MUST(x->from_ms >= qr_manifest_from_ms(m) && x->from_ms < x->until_ms &&
                  x->until_ms <= qr_manifest_until_ms(m));
        FUZZ_MUST(x->n > 0 && x->n <= QR_EXPECT_MAX && x->line > 0);
        for (size_t k = 0; k < x->n; k++) {
            unsigned any = 0;
            for (size_t b = 0; b < x->expect[k].len; b++) {
                any |= x->expect[k].bytes[b];
            }
            FUZZ_MUST(any != 0);
        }
    }
    qr_manifest_free(m);
}

static void
read_lines(qr_view v, char why[static QR_ERR_TEXT_MAX])
{
    /* Two keys whose private halves were thrown away. */
    static const char ed[] = "1e7ecfc9b4939961d0de6b9ad09aa42642fdd8b7f48cdac657b7df7e88b3b8ec";
    static const char p256[] = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    static struct qr_release_signers s;
    unsigned mask = 7;

    if (s.n == 0) {
        s.need = 1;
        s.n = 2;
        qr_err e = qr_release_key_read(qr_view_str("p256"), qr_view_str(p256), &s.key[1]);
        qr_err f = qr_release_key_read(qr_view_str("ed25519"), qr_view_str(ed), &s.key[0]);
        FUZZ_MUST(e == QR_OK && (f == QR_OK || f == QR_ERR_POINT));
    }
    FUZZ_MUST(qr_manifest_verify(qr_view_str("text"), v, &s, &mask, why, QR_ERR_TEXT_MAX) != QR_OK);
    FUZZ_MUST(mask == 7 && why[0]);
}

/*
 * A good line of a key of ours, of either kind; a changed character, or other bytes, make it a
 * bad one.
 */
static void
own_line(const uint8_t *data, size_t size, char why[static QR_ERR_TEXT_MAX])
{
    static EVP_PKEY *key[2];
    static struct qr_release_signers s;
    char line[QR_SIGNATURE_LINE_MAX], twice[2 * QR_SIGNATURE_LINE_MAX];
    unsigned which = fuzz_choice(&data, &size, 2), how = fuzz_choice(&data, &size, 4), mask = 0;
    size_t at = fuzz_choice(&data, &size, 192);
    qr_view v = qr_view_of(data, size);

    if (!key[0]) {
        key[0] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        key[1] = EVP_EC_gen("P-256");
    }
    s = (struct qr_release_signers){.need = 1, .n = 1};
    FUZZ_MUST(key[0] && key[1] && qr_manifest_sign(key[which], v, line) == QR_OK);
    size_t scheme = strcspn(line, " "), hex = strcspn(line + scheme + 1, " ");
    FUZZ_MUST(qr_release_key_read(qr_view_of(line, scheme), qr_view_of(line + scheme + 1, hex),
                                  &s.key[0]) == QR_OK);
    memcpy(s.key[0].name, "own", 4);
    if (how == 1) {
        line[at] = line[at] == '0' ? '1' : '0';
    } else if (how == 2) {
        v = qr_view_str("something else");
    }
    (void)snprintf(twice, sizeof twice, "%s%s", line, how == 3 ? line : "");
    qr_err e = qr_manifest_verify(v, qr_view_str(twice), &s, &mask, why, QR_ERR_TEXT_MAX);
    int same = how == 2 && size == v.len && memcmp(data, v.p, size) == 0;
    FUZZ_MUST((e == QR_OK) == (how == 0 || same));
    FUZZ_MUST(mask == (e == QR_OK ? 1u : 0u));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[QR_ERR_TEXT_MAX] = "", date[21];
    unsigned which = fuzz_choice(&data, &size, 4);
    qr_view v = qr_view_of(data, size);
    int64_t ms = 0;

    if (which == 0) {
        read_manifest(v, why);
    } else if (which == 1) {
        read_lines(v, why);
    } else if (which == 3) {
        own_line(data, size, why);
    } else if (qr_time_parse(v, &ms) == QR_OK) {
        qr_time_print(ms, date);
        FUZZ_MUST(qr_view_eq(v, qr_view_str(date)));
    }
    fuzz_text(why, sizeof why);
    return 0;
}
