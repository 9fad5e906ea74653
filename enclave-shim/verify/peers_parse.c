/* Compiling a policy: the parts that hold for all platforms. Sections are in peers_section.c. */
#include "enclave-shim/verify/peers_int.h"
#include "enclave-shim/verify/witness.h"

#include "protocol/base/mem.h"

#include <jansson.h>
#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

#define PEERS_VALUES 16384u
#define DAYS(n) ((n)*UINT64_C(86400))

static const struct qr_peers_times default_times = {
    .max_age_ms = 300000,
    .reattest_ms = 600000,
    .warn_ms = 3600000,
    .no_peers_ms = 6 * 3600000,
    .no_keys_ms = 12 * 3600000,
    .stop_ms = 24 * 3600000,
    .clock_spread_ms = 60000,
};

/* ---- freshness ---- */

static qr_err
check_stages(const struct qr_json_at *at, const struct qr_peers_times *t)
{
    const struct {
        const char *name;
        uint64_t ms;
    } step[] = {
        {"reattest_s", t->reattest_ms},        {"stages.warn_s", t->warn_ms},
        {"stages.no_peers_s", t->no_peers_ms}, {"stages.no_keys_s", t->no_keys_ms},
        {"stages.stop_s", t->stop_ms},
    };
    for (size_t i = 1; i < sizeof step / sizeof step[0]; i++) {
        if (step[i].ms <= step[i - 1].ms) {
            return qr_json_fail(at, QR_ERR_MALFORMED,
                                "%s is not above %s; each stage must come after the one before it",
                                step[i].name, step[i - 1].name);
        }
    }
    return QR_OK;
}

