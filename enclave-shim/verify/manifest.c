/* Release manifests: reading, and what they say. Signatures are in manifest_sig.c. */
#include "enclave-shim/verify/measure.h"

#include "protocol/base/check.h"
#include "protocol/base/mem.h"

#include <openssl/evp.h>
#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

#define MANIFEST_VALUES 4096u

struct names {
    size_t n;
    char name[QR_MANIFEST_LIST][QR_NAME_MAX];
};

struct qr_manifest {
    uint8_t sha256[32], recipe[32];
    char release[QR_NAME_MAX], source[65];
    struct qr_measure_dates dates;
    struct names supersedes, revoked;
    size_t n_tcb;
    struct qr_min_tcb tcb[QR_PRODUCTS_MAX];
    uint64_t min_evaluation, min_release;
    size_t n;
    struct qr_measurement *set;
    qr_view text; /* a copy that the manifest owns */
    uint8_t *bytes;
};

struct qr_manifest *
qr_manifest_free(struct qr_manifest *m)
{
    if (m) {
        qr_free(m->set);
        qr_free(m->bytes);
    }
    return qr_free(m);
}

static int
has_name(const struct names *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->name[i], name) == 0) {
            return 1;
        }
    }
    return 0;
}

static qr_err
read_names(const struct qr_json_at *list, const char *release, struct names *ret)
{
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        qr_view v;
        const struct qr_json_field f = {"", QR_JSON_NAME, 1, QR_NAME_MAX - 1, &v, NULL};
        char name[QR_NAME_MAX] = "";
        QR_TRY(qr_json_value(&at, &f));
        memcpy(name, v.p, v.len);
        if (has_name(ret, name)) {
            return qr_json_fail(&at, QR_ERR_MALFORMED, "\"%s\" is listed twice", name);
        }
        if (strcmp(name, release) == 0) {
            return qr_json_fail(&at, QR_ERR_MALFORMED,
                                "a release neither supersedes nor revokes itself; name other ones");
        }
        memcpy(ret->name[ret->n++], name, sizeof name);
    }
    return QR_OK;
}

