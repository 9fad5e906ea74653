/*
 * AES-128-ECB through EVP: the cipher is fetched once and contexts are re-keyed, never re-made.
 * One EncryptUpdate covers up to INT_MAX bytes, so the cost of the call disappears in bulk.
 */
#include "protocol/base/aes.h"

#include "protocol/base/check.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

/* 64 MiB: far above any batch, far below INT_MAX. */
#define CHUNK_BLOCKS ((size_t)1 << 22)

static EVP_CIPHER *cipher;
static pthread_once_t init_once = PTHREAD_ONCE_INIT;
static qr_err init_result = QR_ERR_CRYPTO_LIB;

/* Only instructions that do AES without tables are good enough. */
static int
cpu_has_aes(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("aes");
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & (1ul << 3)) != 0; /* HWCAP_AES */
#else
    return 0;
#endif
}

static void
init(void)
{
    /*
     * These variables switch instruction sets off inside OpenSSL, which would fall back to code
     * we have not vetted for timing although the processor is fine.
     */
    if (!cpu_has_aes() || getenv("OPENSSL_ia32cap") || getenv("OPENSSL_armcap")) {
        init_result = QR_ERR_CPU;
        return;
    }
    cipher = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
    if (cipher) {
        init_result = QR_OK;
    }
}

qr_err
qr_aes_init(void)
{
    if (pthread_once(&init_once, init) != 0) {
        return QR_ERR_CRYPTO_LIB;
    }
    return init_result;
}

/* struct qr_aes is never defined: the pointer is an EVP context in disguise. */
static EVP_CIPHER_CTX *
context(struct qr_aes *a)
{
    return (EVP_CIPHER_CTX *)a;
}

struct qr_aes *
qr_aes_new(void)
{
    static const uint8_t zero_key[16];
    EVP_CIPHER_CTX *c;

    if (qr_aes_init() != QR_OK) {
        return NULL;
    }
    c = EVP_CIPHER_CTX_new();
    if (c && (EVP_EncryptInit_ex2(c, cipher, zero_key, NULL, NULL) != 1 ||
              EVP_CIPHER_CTX_set_padding(c, 0) != 1)) {
        EVP_CIPHER_CTX_free(c);
        c = NULL;
    }
    return (struct qr_aes *)c;
}

struct qr_aes *
qr_aes_free(struct qr_aes *a)
{
    EVP_CIPHER_CTX_free(context(a)); /* cleanses the key schedule */
    return NULL;
}

void
qr_aes_key(struct qr_aes *a, const uint8_t key[static 16])
{
    QR_ASSERT(EVP_EncryptInit_ex2(context(a), NULL, key, NULL, NULL) == 1);
}

void
qr_aes_blocks(struct qr_aes *a, const uint8_t *in, uint8_t *out, size_t n_blocks)
{
    while (n_blocks > 0) {
        size_t n = n_blocks < CHUNK_BLOCKS ? n_blocks : CHUNK_BLOCKS;
        int written = 0;
        int ok = EVP_EncryptUpdate(context(a), out, &written, in, (int)(16 * n));
        QR_ASSERT(ok == 1 && (size_t)written == 16 * n);
        in += 16 * n;
        out += 16 * n;
        n_blocks -= n;
    }
}