static qr_err
read_freshness(const struct qr_json_at *at, struct qr_peers *p)
{
    struct qr_peers_times *t = &p->times;
    uint64_t age, again, spread, grace = 0, warn, peers, keys, stop;
    int has_grace = 0, has_note = 0;
    struct qr_json_at stages;
    qr_view note;
    const struct qr_json_field fields[] = {
        {"max_age_s", QR_JSON_U64, 1, DAYS(1), &age, NULL},
        {"reattest_s", QR_JSON_U64, 1, DAYS(7), &again, NULL},
        {"clock_spread_s", QR_JSON_U64, 1, 3600, &spread, NULL},
        {"stages", QR_JSON_OBJECT, 0, 0, &stages, NULL},
        {"collateral_grace_s", QR_JSON_U64, 0, DAYS(30), &grace, &has_grace},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };
    const struct qr_json_field stage_fields[] = {
        {"warn_s", QR_JSON_U64, 1, DAYS(60), &warn, NULL},
        {"no_peers_s", QR_JSON_U64, 1, DAYS(60), &peers, NULL},
        {"no_keys_s", QR_JSON_U64, 1, DAYS(60), &keys, NULL},
        {"stop_s", QR_JSON_U64, 1, DAYS(60), &stop, NULL},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    QR_TRY(qr_json_fields(&stages, stage_fields));
    *t = (struct qr_peers_times){.max_age_ms = age * 1000,
                                 .reattest_ms = again * 1000,
                                 .warn_ms = warn * 1000,
                                 .no_peers_ms = peers * 1000,
                                 .no_keys_ms = keys * 1000,
                                 .stop_ms = stop * 1000,
                                 .clock_spread_ms = spread * 1000,
                                 .collateral_grace_ms = grace * 1000};
    p->fresh_line = qr_json_line(at);
    return check_stages(at, t);
}

/* ---- collateral ---- */

static qr_err
read_exception(const struct qr_json_at *at, struct qr_peers *p)
{
    struct qr_tcb_exception *x = &p->exception[p->n_exceptions];
    struct qr_json_at fmspc;
    uint64_t component, svn;
    qr_view tee, until, note, text;
    int has_note = 0;
    char q[QR_QUOTE_MAX];
    const struct qr_json_field fields[] = {
        {"fmspc", QR_JSON_TEXT, 0, 64, &text, NULL},
        {"tee", QR_JSON_TEXT, 1, 16, &tee, NULL},
        {"component", QR_JSON_U64, 1, 16, &component, NULL},
        {"min_svn", QR_JSON_U64, 0, 255, &svn, NULL},
        {"until", QR_JSON_TEXT, 1, 64, &until, NULL},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    for (size_t i = 0; i < qr_json_size(at); i++) {
        fmspc = qr_json_member(at, i);
        if (strcmp(fmspc.name, "fmspc") == 0) {
            QR_TRY(qr_measure_hex(&fmspc, sizeof x->fmspc, x->fmspc));
        }
    }
    x->tdx = qr_view_eq(tee, qr_view_str("tdx")) ? 1 : 0;
    if (!x->tdx && !qr_view_eq(tee, qr_view_str("sgx"))) {
        return qr_json_fail(at, QR_ERR_MALFORMED, "tee \"%s\" is neither sgx nor tdx",
                            qr_quote(q, tee));
    }
    x->component = (uint8_t)component;
    x->min_svn = (uint8_t)svn;
    p->exception_line[p->n_exceptions++] = qr_json_line(at);
    return qr_measure_date(at, "until", until, &x->until_ms);
}

static qr_err
read_collateral(const struct qr_json_at *at, struct qr_peers *p)
{
    struct qr_json_at list;
    qr_view note;
    int has_min = 0, has_list = 0, has_note = 0;
    const struct qr_json_field fields[] = {
        {"min_tcb_evaluation", QR_JSON_U64, 1, UINT32_MAX, &p->min_evaluation, &has_min},
        {"tcb_exceptions", QR_JSON_ARRAY, 1, QR_PEERS_EXCEPTIONS, &list, &has_list},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    for (size_t i = 0; has_list && i < qr_json_count(&list); i++) {
        struct qr_json_at one = qr_json_elem(&list, i);
        QR_TRY(read_exception(&one, p));
    }
    return QR_OK;
}

/* ---- measurements and manifests ---- */

static qr_err
read_sets(const struct qr_json_at *list, struct qr_peers *p)
{
    size_t n = qr_json_count(list);

    p->sets_line = qr_json_line(list);
    p->set = qr_alloc(n * sizeof p->set[0]);
    if (!p->set) {
        return qr_json_fail(list, QR_ERR_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        QR_TRY(qr_measure_read(&at, NULL, &p->set[i]));
        for (size_t k = 0; k < i; k++) {
            if (strcmp(p->set[k].name, p->set[i].name) == 0) {
                return qr_json_fail(&at, QR_ERR_MALFORMED, "name \"%s\" is used twice",
                                    p->set[i].name);
            }
        }
        p->n_sets++;
    }
    return QR_OK;
}

static qr_err
read_hashes(const struct qr_json_at *list, struct qr_peers *p, struct qr_peers_belief *b)
{
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        struct qr_peers_value *v = NULL;
        QR_TRY(qr_peers_value_new(&at, p, &b->sha256, &v));
        QR_TRY(qr_measure_hex(&at, 32, v->b));
        v->len = 32;
    }
    return QR_OK;
}

static qr_err
read_signer(const struct qr_json_at *at, struct qr_release_signers *s)
{
    struct qr_release_key k;
    qr_view name, scheme, key, note;
    int has_note = 0;
    const struct qr_json_field fields[] = {
        {"name", QR_JSON_NAME, 1, QR_NAME_MAX - 1, &name, NULL},
        {"scheme", QR_JSON_TEXT, 1, 32, &scheme, NULL},
        {"key", QR_JSON_TEXT, 64, 66, &key, NULL},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    qr_err e = qr_release_key_read(scheme, key, &k);
    if (e != QR_OK) {
        return qr_json_fail(at, e,
                            "not a release key; write scheme ed25519 with 64 hex digits, or p256 "
                            "with 66 (a compressed point)");
    }
    memcpy(k.name, name.p, name.len);
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->key[i].name, k.name) == 0 || memcmp(s->key[i].b, k.b, sizeof k.b) == 0) {
            return qr_json_fail(at, QR_ERR_MALFORMED,
                                "name or key of \"%s\" is listed twice; k signatures need k "
                                "different keys",
                                s->key[i].name);
        }
    }
    s->key[s->n++] = k;
    return QR_OK;
}

static qr_err
read_belief(const struct qr_json_at *at, struct qr_peers *p)
{
    struct qr_peers_belief *b = &p->belief[p->n_beliefs++];
    struct qr_json_at hashes, signers;
    uint64_t need = 0;
    qr_view note;
    int has_hashes = 0, has_signers = 0, has_need = 0, has_note = 0;
    const struct qr_json_field fields[] = {
        {"sha256", QR_JSON_ARRAY, 1, 64, &hashes, &has_hashes},
        {"need", QR_JSON_U64, 1, QR_MANIFEST_SIGNERS, &need, &has_need},
        {"signers", QR_JSON_ARRAY, 1, QR_MANIFEST_SIGNERS, &signers, &has_signers},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    b->line = qr_json_line(at);
    if (has_hashes == has_signers || has_need != has_signers) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "write either \"sha256\" with the manifests' hashes, or \"need\" and "
                            "\"signers\"");
    }
    if (has_hashes) {
        return read_hashes(&hashes, p, b);
    }
    for (size_t i = 0; i < qr_json_count(&signers); i++) {
        struct qr_json_at one = qr_json_elem(&signers, i);
        QR_TRY(read_signer(&one, &b->signers));
    }
    b->signers.need = (unsigned)need;
    return need <= b->signers.n
               ? QR_OK
               : qr_json_fail(at, QR_ERR_MALFORMED, "need is %llu but there are only %zu signers",
                              (unsigned long long)need, b->signers.n);
}

