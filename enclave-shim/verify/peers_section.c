/* Compiling a platform's section: rows of qr_peers_defs, and what is not a row. */
#include "enclave-shim/verify/peers_int.h"
#include "enclave-shim/verify/witness.h"

#include "protocol/base/check.h"

#include <stdio.h>

static const char *const status_words[] = {
    "UpToDate",
    "SWHardeningNeeded",
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    "OutOfDate",
    "OutOfDateConfigurationNeeded",
};
#define STATUS_WORDS (sizeof status_words / sizeof status_words[0])

qr_err
qr_peers_value_new(const struct qr_json_at *at, struct qr_peers *p, struct qr_peers_list *l,
                   struct qr_peers_value **ret)
{
    if (p->n_values == QR_PEERS_VALUES) {
        return qr_json_fail(at, QR_ERR_TOO_LARGE,
                            "the lists of a policy hold at most %u values together",
                            QR_PEERS_VALUES);
    }
    if (l->n == 0) {
        l->first = p->n_values;
        l->line = qr_json_line(at);
    }
    QR_ASSERT(l->first + l->n == p->n_values); /* a list is read in one go */
    struct qr_peers_value *v = &p->value[p->n_values++];
    l->n++;
    *v = (struct qr_peers_value){.line = qr_json_line(at)};
    *ret = v;
    return QR_OK;
}

/* An element that the list has already is somebody's mistake. */
qr_err
qr_peers_value_once(const struct qr_json_at *at, const struct qr_peers *p,
                    const struct qr_peers_list *l)
{
    const struct qr_peers_value *last = &p->value[l->first + l->n - 1];
    for (const struct qr_peers_value *v = &p->value[l->first]; v < last; v++) {
        if (v->len == last->len && v->u == last->u && v->id == last->id &&
            memcmp(v->b, last->b, last->len) == 0) {
            return qr_json_fail(at, QR_ERR_MALFORMED, "this value is listed twice");
        }
    }
    return QR_OK;
}

static qr_err
put_text(const struct qr_json_at *at, qr_view t, struct qr_peers_value *v)
{
    if (t.len > sizeof v->b) {
        return qr_json_fail(at, QR_ERR_TOO_LARGE, "%zu bytes, at most %zu are allowed", t.len,
                            sizeof v->b);
    }
    memcpy(v->b, t.p, t.len);
    v->len = (uint8_t)t.len;
    return QR_OK;
}

/* ---- rows of the table ---- */

static qr_err
read_element(const struct qr_json_at *at, const struct qr_peers_def *d, struct qr_peers_value *v)
{
    char q[QR_QUOTE_MAX];
    qr_view t;
    const struct qr_json_field number = {"", QR_JSON_U64, 0, d->len, &v->u, NULL};
    const struct qr_json_field text = {"", QR_JSON_NAME, 1, sizeof v->b, &t, NULL};

    if (d->op == QR_OP_BYTES) {
        v->len = (uint8_t)d->len;
        return qr_measure_hex(at, d->len, v->b);
    }
    if (d->op == QR_OP_UINT) {
        return qr_json_value(at, &number);
    }
    QR_TRY(qr_json_value(at, &text));
    if (!qr_peers_word_in(d->words, t)) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "\"%s\" is none of: %s", qr_quote(q, t),
                            d->words);
    }
    return put_text(at, t, v);
}

static qr_err
read_list(const struct qr_json_at *list, struct qr_peers *p, const struct qr_peers_def *d, int set,
          struct qr_peers_list *ret)
{
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        struct qr_peers_value *v = NULL;
        QR_TRY(qr_peers_value_new(&at, p, ret, &v));
        v->set = (uint8_t)set;
        QR_TRY(read_element(&at, d, v));
        QR_TRY(qr_peers_value_once(&at, p, ret));
    }
    return QR_OK;
}

static qr_err
read_bits(const struct qr_json_at *at, struct qr_peers *p, const struct qr_peers_def *d,
          struct qr_peers_list *ret)
{
    struct qr_json_at set, clear;
    qr_view note;
    int has_set = 0, has_clear = 0, has_note = 0;
    const struct qr_json_field fields[] = {
        {"set", QR_JSON_ARRAY, 1, 16, &set, &has_set},
        {"clear", QR_JSON_ARRAY, 1, 16, &clear, &has_clear},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    if (!has_set && !has_clear) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "write \"set\" and \"clear\" with the names of bits");
    }
    if (has_set) {
        QR_TRY(read_list(&set, p, d, 1, ret));
    }
    /* One list of both, so that a bit which must be set and clear is a value listed twice. */
    return has_clear ? read_list(&clear, p, d, 0, ret) : QR_OK;
}

