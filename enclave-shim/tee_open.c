/* The closed list. */
#include "enclave-shim/tee_open.h"

#include "enclave-shim/azure/azure.h"
#include "enclave-shim/gcp/gcp.h"
#include "enclave-shim/nitro/nitro.h"
#include "enclave-shim/snp/snp.h"
#include "enclave-shim/tdx/tdx.h"
#include "enclave-shim/tee_sim.h"

#include <stdio.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

static qr_err
open_sim(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text, size_t err_cap)
{
    return qr_tee_sim_open(o->state_dir ? o->state_dir : "", ret, err_text, err_cap);
}

static const struct {
    const char *word;
    const struct qr_tee_profile *profile;
    qr_err (*open)(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text, size_t err_cap);
} platforms[] = {
    {"sim", &qr_tee_sim_profile, open_sim},
    {"nitro", &qr_tee_nitro_profile, qr_tee_nitro_open},
    {"snp", &qr_tee_snp_profile, qr_tee_snp_open},
    {"tdx", &qr_tee_tdx_profile, qr_tee_tdx_open},
    {"azure-vtpm", &qr_tee_azure_profile, qr_tee_azure_open},
    {"gcp-vtpm", &qr_tee_gcp_profile, qr_tee_gcp_open},
};

#define PLATFORMS (sizeof platforms / sizeof platforms[0])

static size_t
find(const char *word)
{
    size_t i = 0;
    while (i < PLATFORMS && (!word || strcmp(platforms[i].word, word) != 0)) {
        i++;
    }
    return i;
}

const struct qr_tee_profile *
qr_tee_profile_of(const char *platform)
{
    size_t i = find(platform);
    return i < PLATFORMS ? platforms[i].profile : NULL;
}

const char *const *
qr_tee_words(void)
{
    static const char *words[PLATFORMS + 1];
    for (size_t i = 0; i < PLATFORMS; i++) {
        words[i] = platforms[i].word;
    }
    return words;
}

qr_err
qr_tee_open(const struct qr_tee_opts *o, struct qr_tee *ret, char *err_text, size_t err_cap)
{
    size_t i = find(o->platform);
    if (i == PLATFORMS) {
        EXPLAIN("\"%s\" is no platform", o->platform ? o->platform : "");
        return QR_ERR_USAGE;
    }
    return platforms[i].open(o, ret, err_text, err_cap);
}