static qr_err
read_minimum(const struct qr_json_at *at, struct qr_manifest *m)
{
    struct qr_json_at snp;
    qr_view note;
    int has_snp = 0, has_eval = 0, has_note = 0;
    const struct qr_json_field fields[] = {
        {"amd_sev_snp", QR_JSON_ARRAY, 1, QR_PRODUCTS_MAX, &snp, &has_snp},
        {"intel_tcb_evaluation", QR_JSON_U64, 1, UINT32_MAX, &m->min_evaluation, &has_eval},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    for (size_t i = 0; has_snp && i < qr_json_count(&snp); i++) {
        struct qr_json_at one = qr_json_elem(&snp, i);
        QR_TRY(qr_min_tcb_read(&one, &m->tcb[i]));
        if (qr_manifest_min_tcb(m, qr_view_str(m->tcb[i].product))) {
            return qr_json_fail(&one, QR_ERR_MALFORMED, "product %s is listed twice",
                                m->tcb[i].product);
        }
        m->n_tcb++;
    }
    return QR_OK;
}

static qr_err
read_sets(const struct qr_json_at *list, struct qr_manifest *m)
{
    size_t n = qr_json_count(list);

    m->set = qr_alloc(n * sizeof m->set[0]);
    if (!m->set) {
        return qr_json_fail(list, QR_ERR_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        QR_TRY(qr_measure_read(&at, &m->dates, &m->set[i]));
        for (size_t k = 0; k < i; k++) {
            if (strcmp(m->set[k].name, m->set[i].name) == 0) {
                return qr_json_fail(&at, QR_ERR_MALFORMED, "name \"%s\" is used twice",
                                    m->set[i].name);
            }
        }
        m->n++;
    }
    return QR_OK;
}

static qr_err
read_head(const struct qr_json_at *root, struct qr_manifest *m, qr_view source, qr_view from,
          qr_view until)
{
    QR_TRY(qr_measure_date(root, "valid_from", from, &m->dates.from_ms));
    QR_TRY(qr_measure_date(root, "valid_until", until, &m->dates.until_ms));
    if (m->dates.until_ms <= m->dates.from_ms) {
        return qr_json_fail(root, QR_ERR_MALFORMED,
                            "valid_until is not after valid_from: the release would never count");
    }
    if (source.len != 40 && source.len != 64) {
        return qr_json_fail(root, QR_ERR_MALFORMED,
                            "source must be a commit: 40 or 64 hex digits, has %zu characters",
                            source.len);
    }
    for (size_t i = 0; i < source.len; i++) {
        uint8_t c = source.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return qr_json_fail(root, QR_ERR_MALFORMED, "source must be lower-case hex");
        }
    }
    memcpy(m->source, source.p, source.len);
    return QR_OK;
}

static qr_err
read_manifest(struct qr_json *j, struct qr_manifest *m)
{
    struct qr_json_at root = qr_json_root(j), supersedes, revoked, minimum, sets;
    qr_view release, source, from, until, note;
    int has_supersedes = 0, has_revoked = 0, has_minimum = 0, has_release = 0, has_note = 0;
    const struct qr_json_field fields[] = {
        {"v", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"type", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"release", QR_JSON_NAME, 1, QR_NAME_MAX - 1, &release, NULL},
        {"source", QR_JSON_TEXT, 0, 64, &source, NULL},
        {"recipe", QR_JSON_HEX, 0, 32, m->recipe, NULL},
        {"valid_from", QR_JSON_TEXT, 1, 64, &from, NULL},
        {"valid_until", QR_JSON_TEXT, 1, 64, &until, NULL},
        {"supersedes", QR_JSON_ARRAY, 0, QR_MANIFEST_LIST, &supersedes, &has_supersedes},
        {"revoked", QR_JSON_ARRAY, 0, QR_MANIFEST_LIST, &revoked, &has_revoked},
        {"minimum_release", QR_JSON_U64, 1, UINT32_MAX, &m->min_release, &has_release},
        {"minimum_tcb", QR_JSON_OBJECT, 0, 0, &minimum, &has_minimum},
        {"measurements", QR_JSON_ARRAY, 1, QR_MANIFEST_SETS, &sets, NULL},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_head(&root, "quorate/measurements"));
    QR_TRY(qr_json_fields(&root, fields));
    memcpy(m->release, release.p, release.len);
    QR_TRY(read_head(&root, m, source, from, until));
    if (has_supersedes) {
        QR_TRY(read_names(&supersedes, m->release, &m->supersedes));
    }
    if (has_revoked) {
        QR_TRY(read_names(&revoked, m->release, &m->revoked));
    }
    if (has_minimum) {
        QR_TRY(read_minimum(&minimum, m));
    }
    return read_sets(&sets, m);
}

qr_err
qr_manifest_parse(qr_view text, struct qr_manifest **ret, char *err_text, size_t err_cap)
{
    struct qr_json j;

    if (text.len > QR_MANIFEST_MAX) {
        EXPLAIN("manifest has %zu bytes, at most %u are allowed", text.len, QR_MANIFEST_MAX);
        return QR_ERR_TOO_LARGE;
    }
    struct qr_manifest *m = qr_alloc(sizeof *m);
    if (!m) {
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = qr_json_parse(&j, text, MANIFEST_VALUES, err_text, err_cap);
    if (e == QR_OK) {
        j.lines = 1;
        e = read_manifest(&j, m);
        qr_json_clear(&j);
    }
    if (e == QR_OK) {
        m->bytes = qr_alloc(text.len);
        if (!m->bytes || EVP_Digest(text.p, text.len, m->sha256, NULL, EVP_sha256(), NULL) != 1) {
            EXPLAIN("out of memory");
            e = QR_ERR_NO_MEMORY;
        }
    }
    if (e != QR_OK) {
        qr_manifest_free(m);
        return e;
    }
    memcpy(m->bytes, text.p, text.len);
    m->text = qr_view_of(m->bytes, text.len);
    *ret = m;
    return QR_OK;
}

qr_view
qr_manifest_text(const struct qr_manifest *m)
{
    return m->text;
}

const uint8_t *
qr_manifest_sha256(const struct qr_manifest *m)
{
    return m->sha256;
}

const char *
qr_manifest_release(const struct qr_manifest *m)
{
    return m->release;
}

const char *
qr_manifest_source(const struct qr_manifest *m)
{
    return m->source;
}

const uint8_t *
qr_manifest_recipe(const struct qr_manifest *m)
{
    return m->recipe;
}

int64_t
qr_manifest_from_ms(const struct qr_manifest *m)
{
    return m->dates.from_ms;
}

int64_t
qr_manifest_until_ms(const struct qr_manifest *m)
{
    return m->dates.until_ms;
}

size_t
qr_manifest_n(const struct qr_manifest *m)
{
    return m->n;
}

const struct qr_measurement *
qr_manifest_get(const struct qr_manifest *m, size_t i)
{
    QR_ASSERT(i < m->n);
    return &m->set[i];
}

const char *
qr_manifest_superseded(const struct qr_manifest *m, size_t i)
{
    return i < m->supersedes.n ? m->supersedes.name[i] : NULL;
}

const char *
qr_manifest_revoked(const struct qr_manifest *m, size_t i)
{
    return i < m->revoked.n ? m->revoked.name[i] : NULL;
}

int
qr_manifest_revokes(const struct qr_manifest *m, const char *release)
{
    return has_name(&m->revoked, release);
}

uint64_t
qr_manifest_min_release(const struct qr_manifest *m)
{
    return m->min_release;
}

const struct qr_min_tcb *
qr_manifest_min_tcb(const struct qr_manifest *m, qr_view product)
{
    for (size_t i = 0; i < m->n_tcb; i++) {
        if (qr_view_eq(product, qr_view_str(m->tcb[i].product))) {
            return &m->tcb[i];
        }
    }
    return NULL;
}

uint64_t
qr_manifest_min_evaluation(const struct qr_manifest *m)
{
    return m->min_evaluation;
}
