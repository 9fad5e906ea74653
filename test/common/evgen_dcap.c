/* Quotes, PCK chains and collateral of evgen_dcap.h. */
#include "test/common/evgen_dcap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(cond) ((cond) ? (void)0 : die(__LINE__, #cond))

static void
die(int line, const char *what)
{
    (void)fprintf(stderr, "evgen_dcap.c:%d: %s\n", line, what);
    abort();
}

#define ROOT_NAME "CN=Intel SGX Root CA,O=Intel Corporation,L=Santa Clara,ST=CA,C=US"
#define PLATFORM_NAME "CN=Intel SGX PCK Platform CA,O=Intel Corporation,L=Santa Clara,ST=CA,C=US"
#define PROCESSOR_NAME "CN=Intel SGX PCK Processor CA,O=Intel Corporation,L=Santa Clara,ST=CA,C=US"
#define PCK_NAME "CN=Intel SGX PCK Certificate,O=Intel Corporation,L=Santa Clara,ST=CA,C=US"
#define SIGNER_NAME "CN=Intel SGX TCB Signing,O=Intel Corporation,L=Santa Clara,ST=CA,C=US"

/* Slots of evgen_key: other generators use others. */
enum { SLOT_ROOT = 8, SLOT_PCK_CA, SLOT_PCK, SLOT_SIGNER, SLOT_ATT };

/* ---- defaults ---- */

static const uint8_t intel_vendor[16] = {0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9,
                                         0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07};
/* The platform is at the middle of three levels' first one. */
static const uint8_t platform_comp[16] = {5, 5, 3, 3, 255, 255, 1, 5};
static const uint8_t platform_tdx[16] = {5, 1, 4};

static int
is_tdx(enum evgen_dcap_kind k)
{
    return k >= EVGEN_TDX_V4;
}

static void
default_body(struct evgen_dcap *d)
{
    if (is_tdx(d->kind)) {
        memcpy(d->body + EVGEN_TD_TCB_SVN, platform_tdx, 16);
        if (d->kind == EVGEN_TDX_V4_PRE15) {
            d->body[EVGEN_TD_TCB_SVN + 1] = 0;
        }
        memset(d->body + EVGEN_TD_MR_SEAM, 0x5e, 48);
        d->body[EVGEN_TD_ATTRIBUTES + 3] = 0x10; /* SEPT_VE_DISABLE */
        memcpy(d->body + EVGEN_TD_XFAM, "\xe7\x02\x06", 3);
        memset(d->body + EVGEN_TD_MR_TD, 0x7d, 48);
        for (size_t i = 0; i < 4; i++) {
            memset(d->body + EVGEN_TD_RTMR0 + 48 * i, (int)(0x80 + i), 48);
        }
        if (d->body_len == 648) {
            memcpy(d->body + 584, platform_tdx, 16);
        }
    } else {
        memcpy(d->body + EVGEN_SGX_CPU_SVN, platform_comp, 16);
        d->body[EVGEN_SGX_ATTRIBUTES] = 5; /* INIT, MODE64 */
        d->body[EVGEN_SGX_ATTRIBUTES + 8] = 7;
        memset(d->body + EVGEN_SGX_MRENCLAVE, 0xe1, 32);
        memset(d->body + EVGEN_SGX_MRSIGNER, 0x51, 32);
        evgen_set_le(d->body + EVGEN_SGX_PROD_ID, 7, 2);
        evgen_set_le(d->body + EVGEN_SGX_SVN, 3, 2);
    }
}

