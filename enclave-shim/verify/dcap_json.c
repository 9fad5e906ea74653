/*
 * TCB info and QE identity, read by tables: every member is known, there once, and of its type.
 * The bytes are the vendor's by the time they come here; what is refused here is what this verifier
 * does not understand, and it says so by the member's name.
 */
#include "enclave-shim/verify/dcap.h"

#include "enclave-shim/verify/manifest.h"

#include <inttypes.h>
#include <stdio.h>

#define TEXT_MAX 64u
#define END_OF_TIME_MS INT64_C(253402300800000) /* the year 10000 */

/* Numbers are read whole and judged here: one that is too great is malformed, not a limit. */
static qr_err
in_range(const struct qr_json_at *at, const char *name, uint64_t v, uint64_t max)
{
    if (v > max) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "%s: expected at most %" PRIu64 ", found %" PRIu64, name, max, v);
    }
    return QR_OK;
}

static int
hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

int
qr_dcap_hex(qr_view text, uint8_t *out, size_t n)
{
    if (text.len != 2 * n) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        int hi = hex_digit(text.p[2 * i]), lo = hex_digit(text.p[2 * i + 1]);
        if (hi < 0 || lo < 0) {
            return 0;
        }
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return 1;
}

static qr_err
hex(const struct qr_json_at *at, const char *name, qr_view text, uint8_t *out, size_t n)
{
    if (!qr_dcap_hex(text, out, n)) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "%s: expected %zu hex digits", name, 2 * n);
    }
    return QR_OK;
}

const char *
qr_dcap_time_text(int64_t ms, char out[static QR_TIME_TEXT])
{
    if (ms < 0 || ms >= END_OF_TIME_MS) {
        (void)snprintf(out, QR_TIME_TEXT, "%" PRId64 " ms", ms);
    } else {
        qr_time_print(ms, out);
    }
    return out;
}

static qr_err
read_time(const struct qr_json_at *at, const char *name, qr_view text, int64_t *ret)
{
    char q[QR_QUOTE_MAX];
    if (qr_time_parse(text, ret) != QR_OK) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "%s: expected a date as 2026-01-31T23:59:59Z, found \"%s\"", name,
                            qr_quote(q, text));
    }
    return QR_OK;
}

struct issue_text {
    qr_view issued, next;
};

static qr_err
read_issue(const struct qr_json_at *at, const struct issue_text *t, struct qr_dcap_issue *ret)
{
    QR_TRY(read_time(at, "issueDate", t->issued, &ret->issued_ms));
    QR_TRY(read_time(at, "nextUpdate", t->next, &ret->next_ms));
    if (ret->next_ms <= ret->issued_ms) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "nextUpdate is not after issueDate");
    }
    return QR_OK;
}

/* Date, status and advisories of a level. */
struct standing_text {
    qr_view date, status;
    struct qr_json_at advisories;
    int has_advisories;
};

static qr_err
read_standing(const struct qr_json_at *at, const struct standing_text *t,
              struct qr_dcap_standing *ret)
{
    char q[QR_QUOTE_MAX];
    int64_t ms;
    QR_TRY(read_time(at, "tcbDate", t->date, &ms));
    ret->date = t->date;
    if (!qr_dcap_status_of(t->status, &ret->status)) {
        return qr_json_fail(at, QR_ERR_VERSION, "unknown tcbStatus \"%s\"", qr_quote(q, t->status));
    }
    if (!t->has_advisories) {
        return QR_OK;
    }
    for (size_t i = 0; i < qr_json_count(&t->advisories); i++) {
        struct qr_json_at e = qr_json_elem(&t->advisories, i);
        qr_view id = {0};
        struct qr_json_field f = {
            .type = QR_JSON_NAME, .min = 1, .max = QR_DCAP_ADVISORY_MAX, .ret = &id};
        QR_TRY(qr_json_value(&e, &f));
    }
    ret->advisories = t->advisories;
    ret->advisories.up = NULL; /* the way to it does not outlive this call */
    return QR_OK;
}

