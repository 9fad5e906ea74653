#include "test/common/evgen_snp.h"

#include "protocol/base/check.h"

#include <stdio.h>

#define SCALAR_LEN 48u
#define SCALAR_FIELD 72u
#define NAME_MAX_LEN 128u

const char *
evsnp_line_name(enum evsnp_line line)
{
    static const char *const names[EVSNP_LINES] = {"Milan", "Genoa", "Turin"};
    return names[line];
}

void
evsnp_put(struct evsnp *s, size_t at, uint64_t v, size_t n)
{
    QR_ASSERT(at + n <= sizeof s->report);
    evgen_set_le(s->report + at, v, n);
}

void
evsnp_put_tcb(struct evsnp *s, size_t at, const struct evsnp_tcb *t)
{
    uint8_t b[8] = {0};
    if (s->line == EVSNP_TURIN) {
        b[0] = t->fmc;
        b[1] = t->bootloader;
        b[2] = t->tee;
        b[3] = t->snp;
    } else {
        b[0] = t->bootloader;
        b[1] = t->tee;
        b[6] = t->snp;
    }
    b[7] = t->microcode;
    memcpy(s->report + at, b, sizeof b);
}

void
evsnp_ext_raw(struct evsnp *s, enum evsnp_ext e, const void *bytes, size_t len)
{
    QR_ASSERT(len <= sizeof s->ext[e].bytes);
    if (len > 0) {
        memcpy(s->ext[e].bytes, bytes, len);
    }
    s->ext[e].len = len;
    s->ext[e].times = 1;
}

void
evsnp_ext_uint(struct evsnp *s, enum evsnp_ext e, uint64_t v)
{
    uint8_t mem[16];
    struct evgen_buf b = evgen_buf_over(mem, sizeof mem);
    evgen_der_put_uint(&b, v);
    evsnp_ext_raw(s, e, mem, b.len);
}

void
evsnp_ext_text(struct evsnp *s, enum evsnp_ext e, const char *text)
{
    uint8_t mem[80];
    struct evgen_buf b = evgen_buf_over(mem, sizeof mem);
    evgen_der_put(&b, 0x16, qr_view_str(text));
    evsnp_ext_raw(s, e, mem, b.len);
}

void
evsnp_ext_tcb(struct evsnp *s, const struct evsnp_tcb *t)
{
    evsnp_ext_uint(s, EVSNP_EXT_BL, t->bootloader);
    evsnp_ext_uint(s, EVSNP_EXT_TEE, t->tee);
    evsnp_ext_uint(s, EVSNP_EXT_SNP, t->snp);
    evsnp_ext_uint(s, EVSNP_EXT_UCODE, t->microcode);
    if (s->line == EVSNP_TURIN) {
        evsnp_ext_uint(s, EVSNP_EXT_FMC, t->fmc);
    } else {
        evsnp_ext_uint(s, EVSNP_EXT_SPL4, 0);
    }
    evsnp_ext_uint(s, EVSNP_EXT_SPL5, 0);
    evsnp_ext_uint(s, EVSNP_EXT_SPL6, 0);
    evsnp_ext_uint(s, EVSNP_EXT_SPL7, 0);
}

static const char *
name_to(char *out, size_t cap, const char *cn)
{
    (void)snprintf(out, cap,
                   "OU=Engineering,C=US,L=Santa Clara,ST=CA,O=Advanced Micro Devices,CN=%s", cn);
    return out;
}

const char *
evsnp_name(struct evsnp *s, unsigned slot, const char *cn)
{
    QR_ASSERT(slot < sizeof s->names / sizeof s->names[0]);
    return name_to(s->names[slot], sizeof s->names[slot], cn);
}

enum role { ARK, ASK, ASVK, ROLES };

