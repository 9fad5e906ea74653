/*
 * The queue is a ring of jobs. `put` is where the next job goes, `done` is behind the last finished
 * one, `got` behind the last handed out: got <= done <= put. The thread works on ring[done].
 */
#include "daemon/gw_fetch.h"

#include "daemon/config.h"
#include "protocol/base/check.h"
#include "protocol/base/mem.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define JSON_HEADER "Content-Type: application/json"

struct job {
    uint64_t id;
    char url[QR_URL_MAX], post[QR_POST_MAX];
    int metadata;
    const char *want_header;
    /* the answer */
    unsigned status, retry_after_s;
    struct qr_dbuf body;
    size_t header_len;
    char header[QR_FETCH_HEADER_MAX];
    char why[128];
};

struct fetch {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    CURL *curl;
    struct curl_slist *metadata, *json, *json_metadata;
    int fd, stop, taken; /* taken: ring[got - 1] was handed out and is still looked at */
    unsigned put, done, got;
    struct job ring[QR_FETCH_JOBS];
};

static size_t
on_body(char *p, size_t one, size_t n, void *ctx)
{
    struct job *j = ctx;
    (void)one;
    return qr_dbuf_append(&j->body, p, n) == QR_OK ? n : 0;
}

static size_t
on_header(char *p, size_t one, size_t n, void *ctx)
{
    struct job *j = ctx;
    (void)one;
    size_t name = j->want_header ? strlen(j->want_header) : 0;
    if (name && n > name + 1 && p[name] == ':' && strncasecmp(p, j->want_header, name) == 0) {
        size_t from = name + 1, to = n;
        while (from < to && (p[from] == ' ' || p[from] == '\t')) {
            from++;
        }
        while (to > from && (p[to - 1] == '\r' || p[to - 1] == '\n' || p[to - 1] == ' ')) {
            to--;
        }
        if (to - from > sizeof j->header) {
            return 0;
        }
        memcpy(j->header, p + from, to - from);
        j->header_len = to - from;
    }
    return n;
}

static int
on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct fetch *f = ctx;
    (void)a, (void)b, (void)c, (void)d;
    pthread_mutex_lock(&f->lock);
    int stop = f->stop;
    pthread_mutex_unlock(&f->lock);
    return stop;
}

static void
set_up(struct fetch *f)
{
    CURL *c = f->curl;
    int ok = 1;
    ok &= curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
    ok &= curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK;
    ok &= curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK;
    ok &= curl_easy_setopt(c, CURLOPT_XFERINFODATA, f) == CURLE_OK;
    ok &= curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
    ok &= curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    ok &= curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)QR_FETCH_SECONDS) == CURLE_OK;
    ok &= curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 5L) == CURLE_OK;
    ok &= curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
    ok &= curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    ok &= curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK;
    ok &= curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, NULL) == CURLE_OK;
    ok &= curl_easy_setopt(c, CURLOPT_USERAGENT, "quorate-gateway/" QR_PRODUCT_VERSION) == CURLE_OK;
    QR_ASSERT(ok); /* options of the oldest libcurl we build with */
}

static void
work(struct fetch *f, struct job *j)
{
    char text[CURL_ERROR_SIZE] = "";
    long status = 0;
    curl_off_t after = 0;
    CURL *c = f->curl;

    int ok = curl_easy_setopt(c, CURLOPT_URL, j->url) == CURLE_OK;
    if (j->post[0]) {
        ok &= curl_easy_setopt(c, CURLOPT_HTTPHEADER, j->metadata ? f->json_metadata : f->json) ==
              CURLE_OK;
        ok &= curl_easy_setopt(c, CURLOPT_POSTFIELDS, j->post) == CURLE_OK;
    } else {
        ok &= curl_easy_setopt(c, CURLOPT_HTTPGET, 1L) == CURLE_OK;
        ok &= curl_easy_setopt(c, CURLOPT_HTTPHEADER, j->metadata ? f->metadata : NULL) == CURLE_OK;
    }
    ok &= curl_easy_setopt(c, CURLOPT_WRITEDATA, j) == CURLE_OK;
    ok &= curl_easy_setopt(c, CURLOPT_HEADERDATA, j) == CURLE_OK;
    ok &= curl_easy_setopt(c, CURLOPT_ERRORBUFFER, text) == CURLE_OK;
    CURLcode e = ok ? curl_easy_perform(c) : CURLE_OUT_OF_MEMORY;
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, NULL);
    if (e != CURLE_OK) {
        (void)snprintf(j->why, sizeof j->why, "%.100s", text[0] ? text : curl_easy_strerror(e));
        return;
    }
    (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &after);
    j->status = status > 0 && status < 1000 ? (unsigned)status : 0;
    j->retry_after_s = after > 0 ? (after > 86400 ? 86400u : (unsigned)after) : 0;
}

