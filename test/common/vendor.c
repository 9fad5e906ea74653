#include "test/common/vendor.h"

#include "test/common/evgen_ca.h"

#include <stdio.h>
#include <stdlib.h>

#define CHIP                                                                                       \
    "0011223344556677889900112233445566778899001122334455667788990011"                             \
    "223344556677889900112233445566778899001122334455667788990011aabb"
#define AMD                                                                                        \
    "{\"source\":\"amd-kds\",\"product\":\"Milan\",\"chip\":\"" CHIP                               \
    "\",\"spl\":{\"bl\":4,\"tee\":0,\"snp\":24,\"ucode\":219}}"
#define INTEL                                                                                      \
    "{\"source\":\"intel-pcs\",\"tee\":\"tdx\",\"ca\":\"platform\",\"fmspc\":\"00806f050000\"}"
#define REST                                                                                       \
    "{\"source\":\"azure-thim\"},"                                                                 \
    "{\"source\":\"jwks\",\"issuer\":\"https://sharedweu.weu.attest.azure.net\"}"

const char vendor_needs_amd[] = "{\"v\":1,\"needs\":[" AMD "]}";
const char vendor_needs_intel[] = "{\"v\":1,\"needs\":[" INTEL "]}";
const char vendor_needs_all[] = "{\"v\":1,\"needs\":[" AMD "," INTEL "," REST "]}";

/* A copy that stays. */
static qr_view
stay(const void *p, size_t n)
{
    static uint8_t pool[1u << 20];
    static size_t used;
    if (n > sizeof pool - used) {
        abort();
    }
    uint8_t *q = pool + used;
    memcpy(q, p, n);
    used += n;
    return qr_view_of(q, n);
}

static struct evgen_der
certificate(const char *name, int ca)
{
    struct evgen_der d;
    EVP_PKEY *root = evgen_key(EVGEN_P384, 0);
    struct evgen_cert_spec s =
        evgen_cert_spec_of(name, ca ? root : evgen_key(EVGEN_P384, 1), "CN=root", root, ca);
    evgen_cert(&s, &d);
    return d;
}

qr_view
vendor_vek(void)
{
    struct evgen_der d = certificate("CN=SEV-VCEK", -1);
    return stay(d.p, d.len);
}

static qr_view
pem_pair(void)
{
    static uint8_t mem[16384];
    struct evgen_buf b = evgen_buf_over(mem, sizeof mem);
    struct evgen_der ask = certificate("CN=SEV-Milan", 1), ark = certificate("CN=root", 1);
    evgen_put_pem(&b, &ask);
    evgen_put_pem(&b, &ark);
    return stay(mem, b.len);
}

qr_view
vendor_amd_chain(void)
{
    return pem_pair();
}

qr_view
vendor_crl(int64_t this_ms)
{
    struct evgen_der d;
    struct evgen_crl_spec s = evgen_crl_spec_of("CN=root", evgen_key(EVGEN_P384, 0));
    s.this_ms = this_ms;
    s.next_ms = this_ms + 30 * EVGEN_DAY_MS;
    evgen_crl(&s, &d);
    return stay(d.p, d.len);
}

static qr_view
signed_json(const char *member, const char *issued)
{
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "{ \"%s\" : {\"id\":\"TDX\",\"issueDate\":\"%s\",\"x\":\"}\\\"{\",\"y\":[{}]},"
                     "\"signature\":\"%0128d\"}",
                     member, issued ? issued : "2026-01-01T00:00:00Z", 7);
    return stay(text, (size_t)n);
}

qr_view
vendor_tcb_info(const char *issued)
{
    return signed_json("tcbInfo", issued);
}

qr_view
vendor_qe_identity(const char *issued)
{
    return signed_json("enclaveIdentity", issued);
}

/* As a header carries a PEM chain. */
qr_view
vendor_tcb_header(void)
{
    static char text[16384];
    qr_view pem = pem_pair();
    size_t n = 0;
    for (size_t i = 0; i < pem.len; i++) {
        if (pem.p[i] == '\n' || pem.p[i] == ' ' || pem.p[i] == '=' || pem.p[i] == '/') {
            n += (size_t)snprintf(text + n, sizeof text - n, "%%%02X", pem.p[i]);
        } else {
            text[n++] = (char)pem.p[i];
        }
    }
    return stay(text, n);
}