static void
default_quote(struct evgen_dcap *d)
{
    static const struct {
        uint16_t version, body_type;
        size_t body_len;
    } form[EVGEN_DCAP_KINDS] = {{3, 0, 384}, {4, 0, 384}, {5, 1, 384}, {4, 0, 584},
                                {4, 0, 584}, {5, 2, 584}, {5, 3, 648}};
    d->version = form[d->kind].version;
    d->body_type = form[d->kind].body_type;
    d->body_len = form[d->kind].body_len;
    d->att_key_type = 2;
    d->tee_type = is_tdx(d->kind) ? 0x81 : 0;
    memcpy(d->vendor, intel_vendor, sizeof intel_vendor);
    memset(d->user_data, 0xdd, 16);
    default_body(d);

    memcpy(d->qe + EVGEN_SGX_CPU_SVN, platform_comp, 16);
    d->qe[EVGEN_SGX_ATTRIBUTES] = 0x15; /* INIT, MODE64, PROVISION */
    d->qe[EVGEN_SGX_ATTRIBUTES + 8] = 0xe7;
    memset(d->qe + EVGEN_SGX_MRENCLAVE, 0x9e, 32);
    memset(d->qe + EVGEN_SGX_MRSIGNER, 0xdc, 32);
    evgen_set_le(d->qe + EVGEN_SGX_PROD_ID, is_tdx(d->kind) ? 2 : 1, 2);
    evgen_set_le(d->qe + EVGEN_SGX_SVN, 6, 2);
    d->auth_len = 32;
    for (size_t i = 0; i < 32; i++) {
        d->auth[i] = (uint8_t)i;
    }
    d->outer_type = 6;
    d->cert_type = 5;
    d->att_key = d->att_signer = evgen_key(EVGEN_P256, SLOT_ATT);
    d->qe_signer = evgen_key(EVGEN_P256, SLOT_PCK);
}

static void
default_pck(struct evgen_dcap *d)
{
    EVP_PKEY *root = evgen_key(EVGEN_P256, SLOT_ROOT), *ca = evgen_key(EVGEN_P256, SLOT_PCK_CA);
    EVP_PKEY *pck = evgen_key(EVGEN_P256, SLOT_PCK), *tcb = evgen_key(EVGEN_P256, SLOT_SIGNER);

    memset(d->ppid, 0x99, sizeof d->ppid);
    memcpy(d->comp, platform_comp, sizeof d->comp);
    memcpy(d->cpu_svn, platform_comp, sizeof d->cpu_svn);
    memcpy(d->fmspc, "\x90\xc0\x6f\x00\x00\x00", 6);
    memset(d->instance_id, 0x1d, sizeof d->instance_id);
    d->pce_svn = 13;
    d->sgx_type = 1;
    d->has_instance_id = d->has_config = 1;

    d->root = evgen_cert_spec_of(ROOT_NAME, root, ROOT_NAME, root, 1);
    d->root.pathlen = 1;
    d->pck_ca = evgen_cert_spec_of(PLATFORM_NAME, ca, ROOT_NAME, root, 1);
    d->pck_ca.pathlen = 0;
    d->pck_ca.serial = 101;
    d->pck = evgen_cert_spec_of(PCK_NAME, pck, PLATFORM_NAME, ca, 0);
    d->pck.serial = UINT64_C(0x0abcdef012345678);
    d->tcb_signer = evgen_cert_spec_of(SIGNER_NAME, tcb, ROOT_NAME, root, 0);
    d->tcb_signer.serial = 102;
    static const unsigned order[3] = {0, 1, 2}, tcb_order[2] = {3, 2};
    d->n_chain = 3;
    memcpy(d->chain, order, sizeof order);
    d->n_tcb_chain = 2;
    memcpy(d->tcb_chain, tcb_order, sizeof tcb_order);
    d->pem_nul = is_tdx(d->kind);
    d->root_crl = evgen_crl_spec_of(ROOT_NAME, root);
    d->pck_crl = evgen_crl_spec_of(PLATFORM_NAME, ca);
    d->tcb_key = d->qe_identity_key = tcb;
}

static void
default_modules(struct evgen_tcb_info *t)
{
    static const char *const ids[2] = {"TDX_03", "TDX_01"};
    t->has_module = 1;
    memset(t->module.mask, 0xff, 8);
    t->n_modules = 2;
    for (size_t i = 0; i < 2; i++) {
        struct evgen_tdx_module *m = &t->modules[i];
        m->id = ids[i];
        memset(m->mask, 0xff, 8);
        m->n_levels = 2;
        m->level[0] = (struct evgen_isv_level){5, "2025-08-13T00:00:00Z", "UpToDate", NULL};
        m->level[1] = (struct evgen_isv_level){2, "2023-08-09T00:00:00Z", "OutOfDate",
                                               "[\"INTEL-SA-01036\"]"};
    }
}

