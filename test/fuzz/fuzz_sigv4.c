/*
 * Requests to the key manager's API: signatures of version 4, bodies, and its configuration.
 *
 * The first byte chooses: 0 a request whose headers and body the input gives, against the form and the
 * signature; 1 a body that counts as signed, with the operation the next byte names; 2 a configuration.
 * Must hold: what parses has its signed headers in order and host and date among them; no input has a
 * signature by a secret that it cannot know; every answer is JSON, a refusal has its type; a signature that
 * is handed out verifies. The quorum is the target's: --wrap of qr_client_key, qr_client_sign, and of qr_sigv4_check,
 * which only choice 1 replaces.
 */
#include "daemon/client/ecsig.h"
#include "daemon/facade/kms.h"
#include "daemon/facade/sigv4.h"
#include "protocol/base/hash.h"
#include "test/common/fakekey.h"
#include "test/fuzz/kit.h"

#include <jansson.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <string.h>

#define AT UINT64_C(1440938160000) /* 20150830T123600Z */

static struct fakekey key;
static struct qr_roster roster;
static struct qr_client *client;
static int is_signed; /* choice 1 */

enum qr_client_verdict __wrap_qr_client_key(struct qr_client *c, const uint8_t pk[static 33],
                                            struct qr_key_pub *ret, struct qr_client_fail *f);
enum qr_client_verdict __wrap_qr_client_sign(struct qr_client *c, struct qr_client_job *j,
                                             struct qr_client_fail *f);
enum qr_sigv4_result __wrap_qr_sigv4_check(const struct qr_sigv4 *s,
                                           const struct qr_facade_request *r, const char *secret,
                                           const char *region, const char *service, uint64_t now,
                                           char *why, size_t cap);
enum qr_sigv4_result __real_qr_sigv4_check(const struct qr_sigv4 *s,
                                           const struct qr_facade_request *r, const char *secret,
                                           const char *region, const char *service, uint64_t now,
                                           char *why, size_t cap);

enum qr_client_verdict
__wrap_qr_client_key(struct qr_client *c, const uint8_t pk[static 33], struct qr_key_pub *ret,
                     struct qr_client_fail *f)
{
    (void)c;
    (void)f;
    (void)pk;
    *ret = key.pub;
    return QR_CLIENT_DONE;
}

enum qr_client_verdict
__wrap_qr_client_sign(struct qr_client *c, struct qr_client_job *j, struct qr_client_fail *f)
{
    (void)c;
    (void)f;
    FUZZ_MUST(j->request.n_items == 1);
    fakekey_sign(&key, j->request.path, j->request.depth, j->request.items[0].digest, j->out.rs[0],
                 &j->out.recid[0]);
    return QR_CLIENT_DONE;
}

enum qr_sigv4_result
__wrap_qr_sigv4_check(const struct qr_sigv4 *s, const struct qr_facade_request *r,
                      const char *secret, const char *region, const char *service, uint64_t now,
                      char *why, size_t cap)
{
    return is_signed ? QR_SIGV4_OK
                     : __real_qr_sigv4_check(s, r, secret, region, service, now, why, cap);
}

static uint64_t
at(void)
{
    return AT;
}

static void
prepare(void)
{
    static const uint8_t zero[32];
    char err[256];

    if (client) {
        return;
    }
    fakekey_make(&key, 2, 3, 7, zero, zero, zero, 0);
    const struct qr_client_opts o = {
        .gateways = "http://127.0.0.1:1", .roster = &roster, .key = EVP_EC_gen("P-256")};
    FUZZ_MUST(qr_client_new(&o, &client, err, sizeof err) == QR_OK);
    fuzz_mute();
}

/* Lines "name: value" up to an empty one; the rest is the body. Text is kept in `mem`. */
static void
read_request(struct fuzz_in *in, struct qr_facade_request *r, char mem[static 8192])
{
    size_t n = in->len < 8191 ? in->len : 8191;
    char *p = mem;

    memcpy(mem, in->p, n);
    mem[n] = '\0';
    while (*p && *p != '\n' && r->n_headers < QR_FACADE_HEADERS_MAX) {
        size_t line = strcspn(p, "\n"), colon = strcspn(p, ":\n");
        char *end = p + line;
        int last = *end == '\0';
        if (colon < line) {
            p[colon] = '\0';
            r->header[r->n_headers++] =
                (struct qr_facade_header){p, p + colon + 1 + strspn(p + colon + 1, " ")};
        }
        *end = '\0';
        p = end + !last;
    }
    p += *p == '\n';
    r->body = qr_view_of(p, (size_t)(mem + n - p));
}

