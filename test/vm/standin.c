/*
 * standin: in the place of quorated in an enclave, to see what quorate-init gives it.
 *
 * What: says on the console who it is, which descriptors and groups it has, what it may open and what
 *       its configuration is. Its first life ends with 75, its second by a signal; its third sends a
 *       mebibyte through the pump to an echo on the parent and back, by 127.0.0.1:7101, half-closes, and
 *       ends with 0, as a party that was drained.
 * Why: PID 1's promises are about what it starts.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TOTAL (1u << 20)

static void
who(void)
{
    gid_t groups[16];
    int n = getgroups(16, groups);
    struct rlimit lock, core;

    printf("standin: uid %u gid %u groups", getuid(), getgid());
    for (int i = 0; i < n; i++) {
        printf(" %u", groups[i]);
    }
    (void)getrlimit(RLIMIT_MEMLOCK, &lock);
    (void)getrlimit(RLIMIT_CORE, &core);
    printf("; root again: %s; new privileges: %s; lock: %s; core: %s; session: %s\n",
           setuid(0) == 0 ? "yes" : "no", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) ? "no" : "yes",
           lock.rlim_cur == RLIM_INFINITY ? "all" : "some", core.rlim_cur ? "some" : "none",
           getsid(0) == getpid() ? "own" : "shared");
}

static void
descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    printf("standin: descriptors");
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (e->d_name[0] != '.' && (int)strtol(e->d_name, NULL, 10) != dirfd(d)) {
            printf(" %s", e->d_name);
        }
    }
    printf("\n");
    (void)closedir(d);
}

static const char *
try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0) {
        return strerror(errno);
    }
    (void)close(fd);
    return "ok";
}

static void
doors(void)
{
    struct stat st = {.st_mode = 0};

    (void)stat("/dev/nsm", &st);
    printf("standin: nsm: %s, mode %o owner %u\n", try_open("/dev/nsm", O_RDWR), st.st_mode & 07777,
           st.st_uid);
    printf("standin: root: %s\n", try_open("/written", O_WRONLY | O_CREAT));
    printf("standin: init: %s\n", try_open("/proc/1/environ", O_RDONLY));
    printf("standin: run: %s; state: %s\n", try_open("/run/quorate/x", O_WRONLY | O_CREAT),
           try_open("/run/quorate/state/x", O_WRONLY | O_CREAT));
}

static void
configuration(void)
{
    char line[256];
    FILE *f = fopen("/run/quorate/quorated.conf", "re");

    while (f && fgets(line, sizeof line, f)) {
        printf("standin: conf: %s", line);
    }
    if (f) {
        (void)fclose(f);
    }
}

static int
dial(void)
{
    const struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(7101), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)&a, sizeof a) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* All of it there and back; 0 if the line broke before. */
static int
echo(void)
{
    static uint8_t out[TOTAL], in[TOTAL + 1];
    size_t sent = 0, got = 0;
    struct timespec from, to;
    int fd = dial();

    if (fd < 0) {
        return 0;
    }
    for (size_t i = 0; i < TOTAL; i++) {
        out[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    for (;;) {
        struct pollfd p = {fd, (short)(POLLIN | (sent < TOTAL ? POLLOUT : 0)), 0};
        (void)poll(&p, 1, 20000);
        if (sent < TOTAL && (p.revents & POLLOUT)) {
            ssize_t n = send(fd, out + sent, TOTAL - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
            sent += n > 0 ? (size_t)n : 0;
            if (sent == TOTAL) {
                (void)shutdown(fd, SHUT_WR);
            }
        }
        ssize_t n = recv(fd, in + got, sizeof in - got, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            break;
        }
        got += n > 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    if (sent < TOTAL || got != TOTAL || memcmp(in, out, TOTAL) != 0) {
        return 0;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    printf("standin: echo of %u bytes in %.0f ms\n", TOTAL,
           1e3 * (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e6);
    return 1;
}

int
main(void)
{
    static const char *const lives[] = {"/run/quorate/state/1", "/run/quorate/state/2"};

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (access(lives[0], F_OK) != 0) {
        who();
        descriptors();
        doors();
        configuration();
        (void)try_open(lives[0], O_WRONLY | O_CREAT);
        return 75;
    }
    if (access(lives[1], F_OK) != 0) {
        (void)try_open(lives[1], O_WRONLY | O_CREAT);
        (void)raise(SIGKILL);
    }
    for (int i = 0; i < 200 && !echo(); i++) {
        (void)poll(NULL, 0, 50);
    }
    return 0;
}
