/* Seeds of fuzz_dcap, fuzz_dcap_quote and fuzz_dcap_collateral: scripts, and small pieces of evidence. */
#include "test/fuzz/kit_dcap_seeds.h"

#include "test/common/evgen_dcap.h"
#include "test/fuzz/fuzz.h"

static fuzz_seed seed;

static void
text(const char *target, const char *name, int choice, const char *s)
{
    seed(target, name, choice, qr_view_str(s));
}

/* Hexadecimal digits, and spaces that mean nothing. */
static void
bytes(const char *target, const char *name, const char *hex)
{
    uint8_t b[256];
    size_t n = 0;
    for (; *hex; hex += *hex == ' ' ? 1 : 2) {
        if (*hex != ' ') {
            char two[3] = {hex[0], hex[1], 0};
            FUZZ_MUST(n < sizeof b);
            b[n++] = (uint8_t)strtoul(two, NULL, 16);
        }
    }
    seed(target, name, -1, qr_view_of(b, n));
}

/* Scripts of fuzz_dcap: 01, kind, then changes: 00 quote, 01 certificates, 02 lists, 03 options, 04 platform. */
static void
dcap_scripts(void)
{
    static const struct {
        const char *name, *hex;
    } script[] = {
        {"changed_body", "00 03 00 0080 00 01"},
        {"changed_tcb_info", "00 06 01 0020 00 01"},
        {"changed_signature", "00 00 02 0000 00 07"},
        {"changed_signature_form", "00 00 04 0000 00 40"},
        {"changed_chain", "00 03 05 0100 00 01"},
        {"changed_pck_crl", "00 03 06 0040 00 01"},
        {"changed_root_crl", "00 03 07 0002 00 01"},
        {"changed_cut", "00 03 09 0400"},
        {"changed_newline", "00 03 08 0a"},
        {"changed_line_end", "00 03 08 0d 08 0a"},
        {"again_sgx_v3", "01 00"},
        {"again_sgx_v5", "01 02"},
        {"again_tdx_before_15", "01 04"},
        {"again_tdx_v5", "01 06"},
        {"again_version", "01 03 00 00 00 0007"},
        {"again_key_type", "01 03 00 00 01 03"},
        {"again_tee_type", "01 03 00 00 02 05"},
        {"again_tee_type_v3", "01 00 00 00 02 05"},
        {"again_body_type", "01 06 00 00 03 00"},
        {"again_body_size", "01 06 00 01 04"},
        {"again_long", "01 03 00 01 05"},
        {"again_short", "01 03 00 ff 05"},
        {"again_outer_size", "01 03 00 01 06"},
        {"again_auth_length", "01 03 00 7f 07"},
        {"again_cert_size", "01 03 00 01 08"},
        {"again_outer_type", "01 03 00 00 09 05"},
        {"again_ppid", "01 03 00 00 0a 03"},
        {"again_cert_type", "01 03 00 00 0a 09"},
        {"again_vendor", "01 03 00 00 0b 00 00"},
        {"again_trailing", "01 03 00 00 0c 00 07"},
        {"again_future_cert", "01 03 01 00 00 01 00"},
        {"again_expired_cert", "01 03 01 02 00 ff 01"},
        {"again_leaf_is_ca", "01 03 01 00 00 00 02 02"},
        {"again_chain_order", "01 03 01 00 00 00 03 00 01"},
        {"again_signer", "01 03 01 00 00 00 04 00 00"},
        {"again_two_certs", "01 03 01 00 00 00 05 02"},
        {"again_four_certs", "01 03 01 00 00 00 03 03 02 01 00 00 00 05 04"},
        {"again_future_list", "01 03 01 00 00 01 06"},
        {"again_expired_list", "01 03 01 00 01 ff 07"},
        {"again_revoked", "01 03 01 00 01 00 08"},
        {"again_revoked_signer", "01 03 01 02 00 00 08"},
        {"again_other_key", "01 03 01 01 00 00 09"},
        {"again_processor", "01 00 01 00 00 00 0a"},
        {"again_no_level", "01 03 02 00 00 00 ff 00 02 01 00 00 ff 00 02 02 00 00 ff 00"},
        {"again_second_level", "01 03 02 00 00 00 ff 00"},
        {"again_tdx_level", "01 03 02 00 00 02 ff 01 02 01 00 02 ff 01 02 02 00 02 ff 01"},
        {"again_pce", "01 03 02 00 00 00 ff 02 02 01 00 00 ff 02 02 02 00 00 ff 02"},
        {"again_status", "01 03 02 00 00 00 00 03 06"},
        {"again_unknown_status", "01 03 02 00 00 00 00 03 07"},
        {"again_module_level", "01 03 02 00 01 00 06 04 04"},
        {"again_module_signer", "01 03 02 00 01 05 01 05"},
        {"again_module_attributes", "01 03 02 00 01 05 01 06 ff"},
        {"again_qe_signer", "01 03 02 00 00 03 01 07"},
        {"again_qe_attributes", "01 03 02 00 00 00 ff 08 ff"},
        {"again_qe_misc", "01 03 02 00 00 00 01 09 ff"},
        {"again_qe_product", "01 03 02 00 00 00 05 0a"},
        {"again_qe_status", "01 03 02 00 00 00 05 0b 04"},
        {"again_expired", "01 03 02 00 00 00 00 0c 00 04"},
        {"again_future", "01 03 02 00 00 00 00 0d 02 03"},
        {"again_bad_date", "01 03 02 00 00 00 00 0c 05 03"},
        {"again_v2", "01 00 02 00 00 00 02 0e"},
        {"again_other_fmspc", "01 03 02 00 00 01 00 0f"},
        {"again_other_pce", "01 03 02 00 00 00 01 0f"},
        {"again_no_modules", "01 03 02 00 00 00 00 10"},
        {"again_no_time", "01 03 03 00"},
        {"again_minimum", "01 03 03 01 ff"},
        {"again_exception", "01 03 04 0007 03 02 03 02 00 08 03 7f"},
        {"again_exception_tdx", "01 03 04 0002 01 00 03 02 01 03 01 7f"},
        {"again_binder", "01 03 03 03 20"},
        {"again_no_binder", "01 03 03 03 00"},
        {"again_no_tcb_info", "01 03 03 04 01"},
        {"again_no_tcb_chain", "01 03 03 04 05"},
        {"again_no_pck_crl", "01 03 03 04 06"},
        {"again_no_root_crl", "01 03 03 04 07"},
        {"again_unknown_module", "01 03 04 0001 02 00"},
        {"again_old_module", "01 03 04 0000 00 00"},
        {"again_foreign_module", "01 03 04 0040 01 00"},
        {"again_debug_qe", "01 03 04 0030 17 01 02 00 00 00 11 08 f9"},
        {"again_old_qe", "01 03 04 0102 00 01"},
        {"again_sgx_type", "01 03 04 0000 07 05"},
        {"again_raw", "01 03 05 00"},
        {"again_signer_alone", "01 03 05 01 00"},
        {"again_leaf_name", "01 03 05 02"},
        {"again_signer_name", "01 03 05 03"},
        {"again_signer_key", "01 03 05 04"},
        {"again_leaf_key", "01 03 05 05"},
        {"again_not_bound", "01 03 05 06 00"},
        {"again_upper_half", "01 03 05 06 20"},
        {"again_no_point", "01 03 05 07 00"},
        {"again_no_extension", "01 03 05 08"},
        {"log", "06 00000000 03000000"},
        {"claims_loose", "07 01000000"},
        {"claims_none", "03 02"},
        {"claims_many", "03 0100000000000000 1100000000000000"},
        {"claims_end", "03 0100000000000000 0100000000000000"},
        {"claims_name_long",
         "03 0100000000000000 0100000000000000 ff00000000000000 0000000000000000"},
        {"claims_value_long",
         "03 0100000000000000 0100000000000000 0200000000000000 00000000000000ff 6100"},
        {"claims_name_empty",
         "03 0100000000000000 0100000000000000 0000000000000000 0000000000000000"},
        {"claims_name_form",
         "03 0100000000000000 0100000000000000 0200000000000000 0000000000000000 0700"},
        {"claims_trailing", "03 0100000000000000 0000000000000000 00"},
    };
    for (size_t i = 0; i < sizeof script / sizeof script[0]; i++) {
        bytes("dcap", script[i].name, script[i].hex);
    }
}

