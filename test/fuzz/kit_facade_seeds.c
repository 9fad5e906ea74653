#include "test/fuzz/kit_facade_seeds.h"

#define POINT "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"
#define FROM "0x0000000000000000000000000000000000000001"

static const struct {
    const char *target, *name;
    int choice;
    const char *text;
} seeds[] = {
    {"sigv4", "post-vanilla", 0,
     "Host: example.amazonaws.com\nX-Amz-Date: 20150830T123600Z\n"
     "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/"
     "aws4_request, SignedHeaders=host;x-amz-date, Signature="
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b\n\n"},
    {"sigv4", "form", 0,
     "Content-Type: application/x-www-form-urlencoded\nHost: example.amazonaws.com\n"
     "X-Amz-Date: 20150830T123600Z\nx-amz-content-sha256: UNSIGNED-PAYLOAD\n"
     "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/"
     "aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature="
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a\n\nParam1=value1"},
    /* The byte after the choice names the operation. */
    {"sigv4", "sign", 1,
     "0{\"KeyId\":\"hot-1\",\"Message\":\"eA==\",\"SigningAlgorithm\":\"ECDSA_SHA_256\"}"},
    {"sigv4", "digest", 1,
     "0{\"KeyId\":\"arn:aws:kms:us-east-1:111122223333:alias/a\",\"MessageType\":\"DIGEST\","
     "\"Message\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"GrantTokens\":[],"
     "\"SigningAlgorithm\":\"ECDSA_SHA_256\",\"DryRun\":false}"},
    {"sigv4", "key", 1, "1{\"KeyId\":\"alias/a\"}"},
    {"sigv4", "describe", 1, "2{\"KeyId\":\"other\"}"},
    {"sigv4", "list", 1, "3{\"Limit\":1,\"Marker\":\"1\"}"},
    {"sigv4", "aliases", 1, "4{\"KeyId\":\"hot-1\"}"},
    {"sigv4", "kms-conf", 2,
     "0{\"v\":1,\"type\":\"quorate/kms-facade\",\"region\":\"us-east-1\",\"account\":"
     "\"111122223333\",\"keys\":[{\"id\":\"a\",\"key\":\"" POINT
     "\",\"path\":[0,5],\"aliases\":[\"b\"],\"description\":\"c\"}],\"access\":[{\"id\":\"AKID\","
     "\"secret\":\"0123456789abcdef\",\"keys\":[\"*\",\"a\"]}]}"},
    {"sigv4", "rpc-conf", 2,
     "1{\"v\":1,\"type\":\"quorate/rpc-facade\",\"chain_id\":1,\"token\":"
     "\"0123456789abcdef0123456789abcdef\",\"hosts\":[\"a:1\"],\"origins\":[\"https://a\"],"
     "\"accounts\":[{\"key\":\"" POINT "\",\"path\":[]}]}"},
    {"rpc", "accounts", 0,
     "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_accounts\"},{\"jsonrpc\":\"2.0\",\"id\":"
     "\"x\","
     "\"method\":\"net_version\",\"params\":[]}]"},
    {"rpc", "message", 0,
     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"personal_sign\",\"params\":[\"0x00\",\"" FROM
     "\"]}"},
    {"rpc", "typed", 0,
     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_signTypedData_v4\",\"params\":[\"" FROM
     "\",{\"types\":{\"A\":[{\"name\":\"b\",\"type\":\"string\"}]},\"primaryType\":\"A\","
     "\"domain\":{\"name\":\"x\"},\"message\":{\"b\":\"c\"}}]}"},
    {"rpc", "stranger", 1,
     "\x02\x0e"
     "127.0.0.1:8545\x11https://a.example\x27"
     "Bearer 0123456789abcdef0123456789abcdef"},
    {"rpc", "tx-2", 2,
     "{\"from\":\"" FROM "\",\"to\":\"" FROM
     "\",\"nonce\":\"0x7\",\"gas\":\"0x5208\",\"maxFeePerGas\":\"0x1\",\"maxPriorityFeePerGas\":"
     "\"0x0\",\"value\":\"0xde0b6b3a7640000\",\"data\":\"0xa9059cbb\"}"},
    {"rpc", "tx-1", 2,
     "{\"from\":\"" FROM "\",\"nonce\":\"0x0\",\"gasLimit\":\"0x1\",\"gasPrice\":\"0x1\",\"type\":"
     "\"0x1\",\"accessList\":"
     "[{\"address\":\"" FROM
     "\",\"storageKeys\":[\"0x00000000000000000000000000000000000000000000000"
     "0000000000000000a\"]}],\"chainId\":\"0x1\"}"},
    {"rpc", "tx-0", 2,
     "{\"from\":\"" FROM "\",\"to\":null,\"nonce\":\"0x0\",\"gas\":\"0x1\",\"gasPrice\":\"0x1\"}"},
    {"rpc", "problem", 3,
     "\x01\x93{\"code\":\"approval_needed\",\"detail\":\"x\",\"rule\":\"r\",\"party\":2,\"need\":2,"
     "\"approvers\":[\"alice\",\"bob\"]}"},
};

void
fuzz_seeds_facade(void (*seed)(const char *target, const char *name, int choice, qr_view v))
{
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        seed(seeds[i].target, seeds[i].name, seeds[i].choice, qr_view_str(seeds[i].text));
    }
}
