/*
 * quorate verify: is this evidence genuine, is it what a policy wants; is this signature right.
 *
 * Four uses, told apart by their options:
 *   --case DIR            a folder of evidence, laid out like the published cases
 *   --evidence FILE...    one encoded evidence, or its pieces by name
 *   --attestation FILE    what parties answered at /v1/attestation, one file each
 *   --key, --signature    a quorum's signature over a file (ctl_sign.c)
 * Nothing is fetched: evidence, collateral, policy and time are given, so that a session that was
 * recorded years ago is judged as it would have been judged then.
 */
#include "daemon/ctl.h"

#include "daemon/ctl_attest.h"
#include "daemon/ctl_case.h"
#include "daemon/ctl_report.h"
#include "daemon/loop.h"
#include "daemon/policy.h"
#include "enclave-shim/tee.h"
#include "protocol/base/enc.h"

#include <unistd.h>

#define NONCE_MAX 512u

struct job {
    struct qr_ctl_list cases, files, answers, manifests;
    const char *at, *policy, *nonce, *platform, *roster, *key, *signature;
    unsigned long max_age;
    int verbose;

    int64_t at_ms; /* of --at */
    uint8_t binder[NONCE_MAX];
    size_t binder_len;
    struct qr_peers *peers;
    struct qr_manifest *manifest[QR_CTL_LIST_MAX];
    struct qr_roster *members;
    uint8_t policy_hash[32];
};

/* One evidence and what was found; too large for a stack. */
struct member {
    struct qr_ctl_case k;
    struct qr_ctl_attest a;              /* of an answer */
    const struct qr_roster_party *party; /* NULL: no roster */
    char why[QR_ERR_TEXT_MAX];           /* of the software TEE, which has no verdict */
    struct qr_verdict v;
    struct qr_peers_domain domain;
};

/* ---- what is given ---- */

static int
load_policy(const struct qr_ctl *c, struct job *j)
{
    char err[QR_ERR_TEXT_MAX] = "";
    struct qr_dbuf d;

    int code = qr_ctl_read(c, j->policy, QR_DOC_MAX, &d);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_err e = qr_peers_read(qr_view_of(d.p, d.len), &j->peers, err, sizeof err);
    if (e == QR_OK && j->answers.n) { /* parties name their policy by its hash */
        struct qr_policy *whole = NULL;
        e = qr_policy_parse(qr_view_of(d.p, d.len), &whole, err, sizeof err);
        if (e == QR_OK) {
            memcpy(j->policy_hash, qr_policy_hash(whole), sizeof j->policy_hash);
            qr_policy_free(whole);
        }
    }
    qr_dbuf_free(&d);
    return e == QR_OK
               ? QR_EXIT_OK
               : qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", j->policy, err[0] ? err : qr_err_text(e));
}

/* The manifest and, beside it, FILE.sigs with the release keys' signatures. */
static int
load_manifest(const struct qr_ctl *c, struct job *j, size_t i)
{
    char err[QR_ERR_TEXT_MAX] = "", sigs[4096];
    struct qr_dbuf d, s = {0};

    if ((size_t)snprintf(sigs, sizeof sigs, "%s.sigs", j->manifests.v[i]) >= sizeof sigs) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "%s: the name is too long", j->manifests.v[i]);
    }
    int code = qr_ctl_read(c, j->manifests.v[i], QR_MANIFEST_MAX, &d);
    if (code == QR_EXIT_OK && access(sigs, F_OK) == 0) {
        code = qr_ctl_read(c, sigs, QR_MANIFEST_SIGS_MAX, &s);
    }
    if (code == QR_EXIT_OK) {
        qr_err e = qr_manifest_parse(qr_view_of(d.p, d.len), &j->manifest[i], err, sizeof err);
        if (e == QR_OK) {
            e = qr_peers_add_manifest(j->peers, j->manifest[i], qr_view_of(s.p, s.len), err,
                                      sizeof err);
        }
        if (e != QR_OK) {
            code = qr_ctl_fail(c, qr_ctl_code(e), "%s: %s", j->manifests.v[i],
                               err[0] ? err : qr_err_text(e));
        }
    }
    qr_dbuf_free(&d);
    qr_dbuf_free(&s);
    return code;
}

