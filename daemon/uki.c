#include "daemon/uki.h"

#include "protocol/base/check.h"
#include "protocol/base/mem.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define SECTIONS_MAX 96u
#define PE_MACHINE_AMD64 0x8664u
#define PE32_PLUS 0x20bu

/* In the order in which the stub measures them. */
static const char *const names[QR_UKI_SECTIONS] = {
    [QR_UKI_LINUX] = ".linux",   [QR_UKI_OSREL] = ".osrel", [QR_UKI_CMDLINE] = ".cmdline",
    [QR_UKI_INITRD] = ".initrd", [QR_UKI_UNAME] = ".uname", [QR_UKI_SBAT] = ".sbat",
};

/* The stub would act on these; what then happens is not computed here. */
static const char *const refused[] = {".ucode",  ".splash",  ".dtb",     ".dtbauto", ".hwids",
                                      ".pcrsig", ".pcrpkey", ".profile", ".efifw"};

static uint32_t
le(const uint8_t *p, size_t n)
{
    uint32_t v = 0;
    while (n-- > 0) {
        v = v << 8 | p[n];
    }
    return v;
}

static qr_err
bad(char *err, qr_err e, const char *text)
{
    (void)snprintf(err, QR_UKI_ERR_MAX, "%s", text);
    return e;
}

/* ---- PE ---- */

struct pe {
    qr_view file;
    size_t checksum, cert_entry; /* offsets of what Authenticode leaves out */
    size_t headers, certs;       /* sizes */
    size_t table, n;             /* of sections */
};

static qr_err
pe_open(qr_view f, struct pe *ret, char *err)
{
    struct pe p = {.file = f};
    if (f.len < 64 || memcmp(f.p, "MZ", 2) != 0) {
        return bad(err, QR_ERR_MALFORMED, "not a PE file: no MZ at its start");
    }
    size_t at = le(f.p + 60, 4);
    if (at > f.len || f.len - at < 24 || memcmp(f.p + at, "PE\0\0", 4) != 0) {
        return bad(err, QR_ERR_MALFORMED, "not a PE file: no PE header");
    }
    if (le(f.p + at + 4, 2) != PE_MACHINE_AMD64) {
        return bad(err, QR_ERR_VERSION, "not for x86-64");
    }
    p.n = le(f.p + at + 6, 2);
    size_t opt_len = le(f.p + at + 20, 2), opt = at + 24;
    /* As far as the directory of certificates, the fifth. */
    if (opt_len < 152 || f.len - opt < opt_len || le(f.p + opt, 2) != PE32_PLUS ||
        le(f.p + opt + 108, 4) < 5) {
        return bad(err, QR_ERR_MALFORMED, "the PE header is not one of 64 bits with directories");
    }
    p.checksum = opt + 64;
    p.cert_entry = opt + 144;
    p.headers = le(f.p + opt + 60, 4);
    p.certs = le(f.p + p.cert_entry + 4, 4);
    p.table = opt + opt_len;
    if (p.n == 0 || p.n > SECTIONS_MAX || f.len - p.table < p.n * 40) {
        return bad(err, QR_ERR_TRUNCATED, "the table of sections is too long or cut off");
    }
    if (p.headers < p.table + p.n * 40 || p.headers > f.len || p.certs > f.len - p.headers) {
        return bad(err, QR_ERR_MALFORMED, "the PE header's sizes do not fit the file");
    }
    for (size_t i = 0; i < p.n; i++) {
        const uint8_t *s = f.p + p.table + i * 40;
        size_t len = le(s + 16, 4), start = le(s + 20, 4);
        if (len != 0 && (start < p.headers || start > f.len || len > f.len - start)) {
            return bad(err, QR_ERR_TRUNCATED, "a section lies outside the file");
        }
    }
    *ret = p;
    return QR_OK;
}

static qr_err
digest(EVP_MD_CTX *c, const uint8_t *p, size_t len)
{
    return len == 0 || EVP_DigestUpdate(c, p, len) == 1 ? QR_OK : QR_ERR_CRYPTO_LIB;
}

