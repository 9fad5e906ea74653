#include "test/common/snp_break.h"

#include "enclave-shim/verify/cert.h"
#include "protocol/base/check.h"

#include <stdio.h>

#define YEAR_MS (365 * EVGEN_DAY_MS)

/* ---- before the certificates are made ---- */

void
snp_break_set_version(struct snp_scene *c, uint64_t arg)
{
    evsnp_put(&c->s, EVSNP_VERSION, arg, 4);
}

void
snp_break_set_algo(struct snp_scene *c, uint64_t arg)
{
    evsnp_put(&c->s, EVSNP_ALGO, arg, 4);
}

void
snp_break_set_vmpl(struct snp_scene *c, uint64_t arg)
{
    evsnp_put(&c->s, EVSNP_VMPL, arg, 4);
}

void
snp_break_set_byte(struct snp_scene *c, uint64_t at)
{
    c->s.report[at] |= 0x40;
}

void
snp_break_flip_policy(struct snp_scene *c, uint64_t bit)
{
    c->s.report[EVSNP_POLICY + bit / 8] ^= (uint8_t)(1u << bit % 8);
}

void
snp_break_flip_flag(struct snp_scene *c, uint64_t bit)
{
    c->s.report[EVSNP_FLAGS + bit / 8] ^= (uint8_t)(1u << bit % 8);
}

void
snp_break_set_signing_key(struct snp_scene *c, uint64_t kind)
{
    evsnp_put(&c->s, EVSNP_FLAGS, kind << 2, 4);
}

void
snp_break_set_length(struct snp_scene *c, uint64_t len)
{
    c->s.report_len = len;
}

/* family << 8 | model */
void
snp_break_set_cpu(struct snp_scene *c, uint64_t arg)
{
    c->s.report[EVSNP_CPUID] = (uint8_t)(arg >> 8);
    c->s.report[EVSNP_CPUID + 1] = (uint8_t)arg;
}

void
snp_break_set_product_name(struct snp_scene *c, uint64_t arg)
{
    static const char *const name[] = {"Milan-B0", "Genoa",    "Turin",  "Milano",
                                       "Mila",     "-Milan",   "Venice", "milan",
                                       "Bergamo",  "Siena-B0", "Rome-B0"};
    evsnp_ext_text(&c->s, EVSNP_EXT_PRODUCT, name[arg]);
}

void
snp_break_name_ask(struct snp_scene *c, uint64_t arg)
{
    static const char *const name[] = {"SEV-Naples",     "SEV-Rome",   "SEV-",     "SEV-Milan2",
                                       "SEV-Venice",     "SEV",        "ASK",      "ARK-Milan",
                                       "SEV-VLEK-Milan", "VLEK-Milan", "sev-Milan"};
    c->s.ask_spec.subject = evsnp_name(&c->s, 1, name[arg]);
    c->s.vek_spec.issuer = c->s.ask_spec.subject;
}

void
snp_break_name_asvk(struct snp_scene *c, uint64_t arg)
{
    static const char *const name[] = {"SEV-Milan", "SEV-VLEK", "ARK-Milan", "VLEK-Milan"};
    c->s.ask_spec.subject = evsnp_name(&c->s, 1, name[arg]);
    c->s.vek_spec.issuer = c->s.ask_spec.subject;
}

void
snp_break_name_vek(struct snp_scene *c, uint64_t arg)
{
    static const char *const name[] = {"SEV-VLEK", "SEV-VCEK2", "SEV-Milan", "VCEK"};
    c->s.vek_spec.subject = evsnp_name(&c->s, 0, name[arg]);
}

/* 0: hwID and cspID; 1: neither. */
void
snp_break_mix_kinds(struct snp_scene *c, uint64_t arg)
{
    if (arg == 0) {
        evsnp_ext_raw(&c->s, EVSNP_EXT_HWID,
                      "0123456789abcdef0123456789abcdef0123456789abcdef"
                      "0123456789abcdef",
                      64);
        evsnp_ext_text(&c->s, EVSNP_EXT_CSPID, "CN=cc-test-1.example.com");
    } else {
        c->s.ext[EVSNP_EXT_HWID].len = 0;
        c->s.ext[EVSNP_EXT_CSPID].len = 0;
    }
}

