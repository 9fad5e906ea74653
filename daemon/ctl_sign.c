/*
 * quorate sign, and verification of a signature: a client that trusts nobody.
 *
 * sign: reads the roster, asks a gateway for the key and checks its n confirmations against the
 * roster, writes and stamps the request, sends it, and verifies what comes back before it shows
 * any of it. A gateway that is away, busy or lying is left for the next one.
 */
#include "daemon/ctl.h"

#include "daemon/addr.h"
#include "daemon/client/check.h"
#include "daemon/client/ecsig.h"
#include "daemon/client/http.h"
#include "daemon/jsonw.h"
#include "daemon/keyjson.h"
#include "daemon/loop.h"
#include "daemon/stamp.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"

#include <openssl/evp.h>

#define HTTP_MS 30000u
#define LIFE_MS 120000u /* of a request; also while gateways are tried in turn */

struct job {
    const char *gateways, *roster, *key_hex, *client, *kind, *path, *der, *pem, *id, *ca;
    int hex;
    struct qr_roster *r;
    EVP_PKEY *client_key;
    uint8_t key[33];
    qr_view preimage;
    struct qr_dbuf body;
    char stamp[QR_STAMP_MAX];
    struct qr_request request; /* our own body, read as every party will read it */
    struct qr_key_pub pub;
    struct qr_client_signed out;
};

/* ---- the request ---- */

/* "0/5" to [0,5]. */
static int
put_path(const struct qr_ctl *c, struct qr_jsonw *w, const char *path)
{
    size_t depth = 0;

    qr_jsonw_raw(w, ",\"path\":[");
    for (const char *p = path ? path : ""; *p; depth++) {
        unsigned long v = 0;
        size_t n = strcspn(p, "/");
        if (depth == QR_PATH_MAX || !qr_parse_decimal(p, n, 0x7fffffff, &v) ||
            (p[n] == '/' && p[n + 1] == '\0')) {
            return qr_ctl_fail(c, QR_EXIT_USAGE,
                               "--path \"%s\": up to %u numbers below 2^31 with / between them",
                               path, QR_PATH_MAX);
        }
        qr_jsonw_raw(w, depth ? "," : "");
        qr_jsonw_u64(w, v);
        p += n + (p[n] == '/');
    }
    qr_jsonw_raw(w, "]");
    return QR_EXIT_OK;
}

static int
build_request(const struct qr_ctl *c, struct job *j)
{
    struct qr_jsonw w = qr_jsonw_to(&j->body);
    struct qr_rng rng = qr_rng_system();
    uint8_t id[16], digest[32];
    char detail[256];
    uint64_t now = qr_wall_ms();

    qr_jsonw_raw(&w, "{\"v\":1,\"cluster\":");
    qr_jsonw_hex(&w, j->r->cluster, 32);
    qr_jsonw_raw(&w, ",\"key\":");
    qr_jsonw_hex(&w, j->key, sizeof j->key);
    qr_jsonw_raw(&w, ",\"id\":");
    if (j->id) {
        qr_jsonw_str(&w, qr_view_str(j->id));
    } else {
        qr_rng_fill(&rng, id, sizeof id);
        qr_jsonw_hex(&w, id, sizeof id);
    }
    qr_jsonw_raw(&w, ",\"issued_ms\":");
    qr_jsonw_u64(&w, now);
    qr_jsonw_raw(&w, ",\"expires_ms\":");
    qr_jsonw_u64(&w, now + LIFE_MS);
    int code = put_path(c, &w, j->path);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_jsonw_raw(&w, ",\"items\":[{\"kind\":");
    qr_jsonw_str(&w, qr_view_str(j->kind));
    if (strcmp(j->kind, qr_kind_name(QR_KIND_DIGEST)) == 0) {
        /* The quorum sees a hash only, and signs it only where a rule names this kind. */
        qr_sha256(j->preimage, digest);
        qr_jsonw_raw(&w, ",\"digest\":");
        qr_jsonw_hex(&w, digest, sizeof digest);
    } else {
        qr_jsonw_raw(&w, ",\"preimage\":");
        qr_jsonw_hex(&w, j->preimage.p, j->preimage.len);
    }
    qr_jsonw_raw(&w, "}]}");
    if (w.err != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "the request would be longer than %u bytes",
                           QR_BODY_MAX);
    }
    qr_view body = qr_view_of(j->body.p, j->body.len);
    if (qr_request_parse(body, &j->request, detail, sizeof detail) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "the request would be refused: %s", detail);
    }
    if (qr_stamp_sign(j->client_key, body, j->stamp, sizeof j->stamp) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_CONFIG, "%s cannot stamp", j->client);
    }
    return QR_EXIT_OK;
}