static void
default_tcb(struct evgen_dcap *d)
{
    struct evgen_tcb_info *t = &d->tcb;
    t->id = is_tdx(d->kind) ? "TDX" : "SGX";
    t->version = 3;
    t->issued = "2025-12-20T00:00:00Z";
    t->next = "2026-01-19T00:00:00Z";
    t->fmspc = "90C06F000000";
    t->pce_id = "0000";
    t->evaluation = 18;
    if (is_tdx(d->kind)) {
        default_modules(t);
    }
    static const struct {
        const char *date, *status, *advisories;
        unsigned pce;
    } row[3] = {
        {"2025-08-13T00:00:00Z", "UpToDate", NULL, 13},
        {"2024-03-13T00:00:00Z", "OutOfDate", "[\"INTEL-SA-01079\",\"INTEL-SA-01036\"]", 11},
        {"2018-01-04T00:00:00Z", "OutOfDateConfigurationNeeded", "[\"INTEL-SA-00106\"]", 5}};
    t->n_levels = 3;
    for (size_t i = 0; i < 3; i++) {
        struct evgen_tcb_level *l = &t->level[i];
        memcpy(l->sgx, platform_comp, 16);
        l->sgx[0] = (uint8_t)(5 - i);
        l->sgx[1] = (uint8_t)(5 - i);
        memcpy(l->tdx, platform_tdx, 16);
        l->tdx[1] = 0;
        l->tdx[2] = (uint8_t)(4 - i);
        l->pce_svn = row[i].pce;
        l->date = row[i].date;
        l->status = row[i].status;
        l->advisories = row[i].advisories;
    }

    struct evgen_qe_identity *q = &d->qe_identity;
    q->id = is_tdx(d->kind) ? "TD_QE" : "QE";
    q->version = 2;
    q->issued = "2025-12-21T00:00:00Z";
    q->next = "2026-01-20T00:00:00Z";
    q->evaluation = 17; /* the two lists need not be of the same release */
    memset(q->misc_mask, 0xff, 4);
    q->attributes[0] = 0x11;
    memset(q->attributes_mask, 0xff, 8);
    q->attributes_mask[0] = 0xfb;
    memset(q->mrsigner, 0xdc, 32);
    q->isv_prod_id = is_tdx(d->kind) ? 2 : 1;
    q->n_levels = 2;
    q->level[0] = (struct evgen_isv_level){6, "2025-08-13T00:00:00Z", "UpToDate", NULL};
    q->level[1] =
        (struct evgen_isv_level){4, "2023-08-09T00:00:00Z", "OutOfDate", "[\"INTEL-SA-00837\"]"};
}

void
evgen_dcap_default(struct evgen_dcap *d, enum evgen_dcap_kind kind)
{
    memset(d, 0, sizeof *d);
    d->kind = kind;
    default_quote(d);
    default_pck(d);
    default_tcb(d);
}

uint8_t *
evgen_dcap_report_data(struct evgen_dcap *d)
{
    return d->body + (is_tdx(d->kind) ? EVGEN_TD_REPORT_DATA : EVGEN_SGX_REPORT_DATA);
}

/* ---- the SGX extension ---- */

#define SGX_OID "1.2.840.113741.1.13.1"

/* SEQUENCE { OID below the extension's, value with this tag }. */
static void
put_member(struct evgen_buf *b, const char *suffix, uint8_t tag, qr_view value)
{
    uint8_t mem[1024];
    char oid[64];
    struct evgen_buf in = evgen_buf_over(mem, sizeof mem);
    (void)snprintf(oid, sizeof oid, "%s.%s", SGX_OID, suffix);
    evgen_der_put_oid(&in, oid);
    evgen_der_put(&in, tag, value);
    evgen_der_put(b, 0x30, evgen_buf_view(&in));
}

static void
put_svn(struct evgen_buf *b, unsigned n, unsigned svn)
{
    uint8_t mem[256];
    char oid[64];
    struct evgen_buf in = evgen_buf_over(mem, sizeof mem);
    (void)snprintf(oid, sizeof oid, "%s.2.%u", SGX_OID, n);
    evgen_der_put_oid(&in, oid);
    evgen_der_put_uint(&in, svn);
    evgen_der_put(b, 0x30, evgen_buf_view(&in));
}