static int
load_manifests(const struct qr_ctl *c, struct job *j)
{
    int code = QR_EXIT_OK;

    for (size_t i = 0; i < j->manifests.n && code == QR_EXIT_OK; i++) {
        code = load_manifest(c, j, i);
    }
    if (code == QR_EXIT_OK && j->peers && j->manifests.n == 0 &&
        qr_peers_wants_manifests(j->peers)) {
        qr_ctl_warn(c, "the policy refers to published measurements; give them with --manifest");
    }
    return code;
}

static int
load_roster(const struct qr_ctl *c, struct job *j)
{
    char err[QR_ERR_TEXT_MAX] = "";
    struct qr_dbuf d;

    int code = qr_ctl_read(c, j->roster, QR_DOC_MAX, &d);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_err e = qr_roster_parse(qr_view_of(d.p, d.len), &j->members, err, sizeof err);
    qr_dbuf_free(&d);
    return e == QR_OK
               ? QR_EXIT_OK
               : qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", j->roster, err[0] ? err : qr_err_text(e));
}

/* What the options say, and the documents they name. */
static int
prepare(const struct qr_ctl *c, struct job *j)
{
    size_t hex = j->nonce ? strlen(j->nonce) : 0;
    int code = QR_EXIT_OK;

    if (j->at && !qr_ctl_time(j->at, &j->at_ms)) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--at takes a time like 2026-11-21T17:00:00Z");
    }
    if (j->nonce && (hex == 0 || hex > 2 * NONCE_MAX ||
                     qr_hex_decode(j->nonce, hex, j->binder, hex / 2) != QR_OK)) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--nonce takes 1 to %u bytes in lower-case hex",
                           NONCE_MAX);
    }
    j->binder_len = hex / 2;
    if (j->answers.n && (!j->policy || !j->roster || j->binder_len != 32)) {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "--attestation needs --policy, --roster and the 32 "
                           "bytes of --nonce that were asked for");
    }
    if (!j->policy && (j->manifests.n > 0 || j->roster || j->cases.n > 1)) {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "--manifest, --roster and more than one --case need --policy FILE");
    }
    if (j->platform && qr_evidence_kind_by_name(qr_view_str(j->platform)) == QR_EV_NONE) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "\"%s\" is no platform; aws-nitro is one",
                           j->platform);
    }
    if (j->policy) {
        code = load_policy(c, j);
    }
    if (code == QR_EXIT_OK) {
        code = load_manifests(c, j);
    }
    if (code == QR_EXIT_OK && j->roster) {
        code = load_roster(c, j);
    }
    return code;
}

static void
release(struct job *j)
{
    j->peers = qr_peers_free(j->peers);
    for (size_t i = 0; i < j->manifests.n; i++) {
        j->manifest[i] = qr_manifest_free(j->manifest[i]);
    }
    qr_roster_free(j->members);
}

/* ---- judging ---- */

/* The time to judge at: what the user says, what the case says, now. */
static int64_t
time_of(const struct job *j, const struct qr_ctl_case *k)
{
    if (j->at) {
        return j->at_ms;
    }
    return k->has_at ? k->at_ms : (int64_t)qr_wall_ms();
}

/* Authenticity alone. */
static qr_err
verify_member(const struct qr_verify_opts *o, struct member *m)
{
    struct qr_verify_out out;
    struct qr_claims ignored;

    if (m->a.sim) {
        return qr_tee_verify(QR_PLATFORM_SIM, qr_view_of(m->a.evidence.p, m->a.evidence.len),
                             m->a.binder, o, &m->v, &out, &ignored, m->why, sizeof m->why);
    }
    return qr_verify(&m->k.e, o, &m->v, NULL);
}