static qr_err
read_rule(const struct qr_json_at *at, struct qr_peers *p, const struct qr_peers_def *d,
          struct qr_peers_section *s)
{
    struct qr_peers_rule *r = &s->rule[s->n_rules];
    struct qr_json_at list;
    int yes = 0;
    const struct qr_json_field array = {"", QR_JSON_ARRAY, 1, QR_PEERS_VALUES, &list, NULL};
    const struct qr_json_field number = {"", QR_JSON_U64, 1, d->len, &r->u, NULL};
    const struct qr_json_field flag = {"", QR_JSON_BOOL, 0, 0, &yes, NULL};

    r->def = d;
    r->line = qr_json_line(at);
    s->n_rules++;
    switch (d->op) {
    case QR_OP_MIN:
        return qr_json_value(at, &number);
    case QR_OP_TRUE:
        QR_TRY(qr_json_value(at, &flag));
        return yes ? QR_OK
                   : qr_json_fail(at, QR_ERR_MALFORMED,
                                  "can only be demanded: write true, or leave it out");
    case QR_OP_BITS:
        return read_bits(at, p, d, &r->list);
    default:
        QR_TRY(qr_json_value(at, &array));
        return read_list(&list, p, d, 0, &r->list);
    }
}

/* ---- machines ---- */

static const struct qr_peers_id *
machine_id(const char *member)
{
    for (size_t i = 0; i < qr_peers_n_ids; i++) {
        if (strcmp(qr_peers_ids[i].member, member) == 0) {
            return &qr_peers_ids[i];
        }
    }
    return NULL;
}

static qr_err
read_machine_id(const struct qr_json_at *at, const struct qr_peers_id *id, unsigned kinds,
                struct qr_peers_value *v)
{
    qr_view t;
    const struct qr_json_field text = {"", QR_JSON_NAME, 1, sizeof v->b, &t, NULL};

    if (!(id->kinds & kinds)) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "evidence of this platform names no machine so; take the line out");
    }
    v->id = (uint8_t)(id - qr_peers_ids);
    if (id->len > 0) {
        v->len = (uint8_t)id->len;
        return qr_measure_hex(at, id->len, v->b);
    }
    QR_TRY(qr_json_value(at, &text));
    for (size_t i = 0; id->number && i < t.len; i++) {
        if (t.p[i] < '0' || t.p[i] > '9' || (t.p[0] == '0' && t.len > 1)) {
            return qr_json_fail(at, QR_ERR_MALFORMED, "must be a decimal number, as text");
        }
    }
    return put_text(at, t, v);
}

static qr_err
read_machine(const struct qr_json_at *at, struct qr_peers *p, unsigned kinds,
             struct qr_peers_list *ret)
{
    size_t n = 0;
    char q[QR_QUOTE_MAX];
    struct qr_json_at self;
    const struct qr_json_field object = {"", QR_JSON_OBJECT, 0, 0, &self, NULL};

    QR_TRY(qr_json_value(at, &object));
    for (size_t i = 0; i < qr_json_size(at); i++) {
        struct qr_json_at one = qr_json_member(at, i);
        const struct qr_peers_id *id = machine_id(one.name);
        struct qr_peers_value *v = NULL;
        if (strcmp(one.name, "note") == 0) {
            qr_view note;
            const struct qr_json_field f = {"", QR_JSON_UTF8, 0, QR_NOTE_MAX, &note, NULL};
            QR_TRY(qr_json_value(&one, &f));
            continue;
        }
        if (!id) {
            return qr_json_fail(at, QR_ERR_UNKNOWN_FIELD, "unknown member \"%s\"",
                                qr_quote(q, qr_view_str(one.name)));
        }
        n++;
        QR_TRY(qr_peers_value_new(&one, p, ret, &v));
        QR_TRY(read_machine_id(&one, id, kinds, v));
        QR_TRY(qr_peers_value_once(&one, p, ret));
    }
    return n == 1 ? QR_OK
                  : qr_json_fail(at, QR_ERR_MALFORMED,
                                 "a machine is named in one way, such as {\"chip_id\": \"...\"}");
}

