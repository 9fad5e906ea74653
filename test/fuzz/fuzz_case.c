/*
 * What an auditor hands over: a folder of evidence with its case.json, encoded evidence in one file,
 * a party's answer, and times, as `quorate verify` reads them; then verified and reported.
 *
 * The first byte chooses. A folder is pairs of (name, bytes). Must hold: an exit code that we document,
 * a report that is JSON and contradicts the verdict nowhere, memory given back.
 */
#include "daemon/ctl_attest.h"
#include "daemon/ctl_report.h"
#include "enclave-shim/verify/verify.h"
#include "protocol/base/hash.h"
#include "test/fuzz/kit.h"

#include <dirent.h>
#include <jansson.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

int __wrap_qr_ctl_fail(const struct qr_ctl *c, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What is said goes to a terminal, so that it must be printable. */
int
__wrap_qr_ctl_fail(const struct qr_ctl *c, int code, const char *format, ...)
{
    char text[4096];
    va_list ap;
    (void)c;
    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    FUZZ_MUST(text[0] != '\0' && !strchr(text, '\033'));
    return code;
}

static struct qr_ctl_case k;
static struct qr_verdict v;

static void
judge(void)
{
    const struct qr_verify_opts o = {.now_ms = k.at_ms};
    struct qr_dbuf out;
    json_error_t err;

    if (v.reason == QR_REASON_NONE && k.e.kind != QR_EV_NONE) {
        qr_err e = qr_verify(&k.e, &o, &v, NULL);
        FUZZ_MUST(e == QR_OK || e == QR_ERR_ATTESTATION || e == QR_ERR_NO_MEMORY);
        FUZZ_MUST((e == QR_OK) <= (v.reason == QR_REASON_NONE));
    }
    qr_dbuf_init(&out, QR_REPORT_MAX);
    FUZZ_MUST(qr_ctl_report_json(k.platform, &v, &out) == QR_OK);
    json_t *j = json_loadb((const char *)out.p, out.len,
                           JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &err);
    FUZZ_MUST(j != NULL);
    const char *verdict = json_string_value(json_object_get(j, "verdict"));
    FUZZ_MUST(verdict && (strcmp(verdict, "valid") == 0) == (v.reason == QR_REASON_NONE));
    FUZZ_MUST(json_is_null(json_object_get(j, "reason")) == (v.reason == QR_REASON_NONE));
    json_decref(j);
    qr_dbuf_free(&out);
    FUZZ_MUST(qr_ctl_report_text(k.platform, &v, 1, &out) == QR_OK);
    for (size_t i = 0; i < out.len; i++) {
        FUZZ_MUST(out.p[i] == '\n' || (out.p[i] >= 0x20 && out.p[i] < 0x7f));
    }
    qr_dbuf_free(&out);
}

static void
empty(const char *path)
{
    char file[512];
    DIR *d = opendir(path);

    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        (void)snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        (void)unlink(file);
    }
    if (d) {
        closedir(d);
    }
}

static void
folder(const struct qr_ctl *c, struct fuzz_in *in)
{
    static char path[160];
    char name[300];

    (void)snprintf(path, sizeof path, "%s/case", fuzz_dir());
    (void)mkdir(path, 0700);
    for (int i = 0; i < 12 && in->len > 0; i++) {
        qr_view n = fuzz_bytes(in), bytes = fuzz_bytes(in);
        if (n.len == 0 || memchr(n.p, '/', n.len) || memchr(n.p, '\0', n.len) || n.p[0] == '.') {
            continue;
        }
        (void)snprintf(name, sizeof name, "case/%.*s", (int)n.len, (const char *)n.p);
        if (n.len < 100) {
            (void)fuzz_file(name, 0, bytes);
        }
    }
    qr_verdict_init(&v);
    int rc = qr_ctl_case_load(c, path, &k, &v);
    FUZZ_MUST(rc == QR_EXIT_OK || rc == QR_EXIT_CONFIG || rc == QR_EXIT_USAGE);
    if (rc == QR_EXIT_OK) {
        judge();
    }
    qr_ctl_case_free(&k);
    empty(path);
}

static void
encoded(const struct qr_ctl *c, qr_view bytes)
{
    memset(&k, 0, sizeof k);
    k.at_ms = -1;
    qr_verdict_init(&v);
    int rc = qr_ctl_case_add(c, fuzz_file("evidence", 1, bytes), &k, &v);
    FUZZ_MUST(rc == QR_EXIT_OK || rc == QR_EXIT_USAGE || rc == QR_EXIT_CONFIG);
    if (rc == QR_EXIT_OK) {
        judge();
        qr_ctl_case_guess(&k);
    }
    qr_ctl_case_free(&k);
}

/* The identity, hashes and nonce are zeros, so that answers about our party can be made. */
static void
answer(const struct qr_ctl *c, qr_view bytes)
{
    static const uint8_t zero[32];
    static struct qr_roster roster;
    const struct qr_ctl_asked asked = {.nonce = zero, .roster = &roster, .policy_hash = zero};
    struct qr_ctl_attest a;

    roster.n = 2;
    roster.party[0].index = 1;
    roster.party[0].platform = QR_PLATFORM_SIM;
    roster.party[1].index = 2;
    roster.party[1].platform = QR_PLATFORM_TDX;
    qr_verdict_init(&v);
    int rc = qr_ctl_attest_load(c, fuzz_file("answer", 2, bytes), &asked, &a, &k, &v);
    FUZZ_MUST(rc == QR_EXIT_OK || rc == QR_EXIT_CONFIG);
    if (rc == QR_EXIT_OK) {
        FUZZ_MUST(v.reason != QR_REASON_NONE || a.party != NULL);
        judge();
    }
    qr_dbuf_free(&a.evidence);
    qr_ctl_case_free(&k);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int started;
    const struct qr_ctl c = {.json = 1};
    unsigned which = fuzz_choice(&data, &size, 4);
    struct fuzz_in in = fuzz_in_of(data, size);
    char text[64];
    int64_t ms = -7;

    if (!started) {
        FUZZ_MUST(qr_hash_init() == QR_OK);
        started = 1;
    }
    switch (which) {
    case 0:
        folder(&c, &in);
        break;
    case 1:
        encoded(&c, qr_view_of(data, size));
        break;
    case 2:
        answer(&c, qr_view_of(data, size));
        break;
    default:
        size = size < sizeof text - 1 ? size : sizeof text - 1;
        memcpy(text, data, size);
        text[size] = '\0';
        int ok = qr_ctl_time(text, &ms);
        FUZZ_MUST(ok ? ms >= 0 && ms < INT64_C(253402387200000) : ms == -7);
    }
    return 0;
}