/* Levels of a module or an enclave: the ISV SVN alone. */
static qr_err
read_isv_levels(const struct qr_json_at *levels, struct qr_dcap_isv_level *ret, size_t *ret_n)
{
    size_t n = qr_json_count(levels);
    for (size_t i = 0; i < n; i++) {
        struct qr_json_at at = qr_json_elem(levels, i), tcb = {0};
        struct standing_text t = {0};
        uint64_t svn = 0;
        const struct qr_json_field outer[] = {
            {"tcb", QR_JSON_OBJECT, .ret = &tcb},
            {"tcbDate", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &t.date},
            {"tcbStatus", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &t.status},
            {"advisoryIDs", QR_JSON_ARRAY, .max = QR_DCAP_ADVISORIES, .ret = &t.advisories,
             .ret_present = &t.has_advisories},
            {.type = QR_JSON_END}};
        const struct qr_json_field inner[] = {
            {"isvsvn", QR_JSON_U64, .max = INT64_MAX, .ret = &svn}, {.type = QR_JSON_END}};
        QR_TRY(qr_json_fields(&at, outer));
        QR_TRY(qr_json_fields(&tcb, inner));
        QR_TRY(in_range(&tcb, "isvsvn", svn, 65535));
        ret[i].isv_svn = (unsigned)svn;
        QR_TRY(read_standing(&at, &t, &ret[i].is));
    }
    *ret_n = n;
    return QR_OK;
}

static qr_err
read_module(const struct qr_json_at *at, int with_levels, struct qr_dcap_module *ret)
{
    qr_view mrsigner = {0}, attributes = {0}, mask = {0};
    struct qr_json_at levels = {0};
    /* The two rows that only an identity has come last: without them the table ends before. */
    const struct qr_json_field fields[] = {
        {"mrsigner", QR_JSON_TEXT, .max = 96, .ret = &mrsigner},
        {"attributes", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &attributes},
        {"attributesMask", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &mask},
        {with_levels ? "id" : NULL, with_levels ? QR_JSON_NAME : QR_JSON_END, .min = 1, .max = 16,
         .ret = &ret->id},
        {"tcbLevels", QR_JSON_ARRAY, .min = 1, .max = QR_DCAP_ISV_LEVELS, .ret = &levels},
        {.type = QR_JSON_END}};
    QR_TRY(qr_json_fields(at, fields));
    QR_TRY(hex(at, "mrsigner", mrsigner, ret->mrsigner, sizeof ret->mrsigner));
    QR_TRY(hex(at, "attributes", attributes, ret->attributes, sizeof ret->attributes));
    QR_TRY(hex(at, "attributesMask", mask, ret->mask, sizeof ret->mask));
    return with_levels ? read_isv_levels(&levels, ret->level, &ret->n) : QR_OK;
}

static qr_err
read_modules(const struct qr_json_at *array, struct qr_dcap_tcb_info *ret)
{
    ret->n_modules = qr_json_count(array);
    for (size_t i = 0; i < ret->n_modules; i++) {
        struct qr_json_at at = qr_json_elem(array, i);
        QR_TRY(read_module(&at, 1, &ret->modules[i]));
        for (size_t k = 0; k < i; k++) {
            if (qr_view_eq(ret->modules[k].id, ret->modules[i].id)) {
                return qr_json_fail(&at, QR_ERR_MALFORMED, "this id is there twice");
            }
        }
    }
    return QR_OK;
}

/* Version 3: sixteen objects. */
static qr_err
read_components(const struct qr_json_at *array, uint8_t out[static 16])
{
    if (qr_json_count(array) != 16) {
        return qr_json_fail(array, QR_ERR_MALFORMED, "expected 16 components, found %zu",
                            qr_json_count(array));
    }
    for (size_t i = 0; i < 16; i++) {
        struct qr_json_at at = qr_json_elem(array, i);
        uint64_t svn = 0;
        qr_view text;
        int there;
        const struct qr_json_field fields[] = {
            {"svn", QR_JSON_U64, .max = INT64_MAX, .ret = &svn},
            {"category", QR_JSON_UTF8, .max = TEXT_MAX, .ret = &text, .ret_present = &there},
            {"type", QR_JSON_UTF8, .max = TEXT_MAX, .ret = &text, .ret_present = &there},
            {.type = QR_JSON_END}};
        QR_TRY(qr_json_fields(&at, fields));
        QR_TRY(in_range(&at, "svn", svn, 255));
        out[i] = (uint8_t)svn;
    }
    return QR_OK;
}

static qr_err
read_tcb_v3(const struct qr_json_at *at, int tdx, struct qr_dcap_level *ret)
{
    struct qr_json_at sgx = {0}, td = {0};
    uint64_t pce = 0;
    const struct qr_json_field fields[] = {
        {"sgxtcbcomponents", QR_JSON_ARRAY, .max = 64, .ret = &sgx},
        {"pcesvn", QR_JSON_U64, .max = INT64_MAX, .ret = &pce},
        {tdx ? "tdxtcbcomponents" : NULL, tdx ? QR_JSON_ARRAY : QR_JSON_END, .max = 64, .ret = &td},
        {.type = QR_JSON_END}};
    QR_TRY(qr_json_fields(at, fields));
    QR_TRY(in_range(at, "pcesvn", pce, 65535));
    ret->pce_svn = (unsigned)pce;
    QR_TRY(read_components(&sgx, ret->sgx));
    return tdx ? read_components(&td, ret->tdx) : QR_OK;
}