/* Verdict and, with a policy, its judgement into m->v. 0, or an exit code for failures of our own. */
static int
judge(const struct qr_ctl *c, const struct job *j, struct member *m)
{
    int64_t now = time_of(j, &m->k);
    struct qr_verify_opts o = {.now_ms = now, .max_age_ms = j->max_age * UINT64_C(1000)};

    if (m->v.reason != QR_REASON_NONE) {
        return QR_EXIT_OK; /* a piece could not even be read */
    }
    if (m->k.e.kind == QR_EV_NONE && !m->a.sim) {
        qr_fail(&m->v, QR_CHECK_PARSE, QR_REASON_UNSUPPORTED,
                "platform: expected one that this version knows, found \"%.40s\"", m->k.platform);
        return QR_EXIT_OK;
    }
    if (j->peers) {
        qr_peers_verify_opts(j->peers, &o);
    }
    if (j->answers.n) {
        o.binder = qr_view_of(m->a.binder, sizeof m->a.binder);
    } else if (j->binder_len) {
        o.binder = qr_view_of(j->binder, j->binder_len);
    }
    qr_err e = verify_member(&o, m);
    if (e == QR_OK && j->peers) {
        struct qr_peers_who who = {.index = m->party ? m->party->index : 0,
                                   .cloud = m->party ? m->party->cloud : NULL,
                                   .operator_name = m->party ? m->party->operator_name : NULL};
        e = qr_peers_judge(j->peers, m->k.e.kind, m->a.sim, &who, now, &m->v, &m->domain);
    }
    if (e == QR_OK || m->v.reason != QR_REASON_NONE) {
        return QR_EXIT_OK;
    }
    if (qr_err_class(e) == QR_CLASS_ATTEST) { /* of the software TEE */
        qr_fail(&m->v, QR_CHECK_POLICY, QR_REASON_POLICY, "software TEE: %s",
                m->why[0] ? m->why : qr_err_text(e));
        return QR_EXIT_OK;
    }
    return qr_ctl_fail(c, qr_ctl_code(e), "the verifier failed: %s", qr_err_text(e));
}

static int
show(const struct qr_ctl *c, const struct job *j, const struct member *m)
{
    struct qr_dbuf out;

    if (m->a.party && !c->json) {
        printf("party     %u\n", m->a.party->index);
    }
    if (m->a.sim && m->v.reason == QR_REASON_NONE) {
        qr_ctl_warn(c, "the software TEE protects nothing, and anybody can make its evidence");
    }
    qr_dbuf_init(&out, QR_REPORT_MAX * 2);
    qr_err e = c->json ? qr_ctl_report_json(m->k.platform, &m->v, &out)
                       : qr_ctl_report_text(m->k.platform, &m->v, j->verbose, &out);
    int code = e == QR_OK ? qr_ctl_emit(c, qr_view_of(out.p, out.len))
                          : qr_ctl_fail(c, QR_EXIT_INTERNAL, "the report cannot be written: %s",
                                        qr_err_text(e));
    qr_dbuf_free(&out);
    if (code != QR_EXIT_OK || m->v.reason == QR_REASON_NONE) {
        return code;
    }
    return c->json ? qr_ctl_fail(c, QR_EXIT_REFUSED, "%s", m->v.sentence) : QR_EXIT_REFUSED;
}

static void
tell_left_out(const struct qr_ctl *c, const struct qr_ctl_case *k)
{
    for (size_t i = 0; i < k->n_left && i < QR_CASE_LEFT_MAX; i++) {
        qr_ctl_warn(c, "%s is no evidence here and was not read", k->left[i]);
    }
    if (k->n_left > QR_CASE_LEFT_MAX) {
        qr_ctl_warn(c, "%zu more files were not read", k->n_left - QR_CASE_LEFT_MAX);
    }
}