/* Another key, another serial number, the same key with other dates: none of them is pinned. */
void
snp_break_own_ark(struct snp_scene *c, uint64_t arg)
{
    EVP_PKEY *k = evgen_key(EVGEN_RSA2048, 1);
    if (arg == 0) {
        c->s.ark_spec.key = k;
        c->s.ark_spec.signer = k;
        c->s.ask_spec.signer = k;
    } else if (arg == 1) {
        c->s.ark_spec.serial++;
    } else {
        c->s.ark_spec.to_ms += YEAR_MS;
    }
}

/* The leaf and its CA of one line under the ARK of another. */
void
snp_break_foreign_ark(struct snp_scene *c, uint64_t arg)
{
    char cn[16];
    (void)snprintf(cn, sizeof cn, "ARK-%s", evsnp_line_name((enum evsnp_line)arg));
    c->s.ark_spec.subject = evsnp_name(&c->s, 2, cn);
    c->s.ark_spec.issuer = c->s.ark_spec.subject;
    c->s.ark_spec.serial = 0x10000 + arg;
    c->s.ask_spec.issuer = c->s.ark_spec.subject;
}

void
snp_break_bad_chain(struct snp_scene *c, uint64_t arg)
{
    struct evgen_cert_spec *vek = &c->s.vek_spec, *ask = &c->s.ask_spec;
    EVP_PKEY *stranger = evgen_key(EVGEN_RSA2048, 1);
    switch (arg) {
    case 0:
        vek->signer = stranger;
        break;
    case 1:
        ask->signer = stranger;
        break;
    case 2:
        ask->key = stranger;
        break;
    case 3:
        vek->issuer = evsnp_name(&c->s, 3, "SEV-Genoa");
        break;
    case 4:
        ask->issuer = evsnp_name(&c->s, 3, "ARK-Turin");
        break;
    case 5:
        ask->ca = 0;
        break;
    case 6:
        ask->ca = -1;
        break;
    case 7:
        ask->key_usage = EVGEN_KU_SIGN;
        break;
    case 8:
        ask->key_usage = 0;
        break;
    case 9:
        vek->ca = 1;
        vek->key_usage = EVGEN_KU_CERT_SIGN;
        break;
    case 10:
        vek->key_usage = EVGEN_KU_CRL_SIGN;
        break;
    case 11: /* a CA that is not RSA is none of this vendor */
        ask->key = evgen_key(EVGEN_P384, 2);
        vek->signer = ask->key;
        vek->sig = EVGEN_ECDSA_SHA384;
        break;
    case 12:
        evgen_spec_add_ext(vek, "1.3.6.1.4.1.3704.1.77", qr_view_str("\x05"), 1);
        break;
    case 13:
        evgen_spec_add_ext(ask, "1.2.3.4.5", qr_view_str("\x05"), 1);
        break;
    case 14:
        vek->sig = EVGEN_RSA_SHA1;
        break;
    case 15:
        ask->sig = EVGEN_RSA_SHA1;
        break;
    default:
        QR_ASSERT(0);
    }
}

void
snp_break_weak_algorithm(struct snp_scene *c, uint64_t arg)
{
    static const enum evgen_sig sig[] = {EVGEN_RSA_SHA256, EVGEN_RSA_SHA384};
    if (arg < 2) {
        c->s.vek_spec.sig = sig[arg];
    } else if (arg < 4) {
        c->s.ask_spec.sig = sig[arg - 2];
    } else {
        c->s.vek_spec.key = evgen_key(arg == 4 ? EVGEN_P256 : EVGEN_RSA2048, 0);
    }
}

/* ---- extensions: kind of defect, then which ---- */

