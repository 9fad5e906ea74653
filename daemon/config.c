#include "daemon/config.h"

#include "daemon/addr.h"
#include "protocol/base/check.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <string.h>

/* inih's line buffer is 200 bytes: "\r\n" and the NUL leave 197. Longer lines are refused here. */
#define LINE_MAX_LEN 197

enum type {
    T_NAME,   /* as rosters have them: 1..max - 1 of [A-Za-z0-9._-] */
    T_TEXT,   /* min 1: required or defaulted, never empty; max: bytes with the NUL */
    T_NUMBER, /* min..max */
    T_MS,     /* duration; min..max in ms */
    T_BYTES,  /* size; min..max */
    T_ENUM,   /* words, stored as the word's number */
    T_WORD,   /* words, stored as text */
};

/* One row: everything there is to know about a key. */
struct key {
    const char *section, *name;
    enum type type;
    uint64_t min, max;
    const char *const *words;
    const char *def; /* NULL: the key is required */
    size_t offset;
    const char *doc;
};

static const char *const tee_words[] = {"sim",        "nitro",    "snp", "tdx",
                                        "azure-vtpm", "gcp-vtpm", NULL};
static const char *const link_words[] = {"nng", "sock", NULL};
static const char *const level_words[] = {"debug", "info", "warn", "error", NULL};
static const char *const format_words[] = {"auto", "json", "human", NULL};

#define P(member) offsetof(struct qr_config_party, member)
#define G(member) offsetof(struct qr_config_gateway, member)
#define TEXT QR_CONFIG_TEXT_MAX
#define SOCKET 108u /* sun_path */
#define NAME QR_NAME_MAX

#define LOG_DOC "Least severe events to write: debug, info, warn or error."
#define FORMAT_DOC "json, human, or auto: human on a terminal."

