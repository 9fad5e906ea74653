/*
 * Judging by a policy: every rule accepts what it should and refuses the rest with its own
 * sentence; demanded checks, freshness, statuses.
 */
#include "enclave-shim/verify/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/peerjudge.h"

#include <stdio.h>

#define X4(x) x x x x
#define X24(x) X4(x) X4(x) X4(x) X4(x) X4(x) X4(x)
#define X32(x) X24(x) X4(x) X4(x)
#define X48(x) X24(x) X24(x)
/* Long values are shown by their beginning. */
#define H(x, bytes) X24(x) "... (" bytes " bytes)"

static const struct qr_peers_who nobody = {3, "", "op"};

/* ---- every rule ---- */

static void
test_accepted(void **state)
{
    static const struct {
        const char *cloud, *vendor, *product;
        int machine, debug;
    } want[] = {
        {"aws", "aws", "nitro", QR_CHECK_PASS, QR_CHECK_PASS},
        {"", "amd", "milan", QR_CHECK_PASS, QR_CHECK_PASS},
        {"", "intel", "intel-90c06f000000", QR_CHECK_PASS, QR_CHECK_PASS},
        {"", "intel", "intel-90c06f000000", QR_CHECK_SKIPPED, QR_CHECK_PASS},
        {"", "", "", QR_CHECK_PASS, QR_CHECK_SKIPPED},
        {"azure", "amd", "milan", QR_CHECK_PASS, QR_CHECK_PASS},
        {"azure", "intel", "intel-90c06f000000", QR_CHECK_SKIPPED, QR_CHECK_PASS},
        {"gcp", "amd", "milan", QR_CHECK_PASS, QR_CHECK_PASS},
        {"gcp", "intel", "intel-90c06f000000", QR_CHECK_SKIPPED, QR_CHECK_PASS},
    };
    struct qr_peers *p = pj_policy(peerkit_policy());

    (void)state;
    for (size_t i = 0; i < 9; i++) {
        peerkit_verdict(peerkit_kinds[i], &pj.v);
        pj_accepted(p, peerkit_kinds[i], PEERKIT_NOW);
        assert_string_equal(pj.domain.cloud, want[i].cloud);
        assert_string_equal(pj.domain.vendor, want[i].vendor);
        assert_string_equal(pj.domain.product, want[i].product);
        assert_string_equal(pj.domain.operator_name, "op");
        assert_int_equal(pj.domain.index, 3);
        assert_int_equal(pj.v.check[QR_CHECK_MACHINE], want[i].machine);
        assert_int_equal(pj.v.check[QR_CHECK_DEBUG], want[i].debug);
    }
    qr_peers_free(p);
}

