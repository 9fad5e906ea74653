/* quorate key, quorate stamp: private keys in PEM files, and signatures over exact bytes. */
#include "daemon/ctl.h"

#include "daemon/client/client.h"
#include "daemon/jsonw.h"
#include "daemon/stamp.h"
#include "protocol/base/enc.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX 16384u

/* ---- private keys ---- */

int
qr_ctl_load_key(const struct qr_ctl *c, const char *path, struct evp_pkey_st **ret)
{
    char why[512];
    return qr_client_key_file(path, ret, why, sizeof why) == QR_OK
               ? QR_EXIT_OK
               : qr_ctl_fail(c, QR_EXIT_CONFIG, "%s", why);
}

static EVP_PKEY *
generate(enum qr_scheme s)
{
    switch (s) {
    case QR_SCHEME_P256:
        return EVP_EC_gen("P-256");
    case QR_SCHEME_SECP256K1:
        return EVP_EC_gen("secp256k1");
    case QR_SCHEME_ED25519:
    default:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
}

static int
show(const struct qr_ctl *c, EVP_PKEY *k, const char *path)
{
    struct qr_stamp_key pub;
    char hex[67];

    qr_err e = qr_stamp_key_of(k, &pub);
    if (e != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: not a P-256, secp256k1 or Ed25519 key", path);
    }
    qr_hex_encode(qr_view_of(pub.b, qr_scheme_key_len(pub.scheme)), hex);
    if (c->json) {
        printf("{\"scheme\":\"%s\",\"public_key\":\"%s\"}\n", qr_scheme_name(pub.scheme), hex);
    } else {
        printf("%s\n", hex);
    }
    return fflush(stdout) == 0 ? QR_EXIT_OK : QR_EXIT_INTERNAL;
}

static int
write_pem(const struct qr_ctl *c, EVP_PKEY *k, const char *path)
{
    char *pem = NULL;
    BIO *b = BIO_new(BIO_s_secmem());
    int code = QR_EXIT_INTERNAL;

    if (b && PEM_write_bio_PKCS8PrivateKey(b, k, NULL, NULL, 0, NULL, NULL) == 1) {
        long n = BIO_get_mem_data(b, &pem);
        code = qr_ctl_write(c, path, qr_view_of(pem, (size_t)n), 0600);
    } else {
        qr_ctl_fail(c, code, "the key cannot be encoded");
    }
    BIO_free(b);
    return code;
}

static int
key_new(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    const char *scheme = NULL, *out = NULL;
    enum qr_scheme s = QR_SCHEME_P256;
    struct qr_ctl_list rest;
    const struct qr_ctl_opt opts[] = {
        {"scheme", QR_CTL_TEXT, &scheme, "NAME", "p256 (default), secp256k1 or ed25519", 0, 0},
        {"out", QR_CTL_TEXT, &out, "FILE", "where the private key goes; mode 0600", 1, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 0, 0);
    if (code >= 0) {
        return code;
    }
    if (scheme && qr_scheme_parse(qr_view_str(scheme), &s) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "\"%s\" is no scheme: p256, secp256k1 or ed25519",
                           scheme);
    }
    EVP_PKEY *k = generate(s);
    if (!k) {
        return qr_ctl_fail(c, QR_EXIT_INTERNAL, "the key cannot be made");
    }
    code = write_pem(c, k, out);
    if (code == QR_EXIT_OK) {
        code = show(c, k, out);
    }
    EVP_PKEY_free(k);
    return code;
}

static int
key_show(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    struct qr_ctl_list rest;
    EVP_PKEY *k = NULL;
    const struct qr_ctl_opt opts[] = {{.kind = QR_CTL_END}};

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    code = qr_ctl_load_key(c, rest.v[0], &k);
    if (code == QR_EXIT_OK) {
        code = show(c, k, rest.v[0]);
        EVP_PKEY_free(k);
    }
    return code;
}

/* ---- stamps ---- */

/*
 * 0: the stamps that are there belong to these bytes and none is by this key; else an exit code. A
 * stamp over other bytes means that the document was changed after it.
 */
static int
check_present(const struct qr_ctl *c, const char *path, const struct qr_ctl_stamps *s, qr_view doc,
              const struct qr_stamp_key *own, int *ret_already)
{
    char err[256];

    *ret_already = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct qr_stamp st;
        struct qr_pubkey *pub = NULL;
        qr_err e = qr_stamp_parse(s->v[i], &st, err, sizeof err);
        if (e != QR_OK) {
            return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s.stamps line %zu: %s", path, i + 1, err);
        }
        e = qr_pubkey_new(&st.key, &pub);
        if (e == QR_OK) {
            e = qr_stamp_verify(pub, &st, doc);
            qr_pubkey_free(pub);
        }
        if (e != QR_OK) {
            return qr_ctl_fail(
                c, QR_EXIT_REFUSED,
                "%s.stamps line %zu does not belong to this document: it was changed "
                "after that stamp, or the line is damaged; remove it",
                path, i + 1);
        }
        *ret_already |= qr_stamp_key_cmp(&st.key, own) == 0;
    }
    return QR_EXIT_OK;
}

