/*
 * A policy in words: what is accepted, in the order in which it is judged, with the lines it
 * stands on.
 */
#include "enclave-shim/verify/peers_int.h"

#include "protocol/base/enc.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct out {
    void (*line)(void *ctx, const char *text);
    void *ctx;
};

static void __attribute__((format(printf, 2, 3))) say(const struct out *o, const char *format, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    o->line(o->ctx, text);
}

/* "90 s", "5 min", "6 h", "3 d": the largest unit that divides. */
static const char *
span(uint64_t ms, char out[static 32])
{
    static const struct {
        uint64_t s;
        const char *name;
    } unit[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    uint64_t s = ms / 1000;

    for (size_t i = 0; i < sizeof unit / sizeof unit[0]; i++) {
        if (s > 0 && s % unit[i].s == 0) {
            (void)snprintf(out, 32, "%" PRIu64 " %s", s / unit[i].s, unit[i].name);
            return out;
        }
    }
    (void)snprintf(out, 32, "0 s");
    return out;
}

static const char *
date(int64_t ms, char out[static 24])
{
    if (ms == INT64_MAX) {
        (void)snprintf(out, 24, "no end");
    } else {
        qr_time_print(ms, out);
    }
    return out;
}

/* In full: people compare these with what a release publishes. */
#define WHOLE 136u
static const char *
hex_text(qr_view v, char out[static WHOLE])
{
    qr_hex_encode(v, out); /* at most 64 bytes */
    return out;
}

static const char *
value_text(const struct qr_peers_value *x, enum qr_peers_op op, char out[static WHOLE])
{
    if (op == QR_OP_BYTES) {
        return hex_text(qr_view_of(x->b, x->len), out);
    }
    if (op == QR_OP_UINT) {
        (void)snprintf(out, WHOLE, "%" PRIu64, x->u);
    } else {
        (void)snprintf(out, WHOLE, "%.*s", (int)x->len, (const char *)x->b);
    }
    return out;
}

static void
say_times(const struct qr_peers *p, const struct out *o)
{
    const struct qr_peers_times *t = &p->times;
    char a[32], b[32], c[32], d[32];

    say(o,
        "Evidence that carries a time is at most %s old; a channel asks for new evidence every %s.",
        span(t->max_age_ms, a), span(t->reattest_ms, b));
    say(o,
        "Without success for %s a party warns, after %s it accepts no new peers, after %s it makes "
        "no "
        "new keys, after %s it stops signing.",
        span(t->warn_ms, a), span(t->no_peers_ms, b), span(t->no_keys_ms, c), span(t->stop_ms, d));
    say(o, "Clocks may disagree by %s; collateral counts %s past its end.",
        span(t->clock_spread_ms, a),
        t->collateral_grace_ms ? span(t->collateral_grace_ms, b) : "not a second");
}

static void
say_checks(const struct out *o, const char *before, uint64_t mask, unsigned line)
{
    char text[384] = "";
    size_t len = 0;

    for (unsigned c = 0; mask && c < QR_CHECK_COUNT && len < sizeof text; c++) {
        if (mask & QR_PEERS_CHECK(c)) {
            int n = snprintf(text + len, sizeof text - len, "%s%s", len ? ", " : "",
                             qr_check_name((enum qr_check)c));
            len += n > 0 ? (size_t)n : 0;
        }
    }
    if (mask) {
        say(o, "%s%s (line %u).", before, text, line);
    }
}

static void
say_set(const struct out *o, const struct qr_measurement *m, const char *indent)
{
    char a[24], b[24];

    say(o, "%sMeasurement set \"%s\" (line %u), %s until %s:", indent, m->name, m->line,
        date(m->from_ms, a), date(m->until_ms, b));
    for (size_t i = 0; i < m->n; i++) {
        char v[WHOLE];
        say(o, "%s  %s is %s", indent, m->expect[i].path,
            hex_text(qr_view_of(m->expect[i].bytes, m->expect[i].len), v));
    }
}

static void
say_machines(const struct qr_peers *p, const struct out *o, const char *before,
             const struct qr_peers_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct qr_peers_value *x = &p->value[l->first + i];
        const struct qr_peers_id *id = &qr_peers_ids[x->id];
        char v[WHOLE];
        say(o, "%s%s %s (line %u)", before, id->member,
            value_text(x, id->len ? QR_OP_BYTES : QR_OP_WORD, v), x->line);
    }
}