qr_view
vendor_thim(void)
{
    static char text[32768];
    static uint8_t mem[16384];
    struct evgen_buf b = evgen_buf_over(mem, sizeof mem);
    struct evgen_der vek = certificate("CN=SEV-VCEK", -1);
    qr_view part[2];
    size_t n = 0;

    evgen_put_pem(&b, &vek);
    part[0] = evgen_buf_view(&b);
    part[1] = pem_pair();
    for (size_t k = 0; k < 2; k++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s",
                              k ? "\",\"certificateChain\":\"" : "{\"vcekCert\":\"");
        for (size_t i = 0; i < part[k].len; i++) {
            int c = part[k].p[i];
            n += (size_t)(c == '\n' ? snprintf(text + n, sizeof text - n, "\\n")
                                    : snprintf(text + n, sizeof text - n, "%c", c));
        }
    }
    n += (size_t)snprintf(text + n, sizeof text - n,
                          "\",\"tcbm\":\"D300000000000003\",\"cacheControl\":\"86400\"}");
    return stay(text, n);
}

qr_view
vendor_jwks(void)
{
    static const char text[] =
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"n\":\"AQ\",\"e\":\"AQAB\"}]}";
    return stay(text, sizeof text - 1);
}

/* ---- the service --------------------------------------------------------------------------- */

void
vendor_rule(struct vendor *v, const char *part, unsigned status, unsigned retry_after_s,
            qr_view body, qr_view header)
{
    if (v->n == VENDOR_RULES) {
        abort();
    }
    v->rule[v->n++] = (struct vendor_rule){part, status, retry_after_s, body, header};
}

void
vendor_init(struct vendor *v)
{
    qr_view none = qr_view_of(NULL, 0);
    *v = (struct vendor){0};
    vendor_rule(v, "blSPL", 200, 0, vendor_vek(), none);
    vendor_rule(v, "cert_chain", 200, 0, vendor_amd_chain(), none);
    vendor_rule(v, "/crl", 200, 0, vendor_crl(EVGEN_NOW_MS), none);
    vendor_rule(v, "/tcb?", 200, 0, vendor_tcb_info(NULL), vendor_tcb_header());
    vendor_rule(v, "/qe/identity", 200, 0, vendor_qe_identity(NULL), none);
    vendor_rule(v, "/pckcrl?", 200, 0, vendor_crl(EVGEN_NOW_MS), none);
    vendor_rule(v, "IntelSGXRootCA", 200, 0, vendor_crl(EVGEN_NOW_MS), none);
    vendor_rule(v, "/metadata/THIM", 200, 0, vendor_thim(), none);
    vendor_rule(v, "/certs", 200, 0, vendor_jwks(), none);
}

const struct vendor_rule *
vendor_find(const struct vendor *v, const char *url)
{
    for (size_t i = v->n; i > 0; i--) {
        if (strstr(url, v->rule[i - 1].part)) {
            return &v->rule[i - 1];
        }
    }
    return NULL;
}

static qr_err
start(void *ctx, uint64_t id, const struct qr_fetch_ask *ask)
{
    struct vendor *v = ctx;
    if (v->n_queued == QR_FETCH_JOBS) {
        return QR_ERR_BUSY;
    }
    v->queue[v->n_queued].id = id;
    (void)snprintf(v->queue[v->n_queued].url, QR_URL_MAX, "%s", ask->url);
    v->n_queued++;
    (void)snprintf(v->last_url, sizeof v->last_url, "%s", ask->url);
    (void)snprintf(v->last_post, sizeof v->last_post, "%s", ask->post ? ask->post : "");
    v->last_metadata = ask->metadata;
    v->asked++;
    return QR_OK;
}

static int
next(void *ctx, struct qr_fetch_done *ret)
{
    struct vendor *v = ctx;
    if (v->n_queued == 0) {
        return 0;
    }
    const struct vendor_rule *r = vendor_find(v, v->queue[0].url);
    *ret = (struct qr_fetch_done){.id = v->queue[0].id};
    if (r && r->status) {
        ret->status = r->status;
        ret->retry_after_s = r->retry_after_s;
        ret->body = r->body;
        ret->header = r->header;
    } else {
        (void)snprintf(ret->why, sizeof ret->why, "connection refused");
    }
    v->n_queued--;
    memmove(&v->queue[0], &v->queue[1], v->n_queued * sizeof v->queue[0]);
    return 1;
}

struct qr_fetcher
vendor_fetcher(struct vendor *v)
{
    return (struct qr_fetcher){.ctx = v, .start = start, .next = next, .fd = -1, .free = NULL};
}
