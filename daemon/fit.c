#include "daemon/fit.h"

#include "daemon/addr.h"

#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

/* What a party takes beside its presignatures, rounded up from what was measured. */
#define PARTY_BYTES (64ull * 1024 * 1024)

enum { SIM = 1, NITRO = 2, SNP = 4, TDX = 8, AZURE = 16, GCP = 32 };

static const struct {
    const char *word;
    unsigned bit;
} platforms[] = {{"sim", SIM}, {"nitro", NITRO},      {"snp", SNP},
                 {"tdx", TDX}, {"azure-vtpm", AZURE}, {"gcp-vtpm", GCP}};

static unsigned
bit_of(const char *platform)
{
    for (size_t i = 0; i < sizeof platforms / sizeof platforms[0]; i++) {
        if (strcmp(platforms[i].word, platform) == 0) {
            return platforms[i].bit;
        }
    }
    return 0;
}

/* A key that the platform does not read was meant for another one: which of the two is wrong? */
static qr_err
check_options(const struct qr_config_party *c, const struct qr_tee_profile *p, char *err_text,
              size_t err_cap)
{
    const struct {
        const char *key, *value;
        unsigned of;
    } option[] = {
        {"tpm", c->tee.tpm, SNP | TDX | AZURE | GCP},
        {"tsm", c->tee.tsm, SNP | TDX | GCP},
        {"tsm_entry", c->tee.tsm_entry, SNP | TDX | GCP},
        {"sev_guest", c->tee.sev_guest, SNP | GCP},
        {"nsm", c->tee.nsm, NITRO},
        {"kms_key", c->tee.kms_key, NITRO},
        {"kms_route", c->tee.kms_route, NITRO},
        {"kms_credentials", c->tee.kms_credentials, NITRO},
        {"cc_log", c->tee.cc_log, TDX},
        {"tcg_log", c->tee.tcg_log, AZURE | GCP},
        {"ak_chain", c->tee.ak_chain, AZURE | GCP},
        {"release_key", c->tee.release_key, SNP | TDX | AZURE | GCP},
        {"release", c->tee.release, SNP | TDX | AZURE | GCP},
    };
    unsigned bit = bit_of(p->name);

    for (size_t i = 0; i < sizeof option / sizeof option[0]; i++) {
        if (option[i].value[0] && !(option[i].of & bit)) {
            EXPLAIN("[tee] %s: platform %s does not use it; remove it, or set platform to what the "
                    "machine is",
                    option[i].key, p->name);
            return QR_ERR_CONFIG;
        }
    }
    if ((c->tee.release[0] != '\0') != (c->tee.release_key[0] != '\0')) {
        EXPLAIN(
            "[tee] release and release_key must be set together: a statement, and who signed it");
        return QR_ERR_CONFIG;
    }
    if ((bit & (SNP | TDX)) && c->tee.release[0] && !c->tee.tpm[0]) {
        EXPLAIN("[tee] release: platform %s seals by a TPM only; set tpm, or remove release and "
                "release_key",
                p->name);
        return QR_ERR_CONFIG;
    }
    return QR_OK;
}

static int
listens_on_loopback(const char *listen)
{
    struct qr_addr a;
    return strncmp(listen, "tcp://", 6) == 0 && qr_addr_parse(listen + 6, &a) == QR_OK &&
           qr_addr_is_loopback(&a);
}

qr_err
qr_fit_before(const struct qr_config_party *c, const struct qr_tee_profile *p, char *err_text,
              size_t err_cap)
{
    QR_TRY(check_options(c, p, err_text, err_cap));
    if (!p->network && !listens_on_loopback(c->listen)) {
        EXPLAIN("[party] listen: \"%s\": platform %s has no network but loopback; listen on "
                "127.0.0.1, and let the pump carry the port to the host (advertise is where peers "
                "reach the host)",
                c->listen, p->name);
        return QR_ERR_CONFIG;
    }
    if (!p->network && !c->via[0]) {
        EXPLAIN("[link] via: platform %s has no network but loopback; set it to the pump's first "
                "port, or no peer can be dialled",
                p->name);
        return QR_ERR_CONFIG;
    }
    if (!p->disk && !c->store[0]) {
        EXPLAIN("[store] socket: platform %s has no disk, what is written to [party] state_dir is "
                "lost at the next start; set it to where the host keeps the store",
                p->name);
        return QR_ERR_CONFIG;
    }
    uint64_t pool = (uint64_t)c->pool.high * QR_PRESIG_BYTES;
    if (p->memory_max && PARTY_BYTES + pool > p->memory_max) {
        EXPLAIN("[pool] high: %u presignatures and the party take about %llu MiB, platform %s has "
                "%llu MiB",
                c->pool.high, (unsigned long long)((PARTY_BYTES + pool) >> 20), p->name,
                (unsigned long long)(p->memory_max >> 20));
        return QR_ERR_CONFIG;
    }
    return QR_OK;
}

qr_err
qr_fit_after(const struct qr_config_party *c, const struct qr_tee *t, int in_memory, char *err_text,
             size_t err_cap)
{
    const struct qr_tee_profile *p = t->profile;

    if (t->platform == QR_PLATFORM_SIM || p->keeps_secrets) {
        return QR_OK;
    }
    if (c->store[0] || !in_memory) {
        EXPLAIN("[%s: platform %s keeps no secrets between starts here, so that a store that "
                "survives one could never be opened again; %s",
                c->store[0] ? "store] socket" : "party] state_dir", p->name,
                p->disk ? "set [tee] tpm, release_key and release to seal by a TPM, or put "
                          "state_dir on tmpfs for a party that is new after each start"
                        : "set what it seals by ([tee] kms_key, kms_route, kms_credentials)");
        return QR_ERR_CONFIG;
    }
    return QR_OK;
}

int
qr_fit_in_memory(const char *dir)
{
    struct statfs s;
    return statfs(dir, &s) == 0 && (s.f_type == TMPFS_MAGIC || s.f_type == RAMFS_MAGIC);
}