static void
break_spl(struct snp_scene *c, enum evsnp_ext e, uint64_t defect)
{
    static const struct {
        uint8_t bytes[8];
        size_t len;
    } bad[] = {
        {{0x02, 0x01, 0xff}, 3},                   /* -1 */
        {{0x02, 0x02, 0x01, 0x00}, 4},             /* 256 */
        {{0x02, 0x01}, 2},                         /* cut */
        {{0x02, 0x02, 0x00, 0x05}, 4},             /* not minimal */
        {{0x04, 0x01, 0x05}, 3},                   /* OCTET STRING */
        {{0x02, 0x01, 0x05, 0x00}, 4},             /* a byte behind it */
        {{0x02, 0x00}, 2},                         /* empty */
        {{0x02, 0x81, 0x01, 0x05}, 4},             /* long form of a short length */
        {{0x02, 0x05, 0x01, 0x00, 0x00, 0x00}, 6}, /* length past the end */
    };
    if (defect < sizeof bad / sizeof bad[0]) {
        evsnp_ext_raw(&c->s, e, bad[defect].bytes, bad[defect].len);
    } else {
        c->s.ext[e].times = 2;
    }
}

void
snp_break_bad_bl(struct snp_scene *c, uint64_t arg)
{
    break_spl(c, EVSNP_EXT_BL, arg);
}

void
snp_break_bad_ucode(struct snp_scene *c, uint64_t arg)
{
    break_spl(c, EVSNP_EXT_UCODE, arg);
}

void
snp_break_bad_fmc(struct snp_scene *c, uint64_t arg)
{
    break_spl(c, EVSNP_EXT_FMC, arg);
}

void
snp_break_drop_ext(struct snp_scene *c, uint64_t arg)
{
    c->s.ext[arg].len = 0;
}

void
snp_break_double_ext(struct snp_scene *c, uint64_t arg)
{
    c->s.ext[arg].times = 2;
}

void
snp_break_bad_texts(struct snp_scene *c, uint64_t arg)
{
    static const uint8_t utf8[] = {0x0c, 5, 'M', 'i', 'l', 'a', 'n'};
    static const uint8_t control[] = {0x16, 6, 'M', 'i', 'l', 'a', 'n', '\n'};
    static const uint8_t high[] = {0x16, 6, 'M', 'i', 'l', 'a', 'n', 0x80};
    static const uint8_t empty[] = {0x16, 0};
    static const uint8_t behind[] = {0x16, 5, 'M', 'i', 'l', 'a', 'n', 0};
    static const char longest[] =
        "12345678901234567890123456789012345678901234567890123456789012345";
    static const uint8_t no_number[] = {0x16, 1, '0'};
    switch (arg) {
    case 0:
        evsnp_ext_raw(&c->s, EVSNP_EXT_PRODUCT, utf8, sizeof utf8);
        break;
    case 1:
        evsnp_ext_raw(&c->s, EVSNP_EXT_PRODUCT, control, sizeof control);
        break;
    case 2:
        evsnp_ext_raw(&c->s, EVSNP_EXT_PRODUCT, high, sizeof high);
        break;
    case 3:
        evsnp_ext_raw(&c->s, EVSNP_EXT_PRODUCT, empty, sizeof empty);
        break;
    case 4:
        evsnp_ext_raw(&c->s, EVSNP_EXT_PRODUCT, behind, sizeof behind);
        break;
    case 5:
        evsnp_ext_text(&c->s, EVSNP_EXT_PRODUCT, longest);
        break;
    case 6:
        evsnp_ext_raw(&c->s, EVSNP_EXT_STRUCT_VERSION, no_number, sizeof no_number);
        break;
    default:
        QR_ASSERT(0);
    }
}

/* A hwID of that length whose first bytes are the chip's. */
void
snp_break_set_hwid_len(struct snp_scene *c, uint64_t len)
{
    c->s.ext[EVSNP_EXT_HWID].len = len;
}

/* The OCTET STRING that no real certificate has. */
void
snp_break_wrap_hwid(struct snp_scene *c, uint64_t arg)
{
    uint8_t wrapped[66] = {0x04, 0x40};
    (void)arg;
    memcpy(wrapped + 2, c->s.report + EVSNP_CHIP_ID, 64);
    evsnp_ext_raw(&c->s, EVSNP_EXT_HWID, wrapped, sizeof wrapped);
}

/* ---- chip and TCB ---- */

