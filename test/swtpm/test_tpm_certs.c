/*
 * Certificates that lie in a TPM: the endorsement key's, by swtpm_setup's own authority, and an
 * attestation key's where Google keeps it, judged by our verifier together with a quote.
 */
#include "enclave-shim/tpm/tpm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/cert.h"
#include "enclave-shim/verify/tpm.h"
#include "enclave-shim/verify/verify.h"
#include "protocol/base/hash.h"
#include "test/common/evgen_tpm.h"
#include "test/common/swtpm.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NV_EK_RSA 0x01c00002u
#define NV_EK_ECC 0x01c00016u
#define EK_RSA 0x81010001u
#define NV_AK_CERT 0x01c10002u
#define NV_AK_TEMPLATE 0x01c10003u

static struct swtpm sw;
static struct qr_tpm *tpm;
static char why[512];
static struct qr_verdict v;

static void
put(const char *name, const char *text)
{
    tmpdir_write(tmpdir_file(&sw.dir, name), (const uint8_t *)text, strlen(text));
}

/* What a hypervisor's operator does once: makes the TPM's keys, certifies them with a CA of his own. */
static void
manufacture(void)
{
    char state[96], config[128], text[1024];
    int st = 0;

    const char *dir = sw.dir.path;
    (void)snprintf(text, sizeof text,
                   "create_certs_tool = /usr/bin/swtpm_localca\n"
                   "create_certs_tool_config = %s/localca.conf\n"
                   "create_certs_tool_options = %s/localca.options\n",
                   dir, dir);
    put("setup.conf", text);
    (void)snprintf(text, sizeof text,
                   "statedir = %s\nsigningkey = %s/signkey.pem\nissuercert = %s/issuercert.pem\n"
                   "certserial = %s/certserial\n",
                   dir, dir, dir, dir);
    put("localca.conf", text);
    put("localca.options",
        "--platform-manufacturer Test\n--platform-version 1\n--platform-model test\n");
    (void)snprintf(state, sizeof state, "%s", sw.dir.path);
    (void)snprintf(config, sizeof config, "%s/setup.conf", sw.dir.path);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen(tmpdir_file(&sw.dir, "setup.log"), "w", stdout) || dup2(1, 2) < 0) {
            _exit(126);
        }
        execlp("swtpm_setup", "swtpm_setup", "--tpm2", "--tpmstate", state, "--create-ek-cert",
               "--pcr-banks", "sha256", "--config", config, "--overwrite", (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0 && waitpid(pid, &st, 0) == pid);
    if (st != 0) {
        fail_msg("swtpm_setup failed (%d); deploy/deps.sh dev installs swtpm-tools", st);
    }
}

static int
setup(void **state)
{
    (void)state;
    swtpm_prepare(&sw);
    manufacture();
    swtpm_run(&sw);
    if (qr_tpm_open(sw.path, 0, &tpm, why, sizeof why) != QR_OK) {
        fail_msg("%s", why);
    }
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    tpm = qr_tpm_close(tpm);
    swtpm_stop(&sw);
    return 0;
}

static void
must(qr_err e)
{
    if (e != QR_OK) {
        fail_msg("%s: %s", qr_err_name(e), qr_tpm_error(tpm));
    }
}

static X509 *
pem(const char *name)
{
    FILE *f = fopen(tmpdir_file(&sw.dir, name), "r");
    assert_non_null(f);
    X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
    (void)fclose(f);
    assert_non_null(x);
    return x;
}

/* The certificate at an index, without what pads it. */
static X509 *
at_index(uint32_t index)
{
    struct qr_dbuf d;
    qr_dbuf_init(&d, QR_TPM_NV_MAX);
    must(qr_tpm_nv_read(tpm, index, 100, &d));
    const uint8_t *p = d.p;
    X509 *x = d2i_X509(NULL, &p, (long)d.len);
    qr_dbuf_free(&d);
    assert_non_null(x);
    return x;
}

static int
signed_by(X509 *x, X509 *ca)
{
    return X509_verify(x, X509_get0_pubkey(ca)) == 1 && X509_check_issued(ca, x) == X509_V_OK;
}