static const struct key party_keys[] = {
    {"party", "state_dir", T_TEXT, 1, TEXT, NULL, NULL, P(state_dir),
     "Folder of the sealed store; owned by the daemon's user, mode 0700."},
    {"party", "listen", T_TEXT, 1, TEXT, NULL, NULL, P(listen),
     "Where the other parties reach this one: tcp://ADDRESS:PORT."},
    {"party", "advertise", T_TEXT, 0, TEXT, NULL, "", P(advertise),
     "Address for the descriptor and the roster, if it differs from `listen` (NAT, containers)."},
    {"party", "cloud", T_NAME, 1, NAME, NULL, NULL, P(cloud),
     "Name of the cloud, as the roster will say."},
    {"party", "operator", T_NAME, 1, NAME, NULL, NULL, P(operator_name),
     "Name of who operates this party, as the roster will say."},
    {"party", "gateway_socket", T_TEXT, 1, SOCKET, NULL, NULL, P(gateway_socket),
     "Unix socket for quorate-gateway."},
    {"party", "admin_socket", T_TEXT, 1, SOCKET, NULL, NULL, P(admin_socket),
     "Unix socket for the command line; commands on it need administrators' stamps all the same."},
    {"party", "admin_uid", T_NUMBER, 0, 65534, NULL, "0", P(admin_uid),
     "One more user, of the socket's group, that may connect there: an enclave's pump. 0: nobody."},
    {"party", "link", T_ENUM, 0, 0, link_words, "nng", P(link),
     "What carries bytes between parties: nng, or sock (plain sockets)."},
    {"party", "zstd", T_NUMBER, 0, 19, NULL, "3", P(zstd),
     "Compression level for the message classes that gain by it; 0 turns it off."},
    {"tee", "platform", T_WORD, 1, NAME, tee_words, "sim", P(tee.platform),
     "Where this party runs. sim is for laptops and tests, and refused by production policies."},
    {"tee", "patience", T_MS, 100, 60000, NULL, "5s", P(tee.patience_ms),
     "How long a busy device is tried again."},
    {"tee", "tpm", T_TEXT, 0, TEXT, NULL, "", P(tee.tpm),
     "TPM: a device, or unix:PATH of an emulator. Empty: /dev/tpmrm0 where the platform has one."},
    {"tee", "release_key", T_TEXT, 0, TEXT, NULL, "", P(tee.release_key),
     "File: the public key that signs releases (DER), for sealing by a TPM. Set with release."},
    {"tee", "release", T_TEXT, 0, TEXT, NULL, "", P(tee.release),
     "File: the signed statement of the release that runs."},
    {"tee", "ak_chain", T_TEXT, 0, TEXT, NULL, "", P(tee.ak_chain),
     "PEM file: CA certificates above the TPM's attestation key. Empty: fetched, where it can be."},
    {"tee", "tcg_log", T_TEXT, 0, TEXT, NULL, "", P(tee.tcg_log),
     "The TPM's event log, if it is not in its usual place."},
    {"tee", "tsm", T_TEXT, 0, TEXT, NULL, "", P(tee.tsm),
     "Folder of configfs-tsm, if it is not /sys/kernel/config/tsm/report."},
    {"tee", "tsm_entry", T_TEXT, 0, 33, NULL, "", P(tee.tsm_entry),
     "Name of an entry there that was made for this party. Empty: it makes one of its own."},
    {"tee", "sev_guest", T_TEXT, 0, TEXT, NULL, "", P(tee.sev_guest),
     "Device for kernels without configfs-tsm, if it is not /dev/sev-guest."},
    {"tee", "cc_log", T_TEXT, 0, TEXT, NULL, "", P(tee.cc_log),
     "A TD's event log, if it is not in its usual place."},
    {"tee", "nsm", T_TEXT, 0, TEXT, NULL, "", P(tee.nsm),
     "The Nitro Security Module, if it is not /dev/nsm."},
    {"tee", "kms_key", T_TEXT, 0, TEXT, NULL, "", P(tee.kms_key),
     "ARN of the KMS key that a Nitro enclave seals by. Set with kms_route and kms_credentials."},
    {"tee", "kms_route", T_TEXT, 0, TEXT, NULL, "", P(tee.kms_route),
     "The host's way to KMS: 127.0.0.1:PORT of the pump, or unix:PATH."},
    {"tee", "kms_credentials", T_TEXT, 0, TEXT, NULL, "", P(tee.kms_credentials),
     "Where the host gives credentials for KMS; same forms."},
    {"link", "via", T_TEXT, 0, TEXT, NULL, "", P(via),
     "Loopback ADDRESS:PORT of a pump: party i is dialled at PORT + i, whatever the roster says."},
    {"store", "socket", T_TEXT, 0, SOCKET, NULL, "", P(store),
     "unix:///PATH or tcp://ADDRESS:PORT where the host keeps the store. Empty: in state_dir."},
    {"pool", "low", T_NUMBER, 0, QR_PRESIG_PER_KEY, NULL, "128", P(pool.low),
     "Presignatures of a key and signing set below which more are made; 0: filled once only."},
    {"pool", "high", T_NUMBER, 0, QR_PRESIG_PER_KEY, NULL, "256", P(pool.high),
     "How many are then made ready; 0: this party makes none of its own."},
    {"pool", "standby", T_NUMBER, 0, QR_PRESIG_PER_KEY, NULL, "32", P(pool.standby),
     "How many are kept for each set that is not the preferred one."},
    {"pool", "batch", T_NUMBER, 4, QR_BATCH_MAX, NULL, "16", P(pool.batch),
     "Presignatures made together: 4, 8, 12 or 16."},
    {"sign", "timeout", T_MS, 10, 60000, NULL, "500ms", P(sign.timeout_ms),
     "How long a signer may take before the request moves to another set."},
    {"log", "level", T_ENUM, 0, 0, level_words, "info", P(log.level), LOG_DOC},
    {"log", "format", T_ENUM, 0, 0, format_words, "auto", P(log.format), FORMAT_DOC},
    {.section = NULL},
};

/* Every text lands in an array of its max bytes. */
#define FITS(member, cap)                                                                          \
    _Static_assert(sizeof(((struct qr_config_party *)0)->member) == (cap), "text fits its array")