qr_err
qr_peers_read_machines(const struct qr_json_at *list, struct qr_peers *p, unsigned kinds,
                       struct qr_peers_list *ret)
{
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        QR_TRY(read_machine(&at, p, kinds, ret));
    }
    return QR_OK;
}

static qr_err
read_section_machines(const struct qr_json_at *at, struct qr_peers *p, struct qr_peers_section *s)
{
    struct qr_json_at allow, deny;
    qr_view note;
    int has_allow = 0, has_deny = 0, has_note = 0;
    const struct qr_json_field fields[] = {
        {"allow", QR_JSON_ARRAY, 0, QR_PEERS_VALUES, &allow, &has_allow},
        {"deny", QR_JSON_ARRAY, 1, QR_PEERS_VALUES, &deny, &has_deny},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    if (has_allow && qr_json_count(&allow) == 0) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "an empty list allows no machine; list machines, or leave \"allow\" "
                            "out to allow any");
    }
    if (has_allow) {
        QR_TRY(qr_peers_read_machines(&allow, p, QR_KIND_MASK(s->kind), &s->allow));
    }
    return has_deny ? qr_peers_read_machines(&deny, p, QR_KIND_MASK(s->kind), &s->deny) : QR_OK;
}

/* ---- AMD, Intel ---- */

static qr_err
read_products(const struct qr_json_at *list, struct qr_peers_section *s)
{
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        QR_TRY(qr_min_tcb_read(&at, &s->product[i]));
        for (size_t k = 0; k < i; k++) {
            if (strcmp(s->product[k].product, s->product[i].product) == 0) {
                return qr_json_fail(&at, QR_ERR_MALFORMED, "product %s is listed twice",
                                    s->product[i].product);
            }
        }
        s->n_products++;
    }
    return QR_OK;
}

static qr_err
read_texts(const struct qr_json_at *list, struct qr_peers *p, size_t bytes,
           struct qr_peers_list *ret)
{
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        struct qr_peers_value *v = NULL;
        qr_view t;
        const struct qr_json_field text = {"", QR_JSON_NAME, 1, 32, &t, NULL};
        QR_TRY(qr_peers_value_new(&at, p, ret, &v));
        if (bytes > 0) {
            v->len = (uint8_t)bytes;
            QR_TRY(qr_measure_hex(&at, bytes, v->b));
        } else {
            QR_TRY(qr_json_value(&at, &text));
            QR_TRY(put_text(&at, t, v));
        }
        QR_TRY(qr_peers_value_once(&at, p, ret));
    }
    return QR_OK;
}

static qr_err
status_word(const struct qr_json_at *at, qr_view w, const char **ret)
{
    char q[QR_QUOTE_MAX];

    for (size_t i = 0; i < STATUS_WORDS; i++) {
        if (qr_view_eq(w, qr_view_str(status_words[i]))) {
            *ret = status_words[i];
            return QR_OK;
        }
    }
    return qr_json_fail(at, QR_ERR_MALFORMED,
                        qr_view_eq(w, qr_view_str("Revoked"))
                            ? "status \"%s\" is never accepted: keys of such platforms are out"
                            : "unknown status \"%s\"; accepted can be UpToDate, SWHardeningNeeded, "
                              "ConfigurationNeeded, ConfigurationAndSWHardeningNeeded, OutOfDate, "
                              "OutOfDateConfigurationNeeded",
                        qr_quote(q, w));
}

static qr_err
read_status(const struct qr_json_at *at, struct qr_peers *p, struct qr_peers_section *s)
{
    struct qr_peers_status *x = &s->status[s->n_statuses];
    struct qr_json_at advisories, fmspcs;
    qr_view word, until, note;
    int has_advisories = 0, has_fmspcs = 0, has_until = 0, has_note = 0;
    const struct qr_json_field fields[] = {
        {"status", QR_JSON_TEXT, 1, 64, &word, NULL},
        {"advisories", QR_JSON_ARRAY, 0, QR_PEERS_ADVISORIES, &advisories, &has_advisories},
        {"fmspcs", QR_JSON_ARRAY, 1, QR_PEERS_FMSPCS, &fmspcs, &has_fmspcs},
        {"until", QR_JSON_TEXT, 1, 64, &until, &has_until},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    QR_TRY(status_word(at, word, &x->word));
    if (!has_advisories) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "member \"advisories\" is missing; list those that may stand beside "
                            "%s, or [] for none",
                            x->word);
    }
    if (strncmp(x->word, "OutOfDate", 9) == 0 && !has_until) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "%s can be accepted for a time only; add \"until\"", x->word);
    }
    x->line = qr_json_line(at);
    x->until_ms = INT64_MAX;
    if (has_until) {
        QR_TRY(qr_measure_date(at, "until", until, &x->until_ms));
    }
    QR_TRY(read_texts(&advisories, p, 0, &x->advisories));
    if (has_fmspcs) {
        QR_TRY(read_texts(&fmspcs, p, 6, &x->fmspcs));
    }
    s->n_statuses++;
    return QR_OK;
}