/* A genuine CA of a line; the two names live in the caller's memory. */
static struct evgen_cert_spec
ca_spec(enum evsnp_line line, enum role role, char subject[static NAME_MAX_LEN],
        char issuer[static NAME_MAX_LEN])
{
    static const char *const prefix[ROLES] = {"ARK-", "SEV-", "SEV-VLEK-"};
    char cn[32];
    EVP_PKEY *k = evgen_key(EVGEN_RSA2048, 0);

    (void)snprintf(cn, sizeof cn, "ARK-%s", evsnp_line_name(line));
    (void)name_to(issuer, NAME_MAX_LEN, cn);
    (void)snprintf(cn, sizeof cn, "%s%s", prefix[role], evsnp_line_name(line));
    (void)name_to(subject, NAME_MAX_LEN, cn);
    struct evgen_cert_spec s = evgen_cert_spec_of(subject, k, issuer, k, 1);
    s.serial = 0x10000 + (unsigned)line + 0x100u * (unsigned)role;
    if (role != ARK) {
        s.pathlen = 0;
        s.key_usage = EVGEN_KU_CERT_SIGN;
    }
    return s;
}

static int
same_spec(const struct evgen_cert_spec *a, const struct evgen_cert_spec *b)
{
    return strcmp(a->subject, b->subject) == 0 && strcmp(a->issuer, b->issuer) == 0 &&
           a->key == b->key && a->signer == b->signer && a->sig == b->sig &&
           a->serial == b->serial && a->from_ms == b->from_ms && a->to_ms == b->to_ms &&
           a->ca == b->ca && a->pathlen == b->pathlen && a->key_usage == b->key_usage &&
           a->bad_signature == b->bad_signature && a->n_ext == 0 && b->n_ext == 0;
}

/*
 * The vendor's CAs are made once a process: their signatures are salted, and a root is pinned by its
 * bytes. Any other CA is made anew.
 */
static void
make_ca(const struct evgen_cert_spec *spec, struct evgen_der *ret)
{
    static struct evgen_der genuine[EVSNP_LINES][ROLES];
    char subject[NAME_MAX_LEN], issuer[NAME_MAX_LEN];

    for (int line = 0; line < EVSNP_LINES; line++) {
        for (int role = 0; role < ROLES; role++) {
            struct evgen_der *der = &genuine[line][role];
            struct evgen_cert_spec like =
                ca_spec((enum evsnp_line)line, (enum role)role, subject, issuer);
            if (!same_spec(spec, &like)) {
                continue;
            }
            if (der->len == 0) {
                evgen_cert(&like, der);
            }
            *ret = *der;
            return;
        }
    }
    evgen_cert(spec, ret);
}

/* Names and issuers by line and kind. */
static void
name_all(struct evsnp *s, int vlek)
{
    s->ask_spec = ca_spec(s->line, vlek ? ASVK : ASK, s->names[1], s->names[2]);
    s->ark_spec = ca_spec(s->line, ARK, s->names[2], s->names[2]);
    s->vek_spec.subject = evsnp_name(s, 0, vlek ? "SEV-VLEK" : "SEV-VCEK");
    s->vek_spec.issuer = s->ask_spec.subject;
}