/* ---- one gateway ---- */

/* Reads a response's body; a problem is said and its exit code returned. */
static int
call(const struct qr_ctl *c, const struct job *j, const char *gateway, const char *method,
     const char *path, qr_view body, struct qr_http_response *ret)
{
    struct qr_http_url u;
    char err[512];
    struct qr_http_request q = {.method = method,
                                .path = path,
                                .body = body,
                                .ca_file = j->ca,
                                .stamp = body.len ? j->stamp : NULL,
                                .timeout_ms = HTTP_MS};

    if (qr_http_url_parse(gateway, &u) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "\"%s\" is not http(s)://HOST:PORT", gateway);
    }
    qr_err e = qr_http_do(&u, &q, ret, err, sizeof err);
    if (e != QR_OK) {
        return qr_ctl_fail(c, e == QR_ERR_ADDRESS ? QR_EXIT_USAGE : QR_EXIT_TEMPORARY, "%s", err);
    }
    if (ret->status != 200) {
        int code = qr_ctl_problem(c, gateway, ret->status, qr_view_of(ret->body.p, ret->body.len));
        qr_dbuf_free(&ret->body);
        return code;
    }
    return QR_EXIT_OK;
}

static int
fetch_key(const struct qr_ctl *c, struct job *j, const char *gateway)
{
    char path[128], why[256];
    struct qr_http_response r;

    snprintf(path, sizeof path, "/v1/keys/%s", j->key_hex);
    int code = call(c, j, gateway, "GET", path, (qr_view){NULL, 0}, &r);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_err e = qr_keyjson_parse(qr_view_of(r.body.p, r.body.len), &j->pub);
    if (e != QR_OK) {
        snprintf(why, sizeof why, "its key record cannot be read: %s", qr_err_text(e));
    } else if (memcmp(j->pub.pk, j->key, 33) != 0) {
        e = QR_ERR_IDENTITY;
        snprintf(why, sizeof why, "it showed another key than the one asked for");
    } else {
        e = qr_client_key_check(&j->pub, j->r, why, sizeof why);
    }
    qr_dbuf_free(&r.body);
    return e == QR_OK
               ? QR_EXIT_OK
               : qr_ctl_fail(c, QR_EXIT_REFUSED, "%s is not to be trusted: %s", gateway, why);
}

static int
ask_gateway(const struct qr_ctl *c, struct job *j, const char *gateway)
{
    struct qr_http_response r;
    char why[QR_ERR_TEXT_MAX] = "";

    int code = fetch_key(c, j, gateway);
    if (code != QR_EXIT_OK) {
        return code;
    }
    code = call(c, j, gateway, "POST", "/v1/sign", qr_view_of(j->body.p, j->body.len), &r);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_err e = qr_client_signed_check(qr_view_of(r.body.p, r.body.len), &j->request, &j->pub, &j->out,
                                   why, sizeof why);
    qr_dbuf_free(&r.body);
    return e == QR_OK
               ? QR_EXIT_OK
               : qr_ctl_fail(c, QR_EXIT_REFUSED, "%s is not to be trusted: %s", gateway, why);
}

/* Gateways in turn, the same bytes to each: an id is signed once, whoever carries it. */
static int
ask_all(const struct qr_ctl *c, struct job *j)
{
    int code = QR_EXIT_USAGE, worst = QR_EXIT_OK;
    struct qr_http_url u;
    char gateway[512];

    for (const char *p = j->gateways; *p;) {
        size_t n = strcspn(p, ",");
        if (n == 0 || n >= sizeof gateway) {
            return qr_ctl_fail(c, QR_EXIT_USAGE, "--gateway takes URLs with commas between them");
        }
        memcpy(gateway, p, n);
        gateway[n] = '\0';
        p += n + (p[n] == ',');
        if (qr_http_url_parse(gateway, &u) != QR_OK) {
            return qr_ctl_fail(c, QR_EXIT_USAGE, "\"%s\" is not http(s)://HOST:PORT", gateway);
        }
        code = ask_gateway(c, j, gateway);
        if (code == QR_EXIT_OK) {
            return code;
        }
        /* Our own check found nothing wrong with the request, so any refusal may be a lie. */
        worst = code > worst ? code : worst;
        if (*p) {
            qr_ctl_warn(c, "trying the next gateway");
        }
    }
    return worst;
}

/* ---- results ---- */