/* The extension with one octet changed, behind the first place where `find` stands. */
static void
dcap_extensions(const struct evgen_dcap *d)
{
    static const struct {
        const char *name, *find;
        size_t len;
        uint8_t to;
    } edit[] = {
        {"extension_ppid", "\x0d\x01\x01", 3, 0x05},
        {"extension_tcb", "\x0d\x01\x02", 3, 0x31},
        {"extension_svn", "\x0d\x01\x02\x03\x02\x01", 6, 0x80},
        {"extension_pcesvn", "\x0d\x01\x02\x11", 4, 0x04},
        {"extension_cpusvn", "\x0d\x01\x02\x12", 4, 0x0c},
        {"extension_tcb_twice",
         "\x0d\x01\x02\x01\x02\x01\x05\x30\x10\x06\x0b\x2a\x86\x48\x86"
         "\xf8\x4d\x01\x0d\x01\x02",
         21, 0x01},
        {"extension_oid", "\x0d\x01\x02\x03\x02\x01\x03\x30\x10\x06\x0b\x2a", 12, 0x87},
        {"extension_type", "\x0d\x01\x05", 3, 0x02},
        {"extension_instance", "\x0d\x01\x06", 3, 0x0c},
        {"extension_config", "\x0d\x01\x07", 3, 0x31},
        {"extension_config_order", "\x0d\x01\x07", 19, 0x04},
        {"extension_boolean", "\x0d\x01\x07\x02", 4, 0x02},
        {"extension_config_oid", "\x0d\x01\x07\x02\x01\x01\xff\x30\x10\x06\x0b\x2a", 12, 0x87},
        {"extension_member", "\x0d\x01", 2, 0x08},
        {"extension_member_oid", "\x06\x0a\x2a", 3, 0x87},
        {"extension_sequence", "\x30", 0, 0x31},
    };
    for (size_t i = 0; i < sizeof edit / sizeof edit[0]; i++) {
        uint8_t mem[2048];
        size_t n = evgen_dcap_sgx_ext(d, mem, sizeof mem);
        size_t find = edit[i].len < strlen(edit[i].find) ? edit[i].len : strlen(edit[i].find);
        uint8_t *at = memmem(mem, n, edit[i].find, find);
        FUZZ_MUST(at && at + edit[i].len < mem + n);
        at[edit[i].len] = edit[i].to;
        seed("dcap", edit[i].name, 2, qr_view_of(mem, n));
    }
    uint8_t mem[2048];
    size_t n = evgen_dcap_sgx_ext(d, mem, sizeof mem);
    mem[n] = 0;
    seed("dcap", "extension_trailing", 2, qr_view_of(mem, n + 1));
}