size_t
evgen_dcap_sgx_ext(const struct evgen_dcap *d, uint8_t *out, size_t cap)
{
    static const uint8_t yes = 0xff;
    uint8_t all_mem[2048], tcb_mem[1024], conf_mem[256], type = (uint8_t)d->sgx_type;
    struct evgen_buf all = evgen_buf_over(all_mem, sizeof all_mem);
    struct evgen_buf tcb = evgen_buf_over(tcb_mem, sizeof tcb_mem);
    struct evgen_buf conf = evgen_buf_over(conf_mem, sizeof conf_mem);
    struct evgen_buf ret = evgen_buf_over(out, cap);

    put_member(&all, "1", 0x04, qr_view_of(d->ppid, 16));
    for (unsigned i = 0; i < 16; i++) {
        put_svn(&tcb, i + 1, d->comp[i]);
    }
    put_svn(&tcb, 17, d->pce_svn);
    put_member(&tcb, "2.18", 0x04, qr_view_of(d->cpu_svn, 16));
    put_member(&all, "2", 0x30, evgen_buf_view(&tcb));
    put_member(&all, "3", 0x04, qr_view_of(d->pce_id, 2));
    put_member(&all, "4", 0x04, qr_view_of(d->fmspc, 6));
    put_member(&all, "5", 0x0a, qr_view_of(&type, 1));
    if (d->has_instance_id) {
        put_member(&all, "6", 0x04, qr_view_of(d->instance_id, 16));
    }
    if (d->has_config) {
        put_member(&conf, "7.1", 0x01, qr_view_of(&yes, 1));
        put_member(&conf, "7.2", 0x01, qr_view_of(&yes, 1));
        put_member(&conf, "7.3", 0x01, qr_view_of(&yes, 1));
        put_member(&all, "7", 0x30, evgen_buf_view(&conf));
    }
    evgen_der_put(&ret, 0x30, evgen_buf_view(&all));
    return ret.len;
}

/* ---- documents ---- */

struct text {
    char *p;
    size_t cap, len;
};

static void __attribute__((format(printf, 2, 3))) say(struct text *t, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(t->p + t->len, t->cap - t->len, format, ap);
    va_end(ap);
    MUST(n >= 0 && (size_t)n < t->cap - t->len);
    t->len += (size_t)n;
}

static void
say_hex(struct text *t, const char *name, const uint8_t *p, size_t n, const char *behind)
{
    say(t, "\"%s\":\"", name);
    for (size_t i = 0; i < n; i++) {
        say(t, "%02X", p[i]);
    }
    say(t, "\"%s", behind);
}

static void
say_standing(struct text *t, const char *date, const char *status, const char *advisories)
{
    say(t, ",\"tcbDate\":\"%s\",\"tcbStatus\":\"%s\"", date, status);
    if (advisories) {
        say(t, ",\"advisoryIDs\":%s", advisories);
    }
    say(t, "}");
}

static void
say_isv_levels(struct text *t, const struct evgen_isv_level *l, size_t n)
{
    say(t, "\"tcbLevels\":[");
    for (size_t i = 0; i < n; i++) {
        say(t, "%s{\"tcb\":{\"isvsvn\":%u}", i ? "," : "", l[i].isv_svn);
        say_standing(t, l[i].date, l[i].status, l[i].advisories);
    }
    say(t, "]");
}

static void
say_module(struct text *t, const struct evgen_tdx_module *m)
{
    say(t, "{");
    if (m->id) {
        say(t, "\"id\":\"%s\",", m->id);
    }
    say_hex(t, "mrsigner", m->mrsigner, 48, ",");
    say_hex(t, "attributes", m->attributes, 8, ",");
    say_hex(t, "attributesMask", m->mask, 8, m->id ? "," : "");
    if (m->id) {
        say_isv_levels(t, m->level, m->n_levels);
    }
    say(t, "}");
}

static void
say_components(struct text *t, const char *name, const uint8_t c[16])
{
    say(t, "\"%s\":[", name);
    for (size_t i = 0; i < 16; i++) {
        say(t, "%s{\"svn\":%u%s}", i ? "," : "", c[i],
            i == 0 ? ",\"category\":\"BIOS\",\"type\":\"Early Microcode Update\"" : "");
    }
    say(t, "]");
}

