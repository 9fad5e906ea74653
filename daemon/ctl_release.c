/* quorate image release: the statement by which a release's image may open what is sealed to its key. */
#include "daemon/ctl.h"

#include "daemon/jsonw.h"
#include "enclave-shim/tpm/tpm_release.h"
#include "proto/json_strict.h"
#include "protocol/base/enc.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>

#define PCRS_JSON_MAX 16384u
#define SPKI_MAX 256u
#define MEMBER "quote.pcrs." /* the claim, as manifests and `image uki measure` have it */

/* ---- PCR values: --pcr 4=HEX, and the JSON of `image uki measure` ---- */

/* "4" to "23", without leading zeros; -1: no such PCR. */
static int
pcr_number(qr_view v)
{
    int n = 0;

    if (v.len < 1 || v.len > 2 || (v.len == 2 && v.p[0] == '0')) {
        return -1;
    }
    for (size_t i = 0; i < v.len; i++) {
        if (v.p[i] < '0' || v.p[i] > '9') {
            return -1;
        }
        n = n * 10 + (v.p[i] - '0');
    }
    return n < (int)QR_TPM_PCRS ? n : -1;
}

static int
add_pcr(const struct qr_ctl *c, const char *from, qr_view number, qr_view hex,
        struct qr_tpm_statement *s)
{
    int n = pcr_number(number);

    if (n < 0) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: \"%.*s\" is no PCR; expected 0 to %u", from,
                           (int)(number.len < 8 ? number.len : 8), (const char *)number.p,
                           QR_TPM_PCRS - 1);
    }
    if (s->mask >> n & 1) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: PCR %d is given twice", from, n);
    }
    if (hex.len != 64 || qr_hex_decode((const char *)hex.p, hex.len, s->pcr[n], 32) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG,
                           "%s: PCR %d is not 64 digits of lower-case hex (SHA-256 bank)", from, n);
    }
    s->mask |= 1u << n;
    return QR_EXIT_OK;
}

static int
add_option(const struct qr_ctl *c, const char *text, struct qr_tpm_statement *s)
{
    const char *eq = strchr(text, '=');

    if (!eq) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--pcr %s: expected NUMBER=HEX", text);
    }
    return add_pcr(c, "--pcr", qr_view_of(text, (size_t)(eq - text)), qr_view_str(eq + 1), s);
}

/* Members "quote.pcrs.4" and so on; what else the document says is not this command's business. */
static int
add_json(const struct qr_ctl *c, const char *path, struct qr_tpm_statement *s)
{
    char err[QR_ERR_TEXT_MAX] = "";
    struct qr_dbuf d;
    struct qr_json j;
    uint32_t before = s->mask;

    int code = qr_ctl_read(c, path, PCRS_JSON_MAX, &d);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_err e = qr_json_parse(&j, qr_view_of(d.p, d.len), 256, err, sizeof err);
    if (e == QR_OK) {
        struct qr_json_at root = qr_json_root(&j);
        size_t n = qr_json_size(&root);
        for (size_t i = 0; i < n && code == QR_EXIT_OK && e == QR_OK; i++) {
            struct qr_json_at m = qr_json_member(&root, i);
            qr_view hex = {NULL, 0};
            const struct qr_json_field f = {.type = QR_JSON_TEXT, .ret = &hex, .max = 64};
            if (strncmp(m.name, MEMBER, sizeof MEMBER - 1) != 0) {
                continue;
            }
            e = qr_json_value(&m, &f);
            if (e == QR_OK) {
                code = add_pcr(c, path, qr_view_str(m.name + sizeof MEMBER - 1), hex, s);
            }
        }
        qr_json_clear(&j);
    }
    qr_dbuf_free(&d);
    if (e != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", path, err[0] ? err : qr_err_text(e));
    }
    if (code == QR_EXIT_OK && s->mask == before) {
        code =
            qr_ctl_fail(c, QR_EXIT_CONFIG,
                        "%s names no PCR (\"quote.pcrs.4\" and so on); quorate image uki measure "
                        "--json writes such a file",
                        path);
    }
    return code;
}

/* ---- image release sign ---- */

static int
write_statement(const struct qr_ctl *c, const struct qr_tpm_statement *s, EVP_PKEY *k,
                const char *out)
{
    uint8_t mem[QR_TPM_STATEMENT_MAX];
    struct qr_buf b = qr_buf_over(mem, sizeof mem);

    qr_err e = qr_tpm_statement_sign(s, k, &b);
    if (e == QR_ERR_USAGE) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG,
                           "the release key must be P-256; quorate key new "
                           "makes one");
    }
    return e == QR_OK ? qr_ctl_write(c, out, qr_buf_view(&b), 0644)
                      : qr_ctl_fail(c, QR_EXIT_INTERNAL, "signing: %s", qr_err_text(e));
}