static qr_err
read_signer(const struct qr_json_at *at, struct qr_peers_section *s)
{
    struct qr_peers_signer *x = &s->signer[s->n_signers];
    uint64_t prod = 0, svn = 0;
    qr_view text, note;
    int has_prod = 0, has_svn = 0, has_note = 0;
    const struct qr_json_field fields[] = {
        {"mrsigner", QR_JSON_TEXT, 0, 128, &text, NULL},
        {"isv_prod_id", QR_JSON_U64, 0, UINT16_MAX, &prod, &has_prod},
        {"min_isv_svn", QR_JSON_U64, 0, UINT16_MAX, &svn, &has_svn},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    if (!has_prod || !has_svn) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "a signer signs more than one enclave and every version of it; add "
                            "isv_prod_id and min_isv_svn");
    }
    for (size_t i = 0; i < qr_json_size(at); i++) {
        struct qr_json_at one = qr_json_member(at, i);
        if (strcmp(one.name, "mrsigner") == 0) {
            QR_TRY(qr_measure_hex(&one, sizeof x->mrsigner, x->mrsigner));
        }
    }
    x->isv_prod_id = (uint16_t)prod;
    x->min_isv_svn = (uint16_t)svn;
    x->line = qr_json_line(at);
    s->n_signers++;
    return QR_OK;
}

/* ---- the section ---- */

qr_err
qr_peers_read_checks(const struct qr_json_at *list, uint64_t *ret)
{
    char q[QR_QUOTE_MAX];
    uint64_t mask = 0;

    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        qr_view name;
        const struct qr_json_field f = {"", QR_JSON_TEXT, 1, 64, &name, NULL};
        QR_TRY(qr_json_value(&at, &f));
        enum qr_check c = qr_check_by_name(name);
        if (c == QR_CHECK_COUNT) {
            return qr_json_fail(&at, QR_ERR_MALFORMED,
                                "no check is called \"%s\"; `quorate verify` prints the names",
                                qr_quote(q, name));
        }
        if (mask & QR_PEERS_CHECK(c)) {
            return qr_json_fail(&at, QR_ERR_MALFORMED, "this value is listed twice");
        }
        mask |= QR_PEERS_CHECK(c);
    }
    *ret = mask;
    return QR_OK;
}

/* What a section must say, by platform. */
static qr_err
check_section(const struct qr_json_at *at, const struct qr_peers_section *s)
{
    unsigned k = QR_KIND_MASK(s->kind);

    if (s->debug && !s->insecure) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "debug lets the host read keys; take \"debug\" out, or mark the "
                            "section with \"insecure\": true");
    }
    if (s->kind == QR_EV_TPM && !s->insecure) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "a TPM alone says what booted and protects no memory; use a "
                            "confidential VM's platform, or mark the section with \"insecure\": "
                            "true");
    }
    if (s->kind == QR_EV_TPM && s->allow.n == 0) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "anybody has a TPM; list the attestation keys under machines.allow, "
                            "as {\"ak_name\": \"...\"}");
    }
    if ((k & QR_KINDS_SNP) && s->n_products == 0) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "member \"products\" is missing; list product lines with their oldest "
                            "good firmware");
    }
    if ((k & QR_KINDS_INTEL) && s->n_statuses == 0) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "member \"statuses\" is missing; write at least [{\"status\": "
                            "\"UpToDate\", \"advisories\": []}]");
    }
    if (s->kind == QR_EV_AZURE_SNP &&
        (!qr_peers_rule_named(s, "id_key_digests") || !qr_peers_rule_named(s, "min_guest_svn"))) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "members \"id_key_digests\" and \"min_guest_svn\" are needed: they say "
                            "whose paravisor runs below the vTPM");
    }
    return QR_OK;
}

/* A member that belongs to other platforms than this one. */
static int
takes(const struct qr_peers_section *s, unsigned kinds)
{
    return (QR_KIND_MASK(s->kind) & kinds) != 0;
}

