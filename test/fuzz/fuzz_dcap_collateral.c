/*
 * TCB info and QE identity, as they are read once their signature verified; the first byte chooses.
 *
 * Beyond "no crash": what is refused is explained in printable text; what is accepted has levels,
 * statuses with names, an end after its beginning, and only components of its own version.
 */
#include "enclave-shim/verify/manifest.h"
#include "test/fuzz/kit_dcap.h"

static struct qr_dcap_tcb_info info;
static struct qr_dcap_qe_identity identity;

static void
sane_standing(const struct qr_dcap_standing *s)
{
    int64_t ms;
    FUZZ_MUST(qr_dcap_status_text(s->status) != NULL);
    FUZZ_MUST(qr_time_parse(s->date, &ms) == QR_OK);
    FUZZ_MUST(!s->advisories.v || qr_json_count(&s->advisories) <= QR_DCAP_ADVISORIES);
}

static void
sane_isv_levels(const struct qr_dcap_isv_level *l, size_t n)
{
    FUZZ_MUST(n >= 1 && n <= QR_DCAP_ISV_LEVELS);
    for (size_t i = 0; i < n; i++) {
        FUZZ_MUST(l[i].isv_svn <= 65535);
        sane_standing(&l[i].is);
    }
}

static void
sane_info(void)
{
    static const uint8_t none[16];
    FUZZ_MUST(info.version == 2 || info.version == 3);
    FUZZ_MUST(info.issue.next_ms > info.issue.issued_ms);
    FUZZ_MUST(info.tdx == info.has_module && (info.tdx || info.n_modules == 0));
    FUZZ_MUST(info.n >= 1 && info.n <= QR_DCAP_LEVELS && info.n_modules <= QR_DCAP_MODULES);
    for (size_t i = 0; i < info.n; i++) {
        FUZZ_MUST(info.level[i].pce_svn <= 65535);
        FUZZ_MUST(info.tdx || memcmp(info.level[i].tdx, none, 16) == 0);
        sane_standing(&info.level[i].is);
    }
    for (size_t i = 0; i < info.n_modules; i++) {
        FUZZ_MUST(info.modules[i].id.len >= 1);
        sane_isv_levels(info.modules[i].level, info.modules[i].n);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[QR_ERR_TEXT_MAX] = "";
    struct qr_json doc = {0};
    unsigned which = fuzz_choice(&data, &size, 2);

    if (size > qr_part_max(QR_PART_TCB_INFO)) {
        return 0;
    }
    memset(&info, 0, sizeof info);
    memset(&identity, 0, sizeof identity);
    qr_err e = qr_json_parse(&doc, qr_view_of(data, size), QR_DCAP_VALUES, why, sizeof why);
    if (e == QR_OK && which == 0) {
        e = qr_dcap_tcb_info_read(&doc, &info);
        if (e == QR_OK) {
            sane_info();
        }
    } else if (e == QR_OK) {
        e = qr_dcap_qe_identity_read(&doc, &identity);
        if (e == QR_OK) {
            FUZZ_MUST(identity.issue.next_ms > identity.issue.issued_ms);
            sane_isv_levels(identity.level, identity.n);
        }
    }
    FUZZ_MUST(e == QR_OK || why[0] != 0);
    FUZZ_MUST(e == QR_OK || e == QR_ERR_MALFORMED || e == QR_ERR_TOO_LARGE ||
              e == QR_ERR_UNKNOWN_FIELD || e == QR_ERR_VERSION);
    fuzz_text(why, sizeof why);
    qr_json_clear(&doc);
    return 0;
}
