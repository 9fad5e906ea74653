/* AES-128 by published answers, and that blocks of one call do not touch each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/base/aes.h"
#include "test/common/testrng.h"
#include "test/common/vectors.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct qr_aes *aes;

static int
setup(void **state)
{
    (void)state;
    aes = qr_aes_init() == QR_OK ? qr_aes_new() : NULL;
    return aes ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    aes = qr_aes_free(aes);
    return aes ? -1 : 0;
}

/* FIPS 197 appendices B and C.1; SP 800-38A appendix F.1.1 (four blocks in one call). */
static void
test_known(void **state)
{
    static const struct {
        const char *key, *in, *out;
    } known[] = {
        {"2b7e151628aed2a6abf7158809cf4f3c", "3243f6a8885a308d313198a2e0370734",
         "3925841d02dc09fbdc118597196a0b32"},
        {"000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff",
         "69c4e0d86a7b0430d8cdb78070b4c55a"},
        {"2b7e151628aed2a6abf7158809cf4f3c",
         "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
         "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
         "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"
         "43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4"},
    };
    size_t n = sizeof known / sizeof known[0];

    (void)state;
    for (size_t i = 0; i < n; i++) {
        uint8_t key[16], in[64], out[64];
        hex_bytes(known[i].key, key, 16);
        size_t len = hex_any(known[i].in, in, sizeof in);
        qr_aes_key(aes, key);
        qr_aes_blocks(aes, in, out, len / 16);
        expect_hex(out, len, known[i].out);
        qr_aes_blocks(aes, in, in, len / 16); /* in place */
        assert_memory_equal(in, out, len);
    }
    vectors_ran("FIPS 197 and SP 800-38A AES-128", 6);
}

/* For every count up to 40 and a large one: as block by block, nothing written behind the end. */
static void
test_blocks_are_independent(void **state)
{
    struct qr_testrng rng;
    uint8_t key[16], in[41 * 16], all[41 * 16], one[16];

    (void)state;
    qr_testrng_seed(&rng, "aes");
    qr_testrng_fill(&rng, key, sizeof key);
    qr_testrng_fill(&rng, in, sizeof in);
    qr_aes_key(aes, key);
    for (size_t n = 0; n <= 40; n++) {
        memset(all, 0xee, sizeof all);
        qr_aes_blocks(aes, in, all, n);
        for (size_t i = 0; i < n; i++) {
            qr_aes_blocks(aes, in + 16 * i, one, 1);
            assert_memory_equal(all + 16 * i, one, 16);
        }
        for (size_t i = 16 * n; i < sizeof all; i++) {
            assert_int_equal(all[i], 0xee);
        }
    }
    /* Unaligned, and as many as a batch of pads has. */
    size_t n = 300001;
    uint8_t *big = malloc(16 * n + 1);
    assert_non_null(big);
    memset(big, 0, 16 * n + 1);
    for (size_t i = 0; i < n; i++) {
        qr_put32(big + 1 + 16 * i, (uint32_t)i);
    }
    qr_aes_blocks(aes, big + 1, big + 1, n);
    for (size_t i = 0; i < n; i += 9973) {
        uint8_t b[16] = {0};
        qr_put32(b, (uint32_t)i);
        qr_aes_blocks(aes, b, b, 1);
        assert_memory_equal(b, big + 1 + 16 * i, 16);
    }
    free(big);
}

static void
test_contexts_are_independent(void **state)
{
    struct qr_aes *other = qr_aes_new();
    uint8_t k1[16] = {1}, k2[16] = {2}, zero[16] = {0}, a[16], b[16];

    (void)state;
    assert_non_null(other);
    qr_aes_blocks(other, zero, a, 1); /* the first key is zero */
    expect_hex(a, 16, "66e94bd4ef8a2c3b884cfa59ca342b2e");
    qr_aes_key(aes, k1);
    qr_aes_key(other, k2);
    qr_aes_blocks(aes, zero, a, 1);
    qr_aes_blocks(other, zero, b, 1);
    assert_memory_not_equal(a, b, 16);
    qr_aes_key(other, k1);
    qr_aes_blocks(other, zero, b, 1);
    assert_memory_equal(a, b, 16);
    assert_null(qr_aes_free(other));
    assert_null(qr_aes_free(NULL));
}

/* Started with a variable that may hide the instructions, it refuses to work. */
static void
test_refuses_hidden_instructions(void **state)
{
    static const char *const names[] = {"OPENSSL_ia32cap", "OPENSSL_armcap"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        int status = 0;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            /* Again from the start: the check runs once in a process. */
            (void)setenv(names[i], "~0x200000200000000", 1);
            (void)setenv("QR_TEST_AES_REFUSES", "1", 1);
            (void)execl("/proc/self/exe", "test_aes", (char *)NULL);
            _exit(1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_blocks_are_independent),
        cmocka_unit_test(test_contexts_are_independent),
        cmocka_unit_test(test_refuses_hidden_instructions),
    };
    if (getenv("QR_TEST_AES_REFUSES")) {
        return qr_aes_init() == QR_ERR_CPU && qr_aes_new() == NULL ? 42 : 1;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