/* Sections in the order of their place in the file; *ret_end: what was hashed, in bytes. */
static qr_err
digest_sections(EVP_MD_CTX *c, const struct pe *p, size_t *ret_end)
{
    uint8_t done[SECTIONS_MAX] = {0};
    size_t end = p->headers;
    for (size_t k = 0; k < p->n; k++) {
        size_t best = p->n;
        for (size_t i = 0; i < p->n; i++) {
            if (!done[i] && (best == p->n || le(p->file.p + p->table + i * 40 + 20, 4) <
                                                 le(p->file.p + p->table + best * 40 + 20, 4))) {
                best = i;
            }
        }
        QR_ASSERT(best < p->n); /* k sections are done, and k < n */
        const uint8_t *s = p->file.p + p->table + best * 40;
        done[best] = 1;
        QR_TRY(digest(c, p->file.p + le(s + 20, 4), le(s + 16, 4)));
        end += le(s + 16, 4);
    }
    *ret_end = end;
    return QR_OK;
}

static qr_err
authenticode(EVP_MD_CTX *c, const struct pe *p)
{
    const uint8_t *f = p->file.p;
    size_t end = 0;
    QR_TRY(digest(c, f, p->checksum));
    QR_TRY(digest(c, f + p->checksum + 4, p->cert_entry - p->checksum - 4));
    QR_TRY(digest(c, f + p->cert_entry + 8, p->headers - p->cert_entry - 8));
    QR_TRY(digest_sections(c, p, &end));
    /* What lies behind the last section, without the certificates. */
    if (end < p->file.len && p->file.len - end > p->certs) {
        QR_TRY(digest(c, f + end, p->file.len - end - p->certs));
    }
    return QR_OK;
}

qr_err
qr_uki_authenticode(qr_view pe, uint8_t out[static QR_UKI_PCR],
                    char err_text[static QR_UKI_ERR_MAX])
{
    struct pe p;
    uint8_t hash[QR_UKI_PCR];
    QR_TRY(pe_open(pe, &p, err_text));
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    qr_err e = c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1 ? authenticode(c, &p)
                                                                  : QR_ERR_CRYPTO_LIB;
    if (e == QR_OK && EVP_DigestFinal_ex(c, hash, NULL) != 1) {
        e = QR_ERR_CRYPTO_LIB;
    }
    EVP_MD_CTX_free(c);
    if (e != QR_OK) {
        return bad(err_text, e, "SHA-256 failed");
    }
    memcpy(out, hash, sizeof hash);
    return QR_OK;
}

/* ---- the image ---- */

static int
name_is(const uint8_t *s, const char *name)
{
    size_t n = strlen(name);
    return n <= 8 && memcmp(s, name, n) == 0 && (n == 8 || s[n] == 0);
}

static qr_err
take_section(struct qr_uki *u, const uint8_t *s, char *err)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (name_is(s, refused[i])) {
            (void)snprintf(err, QR_UKI_ERR_MAX,
                           "section %s: its effect on the registers is not "
                           "computed here; build the image without it",
                           refused[i]);
            return QR_ERR_UNKNOWN_FIELD;
        }
    }
    for (size_t i = 0; i < QR_UKI_SECTIONS; i++) {
        if (!name_is(s, names[i])) {
            continue;
        }
        if (u->section[i].p) {
            (void)snprintf(err, QR_UKI_ERR_MAX, "section %s stands twice", names[i]);
            return QR_ERR_DUPLICATE;
        }
        size_t size = le(s + 8, 4), raw = le(s + 16, 4);
        if (size == 0 || size > QR_UKI_MAX) {
            (void)snprintf(err, QR_UKI_ERR_MAX, "section %s is empty or too long", names[i]);
            return QR_ERR_MALFORMED;
        }
        u->section[i] = qr_view_of(u->file.p + le(s + 20, 4), raw < size ? raw : size);
        u->size[i] = size;
        return QR_OK;
    }
    return QR_OK;
}

qr_err
qr_uki_read(qr_view file, struct qr_uki *ret, char err_text[static QR_UKI_ERR_MAX])
{
    struct qr_uki u = {.file = file};
    struct pe p;
    if (file.len > QR_UKI_MAX) {
        return bad(err_text, QR_ERR_TOO_LARGE, "longer than 512 MiB");
    }
    QR_TRY(pe_open(file, &p, err_text));
    for (size_t i = 0; i < p.n; i++) {
        QR_TRY(take_section(&u, file.p + p.table + i * 40, err_text));
    }
    for (size_t i = 0; i < QR_UKI_SECTIONS; i++) {
        if (!u.section[i].p) {
            (void)snprintf(err_text, QR_UKI_ERR_MAX, "no section %s; is it a UKI?", names[i]);
            return QR_ERR_MALFORMED;
        }
    }
    *ret = u;
    return QR_OK;
}

/* ---- registers ---- */