static void
print_json(const struct job *j)
{
    char t[129];
    qr_hex_encode(qr_view_of(j->request.hash, 32), t);
    printf("{\"verified\":true,\"request\":\"%s\"", t);
    qr_hex_encode(qr_view_of(j->out.pk, 33), t);
    printf(",\"public_key\":\"%s\"", t);
    qr_hex_encode(qr_view_of(j->request.items[0].digest, 32), t);
    printf(",\"digest\":\"%s\"", t);
    qr_hex_encode(qr_view_of(j->out.rs[0], 64), t);
    printf(",\"r\":\"%.64s\",\"s\":\"%s\",\"recid\":%u,\"signers\":[", t, t + 64, j->out.recid[0]);
    for (size_t i = 0; i < j->out.n_signers; i++) {
        printf("%s%u", i ? "," : "", j->out.signers[i]);
    }
    printf("],\"micros\":%llu,\"bytes\":%llu,\"moves\":%llu,\"insecure_sim\":%s}\n",
           (unsigned long long)j->out.micros, (unsigned long long)j->out.bytes,
           (unsigned long long)j->out.moves, j->pub.flags & QR_KEY_INSECURE_SIM ? "true" : "false");
}

static void
print_human(const struct qr_ctl *c, const struct job *j)
{
    char t[129];
    qr_hex_encode(qr_view_of(j->out.rs[0], 64), t);
    printf("r          %.64s\ns          %s\nrecid      %u\n", t, t + 64, j->out.recid[0]);
    qr_hex_encode(qr_view_of(j->request.items[0].digest, 32), t);
    printf("digest     %s\n", t);
    qr_hex_encode(qr_view_of(j->out.pk, 33), t);
    printf("public key %s\nsigners   ", t);
    for (size_t i = 0; i < j->out.n_signers; i++) {
        printf(" %u", j->out.signers[i]);
    }
    printf(" (of %u, %u needed)\n", j->pub.n, j->pub.t);
    qr_ctl_progress(c, "verified: the key is the roster's, the signature is the key's");
    if (j->pub.flags & QR_KEY_INSECURE_SIM) {
        qr_ctl_warn(c, "the key was made with the software TEE, which protects nothing");
    }
}

static int
write_results(const struct qr_ctl *c, const struct job *j)
{
    uint8_t der[72];
    struct qr_dbuf pem;
    int code = QR_EXIT_OK;

    if (j->der) {
        code = qr_ctl_write(c, j->der, qr_view_of(der, qr_ecsig_der(j->out.rs[0], der)), 0644);
    }
    if (code == QR_EXIT_OK && j->pem) {
        qr_dbuf_init(&pem, 4096);
        code = qr_ecsig_spki_pem(j->out.pk, &pem) == QR_OK
                   ? qr_ctl_write(c, j->pem, qr_view_of(pem.p, pem.len), 0644)
                   : qr_ctl_fail(c, QR_EXIT_INTERNAL, "the public key cannot be encoded");
        qr_dbuf_free(&pem);
    }
    if (code == QR_EXIT_OK && c->json) {
        print_json(j);
    } else if (code == QR_EXIT_OK) {
        print_human(c, j);
    }
    return code;
}

/* ---- sign ---- */

/* Hex text in place of bytes: "0x" in front and white space behind are let through. */
static int
unhex(const struct qr_ctl *c, struct qr_dbuf *d)
{
    size_t from = d->len >= 2 && d->p[0] == '0' && d->p[1] == 'x' ? 2 : 0, to = d->len;
    while (to > from && (d->p[to - 1] == '\n' || d->p[to - 1] == '\r' || d->p[to - 1] == ' ')) {
        to--;
    }
    size_t n = (to - from) / 2;
    uint8_t *bytes = qr_alloc(n + 1);
    if (!bytes || qr_hex_decode((const char *)d->p + from, to - from, bytes, n) != QR_OK) {
        qr_free(bytes);
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--hex: the input is not lower-case hex");
    }
    memcpy(d->p, bytes, n);
    d->len = n;
    qr_free(bytes);
    return QR_EXIT_OK;
}

static int
load_trust(const struct qr_ctl *c, struct job *j)
{
    char err[QR_ERR_TEXT_MAX] = "";
    struct qr_dbuf d;

    if (strlen(j->key_hex) != 66 || qr_hex_decode(j->key_hex, 66, j->key, sizeof j->key) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "--key takes a public key of 66 lower-case hex digits");
    }
    int code = qr_ctl_read(c, j->roster, QR_DOC_MAX, &d);
    if (code != QR_EXIT_OK) {
        return code;
    }
    if (qr_roster_parse(qr_view_of(d.p, d.len), &j->r, err, sizeof err) != QR_OK) {
        code = qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", j->roster, err);
    }
    qr_dbuf_free(&d);
    return code == QR_EXIT_OK ? qr_ctl_load_key(c, j->client, &j->client_key) : code;
}

