/* Seeds of policies, manifests and judgements: good ones, and one of each kind of refusal. */
#include "test/common/peerkit.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/kit_seeds.h"

#define X8(x) x x x x x x x x
#define X16(x) X8(x) X8(x)
#define X32(x) X16(x) X16(x)
#define X48(x) X32(x) X16(x)
#define X64(x) X32(x) X32(x)

static const char manifest[] =
    "{\"v\":1,\"type\":\"quorate/measurements\",\"note\":\"n\",\"release\":\"1.2.0\",\n"
    "\"source\":\"0123456789012345678901234567890123456789\",\"recipe\":\"" X32(
        "ab") "\",\n"
              "\"valid_from\":\"2026-11-01T00:00:00Z\",\"valid_until\":\"2027-05-01T00:00:00Z\",\n"
              "\"supersedes\":[\"1.1.0\"],\"revoked\":[\"1.0.3\"],\"minimum_tcb\":{\"amd_sev_snp\":"
              "[{"
              "\"product\":\"Milan\",\"bootloader\":4,\"tee\":0,\"snp\":24,\"microcode\":219},{"
              "\"product\":"
              "\"Turin\",\"bootloader\":1,\"tee\":1,\"snp\":1,\"microcode\":1,\"fmc\":1}],"
              "\"intel_tcb_evaluation\":17},\n"
              "\"measurements\":[{\"name\":\"tdx\",\"platform\":\"intel-tdx\",\"expect\":{\"body."
              "mr_td\":\"" X32("11") X8("11") X8("11") "\",\"body.rtmr2\":\"" X32("12") X8("12")
                  X8("12") "\"}},{\"name\":\"sgx\",\"platform\":\"intel-sgx\",\"valid_until\":"
                           "\"2026-12-01T00:00:00Z\","
                           "\"expect\":{\"note\":\"x\",\"body.mrenclave\":\"" X32("13") "\"}}]}";