static qr_err
read_beliefs(const struct qr_json_at *list, struct qr_peers *p)
{
    p->belief = qr_alloc(qr_json_count(list) * sizeof p->belief[0]);
    if (!p->belief) {
        return qr_json_fail(list, QR_ERR_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < qr_json_count(list); i++) {
        struct qr_json_at at = qr_json_elem(list, i);
        QR_TRY(read_belief(&at, p));
    }
    return QR_OK;
}

/* ---- quorum ---- */

static qr_err
read_quorum(const struct qr_json_at *at, struct qr_peers *p)
{
    int has[QR_AXES] = {0}, has_note = 0;
    qr_view note;
    const struct qr_json_field fields[] = {
        {"max_per_cloud", QR_JSON_U64, 1, QR_MAX_PARTIES, &p->limit[QR_AXIS_CLOUD].most, &has[0]},
        {"max_per_operator", QR_JSON_U64, 1, QR_MAX_PARTIES, &p->limit[QR_AXIS_OPERATOR].most,
         &has[1]},
        {"max_per_vendor", QR_JSON_U64, 1, QR_MAX_PARTIES, &p->limit[QR_AXIS_VENDOR].most, &has[2]},
        {"max_per_product", QR_JSON_U64, 1, QR_MAX_PARTIES, &p->limit[QR_AXIS_PRODUCT].most,
         &has[3]},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    for (size_t i = 0; i < qr_json_size(at); i++) {
        struct qr_json_at one = qr_json_member(at, i);
        for (int a = 0; a < QR_AXES; a++) {
            if (strncmp(one.name, "max_per_", 8) == 0 &&
                strcmp(one.name + 8, qr_peers_axis_name[a]) == 0) {
                p->limit[a].line = qr_json_line(&one);
            }
        }
    }
    return QR_OK;
}

/* ---- the secret that peers hold ---- */

static qr_err
read_secret(const struct qr_json_at *at, struct qr_peers *p)
{
    qr_view note;
    int has_note = 0;
    const struct qr_json_field fields[] = {
        {"threshold", QR_JSON_U64, QR_MIN_THRESHOLD, QR_MAX_PARTIES, &p->secret, NULL},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    p->secret_line = qr_json_line(at);
    return qr_json_fields(at, fields);
}

/*
 * Shares lie at a hostile host. Where the platform's part of their key is kept by a cloud's key service
 * or a virtual TPM, whoever runs that cloud could open them; the peers' part is what he lacks. One rule
 * for all hardware: a policy that accepts the software TEE protects nothing anyway.
 */
static qr_err
check_secret(const struct qr_json_at *at, const struct qr_peers *p)
{
    if (p->n_sections > 0 && !p->insecure_sim && p->secret == 0) {
        return qr_json_fail(
            at, QR_ERR_MALFORMED,
            "member \"peer_secret\" is missing; write {\"threshold\": t} with the "
            "threshold of your keys: without it the owner of a party's cloud account "
            "can open what its platform seals");
    }
    return QR_OK;
}

/* ---- platforms ---- */

static qr_err
read_platforms(const struct qr_json_at *at, struct qr_peers *p)
{
    for (size_t i = 0; i < qr_json_size(at); i++) {
        struct qr_json_at one = qr_json_member(at, i);
        struct qr_peers_section *s = &p->section[p->n_sections];
        if (strcmp(one.name, "note") == 0) {
            qr_view note;
            const struct qr_json_field f = {"", QR_JSON_UTF8, 0, QR_NOTE_MAX, &note, NULL};
            QR_TRY(qr_json_value(&one, &f));
            continue;
        }
        QR_TRY(qr_measure_kind(&one, qr_view_str(one.name), &s->kind));
        QR_TRY(qr_peers_read_section(&one, p, s));
        p->n_sections++;
    }
    return p->n_sections > 0
               ? QR_OK
               : qr_json_fail(at, QR_ERR_MALFORMED,
                              "no platform is named; add one, such as \"aws-nitro\", or leave "
                              "\"platforms\" out");
}

/* What a section needs of the rest: a set, machines, checks that its platform makes. */
static qr_err
check_section(const struct qr_json_at *at, const struct qr_peers *p,
              const struct qr_peers_section *s)
{
    const char *name = qr_evidence_kind_name(s->kind);
    uint64_t demanded = p->require | s->require;
    uint64_t token = QR_PEERS_CHECK(QR_CHECK_TOKEN);
    uint64_t never =
        demanded & ~(qr_peers_possible_checks(s->kind) | (s->witness.line ? token : 0));
    int has_set = s->n_signers > 0 || p->n_beliefs > 0;

    for (size_t k = 0; k < p->n_sets; k++) {
        has_set |= p->set[k].kind == s->kind;
    }
    if (!has_set) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "no measurement set is for %s; add one to \"measurements\", or a rule "
                            "to \"manifests\"",
                            name);
    }
    if ((never & token) && qr_witness_taken(s->kind)) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "check \"token\" is required, and nobody's token is believed; add "
                            "\"witness\" with its issuers and keys");
    }
    for (unsigned c = 0; never && c < QR_CHECK_COUNT; c++) {
        if (never & QR_PEERS_CHECK(c)) {
            return qr_json_fail(at, QR_ERR_MALFORMED,
                                "check \"%s\" is required, which evidence of %s never has; require "
                                "it in the sections of platforms that do",
                                qr_check_name((enum qr_check)c), name);
        }
    }
    if ((demanded & QR_PEERS_CHECK(QR_CHECK_MACHINE)) && s->allow.n == 0) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "check \"machine\" is required, and no machine is allowed by name; "
                            "list them under machines.allow");
    }
    if ((demanded & QR_PEERS_CHECK(QR_CHECK_DEBUG)) && (s->debug || s->kind == QR_EV_TPM)) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "check \"debug\" is required, and %s; take one of the two back",
                            s->debug ? "debug is allowed" : "a TPM cannot show that none is on");
    }
    return QR_OK;
}