struct lists {
    struct qr_json_at products, statuses, signers;
    int has_products, has_statuses, has_signers;
};

static qr_err
read_lists(const struct lists *l, struct qr_peers *p, struct qr_peers_section *s)
{
    if (l->has_products) {
        QR_TRY(read_products(&l->products, s));
    }
    for (size_t i = 0; l->has_statuses && i < qr_json_count(&l->statuses); i++) {
        struct qr_json_at one = qr_json_elem(&l->statuses, i);
        QR_TRY(read_status(&one, p, s));
    }
    for (size_t i = 0; l->has_signers && i < qr_json_count(&l->signers); i++) {
        struct qr_json_at one = qr_json_elem(&l->signers, i);
        QR_TRY(read_signer(&one, s));
    }
    return QR_OK;
}

qr_err
qr_peers_read_section(const struct qr_json_at *at, struct qr_peers *p, struct qr_peers_section *s)
{
    struct qr_json_field fields[QR_PEERS_DEFS_MAX + 10];
    struct qr_json_at require, machines, witness;
    struct lists l = {.has_products = 0};
    qr_view note;
    int has[QR_PEERS_DEFS_MAX], has_require = 0, has_machines = 0, has_insecure = 0, has_debug = 0,
                                has_note = 0, has_witness = 0;
    const struct qr_peers_def *def[QR_PEERS_DEFS_MAX];
    size_t n = 0, defs = 0;

    s->line = qr_json_line(at);
    fields[n++] = (struct qr_json_field)QR_NOTE_FIELD(note, has_note);
    fields[n++] =
        (struct qr_json_field){"insecure", QR_JSON_BOOL, 0, 0, &s->insecure, &has_insecure};
    fields[n++] = (struct qr_json_field){"debug", QR_JSON_BOOL, 0, 0, &s->debug, &has_debug};
    fields[n++] =
        (struct qr_json_field){"require", QR_JSON_ARRAY, 1, QR_CHECK_COUNT, &require, &has_require};
    fields[n++] =
        (struct qr_json_field){"machines", QR_JSON_OBJECT, 0, 0, &machines, &has_machines};
    if (takes(s, QR_KINDS_SNP)) {
        fields[n++] = (struct qr_json_field){"products",      QR_JSON_ARRAY, 1,
                                             QR_PRODUCTS_MAX, &l.products,   &l.has_products};
    }
    if (takes(s, QR_KINDS_INTEL)) {
        fields[n++] = (struct qr_json_field){"statuses",        QR_JSON_ARRAY, 1,
                                             QR_PEERS_STATUSES, &l.statuses,   &l.has_statuses};
    }
    if (qr_witness_taken(s->kind)) {
        fields[n++] =
            (struct qr_json_field){"witness", QR_JSON_OBJECT, 0, 0, &witness, &has_witness};
    }
    if (takes(s, QR_KIND_MASK(QR_EV_SGX))) {
        fields[n++] = (struct qr_json_field){"signers",        QR_JSON_ARRAY, 1,
                                             QR_PEERS_SIGNERS, &l.signers,    &l.has_signers};
    }
    for (size_t i = 0; i < qr_peers_n_defs; i++) {
        if (takes(s, qr_peers_defs[i].kinds)) {
            def[defs] = &qr_peers_defs[i];
            fields[n++] = (struct qr_json_field){
                qr_peers_defs[i].member, QR_JSON_SKIP, 0, 0, NULL, &has[defs]};
            defs++;
        }
    }
    fields[n] = (struct qr_json_field){.type = QR_JSON_END};
    QR_TRY(qr_json_fields(at, fields));
    if (has_require) {
        s->require_line = qr_json_line(&require);
        QR_TRY(qr_peers_read_checks(&require, &s->require));
    }
    for (size_t i = 0; i < qr_json_size(at); i++) {
        struct qr_json_at one = qr_json_member(at, i);
        for (size_t d = 0; d < defs; d++) {
            if (strcmp(def[d]->member, one.name) == 0) {
                QR_TRY(read_rule(&one, p, def[d], s));
            }
        }
    }
    QR_TRY(read_lists(&l, p, s));
    if (has_machines) {
        QR_TRY(read_section_machines(&machines, p, s));
    }
    if (has_witness) {
        QR_TRY(qr_peers_read_witness(&witness, p, s));
    }
    return check_section(at, s);
}