static int
append_line(const struct qr_ctl *c, const char *doc, const char *line)
{
    char name[4096];
    if ((size_t)snprintf(name, sizeof name, "%s.stamps", doc) >= sizeof name) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "%s: the name is too long", doc);
    }
    FILE *f = fopen(name, "ae");
    if (!f) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", name, strerror(errno));
    }
    int ok = fprintf(f, "%s\n", line) > 0 && fflush(f) == 0 && fsync(fileno(f)) == 0;
    int why = errno; /* of the first that failed; what closing says after that is no news */
    if (fclose(f) != 0 && ok) {
        ok = 0;
        why = errno;
    }
    if (!ok) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", name, strerror(why));
    }
    return QR_EXIT_OK;
}

static int
stamp_file(struct qr_ctl *c, EVP_PKEY *k, const char *path, int print)
{
    struct qr_dbuf doc;
    struct qr_ctl_stamps have = {0};
    struct qr_stamp_key own;
    char line[QR_STAMP_MAX];
    int already = 0;

    int code = qr_ctl_read(c, path, QR_DOC_MAX, &doc);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_view bytes = qr_view_of(doc.p, doc.len);
    if (qr_stamp_key_of(k, &own) != QR_OK || qr_stamp_sign(k, bytes, line, sizeof line) != QR_OK) {
        code = qr_ctl_fail(c, QR_EXIT_CONFIG,
                           "the key cannot stamp: it must be P-256, secp256k1 or "
                           "Ed25519");
    } else if (print) {
        code = qr_ctl_emit(c, qr_view_str(line));
    } else {
        code = qr_ctl_read_stamps(c, path, &have);
        if (code == QR_EXIT_OK) {
            code = check_present(c, path, &have, bytes, &own, &already);
        }
        if (code == QR_EXIT_OK && already) {
            qr_ctl_warn(c, "%s.stamps has this key's stamp already; nothing was added", path);
        } else if (code == QR_EXIT_OK) {
            code = append_line(c, path, line);
        }
        qr_dbuf_free(&have.text);
    }
    qr_dbuf_free(&doc);
    return code;
}

