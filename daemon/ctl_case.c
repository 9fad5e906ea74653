#include "daemon/ctl_case.h"

#include "daemon/jsonw.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- file names ---- */

#define ON(k) (1u << QR_EV_##k)
#define AZURE (ON(AZURE_SNP) | ON(AZURE_TDX))
#define ALL (~0u)
/* Takes the middle word of the name as the bank: "pcrs.sha256.bin". */
#define BANK 0xffu

/*
 * In order of preference: the first row of a part whose file is there gives that part, later ones are
 * other forms of the same thing.
 */
static const struct piece {
    const char *name; /* with BANK: around the bank's name, a '*' */
    enum qr_part part;
    uint8_t slot;
    unsigned kinds; /* where the file is evidence */
} pieces[] = {
    {"attestation.cbor", QR_PART_NITRO_DOCUMENT, 0, ALL},
    {"report.bin", QR_PART_SNP_REPORT, 0, ALL},
    {"vek.der", QR_PART_SNP_VEK, 0, ALL},
    {"vcek.der", QR_PART_SNP_VEK, 0, ALL},
    {"vlek.der", QR_PART_SNP_VEK, 0, ALL},
    {"ask.der", QR_PART_SNP_ASK, 0, ALL},
    {"asvk.der", QR_PART_SNP_ASK, 0, ALL},
    {"ark.der", QR_PART_SNP_ARK, 0, ALL},
    {"crl.der", QR_PART_SNP_CRL, 0, ALL},
    {"quote.bin", QR_PART_QUOTE, 0, ALL},
    {"tcb_info.json", QR_PART_TCB_INFO, 0, ALL},
    {"tcb_info.sig.hex", QR_PART_TCB_INFO_SIG, 0, ALL},
    {"qe_identity.json", QR_PART_QE_IDENTITY, 0, ALL},
    {"qe_identity.sig.hex", QR_PART_QE_IDENTITY_SIG, 0, ALL},
    {"tcb_signing_chain.pem", QR_PART_TCB_CHAIN, 0, ALL},
    {"pck_crl.der", QR_PART_PCK_CRL, 0, ALL},
    {"root_ca_crl.der", QR_PART_ROOT_CRL, 0, ALL},
    {"custom_claims.bin", QR_PART_CUSTOM_CLAIMS, 0, ALL},
    {"hcl_report.bin", QR_PART_HCL_REPORT, 0, ALL},
    {"tpm_quote.msg", QR_PART_TPM_QUOTE, 0, ALL},
    {"tpm_quote.sig", QR_PART_TPM_SIG, 0, ALL},
    {"pcrs.bin", QR_PART_TPM_PCRS, 0, ALL},
    {"tpm_quote.*.msg", QR_PART_TPM_QUOTE, BANK, ALL},
    {"tpm_quote.*.sig", QR_PART_TPM_SIG, BANK, ALL},
    {"pcrs.*.bin", QR_PART_TPM_PCRS, BANK, ALL},
    {"ak.tpmt_public", QR_PART_AK_PUBLIC, 0, ALL},
    {"ak_pub.pem", QR_PART_AK_PEM, 0, ALL & ~AZURE}, /* there it is cut out of the HCL report */
    {"ak_cert.nv", QR_PART_AK_CERT, 0, ALL},
    {"ak_cert.der", QR_PART_AK_CERT, 0, ALL},
    {"vtpm_intermediate.der", QR_PART_AK_INTERMEDIATE, 0, ALL},
    {"vtpm_root.der", QR_PART_AK_ROOT, 0, ALL},
    {"runtime_data.json", QR_PART_RUNTIME_DATA, 0, ALL & ~AZURE}, /* likewise */
    {"runtimedata.json", QR_PART_RUNTIME_DATA, 0, ALL & ~AZURE},
    {"attestation_data.bin", QR_PART_ATTESTATION_DATA, 0, ALL},
    {"tcg_event_log.bin", QR_PART_TCG_LOG, 0, ALL},
    {"ccel.bin", QR_PART_CC_LOG, 0, ALL},
    {"ccel.*.bin", QR_PART_CC_LOG, 0, ALL}, /* when it is the only one */
    {"token.jwt", QR_PART_TOKEN, 0, ALL},
    {"jwks.json", QR_PART_JWKS, 0, ALL},
};
#define N_PIECES (sizeof pieces / sizeof pieces[0])