static void
say_rule(const struct qr_peers *p, const struct out *o, const struct qr_peers_rule *r)
{
    char v[WHOLE], text[64];

    (void)snprintf(text, sizeof text, "%s must be", r->def->text);
    text[0] = (char)(text[0] >= 'a' && text[0] <= 'z' ? text[0] - ('a' - 'A') : text[0]);
    if (r->def->op == QR_OP_TRUE) {
        say(o, "    %s on (line %u).", text, r->line);
        return;
    }
    if (r->def->op == QR_OP_MIN) {
        say(o, "    %s at least %" PRIu64 " (line %u).", text, r->u, r->line);
        return;
    }
    for (size_t i = 0; i < r->list.n; i++) {
        const struct qr_peers_value *x = &p->value[r->list.first + i];
        (void)value_text(x, r->def->op, v);
        if (r->def->op == QR_OP_BITS) {
            say(o, "    In %s, %s must be %s (line %u).", r->def->text, v, x->set ? "set" : "clear",
                x->line);
        } else {
            say(o, "    %s %s (line %u)%s", i ? "  or" : text, v, x->line,
                i + 1 < r->list.n ? "," : ".");
        }
    }
}

static void
say_amd(const struct out *o, const struct qr_peers_section *s)
{
    for (size_t i = 0; i < s->n_products; i++) {
        const struct qr_min_tcb *m = &s->product[i];
        char fmc[24] = "";
        if (m->has_fmc) {
            (void)snprintf(fmc, sizeof fmc, ", FMC %u", m->fmc);
        }
        say(o,
            "    Product %s with reported and committed firmware of at least boot loader %u, TEE "
            "%u, "
            "SNP %u, microcode %u%s (line %u).",
            m->product, m->bootloader, m->tee, m->snp, m->microcode, fmc, m->line);
    }
    if (s->n_products > 0) {
        if (!qr_peers_rule_named(s, "vmpl")) {
            say(o, "    The VMPL must be 0.");
        }
        say(o, "    No migration agent.");
    }
}

static void
say_intel(const struct qr_peers *p, const struct out *o, const struct qr_peers_section *s)
{
    for (size_t i = 0; i < s->n_statuses; i++) {
        const struct qr_peers_status *x = &s->status[i];
        char v[WHOLE], until[24];
        say(o, "    TCB status %s %s%s, %s (line %u)%s", x->word,
            x->until_ms == INT64_MAX ? "with " : "until ",
            x->until_ms == INT64_MAX ? "no end" : date(x->until_ms, until),
            x->advisories.n ? "with these advisories only" : "with no advisory", x->line,
            x->advisories.n || x->fmspcs.n ? ":" : ".");
        for (size_t k = 0; k < x->advisories.n; k++) {
            say(o, "      advisory %s",
                value_text(&p->value[x->advisories.first + k], QR_OP_WORD, v));
        }
        for (size_t k = 0; k < x->fmspcs.n; k++) {
            say(o, "      on FMSPC %s", value_text(&p->value[x->fmspcs.first + k], QR_OP_BYTES, v));
        }
    }
    for (size_t i = 0; i < s->n_signers; i++) {
        const struct qr_peers_signer *x = &s->signer[i];
        char v[WHOLE];
        say(o,
            "    Any enclave signed by %s with ISVPRODID %u and ISVSVN of at least %u (line %u).",
            hex_text(qr_view_of(x->mrsigner, 32), v), x->isv_prod_id, x->min_isv_svn, x->line);
    }
}

static void
say_witness(const struct qr_peers *p, const struct out *o, const struct qr_peers_witness *w)
{
    char v[WHOLE];

    if (w->line == 0) {
        return;
    }
    say(o, "    A second witness is needed, a token beside the evidence (line %u):", w->line);
    for (size_t i = 0; i < w->issuers.n; i++) {
        const struct qr_peers_value *x = &p->value[w->issuers.first + i];
        say(o, "      %s %s (line %u)", i ? "or" : "of", value_text(x, QR_OP_WORD, v), x->line);
    }
    for (size_t i = 0; i < w->keys.n; i++) {
        const struct qr_peers_value *x = &p->value[w->keys.first + i];
        say(o, "      signed by key %s (line %u)%s", value_text(x, QR_OP_BYTES, v), x->line,
            i + 1 < w->keys.n ? ", or" : "");
    }
    say(o, "      %ssigned by a key with certificates to a pinned root", w->keys.n ? "or " : "");
}