/* A good policy with one place changed, for each way of being refused: see fuzz_peers.c. */
static void
broken(fuzz_seed seed)
{
    static const struct {
        const char *from, *to;
    } change[] = {
        {"\"max_age_s\": 300", "\"max_age_s\": 0"},
        {"\"max_age_s\": 300", "\"max_age_s\": 86401"},
        {"\"max_age_s\": 300, ", ""},
        {"\"stages\": {", "\"stage\": {"},
        {"\"warn_s\": 3600", "\"warn_s\": 600"},
        {"\"no_peers_s\": 7200", "\"no_peers_s\": 3600"},
        {"\"no_keys_s\": 14400", "\"no_keys_s\": 7199"},
        {"\"stop_s\": 86400", "\"stop_s\": 1"},
        {" \"freshness\"", " \"freshnes\""},
        {" \"require\": [\"validity\", \"binder\"],\n", ""},
        {"[\"validity\", \"binder\"]", "[]"},
        {"[\"validity\", \"binder\"]", "[\"validty\"]"},
        {"[\"validity\", \"binder\"]", "[\"binder\", \"binder\"]"},
        {"[\"validity\", \"binder\"]", "[\"binder\", \"timestamp\"]"},
        {"[\"validity\", \"binder\"]", "[\"binder\", \"machine\"]"},
        {"[\"validity\", \"binder\"]", "[\"binder\", \"debug\"]"},
        {"[\"timestamp\"]", "[\"tcb\"]"},
        {"\"min_tcb_evaluation\": 17", "\"min_tcb_evaluation\": 0"},
        {"\"fmspc\": \"90c06f000000\", \"tee\"", "\"fmspc\": \"000000000000\", \"tee\""},
        {"\"tee\": \"sgx\"", "\"tee\": \"sev\""},
        {"\"component\": 8", "\"component\": 17"},
        {"\"until\": \"2027-01-01T00:00:00Z\"}]}", "\"until\": \"2027-01-01\"}]}"},
        {", \"until\": \"2027-01-01T00:00:00Z\"}]}", "}]}"},
        {"\"name\": \"snp\"", "\"name\": \"nitro\""},
        {"\"platform\": \"amd-sev-snp\"", "\"platform\": \"amd-sev\""},
        {"\"platform\": \"amd-sev-snp\"", "\"platform\": \"gcp-ak-cert\""},
        {"\"platform\": \"amd-sev-snp\"", "\"platform\": \"azure-maa\""},
        {"\"valid_from\": \"2026-01-01T00:00:00Z\"", "\"valid_from\": \"2026-02-29T00:00:00Z\""},
        {"\"valid_from\": \"2026-01-01T00:00:00Z\", ", ""},
        {"\"valid_from\": \"2026-01-01T00:00:00Z\"", "\"valid_from\": \"2027-01-01T00:00:00Z\""},
        {"\"measurement\": \"" X48("21") "\"", "\"measurement\": \"" X48("00") "\""},
        {"\"measurement\": \"" X48("21") "\"", "\"measurement\": \"21\""},
        {"\"measurement\": \"" X48("21") "\"", "\"measurement\": \"" X48("2A") "\""},
        {"\"measurement\": \"" X48("21") "\"", "\"measurements\": \"" X48("21") "\""},
        {"\"measurement\": \"" X48("21") "\"", "\"host_data\": \"" X32("21") "\""},
        {"\"measurement\": \"" X48("21") "\"", ""},
        {"\"pcrs.0\": \"", "\"pcrs.32\": \""},
        {"\"pcrs.0\": \"", "\"pcrs.00\": \""},
        {"\"pcrs.0\": \"", "\"pcrs.2\": \""},
        {"\"body.rtmr1\": \"", "\"body.rtmr0\": \""},
        {"\"body.mrenclave\": \"", "\"body.mrsigner\": \""},
        {"\"quote.pcrs.11\": \"", "\"quote.pcrs.7\": \""},
        {"\"name\": \"tpm\", \"platform\": \"tpm2\"",
         "\"name\": \"tpm\", \"platform\": \"azure-snp-vtpm\""},
        {"  \"gcp-tdx-vtpm\": {", "  \"note\": \"x\", \"gcp-snp-tpm\": {"},
        {"\"role_pcr3\": [\"" X48("13"), "\"role_pcr3\": [\"" X48("00")},
        {"\"role_pcr3\": [\"" X48("13") "\"]", "\"role_pcr3\": []"},
        {"\"role_pcr3\": [", "\"vmpl\": ["},
        {"\"" X48("14") "\", \"" X48("15") "\"", "\"" X48("14") "\", \"" X48("14") "\""},
        {"\"vmpl\": [0, 1]", "\"vmpl\": [4]"},
        {"\"vmpl\": [0, 1]", "\"vmpl\": 0"},
        {"\"min_guest_svn\": 3", "\"min_guest_svn\": 0"},
        {"[\"VCEK\"]", "[\"ARK\"]"},
        {"[\"single_socket\"]", "[\"debug\"]"},
        {"\"clear\": [\"smt\"]", "\"clear\": [\"single_socket\"]"},
        {"{\"set\": [\"single_socket\"], \"clear\": [\"smt\"]}", "{}"},
        {"\"products\": [\n    {\"product\": \"Milan\"",
         "\"products\": [\n    {\"product\": \"Rome\""},
        {"\"product\": \"Turin\"", "\"product\": \"Milan\""},
        {"\"microcode\": 70, \"fmc\": 1", "\"microcode\": 70"},
        {"\"product\": \"Turin\", \"bootloader\": 1, \"tee\": 1, \"snp\": 1, \"microcode\": 70, "
         "\"fmc\": 1",
         "\"product\": \"Milan\", \"bootloader\": 1, \"tee\": 1, \"snp\": 1, \"microcode\": 70"},
        {"  \"gcp-tdx-vtpm\": {\n", "  \"note\": \"x\"},\n \"note\": \"y\", \"x\": {\"x\": {"},
        {"  \"gcp-tdx-vtpm\": {\n   \"statuses\": [{\"status\": \"UpToDate\", \"advisories\": "
         "[]}]}},",
         "  \"note\": \"x\"},"},
        {"\"snp\": 24, \"microcode\": 219", "\"snp\": 24, \"microcode\": 219, \"fmc\": 1"},
        {"\"bootloader\": 4, \"tee\": 0, \"snp\": 24, \"microcode\": 219",
         "\"bootloader\": 0, \"tee\": 0, \"snp\": 0, \"microcode\": 0"},
        {"\"bootloader\": 4, \"tee\": 0", "\"bootloader\": 256, \"tee\": 0"},
        {"\"bootloader\": 4, ", ""},
        {"{\"status\": \"UpToDate\", \"advisories\": []},\n", "{\"status\": \"UpToDate\"},\n"},
        {"\"status\": \"SWHardeningNeeded\"", "\"status\": \"Revoked\""},
        {"\"status\": \"SWHardeningNeeded\"", "\"status\": \"Fine\""},
        {"\"fmspcs\": [\"00806f050000\"],\n     \"until\": \"2026-12-01T00:00:00Z\"",
         "\"fmspcs\": [\"00806f050000\"]"},
        {"\"fmspcs\": [\"00806f050000\"],\n", "\"fmspcs\": [\"000000000000\"],\n"},
        {"\"statuses\": [{\"status\": \"UpToDate\", \"advisories\": []},\n",
         "\"note\": \"x\", \"statuse\": [{\"status\": \"UpToDate\", \"advisories\": []},\n"},
        {"\"isv_prod_id\": 7, ", ""},
        {", \"min_isv_svn\": 3", ""},
        {"\"mrsigner\": \"" X32("42"), "\"mrsigner\": \"" X32("00")},
        {"\"tpm2\": {\"insecure\": true,", "\"tpm2\": {"},
        {"{\"ak_name\": \"000b" X32("52") "\"},\n     {\"ak_key_sha256\": \"" X32("53") "\"}",
         "{\"note\": \"x\"}"},
        {"\"machines\": {\"allow\": [{\"ak_name\": \"000b" X32(
             "52") "\"},\n     {\"ak_key_sha256\": \"" X32("53") "\"}]}",
         "\"note\": \"x\""},
        {"\"secure_boot\": true,\n   \"machines\": {\"allow\": [{\"ak",
         "\"secure_boot\": false,\n   \"machines\": {\"allow\": [{\"ak"},
        {"\"role_pcr3\"", "\"debug\": true, \"role_pcr3\""},
        {"\"allow\": [{\"ec2_instance\": \"i-0123456789abcdef0\"},\n     {\"module_id\": "
         "\"i-other-enc01\"}]",
         "\"allow\": []"},
        {"{\"ec2_instance\": \"i-0123456789abcdef0\"}", "{\"chip_id\": \"" X64("26") "\"}"},
        {"{\"ec2_instance\": \"i-0123456789abcdef0\"}",
         "{\"ec2_instance\": \"i-1\", \"module_id\": \"i-2\"}"},
        {"{\"ec2_instance\": \"i-0123456789abcdef0\"}", "{\"ec2\": \"i-1\"}"},
        {"{\"ec2_instance\": \"i-0123456789abcdef0\"}", "\"i-1\""},
        {"{\"ec2_instance\": \"i-0123456789abcdef0\"}", "{\"module_id\": \"i-other-enc01\"}"},
        {"{\"gcp_instance\": \"7899197072425216309\"}", "{\"gcp_instance\": \"0789\"}"},
        {"{\"gcp_instance\": \"7899197072425216309\"}", "{\"gcp_instance\": 7899197072425216309}"},
        {"\"chip_id\": \"" X64("28"), "\"chip_id\": \"" X64("00")},
        {"\"id_key_digests\": [\"" X48("23") "\"],\n", ""},
        {"   \"min_guest_svn\": 8,\n", ""},
        {"\"max_per_cloud\": 1", "\"max_per_cloud\": 0"},
        {"\"max_per_cloud\": 1", "\"max_per_cloud\": 17"},
        {"\"max_per_cloud\": 1", "\"max_per_continent\": 1"},
        {"\"platforms\": {\n", "\"manifests\": [{}], \"platforms\": {\n"},
        {"\"platforms\": {\n",
         "\"manifests\": [{\"sha256\": [\"" X32("ab") "\"], \"need\": 1}], \"platforms\": {\n"},
        {"\"platforms\": {\n",
         "\"manifests\": [{\"sha256\": [\"" X32("00") "\"]}], \"platforms\": {\n"},
        {"\"platforms\": {\n",
         "\"manifests\": [{\"need\": 2, \"signers\": [{\"name\": \"a\", \"scheme\": \"ed25519\", "
         "\"key\": \"" X32("ab") "\"}]}], \"platforms\": {\n"},
        {"\"platforms\": {\n",
         "\"manifests\": [{\"need\": 1, \"signers\": [{\"name\": \"a\", \"scheme\": \"secp256k1\", "
         "\"key\": \"" X32("ab") "\"}]}], \"platforms\": {\n"},
        {"\"platforms\": {\n",
         "\"manifests\": [{\"need\": 1, \"signers\": [{\"name\": \"a\", \"scheme\": \"p256\", "
         "\"key\": \"04" X32("ab") "\"}]}], \"platforms\": {\n"},
        {"\"platforms\": {\n",
         "\"manifests\": [{\"need\": 1, \"signers\": [{\"name\": \"a\", \"scheme\": \"ed25519\", "
         "\"key\": \"" X32("ab") "\"},{\"name\": \"b\", \"scheme\": \"ed25519\", \"key\": \"" X32(
             "ab") "\"}]}], \"platforms\": {\n"},
        {"\"note\": \"every platform\"", "\"note\": 5"},
        {"  \"gcp-tdx-vtpm\": {", "  \"quote\": {"},
        {"  \"aws-nitro\": {\n", "  \"aws-nitro\": 1, \"x\": {\n"},
        {"  \"intel-tdx\": {\n", "  \"intel-tdx\": {\"witness\": {\"issuers\": "
                                 "[\"https://confidentialcomputing.googleapis.com\"]},\n"},
        {"  \"intel-tdx\": {\n",
         "  \"intel-tdx\": {\"witness\": {\"issuers\": [\"https://a.weu.attest.azure.net\"]},\n"},
        {"  \"intel-tdx\": {\n", "  \"intel-tdx\": {\"witness\": {\"issuers\": "
                                 "[\"https://confidentialcomputing.googleapis.com\", "
                                 "\"https://confidentialcomputing.googleapis.com\"]},\n"},
        {"  \"intel-tdx\": {\n",
         "  \"intel-tdx\": {\"witness\": {\"issuers\": [\"https://a.example\"]},\n"},
        {"  \"gcp-tdx-vtpm\": {\n", "  \"gcp-tdx-vtpm\": {\"witness\": {\"issuers\": "
                                    "[\"https://a.weu.attest.azure.net\"]},\n"},
        {"  \"gcp-tdx-vtpm\": {\n", "  \"gcp-tdx-vtpm\": {\"require\": [\"token\"],\n"},
        {"  \"intel-tdx\": {\n",
         "  \"intel-tdx\": {\"witness\": {\"issuers\": "
         "[\"https://confidentialcomputing.googleapis.com\", \"https://a.weu.attest.azure.net\"], "
         "\"keys\": [\"" X32("ab") "\"]},\n"},
    };
    const char *good = peerkit_policy();

    for (size_t i = 0; i < sizeof change / sizeof change[0]; i++) {
        char name[16];
        uint8_t bytes[512];
        const char *at = strstr(good, change[i].from);
        size_t len = strlen(change[i].to);
        FUZZ_MUST(at && len <= sizeof bytes - 4);
        qr_put16(bytes, (uint16_t)(at - good));
        qr_put16(bytes + 2, (uint16_t)strlen(change[i].from));
        memcpy(bytes + 4, change[i].to, len);
        (void)snprintf(name, sizeof name, "change-%03zu", i);
        seed("peers", name, 1, qr_view_of(bytes, len + 4));
    }
}

