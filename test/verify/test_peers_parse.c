/*
 * Compiling a policy: what is refused, at which line, and what to write instead; hostile documents;
 * what memory costs; the policy in words.
 */
#include "enclave-shim/verify/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/mem.h"
#include "test/common/peerkit.h"

#include <stdio.h>

#define X4(x) x x x x
#define X16(x) X4(x) X4(x) X4(x) X4(x)
#define X32(x) X16(x) X16(x)
#define X48(x) X32(x) X16(x)
#define X64(x) X32(x) X32(x)

static char why[QR_ERR_TEXT_MAX], text[QR_DOC_MAX + 2];

static qr_err
read_text(const char *t)
{
    struct qr_peers *p = NULL;
    qr_err e = qr_peers_read(qr_view_str(t), &p, why, sizeof why);
    assert_true((e == QR_OK) == (p != NULL));
    qr_peers_free(p);
    return e;
}

#define MAA "\"https://a.weu.attest.azure.net\""
#define GOOGLE "\"https://confidentialcomputing.googleapis.com\""
/* In front of this section's first member, on its line. */
#define WITNESS(section, members)                                                                  \
    "  \"" section "\": {\n", "  \"" section "\": {\"witness\": {" members "},\n"

/* One change of the good policy, and the refusal it must give. */
static const struct {
    const char *from, *to;
    const char *why;
} bad[] = {
    {"\"max_age_s\": 300", "\"max_age_s\": 0",
     "line 3: freshness.max_age_s: 0 is not between 1 and 86400"},
    {"\"max_age_s\": 300", "\"max_age_s\": 86401",
     "line 3: freshness.max_age_s: 86401 is not between 1 and 86400"},
    {"\"max_age_s\": 300, ", "", "line 3: freshness: member \"max_age_s\" is missing"},
    {"\"stages\": {", "\"stage\": {", "line 3: freshness: unknown member \"stage\""},
    {"\"warn_s\": 3600", "\"warn_s\": 600",
     "line 3: freshness: stages.warn_s is not above reattest_s; each stage must come after the one "
     "before it"},
    {"\"no_peers_s\": 7200", "\"no_peers_s\": 3600",
     "line 3: freshness: stages.no_peers_s is not above stages.warn_s; each stage must come after "
     "the one before it"},
    {"\"no_keys_s\": 14400", "\"no_keys_s\": 7199",
     "line 3: freshness: stages.no_keys_s is not above stages.no_peers_s; each stage must come "
     "after the one before it"},
    {"\"stop_s\": 86400", "\"stop_s\": 1",
     "line 3: freshness: stages.stop_s is not above stages.no_keys_s; each stage must come after "
     "the one before it"},
    {" \"freshness\"", " \"freshnes\"", "line 1: unknown member \"freshnes\""},
    {", \"peer_secret\": {\"threshold\": 2}", "",
     "line 1: member \"peer_secret\" is missing; write {\"threshold\": t} with the threshold of "
     "your "
     "keys: without it the owner of a party's cloud account can open what its platform seals"},
    {"\"threshold\": 2", "\"threshold\": 1",
     "line 2: peer_secret.threshold: 1 is not between 2 and 16"},
    {"\"threshold\": 2", "\"threshold\": 17",
     "line 2: peer_secret.threshold: 17 is not between 2 and 16"},
    {"{\"threshold\": 2}", "true", "line 2: peer_secret: must be an object"},
    {"{\"threshold\": 2}", "{}", "line 2: peer_secret: member \"threshold\" is missing"},
    {"{\"threshold\": 2}", "{\"threshold\": 2, \"of\": 3}",
     "line 2: peer_secret: unknown member \"of\""},
    {" \"require\": [\"validity\", \"binder\"],\n", "",
     "line 1: member \"require\" is missing; name the checks that must have been made, at least "
     "[\"validity\",\"binder\"]"},
    {"[\"validity\", \"binder\"]", "[]", "line 6: require: 0 elements; 1 to 31 are allowed"},
    {"[\"validity\", \"binder\"]", "[\"validty\"]",
     "line 6: require[0]: no check is called \"validty\"; `quorate verify` prints the names"},
    {"[\"validity\", \"binder\"]", "[\"binder\", \"binder\"]",
     "line 6: require[1]: this value is listed twice"},
    {"[\"validity\", \"binder\"]", "[\"binder\", \"timestamp\"]",
     "line 38: platforms.amd-sev-snp: check \"timestamp\" is required, which evidence of "
     "amd-sev-snp never has; require it in the sections of platforms that do"},
    {"[\"validity\", \"binder\"]", "[\"binder\", \"machine\"]",
     "line 66: platforms.intel-sgx: check \"machine\" is required, and no machine is allowed by "
     "name; list them under machines.allow"},
    {"[\"validity\", \"binder\"]", "[\"binder\", \"debug\"]",
     "line 70: platforms.tpm2: check \"debug\" is required, and a TPM cannot show that none is on; "
     "take one of the two back"},
    {"[\"timestamp\"]", "[\"tcb\"]",
     "line 31: platforms.aws-nitro: check \"tcb\" is required, which evidence of aws-nitro never "
     "has; require it in the sections of platforms that do"},
    {"\"min_tcb_evaluation\": 17", "\"min_tcb_evaluation\": 0",
     "line 7: collateral.min_tcb_evaluation: 0 is not between 1 and 4294967295"},
    {"\"fmspc\": \"90c06f000000\", \"tee\"", "\"fmspc\": \"000000000000\", \"tee\"",
     "line 8: collateral.tcb_exceptions[0].fmspc: all zero is how an absent value looks; write the "
     "real one, or leave the member out"},
    {"\"tee\": \"sgx\"", "\"tee\": \"sev\"",
     "line 8: collateral.tcb_exceptions[0]: tee \"sev\" is neither sgx nor tdx"},
    {"\"component\": 8", "\"component\": 17",
     "line 8: collateral.tcb_exceptions[0].component: 17 is not between 1 and 16"},
    {"\"until\": \"2027-01-01T00:00:00Z\"}]}", "\"until\": \"2027-01-01\"}]}",
     "line 8: collateral.tcb_exceptions[0]: until \"2027-01-01\" is no date; write one as "
     "\"2026-11-21T17:00:00Z\""},
    {", \"until\": \"2027-01-01T00:00:00Z\"}]}", "}]}",
     "line 8: collateral.tcb_exceptions[0]: member \"until\" is missing"},
    {"\"name\": \"snp\"", "\"name\": \"nitro\"",
     "line 13: measurements[1]: name \"nitro\" is used twice"},
    {"\"platform\": \"amd-sev-snp\"", "\"platform\": \"amd-sev\"",
     "line 13: measurements[1]: no platform is called \"amd-sev\"; known are aws-nitro, "
     "amd-sev-snp, intel-tdx, intel-sgx, tpm2, azure-snp-vtpm, azure-tdx-vtpm, gcp-snp-vtpm, "
     "gcp-tdx-vtpm"},
    {"\"platform\": \"amd-sev-snp\"", "\"platform\": \"gcp-ak-cert\"",
     "line 13: measurements[1]: \"gcp-ak-cert\" is a certificate and says nothing of what runs; "
     "write \"gcp-snp-vtpm\" or \"gcp-tdx-vtpm\""},
    {"\"platform\": \"amd-sev-snp\"", "\"platform\": \"azure-maa\"",
     "line 13: measurements[1]: \"azure-maa\" is a service's word and no member's evidence; write "
     "the platform whose evidence it comes with"},
    {"\"valid_from\": \"2026-01-01T00:00:00Z\"", "\"valid_from\": \"2026-02-29T00:00:00Z\"",
     "line 11: measurements[0]: valid_from \"2026-02-29T00:00:00Z\" is no date; write one as "
     "\"2026-11-21T17:00:00Z\""},
    {"\"valid_from\": \"2026-01-01T00:00:00Z\", ", "",
     "line 11: measurements[0]: member \"valid_from\" is missing; write the date from which this "
     "set counts, as \"2026-11-21T17:00:00Z\""},
    {"\"valid_from\": \"2026-01-01T00:00:00Z\"", "\"valid_from\": \"2027-01-01T00:00:00Z\"",
     "line 11: measurements[0]: valid_until is not after valid_from: the set would never count"},
    {"\"measurement\": \"" X48("21") "\"", "\"measurement\": \"" X48("00") "\"",
     "line 14: measurements[1].expect.measurement: all zero is how an absent value looks; write "
     "the real one, or leave the member out"},
    {"\"measurement\": \"" X48("21") "\"", "\"measurement\": \"21\"",
     "line 14: measurements[1].expect.measurement: must have 96 hex digits, has 2 characters"},
    {"\"measurement\": \"" X48("21") "\"", "\"measurement\": \"" X48("2A") "\"",
     "line 14: measurements[1].expect.measurement: must be lower-case hex"},
    {"\"measurement\": \"" X48("21") "\"", "\"measurements\": \"" X48("21") "\"",
     "line 14: measurements[1].expect.measurements: no measurement of amd-sev-snp; those are "
     "measurement, host_data, id_key_digest, author_key_digest, family_id, image_id"},
    {"\"measurement\": \"" X48("21") "\"", "\"host_data\": \"" X32("21") "\"",
     "line 14: measurements[1].expect: add measurement; without it anything launched will do"},
    {"\"measurement\": \"" X48("21") "\"", "",
     "line 14: measurements[1].expect: add measurement; without it anything launched will do"},
    {"\"pcrs.0\": \"", "\"pcrs.32\": \"",
     "line 12: measurements[0].expect.pcrs.32: no measurement of aws-nitro; those are pcrs.N"},
    {"\"pcrs.0\": \"", "\"pcrs.00\": \"",
     "line 12: measurements[0].expect.pcrs.00: no measurement of aws-nitro; those are pcrs.N"},
    {"\"pcrs.0\": \"", "\"pcrs.2\": \"",
     "line 12: measurements[0].expect: add pcrs.0 (the image) or pcrs.8 (its signer); without them "
     "any image will do"},
    {"\"body.rtmr1\": \"", "\"body.rtmr0\": \"",
     "line 16: measurements[2].expect: add body.mr_td (the firmware) and body.rtmr1 or body.rtmr2 "
     "(what it booted); without both any kernel will do"},
    {"\"body.mrenclave\": \"", "\"body.mrsigner\": \"",
     "line 19: measurements[3].expect.body.mrsigner: a signer signs more than one enclave; write "
     "it under platforms.intel-sgx.signers with isv_prod_id and min_isv_svn"},
    {"\"quote.pcrs.11\": \"", "\"quote.pcrs.7\": \"",
     "line 21: measurements[4].expect: add quote.pcrs.4, .8, .9 or .11, which measure what is "
     "booted; without them any kernel will do"},
    {"\"name\": \"tpm\", \"platform\": \"tpm2\"",
     "\"name\": \"tpm\", \"platform\": \"azure-snp-vtpm\"",
     "line 70: platforms.tpm2: no measurement set is for tpm2; add one to \"measurements\", or a "
     "rule to \"manifests\""},
    {"  \"gcp-tdx-vtpm\": {", "  \"note\": \"x\", \"gcp-snp-tpm\": {",
     "line 90: platforms.gcp-snp-tpm: no platform is called \"gcp-snp-tpm\"; known are aws-nitro, "
     "amd-sev-snp, intel-tdx, intel-sgx, tpm2, azure-snp-vtpm, azure-tdx-vtpm, gcp-snp-vtpm, "
     "gcp-tdx-vtpm"},
    {"\"role_pcr3\": [\"" X48("13"), "\"role_pcr3\": [\"" X48("00"),
     "line 33: platforms.aws-nitro.role_pcr3[0]: all zero is how an absent value looks; write the "
     "real one, or leave the member out"},
    {"\"role_pcr3\": [\"" X48("13") "\"]", "\"role_pcr3\": []",
     "line 33: platforms.aws-nitro.role_pcr3: 0 elements; 1 to 512 are allowed"},
    {"\"role_pcr3\": [", "\"vmpl\": [", "line 31: platforms.aws-nitro: unknown member \"vmpl\""},
    {"\"" X48("14") "\", \"" X48("15") "\"", "\"" X48("14") "\", \"" X48("14") "\"",
     "line 34: platforms.aws-nitro.instance_pcr4[1]: this value is listed twice"},
    {"\"vmpl\": [0, 1]", "\"vmpl\": [4]",
     "line 42: platforms.amd-sev-snp.vmpl[0]: 4 is not between 0 and 3"},
    {"\"vmpl\": [0, 1]", "\"vmpl\": 0", "line 42: platforms.amd-sev-snp.vmpl: must be an array"},
    {"\"min_guest_svn\": 3", "\"min_guest_svn\": 0",
     "line 43: platforms.amd-sev-snp.min_guest_svn: 0 is not between 1 and 4294967295"},
    {"[\"VCEK\"]", "[\"ARK\"]",
     "line 47: platforms.amd-sev-snp.signing_keys[0]: \"ARK\" is none of: VCEK VLEK "},
    {"[\"single_socket\"]", "[\"debug\"]",
     "line 48: platforms.amd-sev-snp.guest_policy.set[0]: \"debug\" is none of: smt single_socket "
     "cxl_allow mem_aes_256_xts rapl_dis ciphertext_hiding page_swap_disable migrate_ma "},
    {"\"clear\": [\"smt\"]", "\"clear\": [\"single_socket\"]",
     "line 48: platforms.amd-sev-snp.guest_policy.clear[0]: this value is listed twice"},
    {"{\"set\": [\"single_socket\"], \"clear\": [\"smt\"]}", "{}",
     "line 48: platforms.amd-sev-snp.guest_policy: write \"set\" and \"clear\" with the names of "
     "bits"},
    {"\"products\": [\n    {\"product\": \"Milan\"", "\"products\": [\n    {\"product\": \"Rome\"",
     "line 40: platforms.amd-sev-snp.products[0]: no product line is called \"Rome\"; known are "
     "Milan, Genoa (also for Siena and Bergamo), Turin"},
    {"\"product\": \"Turin\"", "\"product\": \"Milan\"",
     "line 41: platforms.amd-sev-snp.products[1]: member \"fmc\" is of Turin; leave it out"},
    {"\"microcode\": 70, \"fmc\": 1", "\"microcode\": 70",
     "line 41: platforms.amd-sev-snp.products[1]: member \"fmc\" is missing; Turin has that "
     "component"},
    {"\"product\": \"Turin\", \"bootloader\": 1, \"tee\": 1, \"snp\": 1, \"microcode\": 70, "
     "\"fmc\": 1",
     "\"product\": \"Milan\", \"bootloader\": 1, \"tee\": 1, \"snp\": 1, \"microcode\": 70",
     "line 41: platforms.amd-sev-snp.products[1]: product Milan is listed twice"},
    {"  \"gcp-tdx-vtpm\": {\n", "  \"note\": \"x\"},\n \"note\": \"y\", \"x\": {\"x\": {",
     "line 91 column 7: duplicate object key near '\"note\"'"},
    {"  \"gcp-tdx-vtpm\": {\n   \"statuses\": [{\"status\": \"UpToDate\", \"advisories\": []}]}},",
     "  \"note\": \"x\"},",
     "line 28: measurements[8]: \"platforms\" does not name gcp-tdx-vtpm; add it, or take the set "
     "out"},
    {"\"snp\": 24, \"microcode\": 219", "\"snp\": 24, \"microcode\": 219, \"fmc\": 1",
     "line 40: platforms.amd-sev-snp.products[0]: member \"fmc\" is of Turin; leave it out"},
    {"\"bootloader\": 4, \"tee\": 0, \"snp\": 24, \"microcode\": 219",
     "\"bootloader\": 0, \"tee\": 0, \"snp\": 0, \"microcode\": 0",
     "line 40: platforms.amd-sev-snp.products[0]: a minimum of zeros keeps nothing out; write the "
     "versions that the vendor's last security bulletin asks for"},
    {"\"bootloader\": 4, \"tee\": 0", "\"bootloader\": 256, \"tee\": 0",
     "line 40: platforms.amd-sev-snp.products[0].bootloader: 256 is not between 0 and 255"},
    {"\"bootloader\": 4, ", "",
     "line 40: platforms.amd-sev-snp.products[0]: member \"bootloader\" is missing"},
    {"{\"status\": \"UpToDate\", \"advisories\": []},\n", "{\"status\": \"UpToDate\"},\n",
     "line 53: platforms.intel-tdx.statuses[0]: member \"advisories\" is missing; list those that "
     "may stand beside UpToDate, or [] for none"},
    {"\"status\": \"SWHardeningNeeded\"", "\"status\": \"Revoked\"",
     "line 54: platforms.intel-tdx.statuses[1]: status \"Revoked\" is never accepted: keys of such "
     "platforms are out"},
    {"\"status\": \"SWHardeningNeeded\"", "\"status\": \"Fine\"",
     "line 54: platforms.intel-tdx.statuses[1]: unknown status \"Fine\"; accepted can be UpToDate, "
     "SWHardeningNeeded, ConfigurationNeeded, ConfigurationAndSWHardeningNeeded, OutOfDate, "
     "OutOfDateConfigurationNeeded"},
    {"\"fmspcs\": [\"00806f050000\"],\n     \"until\": \"2026-12-01T00:00:00Z\"",
     "\"fmspcs\": [\"00806f050000\"]",
     "line 55: platforms.intel-tdx.statuses[2]: OutOfDate can be accepted for a time only; add "
     "\"until\""},
    {"\"fmspcs\": [\"00806f050000\"],\n", "\"fmspcs\": [\"000000000000\"],\n",
     "line 55: platforms.intel-tdx.statuses[2].fmspcs[0]: all zero is how an absent value looks; "
     "write the real one, or leave the member out"},
    {"\"statuses\": [{\"status\": \"UpToDate\", \"advisories\": []},\n",
     "\"note\": \"x\", \"statuse\": [{\"status\": \"UpToDate\", \"advisories\": []},\n",
     "line 52: platforms.intel-tdx: unknown member \"statuse\""},
    {"\"isv_prod_id\": 7, ", "",
     "line 68: platforms.intel-sgx.signers[0]: a signer signs more than one enclave and every "
     "version of it; add isv_prod_id and min_isv_svn"},
    {", \"min_isv_svn\": 3", "",
     "line 68: platforms.intel-sgx.signers[0]: a signer signs more than one enclave and every "
     "version of it; add isv_prod_id and min_isv_svn"},
    {"\"mrsigner\": \"" X32("42"), "\"mrsigner\": \"" X32("00"),
     "line 68: platforms.intel-sgx.signers[0].mrsigner: all zero is how an absent value looks; "
     "write the real one, or leave the member out"},
    {"\"tpm2\": {\"insecure\": true,", "\"tpm2\": {",
     "line 70: platforms.tpm2: a TPM alone says what booted and protects no memory; use a "
     "confidential VM's platform, or mark the section with \"insecure\": true"},
    {"{\"ak_name\": \"000b" X32("52") "\"},\n     {\"ak_key_sha256\": \"" X32("53") "\"}",
     "{\"note\": \"x\"}",
     "line 72: platforms.tpm2.machines.allow[0]: a machine is named in one way, such as "
     "{\"chip_id\": \"...\"}"},
    {"\"machines\": {\"allow\": [{\"ak_name\": \"000b" X32(
         "52") "\"},\n     {\"ak_key_sha256\": \"" X32("53") "\"}]}",
     "\"note\": \"x\"",
     "line 70: platforms.tpm2: anybody has a TPM; list the attestation keys under machines.allow, "
     "as {\"ak_name\": \"...\"}"},
    {"\"secure_boot\": true,\n   \"machines\": {\"allow\": [{\"ak",
     "\"secure_boot\": false,\n   \"machines\": {\"allow\": [{\"ak",
     "line 71: platforms.tpm2.secure_boot: can only be demanded: write true, or leave it out"},
    {"\"role_pcr3\"", "\"debug\": true, \"role_pcr3\"",
     "line 31: platforms.aws-nitro: debug lets the host read keys; take \"debug\" out, or mark the "
     "section with \"insecure\": true"},
    {"\"allow\": [{\"ec2_instance\": \"i-0123456789abcdef0\"},\n     {\"module_id\": "
     "\"i-other-enc01\"}]",
     "\"allow\": []",
     "line 36: platforms.aws-nitro.machines: an empty list allows no machine; list machines, or "
     "leave \"allow\" out to allow any"},
    {"{\"ec2_instance\": \"i-0123456789abcdef0\"}", "{\"chip_id\": \"" X64("26") "\"}",
     "line 36: platforms.aws-nitro.machines.allow[0].chip_id: evidence of this platform names no "
     "machine so; take the line out"},
    {"{\"ec2_instance\": \"i-0123456789abcdef0\"}",
     "{\"ec2_instance\": \"i-1\", \"module_id\": \"i-2\"}",
     "line 36: platforms.aws-nitro.machines.allow[0]: a machine is named in one way, such as "
     "{\"chip_id\": \"...\"}"},
    {"{\"ec2_instance\": \"i-0123456789abcdef0\"}", "{\"ec2\": \"i-1\"}",
     "line 36: platforms.aws-nitro.machines.allow[0]: unknown member \"ec2\""},
    {"{\"ec2_instance\": \"i-0123456789abcdef0\"}", "\"i-1\"",
     "line 36: platforms.aws-nitro.machines.allow[0]: must be an object"},
    {"{\"ec2_instance\": \"i-0123456789abcdef0\"}", "{\"module_id\": \"i-other-enc01\"}",
     "line 37: platforms.aws-nitro.machines.allow[1].module_id: this value is listed twice"},
    {"{\"gcp_instance\": \"7899197072425216309\"}", "{\"gcp_instance\": \"0789\"}",
     "line 89: platforms.gcp-snp-vtpm.machines.allow[0].gcp_instance: must be a decimal number, as "
     "text"},
    {"{\"gcp_instance\": \"7899197072425216309\"}", "{\"gcp_instance\": 7899197072425216309}",
     "line 89: platforms.gcp-snp-vtpm.machines.allow[0].gcp_instance: must be text"},
    {"\"chip_id\": \"" X64("28"), "\"chip_id\": \"" X64("00"),
     "line 92: machines.deny[0].chip_id: all zero is how an absent value looks; write the real "
     "one, or leave the member out"},
    {"\"id_key_digests\": [\"" X48("23") "\"],\n", "",
     "line 74: platforms.azure-snp-vtpm: members \"id_key_digests\" and \"min_guest_svn\" are "
     "needed: they say whose paravisor runs below the vTPM"},
    {"   \"min_guest_svn\": 8,\n", "",
     "line 74: platforms.azure-snp-vtpm: members \"id_key_digests\" and \"min_guest_svn\" are "
     "needed: they say whose paravisor runs below the vTPM"},
    {"\"max_per_cloud\": 1", "\"max_per_cloud\": 0",
     "line 95: quorum.max_per_cloud: 0 is not between 1 and 16"},
    {"\"max_per_cloud\": 1", "\"max_per_cloud\": 17",
     "line 95: quorum.max_per_cloud: 17 is not between 1 and 16"},
    {"\"max_per_cloud\": 1", "\"max_per_continent\": 1",
     "line 94: quorum: unknown member \"max_per_continent\""},
    {"\"platforms\": {\n", "\"manifests\": [{}], \"platforms\": {\n",
     "line 30: manifests[0]: write either \"sha256\" with the manifests' hashes, or \"need\" and "
     "\"signers\""},
    {"\"platforms\": {\n",
     "\"manifests\": [{\"sha256\": [\"" X32("ab") "\"], \"need\": 1}], \"platforms\": {\n",
     "line 30: manifests[0]: write either \"sha256\" with the manifests' hashes, or \"need\" and "
     "\"signers\""},
    {"\"platforms\": {\n", "\"manifests\": [{\"sha256\": [\"" X32("00") "\"]}], \"platforms\": {\n",
     "line 30: manifests[0].sha256[0]: all zero is how an absent value looks; write the real one, "
     "or leave the member out"},
    {"\"platforms\": {\n",
     "\"manifests\": [{\"need\": 2, \"signers\": [{\"name\": \"a\", \"scheme\": \"ed25519\", "
     "\"key\": \"" X32("ab") "\"}]}], \"platforms\": {\n",
     "line 30: manifests[0]: need is 2 but there are only 1 signers"},
    {"\"platforms\": {\n",
     "\"manifests\": [{\"need\": 1, \"signers\": [{\"name\": \"a\", \"scheme\": \"secp256k1\", "
     "\"key\": \"" X32("ab") "\"}]}], \"platforms\": {\n",
     "line 30: manifests[0].signers[0]: not a release key; write scheme ed25519 with 64 hex "
     "digits, or p256 with 66 (a compressed point)"},
    {"\"platforms\": {\n",
     "\"manifests\": [{\"need\": 1, \"signers\": [{\"name\": \"a\", \"scheme\": \"p256\", \"key\": "
     "\"04" X32("ab") "\"}]}], \"platforms\": {\n",
     "line 30: manifests[0].signers[0]: not a release key; write scheme ed25519 with 64 hex "
     "digits, or p256 with 66 (a compressed point)"},
    {"\"platforms\": {\n",
     "\"manifests\": [{\"need\": 1, \"signers\": [{\"name\": \"a\", \"scheme\": \"ed25519\", "
     "\"key\": \"" X32("ab") "\"},{\"name\": \"b\", \"scheme\": \"ed25519\", \"key\": \"" X32(
         "ab") "\"}]}], \"platforms\": {\n",
     "line 30: manifests[0].signers[1]: name or key of \"a\" is listed twice; k signatures need k "
     "different keys"},
    {"\"note\": \"every platform\"", "\"note\": 5", "line 2: note: must be text"},
    {"  \"gcp-tdx-vtpm\": {", "  \"quote\": {",
     "line 90: platforms.quote: no platform is called \"quote\"; known are aws-nitro, amd-sev-snp, "
     "intel-tdx, intel-sgx, tpm2, azure-snp-vtpm, azure-tdx-vtpm, gcp-snp-vtpm, gcp-tdx-vtpm"},
    {"  \"aws-nitro\": {\n", "  \"aws-nitro\": 1, \"x\": {\n",
     "line 31: platforms.aws-nitro: must be an object"},
    {WITNESS("aws-nitro", "\"issuers\": [" MAA "], \"keys\": [\"" X32("ab") "\"]"),
     "line 31: platforms.aws-nitro: unknown member \"witness\""},
    {WITNESS("intel-sgx", "\"issuers\": [" GOOGLE "]"),
     "line 66: platforms.intel-sgx: unknown member \"witness\""},
    {WITNESS("azure-snp-vtpm", "\"keys\": [\"" X32("ab") "\"]"),
     "line 74: platforms.azure-snp-vtpm.witness: member \"issuers\" is missing"},
    {WITNESS("azure-snp-vtpm", "\"issuers\": [], \"keys\": [\"" X32("ab") "\"]"),
     "line 74: platforms.azure-snp-vtpm.witness.issuers: 0 elements; 1 to 16 are allowed"},
    {WITNESS("azure-snp-vtpm", "\"issuers\": [" MAA "], \"keys\": []"),
     "line 74: platforms.azure-snp-vtpm.witness.keys: 0 elements; 1 to 16 are allowed"},
    {WITNESS("azure-snp-vtpm", "\"issuers\": [" MAA "]"),
     "line 74: platforms.azure-snp-vtpm.witness: member \"keys\" is missing; Azure's key sets are "
     "signed by nobody, so list the keys' SHA-256 (claim witness.key_sha256)"},
    {WITNESS("amd-sev-snp", "\"issuers\": [" GOOGLE ", " MAA "]"),
     "line 38: platforms.amd-sev-snp.witness: member \"keys\" is missing; Azure's key sets are "
     "signed by nobody, so list the keys' SHA-256 (claim witness.key_sha256)"},
    {WITNESS("azure-snp-vtpm", "\"issuers\": [" GOOGLE "]"),
     "line 74: platforms.azure-snp-vtpm.witness.issuers[0]: this service attests no machine of "
     "azure-snp-vtpm"},
    {WITNESS("gcp-tdx-vtpm", "\"issuers\": [" MAA "], \"keys\": [\"" X32("ab") "\"]"),
     "line 90: platforms.gcp-tdx-vtpm.witness.issuers[0]: this service attests no machine of "
     "gcp-tdx-vtpm"},
    {WITNESS("gcp-tdx-vtpm", "\"issuers\": [\"https://confidentialcomputing.googleapis.com/\"]"),
     "line 90: platforms.gcp-tdx-vtpm.witness.issuers[0]: no such service; write "
     "\"https://NAME.REGION.attest.azure.net\" or "
     "\"https://confidentialcomputing.googleapis.com\""},
    {WITNESS("gcp-tdx-vtpm", "\"issuers\": [" GOOGLE ", " GOOGLE "]"),
     "line 90: platforms.gcp-tdx-vtpm.witness.issuers[1]: this value is listed twice"},
    {WITNESS("intel-tdx",
             "\"issuers\": [" GOOGLE "], \"keys\": [\"" X32("ab") "\", \"" X32("ab") "\"]"),
     "line 52: platforms.intel-tdx.witness.keys[1]: this value is listed twice"},
    {WITNESS("intel-tdx", "\"issuers\": [" GOOGLE "], \"keys\": [\"" X32("00") "\"]"),
     "line 52: platforms.intel-tdx.witness.keys[0]: all zero is how an absent value looks; write "
     "the real one, or leave the member out"},
    {WITNESS("intel-tdx", "\"issuers\": [" GOOGLE "], \"kid\": []"),
     "line 52: platforms.intel-tdx.witness: unknown member \"kid\""},
    {"  \"gcp-tdx-vtpm\": {\n", "  \"gcp-tdx-vtpm\": {\"require\": [\"token\"],\n",
     "line 90: platforms.gcp-tdx-vtpm: check \"token\" is required, and nobody's token is "
     "believed; "
     "add \"witness\" with its issuers and keys"},
    {"\"require\": [\"timestamp\"]", "\"require\": [\"timestamp\", \"token\"]",
     "line 31: platforms.aws-nitro: check \"token\" is required, which evidence of aws-nitro never "
     "has; require it in the sections of platforms that do"},
};