static qr_err
sha256(const qr_view *v, size_t n, uint8_t out[static QR_UKI_PCR])
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    qr_err e = c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1 ? QR_OK : QR_ERR_CRYPTO_LIB;
    for (size_t i = 0; i < n && e == QR_OK; i++) {
        e = digest(c, v[i].p, v[i].len);
    }
    if (e == QR_OK && EVP_DigestFinal_ex(c, out, NULL) != 1) {
        e = QR_ERR_CRYPTO_LIB;
    }
    EVP_MD_CTX_free(c);
    return e;
}

/* pcr = SHA-256(pcr || hash) */
static qr_err
extend_hash(uint8_t pcr[static QR_UKI_PCR], const uint8_t hash[static QR_UKI_PCR])
{
    const qr_view v[] = {qr_view_of(pcr, QR_UKI_PCR), qr_view_of(hash, QR_UKI_PCR)};
    uint8_t next[QR_UKI_PCR];
    QR_TRY(sha256(v, 2, next));
    memcpy(pcr, next, sizeof next);
    return QR_OK;
}

/* pcr = SHA-256(pcr || SHA-256(the n views)) */
static qr_err
extend(uint8_t pcr[static QR_UKI_PCR], const qr_view *v, size_t n)
{
    uint8_t hash[QR_UKI_PCR];
    QR_TRY(sha256(v, n, hash));
    return extend_hash(pcr, hash);
}

static qr_err
extend_text(uint8_t pcr[static QR_UKI_PCR], const char *text, size_t len)
{
    const qr_view v = qr_view_of(text, len);
    return extend(pcr, &v, 1);
}

static const uint8_t separator[4] = {0};

static qr_err
measure4(const struct qr_uki *u, uint8_t pcr[static QR_UKI_PCR], char *err)
{
    static const char action[] = "Calling EFI Application from Boot Option";
    uint8_t hash[QR_UKI_PCR];
    const qr_view sep = qr_view_of(separator, sizeof separator);
    QR_TRY(extend_text(pcr, action, sizeof action - 1));
    QR_TRY(extend(pcr, &sep, 1));
    QR_TRY(qr_uki_authenticode(u->file, hash, err));
    QR_TRY(extend_hash(pcr, hash));
    if (u->section[QR_UKI_LINUX].len != u->size[QR_UKI_LINUX]) {
        return bad(err, QR_ERR_MALFORMED, "section .linux is cut off");
    }
    QR_TRY(qr_uki_authenticode(u->section[QR_UKI_LINUX], hash, err));
    return extend_hash(pcr, hash);
}

/* UEFI_VARIABLE_DATA */
static qr_err
extend_variable(uint8_t pcr[static QR_UKI_PCR], const uint8_t guid[16], const char *name,
                qr_view data)
{
    uint8_t head[32] = {0}, wide[64] = {0};
    size_t n = strlen(name);
    memcpy(head, guid, 16);
    head[16] = (uint8_t)n;
    for (size_t i = 0; i < 8; i++) {
        head[24 + i] = (uint8_t)((uint64_t)data.len >> (8 * i));
    }
    for (size_t i = 0; i < n; i++) {
        wide[2 * i] = (uint8_t)name[i];
    }
    const qr_view v[] = {qr_view_of(head, sizeof head), qr_view_of(wide, 2 * n), data};
    return extend(pcr, v, 3);
}

static qr_err
measure7(const struct qr_uki_firmware *f, uint8_t pcr[static QR_UKI_PCR])
{
    /* EFI_GLOBAL_VARIABLE and EFI_IMAGE_SECURITY_DATABASE_GUID, as they lie in memory */
    static const uint8_t global[16] = {0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
                                       0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c};
    static const uint8_t database[16] = {0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45,
                                         0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f};
    const uint8_t on = f->secure_boot ? 1 : 0;
    const qr_view sep = qr_view_of(separator, sizeof separator);
    QR_TRY(extend_variable(pcr, global, "SecureBoot", qr_view_of(&on, 1)));
    QR_TRY(extend_variable(pcr, global, "PK", f->pk));
    QR_TRY(extend_variable(pcr, global, "KEK", f->kek));
    QR_TRY(extend_variable(pcr, database, "db", f->db));
    QR_TRY(extend_variable(pcr, database, "dbx", f->dbx));
    QR_TRY(extend(pcr, &sep, 1));
    return f->authority.len ? extend_variable(pcr, database, "db", f->authority) : QR_OK;
}

