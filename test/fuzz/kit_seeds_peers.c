/* Seeds of policies, manifests and judgements: good ones, and one of each kind of refusal. */
#include "test/common/peerkit.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/kit_seeds.h"

#define X8(x) x x x x x x x x
#define X32(x) X8(x) X8(x) X8(x) X8(x)

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

/* A good policy with one place changed, for each way of being refused that a fuzzer finds slowly. */
static void
broken(fuzz_seed seed)
{
    static const struct {
        const char *name, *from, *to;
    } change[] = {
        {"debug", "\"role_pcr3\"", "\"debug\":true,\"role_pcr3\""},
        {"stages", "\"warn_s\": 3600", "\"warn_s\": 600"},
        {"never", "[\"validity\", \"binder\"]", "[\"qe-report\"]"},
        {"machine", "[\"validity\", \"binder\"]", "[\"machine\"]"},
        {"no-set", "\"name\": \"tpm\", \"platform\": \"tpm2\"",
         "\"name\": \"tpm\", \"platform\": \"gcp-snp-vtpm\""},
        {"signer", "\"isv_prod_id\": 7, ", ""},
        {"believed", "\"platforms\": {\n",
         "\"manifests\":[{\"sha256\":[\"" X32("11") "\"]},{\"need\":2,\"signers\":[{\"name\":\"a\","
                                                    "\"scheme\":\"ed25519\",\"key\":\"" X32(
                                                        "ab") "\"}]}],\"platforms\": {\n"},
        {"twice", "[0, 1]", "[1, 1]"},
    };
    static char text[16384];

    for (size_t i = 0; i < sizeof change / sizeof change[0]; i++) {
        peerkit_edit(peerkit_policy(), change[i].from, change[i].to, text, sizeof text);
        seed("peers", change[i].name, -1, qr_view_str(text));
    }
}

void
fuzz_seeds_peers(fuzz_seed seed)
{
    /* Who, how many changes, which cloud, when; then changes: which claim, what. Three times. */
    static const uint8_t three[] = {0, 0, 1, 0, 5, 0, 2, 0, 8, 0, 3, 0};
    static const uint8_t same[] = {0, 0, 1, 0, 0, 0, 1, 0, 5, 1, 2, 0, 3, 0};
    static const uint8_t late[] = {1, 0, 0, 2, 2, 2, 0, 0, 4, 0, 9, 5, 3, 1, 0, 0, 3, 17, 21};
    static const uint8_t cloud[] = {0, 0, 2, 0, 5, 0, 4, 0, 4, 1, 0, 0, 1, 16, 3};

    seed("peers", "every-platform", -1, qr_view_str(peerkit_policy()));
    seed("peers", "sim", -1, qr_view_str("{\"insecure_sim\":true}"));
    seed("peers", "document", -1,
         qr_view_str("{\"v\":1,\"type\":\"quorate/policy\",\n\"peers\":{\"insecure\":1}}"));
    broken(seed);
    seed("manifest", "good", 0, qr_view_str(manifest));
    seed("manifest", "lines", 1,
         qr_view_str("\ned25519 " X32("ab") " " X32("11") X32(
             "11") "\np256 036b17d1f2e12c4247f8bce6e"
                   "563a440f277037d812deb33a0f4a13945d898c296 " X32("11") X32("11") "\n"));
    seed("manifest", "date", 2, qr_view_str("2026-11-21T17:00:00Z"));
    seed("judge", "three", -1, qr_view_of(three, sizeof three));
    seed("judge", "same", -1, qr_view_of(same, sizeof same));
    seed("judge", "late", -1, qr_view_of(late, sizeof late));
    seed("judge", "cloud", -1, qr_view_of(cloud, sizeof cloud));
}