static void
say_tcb(struct text *t, const struct evgen_tcb_info *info, const struct evgen_tcb_level *l, int tdx)
{
    say(t, "{\"tcb\":{");
    if (info->version == 2) {
        for (unsigned i = 0; i < 16; i++) {
            say(t, "\"sgxtcbcomp%02usvn\":%u,", i + 1, l->sgx[i]);
        }
    } else {
        say_components(t, "sgxtcbcomponents", l->sgx);
        say(t, ",");
    }
    say(t, "\"pcesvn\":%u", l->pce_svn);
    if (tdx) {
        say(t, ",");
        say_components(t, "tdxtcbcomponents", l->tdx);
    }
    say(t, "}");
    say_standing(t, l->date, l->status, l->advisories);
}

static size_t
make_tcb_info(const struct evgen_tcb_info *i, uint8_t *out, size_t cap)
{
    struct text t = {(char *)out, cap, 0};
    if (i->text) {
        say(&t, "%s", i->text);
        return t.len;
    }
    int tdx = i->id && strcmp(i->id, "TDX") == 0;
    say(&t, "{");
    if (i->id) {
        say(&t, "\"id\":\"%s\",", i->id);
    }
    say(&t, "%s\"version\":%u,\"issueDate\":\"%s\",\"nextUpdate\":\"%s\",",
        i->extra ? i->extra : "", i->version, i->issued, i->next);
    say(&t, "\"fmspc\":\"%s\",\"pceId\":\"%s\",\"tcbType\":%u,\"tcbEvaluationDataNumber\":%u,",
        i->fmspc, i->pce_id, i->tcb_type, i->evaluation);
    if (i->has_module) {
        say(&t, "\"tdxModule\":");
        say_module(&t, &i->module);
        say(&t, ",");
    }
    if (i->n_modules > 0) {
        say(&t, "\"tdxModuleIdentities\":[");
        for (size_t k = 0; k < i->n_modules; k++) {
            say(&t, "%s", k ? "," : "");
            say_module(&t, &i->modules[k]);
        }
        say(&t, "],");
    }
    say(&t, "\"tcbLevels\":[");
    for (size_t k = 0; k < i->n_levels; k++) {
        say(&t, "%s", k ? "," : "");
        say_tcb(&t, i, &i->level[k], tdx);
    }
    say(&t, "]}");
    return t.len;
}

static size_t
make_qe_identity(const struct evgen_qe_identity *q, uint8_t *out, size_t cap)
{
    struct text t = {(char *)out, cap, 0};
    if (q->text) {
        say(&t, "%s", q->text);
        return t.len;
    }
    say(&t, "{\"id\":\"%s\",%s\"version\":%u,", q->id, q->extra ? q->extra : "", q->version);
    say(&t, "\"issueDate\":\"%s\",\"nextUpdate\":\"%s\",\"tcbEvaluationDataNumber\":%u,", q->issued,
        q->next, q->evaluation);
    say_hex(&t, "miscselect", q->misc_select, 4, ",");
    say_hex(&t, "miscselectMask", q->misc_mask, 4, ",");
    say_hex(&t, "attributes", q->attributes, 16, ",");
    say_hex(&t, "attributesMask", q->attributes_mask, 16, ",");
    say_hex(&t, "mrsigner", q->mrsigner, 32, ",");
    say(&t, "\"isvprodid\":%u,", q->isv_prod_id);
    say_isv_levels(&t, q->level, q->n_levels);
    say(&t, "}");
    return t.len;
}

static size_t
sign_text(const struct evgen_dcap *d, EVP_PKEY *k, qr_view text, uint8_t *out, size_t cap)
{
    uint8_t raw[64];
    size_t n = evgen_sign_raw(k, QR_SHA256, text, raw);
    struct evgen_buf b = evgen_buf_over(out, cap);
    MUST(n == sizeof raw);
    if (d->raw_sigs) {
        evgen_put(&b, raw, sizeof raw);
    } else {
        evgen_put_hex(&b, qr_view_of(raw, sizeof raw));
    }
    return b.len;
}

/* ---- putting it together ---- */