static void
broken_manifests(fuzz_seed seed)
{
    static const struct {
        const char *name, *from, *to;
    } change[] = {
        {"self", "\"1.0.3\"", "\"1.2.0\""},
        {"listed-twice", "\"1.0.3\"", "\"1.0.3\",\"1.0.3\""},
        {"product-twice",
         "\"Turin\",\"bootloader\":1,\"tee\":1,\"snp\":1,\"microcode\":1,\"fmc\":1",
         "\"Milan\",\"bootloader\":1,\"tee\":1,\"snp\":1,\"microcode\":1"},
        {"name-twice", "\"name\":\"sgx\"", "\"name\":\"tdx\""},
        {"source-short", "\"source\":\"0", "\"source\":\""},
        {"source-upper", "\"source\":\"0", "\"source\":\"A"},
        {"backwards", "2027-05-01", "2026-05-01"},
        {"leaves", "2026-12-01", "2028-12-01"},
    };
    static char text[4096];

    for (size_t i = 0; i < sizeof change / sizeof change[0]; i++) {
        peerkit_edit(manifest, change[i].from, change[i].to, text, sizeof text);
        seed("manifest", change[i].name, 0, qr_view_str(text));
    }
}

void
fuzz_seeds_peers(fuzz_seed seed)
{
    /*
     * Which policy; who, how many changes, which cloud, when; then changes: which claim, what.
     * Three times.
     */
    static const uint8_t three[] = {0, 0, 0, 1, 0, 5, 0, 2, 0, 8, 0, 3, 0};
    static const uint8_t same[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 5, 1, 2, 0, 3, 0};
    static const uint8_t late[] = {0, 1, 0, 0, 2, 2, 2, 0, 0, 4, 0, 9, 5, 3, 1, 0, 0, 3, 17, 21};
    static const uint8_t cloud[] = {1, 0, 0, 2, 0, 5, 0, 4, 0, 4, 1, 0, 0, 1, 16, 3};

    seed("peers", "every-platform", 0, qr_view_str(peerkit_policy()));
    seed("peers", "sim", 0, qr_view_str("{\"insecure_sim\":true}"));
    seed("peers", "document", 0,
         qr_view_str("{\"v\":1,\"type\":\"quorate/policy\",\n\"peers\":{\"insecure\":1}}"));
    broken(seed);
    broken_manifests(seed);
    seed("manifest", "good", 0, qr_view_str(manifest));
    seed("manifest", "lines", 1,
         qr_view_str("\ned25519 " X32("ab") " " X32("11") X32(
             "11") "\np256 036b17d1f2e12c4247f8bce6e"
                   "563a440f277037d812deb33a0f4a13945d898c296 " X32("11") X32("11") "\n"));
    seed("manifest", "date", 2, qr_view_str("2026-11-21T17:00:00Z"));
    static const uint8_t own[] = {0, 1, 5, 'x', 'y'}, flipped[] = {1, 1, 150, 'x'},
                         other[] = {1, 2, 0, 'x'}, twice[] = {0, 3, 0, 'x'};
    seed("manifest", "own", 3, qr_view_of(own, sizeof own));
    seed("manifest", "own-good", 3, qr_view_of("\1\0\0abc", 6));
    seed("manifest", "own-flipped", 3, qr_view_of(flipped, sizeof flipped));
    seed("manifest", "own-other", 3, qr_view_of(other, sizeof other));
    seed("manifest", "own-twice", 3, qr_view_of(twice, sizeof twice));
    seed("judge", "three", -1, qr_view_of(three, sizeof three));
    seed("judge", "same", -1, qr_view_of(same, sizeof same));
    seed("judge", "late", -1, qr_view_of(late, sizeof late));
    seed("judge", "cloud", -1, qr_view_of(cloud, sizeof cloud));
}
