/*
 * The suite of test/common/teeconform.h over the Nitro back end: a module in memory, a key service in a
 * process of its own. Machine 1 is another party under the same KMS key.
 */
#include "test/common/teeconform.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "enclave-shim/nitro/nitro.h"
#include "protocol/base/hash.h"
#include "test/common/fakensm.h"
#include "test/common/kmsbox.h"
#include "test/common/rsawrap.h"

#include <errno.h>

static struct kmsbox box;
static struct fakensm fake;
static struct memkeep kept[2];
static struct qr_tee_keep keep[2];
static struct qr_nitro_kms kms[2];

static qr_err
open_nitro(void *ctx, int machine, struct qr_tee *ret, char *err_text, size_t err_cap)
{
    const struct qr_tee_opts o = {
        .platform = "nitro", .keep = &keep[machine], .kms = &kms[machine]};
    const struct qr_nsm_dev dev = fakensm_dev(&fake);
    (void)ctx;
    return qr_tee_nitro_over(&dev, &o, ret, err_text, err_cap);
}

static void
calm(void *ctx)
{
    (void)ctx;
    fake.fail_errno = 0;
    fake.fail_times = 0;
    fake.error = NULL;
    fake.raw = qr_view_of(NULL, 0);
}

static int
trouble(void *ctx, size_t i, struct teeconform_trouble *ret)
{
    static const int passes[] = {EINTR, EAGAIN, EBUSY, ETIMEDOUT};
    (void)ctx;
    *ret = (struct teeconform_trouble){0};
    if (i < 4) {
        fake.fail_errno = passes[i];
        fake.fail_times = QR_NSM_TRIES - 1;
        return 1;
    }
    ret->lasting = 1;
    switch (i) {
    case 4:
        fake.fail_errno = EBUSY;
        fake.fail_times = 1000;
        ret->says = "busy";
        return 1;
    case 5:
        fake.fail_errno = EPERM;
        fake.fail_times = 1000;
        ret->says = "denies";
        return 1;
    case 6:
        fake.error = "InternalError";
        ret->says = "InternalError";
        return 1;
    case 7:
        fake.raw = qr_view_str("\xa1");
        ret->says = "broken";
        return 1;
    default:
        return 0;
    }
}

static void
test_nitro(void **state)
{
    (void)state;
    fakensm_init(&fake);
    kmsbox_fork(&box);
    for (int i = 0; i < 2; i++) {
        kept[i] = (struct memkeep){0};
        memkeep_table(&kept[i], &keep[i]);
        kms[i] = (struct qr_nitro_kms){.key = KMSBOX_KEY,
                                       .route = box.route,
                                       .credentials = box.creds_route,
                                       .name = i == 0 ? "party-1" : "party-2",
                                       .roots = kmsbox_roots(),
                                       .timeout_ms = 5000};
    }
    const struct teeconform c = {.name = "nitro",
                                 .open = open_nitro,
                                 .roots = fakensm_roots(),
                                 .now_ms = EVGEN_NOW_MS,
                                 .survives = 1,
                                 .trouble = trouble,
                                 .calm = calm,
                                 .no_starvation =
                                     1}; /* test_nitro_tee.c: the box has a heap, too */
    teeconform_run(&c);
    kmsbox_kill(&box);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nitro)};
    return qr_hash_init() == QR_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