static void
test_refused(void **state)
{
    (void)state;
    assert_int_equal(read_text(peerkit_policy()), QR_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        peerkit_edit(peerkit_policy(), bad[i].from, bad[i].to, text, sizeof text);
        assert_int_not_equal(read_text(text), QR_OK);
        assert_string_equal(why, bad[i].why);
    }
}

/* Policies of a few words. */
static void
test_small(void **state)
{
    static const struct {
        const char *text, *why; /* why NULL: taken */
    } tries[] = {
        {"{}", NULL},
        {"{\"insecure_sim\":true}", NULL},
        {"{\"insecure_sim\":false,\"note\":\"\xc3\xa9\"}", NULL},
        {"{\"quorum\":{\"max_per_operator\":1},\"insecure_sim\":true}", NULL},
        {"{\"v\":1,\"type\":\"quorate/policy\",\"anything\":[1],\"peers\":{\"insecure_sim\":true}}",
         NULL},
        {"{\"v\":1,\"type\":\"quorate/roster\",\"peers\":{\"insecure_sim\":true}}",
         "this is a \"quorate/roster\", not a \"quorate/policy\""},
        {"{\"v\":1,\"type\":\"quorate/policy\",\n\"peers\":{\n\"insecure\":true}}",
         "line 2: peers: unknown member \"insecure\""},
        {"[]", "line 1: must be an object"},
        {"{\"insecure_sim\":1}", "line 1: insecure_sim: must be true or false"},
        {"{\n\"measurements\":[]}", "line 2: measurements: 0 elements; 1 to 64 are allowed"},
        {"{\"collateral\":{}}", "line 1: member \"platforms\" is missing; without it nobody's "
                                "evidence is accepted, whatever "
                                "else is said here"},
        {"{\n\"platforms\":{\"aws-nitro\":{}}}",
         "line 1: member \"freshness\" is missing; write max_age_s, reattest_s, clock_spread_s and "
         "stages: evidence without an age limit is for ever"},
        {"{\"freshness\":{\"max_age_s\":1,\"reattest_s\":1,\"clock_spread_s\":1,\"stages\":{"
         "\"warn_s\":2,\"no_peers_s\":3,\"no_keys_s\":4,\"stop_s\":5}},\"require\":[\"binder\"],\n"
         "\"platforms\":{\"note\":\"none\"}}",
         "line 2: platforms: no platform is named; add one, such as \"aws-nitro\", or leave "
         "\"platforms\" out"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        qr_err e = read_text(tries[i].text);
        if (tries[i].why) {
            assert_int_not_equal(e, QR_OK);
            assert_string_equal(why, tries[i].why);
        } else {
            assert_int_equal(e, QR_OK);
        }
    }
    /* the software TEE needs no secret of the peers, and may have one */
    static const struct {
        const char *text;
        uint16_t threshold;
    } secret[] = {{"{\"insecure_sim\":true}", 0},
                  {"{\"insecure_sim\":true,\"peer_secret\":{\"threshold\":3}}", 3},
                  {"{\"peer_secret\":{\"threshold\":16,\"note\":\"n\"}}", 16}};
    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++) {
        struct qr_peers *x = NULL;
        assert_int_equal(qr_peers_read(qr_view_str(secret[i].text), &x, why, sizeof why), QR_OK);
        assert_int_equal(qr_peers_secret(x), secret[i].threshold);
        qr_peers_free(x);
    }
    /* times of a policy that has no platforms */
    struct qr_peers *p = NULL;
    assert_int_equal(qr_peers_read(qr_view_str("{}"), &p, why, sizeof why), QR_OK);
    assert_int_equal(qr_peers_times(p)->max_age_ms, 300000);
    assert_int_equal(qr_peers_times(p)->stop_ms, 86400000);
    qr_peers_free(p);
    qr_peers_free(NULL);
}