/* Version 2: sixteen members. */
static qr_err
read_tcb_v2(const struct qr_json_at *at, struct qr_dcap_level *ret)
{
    static const char *const name[16] = {
        "sgxtcbcomp01svn", "sgxtcbcomp02svn", "sgxtcbcomp03svn", "sgxtcbcomp04svn",
        "sgxtcbcomp05svn", "sgxtcbcomp06svn", "sgxtcbcomp07svn", "sgxtcbcomp08svn",
        "sgxtcbcomp09svn", "sgxtcbcomp10svn", "sgxtcbcomp11svn", "sgxtcbcomp12svn",
        "sgxtcbcomp13svn", "sgxtcbcomp14svn", "sgxtcbcomp15svn", "sgxtcbcomp16svn"};
    uint64_t svn[17] = {0};
    struct qr_json_field fields[18];

    for (size_t i = 0; i < 17; i++) {
        fields[i] = (struct qr_json_field){i < 16 ? name[i] : "pcesvn", QR_JSON_U64,
                                           .max = INT64_MAX, .ret = &svn[i]};
    }
    fields[17] = (struct qr_json_field){.type = QR_JSON_END};
    QR_TRY(qr_json_fields(at, fields));
    for (size_t i = 0; i < 16; i++) {
        QR_TRY(in_range(at, name[i], svn[i], 255));
        ret->sgx[i] = (uint8_t)svn[i];
    }
    QR_TRY(in_range(at, "pcesvn", svn[16], 65535));
    ret->pce_svn = (unsigned)svn[16];
    return QR_OK;
}

static qr_err
read_levels(const struct qr_json_at *levels, struct qr_dcap_tcb_info *ret)
{
    ret->n = qr_json_count(levels);
    for (size_t i = 0; i < ret->n; i++) {
        struct qr_json_at at = qr_json_elem(levels, i), tcb = {0};
        struct standing_text t = {0};
        const struct qr_json_field fields[] = {
            {"tcb", QR_JSON_OBJECT, .ret = &tcb},
            {"tcbDate", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &t.date},
            {"tcbStatus", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &t.status},
            {"advisoryIDs", QR_JSON_ARRAY, .max = QR_DCAP_ADVISORIES, .ret = &t.advisories,
             .ret_present = &t.has_advisories},
            {.type = QR_JSON_END}};
        QR_TRY(qr_json_fields(&at, fields));
        QR_TRY(ret->version == 2 ? read_tcb_v2(&tcb, &ret->level[i])
                                 : read_tcb_v3(&tcb, ret->tdx, &ret->level[i]));
        QR_TRY(read_standing(&at, &t, &ret->level[i].is));
    }
    return QR_OK;
}

static qr_err
check_version(const struct qr_json_at *at, uint64_t version, qr_view id, int *ret_tdx)
{
    char q[QR_QUOTE_MAX];
    if (version != 2 && version != 3) {
        return qr_json_fail(at, QR_ERR_VERSION, "version: expected 2 or 3, found %" PRIu64,
                            version);
    }
    if (!id.p && version == 3) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "member \"id\" is missing");
    }
    *ret_tdx = id.p && qr_view_eq(id, qr_view_str("TDX"));
    if (id.p && !*ret_tdx && !qr_view_eq(id, qr_view_str("SGX"))) {
        return qr_json_fail(at, QR_ERR_VERSION, "id: expected SGX or TDX, found \"%s\"",
                            qr_quote(q, id));
    }
    if (*ret_tdx && version == 2) {
        return qr_json_fail(at, QR_ERR_VERSION, "TDX has no list of version 2");
    }
    return QR_OK;
}

