#include "test/common/swtpm.h"

#include "protocol/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS 10000

static void
pause_ms(long ms)
{
    const struct timespec ts = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&ts, NULL);
}

/* 1: somebody accepts there. */
static int
answers(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int ok = fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

void
swtpm_prepare(struct swtpm *s)
{
    *s = (struct swtpm){0};
    tmpdir_new(&s->dir);
    (void)snprintf(s->socket, sizeof s->socket, "%s/data", s->dir.path);
    (void)snprintf(s->path, sizeof s->path, "unix:%s", s->socket);
}

void
swtpm_run(struct swtpm *s)
{
    char state[96], server[128], ctrl[128], log[128];
    (void)snprintf(state, sizeof state, "dir=%s", s->dir.path);
    (void)snprintf(server, sizeof server, "type=unixio,path=%s", s->socket);
    (void)snprintf(ctrl, sizeof ctrl, "type=unixio,path=%s/ctrl", s->dir.path);
    (void)snprintf(log, sizeof log, "file=%s/log", s->dir.path);

    pid_t parent = getpid();
    s->pid = fork();
    if (s->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(127);
        }
        execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server,
               "--ctrl", ctrl, "--flags", "not-need-init,startup-clear", "--log", log,
               (char *)NULL);
        _exit(127);
    }
    assert_true(s->pid > 0);
    for (int waited = 0; !answers(s->socket); waited += 5) {
        int st = 0;
        if (waitpid(s->pid, &st, WNOHANG) == s->pid) {
            s->pid = 0;
            if (WIFEXITED(st) && WEXITSTATUS(st) == 127) {
                fail_msg("no swtpm on this machine: deploy/deps.sh dev installs it");
            }
            fail_msg("swtpm ended at once (status %d); its log: %s/log", st, s->dir.path);
        }
        if (waited > START_MS) {
            fail_msg("swtpm did not open %s within %d ms", s->socket, START_MS);
        }
        pause_ms(5);
    }
}

static void
end(struct swtpm *s)
{
    if (s->pid > 0) {
        (void)kill(s->pid, SIGTERM);
        for (int i = 0; i < 400; i++) {
            if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
                s->pid = 0;
                break;
            }
            pause_ms(5);
        }
    }
    if (s->pid > 0) {
        (void)kill(s->pid, SIGKILL);
        (void)waitpid(s->pid, NULL, 0);
        s->pid = 0;
    }
    (void)unlink(s->socket);
}

void
swtpm_start(struct swtpm *s)
{
    swtpm_prepare(s);
    swtpm_run(s);
}

void
swtpm_reboot(struct swtpm *s)
{
    end(s);
    swtpm_run(s);
}

void
swtpm_stop(struct swtpm *s)
{
    end(s);
    if (s->dir.path[0]) {
        tmpdir_remove(&s->dir);
    }
    *s = (struct swtpm){0};
}

/* ---- commands ---- */

uint32_t
swtpm_raw(int fd, qr_view command, uint8_t out[static 4096], size_t *ret_len)
{
    size_t have = 0, len = 10;

    assert_int_equal(write(fd, command.p, command.len), command.len);
    while (have < len) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 30000), 1);
        ssize_t n = read(fd, out + have, 4096 - have);
        assert_true(n > 0);
        have += (size_t)n;
        if (have >= 10) {
            struct qr_buf b = qr_buf_read(qr_view_of(out + 2, 4));
            len = qr_buf_get32(&b);
            assert_in_range(len, 10, 4096);
        }
    }
    assert_int_equal(have, len);
    struct qr_buf b = qr_buf_read(qr_view_of(out + 6, 4));
    if (ret_len) {
        *ret_len = len;
    }
    return qr_buf_get32(&b);
}

struct command {
    uint8_t mem[1024], out[4096];
    struct qr_buf b;
    size_t len; /* of the answer */
};

static void
begin(struct command *c, uint32_t code, int sessions)
{
    c->b = qr_buf_over(c->mem, sizeof c->mem);
    qr_buf_put16(&c->b, sessions ? 0x8002 : 0x8001);
    qr_buf_put32(&c->b, 0);
    qr_buf_put32(&c->b, code);
}

/* One password session. */
static void
password(struct command *c, const char *text)
{
    size_t n = strlen(text);
    qr_buf_put32(&c->b, (uint32_t)(9 + n));
    qr_buf_put32(&c->b, 0x40000009);
    qr_buf_put16(&c->b, 0);
    qr_buf_put8(&c->b, 0);
    qr_buf_put16(&c->b, (uint16_t)n);
    qr_buf_put(&c->b, text, n);
}

static uint32_t
submit(struct command *c, int fd)
{
    struct qr_buf head = qr_buf_over(c->mem + 2, 4);
    assert_int_equal(c->b.err, QR_OK);
    qr_buf_put32(&head, (uint32_t)c->b.len);
    return swtpm_raw(fd, qr_buf_view(&c->b), c->out, &c->len);
}

uint32_t
swtpm_extend(int fd, unsigned pcr, const uint8_t digest[static 32])
{
    struct command c;
    begin(&c, 0x182, 1);
    qr_buf_put32(&c.b, pcr);
    password(&c, "");
    qr_buf_put32(&c.b, 1);
    qr_buf_put16(&c.b, 0x000b);
    qr_buf_put(&c.b, digest, 32);
    return submit(&c, fd);
}

uint32_t
swtpm_nv_undefine(int fd, uint32_t index)
{
    struct command c;
    begin(&c, 0x122, 1);
    qr_buf_put32(&c.b, 0x40000001);
    qr_buf_put32(&c.b, index);
    password(&c, "");
    return submit(&c, fd);
}