void
snp_break_other_chip(struct snp_scene *c, uint64_t at)
{
    c->s.report[EVSNP_CHIP_ID + at] ^= 1;
}

void
snp_break_no_chip(struct snp_scene *c, uint64_t arg)
{
    (void)arg;
    memset(c->s.report + EVSNP_CHIP_ID, 0, 64);
}

/* Masked, but a chip is named, and it is another one. */
void
snp_break_masked_other_chip(struct snp_scene *c, uint64_t at)
{
    evsnp_put(&c->s, EVSNP_FLAGS, 2, 4);
    snp_break_other_chip(c, at);
}

/* Every firmware version of the report is one higher in that byte: consistent, not endorsed. */
void
snp_break_raise_all_tcbs(struct snp_scene *c, uint64_t at)
{
    c->s.report[EVSNP_REPORTED_TCB + at]++;
    c->s.report[EVSNP_COMMITTED_TCB + at]++;
    c->s.report[EVSNP_CURRENT_TCB + at]++;
}

void
snp_break_lower_reported(struct snp_scene *c, uint64_t at)
{
    c->s.report[EVSNP_REPORTED_TCB + at]--;
}

/* A certificate for another version of that component. */
void
snp_break_other_spl(struct snp_scene *c, uint64_t e)
{
    evsnp_ext_uint(&c->s, (enum evsnp_ext)e, 9);
}

void
snp_break_old_vcek(struct snp_scene *c, uint64_t arg)
{
    const struct evsnp_tcb older = {3, 0, (uint8_t)(20 - arg), 115, 2};
    evsnp_ext_tcb(&c->s, &older);
}

/* The report's bytes in the order of the other products. */
void
snp_break_wrong_order(struct snp_scene *c, uint64_t arg)
{
    static const struct evsnp_tcb t = {4, 1, 24, 217, 3};
    enum evsnp_line line = c->s.line;
    (void)arg;
    c->s.line = line == EVSNP_TURIN ? EVSNP_MILAN : EVSNP_TURIN;
    evsnp_put_tcb(&c->s, EVSNP_REPORTED_TCB, &t);
    evsnp_put_tcb(&c->s, EVSNP_COMMITTED_TCB, &t);
    evsnp_put_tcb(&c->s, EVSNP_CURRENT_TCB, &t);
    c->s.line = line;
}

void
snp_break_reported_above_committed(struct snp_scene *c, uint64_t at)
{
    c->s.report[EVSNP_COMMITTED_TCB + at] = (uint8_t)(c->s.report[EVSNP_REPORTED_TCB + at] - 1);
}

void
snp_break_committed_above_current(struct snp_scene *c, uint64_t at)
{
    c->s.report[EVSNP_CURRENT_TCB + at] = (uint8_t)(c->s.report[EVSNP_COMMITTED_TCB + at] - 1);
}

/* ---- dates and lists ---- */

static struct evgen_cert_spec *
spec_of(struct snp_scene *c, uint64_t which)
{
    return which == 0 ? &c->s.vek_spec : &c->s.ask_spec;
}

void
snp_break_ends_now(struct snp_scene *c, uint64_t which)
{
    spec_of(c, which)->to_ms = c->o.now_ms - 1000;
}

void
snp_break_begins_later(struct snp_scene *c, uint64_t which)
{
    spec_of(c, which)->from_ms = c->o.now_ms + 1000;
}

/* The leaf and the ASK outlive the ARK; or are older than it. */
void
snp_break_outlive_ark(struct snp_scene *c, uint64_t late)
{
    for (uint64_t i = 0; i < 2; i++) {
        spec_of(c, i)->from_ms -= 2 * YEAR_MS;
        spec_of(c, i)->to_ms += 20 * YEAR_MS;
    }
    c->o.now_ms = late ? c->s.ark_spec.to_ms + 1000 : c->s.ark_spec.from_ms - 1000;
}

static void
remember(struct snp_scene *c, uint64_t number, int64_t issued_ms)
{
    c->seen.n = 1;
    c->seen.mark[0].kind = QR_COLL_CRL;
    c->seen.mark[0].number = number;
    c->seen.mark[0].issued_ms = issued_ms;
    c->seen.mark[0].next_ms = issued_ms + YEAR_MS;
    QR_ASSERT(qr_key_sha256(c->s.ark_spec.key, c->seen.mark[0].subject));
    c->o.seen = &c->seen;
}