FITS(cloud, NAME);
FITS(operator_name, NAME);
FITS(state_dir, TEXT);
FITS(tee.platform, NAME);
FITS(tee.tsm_entry, NAME);

#define BASE_DOC "The vendor's service, or a mirror of it: URL without a slash at its end."
static const struct key gateway_keys[] = {
    {"gateway", "listen", T_TEXT, 1, TEXT, NULL, "127.0.0.1:8440", G(listen),
     "ADDRESS:PORT of the API. Without TLS it must be a loopback address."},
    {"gateway", "metrics_listen", T_TEXT, 0, TEXT, NULL, "", G(metrics_listen),
     "Loopback ADDRESS:PORT for /metrics. Empty: on `listen`, if that is a loopback address."},
    {"gateway", "tls_cert", T_TEXT, 0, TEXT, NULL, "", G(tls_cert),
     "PEM file with the certificate chain. Set together with tls_key."},
    {"gateway", "tls_key", T_TEXT, 0, TEXT, NULL, "", G(tls_key),
     "PEM file with the private key; mode 0600 or 0400."},
    {"gateway", "party_socket", T_TEXT, 1, SOCKET, NULL, NULL, G(party_socket),
     "The party's gateway_socket."},
    {"gateway", "max_connections", T_NUMBER, 1, 65536, NULL, "4096", G(max_connections),
     "Open client connections; above it the oldest are closed, strangers' first."},
    {"gateway", "max_per_ip", T_NUMBER, 1, 65536, NULL, "512", G(max_per_ip),
     "Open connections from one address."},
    {"gateway", "header_max", T_BYTES, 4096, 65536, NULL, "24KiB", G(header_max),
     "Size of a request line with its headers; more is answered 431."},
    {"gateway", "max_in_flight", T_NUMBER, 1, 65536, NULL, "4096", G(max_in_flight),
     "Requests waiting for the party; more are answered 503."},
    {"gateway", "idle_timeout", T_MS, 1000, 600000, NULL, "60s", G(idle_timeout_ms),
     "A connection without a request is closed after this."},
    {"gateway", "request_timeout", T_MS, 1000, 600000, NULL, "10s", G(request_timeout_ms),
     "A request must be complete within this."},
    {"gateway", "answer_timeout", T_MS, 100, 600000, NULL, "20s", G(answer_timeout_ms),
     "The party must answer within this; then the client gets 504."},
    {"gateway", "drain_timeout", T_MS, 0, 600000, NULL, "10s", G(drain_timeout_ms),
     "After SIGTERM, requests in flight may take this long."},
    {"api", "cors", T_TEXT, 0, TEXT, NULL, "", G(cors),
     "Origins of web pages that may call the API, a space between two: https://app.example.org."},
    {"store", "path", T_TEXT, 0, TEXT, NULL, "", G(store.path),
     "File of the sealed store that is kept for a party without a disk. Set with listen."},
    {"store", "listen", T_TEXT, 0, SOCKET, NULL, "", G(store.listen),
     "Where that party reaches it: unix:///PATH, or tcp://ADDRESS:PORT on loopback."},
    {"audit", "path", T_TEXT, 0, TEXT, NULL, "", G(audit.path),
     "Folder for the party's audit log. Empty: not kept, and the party stops when it holds too "
     "much."},
    {"collateral", "cache", T_TEXT, 0, TEXT, NULL, "", G(collateral.cache),
     "Folder for what vendors were last heard to say; empty: kept in memory, lost at a restart."},
    {"collateral", "refresh", T_MS, 60000, 604800000, NULL, "1440m", G(collateral.refresh_ms),
     "How often documents are fetched anew. They matter to parties on hardware only."},
    {"collateral", "amd_kds", T_TEXT, 1, TEXT, NULL, "https://kdsintf.amd.com",
     G(collateral.bases.amd_kds), BASE_DOC},
    {"collateral", "intel_pcs", T_TEXT, 1, TEXT, NULL, "https://api.trustedservices.intel.com",
     G(collateral.bases.intel_pcs), BASE_DOC},
    {"collateral", "intel_crl", T_TEXT, 1, TEXT, NULL,
     "https://certificates.trustedservices.intel.com", G(collateral.bases.intel_crl), BASE_DOC},
    {"collateral", "azure_thim", T_TEXT, 1, TEXT, NULL, "http://169.254.169.254",
     G(collateral.bases.azure_thim), BASE_DOC},
    {"collateral", "google_ca", T_TEXT, 0, TEXT, NULL, "", G(collateral.bases.google_ca),
     "A mirror of Google's CA certificates: URL/BUCKET/OBJECT/ca.crt; empty: Google itself."},
    {"collateral", "jwks", T_TEXT, 0, TEXT, NULL, "", G(collateral.bases.jwks),
     "A mirror of token issuers' key sets: URL/HOST/certs; empty: the issuers themselves."},
    {"log", "level", T_ENUM, 0, 0, level_words, "info", G(log.level), LOG_DOC},
    {"log", "format", T_ENUM, 0, 0, format_words, "auto", G(log.format), FORMAT_DOC},
    {.section = NULL},
};