void
evsnp_init(struct evsnp *s, enum evsnp_line line, unsigned version)
{
    static const struct evsnp_tcb reported = {4, 1, 24, 217, 3}, committed = {4, 1, 24, 219, 3},
                                  current = {5, 2, 25, 220, 4};
    static const uint8_t family[EVSNP_LINES][3] = {
        {0x19, 0x01, 1}, {0x19, 0x11, 1}, {0x1a, 0x02, 1}};
    EVP_PKEY *rsa = evgen_key(EVGEN_RSA2048, 0), *vek = evgen_key(EVGEN_P384, 0);

    memset(s, 0, sizeof *s);
    s->line = line;
    s->report_len = EVSNP_REPORT_LEN;
    evsnp_put(s, EVSNP_VERSION, version, 4);
    evsnp_put(s, EVSNP_GUEST_SVN, 7, 4);
    evsnp_put(s, EVSNP_POLICY, 0x3001f, 8);
    memset(s->report + EVSNP_FAMILY_ID, 0x0f, 16);
    memset(s->report + EVSNP_IMAGE_ID, 0x1a, 16);
    evsnp_put(s, EVSNP_ALGO, 1, 4);
    evsnp_put_tcb(s, EVSNP_CURRENT_TCB, &current);
    evsnp_put(s, EVSNP_PLATFORM_INFO, 0x25, 8);
    memset(s->report + EVSNP_REPORT_DATA, 0xb1, 32);
    memset(s->report + EVSNP_MEASUREMENT, 0x3e, 48);
    memset(s->report + EVSNP_HOST_DATA, 0x4d, 32);
    memset(s->report + EVSNP_ID_KEY_DIGEST, 0x1d, 48);
    memset(s->report + EVSNP_REPORT_ID, 0x1e, 32);
    memset(s->report + EVSNP_REPORT_ID_MA, 0xff, 32);
    evsnp_put_tcb(s, EVSNP_REPORTED_TCB, &reported);
    if (version >= 3) {
        memcpy(s->report + EVSNP_CPUID, family[line], 3);
    }
    memset(s->report + EVSNP_CHIP_ID, 0xc1, line == EVSNP_TURIN ? 8 : 64);
    evsnp_put_tcb(s, EVSNP_COMMITTED_TCB, &committed);
    evsnp_put(s, EVSNP_CURRENT_VERSION, 0x013728, 4);   /* 1.55.40 */
    evsnp_put(s, EVSNP_COMMITTED_VERSION, 0x01371d, 4); /* 1.55.29 */
    evsnp_put_tcb(s, EVSNP_LAUNCH_TCB, &committed);
    if (version >= 5) {
        evsnp_put(s, EVSNP_LAUNCH_MIT, 3, 8);
        evsnp_put(s, EVSNP_CURRENT_MIT, 7, 8);
    }

    s->vek_spec = evgen_cert_spec_of("", vek, "", rsa, -1);
    s->vek_spec.serial = 0;
    s->report_key = vek;
    name_all(s, 0);

    evsnp_ext_uint(s, EVSNP_EXT_STRUCT_VERSION, line == EVSNP_TURIN);
    evsnp_ext_text(s, EVSNP_EXT_PRODUCT, line == EVSNP_MILAN ? "Milan-B0" : evsnp_line_name(line));
    evsnp_ext_tcb(s, &reported);
    evsnp_ext_raw(s, EVSNP_EXT_HWID, s->report + EVSNP_CHIP_ID, line == EVSNP_TURIN ? 8 : 64);
}

void
evsnp_vlek(struct evsnp *s)
{
    memset(s->report + EVSNP_CHIP_ID, 0, 64);
    evsnp_put(s, EVSNP_FLAGS, 1u << 2, 4);
    s->ext[EVSNP_EXT_HWID].len = 0;
    evsnp_ext_text(s, EVSNP_EXT_PRODUCT, evsnp_line_name(s->line));
    evsnp_ext_text(s, EVSNP_EXT_CSPID, "CN=cc-test-1.example.com");
    name_all(s, 1);
}

void
evsnp_runtime_data(struct evsnp *s, const char *json)
{
    uint32_t len = (uint32_t)strlen(json);
    const uint32_t header[5] = {20 + len, 1, 2, 1, len};
    for (size_t i = 0; i < 5; i++) {
        evsnp_put(s, EVSNP_REPORT_LEN + 4 * i, header[i], 4);
    }
    s->report_len = EVSNP_REPORT_LEN + sizeof header;
    memset(s->report + EVSNP_REPORT_DATA, 0, 64);
    evgen_sha256(qr_view_str(json), s->report + EVSNP_REPORT_DATA);
    s->runtime_data = json;
}

void
evsnp_sign(struct evsnp *s)
{
    uint8_t raw[2 * SCALAR_LEN];
    memset(s->report + EVSNP_R, 0, 2 * SCALAR_FIELD);
    size_t n =
        evgen_sign_raw(s->report_key, QR_SHA384, qr_view_of(s->report, EVSNP_SIGNED_LEN), raw);
    QR_ASSERT(n == sizeof raw);
    for (size_t i = 0; i < SCALAR_LEN; i++) {
        s->report[EVSNP_R + i] = raw[SCALAR_LEN - 1 - i];
        s->report[EVSNP_S + i] = raw[2 * SCALAR_LEN - 1 - i];
    }
}