void
snp_break_list(struct snp_scene *c, uint64_t arg)
{
    struct evgen_crl_spec crl = evgen_crl_spec_of(c->s.ark_spec.subject, c->s.ark_spec.key);
    crl.sig = EVGEN_RSA_PSS_SHA384;
    switch (arg) {
    case 0: /* the ASK */
        crl.revoked[crl.n_revoked++] = c->s.ask_spec.serial;
        break;
    case 1: /* every leaf */
        crl.revoked[crl.n_revoked++] = 0;
        break;
    case 2:
        crl.revoked[crl.n_revoked++] = 99;
        crl.revoked[crl.n_revoked++] = 0;
        break;
    case 3:
        crl.signer = evgen_key(EVGEN_RSA2048, 1);
        break;
    case 4:
        crl.issuer = evsnp_name(&c->s, 3, "ARK-Rome");
        break;
    case 5:
        crl.next_ms = c->o.now_ms - 1000;
        break;
    case 6:
        crl.this_ms = c->o.now_ms + 1000;
        break;
    case 7:
        crl.next_ms = -1;
        break;
    case 8: /* by the ASK, which may not sign lists */
        crl.issuer = c->s.ask_spec.subject;
        break;
    case 9: /* by an ASK that may: it names the leaf */
        c->s.ask_spec.key_usage = EVGEN_KU_CERT_SIGN | EVGEN_KU_CRL_SIGN;
        crl.issuer = c->s.ask_spec.subject;
        crl.revoked[crl.n_revoked++] = 0;
        break;
    case 10:
        remember(c, 2, crl.this_ms);
        break;
    case 11:
        remember(c, 1, crl.this_ms + 1000);
        break;
    case 12:
        remember(c, 7, crl.this_ms + YEAR_MS);
        break;
    default:
        QR_ASSERT(0);
    }
    evgen_crl(&crl, &c->s.crl);
}

void
snp_break_broken_list(struct snp_scene *c, uint64_t arg)
{
    evsnp_crl(&c->s, NULL, 0);
    if (arg == 0) {
        c->s.crl.len--;
    } else if (arg == 1) {
        c->s.crl.p[c->s.crl.len++] = 0;
    } else {
        c->s.crl.p[0] = 0x31;
    }
}

/* ---- runtime data and binder ---- */

void
snp_break_container(struct snp_scene *c, uint64_t arg)
{
    static const struct {
        unsigned at;
        uint32_t v;
    } header[] = {{4, 0},           {4, 2},  {8, 0},          {8, 3},  {8, 4},   {0, 0},
                  {0, 19},          {0, 24}, {0, 0xffffffff}, {16, 0}, {16, 2},  {16, 5},
                  {16, 0xffffffff}, {12, 0}, {12, 2},         {12, 3}, {12, 256}};
    evsnp_runtime_data(&c->s, "{ }");
    evsnp_put(&c->s, EVSNP_REPORT_LEN + header[arg].at, header[arg].v, 4);
}

void
snp_break_other_runtime_data(struct snp_scene *c, uint64_t arg)
{
    static const char *const other[] = {"{}\n", "{ }\n", "{ ", "[ ]", "{x}"};
    evsnp_runtime_data(&c->s, "{ }");
    c->s.runtime_data = other[arg];
}

void
snp_break_runtime_data_and_more(struct snp_scene *c, uint64_t at)
{
    evsnp_runtime_data(&c->s, "{ }");
    c->s.report[EVSNP_REPORT_DATA + at] ^= 0x10;
}

/* Data next to a bare report is bound as well. */
void
snp_break_bare_runtime_data(struct snp_scene *c, uint64_t arg)
{
    (void)arg;
    c->s.runtime_data = "{ }";
}

void
snp_break_want(struct snp_scene *c, uint64_t len)
{
    memset(c->binder, 0xb1, sizeof c->binder);
    c->o.binder = qr_view_of(c->binder, len);
}