/* 1: `name` is the row's; *ret_slot is its slot. */
static int
is_piece(const struct piece *p, const char *name, uint8_t *ret_slot)
{
    static const char *const banks[] = {"sha1", "sha256", "sha384"};
    const char *star = strchr(p->name, '*');
    size_t n = strlen(name), head = star ? (size_t)(star - p->name) : 0;
    size_t tail = star ? strlen(star + 1) : 0;

    *ret_slot = p->slot;
    if (!star) {
        return strcmp(p->name, name) == 0;
    }
    if (n <= head + tail || memcmp(name, p->name, head) != 0 ||
        memcmp(name + n - tail, star + 1, tail) != 0) {
        return 0;
    }
    if (p->slot != BANK) {
        return 1;
    }
    for (uint8_t i = 0; i < 3; i++) {
        if (strlen(banks[i]) == n - head - tail &&
            memcmp(name + head, banks[i], n - head - tail) == 0) {
            *ret_slot = (uint8_t)(i + 1);
            return 1;
        }
    }
    return 0;
}

/* The first row for the name on this platform; NULL: it is no evidence there. */
static const struct piece *
piece_of(const char *name, enum qr_evidence_kind kind, uint8_t *ret_slot)
{
    for (size_t i = 0; i < N_PIECES; i++) {
        if ((pieces[i].kinds & (1u << kind)) && is_piece(&pieces[i], name, ret_slot)) {
            return &pieces[i];
        }
    }
    return NULL;
}

/* ---- reading ---- */

static const char *
safe_name(char out[static 64], const char *name)
{
    size_t at = 0;

    for (qr_view v = qr_view_str(name); v.len > 0;) {
        char piece[8];
        size_t n = 0, took = qr_json_escape(v, 0, piece, &n);
        if (at + n >= 64) {
            break;
        }
        memcpy(out + at, piece, n);
        at += n;
        v = qr_view_of(v.p + took, v.len - took);
    }
    out[at] = '\0';
    return out;
}

/* Whole, after its size was looked at. 0, or an exit code; what it cannot be fails *v. */
static int
read_piece(const struct qr_ctl *c, int fd, const char *name, enum qr_part part, uint8_t slot,
           struct qr_ctl_case *k, struct qr_verdict *v)
{
    size_t max = qr_part_max(part);
    struct stat st;
    char shown[64];

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        qr_fail(v, QR_CHECK_LIMITS, QR_REASON_MALFORMED, "%s: expected a regular file",
                safe_name(shown, name));
        return QR_EXIT_OK;
    }
    if (st.st_size == 0) {
        qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED, "%s: expected %s, found an empty file",
                safe_name(shown, name), qr_part_name(part));
        return QR_EXIT_OK;
    }
    if ((uint64_t)st.st_size > max || k->n_text == QR_ITEMS_OF_EVIDENCE) {
        qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                "%s: expected at most %zu bytes and %u pieces, found %lld bytes",
                safe_name(shown, name), max, QR_ITEMS_OF_EVIDENCE, (long long)st.st_size);
        return QR_EXIT_OK;
    }
    struct qr_dbuf *d = &k->text[k->n_text];
    qr_dbuf_init(d, max);
    if (qr_dbuf_reserve(d, (size_t)st.st_size) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
    }
    k->n_text++;
    while (d->len < (size_t)st.st_size) {
        ssize_t n = read(fd, d->p + d->len, (size_t)st.st_size - d->len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", safe_name(shown, name),
                               n < 0 ? strerror(errno) : "became shorter while it was read");
        }
        d->len += (size_t)n;
    }
    qr_err e = qr_evidence_add(&k->e, part, slot, qr_view_of(d->p, d->len));
    if (e == QR_ERR_TOO_LARGE) {
        qr_fail(v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                "%s: expected at most %u bytes of evidence in all", safe_name(shown, name),
                QR_EVIDENCE_TOTAL_MAX);
    } else if (e != QR_OK) {
        qr_fail(v, QR_CHECK_PARSE, QR_REASON_MALFORMED, "%s: expected one %s, found another",
                safe_name(shown, name), qr_part_name(part));
    }
    return QR_EXIT_OK;
}

static int
has(const struct qr_ctl_case *k, enum qr_part part, uint8_t slot)
{
    return qr_evidence_get_slot(&k->e, part, slot).p != NULL;
}

static void
leave_out(struct qr_ctl_case *k, const char *name)
{
    if (k->n_left < QR_CASE_LEFT_MAX) {
        (void)safe_name(k->left[k->n_left], name);
    }
    k->n_left++;
}