#define KEYS_MAX 64u
_Static_assert(sizeof party_keys / sizeof party_keys[0] <= KEYS_MAX, "one bit a key");
_Static_assert(sizeof gateway_keys / sizeof gateway_keys[0] <= KEYS_MAX, "one bit a key");

static const struct role {
    const char *program, *what;
    const struct key *keys;
} roles[] = {
    [QR_CONFIG_PARTY] = {"quorated", "a party", party_keys},
    [QR_CONFIG_GATEWAY] = {"quorate-gateway", "the HTTP side of a party", gateway_keys},
};

struct parse {
    const struct role *role;
    const char *path;
    FILE *f;
    int line;
    uint64_t seen; /* bit per key */
    void *cfg;
    char *err;
    size_t err_cap;
    int failed;
};

static void fail(struct parse *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The first failure counts. */
static void
fail(struct parse *p, const char *format, ...)
{
    va_list ap;
    if (p->failed) {
        return;
    }
    p->failed = 1;
    int n = p->line > 0 ? snprintf(p->err, p->err_cap, "%s:%d: ", p->path, p->line)
                        : snprintf(p->err, p->err_cap, "%s: ", p->path);
    if (n < 0 || (size_t)n >= p->err_cap) {
        return;
    }
    va_start(ap, format);
    vsnprintf(p->err + n, p->err_cap - (size_t)n, format, ap);
    va_end(ap);
}

/* ---- values ---- */

struct unit {
    const char *name;
    uint64_t factor;
};
static const struct unit ms_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {NULL, 0}};
static const struct unit byte_units[] = {{"B", 1}, {"KiB", 1024}, {"MiB", 1048576}, {NULL, 0}};

/* "10s" with its unit table; 0 if it is not a number with one of the units, or overflows. */
static int
with_unit(const char *s, const struct unit *units, uint64_t *ret)
{
    size_t digits = strspn(s, "0123456789");
    unsigned long v;
    for (; units->name; units++) {
        if (strcmp(s + digits, units->name) == 0) {
            if (!qr_parse_decimal(s, digits, UINT32_MAX, &v)) {
                return 0;
            }
            *ret = v * units->factor;
            return 1;
        }
    }
    return 0;
}

/* The largest unit that divides it. */
static void
unit_text(uint64_t v, const struct unit *units, char *out, size_t cap)
{
    const struct unit *best = units;
    for (const struct unit *u = units; u->name; u++) {
        if (v != 0 && v % u->factor == 0 && u->factor > best->factor) {
            best = u;
        }
    }
    snprintf(out, cap, "%llu%s", (unsigned long long)(v / best->factor), best->name);
}