static void
say_section(const struct qr_peers *p, const struct out *o, const struct qr_peers_section *s)
{
    say(o, "  %s (line %u):", qr_evidence_kind_name(s->kind), s->line);
    if (s->insecure) {
        say(o, "    WARNING: marked insecure%s.",
            s->debug               ? ": debuggers can read what runs there, keys included"
            : s->kind == QR_EV_TPM ? ": a TPM alone protects no memory"
                                   : "");
    }
    say_checks(o, "    These checks must have passed: ",
               qr_peers_base_checks(s->kind) | p->require | s->require,
               s->require ? s->require_line : p->require_line);
    say_intel(p, o, s);
    say_amd(o, s);
    say_witness(p, o, &s->witness);
    for (size_t i = 0; i < s->n_rules; i++) {
        say_rule(p, o, &s->rule[i]);
    }
    if (s->allow.n == 0) {
        say(o, "    Any machine%s.", s->deny.n || p->deny.n ? " that is not denied" : "");
    }
    say_machines(p, o, "    Machine allowed: ", &s->allow);
    say_machines(p, o, "    Machine denied: ", &s->deny);
    for (size_t i = 0; i < p->n_sets; i++) {
        if (p->set[i].kind == s->kind) {
            say_set(o, &p->set[i], "    ");
        }
    }
    for (size_t m = 0; m < p->n_manifests; m++) {
        for (size_t i = 0; i < qr_manifest_n(p->manifest[m]); i++) {
            const struct qr_measurement *x = qr_manifest_get(p->manifest[m], i);
            if (x->kind == s->kind) {
                say(o, "    Of manifest %s:", qr_manifest_release(p->manifest[m]));
                say_set(o, x, "      ");
            }
        }
    }
}

static void
say_beliefs(const struct qr_peers *p, const struct out *o)
{
    for (size_t b = 0; b < p->n_beliefs; b++) {
        const struct qr_peers_belief *x = &p->belief[b];
        char v[WHOLE], names[256] = "";
        size_t len = 0;
        for (size_t i = 0; i < x->sha256.n; i++) {
            say(o, "Measurements of the manifest with SHA-256 %s count (line %u).",
                hex_text(qr_view_of(p->value[x->sha256.first + i].b, 32), v),
                p->value[x->sha256.first + i].line);
        }
        for (size_t i = 0; i < x->signers.n && len < sizeof names; i++) {
            int n = snprintf(names + len, sizeof names - len, "%s%s", len ? ", " : "",
                             x->signers.key[i].name);
            len += n > 0 ? (size_t)n : 0;
        }
        if (x->signers.n > 0) {
            say(o, "Measurements of manifests that %u of %zu signed count: %s (line %u).",
                x->signers.need, x->signers.n, names, x->line);
        }
    }
}

static void
say_quorum(const struct qr_peers *p, const struct out *o)
{
    int any = 0;

    for (int a = 0; a < QR_AXES; a++) {
        if (p->limit[a].most > 0) {
            say(o, "At most %" PRIu64 " of the parties may be of one %s (line %u).",
                p->limit[a].most, qr_peers_axis_name[a], p->limit[a].line);
            any = 1;
        }
    }
    if (!any && p->n_sections > 0) {
        say(o, "No limit on parties that share a cloud, an operator, a vendor or a product.");
    }
}

static void
say_secret(const struct qr_peers *p, const struct out *o)
{
    if (p->secret > 0) {
        say(o,
            "A party's shares open with its platform's secret and one that it shared to its peers: "
            "%" PRIu64 " of them give it back (line %u). Keys have a threshold of %" PRIu64
            " at most. No key is made before every party holds its piece.",
            p->secret - 1, p->secret_line, p->secret);
    } else if (p->n_sections > 0) {
        say(o, "A party's shares open with its platform's secret alone, without its peers.");
    }
}

void
qr_peers_explain(const struct qr_peers *p, void (*line)(void *ctx, const char *text), void *ctx)
{
    const struct out o = {line, ctx};

    if (p->insecure_sim) {
        say(&o, "WARNING: the software TEE is accepted, which protects nothing (line %u).",
            p->sim_line);
    }
    if (p->n_sections == 0) {
        say(&o, "No platform's evidence is accepted.");
    } else {
        say(&o, "A member is accepted on one of %zu platforms, by all of that platform's rules:",
            p->n_sections);
    }
    for (size_t i = 0; i < p->n_sections; i++) {
        say_section(p, &o, &p->section[i]);
    }
    say_machines(p, &o, "Machine denied on every platform: ", &p->deny);
    say_beliefs(p, &o);
    if (p->min_evaluation > 0) {
        say(&o, "Intel's TCB data must have evaluation number %" PRIu64 " or later.",
            p->min_evaluation);
    }
    for (size_t i = 0; i < p->n_exceptions; i++) {
        const struct qr_tcb_exception *x = &p->exception[i];
        char v[WHOLE], until[24];
        say(&o,
            "Exception (line %u): on FMSPC %s, %s component %u counts as good from %u on, until "
            "%s.",
            p->exception_line[i], hex_text(qr_view_of(x->fmspc, 6), v), x->tdx ? "TDX" : "SGX",
            x->component, x->min_svn, date(x->until_ms, until));
    }
    say_quorum(p, &o);
    say_secret(p, &o);
    if (p->n_sections > 0) {
        say_times(p, &o);
    }
}