static void
add_extensions(const struct evsnp *s, struct evgen_cert_spec *c)
{
    static const char *const oid[EVSNP_EXTS] = {
        [EVSNP_EXT_STRUCT_VERSION] = "1.3.6.1.4.1.3704.1.1",
        [EVSNP_EXT_PRODUCT] = "1.3.6.1.4.1.3704.1.2",
        [EVSNP_EXT_BL] = "1.3.6.1.4.1.3704.1.3.1",
        [EVSNP_EXT_TEE] = "1.3.6.1.4.1.3704.1.3.2",
        [EVSNP_EXT_SPL4] = "1.3.6.1.4.1.3704.1.3.4",
        [EVSNP_EXT_SPL5] = "1.3.6.1.4.1.3704.1.3.5",
        [EVSNP_EXT_SPL6] = "1.3.6.1.4.1.3704.1.3.6",
        [EVSNP_EXT_SPL7] = "1.3.6.1.4.1.3704.1.3.7",
        [EVSNP_EXT_SNP] = "1.3.6.1.4.1.3704.1.3.3",
        [EVSNP_EXT_UCODE] = "1.3.6.1.4.1.3704.1.3.8",
        [EVSNP_EXT_FMC] = "1.3.6.1.4.1.3704.1.3.9",
        [EVSNP_EXT_HWID] = "1.3.6.1.4.1.3704.1.4",
        [EVSNP_EXT_CSPID] = "1.3.6.1.4.1.3704.1.5",
    };
    for (size_t i = 0; i < EVSNP_EXTS; i++) {
        const struct evsnp_ext_value *e = &s->ext[i];
        for (int n = 0; e->len > 0 && n < e->times; n++) {
            evgen_spec_add_ext(c, oid[i], qr_view_of(e->bytes, e->len), e->critical);
        }
    }
}

void
evsnp_build(struct evsnp *s)
{
    struct evgen_cert_spec vek = s->vek_spec;
    add_extensions(s, &vek);
    evgen_cert(&vek, &s->vek);
    make_ca(&s->ask_spec, &s->ask);
    make_ca(&s->ark_spec, &s->ark);
    evsnp_sign(s);
}

void
evsnp_crl(struct evsnp *s, const uint64_t *serials, size_t n)
{
    struct evgen_crl_spec c = evgen_crl_spec_of(s->ark_spec.subject, s->ark_spec.key);
    QR_ASSERT(n <= EVGEN_REVOKED);
    c.sig = EVGEN_RSA_PSS_SHA384;
    c.n_revoked = n;
    for (size_t i = 0; i < n; i++) {
        c.revoked[i] = serials[i];
    }
    evgen_crl(&c, &s->crl);
}

void
evsnp_evidence(const struct evsnp *s, enum qr_evidence_kind kind, struct qr_evidence *e)
{
    const struct {
        enum qr_part part;
        qr_view v;
    } items[] = {
        {QR_PART_SNP_REPORT, qr_view_of(s->report, s->report_len)},
        {QR_PART_SNP_VEK, evgen_view(&s->vek)},
        {QR_PART_SNP_ASK, evgen_view(&s->ask)},
        {QR_PART_SNP_ARK, evgen_view(&s->ark)},
        {QR_PART_SNP_CRL, evgen_view(&s->crl)},
        {QR_PART_RUNTIME_DATA,
         s->runtime_data ? qr_view_str(s->runtime_data) : qr_view_of(NULL, 0)},
    };
    *e = (struct qr_evidence){.kind = kind};
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        if (items[i].v.len > 0) {
            QR_ASSERT(qr_evidence_add(e, items[i].part, 0, items[i].v) == QR_OK);
        }
    }
}

void
evsnp_roots(struct qr_roots *r)
{
    static const enum qr_vendor_root root[EVSNP_LINES] = {QR_ROOT_AMD_MILAN, QR_ROOT_AMD_GENOA,
                                                          QR_ROOT_AMD_TURIN};
    char subject[NAME_MAX_LEN], issuer[NAME_MAX_LEN];
    struct evgen_der der;

    for (int i = 0; i < EVSNP_LINES; i++) {
        struct evgen_cert_spec ark = ca_spec((enum evsnp_line)i, ARK, subject, issuer);
        make_ca(&ark, &der);
        evgen_pin(r, root[i], &der);
    }
}
