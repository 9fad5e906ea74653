/*
 * The software TEE: a file for a sealing key, a hash of the program for a measurement, and evidence
 * under a key that everybody has. The same code paths as hardware, none of its protection.
 */
#include "enclave-shim/tee_sim.h"

#include "enclave-shim/seal.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "protocol/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

#define KEY_FILE "sim-seal.key"
#define KEY_LEN 32u
#define VERSION 1u
#define SIGNED_LEN (QR_SIM_EVIDENCE_LEN - crypto_sign_BYTES)
#define VENDOR_TEXT "quorate software TEE vendor key: public on purpose, anyone can sign with it"

/* In locked memory. */
struct sim {
    struct qr_sealroot root;
    uint8_t measurement[32];
    uint8_t debug;
};

/* Evidence. */

static void
vendor_keys(uint8_t pk[static crypto_sign_PUBLICKEYBYTES],
            uint8_t sk[static crypto_sign_SECRETKEYBYTES])
{
    uint8_t seed[32];
    qr_th(QR_TAG_SIM, QR_FIELDS(qr_view_str("vendor"), qr_view_str(VENDOR_TEXT)), seed);
    (void)crypto_sign_seed_keypair(pk, sk, seed);
}

static void
evidence_digest(const uint8_t body[static SIGNED_LEN], uint8_t ret[static 32])
{
    qr_th(QR_TAG_SIM, QR_FIELDS(qr_view_str("evidence"), qr_view_of(body, SIGNED_LEN)), ret);
}

static qr_err
sim_evidence(void *ctx, const uint8_t binder[32], struct qr_buf *out)
{
    const struct sim *s = ctx;
    uint8_t e[QR_SIM_EVIDENCE_LEN], digest[32], pk[crypto_sign_PUBLICKEYBYTES],
        sk[crypto_sign_SECRETKEYBYTES];
    struct qr_buf b = qr_buf_over(e, sizeof e);

    qr_buf_put(&b, "QSIM", 4);
    qr_buf_put8(&b, VERSION);
    qr_buf_put8(&b, QR_PLATFORM_SIM);
    qr_buf_put(&b, s->measurement, 32);
    qr_buf_put8(&b, s->debug);
    qr_buf_put(&b, binder, 32);
    qr_buf_put8(&b, 0);
    vendor_keys(pk, sk);
    evidence_digest(e, digest);
    (void)crypto_sign_detached(e + SIGNED_LEN, NULL, digest, sizeof digest, sk);
    qr_buf_put(out, e, sizeof e);
    return out->err;
}

qr_err
qr_sim_verify(qr_view evidence, const uint8_t binder[static 32], struct qr_claims *ret, char *why,
              size_t why_cap)
{
    uint8_t digest[32], pk[crypto_sign_PUBLICKEYBYTES], sk[crypto_sign_SECRETKEYBYTES];
    struct qr_claims c = {.platform = QR_PLATFORM_SIM, .insecure = 1};
    const char *wrong = NULL;

    if (evidence.len != QR_SIM_EVIDENCE_LEN) {
        if (why) {
            (void)snprintf(why, why_cap, "sim evidence has %zu bytes, not %u", evidence.len,
                           QR_SIM_EVIDENCE_LEN);
        }
        return QR_ERR_ATTESTATION;
    }
    struct qr_buf b = qr_buf_read(evidence);
    qr_view magic = qr_buf_take(&b, 4);
    uint8_t version = qr_buf_get8(&b), platform = qr_buf_get8(&b);
    qr_buf_get(&b, c.measurement, 32);
    c.debug = qr_buf_get8(&b);
    qr_view bound = qr_buf_take(&b, 32);
    uint8_t zero = qr_buf_get8(&b);

    vendor_keys(pk, sk);
    evidence_digest(evidence.p, digest);
    if (!qr_view_eq(magic, qr_view_str("QSIM")) || version != VERSION ||
        platform != QR_PLATFORM_SIM || zero != 0 || c.debug > 1) {
        wrong = "sim evidence has an unknown form";
    } else if (crypto_sign_verify_detached(evidence.p + SIGNED_LEN, digest, sizeof digest, pk)) {
        wrong = "sim evidence is not signed by the software vendor key";
    } else if (!qr_sec_eq(bound.p, binder, 32)) {
        wrong = "sim evidence is bound to another channel (binder differs)";
    }
    if (wrong) {
        if (why) {
            (void)snprintf(why, why_cap, "%s", wrong);
        }
        return QR_ERR_ATTESTATION;
    }
    *ret = c;
    return QR_OK;
}