static int
load_files(const struct qr_ctl *c, const struct job *j, struct member *m)
{
    int code = QR_EXIT_OK;

    m->k.at_ms = -1;
    for (size_t i = 0; i < j->files.n && code == QR_EXIT_OK; i++) {
        code = qr_ctl_case_add(c, j->files.v[i], &m->k, &m->v);
    }
    if (code != QR_EXIT_OK || m->v.reason != QR_REASON_NONE) {
        return code;
    }
    if (m->k.e.kind == QR_EV_NONE) {
        qr_ctl_case_guess(&m->k);
    }
    if (j->platform) {
        m->k.e.kind = qr_evidence_kind_by_name(qr_view_str(j->platform));
        snprintf(m->k.platform, sizeof m->k.platform, "%s", j->platform);
    }
    return m->k.e.kind != QR_EV_NONE
               ? code
               : qr_ctl_fail(c, QR_EXIT_USAGE,
                             "these pieces do not say what they are; name the "
                             "platform with --platform");
}

static int
load(const struct qr_ctl *c, const struct job *j, size_t index, struct member *m)
{
    const struct qr_ctl_asked asked = {
        .nonce = j->binder, .roster = j->members, .policy_hash = j->policy_hash};

    if (j->answers.n) {
        int code = qr_ctl_attest_load(c, j->answers.v[index], &asked, &m->a, &m->k, &m->v);
        m->party = m->a.party;
        return code;
    }
    m->party = j->members && index < j->members->n ? &j->members->party[index] : NULL;
    return j->cases.n ? qr_ctl_case_load(c, j->cases.v[index], &m->k, &m->v) : load_files(c, j, m);
}

/* Number `index` of what is given. Shows what was found; the domain is for the quorum's rules. */
static int
one(const struct qr_ctl *c, const struct job *j, size_t index, struct qr_peers_domain *ret)
{
    struct member *m = qr_alloc(sizeof *m);

    if (!m) {
        return qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
    }
    qr_verdict_init(&m->v);
    int code = load(c, j, index, m);
    if (code == QR_EXIT_OK && j->verbose) {
        tell_left_out(c, &m->k);
    }
    if (code == QR_EXIT_OK) {
        code = judge(c, j, m);
    }
    if (code == QR_EXIT_OK) {
        code = show(c, j, m);
        *ret = m->domain;
    }
    qr_ctl_case_free(&m->k);
    qr_dbuf_free(&m->a.evidence);
    qr_free(m);
    return code;
}

/* All members' evidence, then the rules that hold for them together. */
static int
quorum(const struct qr_ctl *c, const struct job *j, size_t n)
{
    struct qr_peers_domain d[QR_CTL_LIST_MAX] = {0};
    char err[QR_ERR_TEXT_MAX] = "";
    int worst = QR_EXIT_OK;

    for (size_t i = 0; i < n; i++) {
        int code = one(c, j, i, &d[i]);
        if (code != QR_EXIT_OK && code != QR_EXIT_REFUSED) {
            return code;
        }
        worst = code != QR_EXIT_OK ? code : worst;
    }
    if (worst != QR_EXIT_OK) {
        return qr_ctl_fail(c, worst,
                           "not every member's evidence is accepted, so that the rules "
                           "of the quorum were not looked at");
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i && d[i].index; k++) {
            if (d[k].index == d[i].index) {
                return qr_ctl_fail(c, QR_EXIT_REFUSED, "party %u stands for two members",
                                   d[i].index);
            }
        }
    }
    qr_err e = qr_peers_quorum(j->peers, d, n, err, sizeof err);
    if (e != QR_OK) {
        return qr_ctl_fail(c, qr_ctl_code(e), "%s", err[0] ? err : qr_err_text(e));
    }
    qr_ctl_progress(c, "the rules of the quorum hold for these %zu", n);
    return QR_EXIT_OK;
}

/* ---- the command ---- */

