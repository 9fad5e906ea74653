#include "enclave-shim/verify/measure.h"

#include "protocol/base/check.h"
#include "protocol/base/enc.h"

#include <stdio.h>

/* Which claims a set may name, and how long their values are. */
struct path {
    unsigned kinds;
    const char *name;      /* for a numbered one, up to the number */
    unsigned numbers;      /* how many there are; 0: it has no number */
    size_t len, other_len; /* other_len 0: none */
};

static const struct path paths[] = {
    {QR_KIND_MASK(QR_EV_NITRO), "pcrs.", 32, 48, 0},
    {QR_KINDS_SNP, "measurement", 0, 48, 0},
    {QR_KINDS_SNP, "host_data", 0, 32, 0},
    {QR_KINDS_SNP, "id_key_digest", 0, 48, 0},
    {QR_KINDS_SNP, "author_key_digest", 0, 48, 0},
    {QR_KINDS_SNP, "family_id", 0, 16, 0},
    {QR_KINDS_SNP, "image_id", 0, 16, 0},
    {QR_KINDS_TDX, "body.mr_td", 0, 48, 0},
    {QR_KINDS_TDX, "body.rtmr", 4, 48, 0},
    {QR_KINDS_TDX, "body.mr_seam", 0, 48, 0},
    {QR_KINDS_TDX, "body.mr_config_id", 0, 48, 0},
    {QR_KINDS_TDX, "body.mr_owner", 0, 48, 0},
    {QR_KINDS_TDX, "body.mr_owner_config", 0, 48, 0},
    {QR_KIND_MASK(QR_EV_SGX), "body.mrenclave", 0, 32, 0},
    {QR_KIND_MASK(QR_EV_SGX), "body.config_id", 0, 64, 0},
    {QR_KIND_MASK(QR_EV_SGX), "body.isv_family_id", 0, 16, 0},
    {QR_KINDS_TPM, "quote.pcrs.", 24, 32, 48}, /* banks of SHA-256 and SHA-384 */
};
#define PATHS (sizeof paths / sizeof paths[0])

qr_err
qr_measure_kind(const struct qr_json_at *at, qr_view name, enum qr_evidence_kind *ret)
{
    char q[QR_QUOTE_MAX];
    enum qr_evidence_kind k = qr_evidence_kind_by_name(name);

    switch (k) {
    case QR_EV_NONE:
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "no platform is called \"%s\"; known are aws-nitro, amd-sev-snp, "
                            "intel-tdx, intel-sgx, tpm2, azure-snp-vtpm, azure-tdx-vtpm, "
                            "gcp-snp-vtpm, gcp-tdx-vtpm",
                            qr_quote(q, name));
    case QR_EV_GCP_AK:
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "\"gcp-ak-cert\" is a certificate and says nothing of what runs; write "
                            "\"gcp-snp-vtpm\" or \"gcp-tdx-vtpm\"");
    case QR_EV_MAA:
    case QR_EV_CONFIDENTIAL_SPACE:
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "\"%s\" is a service's word and no member's evidence; write the "
                            "platform whose evidence it comes with",
                            qr_evidence_kind_name(k));
    default:
        *ret = k;
        return QR_OK;
    }
}

qr_err
qr_measure_date(const struct qr_json_at *object, const char *member, qr_view text, int64_t *ret_ms)
{
    char q[QR_QUOTE_MAX];
    return qr_time_parse(text, ret_ms) == QR_OK
               ? QR_OK
               : qr_json_fail(object, QR_ERR_MALFORMED,
                              "%s \"%s\" is no date; write one as \"2026-11-21T17:00:00Z\"", member,
                              qr_quote(q, text));
}

static int
all_zero(const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n && p[i] == 0) {
        i++;
    }
    return i == n;
}

qr_err
qr_measure_hex(const struct qr_json_at *at, size_t len, uint8_t *ret)
{
    const struct qr_json_field f = {"", QR_JSON_HEX, 0, len, ret, NULL};
    QR_TRY(qr_json_value(at, &f));
    if (all_zero(ret, len)) {
        return qr_json_fail(
            at, QR_ERR_MALFORMED,
            "all zero is how an absent value looks; write the real one, or leave the "
            "member out");
    }
    return QR_OK;
}

/* 1: `name` is the path, or the path and one of its numbers, written without leading zeros. */
static int
is_path(const struct path *p, const char *name)
{
    size_t n = strlen(p->name);

    if (strncmp(name, p->name, n) != 0) {
        return 0;
    }
    const char *s = name + n;
    if (p->numbers == 0) {
        return *s == 0;
    }
    if (s[0] < '0' || s[0] > '9' || (s[0] == '0' && s[1] != 0)) {
        return 0;
    }
    unsigned u = (unsigned)(s[0] - '0');
    if (s[1] != 0) {
        if (s[1] < '0' || s[1] > '9' || s[2] != 0) {
            return 0;
        }
        u = u * 10 + (unsigned)(s[1] - '0');
    }
    return u < p->numbers;
}