static int
stamp(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    const char *key = NULL;
    int print = 0;
    struct qr_ctl_list rest;
    EVP_PKEY *k = NULL;
    const struct qr_ctl_opt opts[] = {
        {"key", QR_CTL_TEXT, &key, "FILE", "the private key to stamp with", 1, 0},
        {"print", QR_CTL_FLAG, &print, NULL, "print the stamp (for X-Stamp) and write nothing", 0,
         0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    if (!print && strcmp(rest.v[0], "-") == 0) {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "stdin has no file beside it for the stamp: --print it");
    }
    code = qr_ctl_load_key(c, key, &k);
    if (code == QR_EXIT_OK) {
        code = stamp_file(c, k, rest.v[0], print);
        EVP_PKEY_free(k);
    }
    return code;
}

/* One line of FILE.stamps, told; 1 in *ret_good if it is over these bytes. */
static int
tell_stamp(const struct qr_ctl *c, qr_view line, qr_view doc, struct qr_stamp_key *ret_key,
           int *ret_good)
{
    char err[256] = "", hex[67];
    struct qr_stamp st;
    struct qr_pubkey *pub = NULL;

    qr_err e = qr_stamp_parse(line, &st, err, sizeof err);
    if (e != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "no stamp: %s", err);
    }
    e = qr_pubkey_new(&st.key, &pub);
    if (e == QR_OK) {
        e = qr_stamp_verify(pub, &st, doc);
        qr_pubkey_free(pub);
    }
    *ret_good = e == QR_OK;
    *ret_key = st.key;
    qr_hex_encode(qr_view_of(st.key.b, qr_scheme_key_len(st.key.scheme)), hex);
    if (c->json) {
        printf("{\"scheme\":\"%s\",\"public_key\":\"%s\",\"valid\":%s}\n",
               qr_scheme_name(st.key.scheme), hex, *ret_good ? "true" : "false");
    } else {
        printf("%s %s %s\n", *ret_good ? "valid" : "INVALID", qr_scheme_name(st.key.scheme), hex);
    }
    return QR_EXIT_OK;
}

/* All stamps are over these bytes, there is one, and every key asked for made one. */
static int
check_stamps(const struct qr_ctl *c, const char *path, const struct qr_ctl_stamps *s, qr_view doc,
             const struct qr_ctl_list *want)
{
    int bad = 0;
    unsigned seen = 0; /* bit i: want->v[i] */

    _Static_assert(QR_CTL_LIST_MAX <= 32, "a bit for each key");
    for (size_t i = 0; i < s->n; i++) {
        struct qr_stamp_key key;
        int good = 0;
        int code = tell_stamp(c, s->v[i], doc, &key, &good);
        if (code != QR_EXIT_OK) {
            return code;
        }
        bad |= !good;
        for (size_t k = 0; k < want->n && good; k++) {
            char hex[67];
            qr_hex_encode(qr_view_of(key.b, qr_scheme_key_len(key.scheme)), hex);
            seen |= strcmp(hex, want->v[k]) == 0 ? 1u << k : 0;
        }
    }
    if (s->n == 0 || bad) {
        return qr_ctl_fail(c, QR_EXIT_REFUSED, "%s%s", path,
                           bad ? " was changed after it was stamped, or a stamp is damaged"
                               : ".stamps: there is no stamp");
    }
    for (size_t k = 0; k < want->n; k++) {
        if (!(seen >> k & 1)) {
            return qr_ctl_fail(c, QR_EXIT_REFUSED, "%s: no stamp by key %s", path, want->v[k]);
        }
    }
    return QR_EXIT_OK;
}

static int
stamp_check(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    struct qr_ctl_list rest, keys = {.n = 0};
    struct qr_ctl_stamps have = {0};
    struct qr_dbuf doc;
    const struct qr_ctl_opt opts[] = {
        {"key", QR_CTL_MANY, &keys, "HEX", "a public key that must have stamped it", 0, 0},
        {.kind = QR_CTL_END},
    };

    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    code = qr_ctl_read(c, rest.v[0], QR_DOC_MAX, &doc);
    if (code != QR_EXIT_OK) {
        return code;
    }
    code = qr_ctl_read_stamps(c, rest.v[0], &have);
    if (code == QR_EXIT_OK) {
        code = check_stamps(c, rest.v[0], &have, qr_view_of(doc.p, doc.len), &keys);
        qr_dbuf_free(&have.text);
    }
    qr_dbuf_free(&doc);
    return code;
}

const struct qr_ctl_cmd qr_ctl_key_cmds[] = {
    {"key new", "", "Make a private key for an administrator or a client; prints its public key.",
     key_new},
    {"key show", "FILE", "Print the public key of a private key file.", key_show},
    /* before "stamp", which is its first word */
    {"stamp check", "DOCUMENT",
     "Check the stamps beside a document; with --key, that these keys made one.", stamp_check},
    {"stamp", "DOCUMENT", "Sign a document's exact bytes; adds a line to DOCUMENT.stamps.", stamp},
    {.name = NULL},
};