qr_err
qr_dcap_tcb_info_read(struct qr_json *doc, struct qr_dcap_tcb_info *ret)
{
    struct qr_json_at at = qr_json_root(doc), module = {0}, modules = {0}, levels = {0};
    struct issue_text t = {{0}};
    qr_view id = {0}, fmspc = {0}, pce_id = {0};
    uint64_t version = 0, type = 0;
    int has_id = 0, has_modules = 0;
    const struct qr_json_field fields[] = {
        {"id", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &id, .ret_present = &has_id},
        {"version", QR_JSON_U64, .max = INT64_MAX, .ret = &version},
        {"issueDate", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &t.issued},
        {"nextUpdate", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &t.next},
        {"fmspc", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &fmspc},
        {"pceId", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &pce_id},
        {"tcbType", QR_JSON_U64, .max = INT64_MAX, .ret = &type},
        {"tcbEvaluationDataNumber", QR_JSON_U64, .max = INT64_MAX, .ret = &ret->issue.evaluation},
        {"tdxModule", QR_JSON_OBJECT, .ret = &module, .ret_present = &ret->has_module},
        {"tdxModuleIdentities", QR_JSON_ARRAY, .max = QR_DCAP_MODULES, .ret = &modules,
         .ret_present = &has_modules},
        {"tcbLevels", QR_JSON_ARRAY, .min = 1, .max = QR_DCAP_LEVELS, .ret = &levels},
        {.type = QR_JSON_END}};

    QR_TRY(qr_json_fields(&at, fields));
    QR_TRY(check_version(&at, version, id, &ret->tdx));
    ret->version = (unsigned)version;
    if (type != 0) {
        return qr_json_fail(&at, QR_ERR_VERSION, "tcbType: expected 0, found %" PRIu64, type);
    }
    if (ret->tdx != ret->has_module || (has_modules && !ret->tdx)) {
        return qr_json_fail(&at, QR_ERR_MALFORMED, "%s",
                            ret->tdx ? "member \"tdxModule\" is missing"
                                     : "a list of SGX speaks of TDX modules");
    }
    QR_TRY(read_issue(&at, &t, &ret->issue));
    QR_TRY(hex(&at, "fmspc", fmspc, ret->fmspc, sizeof ret->fmspc));
    QR_TRY(hex(&at, "pceId", pce_id, ret->pce_id, sizeof ret->pce_id));
    if (ret->tdx) {
        QR_TRY(read_module(&module, 0, &ret->module));
    }
    if (has_modules) {
        QR_TRY(read_modules(&modules, ret));
    }
    return read_levels(&levels, ret);
}

/* Four bytes as the vendor prints a 32-bit number, to those of a report. */
static void
reverse4(uint8_t b[static 4])
{
    uint8_t t[4] = {b[3], b[2], b[1], b[0]};
    memcpy(b, t, sizeof t);
}

qr_err
qr_dcap_qe_identity_read(struct qr_json *doc, struct qr_dcap_qe_identity *ret)
{
    struct qr_json_at at = qr_json_root(doc), levels = {0};
    struct issue_text t = {{0}};
    qr_view id = {0}, misc = {0}, misc_mask = {0};
    qr_view attributes = {0}, mask = {0}, mrsigner = {0};
    uint64_t version = 0, prod = 0;
    char q[QR_QUOTE_MAX];
    const struct qr_json_field fields[] = {
        {"id", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &id},
        {"version", QR_JSON_U64, .max = INT64_MAX, .ret = &version},
        {"issueDate", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &t.issued},
        {"nextUpdate", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &t.next},
        {"tcbEvaluationDataNumber", QR_JSON_U64, .max = INT64_MAX, .ret = &ret->issue.evaluation},
        {"miscselect", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &misc},
        {"miscselectMask", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &misc_mask},
        {"attributes", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &attributes},
        {"attributesMask", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &mask},
        {"mrsigner", QR_JSON_TEXT, .max = TEXT_MAX, .ret = &mrsigner},
        {"isvprodid", QR_JSON_U64, .max = INT64_MAX, .ret = &prod},
        {"tcbLevels", QR_JSON_ARRAY, .min = 1, .max = QR_DCAP_ISV_LEVELS, .ret = &levels},
        {.type = QR_JSON_END}};

    QR_TRY(qr_json_fields(&at, fields));
    if (version != 2) {
        return qr_json_fail(&at, QR_ERR_VERSION, "version: expected 2, found %" PRIu64, version);
    }
    ret->tdx = qr_view_eq(id, qr_view_str("TD_QE"));
    if (!ret->tdx && !qr_view_eq(id, qr_view_str("QE"))) {
        return qr_json_fail(&at, QR_ERR_VERSION, "id: expected QE or TD_QE, found \"%s\"",
                            qr_quote(q, id));
    }
    QR_TRY(read_issue(&at, &t, &ret->issue));
    QR_TRY(hex(&at, "miscselect", misc, ret->misc_select, sizeof ret->misc_select));
    QR_TRY(hex(&at, "miscselectMask", misc_mask, ret->misc_mask, sizeof ret->misc_mask));
    reverse4(ret->misc_select);
    reverse4(ret->misc_mask);
    QR_TRY(hex(&at, "attributes", attributes, ret->attributes, sizeof ret->attributes));
    QR_TRY(hex(&at, "attributesMask", mask, ret->attributes_mask, sizeof ret->attributes_mask));
    QR_TRY(hex(&at, "mrsigner", mrsigner, ret->mrsigner, sizeof ret->mrsigner));
    QR_TRY(in_range(&at, "isvprodid", prod, 65535));
    ret->isv_prod_id = (unsigned)prod;
    return read_isv_levels(&levels, ret->level, &ret->n);
}