static int
release_sign(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    const char *key = NULL, *out = NULL;
    unsigned long release = 0;
    struct qr_ctl_list pcrs = {.n = 0}, files = {.n = 0}, rest;
    struct qr_tpm_statement s = {0};
    EVP_PKEY *k = NULL;
    const struct qr_ctl_opt opts[] = {
        {"key", QR_CTL_TEXT, &key, "FILE", "the release key (quorate key new)", 1, 0},
        {"release", QR_CTL_NUMBER, &release, "N", "its number; each release has a higher one", 1,
         QR_TPM_RELEASE_MAX},
        {"pcrs", QR_CTL_MANY, &files, "FILE", "the image's values, JSON of image uki measure", 0,
         0},
        {"pcr", QR_CTL_MANY, &pcrs, "N=HEX", "one value more; repeat it", 0, 0},
        {"out", QR_CTL_TEXT, &out, "FILE", "the statement; lies beside the image, not in it", 1, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 0, 0);
    if (code >= 0) {
        return code;
    }
    code = QR_EXIT_OK;
    for (size_t i = 0; i < files.n && code == QR_EXIT_OK; i++) {
        code = add_json(c, files.v[i], &s);
    }
    for (size_t i = 0; i < pcrs.n && code == QR_EXIT_OK; i++) {
        code = add_option(c, pcrs.v[i], &s);
    }
    if (code == QR_EXIT_OK && s.mask == 0) {
        code = qr_ctl_fail(c, QR_EXIT_USAGE, "a statement needs at least one PCR: --pcrs or --pcr");
    }
    s.release = release;
    if (code == QR_EXIT_OK) {
        code = qr_ctl_load_key(c, key, &k);
    }
    if (code == QR_EXIT_OK) {
        code = write_statement(c, &s, k, out);
        EVP_PKEY_free(k);
    }
    return code;
}

/* ---- image release key ---- */

static int
release_key(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    const char *out = NULL;
    struct qr_ctl_list rest;
    EVP_PKEY *k = NULL;
    uint8_t spki[SPKI_MAX], public_area[QR_TPM_RELEASE_PUBLIC_LEN], name[QR_TPM_NAME_LEN];
    uint8_t *p = spki;
    char hex[2 * QR_TPM_NAME_LEN + 1];
    const struct qr_ctl_opt opts[] = {
        {"out", QR_CTL_TEXT, &out, "FILE", "the public key, DER, for the image", 1, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    code = qr_ctl_load_key(c, rest.v[0], &k);
    if (code != QR_EXIT_OK) {
        return code;
    }
    int n = i2d_PUBKEY(k, NULL);
    qr_view v = {spki, 0};
    if (n > 0 && (size_t)n <= sizeof spki) {
        v.len = (size_t)i2d_PUBKEY(k, &p);
    }
    EVP_PKEY_free(k);
    if (qr_tpm_release_key(v, public_area, name) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: the release key must be P-256", rest.v[0]);
    }
    code = qr_ctl_write(c, out, v, 0644);
    if (code == QR_EXIT_OK && strcmp(out, "-") != 0) {
        qr_hex_encode(qr_view_of(name, sizeof name), hex);
        printf(c->json ? "{\"tpm_name\":\"%s\"}\n" : "%s\n", hex);
    }
    return code;
}

/* ---- image release show ---- */

static int
print_statement(const struct qr_ctl *c, const struct qr_tpm_statement *s)
{
    char hex[65], number[8];
    struct qr_dbuf d;

    if (!c->json) {
        printf("release %llu\n", (unsigned long long)s->release);
        for (unsigned i = 0; i < QR_TPM_PCRS; i++) {
            if (s->mask >> i & 1) {
                qr_hex_encode(qr_view_of(s->pcr[i], 32), hex);
                printf("PCR%u %s\n", i, hex);
            }
        }
        return QR_EXIT_OK;
    }
    qr_dbuf_init(&d, PCRS_JSON_MAX);
    struct qr_jsonw w = qr_jsonw_to(&d);
    qr_jsonw_raw(&w, "{\"release\":");
    qr_jsonw_u64(&w, s->release);
    for (unsigned i = 0; i < QR_TPM_PCRS; i++) {
        if (s->mask >> i & 1) {
            (void)snprintf(number, sizeof number, "%u", i);
            qr_jsonw_raw(&w, ",\"" MEMBER);
            qr_jsonw_raw(&w, number);
            qr_jsonw_raw(&w, "\":");
            qr_jsonw_hex(&w, s->pcr[i], 32);
        }
    }
    qr_jsonw_raw(&w, "}");
    int code = w.err == QR_OK ? qr_ctl_emit(c, qr_view_of(d.p, d.len))
                              : qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
    qr_dbuf_free(&d);
    return code;
}

static int
release_show(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    const char *key = NULL;
    char err[QR_ERR_TEXT_MAX] = "";
    struct qr_ctl_list rest;
    struct qr_dbuf spki = {0}, text = {0};
    struct qr_tpm_statement s;
    const struct qr_ctl_opt opts[] = {
        {"key", QR_CTL_TEXT, &key, "FILE", "the image's release key (image release key)", 1, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    code = qr_ctl_read(c, key, SPKI_MAX, &spki);
    if (code == QR_EXIT_OK) {
        code = qr_ctl_read(c, rest.v[0], QR_TPM_STATEMENT_MAX, &text);
    }
    if (code == QR_EXIT_OK) {
        const struct qr_tpm_release r = {qr_view_of(spki.p, spki.len),
                                         qr_view_of(text.p, text.len)};
        qr_err e = qr_tpm_statement_read(&r, &s, err, sizeof err);
        code = e == QR_OK
                   ? print_statement(c, &s)
                   : qr_ctl_fail(c, e == QR_ERR_STAMP_INVALID ? QR_EXIT_REFUSED : QR_EXIT_CONFIG,
                                 "%s: %s", rest.v[0], err[0] ? err : qr_err_text(e));
    }
    qr_dbuf_free(&spki);
    qr_dbuf_free(&text);
    return code;
}

const struct qr_ctl_cmd qr_ctl_release_cmds[] = {
    {"image release key", "KEYFILE",
     "Write a release key's public half for the image; prints its name to TPMs.", release_key},
    {"image release sign", "", "Sign the PCR values of a release's image.", release_sign},
    {"image release show", "STATEMENT", "Check a release statement and print it.", release_show},
    {.name = NULL},
};