/* What a key allows, in words. */
static void
allowed_text(const struct key *k, char *out, size_t cap)
{
    char lo[32], hi[32];
    size_t n = 0;

    switch (k->type) {
    case T_NAME:
        snprintf(out, cap, "a name of letters, digits, '.', '_' and '-', up to %llu characters",
                 (unsigned long long)k->max - 1);
        return;
    case T_TEXT:
        snprintf(out, cap, "printable text of %u to %llu characters without \";\"",
                 k->min ? 1u : 0u, (unsigned long long)k->max - 1);
        return;
    case T_NUMBER:
        snprintf(out, cap, "a number from %llu to %llu", (unsigned long long)k->min,
                 (unsigned long long)k->max);
        return;
    case T_MS:
    case T_BYTES:
        unit_text(k->min, k->type == T_MS ? ms_units : byte_units, lo, sizeof lo);
        unit_text(k->max, k->type == T_MS ? ms_units : byte_units, hi, sizeof hi);
        snprintf(out, cap, "a %s from %s to %s, with its unit",
                 k->type == T_MS ? "duration (ms, s, m)" : "size (B, KiB, MiB)", lo, hi);
        return;
    case T_WORD:
    case T_ENUM:
    default:
        for (const char *const *w = k->words; *w && n < cap; w++) {
            int m = snprintf(out + n, cap - n, "%s%s", n ? " or " : "", *w);
            n += m > 0 ? (size_t)m : 0;
        }
        return;
    }
}

static int
text_ok(const struct key *k, const char *value)
{
    size_t n = strlen(value);
    static const char name_chars[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (k->type == T_NAME && strspn(value, name_chars) != n) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f) {
            return 0;
        }
        /* A comment to whoever wrote it, but with no space before it not to inih. */
        if (value[i] == ';') {
            return 0;
        }
    }
    return n >= k->min && n < k->max;
}

/* Stores the value; 0 if the key does not allow it. */
static int
set_value(const struct key *k, const char *value, void *cfg)
{
    char *at = (char *)cfg + k->offset;
    uint64_t v = 0;
    unsigned long d = 0;

    switch (k->type) {
    case T_NAME:
    case T_TEXT:
        if (!text_ok(k, value)) {
            return 0;
        }
        memcpy(at, value, strlen(value) + 1);
        return 1;
    case T_WORD:
    case T_ENUM:
        while (k->words[v] && strcmp(k->words[v], value) != 0) {
            v++;
        }
        if (!k->words[v]) {
            return 0;
        }
        if (k->type == T_WORD) {
            memcpy(at, value, strlen(value) + 1);
            return 1;
        }
        break;
    case T_NUMBER:
        if (!qr_parse_decimal(value, strlen(value), UINT32_MAX, &d)) {
            return 0;
        }
        v = d;
        break;
    case T_MS:
    case T_BYTES:
    default:
        if (!with_unit(value, k->type == T_MS ? ms_units : byte_units, &v)) {
            return 0;
        }
        break;
    }
    if (k->type != T_ENUM && (v < k->min || v > k->max)) {
        return 0;
    }
    uint32_t narrow = (uint32_t)v; /* every max fits */
    memcpy(at, &narrow, sizeof narrow);
    return 1;
}

static void
value_text(const struct key *k, const void *cfg, char *out, size_t cap)
{
    const char *at = (const char *)cfg + k->offset;
    uint32_t v = 0;

    if (k->type == T_TEXT || k->type == T_NAME || k->type == T_WORD) {
        snprintf(out, cap, "%s", at);
        return;
    }
    memcpy(&v, at, sizeof v);
    if (k->type == T_ENUM) {
        snprintf(out, cap, "%s", k->words[v]);
    } else if (k->type == T_NUMBER) {
        snprintf(out, cap, "%u", v);
    } else {
        unit_text(v, k->type == T_MS ? ms_units : byte_units, out, cap);
    }
}

/* ---- the file ---- */

static const struct key *
find_key(const struct role *r, const char *section, const char *name, int *ret_section)
{
    *ret_section = 0;
    for (const struct key *k = r->keys; k->section; k++) {
        if (strcmp(k->section, section) == 0) {
            *ret_section = 1;
            if (strcmp(k->name, name) == 0) {
                return k;
            }
        }
    }
    return NULL;
}