static int
same_root(const struct evgen_cert_spec *a, const struct evgen_cert_spec *b)
{
    return strcmp(a->subject, b->subject) == 0 && strcmp(a->issuer, b->issuer) == 0 &&
           a->key == b->key && a->signer == b->signer && a->sig == b->sig &&
           a->serial == b->serial && a->from_ms == b->from_ms && a->to_ms == b->to_ms &&
           a->ca == b->ca && a->pathlen == b->pathlen && a->key_usage == b->key_usage &&
           a->bad_signature == b->bad_signature && a->n_ext == b->n_ext;
}

/* A root is pinned by its bytes, and its signature is salted: one nobody changed is made once. */
static void
make_root(const struct evgen_cert_spec *s, struct evgen_der *ret)
{
    static struct evgen_cert_spec spec;
    static struct evgen_der der;

    if (der.len == 0 || s->n_ext > 0 || !same_root(&spec, s)) {
        spec = *s;
        evgen_cert(s, &der);
    }
    *ret = der;
}

static void
make_certs(const struct evgen_dcap *d, struct evgen_dcap_out *o)
{
    static uint8_t ext[4096];
    struct evgen_cert_spec pck = d->pck, ca = d->pck_ca;

    if (d->processor_ca) {
        ca.subject = PROCESSOR_NAME;
        pck.issuer = PROCESSOR_NAME;
    }
    if (!d->no_sgx_ext) {
        qr_view v =
            d->sgx_ext ? *d->sgx_ext : qr_view_of(ext, evgen_dcap_sgx_ext(d, ext, sizeof ext));
        evgen_spec_add_ext(&pck, SGX_OID, v, 0);
    }
    make_root(&d->root, &o->root);
    evgen_cert(&ca, &o->pck_ca);
    evgen_cert(&pck, &o->pck);
    evgen_cert(&d->tcb_signer, &o->tcb_signer);
    struct evgen_crl_spec crl = d->pck_crl;
    if (d->processor_ca && strcmp(crl.issuer, PLATFORM_NAME) == 0) {
        crl.issuer = PROCESSOR_NAME;
    }
    evgen_crl(&crl, &o->pck_crl);
    evgen_crl(&d->root_crl, &o->root_crl);
}

static void
put_chain(struct evgen_buf *b, const struct evgen_dcap_out *o, const unsigned *which, size_t n)
{
    const struct evgen_der *all[4] = {&o->pck, &o->pck_ca, &o->root, &o->tcb_signer};
    for (size_t i = 0; i < n; i++) {
        MUST(which[i] < 4);
        evgen_put_pem(b, all[which[i]]);
    }
}

static void
put_head(const struct evgen_dcap *d, struct evgen_buf *q)
{
    evgen_put_le(q, d->version, 2);
    evgen_put_le(q, d->att_key_type, 2);
    evgen_put_le(q, d->tee_type, 4);
    evgen_put(q, d->header_8, 4);
    evgen_put(q, d->vendor, 16);
    evgen_put(q, d->user_data, 20);
    if (d->version == 5) {
        evgen_put_le(q, d->body_type, 2);
        evgen_put_le(q, (uint64_t)((int64_t)d->body_len + d->body_size_add), 4);
    }
    evgen_put(q, d->body, d->body_len);
}

static void
make_qe_report(const struct evgen_dcap *d, const uint8_t xy[64], uint8_t qe[384])
{
    uint8_t bound[128];
    memcpy(qe, d->qe, 384);
    if (!d->qe_report_data_kept) {
        memcpy(bound, xy, 64);
        memcpy(bound + 64, d->auth, d->auth_len);
        evgen_sha256(qr_view_of(bound, 64 + d->auth_len), qe + EVGEN_SGX_REPORT_DATA);
    }
}