static qr_err
check_sections(const struct qr_json_at *platforms, const struct qr_peers *p)
{
    for (size_t i = 0, s = 0; i < qr_json_size(platforms); i++) {
        struct qr_json_at one = qr_json_member(platforms, i);
        if (strcmp(one.name, "note") != 0) {
            QR_TRY(check_section(&one, p, &p->section[s++]));
        }
    }
    return QR_OK;
}

static qr_err
check_sets(const struct qr_json_at *sets, const struct qr_peers *p)
{
    for (size_t k = 0; k < p->n_sets; k++) {
        if (!qr_peers_find(p, p->set[k].kind)) {
            struct qr_json_at at = qr_json_elem(sets, k);
            return qr_json_fail(&at, QR_ERR_MALFORMED,
                                "\"platforms\" does not name %s; add it, or take the set out",
                                qr_evidence_kind_name(p->set[k].kind));
        }
    }
    return QR_OK;
}

static qr_err
read_peers(const struct qr_json_at *at, struct qr_peers *p)
{
    struct qr_json_at fresh, require, sets, beliefs, platforms, machines, quorum, collateral, deny,
        secret;
    qr_view note;
    int has_secret = 0, has_sim = 0, has_fresh = 0, has_require = 0, has_sets = 0, has_beliefs = 0,
        has_platforms = 0, has_machines = 0, has_quorum = 0, has_collateral = 0, has_note = 0;
    const struct qr_json_field fields[] = {
        {"insecure_sim", QR_JSON_BOOL, 0, 0, &p->insecure_sim, &has_sim},
        {"freshness", QR_JSON_OBJECT, 0, 0, &fresh, &has_fresh},
        {"require", QR_JSON_ARRAY, 1, QR_CHECK_COUNT, &require, &has_require},
        {"collateral", QR_JSON_OBJECT, 0, 0, &collateral, &has_collateral},
        {"measurements", QR_JSON_ARRAY, 1, QR_PEERS_SETS, &sets, &has_sets},
        {"manifests", QR_JSON_ARRAY, 1, QR_PEERS_MANIFESTS, &beliefs, &has_beliefs},
        {"platforms", QR_JSON_OBJECT, 0, 0, &platforms, &has_platforms},
        {"machines", QR_JSON_OBJECT, 0, 0, &machines, &has_machines},
        {"quorum", QR_JSON_OBJECT, 0, 0, &quorum, &has_quorum},
        {"peer_secret", QR_JSON_OBJECT, 0, 0, &secret, &has_secret},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };
    const struct qr_json_field machine_fields[] = {
        {"deny", QR_JSON_ARRAY, 1, QR_PEERS_VALUES, &deny, NULL},
        QR_NOTE_FIELD(note, has_note),
        {.type = QR_JSON_END},
    };

    QR_TRY(qr_json_fields(at, fields));
    p->line = p->sim_line = qr_json_line(at);
    for (size_t i = 0; i < qr_json_size(at); i++) {
        struct qr_json_at one = qr_json_member(at, i);
        p->sim_line = strcmp(one.name, "insecure_sim") == 0 ? qr_json_line(&one) : p->sim_line;
    }
    p->times = default_times;
    if (has_platforms && !has_fresh) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "member \"freshness\" is missing; write max_age_s, reattest_s, "
                            "clock_spread_s and stages: evidence without an age limit is for ever");
    }
    if (!has_platforms && (has_sets || has_beliefs || has_machines || has_collateral)) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "member \"platforms\" is missing; without it nobody's evidence is "
                            "accepted, whatever else is said here");
    }
    if (has_platforms && !has_require) {
        return qr_json_fail(at, QR_ERR_MALFORMED,
                            "member \"require\" is missing; name the checks that must have been "
                            "made, at least [\"validity\",\"binder\"]");
    }
    if (has_fresh) {
        QR_TRY(read_freshness(&fresh, p));
    }
    if (has_require) {
        p->require_line = qr_json_line(&require);
        QR_TRY(qr_peers_read_checks(&require, &p->require));
    }
    if (has_platforms || has_machines || has_beliefs) {
        p->value = qr_alloc(QR_PEERS_VALUES * sizeof p->value[0]);
        if (!p->value) {
            return qr_json_fail(at, QR_ERR_NO_MEMORY, "out of memory");
        }
    }
    if (has_collateral) {
        QR_TRY(read_collateral(&collateral, p));
    }
    if (has_sets) {
        QR_TRY(read_sets(&sets, p));
    }
    if (has_beliefs) {
        QR_TRY(read_beliefs(&beliefs, p));
    }
    if (has_platforms) {
        QR_TRY(read_platforms(&platforms, p));
    }
    if (has_machines) {
        QR_TRY(qr_json_fields(&machines, machine_fields));
        QR_TRY(qr_peers_read_machines(&deny, p, UINT32_MAX, &p->deny));
    }
    if (has_quorum) {
        QR_TRY(read_quorum(&quorum, p));
    }
    if (has_secret) {
        QR_TRY(read_secret(&secret, p));
    }
    if (has_platforms) {
        QR_TRY(check_sections(&platforms, p));
    }
    if (has_sets) {
        QR_TRY(check_sets(&sets, p));
    }
    return check_secret(at, p);
}