static void
list_names(const struct role *r, const char *section, char *out, size_t cap)
{
    size_t n = 0;
    const char *last = "";
    out[0] = '\0';
    for (const struct key *k = r->keys; k->section && n < cap; k++) {
        const char *name = section ? k->name : k->section;
        if ((section && strcmp(k->section, section) != 0) || strcmp(name, last) == 0) {
            continue;
        }
        int m = snprintf(out + n, cap - n, "%s%s", n ? ", " : "", name);
        n += m > 0 ? (size_t)m : 0;
        last = name;
    }
}

/* inih: one key. Returns 1 always: failures are in p. */
static int
on_key(void *user, const char *section, const char *name, const char *value)
{
    struct parse *p = user;
    char text[512];
    int known = 0;

    if (p->failed) {
        return 1;
    }
    const struct key *k = find_key(p->role, section, name, &known);
    if (section[0] == '\0') {
        fail(p, "%s stands before the first [section]", name);
    } else if (!known) {
        list_names(p->role, NULL, text, sizeof text);
        fail(p, "[%s] is no section of %s; it has %s", section, p->role->program, text);
    } else if (!k) {
        list_names(p->role, section, text, sizeof text);
        fail(p, "[%s] %s is no key; [%s] has %s", section, name, section, text);
    } else if (p->seen & (UINT64_C(1) << (k - p->role->keys))) {
        fail(p, "[%s] %s is set twice", section, name);
    } else if (!set_value(k, value, p->cfg)) {
        allowed_text(k, text, sizeof text);
        fail(p, "[%s] %s: \"%s\" is not allowed; it must be %s", section, name, value, text);
    } else {
        p->seen |= UINT64_C(1) << (k - p->role->keys);
    }
    return 1;
}

/* A section without keys never reaches on_key. */
static void
check_section(struct parse *p, const char *line)
{
    char name[64], text[512];
    size_t n = strcspn(line + 1, "]");
    int known = 0;

    if (line[1 + n] != ']' || n >= sizeof name) {
        return; /* inih reports it */
    }
    memcpy(name, line + 1, n);
    name[n] = '\0';
    (void)find_key(p->role, name, "", &known);
    if (!known) {
        list_names(p->role, NULL, text, sizeof text);
        fail(p, "[%s] is no section of %s; it has %s", name, p->role->program, text);
    }
}

/* inih: one line, like fgets. */
static char *
on_line(char *out, int cap, void *user)
{
    struct parse *p = user;
    int n = 0, c;

    if (p->failed) {
        return NULL;
    }
    p->line++;
    while ((c = getc(p->f)) != EOF && c != '\n') {
        if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f) {
            fail(p, "byte 0x%02x is not text", (unsigned)c);
            return NULL;
        }
        if (n >= LINE_MAX_LEN || n + 3 > cap) {
            fail(p, "line is longer than %d characters", LINE_MAX_LEN);
            return NULL;
        }
        out[n++] = (char)c;
    }
    if (c == EOF && n == 0) {
        return NULL;
    }
    out[n] = '\0';
    const char *start = out + strspn(out, " \t");
    if (*start == '[') {
        check_section(p, start);
        if (p->failed) {
            return NULL;
        }
    }
    out[n++] = '\n';
    out[n] = '\0';
    return out;
}

/* ---- what single keys cannot say ---- */

static int
is_tcp(const char *text)
{
    struct qr_addr a;
    return strncmp(text, "tcp://", 6) == 0 && qr_addr_parse(text + 6, &a) == QR_OK;
}

/* Room for every party's port above it. */
static int
is_via(const char *text)
{
    struct qr_addr a;
    unsigned long port = 0;
    const char *colon = strrchr(text, ':');

    return qr_addr_parse(text, &a) == QR_OK && qr_addr_is_loopback(&a) &&
           qr_parse_decimal(colon + 1, strlen(colon + 1), 65535 - QR_MAX_PARTIES, &port) &&
           port > 0;
}