/* ---- case.json ---- */

static int
days_of(int year, int month, int day, int64_t *ret)
{
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    if (year < 1970 || month < 1 || month > 12 || day < 1 ||
        day > length[month - 1] + (month == 2 && leap)) {
        return 0;
    }
    int64_t y = year - 1, days = y * 365 + y / 4 - y / 100 + y / 400 - 719162;
    for (int m = 1; m < month; m++) {
        days += length[m - 1] + (m == 2 && leap);
    }
    *ret = days + day - 1;
    return 1;
}

static int
digits(const char **p, int n, int *ret)
{
    int v = 0;

    for (int i = 0; i < n; i++, (*p)++) {
        if (**p < '0' || **p > '9') {
            return 0;
        }
        v = v * 10 + (**p - '0');
    }
    *ret = v;
    return 1;
}

static int
expect_char(const char **p, char c)
{
    return *(*p)++ == c;
}

int
qr_ctl_time(const char *text, int64_t *ret_ms)
{
    const char *p = text;
    int year, month, day, h, m, s, ms = 0, oh = 0, om = 0, sign = 1;
    int64_t days;

    if (!digits(&p, 4, &year) || !expect_char(&p, '-') || !digits(&p, 2, &month) ||
        !expect_char(&p, '-') || !digits(&p, 2, &day) || !expect_char(&p, 'T') ||
        !digits(&p, 2, &h) || !expect_char(&p, ':') || !digits(&p, 2, &m) ||
        !expect_char(&p, ':') || !digits(&p, 2, &s) || !days_of(year, month, day, &days) ||
        h > 23 || m > 59 || s > 59) {
        return 0;
    }
    if (*p == '.') {
        int unit = 100, any = 0;
        for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10, any = 1) {
            ms += unit * (*p - '0');
        }
        if (!any) {
            return 0;
        }
    }
    char zone = *p++;
    if (zone != 'Z') {
        sign = zone == '-' ? -1 : 1;
        if ((zone != '+' && zone != '-') || !digits(&p, 2, &oh) || !expect_char(&p, ':') ||
            !digits(&p, 2, &om) || oh > 23 || om > 59) {
            return 0;
        }
    }
    int64_t minutes = (days * 24 + h) * 60 + m - sign * (oh * 60 + om);
    int64_t at = (minutes * 60 + s) * 1000 + ms;
    if (*p != '\0' || at < 0) {
        return 0;
    }
    *ret_ms = at;
    return 1;
}

/* Names of platforms, ours and those of the future. */
static int
is_name(const char *s)
{
    return strlen(s) < QR_CASE_PLATFORM_MAX &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               strlen(s);
}

/* What the folder says of itself. Its other members are no business of a verifier's. */
static int
read_case_json(const struct qr_ctl *c, const char *dir, struct qr_ctl_case *k)
{
    char path[PATH_MAX];
    struct qr_dbuf d;
    json_error_t err;

    if ((size_t)snprintf(path, sizeof path, "%s/case.json", dir) >= sizeof path) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "%s: the name is too long", dir);
    }
    if (access(path, F_OK) != 0) {
        return QR_EXIT_OK;
    }
    int code = qr_ctl_read(c, path, QR_CASE_JSON_MAX, &d);
    if (code != QR_EXIT_OK) {
        return code;
    }
    json_t *j = json_loadb((const char *)d.p, d.len, JSON_REJECT_DUPLICATES, &err);
    qr_dbuf_free(&d);
    if (!json_is_object(j)) {
        json_decref(j);
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: no JSON object", path);
    }
    json_t *platform = json_object_get(j, "platform"), *at = json_object_get(j, "evaluation_time");
    const char *name = platform ? json_string_value(platform) : "";
    if (!name || !is_name(name)) {
        code = qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: \"platform\" is no name of a platform", path);
    } else if (at && !json_is_null(at) &&
               (!json_is_string(at) || !qr_ctl_time(json_string_value(at), &k->at_ms))) {
        code = qr_ctl_fail(c, QR_EXIT_CONFIG,
                           "%s: \"evaluation_time\" is neither null nor a time like "
                           "2026-11-21T17:00:00Z",
                           path);
    } else {
        snprintf(k->platform, sizeof k->platform, "%s", name);
        k->has_at = at != NULL;
    }
    json_decref(j);
    return code;
}