/* ---- documents that want to hurt ---- */

static void
put(size_t *len, const char *s)
{
    size_t n = strlen(s);
    assert_true(*len + n < sizeof text);
    memcpy(text + *len, s, n + 1);
    *len += n;
}

static void
test_hostile(void **state)
{
    size_t len = 0;

    (void)state;
    /* every prefix of the good policy */
    const char *good = peerkit_policy();
    for (size_t n = 0; n + 2 < strlen(good); n += 7) {
        struct qr_peers *p = NULL;
        assert_int_not_equal(qr_peers_read(qr_view_of(good, n), &p, why, sizeof why), QR_OK);
        assert_null(p);
    }
    /* too long */
    memset(text, ' ', sizeof text);
    text[0] = '{';
    text[QR_DOC_MAX] = '}';
    text[QR_DOC_MAX + 1] = 0;
    assert_int_equal(read_text(text), QR_ERR_TOO_LARGE);
    assert_string_equal(why, "policy has 262145 bytes, at most 262144 are allowed");
    /* too deep */
    assert_int_equal(read_text("{\"platforms\":{\"intel-tdx\":{\"statuses\":[{\"advisories\":[[[["),
                     QR_ERR_TOO_LARGE);
    assert_non_null(strstr(why, "nested too deeply"));
    /* a member twice, also in other letters */
    assert_int_equal(read_text("{\"insecure_sim\":false,\"insecure_sim\":true}"), QR_ERR_MALFORMED);
    assert_int_equal(read_text("{\"insecure_sim\":false,\"insecure\\u005fsim\":true}"),
                     QR_ERR_MALFORMED);
    /* too many values */
    put(&len, "{\"note\":[");
    for (int i = 0; i < 20000; i++) {
        put(&len, "0,");
    }
    put(&len, "0]}");
    assert_int_equal(read_text(text), QR_ERR_TOO_LARGE);
    /* more list elements than the pool holds */
    len = 0;
    put(&len,
        "{\"freshness\":{\"max_age_s\":1,\"reattest_s\":1,\"clock_spread_s\":1,\"stages\":{"
        "\"warn_s\":2,\"no_peers_s\":3,\"no_keys_s\":4,\"stop_s\":5}},\"require\":[\"binder\"],"
        "\"manifests\":[{\"sha256\":[\"1111111111111111111111111111111111111111111111111111111"
        "111111111\"]}],\"platforms\":{\"aws-nitro\":{\"machines\":{\"allow\":[");
    for (int i = 0; i < 512; i++) {
        char one[64];
        snprintf(one, sizeof one, "%s\n{\"ec2_instance\":\"i-%d\"}", i ? "," : "", i);
        put(&len, one);
    }
    put(&len, "]}}}}");
    assert_int_equal(read_text(text), QR_ERR_TOO_LARGE);
    assert_string_equal(why,
                        "line 513: platforms.aws-nitro.machines.allow[511].ec2_instance: the lists "
                        "of a policy hold at most 512 values together");
}