#define STORE_PLACE "it must be unix:///PATH, or tcp://ADDRESS:PORT on loopback"
/* The store's protocol has no protection of its own: it does not leave the machine. */
static int
is_store_place(const char *text)
{
    struct qr_addr a;
    return (strncmp(text, "unix:///", 8) == 0 && text[8]) ||
           (strncmp(text, "tcp://", 6) == 0 && qr_addr_parse(text + 6, &a) == QR_OK &&
            qr_addr_is_loopback(&a));
}

static void
check_party(struct parse *p, const struct qr_config_party *c)
{
    if (!is_tcp(c->listen)) {
        fail(p,
             "[party] listen: \"%s\" is not allowed; it must be tcp://ADDRESS:PORT with a "
             "numeric address",
             c->listen);
    } else if (c->advertise[0] && strncmp(c->advertise, "tcp://", 6) != 0) {
        fail(p, "[party] advertise: \"%s\" is not allowed; it must be tcp://HOST:PORT",
             c->advertise);
    } else if (c->pool.low > c->pool.high || c->pool.standby > c->pool.high) {
        fail(p, "[pool] high = %u must not be below low = %u or standby = %u", c->pool.high,
             c->pool.low, c->pool.standby);
    } else if (c->pool.batch % 4 != 0) {
        fail(p, "[pool] batch: %u is not allowed; it must be 4, 8, 12 or 16", c->pool.batch);
    } else if (strcmp(c->gateway_socket, c->admin_socket) == 0) {
        fail(p, "[party] gateway_socket and admin_socket must differ");
    } else if (c->via[0] && !is_via(c->via)) {
        fail(p,
             "[link] via: \"%s\" is not allowed; it must be a loopback ADDRESS:PORT with room for "
             "%u ports above it, such as 127.0.0.1:7100",
             c->via, QR_MAX_PARTIES);
    } else if (c->store[0] && !is_store_place(c->store)) {
        fail(p, "[store] socket: \"%s\" is not allowed; " STORE_PLACE, c->store);
    }
}

static void
check_bases(struct parse *p, const struct qr_need_bases *b)
{
    const struct {
        const char *key, *url;
    } bases[] = {{"amd_kds", b->amd_kds},
                 {"intel_pcs", b->intel_pcs},
                 {"intel_crl", b->intel_crl},
                 {"azure_thim", b->azure_thim},
                 {"google_ca", b->google_ca[0] ? b->google_ca : "https://google"},
                 {"jwks", b->jwks[0] ? b->jwks : "https://issuers"}};
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        if (!qr_need_base_ok(bases[i].url)) {
            fail(p,
                 "[collateral] %s: \"%s\" is not allowed; it must be http:// or https://, a host, "
                 "perhaps a port and a path, and no slash at the end",
                 bases[i].key, bases[i].url);
            return;
        }
    }
}

static void
check_gateway(struct parse *p, const struct qr_config_gateway *c)
{
    struct qr_addr a, m;

    if (qr_addr_parse(c->listen, &a) != QR_OK) {
        fail(p,
             "[gateway] listen: \"%s\" is not allowed; it must be ADDRESS:PORT with a numeric "
             "address, such as 127.0.0.1:8440 or [::1]:8440",
             c->listen);
    } else if ((c->tls_cert[0] == '\0') != (c->tls_key[0] == '\0')) {
        fail(p, "[gateway] tls_cert and tls_key must be set together");
    } else if (c->tls_cert[0] == '\0' && !qr_addr_is_loopback(&a)) {
        fail(p,
             "[gateway] listen: \"%s\" is not a loopback address, and plain HTTP would let "
             "anyone on the way read requests; set tls_cert and tls_key, or listen on 127.0.0.1",
             c->listen);
    } else if (c->metrics_listen[0] &&
               (qr_addr_parse(c->metrics_listen, &m) != QR_OK || !qr_addr_is_loopback(&m))) {
        fail(p,
             "[gateway] metrics_listen: \"%s\" is not allowed; it must be a loopback "
             "ADDRESS:PORT, such as 127.0.0.1:8441",
             c->metrics_listen);
    } else if (c->max_per_ip > c->max_connections) {
        fail(p, "[gateway] max_per_ip = %u must not be above max_connections = %u", c->max_per_ip,
             c->max_connections);
    } else if (!c->store.path[0] != !c->store.listen[0]) {
        fail(p, "[store] path and listen are set together or not at all");
    } else if (c->store.listen[0] && !is_store_place(c->store.listen)) {
        fail(p, "[store] listen: \"%s\" is not allowed; " STORE_PLACE, c->store.listen);
    } else {
        check_bases(p, &c->collateral.bases);
    }
}