/* One member of the archive that the stub makes: newc, numbers in hex, padded to four bytes. */
static size_t
member(char *out, size_t cap, unsigned inode, unsigned mode, const char *name, size_t size)
{
    int n = snprintf(out, cap, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x%s",
                     inode, mode, 0u, 0u, 1u, 0u, size, 0u, 0u, 0u, 0u, strlen(name) + 1, 0u, name);
    /* The name's NUL and the padding: the array is zero. */
    return n < 0 ? 0 : ((size_t)n + 1 + 3) / 4 * 4;
}

static qr_err
measure9(const struct qr_uki *u, uint8_t pcr[static QR_UKI_PCR], char *err)
{
    static const char trailer[] =
        "07070100000000000000000000000000000000000000010000000000000000"
        "000000000000000000000000000000000000000B00000000TRAILER!!!\0\0\0";
    static const uint8_t zeros[4] = {0};
    char dir[128] = "", file[160] = "";
    const qr_view cmdline = u->section[QR_UKI_CMDLINE], osrel = u->section[QR_UKI_OSREL];
    const qr_view initrd = u->section[QR_UKI_INITRD];

    uint8_t *wide = qr_alloc(2 * (cmdline.len + 1));
    if (!wide) {
        return bad(err, QR_ERR_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < cmdline.len; i++) {
        wide[2 * i] = cmdline.p[i];
    }
    const qr_view options = qr_view_of(wide, 2 * (cmdline.len + 1));
    qr_err e = extend(pcr, &options, 1);
    wide = qr_free(wide);
    QR_TRY(e);
    size_t d = member(dir, sizeof dir, 1, 040555, ".extra", 0);
    size_t f = member(file, sizeof file, 2, 0100444, ".extra/os-release", osrel.len);
    const qr_view v[] = {initrd,
                         qr_view_of(zeros, (4 - initrd.len % 4) % 4),
                         qr_view_of(dir, d),
                         qr_view_of(file, f),
                         osrel,
                         qr_view_of(zeros, (4 - osrel.len % 4) % 4),
                         qr_view_of(trailer, sizeof trailer)};
    return extend(pcr, v, sizeof v / sizeof v[0]);
}

static qr_err
measure11(const struct qr_uki *u, uint8_t pcr[static QR_UKI_PCR], char *err)
{
    for (size_t i = 0; i < QR_UKI_SECTIONS; i++) {
        size_t gap = u->size[i] - u->section[i].len;
        uint8_t *zeros = gap ? qr_alloc(gap) : NULL;
        if (gap && !zeros) {
            return bad(err, QR_ERR_NO_MEMORY, "out of memory");
        }
        const qr_view content[] = {u->section[i], qr_view_of(zeros, gap)};
        qr_err e = extend_text(pcr, names[i], strlen(names[i]) + 1);
        if (e == QR_OK) {
            e = extend(pcr, content, 2);
        }
        zeros = qr_free(zeros);
        QR_TRY(e);
    }
    return QR_OK;
}

/* What the stub would trim or convert in another way than we do is refused. */
static qr_err
check_text(const struct qr_uki *u, char *err)
{
    static const enum qr_uki_section whole[] = {QR_UKI_CMDLINE, QR_UKI_OSREL, QR_UKI_INITRD};
    const qr_view c = u->section[QR_UKI_CMDLINE];
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        if (u->section[whole[i]].len != u->size[whole[i]]) {
            (void)snprintf(err, QR_UKI_ERR_MAX, "section %s is cut off", names[whole[i]]);
            return QR_ERR_MALFORMED;
        }
    }
    for (size_t i = 0; i < c.len; i++) {
        if (c.p[i] < 0x20 || c.p[i] > 0x7e) {
            return bad(err, QR_ERR_MALFORMED,
                       "the command line is not one line of printable ASCII");
        }
    }
    if (c.p[0] == ' ' || c.p[c.len - 1] == ' ') {
        return bad(err, QR_ERR_MALFORMED, "the command line begins or ends with a space");
    }
    return QR_OK;
}

qr_err
qr_uki_measure(const struct qr_uki *u, const struct qr_uki_firmware *f, struct qr_uki_pcrs *ret,
               char err_text[static QR_UKI_ERR_MAX])
{
    struct qr_uki_pcrs p = {{0}, {0}, {0}, {0}, {0}};
    QR_TRY(check_text(u, err_text));
    QR_TRY(measure4(u, p.pcr4, err_text));
    QR_TRY(measure7(f, p.pcr7));
    QR_TRY(measure9(u, p.pcr9, err_text));
    QR_TRY(measure11(u, p.pcr11, err_text));
    *ret = p;
    return QR_OK;
}
