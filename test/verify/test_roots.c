/* The pins: as the vendors print them, eight vendors, no fingerprint twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/verify/roots.h"
#include "protocol/base/enc.h"

/* Written down a second time, by hand, from the vendors' pages. */
static const struct {
    enum qr_vendor_root v;
    const char *hex;
} pins[] = {
    {QR_ROOT_AWS_NITRO, "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"},
    {QR_ROOT_AMD_MILAN, "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"},
    {QR_ROOT_AMD_GENOA, "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1"},
    {QR_ROOT_AMD_TURIN, "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a"},
    {QR_ROOT_INTEL, "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"},
    {QR_ROOT_GOOGLE_VTPM, "9bd5285f8fb18502a7947e621ffd470266f49fcd3b73e19a190f690ad32a7caf"},
    {QR_ROOT_GOOGLE_VTPM, "594759594b9b61524f6c8ef668f7177f7b9066bc0674f2f49fe9e052be78beb2"},
    {QR_ROOT_MICROSOFT_VTPM, "e6c596b17f8ffefba5c300f714cfb1260c6028704ecf7becc4ab5018efb00e95"},
    {QR_ROOT_CONFIDENTIAL_SPACE,
     "148b293821bb0c6a317f413c8ba475814091cb22d49b9e3c94198db8e8f86c39"},
};
#define PINS (sizeof pins / sizeof pins[0])

static void
test_builtin(void **state)
{
    const struct qr_roots *r = qr_roots_builtin();
    size_t n = 0;
    (void)state;
    for (unsigned v = 0; v < QR_ROOT_COUNT; v++) {
        assert_true(r->of[v].n >= 1);
        n += r->of[v].n;
    }
    assert_int_equal(n, PINS);
    for (size_t i = 0; i < PINS; i++) {
        uint8_t sha[32];
        assert_int_equal(qr_hex_decode(pins[i].hex, 64, sha, sizeof sha), QR_OK);
        for (unsigned v = 0; v < QR_ROOT_COUNT; v++) {
            assert_int_equal(qr_root_pinned(r, (enum qr_vendor_root)v, sha), v == pins[i].v);
        }
        for (unsigned bit = 0; bit < 256; bit += 31) {
            sha[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            assert_false(qr_root_pinned(r, pins[i].v, sha));
            sha[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
    }
}

static void
test_unpinned(void **state)
{
    static const struct qr_roots none;
    static const uint8_t zeros[32];
    (void)state;
    for (unsigned v = 0; v < QR_ROOT_COUNT; v++) {
        assert_false(qr_root_pinned(&none, (enum qr_vendor_root)v, zeros));
        assert_false(qr_root_pinned(qr_roots_builtin(), (enum qr_vendor_root)v, zeros));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builtin),
        cmocka_unit_test(test_unpinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
