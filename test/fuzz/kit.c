#include "test/fuzz/kit.h"

#include "daemon/log.h"
#include "protocol/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void
fuzz_flip(struct fuzz_in *in, uint8_t *p, size_t len)
{
    uint32_t at = fuzz_u32(in);
    uint8_t with = fuzz_u8(in);
    if (len > 0) {
        p[at % len] ^= with ? with : 1;
    }
}

/* ---- a child a run -------------------------------------------------------------------------- */

/*
 * The counters that a child gives back: the fuzzer's edges, and source coverage in a build for that.
 * The linker makes these symbols where the sections exist.
 */
extern uint8_t __start___sancov_cntrs[] __attribute__((weak));
extern uint8_t __stop___sancov_cntrs[] __attribute__((weak));
extern uint8_t __start___llvm_prf_cnts[] __attribute__((weak));
extern uint8_t __stop___llvm_prf_cnts[] __attribute__((weak));

/* Of the leak checker, where there is one. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

void
fuzz_prepare(int begins)
{
    if (begins && __lsan_disable) {
        __lsan_disable();
    } else if (!begins && __lsan_enable) {
        __lsan_enable();
    }
}

struct section {
    uint8_t *start;
    size_t len;
    uint8_t *shared;
};
static struct section section[2];

static void
share(struct section *s, uint8_t *start, const uint8_t *stop)
{
    if (start && stop > start) {
        s->start = start;
        s->len = (size_t)(stop - start);
        s->shared = mmap(NULL, s->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        FUZZ_MUST(s->shared != MAP_FAILED);
    }
}

/*
 * Called for the product's madvise (--wrap=madvise): everything but the wiping of locked memory in
 * children, which would take the prepared state's secrets away.
 */
int __real_madvise(void *p, size_t len, int advice);
int __wrap_madvise(void *p, size_t len, int advice);

int
__wrap_madvise(void *p, size_t len, int advice)
{
    return advice == MADV_WIPEONFORK ? 0 : __real_madvise(p, len, advice);
}

void
fuzz_child(void (*run)(const uint8_t *data, size_t size), const uint8_t *data, size_t size)
{
    static int started;
    int status = 0;
    pid_t r;

    if (!started) {
        share(&section[0], __start___sancov_cntrs, __stop___sancov_cntrs);
        share(&section[1], __start___llvm_prf_cnts, __stop___llvm_prf_cnts);
        started = 1;
    }
    pid_t parent = getpid(), child = fork();
    FUZZ_MUST(child >= 0);
    if (child == 0) {
        /* A fuzzer that is killed takes the child along. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
            _exit(1);
        }
        run(data, size);
        for (int i = 0; i < 2; i++) {
            if (section[i].len) {
                memcpy(section[i].shared, section[i].start, section[i].len);
            }
        }
        _exit(0);
    }
    do {
        r = waitpid(child, &status, 0);
    } while (r < 0 && errno == EINTR);
    if (r != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        (void)fprintf(stderr, "the child ended with status 0x%x\n", (unsigned)status);
        abort();
    }
    for (int i = 0; i < 2; i++) {
        if (section[i].len) {
            memcpy(section[i].start, section[i].shared, section[i].len);
        }
    }
}

/* ---- files ---------------------------------------------------------------------------------- */

static char dir[64];
static pid_t dir_owner;

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void
remove_dir(void)
{
    if (getpid() == dir_owner) {
        (void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
}

const char *
fuzz_dir(void)
{
    if (!dir[0]) {
        /* Memory, where there is such a place: files are written once an input. */
        const char *tmp = getenv("TMPDIR");
        tmp = tmp ? tmp : access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        int n = snprintf(dir, sizeof dir, "%s/quorate-fuzz-XXXXXX", tmp);
        FUZZ_MUST(n > 0 && (size_t)n < sizeof dir && mkdtemp(dir) != NULL);
        dir_owner = getpid();
        FUZZ_MUST(atexit(remove_dir) == 0);
    }
    return dir;
}

const char *
fuzz_file(const char *name, unsigned slot, qr_view bytes)
{
    static char path[4][128];
    (void)snprintf(path[slot], sizeof path[slot], "%s/%s", fuzz_dir(), name);
    int fd = open(path[slot], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_MUST(fd >= 0);
    FUZZ_MUST(bytes.len == 0 || write(fd, bytes.p, bytes.len) == (ssize_t)bytes.len);
    (void)close(fd);
    return path[slot];
}

/* ---- what is said --------------------------------------------------------------------------- */

static void
line(void *ctx, const char *text, size_t len)
{
    json_error_t why;
    (void)ctx;
    FUZZ_MUST(!memchr(text, '\n', len) && !memchr(text, '\r', len));
    json_t *j = json_loadb(text, len, JSON_ALLOW_NUL, &why);
    FUZZ_MUST(j != NULL);
    json_decref(j);
}

void
fuzz_mute(void)
{
    qr_log_init(QR_LOG_DEBUG, QR_LOG_JSON);
    qr_log_sink(line, NULL);
}

void
fuzz_heap_below(size_t n)
{
    size_t bytes, blocks;
    qr_alloc_stats(&bytes, &blocks);
    if (bytes > n) {
        (void)fprintf(stderr, "%zu bytes in %zu blocks are on the heap, at most %zu expected\n",
                      bytes, blocks, n);
        abort();
    }
}