/* Documents that are refused for one thing each. */
static void
dcap_documents(void)
{
#define HEAD "\"issueDate\":\"\",\"nextUpdate\":\"\","
#define TCB HEAD "\"fmspc\":\"\",\"pceId\":\"\",\"tcbEvaluationDataNumber\":1,\"tcbLevels\":[0]"
#define QE                                                                                         \
    HEAD "\"tcbEvaluationDataNumber\":1,\"miscselect\":\"\",\"miscselectMask\":\"\","              \
         "\"attributes\":\"\",\"attributesMask\":\"\",\"mrsigner\":\"\",\"isvprodid\":1,"          \
         "\"tcbLevels\":[0]"
    text("dcap", "tcb_info_twice", 4, "\x03{\"a\":1,\"a\":2}");
    text("dcap", "tcb_info_deep", 4, "\x03[[[[[[[[[[");
    text("dcap", "tcb_info_member", 4, "\x03{\"x\":1}");
    text("dcap", "tcb_info_version", 4, "\x03{\"version\":4,\"tcbType\":0," TCB "}");
    text("dcap", "tcb_info_no_id", 4, "\x03{\"version\":3,\"tcbType\":0," TCB "}");
    text("dcap", "tcb_info_id", 4, "\x03{\"id\":\"X\",\"version\":3,\"tcbType\":0," TCB "}");
    text("dcap", "tcb_info_tdx_2", 4, "\x03{\"id\":\"TDX\",\"version\":2,\"tcbType\":0," TCB "}");
    text("dcap", "tcb_info_type", 4, "\x03{\"id\":\"SGX\",\"version\":3,\"tcbType\":1," TCB "}");
    text("dcap", "tcb_info_no_module", 4,
         "\x03{\"id\":\"TDX\",\"version\":3,\"tcbType\":0," TCB "}");
    text("dcap", "tcb_info_sgx_module", 4,
         "\x03{\"id\":\"SGX\",\"version\":3,\"tcbType\":0,\"tdxModule\":{}," TCB "}");
    text("dcap", "qe_version", 5, "\x03{\"id\":\"TD_QE\",\"version\":1," QE "}");
    text("dcap", "qe_id", 5, "\x03{\"id\":\"QVE\",\"version\":2," QE "}");
    text("dcap", "qe_date", 5, "\x03{\"id\":\"QE\",\"version\":2," QE "}");
#undef HEAD
#undef TCB
#undef QE
}