/* The name of the folder above, when case.json says nothing. */
static void
platform_of_folder(const char *dir, struct qr_ctl_case *k)
{
    char real[PATH_MAX];

    if (k->platform[0] || !realpath(dir, real)) {
        return;
    }
    char *last = strrchr(real, '/');
    if (last) {
        *last = '\0';
        const char *above = strrchr(real, '/');
        above = above ? above + 1 : real;
        if (is_name(above)) {
            memcpy(k->platform, above, strlen(above) + 1);
        }
    }
}

/* ---- folders ---- */

/* Names in a folder, sorted; what is used loses its name. A folder has few files. */
#define NAMES_MAX 256u
struct names {
    size_t n;
    char v[NAMES_MAX][64];
};

static int
by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int
list_names(const struct qr_ctl *c, DIR *dir, struct qr_ctl_case *k, struct names *ret)
{
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        if (d->d_name[0] == '.' || strcmp(d->d_name, "case.json") == 0) {
            continue;
        }
        if (strlen(d->d_name) >= sizeof ret->v[0]) {
            leave_out(k, d->d_name);
        } else if (ret->n == NAMES_MAX) {
            return qr_ctl_fail(c, QR_EXIT_CONFIG, "the folder has more than %u files", NAMES_MAX);
        } else {
            memcpy(ret->v[ret->n++], d->d_name, strlen(d->d_name) + 1);
        }
    }
    qsort(ret->v, ret->n, sizeof ret->v[0], by_name);
    return QR_EXIT_OK;
}

/* The files of one row of the table. */
static int
take_row(const struct qr_ctl *c, int dir, const struct piece *row, struct names *names,
         struct qr_ctl_case *k, struct qr_verdict *v)
{
    for (size_t i = 0; i < names->n; i++) {
        char *name = names->v[i], shown[64];
        uint8_t slot = 0;
        if (!is_piece(row, name, &slot) || has(k, row->part, slot)) {
            continue;
        }
        /* A FIFO that nobody writes to must not stop us. */
        int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0) {
            return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", safe_name(shown, name),
                               strerror(errno));
        }
        int code = read_piece(c, fd, name, row->part, slot, k, v);
        close(fd);
        if (code != QR_EXIT_OK) {
            return code;
        }
        name[0] = '\0'; /* used */
    }
    return QR_EXIT_OK;
}

static int
take_all(const struct qr_ctl *c, DIR *dir, struct names *names, struct qr_ctl_case *k,
         struct qr_verdict *v)
{
    int code = list_names(c, dir, k, names);

    for (size_t i = 0; i < N_PIECES && code == QR_EXIT_OK; i++) {
        if (pieces[i].kinds & (1u << k->e.kind)) {
            code = take_row(c, dirfd(dir), &pieces[i], names, k, v);
        }
    }
    for (size_t i = 0; i < names->n; i++) {
        if (names->v[i][0]) {
            leave_out(k, names->v[i]);
        }
    }
    return code;
}

int
qr_ctl_case_load(const struct qr_ctl *c, const char *path, struct qr_ctl_case *k,
                 struct qr_verdict *v)
{
    memset(k, 0, sizeof *k);
    k->at_ms = -1;
    DIR *dir = opendir(path);
    if (!dir) {
        return qr_ctl_fail(c, errno == ENOENT || errno == ENOTDIR ? QR_EXIT_USAGE : QR_EXIT_CONFIG,
                           "%s: %s", path, strerror(errno));
    }
    int code = read_case_json(c, path, k);
    if (code == QR_EXIT_OK) {
        struct names *names = qr_alloc(sizeof *names);
        platform_of_folder(path, k);
        k->e.kind = qr_evidence_kind_by_name(qr_view_str(k->platform));
        code = names ? take_all(c, dir, names, k, v)
                     : qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
        qr_free(names);
    }
    closedir(dir);
    return code;
}

/* ---- single files ---- */

/* All of an encoded evidence; 1 when it was one. */
static int
take_encoded(struct qr_ctl_case *k, const struct qr_dbuf *d, struct qr_verdict *v)
{
    struct qr_evidence e;

    if (d->len < 4 || memcmp(d->p, "QREV", 4) != 0) {
        return 0;
    }
    qr_err err = qr_evidence_decode(qr_view_of(d->p, d->len), &e);
    if (err == QR_OK) {
        k->e = e;
        snprintf(k->platform, sizeof k->platform, "%s", qr_evidence_kind_name(e.kind));
    } else {
        qr_fail(v, QR_CHECK_LIMITS,
                err == QR_ERR_TRAILING    ? QR_REASON_TRAILING_DATA
                : err == QR_ERR_TOO_LARGE ? QR_REASON_RESOURCE_LIMIT
                : err == QR_ERR_VERSION   ? QR_REASON_UNSUPPORTED
                                          : QR_REASON_MALFORMED,
                "encoded evidence: %s", qr_err_text(err));
    }
    return 1;
}