void
snp_break_other_binder(struct snp_scene *c, uint64_t at)
{
    snp_break_want(c, 32);
    c->binder[at] ^= 0x80;
}

void
snp_break_binder_and_more(struct snp_scene *c, uint64_t at)
{
    snp_break_want(c, 32);
    c->s.report[EVSNP_REPORT_DATA + at] = 1;
}

/* ---- after everything was signed ---- */

void
snp_break_sign_with_other_key(struct snp_scene *c, uint64_t slot)
{
    c->s.report_key = evgen_key(EVGEN_P384, (unsigned)slot);
    evsnp_sign(&c->s);
}

/* By the right key, over something else than the first 0x2a0 bytes, or with another hash. */
void
snp_break_sign_otherwise(struct snp_scene *c, uint64_t arg)
{
    static const size_t len[] = {EVSNP_SIGNED_LEN, 0x29f, 0x2a1, 0x1e0, EVSNP_REPORT_LEN};
    uint8_t raw[96];
    enum qr_hash_alg hash = arg == 0 ? QR_SHA256 : QR_SHA384;
    (void)evgen_sign_raw(c->s.report_key, hash, qr_view_of(c->s.report, len[arg]), raw);
    for (size_t i = 0; i < 48; i++) {
        c->s.report[EVSNP_R + i] = raw[47 - i];
        c->s.report[EVSNP_S + i] = raw[95 - i];
    }
}

static void
reverse(uint8_t *p)
{
    for (size_t i = 0; i < 24; i++) {
        uint8_t t = p[i];
        p[i] = p[47 - i];
        p[47 - i] = t;
    }
}

void
snp_break_write_scalars(struct snp_scene *c, uint64_t arg)
{
    /* the order of P-384, little-endian */
    static const uint8_t n[48] = {0x73, 0x29, 0xc5, 0xcc, 0x6a, 0x19, 0xec, 0xec, 0x7a, 0xa7,
                                  0xb0, 0x48, 0xb2, 0x0d, 0x1a, 0x58, 0xdf, 0x2d, 0x37, 0xf4,
                                  0x81, 0x4d, 0x63, 0xc7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint8_t *r = c->s.report + EVSNP_R, *s = c->s.report + EVSNP_S, t[48];
    switch (arg) {
    case 0: /* big-endian, both */
        reverse(r);
        reverse(s);
        break;
    case 1:
        reverse(s);
        break;
    case 2: /* exchanged */
        memcpy(t, r, 48);
        memcpy(r, s, 48);
        memcpy(s, t, 48);
        break;
    case 3:
        memset(r, 0, 48);
        break;
    case 4:
        memset(s, 0, 48);
        break;
    case 5:
        memcpy(r, n, 48);
        break;
    case 6:
        memcpy(s, n, 48);
        break;
    case 7:
        memset(r, 0xff, 48);
        break;
    case 8:
        memset(r, 0, 48);
        memset(s, 0, 48);
        break;
    default:
        QR_ASSERT(0);
    }
}

void
snp_break_bad_der(struct snp_scene *c, uint64_t arg)
{
    struct evgen_der *der = arg < 3 ? &c->s.vek : arg < 6 ? &c->s.ask : &c->s.ark;
    if (arg % 3 == 0) {
        der->p[der->len++] = 0;
    } else if (arg % 3 == 1) {
        der->len--;
    } else {
        der->p[0] = 0x31;
    }
}

void
snp_break_leave_out(struct snp_scene *c, uint64_t arg)
{
    (arg == 0 ? &c->s.vek : arg == 1 ? &c->s.ask : &c->s.ark)->len = 0;
}

/* 0: the ASK as a leaf too; 1: leaf and CA exchanged; 2: the ARK as the CA. */
void
snp_break_misplace(struct snp_scene *c, uint64_t arg)
{
    static struct evgen_der t;
    if (arg == 0) {
        c->s.vek = c->s.ask;
    } else if (arg == 1) {
        t = c->s.vek;
        c->s.vek = c->s.ask;
        c->s.ask = t;
    } else {
        c->s.ask = c->s.ark;
    }
}