static void
make_quote(const struct evgen_dcap *d, struct evgen_dcap_out *o)
{
    static uint8_t pem_mem[16384];
    struct evgen_buf q = evgen_buf_over(o->quote, sizeof o->quote);
    struct evgen_buf pem = evgen_buf_over(pem_mem, sizeof pem_mem);
    uint8_t xy[64], sig[96], qe_sig[96], qe[384];

    put_chain(&pem, o, d->chain, d->n_chain);
    if (d->pem_nul) {
        evgen_fill(&pem, 0, 1);
    }
    evgen_fill(&pem, 'A', d->cert_junk);
    if (d->att_xy) {
        memcpy(xy, d->att_xy, 64);
    } else {
        MUST(evgen_key_xy(d->att_key, xy) == 64);
    }
    make_qe_report(d, xy, qe);
    put_head(d, &q);
    MUST(evgen_sign_raw(d->att_signer, QR_SHA256, evgen_buf_view(&q), sig) == 64);
    MUST(evgen_sign_raw(d->qe_signer, QR_SHA256, qr_view_of(qe, sizeof qe), qe_sig) == 64);

    size_t inner = 384 + 64 + 2 + d->auth_len + 2 + 4 + pem.len;
    int outer = d->version >= 4;
    evgen_put_le(&q, (uint64_t)((int64_t)(128 + (outer ? 6u : 0u) + inner) + d->sig_len_add), 4);
    evgen_put(&q, sig, 64);
    evgen_put(&q, xy, 64);
    if (outer) {
        evgen_put_le(&q, d->outer_type, 2);
        evgen_put_le(&q, (uint64_t)((int64_t)inner + d->outer_size_add), 4);
    }
    evgen_put(&q, qe, 384);
    evgen_put(&q, qe_sig, 64);
    evgen_put_le(&q, (uint64_t)((int64_t)d->auth_len + d->auth_len_add), 2);
    evgen_put(&q, d->auth, d->auth_len);
    evgen_put_le(&q, d->cert_type, 2);
    evgen_put_le(&q, (uint64_t)((int64_t)pem.len + d->cert_size_add), 4);
    evgen_put_view(&q, evgen_buf_view(&pem));
    evgen_put(&q, d->trailing, d->trailing_len);
    if (d->patch_quote) {
        d->patch_quote(&q);
    }
    o->quote_len = q.len;
}

void
evgen_dcap_make(const struct evgen_dcap *d, struct evgen_dcap_out *o)
{
    make_certs(d, o);
    make_quote(d, o);
    o->tcb_len = make_tcb_info(&d->tcb, o->tcb, sizeof o->tcb);
    o->tcb_sig_len =
        sign_text(d, d->tcb_key, qr_view_of(o->tcb, o->tcb_len), o->tcb_sig, sizeof o->tcb_sig);
    o->qe_len = make_qe_identity(&d->qe_identity, o->qe, sizeof o->qe);
    o->qe_sig_len =
        sign_text(d, d->qe_identity_key, qr_view_of(o->qe, o->qe_len), o->qe_sig, sizeof o->qe_sig);
    struct evgen_buf chain = evgen_buf_over(o->tcb_chain, sizeof o->tcb_chain);
    put_chain(&chain, o, d->tcb_chain, d->n_tcb_chain);
    o->tcb_chain_len = chain.len;
}

void
evgen_dcap_add(const struct evgen_dcap_out *o, struct qr_evidence *e)
{
    const struct {
        enum qr_part part;
        qr_view v;
    } item[] = {
        {QR_PART_QUOTE, qr_view_of(o->quote, o->quote_len)},
        {QR_PART_TCB_INFO, qr_view_of(o->tcb, o->tcb_len)},
        {QR_PART_TCB_INFO_SIG, qr_view_of(o->tcb_sig, o->tcb_sig_len)},
        {QR_PART_QE_IDENTITY, qr_view_of(o->qe, o->qe_len)},
        {QR_PART_QE_IDENTITY_SIG, qr_view_of(o->qe_sig, o->qe_sig_len)},
        {QR_PART_TCB_CHAIN, qr_view_of(o->tcb_chain, o->tcb_chain_len)},
        {QR_PART_PCK_CRL, evgen_view(&o->pck_crl)},
        {QR_PART_ROOT_CRL, evgen_view(&o->root_crl)},
    };
    for (size_t i = 0; i < sizeof item / sizeof item[0]; i++) {
        /* An empty item is one that is left out. */
        if (item[i].v.len > 0) {
            MUST(qr_evidence_add(e, item[i].part, 0, item[i].v) == QR_OK);
        }
    }
}

void
evgen_dcap_pin(const struct evgen_dcap_out *o, struct qr_roots *roots)
{
    evgen_pin(roots, QR_ROOT_INTEL, &o->root);
}