/* A file that may be encoded evidence is read whole, up to what that may be. */
static int
try_encoded(const struct qr_ctl *c, const char *path, struct qr_ctl_case *k, struct qr_verdict *v,
            int *ret_was)
{
    struct qr_dbuf *d = &k->text[k->n_text];
    const size_t head = 7u + QR_ITEMS_OF_EVIDENCE * 6u;

    *ret_was = 0;
    if (k->e.n != 0 || k->n_text != 0) {
        return QR_EXIT_OK; /* pieces came before */
    }
    int code = qr_ctl_read(c, path, QR_EVIDENCE_TOTAL_MAX + head, d);
    if (code != QR_EXIT_OK) {
        return code;
    }
    if (take_encoded(k, d, v)) {
        k->n_text = 1;
        *ret_was = 1;
    } else {
        qr_dbuf_free(d);
    }
    return QR_EXIT_OK;
}

int
qr_ctl_case_add(const struct qr_ctl *c, const char *file, struct qr_ctl_case *k,
                struct qr_verdict *v)
{
    const char *eq = strchr(file, '='), *slash = strrchr(file, '/');
    const char *path = eq && (!slash || eq < slash) ? eq + 1 : file;
    char name[64];
    uint8_t slot = 0;
    int was = 0;

    if (path != file) {
        snprintf(name, sizeof name, "%.*s", (int)(path - file - 1), file);
    } else {
        snprintf(name, sizeof name, "%s", slash ? slash + 1 : file);
    }
    const struct piece *row = piece_of(name, k->e.kind, &slot);
    if (!row) {
        int code = try_encoded(c, path, k, v, &was);
        if (code != QR_EXIT_OK || was) {
            return code;
        }
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "%s: neither encoded evidence nor a file name that says what it is; "
                           "give it as NAME=FILE, for example report.bin=%s",
                           path, path);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return qr_ctl_fail(c, errno == ENOENT ? QR_EXIT_USAGE : QR_EXIT_CONFIG, "%s: %s", path,
                           strerror(errno));
    }
    int code = read_piece(c, fd, name, row->part, slot, k, v);
    close(fd);
    return code;
}

/* A TD's quote or an enclave's: the header's TEE type, little-endian at 4. */
static enum qr_evidence_kind
kind_of_quote(qr_view quote)
{
    return quote.len >= 8 && quote.p[4] == 0x81 && quote.p[5] == 0 && quote.p[6] == 0 &&
                   quote.p[7] == 0
               ? QR_EV_TDX
               : QR_EV_SGX;
}

void
qr_ctl_case_guess(struct qr_ctl_case *k)
{
    int quote = qr_evidence_get(&k->e, QR_PART_QUOTE).p != NULL, tpm = 0;
    enum qr_evidence_kind kind = QR_EV_NONE;

    for (uint8_t slot = 0; slot <= 3; slot++) {
        tpm |= has(k, QR_PART_TPM_QUOTE, slot);
    }
    if (has(k, QR_PART_NITRO_DOCUMENT, 0)) {
        kind = QR_EV_NITRO;
    } else if (has(k, QR_PART_HCL_REPORT, 0)) {
        kind = quote ? QR_EV_AZURE_TDX : QR_EV_AZURE_SNP;
    } else if (has(k, QR_PART_SNP_REPORT, 0)) {
        kind = tpm ? QR_EV_GCP_SNP : QR_EV_SNP;
    } else if (quote) {
        kind = tpm ? QR_EV_GCP_TDX : kind_of_quote(qr_evidence_get(&k->e, QR_PART_QUOTE));
    } else if (tpm) {
        kind = QR_EV_TPM;
    } else if (has(k, QR_PART_AK_CERT, 0)) {
        kind = QR_EV_GCP_AK;
    }
    k->e.kind = kind;
    snprintf(k->platform, sizeof k->platform, "%s", qr_evidence_kind_name(kind));
}

void
qr_ctl_case_free(struct qr_ctl_case *k)
{
    for (size_t i = 0; i < k->n_text; i++) {
        qr_dbuf_free(&k->text[i]);
    }
    k->n_text = 0;
    k->e.n = 0;
}