static void *
run(void *ctx)
{
    struct fetch *f = ctx;
    sigset_t all;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, NULL);

    pthread_mutex_lock(&f->lock);
    while (!f->stop) {
        if (f->done == f->put) {
            pthread_cond_wait(&f->work, &f->lock);
            continue;
        }
        struct job *j = &f->ring[f->done % QR_FETCH_JOBS];
        pthread_mutex_unlock(&f->lock);
        work(f, j);
        uint64_t one = 1;
        pthread_mutex_lock(&f->lock);
        f->done++;
        (void)!write(f->fd, &one, sizeof one);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static qr_err
fetch_start(void *ctx, uint64_t id, const struct qr_fetch_ask *ask)
{
    struct fetch *f = ctx;
    qr_err e = QR_ERR_BUSY;

    pthread_mutex_lock(&f->lock);
    if (f->put - f->got + (f->taken ? 1u : 0u) < QR_FETCH_JOBS) {
        struct job *j = &f->ring[f->put % QR_FETCH_JOBS];
        qr_dbuf_free(&j->body);
        *j = (struct job){.id = id, .metadata = ask->metadata, .want_header = ask->want_header};
        qr_dbuf_init(&j->body, QR_DOC_BODY_MAX);
        const char *post = ask->post ? ask->post : "";
        if (strlen(ask->url) < sizeof j->url && strlen(post) < sizeof j->post) {
            memcpy(j->url, ask->url, strlen(ask->url) + 1);
            memcpy(j->post, post, strlen(post) + 1);
            f->put++;
            e = QR_OK;
            pthread_cond_signal(&f->work);
        } else {
            e = QR_ERR_TOO_LARGE;
        }
    }
    pthread_mutex_unlock(&f->lock);
    return e;
}

static int
fetch_next(void *ctx, struct qr_fetch_done *ret)
{
    struct fetch *f = ctx;
    int have;
    uint64_t n;

    pthread_mutex_lock(&f->lock);
    have = f->got != f->done;
    f->taken = have;
    if (have) {
        struct job *j = &f->ring[f->got++ % QR_FETCH_JOBS];
        *ret = (struct qr_fetch_done){.id = j->id,
                                      .status = j->status,
                                      .retry_after_s = j->retry_after_s,
                                      .body = qr_view_of(j->body.p, j->body.len),
                                      .header = qr_view_of(j->header, j->header_len)};
        memcpy(ret->why, j->why, sizeof ret->why);
    } else {
        (void)!read(f->fd, &n, sizeof n); /* quiet until the next one */
    }
    pthread_mutex_unlock(&f->lock);
    return have;
}

static void
fetch_free(void *ctx)
{
    struct fetch *f = ctx;
    pthread_mutex_lock(&f->lock);
    f->stop = 1;
    pthread_cond_signal(&f->work);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    for (unsigned i = 0; i < QR_FETCH_JOBS; i++) {
        qr_dbuf_free(&f->ring[i].body);
    }
    curl_easy_cleanup(f->curl);
    curl_slist_free_all(f->metadata);
    curl_slist_free_all(f->json);
    curl_slist_free_all(f->json_metadata);
    pthread_cond_destroy(&f->work);
    pthread_mutex_destroy(&f->lock);
    close(f->fd);
    qr_free(f);
}

qr_err
qr_fetch_curl(struct qr_fetcher *ret)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return QR_ERR_INTERNAL;
    }
    struct fetch *f = qr_alloc(sizeof *f);
    if (!f) {
        return QR_ERR_NO_MEMORY;
    }
    f->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    f->curl = curl_easy_init();
    f->metadata = curl_slist_append(NULL, "Metadata: true");
    f->json = curl_slist_append(NULL, JSON_HEADER);
    /* Appending gives the head back, or NULL and leaves the list as it was. */
    f->json_metadata = curl_slist_append(NULL, JSON_HEADER);
    int lists = f->metadata && f->json && f->json_metadata &&
                curl_slist_append(f->json_metadata, "Metadata: true");
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->work, NULL);
    if (f->fd >= 0 && f->curl && lists) {
        set_up(f);
        if (pthread_create(&f->thread, NULL, run, f) == 0) {
            *ret = (struct qr_fetcher){f, fetch_start, fetch_next, f->fd, fetch_free};
            return QR_OK;
        }
    }
    if (f->fd >= 0) {
        close(f->fd);
    }
    curl_easy_cleanup(f->curl);
    curl_slist_free_all(f->metadata);
    curl_slist_free_all(f->json);
    curl_slist_free_all(f->json_metadata);
    qr_free(f);
    return QR_ERR_INTERNAL;
}