static const struct path *
find_path(enum qr_evidence_kind k, const char *name)
{
    for (size_t i = 0; i < PATHS; i++) {
        if ((paths[i].kinds & QR_KIND_MASK(k)) && is_path(&paths[i], name)) {
            return &paths[i];
        }
    }
    return NULL;
}

static qr_err
unknown_path(const struct qr_json_at *at, enum qr_evidence_kind k)
{
    char list[160] = "";
    size_t len = 0;

    if (k == QR_EV_SGX && strcmp(at->name, "body.mrsigner") == 0) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "a signer signs more than one enclave; write it under platforms."
                            "intel-sgx.signers with isv_prod_id and min_isv_svn");
    }
    for (size_t i = 0; i < PATHS && len < sizeof list; i++) {
        if (paths[i].kinds & QR_KIND_MASK(k)) {
            int n = snprintf(list + len, sizeof list - len, "%s%s%s", len ? ", " : "",
                             paths[i].name, paths[i].numbers ? "N" : "");
            len += n > 0 ? (size_t)n : 0;
        }
    }
    return qr_json_fail(at, QR_ERR_MALFORMED, "no measurement of %s; those are %s",
                        qr_evidence_kind_name(k), list);
}

/*
 * The registers of a TPM into which systemd's stub measures what a loader adds to an image (command
 * lines and add-ons: 12; extension images: 13). Zero is the value to demand of them; a quote that does
 * not select them has no such claim and is refused all the same.
 */
static int
stays_zero(const char *name)
{
    return strcmp(name, "quote.pcrs.12") == 0 || strcmp(name, "quote.pcrs.13") == 0;
}

static qr_err
read_expect(const struct qr_json_at *at, struct qr_measurement *m)
{
    struct qr_expect *x = &m->expect[m->n];
    const struct path *p = find_path(m->kind, at->name);
    qr_view text;
    const struct qr_json_field f = {"", QR_JSON_TEXT, 0, 2 * sizeof x->bytes, &text, NULL};

    if (!p) {
        return unknown_path(at, m->kind);
    }
    QR_TRY(qr_json_value(at, &f));
    size_t len = p->other_len && text.len == 2 * p->other_len ? p->other_len : p->len;
    if (stays_zero(at->name)) {
        const struct qr_json_field any = {"", QR_JSON_HEX, 0, len, x->bytes, NULL};
        QR_TRY(qr_json_value(at, &any));
    } else {
        QR_TRY(qr_measure_hex(at, len, x->bytes));
    }
    QR_ASSERT(strlen(at->name) < sizeof x->path);
    memcpy(x->path, at->name, strlen(at->name) + 1);
    x->len = (uint8_t)len;
    x->line = qr_json_line(at);
    m->n++;
    return QR_OK;
}

static int
names(const struct qr_measurement *m, const char *path)
{
    for (size_t i = 0; i < m->n; i++) {
        if (strcmp(m->expect[i].path, path) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Does the set say what runs? NULL, or what is missing. */
static const char *
gap(const struct qr_measurement *m)
{
    unsigned k = QR_KIND_MASK(m->kind);

    if (m->kind == QR_EV_NITRO) {
        return names(m, "pcrs.0") || names(m, "pcrs.8") ? NULL
                                                        : "add pcrs.0 (the image) or pcrs.8 (its "
                                                          "signer); without them any image will do";
    }
    if (m->kind == QR_EV_SGX) {
        return names(m, "body.mrenclave") ? NULL
                                          : "add body.mrenclave; without it any enclave will do";
    }
    if (k & QR_KINDS_TPM) {
        return names(m, "quote.pcrs.4") || names(m, "quote.pcrs.8") || names(m, "quote.pcrs.9") ||
                       names(m, "quote.pcrs.11")
                   ? NULL
                   : "add quote.pcrs.4, .8, .9 or .11, which measure what is booted; without them "
                     "any kernel will do";
    }
    if (k & QR_KINDS_SNP) {
        return names(m, "measurement") ? NULL
                                       : "add measurement; without it anything launched will do";
    }
    return names(m, "body.mr_td") && (names(m, "body.rtmr1") || names(m, "body.rtmr2"))
               ? NULL
               : "add body.mr_td (the firmware) and body.rtmr1 or body.rtmr2 (what it booted); "
                 "without both any kernel will do";
}

static qr_err
read_dates(const struct qr_json_at *at, const struct qr_measure_dates *within, qr_view from,
           int has_from, qr_view until, int has_until, struct qr_measurement *m)
{
    if (!has_from && !within) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "member \"valid_from\" is missing; write the date from which this set "
                            "counts, as \"2026-11-21T17:00:00Z\"");
    }
    m->from_ms = within ? within->from_ms : 0;
    m->until_ms = within ? within->until_ms : INT64_MAX;
    if (has_from) {
        QR_TRY(qr_measure_date(at, "valid_from", from, &m->from_ms));
    }
    if (has_until) {
        QR_TRY(qr_measure_date(at, "valid_until", until, &m->until_ms));
    }
    if (m->until_ms <= m->from_ms) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "valid_until is not after valid_from: the set would never count");
    }
    if (within && (m->from_ms < within->from_ms || m->until_ms > within->until_ms)) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "the set's dates leave those of the manifest; narrow them or widen the "
                            "manifest's");
    }
    return QR_OK;
}