/* Sealing. */

static qr_err
sim_seal(void *ctx, uint32_t epoch, qr_view ad, qr_view plain, struct qr_buf *out)
{
    const struct sim *s = ctx;
    struct qr_rng rng = qr_rng_system();
    return qr_sealroot_seal(&s->root, &rng, epoch, ad, plain, out);
}

static qr_err
sim_unseal(void *ctx, uint32_t epoch, qr_view ad, qr_view sealed, struct qr_buf *out)
{
    const struct sim *s = ctx;
    return qr_sealroot_unseal(&s->root, epoch, ad, sealed, out);
}

static qr_err
sim_derive(void *ctx, uint32_t epoch, const char *label, qr_view ad, struct qr_sec32 *ret)
{
    const struct sim *s = ctx;
    return qr_sealroot_derive(&s->root, epoch, label, ad, ret);
}

static void
sim_random(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    randombytes_buf(out, n);
}

static void
sim_free(void *ctx)
{
    qr_locked_free(ctx);
}

/* Opening. */

const struct qr_tee_profile qr_tee_sim_profile = {
    .name = "sim", .grain = QR_TEE_PROCESS, .network = 1, .disk = 1};

static qr_err
measure_self(uint8_t ret[static 32], char *err_text, size_t err_cap)
{
    struct stat st;
    void *map = MAP_FAILED;
    qr_err e = QR_ERR_PLATFORM;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size <= 0) {
        EXPLAIN("/proc/self/exe: %s; the software TEE measures the program through it",
                strerror(errno));
        goto out;
    }
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        EXPLAIN("/proc/self/exe: %s", strerror(errno));
        goto out;
    }
    qr_sha256(qr_view_of(map, (size_t)st.st_size), ret);
    (void)munmap(map, (size_t)st.st_size);
    e = QR_OK;
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    return e;
}

static qr_err
check_dir(const char *dir, char *err_text, size_t err_cap)
{
    struct stat st;
    if (stat(dir, &st) != 0) {
        EXPLAIN("%s: %s", dir, strerror(errno));
        return QR_ERR_PLATFORM;
    }
    if (!S_ISDIR(st.st_mode)) {
        EXPLAIN("%s is not a directory", dir);
        return QR_ERR_PLATFORM;
    }
    if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022)) {
        EXPLAIN("%s: others may write here (owner %u, mode %04o); chown it to this user and "
                "chmod 0700",
                dir, (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
        return QR_ERR_PERMISSIONS;
    }
    return QR_OK;
}

/*
 * The whole key appears at once, by link(2): a crash on the way leaves no short file, and of two
 * processes that start together one wins and the other reads the winner's.
 */
static qr_err
make_key(int dir, const char *dir_name, char *err_text, size_t err_cap)
{
    static const char tmp[] = KEY_FILE ".new";
    struct qr_sec32 key QR_WIPE(qr_sec32);
    qr_err e = QR_ERR_PLATFORM;

    struct qr_rng rng = qr_rng_system();
    qr_rng_fill(&rng, key.b, KEY_LEN);
    (void)unlinkat(dir, tmp, 0); /* of a start that was killed */
    int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fchmod(fd, 0600) != 0 || write(fd, key.b, KEY_LEN) != (ssize_t)KEY_LEN ||
        fsync(fd) != 0 || (linkat(dir, tmp, dir, KEY_FILE, 0) != 0 && errno != EEXIST)) {
        EXPLAIN("%s/%s: cannot be made: %s", dir_name, KEY_FILE, strerror(errno));
        goto out;
    }
    e = QR_OK;
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    (void)unlinkat(dir, tmp, 0);
    if (e == QR_OK && fsync(dir) != 0) {
        EXPLAIN("%s: %s", dir_name, strerror(errno));
        e = QR_ERR_PLATFORM;
    }
    return e;
}