/* The nth allocation fails: an error, nothing left behind. */
static int countdown;
static int
gate(size_t n)
{
    assert_true(n <= 1024 * 1024);
    return countdown-- > 0;
}

static void
test_memory(void **state)
{
    const char *good = peerkit_policy();
    size_t bytes = 0, blocks = 0, bytes_now = 0, blocks_now = 0;
    int fails = 0;

    (void)state;
    qr_alloc_stats(&bytes, &blocks);
    for (int n = 0;; n++) {
        struct qr_peers *p = NULL;
        countdown = n;
        qr_alloc_gate(gate);
        qr_err e = qr_peers_read(qr_view_str(good), &p, why, sizeof why);
        qr_alloc_gate(NULL);
        qr_peers_free(p);
        qr_alloc_stats(&bytes_now, &blocks_now);
        assert_true(bytes_now == bytes && blocks_now == blocks);
        if (e == QR_OK) {
            break;
        }
        assert_int_equal(e, QR_ERR_NO_MEMORY);
        assert_non_null(strstr(why, "out of memory"));
        fails++;
    }
    assert_true(fails > 3);
}

/* ---- in words ---- */

static char words[32768];
static void
collect(void *ctx, const char *line)
{
    size_t *len = ctx;
    int n = snprintf(words + *len, sizeof words - *len, "%s\n", line);
    assert_true(n > 1 && (size_t)n < sizeof words - *len);
    *len += (size_t)n;
}