static void
test_ek(void **state)
{
    X509 *root = pem("swtpm-localca-rootca-cert.pem"), *issuer = pem("issuercert.pem");
    X509 *rsa = at_index(NV_EK_RSA), *ecc = at_index(NV_EK_ECC);
    uint8_t n[256], mine[256];
    BIGNUM *modulus = NULL;
    size_t len = 0;

    (void)state;
    assert_true(signed_by(root, root));
    assert_true(signed_by(issuer, root));
    assert_true(signed_by(rsa, issuer));
    assert_true(signed_by(ecc, issuer));
    assert_false(signed_by(rsa, root));
    /* It is the certificate of the key in this TPM. */
    assert_int_equal(swtpm_modulus(qr_tpm_fd(tpm), EK_RSA, mine, &len), 0);
    assert_true(EVP_PKEY_get_bn_param(X509_get0_pubkey(rsa), "n", &modulus));
    assert_int_equal(BN_bn2binpad(modulus, n, 256), 256);
    assert_memory_equal(n, mine, 256);
    BN_free(modulus);
    /* An endorsement key decrypts; it never quotes. */
    struct qr_tpm_key k = {0};
    assert_int_equal(qr_tpm_key_at(tpm, EK_RSA, &k), QR_ERR_PLATFORM);
    assert_non_null(strstr(qr_tpm_error(tpm), "restricted signing key"));
    X509_free(root);
    X509_free(issuer);
    X509_free(rsa);
    X509_free(ecc);
}

/* Google's way: template and certificate in NV, the key made from it at each start. */
static void
test_ak(void **state)
{
    static struct evak ca;
    static struct qr_roots roots;
    static const uint8_t binder[32] = "what the channel commits to ...";
    static struct qr_tpm_quote q;
    struct qr_tpm_key k = {0};
    struct qr_tpm_public pub;
    struct qr_dbuf cert;
    uint8_t t[128], values[32];

    (void)state;
    must(qr_tpm_nv_write(tpm, NV_AK_TEMPLATE, qr_view_of(t, swtpm_template(t))));
    must(qr_tpm_key_by_template(tpm, NV_AK_TEMPLATE, &k));
    qr_verdict_init(&v);
    assert_int_equal(qr_tpm_public_parse(qr_view_of(k.public_area, k.public_len), &v, &pub), QR_OK);
    evak_init(&ca, QR_ROOT_GOOGLE_VTPM, pub.key);
    evak_build(&ca);
    evak_pin(&ca, &roots);
    must(qr_tpm_nv_write(tpm, NV_AK_CERT, qr_view_of(ca.leaf.p, ca.leaf.len)));

    qr_dbuf_init(&cert, QR_TPM_NV_MAX);
    must(qr_tpm_nv_read(tpm, NV_AK_CERT, 100, &cert));
    must(qr_tpm_quote(tpm, &k, 1u << 4, qr_view_of(binder, 32), &q));
    memcpy(values, q.pcr[4], 32);
    struct qr_evidence e = {.kind = QR_EV_TPM};
    evak_add(&ca, &e);
    evtpm_swap(&e, QR_PART_AK_CERT, 0, qr_view_of(cert.p, cert.len));
    evtpm_swap(&e, QR_PART_TPM_QUOTE, 0, qr_view_of(q.attest, q.attest_len));
    evtpm_swap(&e, QR_PART_TPM_SIG, 0, qr_view_of(q.sig, q.sig_len));
    evtpm_swap(&e, QR_PART_TPM_PCRS, 0, qr_view_of(values, 32));
    evtpm_swap(&e, QR_PART_AK_PUBLIC, 0, qr_view_of(k.public_area, k.public_len));
    struct qr_verify_opts o = {
        .roots = &roots, .now_ms = EVGEN_NOW_MS, .binder = qr_view_of(binder, 32)};
    if (qr_verify(&e, &o, &v, NULL) != QR_OK) {
        fail_msg("refused: %s", v.sentence);
    }
    assert_int_equal(v.check[QR_CHECK_AK], QR_CHECK_PASS);

    /* Another TPM's key under this certificate is refused. */
    struct qr_tpm_key own = {0};
    must(qr_tpm_key_own(tpm, &own));
    must(qr_tpm_quote(tpm, &own, 1u << 4, qr_view_of(binder, 32), &q));
    evtpm_swap(&e, QR_PART_TPM_QUOTE, 0, qr_view_of(q.attest, q.attest_len));
    evtpm_swap(&e, QR_PART_TPM_SIG, 0, qr_view_of(q.sig, q.sig_len));
    assert_int_not_equal(qr_verify(&e, &o, &v, NULL), QR_OK);
    qr_tpm_key_free(tpm, &own);
    qr_tpm_key_free(tpm, &k);
    qr_dbuf_free(&cert);
    EVP_PKEY_free(pub.key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ek, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ak, setup, teardown),
    };
    if (qr_hash_init() != QR_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