static qr_err
read_key(int fd, const char *dir_name, struct qr_sec32 *ret, char *err_text, size_t err_cap)
{
    struct stat st;
    uint8_t more;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        EXPLAIN("%s/%s is not a regular file", dir_name, KEY_FILE);
        return QR_ERR_PLATFORM;
    }
    if (st.st_uid != geteuid() || (st.st_mode & 077)) {
        EXPLAIN("%s/%s: owner %u, mode %04o; it must be this user's with mode 0600", dir_name,
                KEY_FILE, (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
        return QR_ERR_PERMISSIONS;
    }
    if (read(fd, ret->b, KEY_LEN) != (ssize_t)KEY_LEN || read(fd, &more, 1) != 0) {
        EXPLAIN("%s/%s does not hold %u bytes; restore it, or remove it and the store it sealed",
                dir_name, KEY_FILE, KEY_LEN);
        return QR_ERR_PLATFORM;
    }
    return QR_OK;
}

static qr_err
load_key(const char *dir_name, struct qr_sec32 *ret, char *err_text, size_t err_cap)
{
    qr_err e = QR_ERR_PLATFORM;
    int fd = -1, dir = open(dir_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0) {
        EXPLAIN("%s: %s", dir_name, strerror(errno));
        goto out;
    }
    fd = openat(dir, KEY_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        e = make_key(dir, dir_name, err_text, err_cap);
        if (e != QR_OK) {
            goto out;
        }
        fd = openat(dir, KEY_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0) {
        EXPLAIN("%s/%s: %s", dir_name, KEY_FILE, strerror(errno));
        e = errno == EACCES ? QR_ERR_PERMISSIONS : QR_ERR_PLATFORM;
        goto out;
    }
    e = read_key(fd, dir_name, ret, err_text, err_cap);
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    if (dir >= 0) {
        (void)close(dir);
    }
    return e;
}

qr_err
qr_tee_sim_open(const char *state_dir, struct qr_tee *ret, char *err_text, size_t err_cap)
{
    struct qr_sec32 file_key QR_WIPE(qr_sec32) = {{0}};

    QR_TRY(check_dir(state_dir, err_text, err_cap));
    struct sim *s = qr_locked_alloc(sizeof *s, NULL);
    if (!s) {
        EXPLAIN("out of memory");
        return QR_ERR_NO_MEMORY;
    }
    qr_err e = measure_self(s->measurement, err_text, err_cap);
    if (e == QR_OK) {
        e = load_key(state_dir, &file_key, err_text, err_cap);
    }
    if (e != QR_OK) {
        qr_locked_free(s);
        return e;
    }
    s->debug = prctl(PR_GET_DUMPABLE) == 1; /* a debugger of the same user may attach */
    s->root.secret = file_key;
    qr_th(QR_TAG_SIM, QR_FIELDS(qr_view_str("seal"), qr_view_of(s->measurement, 32)),
          s->root.context);
    *ret = (struct qr_tee){
        .ctx = s,
        .profile = &qr_tee_sim_profile,
        .platform = QR_PLATFORM_SIM,
        .insecure = 1,
        .evidence = sim_evidence,
        .seal = sim_seal,
        .unseal = sim_unseal,
        .derive = sim_derive,
        .random = sim_random,
        .free = sim_free,
    };
    memcpy(ret->measurement, s->measurement, 32);
    return QR_OK;
}