static void
signature(struct fuzz_in *in)
{
    static char mem[8192];
    static const char secret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    struct qr_facade_request r = {.method = "POST", .target = "/"};
    struct qr_sigv4 s;
    char why[256] = "";

    read_request(in, &r, mem);
    if (qr_sigv4_parse(&r, &s, why, sizeof why) != QR_SIGV4_OK) {
        FUZZ_MUST(why[0]);
        return;
    }
    int host = 0;
    FUZZ_MUST(s.n_signed >= 2 && s.n_signed <= QR_SIGV4_SIGNED_MAX && s.time_ms % 1000 == 0);
    for (size_t i = 0; i < s.n_signed; i++) {
        host |= qr_view_eq(s.signed_header[i], qr_view_str("host"));
    }
    FUZZ_MUST(host);
    /* The committed seed is signed with the first secret; nothing is signed with the other. */
    (void)qr_sigv4_check(&s, &r, secret, "us-east-1", "service", AT, why, sizeof why);
    FUZZ_MUST(qr_sigv4_check(&s, &r, "another secret entirely", "us-east-1", "service", AT, why,
                             sizeof why) == QR_SIGV4_INVALID);
}

static void
judge(const struct qr_facade_answer *a, qr_view message)
{
    json_t *j = json_loadb((const char *)a->body.p, a->body.len, 0, NULL);
    (void)message;
    FUZZ_MUST(json_is_object(j));
    FUZZ_MUST((a->status == 200) == (json_object_get(j, "__type") == NULL));
    FUZZ_MUST(a->status == 200 || json_string_value(json_object_get(j, "message"))[0]);
    json_decref(j);
}

static void
operation(struct fuzz_in *in)
{
    static const char *const names[] = {"Sign",     "GetPublicKey", "DescribeKey",
                                        "ListKeys", "ListAliases",  "Decrypt"};
    static struct qr_facade_conf conf = {.n_keys = 2,
                                         .region = "us-east-1",
                                         .account = "111122223333",
                                         .n_access = 1,
                                         .key = {{.id = "hot-1", .n_aliases = 1, .alias = {"a"}},
                                                 {.id = "other", .depth = 1, .path = {5}}},
                                         .access = {{.id = "AKID", .secret = "s", .may = {1}}}};
    char target[64];
    struct qr_facade_request r = {
        .method = "POST",
        .target = "/",
        .header = {{"Host", "h"},
                   {"X-Amz-Date", "20150830T123600Z"},
                   {"X-Amz-Target", target},
                   {"Content-Type", "application/x-amz-json-1.1"},
                   {"Authorization",
                    "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/kms/aws4_request, "
                    "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="
                    "0000000000000000000000000000000000000000000000000000000000000000"}},
        .n_headers = 5};
    struct qr_facade_answer a = {0};
    struct qr_kms k = {.client = client, .conf = &conf, .now_ms = at};

    (void)snprintf(target, sizeof target, "TrentService.%s", names[fuzz_u8(in) % 6]);
    memcpy(conf.key[0].key, key.pub.pk, 33);
    memcpy(conf.key[1].key, key.pub.pk, 33);
    r.body = qr_view_of(in->p, in->len);
    qr_dbuf_init(&a.body, 1u << 20);
    is_signed = 1;
    qr_kms_handle(&k, &r, &a);
    is_signed = 0;
    judge(&a, r.body);
    qr_dbuf_free(&a.body);
}

static void
configuration(struct fuzz_in *in)
{
    struct qr_facade_conf *c = NULL;
    char err[256] = "";
    enum qr_facade_sort sort = fuzz_u8(in) % 2 ? QR_FACADE_RPC : QR_FACADE_KMS;

    if (qr_facade_conf_parse(sort, qr_view_of(in->p, in->len), &c, err, sizeof err) != QR_OK) {
        FUZZ_MUST(err[0]);
        return;
    }
    FUZZ_MUST(c->n_keys >= 1 && c->n_keys <= QR_FACADE_KEYS_MAX);
    FUZZ_MUST(sort == QR_FACADE_RPC || (c->n_access >= 1 && strlen(c->account) == 12));
    for (size_t i = 0; i < c->n_keys; i++) {
        FUZZ_MUST(c->key[i].depth <= QR_PATH_MAX && (c->key[i].key[0] | 1) == 3);
    }
    qr_facade_conf_free(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = fuzz_in_of(data, size);

    prepare();
    switch (fuzz_u8(&in) % 3) {
    case 0:
        signature(&in);
        break;
    case 1:
        operation(&in);
        break;
    default:
        configuration(&in);
    }
    return 0;
}
