/*
 * Names, without making streams wait: a short-lived thread each, at most QR_NAMES_MAX at a time. The
 * resolver's answer is the first numeric address. Used by the outside half alone (conf.c sees to it): a
 * resolver reads files and the network.
 */
#include "enclave-shim/pump/pump_int.h"

#include "protocol/base/mem.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define STACK 131072u

enum job_state { JOB_FREE, JOB_RUNS, JOB_DONE };

struct job {
    struct qr_names *names;
    enum job_state state;
    uint64_t tag;
    struct qr_endpoint at; /* the name; numeric in the end */
    int error;             /* of getaddrinfo */
};

struct qr_names {
    pthread_mutex_t lock;
    int fd[2];
    int closed; /* the pump is gone; the last thread cleans up */
    unsigned running;
    struct job job[QR_NAMES_MAX];
};

static void
destroy(struct qr_names *n)
{
    (void)close(n->fd[0]);
    (void)close(n->fd[1]);
    (void)pthread_mutex_destroy(&n->lock);
    qr_free(n);
}

/* In the thread, on its own copy. */
static int
resolve(struct qr_endpoint *at)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char host[QR_ADDRESS_MAX] = "";
    int e = getaddrinfo(at->host, NULL, &hints, &list);

    if (e == 0) {
        e = getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof host, NULL, 0,
                        NI_NUMERICHOST);
        freeaddrinfo(list);
    }
    if (e == 0) {
        memcpy(at->host, host, sizeof host);
    }
    return e;
}

static void *
run(void *arg)
{
    struct job *j = arg;
    struct qr_names *n = j->names;
    struct qr_endpoint at = j->at; /* nobody writes it while the job runs */
    int e = resolve(&at), last;

    (void)pthread_mutex_lock(&n->lock);
    j->at = at;
    j->error = e;
    j->state = JOB_DONE;
    n->running--;
    last = n->closed && n->running == 0;
    if (!n->closed && write(n->fd[1], "", 1) != 1) {
        j->error = EAI_SYSTEM; /* the pipe holds a byte a job: cannot be full */
    }
    (void)pthread_mutex_unlock(&n->lock);
    if (last) {
        destroy(n);
    }
    return NULL;
}

struct qr_names *
qr_names_new(int *ret_fd)
{
    struct qr_names *n = qr_alloc(sizeof *n);

    if (!n) {
        return NULL;
    }
    if (pipe2(n->fd, O_CLOEXEC | O_NONBLOCK) != 0) {
        return qr_free(n);
    }
    if (pthread_mutex_init(&n->lock, NULL) != 0) {
        (void)close(n->fd[0]);
        (void)close(n->fd[1]);
        return qr_free(n);
    }
    *ret_fd = n->fd[0];
    return n;
}

struct qr_names *
qr_names_free(struct qr_names *n)
{
    if (!n) {
        return NULL;
    }
    (void)pthread_mutex_lock(&n->lock);
    n->closed = 1;
    int last = n->running == 0;
    (void)pthread_mutex_unlock(&n->lock);
    if (last) {
        destroy(n);
    }
    return NULL;
}

int
qr_names_ask(struct qr_pump *p, uint64_t tag, const struct qr_endpoint *e)
{
    struct qr_names *n = p->resolver;
    pthread_attr_t attr;
    pthread_t thread;
    struct job *j = NULL;

    if (pthread_attr_init(&attr) != 0) {
        return -1;
    }
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, STACK);
    (void)pthread_mutex_lock(&n->lock);
    for (unsigned i = 0; i < QR_NAMES_MAX && !j; i++) {
        j = n->job[i].state == JOB_FREE ? &n->job[i] : NULL;
    }
    if (j) {
        *j = (struct job){.names = n, .state = JOB_RUNS, .tag = tag, .at = *e};
        n->running++;
        if (pthread_create(&thread, &attr, run, j) != 0) {
            j->state = JOB_FREE;
            n->running--;
            j = NULL;
        }
    }
    (void)pthread_mutex_unlock(&n->lock);
    (void)pthread_attr_destroy(&attr);
    return j ? 0 : -1;
}

void
qr_names_take(struct qr_pump *p)
{
    struct qr_names *n = p->resolver;
    struct job done[QR_NAMES_MAX];
    uint8_t bytes[QR_NAMES_MAX];
    unsigned k = 0;

    while (read(n->fd[0], bytes, sizeof bytes) > 0) {
    }
    (void)pthread_mutex_lock(&n->lock);
    for (unsigned i = 0; i < QR_NAMES_MAX; i++) {
        if (n->job[i].state == JOB_DONE) {
            n->job[i].state = JOB_FREE;
            done[k++] = n->job[i];
        }
    }
    (void)pthread_mutex_unlock(&n->lock);
    for (unsigned i = 0; i < k; i++) {
        char text[160];
        (void)snprintf(text, sizeof text, "its name cannot be resolved: %s",
                       gai_strerror(done[i].error));
        qr_stream_named(p, done[i].tag, done[i].error ? text : NULL, &done[i].at);
    }
}
