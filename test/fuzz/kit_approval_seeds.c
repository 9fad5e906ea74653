/*
 * The named seeds of the targets approval (headers, assertions, approvers) and words (requests of the
 * words corpus, which lies where it is read from: run in the repository's root).
 */
#include "test/fuzz/kit_approval_seeds.h"

#include "protocol/base/enc.h"

#define KEY "\"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\""
#define ORIGIN "https://approve.example.org"

/* A header value in base64url. */
static void
header(qr_seed_fn seed, const char *name, const char *json)
{
    char out[1024];
    FUZZ_MUST(qr_b64url_len(strlen(json)) < sizeof out);
    qr_b64url_encode(qr_view_str(json), out);
    seed("approval", name, 0, qr_view_str(out));
}

/* Length and authenticatorData (zeros for the relying party's hash), then clientDataJSON. */
static void
assertion(qr_seed_fn seed, const char *name, uint8_t flags, size_t more, const char *client)
{
    uint8_t all[512] = {0};
    size_t n = 37 + more, len = strlen(client);
    all[0] = (uint8_t)n;
    all[1 + 32] = flags;
    FUZZ_MUST(1 + n + len <= sizeof all);
    memcpy(all + 1 + n, client, len);
    seed("approval", name, 1, qr_view_of(all, 1 + n + len));
}

/* What is refused, each by a rule of its own. */
static void
refused(qr_seed_fn seed)
{
    static const struct {
        const char *name, *rp, *origins;
    } bad[] = {
        {"approver-http", "example.org", "\"http://example.org\""},
        {"approver-port", "example.org", "\"https://example.org:0\""},
        {"approver-port-implied", "example.org", "\"https://example.org:443\""},
        {"approver-scheme", "example.org", "\"ftp://example.org\""},
        {"approver-slash", "example.org", "\"https://example.org/\""},
        {"approver-below", "example.org", "\"https://example.net\""},
        {"approver-twice", "example.org", "\"https://example.org\",\"https://example.org\""},
        {"approver-rp", "-.org", "\"https://example.org\""},
        {"approver-dot", "example.org.", "\"https://example.org\""},
    };
    static const struct {
        const char *name;
        uint8_t flags;
        size_t more;
        const char *client;
    } said[] = {
        {"unverified", 0x01, 0,
         "{\"type\":\"webauthn.get\",\"challenge\":\"@\",\"origin\":\"" ORIGIN "\"}"},
        {"backed-up", 0x15, 0,
         "{\"type\":\"webauthn.get\",\"challenge\":\"@\",\"origin\":\"" ORIGIN "\"}"},
        {"credential", 0x45, 9,
         "{\"type\":\"webauthn.get\",\"challenge\":\"@\",\"origin\":\"" ORIGIN "\"}"},
        {"length", 0x05, 9,
         "{\"type\":\"webauthn.get\",\"challenge\":\"@\",\"origin\":\"" ORIGIN "\"}"},
        {"create", 0x05, 0,
         "{\"type\":\"webauthn.create\",\"challenge\":\"@\",\"origin\":\"" ORIGIN "\"}"},
        {"another", 0x05, 0,
         "{\"type\":\"webauthn.get\",\"challenge\":\"AAAA\",\"origin\":\"" ORIGIN "\"}"},
        {"no-json", 0x05, 0, "@"},
    };
    char text[512];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int n = snprintf(text, sizeof text,
                         "{\"name\":\"a\",\"scheme\":\"webauthn\",\"key\":" KEY
                         ",\"rp_id\":\"%s\",\"origins\":[%s]}",
                         bad[i].rp, bad[i].origins);
        FUZZ_MUST(n > 0 && (size_t)n < sizeof text);
        seed("approval", bad[i].name, 2, qr_view_str(text));
    }
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        assertion(seed, said[i].name, said[i].flags, said[i].more, said[i].client);
    }
    seed("approval", "short", 1, qr_view_of("\3abc{\"type\":\"webauthn.get\"}", 27));
    uint8_t other[200] = {37, 9}; /* another relying party */
    static const char client[] =
        "{\"type\":\"webauthn.get\",\"challenge\":\"@\",\"origin\":\"" ORIGIN "\"}";
    memcpy(other + 38, client, sizeof client - 1);
    seed("approval", "relying-party", 1, qr_view_of(other, 38 + sizeof client - 1));
    header(seed, "header-hex",
           "{\"scheme\":\"webauthn\",\"publicKey\":" KEY ",\"authenticatorData\":\"AAAA\","
           "\"clientDataJSON\":\"e30\",\"signature\":\"3006020101020101AA\"}");
    header(seed, "header-data",
           "{\"scheme\":\"webauthn\",\"publicKey\":" KEY ",\"authenticatorData\":\"A\","
           "\"clientDataJSON\":\"e30\",\"signature\":\"3006020101020101\"}");
    header(seed, "header-client",
           "{\"scheme\":\"webauthn\",\"publicKey\":" KEY ",\"authenticatorData\":\"AAAA\","
           "\"clientDataJSON\":\"e31\",\"signature\":\"3006020101020101\"}");
    seed("approval", "header-text", 0, qr_view_str("no base64"));
    seed("approval", "headers", 0, qr_view_str("\n\n\n\n\n\n\n\n"));
}