static int
evidence(const struct qr_ctl *c, struct job *j)
{
    struct qr_peers_domain domain;
    size_t n = j->cases.n ? j->cases.n : j->answers.n;

    if ((j->cases.n > 0) + (j->files.n > 0) + (j->answers.n > 0) > 1 || (n && j->platform)) {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "--case, --evidence or --attestation, one of them; --platform is for "
                           "--evidence");
    }
    int code = prepare(c, j);
    if (code == QR_EXIT_OK) {
        code = n > 1 ? quorum(c, j, n) : one(c, j, 0, &domain);
    }
    release(j);
    return code;
}

static int
verify(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    static struct job j;
    struct qr_ctl_list rest;
    const struct qr_ctl_opt opts[] = {
        {"case", QR_CTL_MANY, &j.cases, "DIR",
         "evidence in a folder; several are the members of a quorum, in the roster's order", 0, 0},
        {"evidence", QR_CTL_MANY, &j.files, "FILE",
         "encoded evidence, or a piece of it: report.bin, vek.der, or NAME=FILE", 0, 0},
        {"attestation", QR_CTL_MANY, &j.answers, "FILE", "a party's answer at /v1/attestation", 0,
         0},
        {"platform", QR_CTL_TEXT, &j.platform, "NAME", "what the pieces are, if they do not say", 0,
         0},
        {"at", QR_CTL_TEXT, &j.at, "TIME",
         "judge as of then, 2026-11-21T17:00:00Z; else what the case says, else now", 0, 0},
        {"policy", QR_CTL_TEXT, &j.policy, "FILE", "judge by this policy, too", 0, 0},
        {"manifest", QR_CTL_MANY, &j.manifests, "FILE", "measurements that the policy refers to", 0,
         0},
        {"roster", QR_CTL_TEXT, &j.roster, "FILE", "clouds and operators of the members", 0, 0},
        {"nonce", QR_CTL_TEXT, &j.nonce, "HEX", "what the evidence must commit to", 0, 0},
        {"max-age", QR_CTL_NUMBER, &j.max_age, "SECONDS",
         "of evidence that carries its own time (default 300)", 0, 1000000000},
        {"verbose", QR_CTL_FLAG, &j.verbose, NULL, "show claims, and files that were not read", 0,
         0},
        {"key", QR_CTL_TEXT, &j.key, "HEX", "verify a signature: the public key", 0, 0},
        {"signature", QR_CTL_TEXT, &j.signature, "FILE", "and the signature over FILE, in DER", 0,
         0},
        {.kind = QR_CTL_END},
    };

    memset(&j, 0, sizeof j);
    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 0, QR_CTL_LIST_MAX);
    if (code >= 0) {
        return code;
    }
    if (j.cases.n || j.files.n || j.answers.n) {
        if (j.key || j.signature) {
            return qr_ctl_fail(c, QR_EXIT_USAGE, "verify evidence or a signature, one at a time");
        }
        for (size_t i = 0; i < rest.n; i++) { /* --evidence A B C */
            struct qr_ctl_list *l = j.answers.n ? &j.answers : &j.files;
            if (l->n == QR_CTL_LIST_MAX) {
                return qr_ctl_fail(c, QR_EXIT_USAGE, "more than %u files", QR_CTL_LIST_MAX);
            }
            l->v[l->n++] = rest.v[i];
        }
        return evidence(c, &j);
    }
    if (!j.key || !j.signature || rest.n != 1) {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "verify needs --case, --evidence or --attestation, or "
                           "--key HEX --signature FILE and a FILE; see quorate "
                           "verify --help");
    }
    return qr_ctl_verify_signature(c, j.key, j.signature, rest.v[0]);
}

const struct qr_ctl_cmd qr_ctl_verify_cmds[] = {
    {"verify", "[FILE...]",
     "Verify a TEE's evidence (--case, --evidence) or a signature over FILE (--key, --signature).",
     verify},
    {.name = NULL},
};