static void
explain(const char *t)
{
    struct qr_peers *p = NULL;
    size_t len = 0;
    assert_int_equal(qr_peers_read(qr_view_str(t), &p, why, sizeof why), QR_OK);
    qr_peers_explain(p, collect, &len);
    qr_peers_free(p);
}

static void
test_words(void **state)
{
    static const char *const says[] = {
        "A member is accepted on one of 9 platforms, by all of that platform's rules:\n",
        "  aws-nitro (line 31):\n"
        "    These checks must have passed: root, chain, validity, signature, timestamp, binder "
        "(line 32).\n",
        "    The IAM role's PCR3 must be "
        "131313131313131313131313131313131313131313131313131313131313"
        "131313131313131313131313131313131313 (line 33).\n",
        "    The VMPL must be 0 (line 42),\n      or 1 (line 42).\n",
        "    The guest's SVN must be at least 3 (line 43).\n",
        "    In the guest policy, single_socket must be set (line 48).\n"
        "    In the guest policy, smt must be clear (line 48).\n",
        "    Product Turin with reported and committed firmware of at least boot loader 1, TEE 1, "
        "SNP "
        "1, microcode 70, FMC 1 (line 41).\n",
        "    TCB status OutOfDate until 2026-12-01T00:00:00Z, with these advisories only (line "
        "55):\n"
        "      advisory INTEL-SA-00960\n"
        "      on FMSPC 00806f050000\n",
        "with ISVPRODID 7 and ISVSVN of at least 3 (line 68).\n",
        "    WARNING: marked insecure: a TPM alone protects no memory.\n",
        "    Secure boot must be on (line 80).\n",
        "    Machine allowed: gcp_instance 7899197072425216309 (line 89)\n",
        "    Any machine that is not denied.\n",
        "    Measurement set \"nitro\" (line 11), 2026-01-01T00:00:00Z until "
        "2027-01-01T00:00:00Z:\n",
        "Machine denied on every platform: gcp_instance 5 (line 93)\n",
        "Intel's TCB data must have evaluation number 17 or later.\n"
        "Exception (line 8): on FMSPC 90c06f000000, SGX component 8 counts as good from 3 on, "
        "until "
        "2027-01-01T00:00:00Z.\n",
        "A party's shares open with its platform's secret and one that it shared to its peers: 1 "
        "of "
        "them give it back (line 2). Keys have a threshold of 2 at most. No key is made before "
        "every "
        "party holds its piece.\n",
        "At most 1 of the parties may be of one cloud (line 95).\n"
        "At most 2 of the parties may be of one operator (line 96).\n",
        "Evidence that carries a time is at most 5 min old; a channel asks for new evidence every "
        "10 "
        "min.\n"
        "Without success for 1 h a party warns, after 2 h it accepts no new peers, after 4 h it "
        "makes "
        "no new keys, after 1 d it stops signing.\n"
        "Clocks may disagree by 1 min; collateral counts 2 min past its end.\n",
    };

    (void)state;
    explain(peerkit_policy());
    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++) {
        if (!strstr(words, says[i])) {
            fail_msg("it does not say: %s", says[i]);
        }
    }
    peerkit_edit(peerkit_policy(),
                 WITNESS("intel-tdx", "\"issuers\": [" GOOGLE ", " MAA
                                      "],\n\"keys\": [\"" X32("ab") "\", \"" X32("cd") "\"]"),
                 text, sizeof text);
    explain(text);
    assert_non_null(strstr(
        words,
        "    A second witness is needed, a token beside the evidence (line 52):\n"
        "      of https://confidentialcomputing.googleapis.com (line 52)\n"
        "      or https://a.weu.attest.azure.net (line 52)\n"
        "      signed by key " X32(
            "ab") " (line 53), or\n"
                  "      signed by key " X32(
                      "cd") " (line 53)\n"
                            "      or signed by a key with certificates to a pinned root\n"));
    peerkit_edit(peerkit_policy(), WITNESS("gcp-snp-vtpm", "\"issuers\": [" GOOGLE "]"), text,
                 sizeof text);
    explain(text);
    assert_non_null(strstr(words, "googleapis.com (line 85)\n"
                                  "      signed by a key with certificates to a pinned root\n"));
    explain("{\"insecure_sim\":true}");
    assert_string_equal(words,
                        "WARNING: the software TEE is accepted, which protects nothing (line "
                        "1).\nNo platform's evidence is accepted.\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused), cmocka_unit_test(test_small),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