static void
approvals(qr_seed_fn seed)
{
    header(seed, "header-own",
           "{\"publicKey\":" KEY ",\"signature\":\"3006020101020101\",\"scheme\":"
           "\"SIGNATURE_SCHEME_TK_API_SECP256K1\"}");
    header(seed, "header-passkey",
           "{\"scheme\":\"webauthn\",\"publicKey\":" KEY ",\"authenticatorData\":\"AAAA\","
           "\"clientDataJSON\":\"e30\",\"signature\":\"3006020101020101\"}");
    assertion(seed, "good", 0x05, 0,
              "{\"type\":\"webauthn.get\",\"challenge\":\"@\",\"origin\":\"" ORIGIN
              "\",\"crossOrigin\":false}");
    assertion(seed, "extended", 0x9d, 3,
              "{\"type\":\"webauthn.get\",\"challenge\":\"@\",\"origin\":\"" ORIGIN
              "\",\"more\":[1.5,null]}");
    assertion(seed, "framed", 0x05, 0,
              "{\"type\":\"webauthn.get\",\"challenge\":\"@\",\"origin\":\"" ORIGIN
              "\",\"crossOrigin\":true,\"topOrigin\":\"https://evil.test\"}");
    assertion(seed, "elsewhere", 0x05, 0,
              "{\"type\":\"webauthn.get\",\"challenge\":\"@\",\"origin\":\"https://evil.test\"}");
    assertion(seed, "not-there", 0x04, 0,
              "{\"type\":\"webauthn.get\",\"challenge\":\"@\",\"origin\":\"" ORIGIN "\"}");
    seed("approval", "approver-passkey", 2,
         qr_view_str("{\"name\":\"alice\",\"scheme\":\"webauthn\",\"key\":"
                     "\"036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\","
                     "\"rp_id\":\"example.org\",\"origins\":[\"https://a.example.org:8443\","
                     "\"https://example.org\"]}"));
    seed("approval", "approver-local", 2,
         qr_view_str("{\"name\":\"alice\",\"scheme\":\"webauthn\",\"key\":"
                     "\"036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\","
                     "\"rp_id\":\"localhost\",\"origins\":[\"http://localhost:8080\"]}"));
    seed("approval", "approver-own", 2,
         qr_view_str("{\"name\":\"carol\",\"scheme\":\"secp256k1\",\"key\":" KEY "}"));
}

static void
words(qr_seed_fn seed)
{
    static const char *const names[] = {"btc",
                                        "btc_legacy",
                                        "eth_any_chain",
                                        "eth_approve_all",
                                        "eth_create",
                                        "eth_for_all",
                                        "eth_short_data",
                                        "typed_any_chain",
                                        "raw_transaction",
                                        "times_far",
                                        "digest",
                                        "eth_2930",
                                        "eth_token",
                                        "eth_unknown",
                                        "message_bytes",
                                        "message_lines",
                                        "raw_several",
                                        "typed"};
    static uint8_t body[8192];
    char path[128];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "test/clients/words/%s.json", names[i]);
        FILE *f = fopen(path, "r");
        FUZZ_MUST(f);
        size_t n = fread(body, 1, sizeof body, f);
        FUZZ_MUST(n < sizeof body && fclose(f) == 0);
        seed("words", names[i], 0, qr_view_of(body, n));
    }
    seed("words", "document", 1,
         qr_view_str("{\"types\":{\"A\":[\"}\"]},\"primaryType\":\"A\",\"domain\":{\"name\":"
                     "\"\\ud83d\\ude00\\n\"},\"message\":{\"a\":[[],{},[1,-2.5e3,true]],\"b\":{"
                     "\"c\":\"\\\"\"}}}"));
}

void
fuzz_seeds_approval(qr_seed_fn seed)
{
    approvals(seed);
    refused(seed);
    words(seed);
}