static size_t
config_size(enum qr_config_role role)
{
    return role == QR_CONFIG_PARTY ? sizeof(struct qr_config_party)
                                   : sizeof(struct qr_config_gateway);
}

static void
set_defaults(enum qr_config_role role, void *cfg)
{
    memset(cfg, 0, config_size(role));
    for (const struct key *k = roles[role].keys; k->section; k++) {
        QR_ASSERT(!k->def || set_value(k, k->def, cfg));
    }
}

static void
check_whole(struct parse *p, enum qr_config_role role, void *cfg)
{
    p->line = 0;
    for (const struct key *k = p->role->keys; k->section; k++) {
        if (!k->def && !(p->seen & (UINT64_C(1) << (k - p->role->keys)))) {
            fail(p, "[%s] %s is required: %s", k->section, k->name, k->doc);
        }
    }
    if (p->failed) {
        return;
    }
    if (role == QR_CONFIG_GATEWAY) {
        check_gateway(p, cfg);
        return;
    }
    struct qr_config_party *party = cfg;
    check_party(p, party);
    if (!party->advertise[0]) {
        memcpy(party->advertise, party->listen, sizeof party->advertise);
    }
}

qr_err
qr_config_load(enum qr_config_role role, const char *path, void *ret, char *err_text,
               size_t err_cap)
{
    struct parse p = {
        .role = &roles[role], .path = path, .cfg = ret, .err = err_text, .err_cap = err_cap};

    set_defaults(role, ret);
    p.f = fopen(path, "re");
    if (!p.f) {
        fail(&p, "cannot be opened: %s", strerror(errno));
        return QR_ERR_CONFIG;
    }
    int line = ini_parse_stream(on_line, &p, on_key, &p);
    if (!p.failed && ferror(p.f)) {
        p.line = 0;
        fail(&p, "cannot be read: %s", strerror(errno));
    } else if (!p.failed && line != 0) {
        p.line = line > 0 ? line : 0;
        fail(&p, "is neither [section] nor key = value");
    }
    fclose(p.f);
    if (!p.failed) {
        check_whole(&p, role, ret);
    }
    return p.failed ? QR_ERR_CONFIG : QR_OK;
}

void
qr_config_print(enum qr_config_role role, const void *cfg, FILE *out)
{
    union {
        struct qr_config_party party;
        struct qr_config_gateway gateway;
    } def;
    char text[QR_CONFIG_TEXT_MAX], allowed[256];
    const char *section = "";
    const void *shown = cfg;

    if (!cfg) {
        set_defaults(role, &def);
        shown = &def;
    }
    fprintf(out, "# %s: %s. Addresses, sizes and timings; who may sign what is in the policy.\n",
            roles[role].program, roles[role].what);
    for (const struct key *k = roles[role].keys; k->section; k++) {
        if (strcmp(section, k->section) != 0) {
            section = k->section;
            fprintf(out, "\n[%s]\n", section);
        }
        value_text(k, shown, text, sizeof text);
        allowed_text(k, allowed, sizeof allowed);
        fprintf(out, "# %s\n# Allowed: %s.\n", k->doc, allowed);
        /* A required key has no default to show. */
        fprintf(out, "%s%s = %s\n", !cfg && !k->def ? "#" : "", k->name, text);
    }
}
