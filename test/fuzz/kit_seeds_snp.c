/* Seeds of fuzz_snp and fuzz_snp_table. */
#include "protocol/base/enc.h"
#include "test/common/evgen_snp.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/kit_seeds.h"

/* Hex digits and spaces. */
static void
script(fuzz_seed seed, const char *name, const char *hex)
{
    char digits[512];
    uint8_t b[sizeof digits / 2];
    size_t n = 0;
    for (; *hex; hex++) {
        if (*hex != ' ') {
            FUZZ_MUST(n < sizeof digits);
            digits[n++] = *hex;
        }
    }
    FUZZ_MUST(qr_hex_decode(digits, n, b, n / 2) == QR_OK);
    seed("snp", name, -1, qr_view_of(b, n / 2));
}

void
fuzz_seeds_snp(fuzz_seed seed)
{
    static struct evsnp e;
    static uint8_t table[4 * 24 + 8] = {0};
    static const char vcek[] = "\x63\xda\x75\x8d\xe6\x64\x45\x64\xad\xc5\xf4\xb9\x3b\xe8\xac\xcd";
    static const char ark[] = "\xc0\xb4\x06\xa4\xa8\x03\x49\x52\x97\x43\x3f\xb6\x01\x4c\xd0\xae";

    evsnp_init(&e, EVSNP_MILAN, 3);
    evsnp_build(&e);
    seed("snp", "report_milan", 0, qr_view_of(e.report, e.report_len));
    seed("snp", "vcek", 1, evgen_view(&e.vek));
    evsnp_init(&e, EVSNP_TURIN, 5);
    evsnp_vlek(&e);
    evsnp_build(&e);
    seed("snp", "report_turin", 0, qr_view_of(e.report, e.report_len));
    seed("snp", "vlek", 1, evgen_view(&e.vek));
    /* part, offset, length, changed bits */
    script(seed, "changed_report", "02 00 0090 00 01");
    script(seed, "changed_leaf", "02 01 0100 00 01");
    script(seed, "changed_list", "02 04 0040 00 01");
    script(seed, "cut", "02 05 0480");
#define SEED(name, hex) script(seed, name, hex);
#include "test/fuzz/snp_seeds.def"
#undef SEED

    memcpy(table, ark, 16);
    table[16] = 96;
    table[20] = 3;
    memcpy(table + 24, "unknown kind one", 16);
    table[40] = 99;
    table[44] = 1;
    memcpy(table + 48, vcek, 16);
    table[64] = 100;
    table[68] = 4;
    seed("snp_table", "three", -1, qr_view_of(table, sizeof table));
    table[64] = 99;
    seed("snp_table", "overlap", -1, qr_view_of(table, sizeof table));
    table[64] = 100;
    memcpy(table + 24, ark, 16);
    seed("snp_table", "twice", -1, qr_view_of(table, sizeof table));
    table[40] = 0;
    seed("snp_table", "header", -1, qr_view_of(table, sizeof table));
    seed("snp_table", "no_end", -1, qr_view_of(table, 72));
    seed("snp_table", "empty", -1, qr_view_of(table + 72, 24));
}