void
fuzz_seeds_dcap(fuzz_seed write_seed)
{
    seed = write_seed;
    static struct evgen_dcap d;
    static struct evgen_dcap_out o;
    static uint8_t mem[16384];
    static const char *const name[EVGEN_DCAP_KINDS] = {"sgx_v3",  "sgx_v4",    "sgx_v5",   "tdx_v4",
                                                       "tdx_old", "tdx_v5_10", "tdx_v5_15"};
    static const uint8_t claims[] = {1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0,   0,   0, 3,   0,  0,
                                     0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 'p', 'k', 0, 'x', 'y'};

    dcap_scripts();
    for (int k = 0; k < EVGEN_DCAP_KINDS; k++) {
        evgen_dcap_default(&d, (enum evgen_dcap_kind)k);
        d.n_chain = 0; /* the parser does not look into the PEM */
        d.cert_junk = 3;
        evgen_dcap_make(&d, &o);
        seed("dcap_quote", name[k], k >= EVGEN_TDX_V4, qr_view_of(o.quote, o.quote_len));
        if (k == EVGEN_SGX_V3 || k == EVGEN_TDX_V4) {
            seed("dcap_collateral", name[k], 0, qr_view_of(o.tcb, o.tcb_len));
            seed("dcap_collateral", k ? "td_qe" : "qe", 1, qr_view_of(o.qe, o.qe_len));
            mem[0] = (uint8_t)k;
            memcpy(mem + 1, o.qe, o.qe_len);
            seed("dcap", k ? "td_qe" : "qe", 5, qr_view_of(mem, o.qe_len + 1));
        }
    }
    evgen_dcap_default(&d, EVGEN_SGX_V3);
    seed("dcap", "extension", 2, qr_view_of(mem, evgen_dcap_sgx_ext(&d, mem, sizeof mem)));
    dcap_extensions(&d);
    dcap_documents();
    memset(mem, 0, 1024);
    mem[0] = 0x81;
    seed("dcap_quote", "tdreport", 1, qr_view_of(mem, 1024));
    evgen_dcap_make(&d, &o);
    seed("dcap_quote", "wrong_platform", 1, qr_view_of(o.quote, 1100));
    d.has_instance_id = d.has_config = 0;
    seed("dcap", "extension_short", 2, qr_view_of(mem, evgen_dcap_sgx_ext(&d, mem, sizeof mem)));
    seed("dcap", "claims", 3, qr_view_of(claims, sizeof claims));
    d.tcb.version = 2;
    d.tcb.id = NULL;
    evgen_dcap_make(&d, &o);
    seed("dcap_collateral", "sgx_2", 0, qr_view_of(o.tcb, o.tcb_len));
    mem[0] = 0;
    memcpy(mem + 1, o.tcb, o.tcb_len);
    seed("dcap", "tcb_info_2", 4, qr_view_of(mem, o.tcb_len + 1));
}