qr_err
qr_peers_parse(const struct qr_json_at *at, struct qr_peers **ret)
{
    struct qr_peers *p = qr_alloc(sizeof *p);
    int lines = at->doc->lines;

    if (!p) {
        return qr_json_fail(at, QR_ERR_NO_MEMORY, "out of memory");
    }
    at->doc->lines = 1;
    qr_err e = read_peers(at, p);
    at->doc->lines = lines;
    if (e != QR_OK) {
        qr_peers_free(p);
        return e;
    }
    *ret = p;
    return QR_OK;
}

qr_err
qr_peers_read(qr_view text, struct qr_peers **ret, char *err_text, size_t err_cap)
{
    struct qr_json j;

    if (text.len > QR_DOC_MAX) {
        EXPLAIN("policy has %zu bytes, at most %u are allowed", text.len, QR_DOC_MAX);
        return QR_ERR_TOO_LARGE;
    }
    QR_TRY(qr_json_parse(&j, text, PEERS_VALUES, err_text, err_cap));
    struct qr_json_at at = qr_json_root(&j);
    const struct json_t *inner = json_object_get(at.v, "peers");
    qr_err e = QR_OK;
    if (inner) {
        struct qr_json_at peers = {.doc = &j, .v = inner, .up = &at, .name = "peers"};
        e = qr_json_head(&at, "quorate/policy");
        e = e == QR_OK ? qr_peers_parse(&peers, ret) : e;
    } else {
        e = qr_peers_parse(&at, ret);
    }
    qr_json_clear(&j);
    return e;
}