static int
sign(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv)
{
    static struct job j;
    struct qr_ctl_list rest;
    struct qr_dbuf input;
    enum qr_kind kind;
    const struct qr_ctl_opt opts[] = {
        {"gateway", QR_CTL_TEXT, &j.gateways, "URL[,URL...]", "gateways, tried in this order", 1,
         0},
        {"roster", QR_CTL_TEXT, &j.roster, "FILE", "the roster you trust", 1, 0},
        {"key", QR_CTL_TEXT, &j.key_hex, "HEX", "the quorum's public key", 1, 0},
        {"client", QR_CTL_TEXT, &j.client, "FILE",
         "your private key, whose public half is in the policy", 1, 0},
        {"kind", QR_CTL_TEXT, &j.kind, "KIND", "sha256 (default), sha256d, eip191, eth_tx, digest",
         0, 0},
        {"path", QR_CTL_TEXT, &j.path, "0/5", "BIP32 child, non-hardened", 0, 0},
        {"hex", QR_CTL_FLAG, &j.hex, NULL, "the input is hex text", 0, 0},
        {"der", QR_CTL_TEXT, &j.der, "FILE", "write the signature in DER", 0, 0},
        {"pem", QR_CTL_TEXT, &j.pem, "FILE", "write the public key it verifies under, in PEM", 0,
         0},
        {"id", QR_CTL_TEXT, &j.id, "ID", "request id; repeat it to repeat a request", 0, 0},
        {"ca", QR_CTL_TEXT, &j.ca, "FILE", "roots for https instead of the system's", 0, 0},
        {.kind = QR_CTL_END},
    };

    memset(&j, 0, sizeof j);
    int code = qr_ctl_parse(c, cmd, opts, argc, argv, &rest, 1, 1);
    if (code >= 0) {
        return code;
    }
    j.kind = j.kind ? j.kind : qr_kind_name(QR_KIND_SHA256);
    if (qr_kind_parse(qr_view_str(j.kind), &kind) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_USAGE,
                           "\"%s\" is no kind: sha256, sha256d, eip191, eth_tx, digest", j.kind);
    }
    code = load_trust(c, &j);
    if (code != QR_EXIT_OK) {
        return code;
    }
    /* Of a digest's input nothing but the hash leaves, so it may be long. */
    code = qr_ctl_read(c, rest.v[0], kind == QR_KIND_DIGEST ? 1u << 30 : 2 * QR_PREIMAGE_MAX + 16,
                       &input);
    if (code == QR_EXIT_OK && j.hex) {
        code = unhex(c, &input);
    }
    if (code == QR_EXIT_OK) {
        qr_dbuf_init(&j.body, QR_BODY_MAX + 1);
        j.preimage = qr_view_of(input.p, input.len);
        code = build_request(c, &j);
    }
    if (code == QR_EXIT_OK) {
        code = ask_all(c, &j);
    }
    if (code == QR_EXIT_OK) {
        code = write_results(c, &j);
    }
    EVP_PKEY_free(j.client_key);
    qr_roster_free(j.r);
    qr_dbuf_free(&j.body);
    qr_dbuf_free(&input);
    return code;
}

/* ---- verify ---- */

int
qr_ctl_verify_signature(const struct qr_ctl *c, const char *pub, const char *sig, const char *file)
{
    struct qr_dbuf d = {0}, s = {0};
    uint8_t pk33[33], rs[64], digest[32];
    qr_pt pk;

    if (strlen(pub) != 66 || qr_hex_decode(pub, 66, pk33, sizeof pk33) != QR_OK ||
        qr_pt_parse(&pk, pk33) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_USAGE, "--key is no compressed secp256k1 public key in hex");
    }
    int code = qr_ctl_read(c, sig, 128, &s);
    if (code != QR_EXIT_OK) {
        return code;
    }
    code = qr_ctl_read(c, file, 1u << 30, &d);
    if (code == QR_EXIT_OK) {
        qr_sha256(qr_view_of(d.p, d.len), digest);
        if (qr_ecsig_parse(qr_view_of(s.p, s.len), rs) != QR_OK) {
            code = qr_ctl_fail(c, QR_EXIT_CONFIG, "%s is no DER signature", sig);
        } else if (qr_ecdsa_verify(&pk, digest, rs) != QR_OK) {
            code = qr_ctl_fail(c, QR_EXIT_REFUSED, "the signature does not verify");
        } else {
            puts(c->json ? "{\"verified\":true}" : "verified");
        }
        qr_dbuf_free(&d);
    }
    qr_dbuf_free(&s);
    return code;
}

const struct qr_ctl_cmd qr_ctl_sign_cmds[] = {
    {"sign", "FILE",
     "Have FILE (- for stdin) signed; checks the key and the signature before showing anything.",
     sign},
    {.name = NULL},
};