uint32_t
swtpm_nv_increment(int fd, uint32_t index)
{
    struct command c;
    begin(&c, 0x134, 1);
    qr_buf_put32(&c.b, index);
    qr_buf_put32(&c.b, index);
    password(&c, "");
    return submit(&c, fd);
}

uint32_t
swtpm_nv_define(int fd, uint32_t index, uint32_t attributes, uint16_t size)
{
    struct command c;
    begin(&c, 0x12a, 1);
    qr_buf_put32(&c.b, 0x40000001);
    password(&c, "");
    qr_buf_put16(&c.b, 0);
    qr_buf_put16(&c.b, 14);
    qr_buf_put32(&c.b, index);
    qr_buf_put16(&c.b, 0x000b);
    qr_buf_put32(&c.b, attributes);
    qr_buf_put16(&c.b, 0);
    qr_buf_put16(&c.b, size);
    return submit(&c, fd);
}

uint32_t
swtpm_clear(int fd)
{
    struct command c;
    begin(&c, 0x126, 1);
    qr_buf_put32(&c.b, 0x4000000a);
    password(&c, "");
    return submit(&c, fd);
}

uint32_t
swtpm_owner_password(int fd, const char *now, const char *then)
{
    struct command c;
    begin(&c, 0x129, 1);
    qr_buf_put32(&c.b, 0x40000001);
    password(&c, now);
    qr_buf_put16(&c.b, (uint16_t)strlen(then));
    qr_buf_put(&c.b, then, strlen(then));
    return submit(&c, fd);
}

uint32_t
swtpm_keep_ak(int fd, uint32_t handle, uint32_t attributes)
{
    struct command c;
    begin(&c, 0x131, 1); /* CreatePrimary, endorsement */
    qr_buf_put32(&c.b, 0x4000000b);
    password(&c, "");
    qr_buf_put16(&c.b, 4); /* no password, no data */
    qr_buf_put32(&c.b, 0);
    qr_buf_put16(&c.b, 24); /* TPM2B_PUBLIC */
    qr_buf_put16(&c.b, 0x0001);
    qr_buf_put16(&c.b, 0x000b);
    qr_buf_put32(&c.b, attributes);
    qr_buf_put16(&c.b, 0);
    qr_buf_put16(&c.b, 0x0010);
    qr_buf_put16(&c.b, 0x0014);
    qr_buf_put16(&c.b, 0x000b);
    qr_buf_put16(&c.b, 2048);
    qr_buf_put32(&c.b, 0);
    qr_buf_put16(&c.b, 0);
    qr_buf_put16(&c.b, 0); /* outsideInfo */
    qr_buf_put32(&c.b, 0); /* creationPCR */
    uint32_t rc = submit(&c, fd);
    if (rc) {
        return rc;
    }
    struct qr_buf b = qr_buf_read(qr_view_of(c.out + 10, 4));
    uint32_t transient = qr_buf_get32(&b);
    begin(&c, 0x120, 1); /* EvictControl */
    qr_buf_put32(&c.b, 0x40000001);
    qr_buf_put32(&c.b, transient);
    password(&c, "");
    qr_buf_put32(&c.b, handle);
    rc = submit(&c, fd);
    begin(&c, 0x165, 0); /* FlushContext */
    qr_buf_put32(&c.b, transient);
    (void)submit(&c, fd);
    return rc;
}

uint32_t
swtpm_modulus(int fd, uint32_t handle, uint8_t out[static 256], size_t *ret_len)
{
    struct command c;
    begin(&c, 0x173, 0); /* ReadPublic */
    qr_buf_put32(&c.b, handle);
    uint32_t rc = submit(&c, fd);
    if (rc == 0) {
        /* It ends the TPM2B_PUBLIC, which the TPM2B_NAMEs follow. */
        struct qr_buf b = qr_buf_read(qr_view_of(c.out + 10, 2));
        size_t end = 12 + qr_buf_get16(&b);
        assert_in_range(end, 12 + 258, 1024);
        assert_memory_equal(c.out + end - 258, "\1\0", 2);
        memcpy(out, c.out + end - 256, 256);
        *ret_len = 256;
    }
    return rc;
}

unsigned
swtpm_leftovers(int fd)
{
    static const uint32_t kinds[] = {0x80000000, 0x02000000, 0x03000000};
    unsigned n = 0;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct command c;
        begin(&c, 0x17a, 0);
        qr_buf_put32(&c.b, 1); /* TPM_CAP_HANDLES */
        qr_buf_put32(&c.b, kinds[i]);
        qr_buf_put32(&c.b, 16);
        assert_int_equal(submit(&c, fd), 0);
        struct qr_buf b = qr_buf_read(qr_view_of(c.out + 15, 4));
        n += qr_buf_get32(&b);
    }
    return n;
}

size_t
swtpm_template(uint8_t out[static 128])
{
    struct qr_buf b = qr_buf_over(out, 128);
    qr_buf_put16(&b, 0x0023);
    qr_buf_put16(&b, 0x000b);
    qr_buf_put32(&b, 0x00050072);
    qr_buf_put16(&b, 0);
    qr_buf_put16(&b, 0x0010); /* symmetric */
    qr_buf_put16(&b, 0x0018); /* ECDSA */
    qr_buf_put16(&b, 0x000b);
    qr_buf_put16(&b, 0x0003); /* P-256 */
    qr_buf_put16(&b, 0x0010); /* no KDF */
    qr_buf_put16(&b, 0);
    qr_buf_put16(&b, 0);
    return b.len;
}