/* One claim is changed, all others are good. */
static const struct {
    enum qr_evidence_kind kind;
    const char *path, *value;
    enum qr_check check;
    enum qr_reason reason;
    const char *sentence;
} bad[] = {
    {QR_EV_NITRO, "pcrs.0", "h22*48", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.nitro.pcrs.0 at line 12: expected " H("11", "48") ", found " H("22", "48")},
    {QR_EV_NITRO, "pcrs.1", "h11*48", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.nitro.pcrs.1 at line 12: expected " H("12", "48") ", found " H("11", "48")},
    {QR_EV_NITRO, "pcrs.0", "h11*47", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.nitro.pcrs.0 at line 12: expected " H("11", "48") ", found " H("11", "47")},
    {QR_EV_NITRO, "pcrs.0", "-", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.nitro.pcrs.0 at line 12: expected " H("11", "48") ", found no such claim"},
    {QR_EV_NITRO, "pcrs.0", "n", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.nitro.pcrs.0 at line 12: expected " H("11", "48") ", found no such claim"},
    {QR_EV_NITRO, "pcrs.3", "h22*48", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.aws-nitro.role_pcr3 at line 33: expected " H("13", "48") ", found " H("22",
                                                                                           "48")},
    {QR_EV_NITRO, "pcrs.4", "h16*48", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.aws-nitro.instance_pcr4 at line 34: expected "
     "141414141414141414141414141414141414141414141414 (or 1 more), found " H("16", "48")},
    {QR_EV_NITRO, "pcrs.8", "-", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.aws-nitro.signer_pcr8 at line 35: expected " H("18",
                                                                    "48") ", found no such claim"},
    {QR_EV_NITRO, "debug", "b1", QR_CHECK_DEBUG, QR_REASON_DEBUG,
     "rule platforms.aws-nitro.debug at line 31: expected false, found true"},
    {QR_EV_NITRO, "debug", "-", QR_CHECK_DEBUG, QR_REASON_DEBUG,
     "rule platforms.aws-nitro.debug at line 31: expected false, found no such claim"},
    {QR_EV_NITRO, "debug", "u0", QR_CHECK_DEBUG, QR_REASON_DEBUG,
     "rule platforms.aws-nitro.debug at line 31: expected false, found 0"},
    {QR_EV_NITRO, "module_id", "ti-0123456789abcdef1-enc0181d3dff86da785", QR_CHECK_MACHINE,
     QR_REASON_POLICY,
     "rule platforms.aws-nitro.machines.allow at line 36: expected a listed machine, found "
     "ec2_instance i-0123456789abcdef1"},
    {QR_EV_NITRO, "module_id", "ti-0123456789abcdef0", QR_CHECK_MACHINE, QR_REASON_POLICY,
     "rule platforms.aws-nitro.machines.allow at line 36: expected a listed machine, found no "
     "ec2_instance"},
    {QR_EV_NITRO, "module_id", "-", QR_CHECK_MACHINE, QR_REASON_POLICY,
     "rule platforms.aws-nitro.machines.allow at line 36: expected a listed machine, found no "
     "ec2_instance"},
    {QR_EV_NITRO, "timestamp_ms", "u1795280099999", QR_CHECK_FRESHNESS, QR_REASON_STALE,
     "rule freshness.max_age_s at line 3: expected at most 300 s, found 301 s"},
    {QR_EV_NITRO, "timestamp_ms", "u1795280460001", QR_CHECK_FRESHNESS, QR_REASON_NOT_YET_VALID,
     "rule freshness.clock_spread_s at line 3: expected at most 60 s ahead, found 61 s"},
    {QR_EV_NITRO, "timestamp_ms", "-", QR_CHECK_FRESHNESS, QR_REASON_STALE,
     "rule freshness.max_age_s at line 3: expected at most 300 s, found no time to compare"},
    {QR_EV_NITRO, "timestamp_ms", "u18446744073709551615", QR_CHECK_FRESHNESS, QR_REASON_STALE,
     "rule freshness.max_age_s at line 3: expected at most 300 s, found no time to compare"},
    {QR_EV_SNP, "measurement", "h22*48", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.snp.measurement at line 14: expected " H("21", "48") ", found " H("22",
                                                                                          "48")},
    {QR_EV_SNP, "measurement", "h21*32", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.snp.measurement at line 14: expected " H("21", "48") ", found " H("21",
                                                                                          "32")},
    {QR_EV_SNP, "measurement", "-", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.snp.measurement at line 14: expected " H("21",
                                                                 "48") ", found no such claim"},
    {QR_EV_SNP, "debug", "b1", QR_CHECK_DEBUG, QR_REASON_DEBUG,
     "rule platforms.amd-sev-snp.debug at line 38: expected false, found true"},
    {QR_EV_SNP, "vmpl", "u2", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.vmpl at line 42: expected 0 (or 1 more), found 2"},
    {QR_EV_SNP, "vmpl", "-", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.vmpl at line 42: expected 0 (or 1 more), found no such claim"},
    {QR_EV_SNP, "guest_svn", "u2", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.min_guest_svn at line 43: expected at least 3, found 2"},
    {QR_EV_SNP, "guest_svn", "-", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.min_guest_svn at line 43: expected at least 3, found no such "
     "claim"},
    {QR_EV_SNP, "host_data", "h23*32", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.host_data at line 44: expected " H("22", "32") ", found " H("23",
                                                                                             "32")},
    {QR_EV_SNP, "id_key_digest", "h25*48", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.id_key_digests at line 45: expected "
     "232323232323232323232323232323232323232323232323 (or 1 more), found " H("25", "48")},
    {QR_EV_SNP, "author_key_digest", "h00*48", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.author_key_digests at line 46: expected " H(
         "25", "48") ", found " H("00", "48")},
    {QR_EV_SNP, "signing_key", "tVLEK", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.signing_keys at line 47: expected VCEK, found VLEK"},
    {QR_EV_SNP, "policy_bits.single_socket", "u0", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.guest_policy.single_socket at line 48: expected 1, found 0"},
    {QR_EV_SNP, "policy_bits.smt", "u1", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.guest_policy.smt at line 48: expected 0, found 1"},
    {QR_EV_SNP, "policy_bits.smt", "-", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.guest_policy.smt at line 48: expected 0, found no such claim"},
    {QR_EV_SNP, "policy_bits.migrate_ma", "u1", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.guest_policy.migrate_ma at line 38: expected 0, found 1"},
    {QR_EV_SNP, "policy_bits.migrate_ma", "-", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.guest_policy.migrate_ma at line 38: expected 0, found no such "
     "claim"},
    {QR_EV_SNP, "platform_info_bits.alias_check_complete", "u0", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.platform_info.alias_check_complete at line 49: expected 1, found "
     "0"},
    {QR_EV_SNP, "platform_info_bits.ecc_en", "-", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.platform_info.ecc_en at line 49: expected 1, found no such claim"},
    {QR_EV_SNP, "chip_id", "h27*64", QR_CHECK_MACHINE, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.machines.deny at line 51: expected another machine, found "
     "chip_id " H("27", "64")},
    {QR_EV_SNP, "chip_id", "h28*64", QR_CHECK_MACHINE, QR_REASON_POLICY,
     "rule machines.deny at line 92: expected another machine, found chip_id " H("28", "64")},
    {QR_EV_SNP, "chip_id", "h29*64", QR_CHECK_MACHINE, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.machines.allow at line 50: expected a listed machine, found "
     "chip_id " H("29", "64")},
    {QR_EV_SNP, "chip_id", "h00*64", QR_CHECK_MACHINE, QR_REASON_POLICY,
     "rule machines.deny at line 92: expected a machine that names itself, found no chip_id"},
    {QR_EV_SNP, "chip_id", "-", QR_CHECK_MACHINE, QR_REASON_POLICY,
     "rule machines.deny at line 92: expected a machine that names itself, found no chip_id"},
    {QR_EV_SNP, "product", "tGenoa", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.products at line 40: expected Milan or Turin, found Genoa"},
    {QR_EV_SNP, "product", "-", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.amd-sev-snp.products at line 40: expected Milan or Turin, found no such "
     "claim"},
    {QR_EV_SNP, "product", "tTurin", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.amd-sev-snp.products.Turin at line 41: expected reported_tcb.tee of at least "
     "1, found 0"},
    {QR_EV_SNP, "reported_tcb.bootloader", "u3", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.amd-sev-snp.products.Milan at line 40: expected reported_tcb.bootloader of at "
     "least 4, found 3"},
    {QR_EV_SNP, "reported_tcb.snp", "u23", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.amd-sev-snp.products.Milan at line 40: expected reported_tcb.snp of at least "
     "24, found 23"},
    {QR_EV_SNP, "reported_tcb.microcode", "u218", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.amd-sev-snp.products.Milan at line 40: expected reported_tcb.microcode of at "
     "least 219, found 218"},
    {QR_EV_SNP, "reported_tcb.microcode", "-", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.amd-sev-snp.products.Milan at line 40: expected reported_tcb.microcode of at "
     "least 219, found no such claim"},
    {QR_EV_SNP, "committed_tcb.bootloader", "u3", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.amd-sev-snp.products.Milan at line 40: expected committed_tcb.bootloader of "
     "at least 4, found 3"},
    {QR_EV_SNP, "committed_tcb.snp", "u23", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.amd-sev-snp.products.Milan at line 40: expected committed_tcb.snp of at least "
     "24, found 23"},
    {QR_EV_SNP, "committed_tcb.microcode", "u115", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.amd-sev-snp.products.Milan at line 40: expected committed_tcb.microcode of at "
     "least 219, found 115"},
    {QR_EV_SNP, "committed_tcb.tee", "-", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.amd-sev-snp.products.Milan at line 40: expected committed_tcb.tee of at least "
     "0, found no such claim"},
    {QR_EV_TDX, "body.mr_td", "h32*48", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.tdx.body.mr_td at line 16: expected " H("31", "48") ", found " H("32",
                                                                                         "48")},
    {QR_EV_TDX, "body.rtmr1", "h00*48", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.tdx.body.rtmr1 at line 17: expected " H("32", "48") ", found " H("00",
                                                                                         "48")},
    {QR_EV_TDX, "body.rtmr1", "-", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.tdx.body.rtmr1 at line 17: expected " H("32",
                                                                "48") ", found no such claim"},
    {QR_EV_TDX, "debug", "b1", QR_CHECK_DEBUG, QR_REASON_DEBUG,
     "rule platforms.intel-tdx.debug at line 52: expected false, found true"},
    {QR_EV_TDX, "tcb.final_status", "tOutOfDateConfigurationNeeded", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.intel-tdx.statuses at line 53: expected UpToDate or another listed status, "
     "found OutOfDateConfigurationNeeded"},
    {QR_EV_TDX, "tcb.final_status", "tSWHardeningNeededX", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.intel-tdx.statuses at line 53: expected UpToDate or another listed status, "
     "found SWHardeningNeededX"},
    {QR_EV_TDX, "tcb.final_status", "tOutOfDate", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.intel-tdx.statuses.OutOfDate at line 55: expected one of its FMSPCs, found "
     "FMSPC 90c06f000000"},
    {QR_EV_TDX, "tcb.final_status", "-", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.intel-tdx.statuses at line 53: expected UpToDate or another listed status, "
     "found no such claim"},
    {QR_EV_TDX, "tcb.advisories", "j[\"INTEL-SA-00615\"]", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.intel-tdx.statuses.UpToDate.advisories at line 53: expected no advisory, "
     "found INTEL-SA-00615"},
    {QR_EV_TDX, "tcb.advisories", "-", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.intel-tdx.statuses at line 53: expected a list of advisories, found no such "
     "claim"},
    {QR_EV_TDX, "tcb.advisories", "tINTEL-SA-00615", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.intel-tdx.statuses at line 53: expected a list of advisories, found "
     "INTEL-SA-00615"},
    {QR_EV_TDX, "body.td_attr_bits.sept_ve_disable", "u0", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.intel-tdx.td_attributes.sept_ve_disable at line 57: expected 1, found 0"},
    {QR_EV_TDX, "body.td_attr_bits.perfmon", "u1", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.intel-tdx.td_attributes.perfmon at line 57: expected 0, found 1"},
    {QR_EV_TDX, "body.td_attr_bits.migratable", "u1", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.intel-tdx.td_attributes.migratable at line 52: expected 0, found 1"},
    {QR_EV_TDX, "body.td_attr_bits.migratable", "-", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.intel-tdx.td_attributes.migratable at line 52: expected 0, found no such "
     "claim"},
    {QR_EV_TDX, "body.xfam", "he7*8", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.intel-tdx.xfams at line 58: expected e702060000000000, found "
     "e7e7e7e7e7e7e7e7"},
    {QR_EV_TDX, "body.mr_seam", "h00*48", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.intel-tdx.mr_seams at line 59: expected " H("33", "48") ", found " H("00",
                                                                                          "48")},
    {QR_EV_TDX, "body.mr_config_id", "-", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.intel-tdx.mr_config_ids at line 60: expected " H(
         "34", "48") ", found no such claim"},
    {QR_EV_TDX, "body.mr_owner", "h36*48", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.intel-tdx.mr_owners at line 61: expected " H("35", "48") ", found " H("36",
                                                                                           "48")},
    {QR_EV_TDX, "body.mr_owner_config", "h35*48", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.intel-tdx.mr_owner_configs at line 62: expected " H("36", "48") ", found " H(
         "35", "48")},
    {QR_EV_TDX, "pck.fmspc", "h50*6", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.intel-tdx.fmspcs at line 63: expected 90c06f000000 (or 1 more), found "
     "505050505050"},
    {QR_EV_TDX, "pck.ppid", "h36*16", QR_CHECK_MACHINE, QR_REASON_POLICY,
     "rule platforms.intel-tdx.machines.allow at line 64: expected a listed machine, found ppid "
     "36363636363636363636363636363636"},
    {QR_EV_TDX, "pck.ppid", "h39*16", QR_CHECK_MACHINE, QR_REASON_POLICY,
     "rule machines.deny at line 93: expected another machine, found ppid "
     "39393939393939393939393939393939"},
    {QR_EV_TDX, "pck.ppid", "-", QR_CHECK_MACHINE, QR_REASON_POLICY,
     "rule machines.deny at line 93: expected a machine that names itself, found no ppid"},
    {QR_EV_SGX, "body.config_id", "h44*64", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.intel-sgx.config_ids at line 69: expected " H("43", "64") ", found " H("44",
                                                                                            "64")},
    {QR_EV_SGX, "tcb.final_status", "tSWHardeningNeeded", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.intel-sgx.statuses at line 67: expected UpToDate, found SWHardeningNeeded"},
    {QR_EV_SGX, "debug", "b1", QR_CHECK_DEBUG, QR_REASON_DEBUG,
     "rule platforms.intel-sgx.debug at line 66: expected false, found true"},
    {QR_EV_TPM, "quote.pcrs.11", "h52*32", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.tpm.quote.pcrs.11 at line 21: expected " H("51", "32") ", found " H("52",
                                                                                            "32")},
    {QR_EV_TPM, "event_log.secure_boot", "b0", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.tpm2.secure_boot at line 71: expected true, found false"},
    {QR_EV_TPM, "event_log.secure_boot", "-", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.tpm2.secure_boot at line 71: expected true, found no such claim"},
    {QR_EV_AZURE_SNP, "quote.pcrs.11", "h52*32", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.azure-snp.quote.pcrs.11 at line 23: expected " H("51", "32") ", found " H(
         "52", "32")},
    {QR_EV_AZURE_SNP, "quote.pcrs.11", "-", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.azure-snp.quote.pcrs.11 at line 23: expected " H(
         "51", "32") ", found no such claim"},
    {QR_EV_AZURE_SNP, "id_key_digest", "h24*48", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.azure-snp-vtpm.id_key_digests at line 78: expected " H(
         "23", "48") ", found " H("24", "48")},
    {QR_EV_AZURE_SNP, "guest_svn", "u7", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.azure-snp-vtpm.min_guest_svn at line 79: expected at least 8, found 7"},
    {QR_EV_AZURE_SNP, "vmpl", "u1", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.azure-snp-vtpm.vmpl at line 74: expected 0, found 1"},
    {QR_EV_AZURE_SNP, "hcl.vm_configuration.secure-boot", "b0", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.azure-snp-vtpm.secure_boot at line 80: expected true, found false"},
    {QR_EV_AZURE_SNP, "hcl.vm_configuration.vmUniqueId", "t26f8bc30-774e", QR_CHECK_MACHINE,
     QR_REASON_POLICY,
     "rule platforms.azure-snp-vtpm.machines.allow at line 81: expected a listed machine, found "
     "vm_unique_id 26f8bc30-774e"},
    {QR_EV_AZURE_SNP, "hcl.vm_configuration.vmUniqueId", "-", QR_CHECK_MACHINE, QR_REASON_POLICY,
     "rule platforms.azure-snp-vtpm.machines.allow at line 81: expected a listed machine, found no "
     "vm_unique_id"},
    {QR_EV_AZURE_TDX, "quote.pcrs.11", "h51*32", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.azure-tdx.quote.pcrs.11 at line 25: expected " H("51", "48") ", found " H(
         "51", "32")},
    {QR_EV_AZURE_TDX, "hcl.vm_configuration.secure-boot", "-", QR_CHECK_POLICY, QR_REASON_POLICY,
     "rule platforms.azure-tdx-vtpm.secure_boot at line 84: expected true, found no such claim"},
    {QR_EV_AZURE_TDX, "debug", "b1", QR_CHECK_DEBUG, QR_REASON_DEBUG,
     "rule platforms.azure-tdx-vtpm.debug at line 82: expected false, found true"},
    {QR_EV_GCP_SNP, "quote.pcrs.4", "h52*32", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.gcp-snp.quote.pcrs.4 at line 27: expected " H("51", "32") ", found " H(
         "52", "32")},
    {QR_EV_GCP_SNP, "ak_cert.instance.instance_id", "u7899197072425216308", QR_CHECK_MACHINE,
     QR_REASON_POLICY,
     "rule platforms.gcp-snp-vtpm.machines.allow at line 89: expected a listed machine, found "
     "gcp_instance 7899197072425216308"},
    {QR_EV_GCP_SNP, "ak_cert.instance.instance_id", "u5", QR_CHECK_MACHINE, QR_REASON_POLICY,
     "rule machines.deny at line 93: expected another machine, found gcp_instance 5"},
    {QR_EV_GCP_SNP, "ak_cert.instance.instance_id", "-", QR_CHECK_MACHINE, QR_REASON_POLICY,
     "rule machines.deny at line 93: expected a machine that names itself, found no gcp_instance"},
    {QR_EV_GCP_TDX, "quote.pcrs.4", "-", QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
     "rule measurements.gcp-tdx.quote.pcrs.4 at line 29: expected " H(
         "51", "32") ", found no such claim"},
    {QR_EV_GCP_TDX, "tcb.final_status", "tRevoked", QR_CHECK_POLICY, QR_REASON_TCB,
     "rule platforms.gcp-tdx-vtpm.statuses at line 91: expected UpToDate, found Revoked"},
};

static void
test_refused(void **state)
{
    struct qr_peers *p = pj_policy(peerkit_policy());

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        peerkit_verdict(bad[i].kind, &pj.v);
        peerkit_set(&pj.v, bad[i].path, bad[i].value);
        pj_refused(p, bad[i].kind, PEERKIT_NOW, bad[i].check, bad[i].reason, bad[i].sentence);
    }
    qr_peers_free(p);
}

/* What is at a limit, or another of the listed values, is good. */
static void
test_edges(void **state)
{
    static const struct {
        enum qr_evidence_kind kind;
        const char *path, *value;
    } good[] = {
        {QR_EV_NITRO, "timestamp_ms", "u1795280100000"},
        {QR_EV_NITRO, "timestamp_ms", "u1795280460000"},
        {QR_EV_NITRO, "pcrs.4", "h14*48"},
        {QR_EV_NITRO, "module_id", "ti-other-enc01"},
        {QR_EV_NITRO, "pcrs.2", "h77*48"}, /* no rule is about it */
        {QR_EV_SNP, "vmpl", "u1"},
        {QR_EV_SNP, "guest_svn", "u3"},
        {QR_EV_SNP, "id_key_digest", "h24*48"},
        {QR_EV_SNP, "committed_tcb.microcode", "u219"},
        {QR_EV_SNP, "reported_tcb.microcode", "u255"},
        {QR_EV_TDX, "pck.platform_instance_id", "h38*16"},
        {QR_EV_SGX, "body.mrenclave", "h77*32"}, /* its signer is listed */
        {QR_EV_SGX, "body.mrsigner", "h77*32"},  /* its measurement is listed */
        {QR_EV_TPM, "ak_spki_sha256", "-"},      /* its name is listed */
    };
    struct qr_peers *p = pj_policy(peerkit_policy());

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        peerkit_verdict(good[i].kind, &pj.v);
        peerkit_set(&pj.v, good[i].path, good[i].value);
        pj_accepted(p, good[i].kind, PEERKIT_NOW);
    }
    qr_peers_free(p);
}

static void
test_signers(void **state)
{
    struct qr_peers *p = pj_policy(peerkit_policy());
    static const struct {
        const char *path, *value, *sentence;
    } wrong[] = {
        {"body.isv_svn", "u2",
         "rule platforms.intel-sgx.signers at line 68: expected isv_prod_id 7 and isv_svn of at "
         "least 3, found 7 and 2"},
        {"body.isv_prod_id", "u8",
         "rule platforms.intel-sgx.signers at line 68: expected isv_prod_id 7 and isv_svn of at "
         "least 3, found 8 and 3"},
        {"body.isv_prod_id", "-",
         "rule platforms.intel-sgx.signers at line 68: expected isv_prod_id 7 and isv_svn of at "
         "least 3, found no such claim and 3"},
        {"body.mrsigner", "h43*32",
         "rule measurements.sgx.body.mrenclave at line 19: expected " H("41", "32") ", found " H(
             "77", "32")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        peerkit_verdict(QR_EV_SGX, &pj.v);
        peerkit_set(&pj.v, "body.mrenclave", "h77*32");
        peerkit_set(&pj.v, wrong[i].path, wrong[i].value);
        pj_refused(p, QR_EV_SGX, PEERKIT_NOW, QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
                   wrong[i].sentence);
    }
    qr_peers_free(p);
    /* signers alone, without a set */
    p = pj_policy("{\"peer_secret\":{\"threshold\":2},\"freshness\":{\"max_age_s\":1,\"reattest_"
                  "s\":1,\"clock_spread_s\":1,\"stages\":{"
                  "\"warn_s\":2,\"no_peers_s\":3,\"no_keys_s\":4,\"stop_s\":5}},\n"
                  "\"require\":[\"binder\"],\n"
                  "\"platforms\":{\"intel-sgx\":{\"statuses\":[{\"status\":\"UpToDate\","
                  "\"advisories\":[]}],\n"
                  "\"signers\":[{\"mrsigner\":\"" X32("42") "\",\"isv_prod_id\":7,"
                                                            "\"min_isv_svn\":3}]}}}");
    peerkit_verdict(QR_EV_SGX, &pj.v);
    pj_accepted(p, QR_EV_SGX, PEERKIT_NOW);
    peerkit_verdict(QR_EV_SGX, &pj.v);
    peerkit_set(&pj.v, "body.mrsigner", "h43*32");
    pj_refused(p, QR_EV_SGX, PEERKIT_NOW, QR_CHECK_MEASUREMENT, QR_REASON_MEASUREMENT,
               "rule platforms.intel-sgx.signers at line 4: expected a listed mrsigner, found " H(
                   "43", "32"));
    qr_peers_free(p);
}

/* ---- checks, time, platforms ---- */

/* Every demanded check, skipped in turn; and one that failed. */
static void
test_checks(void **state)
{
    struct qr_peers *p = pj_policy(peerkit_policy());
    unsigned tried = 0;

    (void)state;
    for (size_t i = 0; i < 9; i++) {
        for (int c = 0; c < QR_CHECK_COUNT; c++) {
            char sentence[QR_SENTENCE_MAX];
            enum qr_check check = (enum qr_check)c;
            peerkit_verdict(peerkit_kinds[i], &pj.v);
            if (pj.v.check[c] != QR_CHECK_PASS || check == QR_CHECK_LIMITS ||
                check == QR_CHECK_PARSE || check == QR_CHECK_ALGORITHM ||
                (peerkit_kinds[i] == QR_EV_TPM &&
                 (check == QR_CHECK_ROOT || check == QR_CHECK_CHAIN ||
                  check == QR_CHECK_SIGNATURE))) {
                continue;
            }
            pj.v.check[c] = QR_CHECK_SKIPPED;
            if (peerkit_kinds[i] == QR_EV_TPM && check == QR_CHECK_AK) {
                /* Not certified: believed when the policy pins it, by name or by key. */
                struct qr_peers_domain d;
                struct qr_peers_who who = {0};
                assert_int_equal(qr_peers_judge(p, QR_EV_TPM, 0, &who, PEERKIT_NOW, &pj.v, &d),
                                 QR_OK);
                assert_int_equal(pj.v.check[QR_CHECK_AK], QR_CHECK_PASS);
                peerkit_verdict(QR_EV_TPM, &pj.v);
                pj.v.check[c] = QR_CHECK_SKIPPED;
                peerkit_set(&pj.v, "ak_name", "-");
                peerkit_set(&pj.v, "ak_spki_sha256", "-");
            }
            if (check == QR_CHECK_VALIDITY || check == QR_CHECK_BINDER) {
                snprintf(sentence, sizeof sentence,
                         "rule require at line 6: expected check %s to pass, found it skipped",
                         qr_check_name(check));
            } else {
                static const unsigned lines[] = {31, 38, 52, 66, 70, 74, 82, 85, 90};
                snprintf(sentence, sizeof sentence,
                         "rule platforms.%s.require at line %u: expected check %s to pass, found "
                         "it skipped",
                         qr_evidence_kind_name(peerkit_kinds[i]),
                         check == QR_CHECK_TIMESTAMP ? 32 : lines[i], qr_check_name(check));
            }
            pj_refused(p, peerkit_kinds[i], PEERKIT_NOW, QR_CHECK_POLICY, QR_REASON_POLICY,
                       sentence);
            tried++;
        }
    }
    assert_true(tried > 60);
    /* a verdict that is not valid is not judged, and keeps its sentence */
    peerkit_verdict(QR_EV_NITRO, &pj.v);
    assert_int_equal(qr_fail(&pj.v, QR_CHECK_CHAIN, QR_REASON_CHAIN, "said before"),
                     QR_ERR_ATTESTATION);
    pj_refused(p, QR_EV_NITRO, PEERKIT_NOW, QR_CHECK_CHAIN, QR_REASON_CHAIN, "said before");
    /* more claims than there was room for: one that matters may be missing */
    peerkit_verdict(QR_EV_NITRO, &pj.v);
    pj.v.claims.overflow = 1;
    pj_refused(
        p, QR_EV_NITRO, PEERKIT_NOW, QR_CHECK_POLICY, QR_REASON_RESOURCE_LIMIT,
        "rule platforms at line 1: expected a complete list of claims, found more than there is "
        "room for");
    qr_peers_free(p);
}

static void
test_platforms(void **state)
{
    struct qr_peers *p = pj_policy("{}");

    (void)state;
    peerkit_verdict(QR_EV_NITRO, &pj.v);
    pj_refused(p, QR_EV_NITRO, PEERKIT_NOW, QR_CHECK_POLICY, QR_REASON_POLICY,
               "rule platforms at line 1: expected no platform, found aws-nitro");
    qr_peers_free(p);
    p = pj_policy(peerkit_policy());
    peerkit_verdict(QR_EV_NITRO, &pj.v);
    pj_refused(
        p, QR_EV_MAA, PEERKIT_NOW, QR_CHECK_POLICY, QR_REASON_POLICY,
        "rule platforms at line 1: expected a platform that the policy names, found azure-maa");
    /* evidence of one platform under another's name has not that one's claims */
    peerkit_verdict(QR_EV_NITRO, &pj.v);
    pj_refused(p, QR_EV_SNP, PEERKIT_NOW, QR_CHECK_POLICY, QR_REASON_POLICY,
               "rule platforms.amd-sev-snp.require at line 38: expected check tcb-binding to pass, "
               "found it skipped");
    qr_peers_free(p);
}

static void
test_freshness(void **state)
{
    struct qr_peers *p = pj_edited("[\"validity\", \"binder\"]", "[\"validity\"]");

    (void)state;
    for (size_t i = 0; i < 9; i++) {
        peerkit_verdict(peerkit_kinds[i], &pj.v);
        pj.v.check[QR_CHECK_BINDER] = QR_CHECK_SKIPPED;
        pj_refused(
            p, peerkit_kinds[i], PEERKIT_NOW, QR_CHECK_FRESHNESS, QR_REASON_STALE,
            "rule freshness at line 3: expected evidence that commits to what was asked for, "
            "found none asked for");
    }
    const struct qr_peers_times *t = qr_peers_times(p);
    assert_true(t->max_age_ms == 300000 && t->reattest_ms == 600000 && t->warn_ms == 3600000);
    assert_true(t->no_peers_ms == 7200000 && t->no_keys_ms == 14400000 && t->stop_ms == 86400000);
    assert_true(t->clock_spread_ms == 60000 && t->collateral_grace_ms == 120000);
    qr_peers_free(p);
}

/* ---- Intel: statuses with advisories, platforms and an end ---- */

static void
test_statuses(void **state)
{
    static const uint8_t fmspc[6] = {0x00, 0x80, 0x6f, 0x05};
    struct qr_peers *p = pj_policy(peerkit_policy());
    const int64_t until = INT64_C(1796083200000); /* 2026-12-01 */
    static const struct {
        const char *status, *advisories;
        int old_fmspc;
        int64_t now;
        const char *sentence; /* NULL: accepted */
    } tries[] = {
        {"tSWHardeningNeeded", "j[\"INTEL-SA-00615\"]", 0, PEERKIT_NOW, NULL},
        {"tSWHardeningNeeded", "j[]", 0, PEERKIT_NOW, NULL},
        {"tSWHardeningNeeded", "j[\"INTEL-SA-00615\",\"INTEL-SA-00960\"]", 0, PEERKIT_NOW,
         "rule platforms.intel-tdx.statuses.SWHardeningNeeded.advisories at line 54: expected "
         "listed advisories only, found INTEL-SA-00960"},
        {"tOutOfDate", "j[\"INTEL-SA-00960\"]", 1, PEERKIT_NOW, NULL},
        {"tOutOfDate", "j[\"INTEL-SA-00960\"]", 1, until - 1, NULL},
        {"tOutOfDate", "j[\"INTEL-SA-00960\"]", 1, until,
         "rule platforms.intel-tdx.statuses.OutOfDate at line 55: expected a time before its "
         "\"until\", found 2026-12-01T00:00:00Z"},
        {"tOutOfDate", "j[\"INTEL-SA-00960\"]", 0, PEERKIT_NOW,
         "rule platforms.intel-tdx.statuses.OutOfDate at line 55: expected one of its FMSPCs, "
         "found "
         "FMSPC 90c06f000000"},
        {"tOutOfDate", "j[\"INTEL-SA-00615\"]", 1, PEERKIT_NOW,
         "rule platforms.intel-tdx.statuses.OutOfDate.advisories at line 55: expected listed "
         "advisories only, found INTEL-SA-00615"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        peerkit_verdict(QR_EV_TDX, &pj.v);
        peerkit_set(&pj.v, "tcb.final_status", tries[i].status);
        peerkit_set(&pj.v, "tcb.advisories", tries[i].advisories);
        if (tries[i].old_fmspc) {
            peerkit_set(&pj.v, "pck.fmspc", "-");
            qr_claim_hex(&pj.v.claims, "pck.fmspc", qr_view_of(fmspc, 6));
        }
        if (tries[i].sentence) {
            pj_refused(p, QR_EV_TDX, tries[i].now, QR_CHECK_POLICY, QR_REASON_TCB,
                       tries[i].sentence);
        } else {
            pj_accepted(p, QR_EV_TDX, tries[i].now);
        }
    }
    qr_peers_free(p);
}

static void
test_verify_opts(void **state)
{
    struct qr_peers *p = pj_policy(peerkit_policy());
    struct qr_verify_opts o = {.now_ms = PEERKIT_NOW};
    static const uint8_t fmspc[6] = {0x90, 0xc0, 0x6f};

    (void)state;
    qr_peers_verify_opts(p, &o);
    assert_int_equal(o.max_age_ms, 300000);
    assert_int_equal(o.min_tcb_evaluation, 17);
    assert_int_equal(o.n_exceptions, 1);
    assert_memory_equal(o.exception[0].fmspc, fmspc, 6);
    assert_int_equal(o.exception[0].tdx, 0);
    assert_int_equal(o.exception[0].component, 8);
    assert_int_equal(o.exception[0].min_svn, 3);
    assert_true(o.exception[0].until_ms == INT64_C(1798761600000));
    qr_peers_free(p);
}

/* A section that allows debug, and says that it is insecure. */
static void
test_insecure(void **state)
{
    struct qr_peers *p =
        pj_edited("\"role_pcr3\"", "\"insecure\": true, \"debug\": true, \"role_pcr3\"");

    (void)state;
    peerkit_verdict(QR_EV_NITRO, &pj.v);
    peerkit_set(&pj.v, "debug", "b1");
    pj_accepted(p, QR_EV_NITRO, PEERKIT_NOW);
    assert_int_equal(pj.v.check[QR_CHECK_DEBUG], QR_CHECK_SKIPPED);
    /* other sections do not */
    peerkit_verdict(QR_EV_SNP, &pj.v);
    peerkit_set(&pj.v, "debug", "b1");
    pj_refused(p, QR_EV_SNP, PEERKIT_NOW, QR_CHECK_DEBUG, QR_REASON_DEBUG,
               "rule platforms.amd-sev-snp.debug at line 38: expected false, found true");
    qr_peers_free(p);
}

/* The same arguments give the same verdict, to the byte. */
static void
test_deterministic(void **state)
{
    static struct qr_verdict again;
    struct qr_peers *p = pj_policy(peerkit_policy());

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        peerkit_verdict(bad[i].kind, &pj.v);
        peerkit_set(&pj.v, bad[i].path, bad[i].value);
        peerkit_verdict(bad[i].kind, &again);
        peerkit_set(&again, bad[i].path, bad[i].value);
        assert_int_equal(
            qr_peers_judge(p, bad[i].kind, 0, &nobody, PEERKIT_NOW, &pj.v, &pj.domain),
            qr_peers_judge(p, bad[i].kind, 0, &nobody, PEERKIT_NOW, &again, &pj.domain));
        assert_string_equal(pj.v.sentence, again.sentence);
        assert_memory_equal(pj.v.check, again.check, sizeof pj.v.check);
    }
    qr_peers_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_edges),         cmocka_unit_test(test_signers),
        cmocka_unit_test(test_checks),        cmocka_unit_test(test_platforms),
        cmocka_unit_test(test_freshness),     cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_verify_opts),   cmocka_unit_test(test_insecure),
        cmocka_unit_test(test_deterministic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