qr_err
qr_measure_read(const struct qr_json_at *at, const struct qr_measure_dates *within,
                struct qr_measurement *ret)
{
    qr_view name, platform, from, until, note;
    int has_from = 0, has_until = 0, has_note = 0;
    struct qr_json_at expect;
    const struct qr_json_field fields[] = {
        {"name", QR_JSON_NAME, 1, QR_NAME_MAX - 1, &name, NULL},
        {"platform", QR_JSON_TEXT, 1, 64, &platform, NULL},
        {"valid_from", QR_JSON_TEXT, 1, 64, &from, &has_from},
        {"valid_until", QR_JSON_TEXT, 1, 64, &until, &has_until},
        {"expect", QR_JSON_OBJECT, 0, 0, &expect, NULL},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    *ret = (struct qr_measurement){.line = qr_json_line(at)};
    memcpy(ret->name, name.p, name.len);
    QR_TRY(qr_measure_kind(at, platform, &ret->kind));
    QR_TRY(read_dates(at, within, from, has_from, until, has_until, ret));
    if (qr_json_size(&expect) > QR_EXPECT_MAX) {
        return qr_json_fail(&expect, QR_ERR_TOO_LARGE, "%zu values, at most %u are allowed",
                            qr_json_size(&expect), QR_EXPECT_MAX);
    }
    for (size_t i = 0; i < qr_json_size(&expect); i++) {
        struct qr_json_at one = qr_json_member(&expect, i);
        if (strcmp(one.name, "note") != 0) {
            QR_TRY(read_expect(&one, ret));
        }
    }
    const char *missing = gap(ret);
    return missing ? qr_json_fail(&expect, QR_ERR_MALFORMED, "%s", missing) : QR_OK;
}

qr_err
qr_min_tcb_read(const struct qr_json_at *at, struct qr_min_tcb *ret)
{
    static const char *const lines[] = {"Milan", "Genoa", "Turin"};
    uint64_t bl, tee, snp, ucode, fmc = 0;
    qr_view product, note;
    int has_fmc = 0, has_note = 0, turin = 0, known = 0;
    char q[QR_QUOTE_MAX];
    const struct qr_json_field fields[] = {
        {"product", QR_JSON_NAME, 1, QR_NAME_MAX - 1, &product, NULL},
        {"bootloader", QR_JSON_U64, 0, 255, &bl, NULL},
        {"tee", QR_JSON_U64, 0, 255, &tee, NULL},
        {"snp", QR_JSON_U64, 0, 255, &snp, NULL},
        {"microcode", QR_JSON_U64, 0, 255, &ucode, NULL},
        {"fmc", QR_JSON_U64, 0, 255, &fmc, &has_fmc},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        known |= qr_view_eq(product, qr_view_str(lines[i]));
    }
    if (!known) {
        return qr_json_fail(
            at, QR_ERR_MALFORMED,
            "no product line is called \"%s\"; known are Milan, Genoa (also for Siena "
            "and Bergamo), Turin",
            qr_quote(q, product));
    }
    turin = qr_view_eq(product, qr_view_str("Turin"));
    if (turin != has_fmc) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            turin ? "member \"fmc\" is missing; Turin has that component"
                                  : "member \"fmc\" is of Turin; leave it out");
    }
    if ((bl | tee | snp | ucode | fmc) == 0) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "a minimum of zeros keeps nothing out; write the versions that the "
                            "vendor's last security bulletin asks for");
    }
    *ret = (struct qr_min_tcb){.bootloader = (uint8_t)bl,
                               .tee = (uint8_t)tee,
                               .snp = (uint8_t)snp,
                               .microcode = (uint8_t)ucode,
                               .fmc = (uint8_t)fmc,
                               .has_fmc = has_fmc,
                               .line = qr_json_line(at)};
    memcpy(ret->product, product.p, product.len);
    return QR_OK;
}

size_t
qr_measure_match(const struct qr_measurement *m, const struct qr_claimset *c,
                 const struct qr_expect **ret_miss)
{
    size_t good = 0;

    *ret_miss = NULL;
    for (size_t i = 0; i < m->n; i++) {
        const struct qr_expect *x = &m->expect[i];
        qr_view found;
        if (qr_claim_get_hex(c, x->path, &found) &&
            qr_view_eq(found, qr_view_of(x->bytes, x->len))) {
            good++;
        } else if (!*ret_miss) {
            *ret_miss = x;
        }
    }
    return good;
}
