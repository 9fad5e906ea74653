#include "daemon/ud_fetch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

static const struct qr_ud_source sources[] = {
    [QR_UD_GCP] =
        {
            .url = "http://169.254.169.254/computeMetadata/v1/instance/attributes/user-data",
            .header = "Metadata-Flavor: Google",
            .dns = "169.254.169.254",
        },
    [QR_UD_AZURE] =
        {
            .url = "http://169.254.169.254/metadata/instance/compute/userData"
                   "?api-version=2021-01-01&format=text",
            .header = "Metadata: true",
            .base64 = 1,
            .dns = "168.63.129.16",
        },
};

int
qr_ud_provider_parse(const char *name, enum qr_ud_provider *ret)
{
    if (strcmp(name, "gcp") == 0) {
        *ret = QR_UD_GCP;
        return 1;
    }
    if (strcmp(name, "azure") == 0) {
        *ret = QR_UD_AZURE;
        return 1;
    }
    return 0;
}

const struct qr_ud_source *
qr_ud_source(enum qr_ud_provider provider)
{
    return &sources[provider];
}

struct sink {
    uint8_t *buf;
    size_t cap, n;
    int full;
};

/* libcurl: anything but size * count ends the transfer. */
static size_t
on_body(char *data, size_t size, size_t count, void *user)
{
    struct sink *s = user;
    size_t n = size * count;
    if (n > s->cap - s->n) {
        s->full = 1;
        return 0;
    }
    memcpy(s->buf + s->n, data, n);
    s->n += n;
    return n;
}

static qr_err
set_up(CURL *c, const char *url, struct curl_slist *headers, unsigned timeout_ms, struct sink *s,
       char *curl_text)
{
    curl_text[0] = '\0';
    int ok = curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)timeout_ms) == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_HTTP_CONTENT_DECODING, 0L) == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_ERRORBUFFER, curl_text) == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_WRITEDATA, s) == CURLE_OK;
    return ok ? QR_OK : QR_ERR_CRYPTO_LIB;
}

static qr_err
judge(const char *url, CURLcode r, long status, const struct sink *s, const char *curl_text,
      char *err)
{
    if (s->full) {
        (void)snprintf(err, QR_UD_ERR_MAX, "%.128s: more than %zu bytes", url, s->cap);
        return QR_ERR_TOO_LARGE;
    }
    if (r != CURLE_OK) {
        (void)snprintf(err, QR_UD_ERR_MAX, "%.128s: %.128s", url,
                       curl_text[0] ? curl_text : curl_easy_strerror(r));
        return r == CURLE_OPERATION_TIMEDOUT     ? QR_ERR_TIMEOUT
               : r == CURLE_OUT_OF_MEMORY        ? QR_ERR_NO_MEMORY
               : r == CURLE_URL_MALFORMAT        ? QR_ERR_ADDRESS
               : r == CURLE_UNSUPPORTED_PROTOCOL ? QR_ERR_ADDRESS
                                                 : QR_ERR_LINK_CLOSED;
    }
    if (status != 200) {
        (void)snprintf(err, QR_UD_ERR_MAX, "%.128s: HTTP status %ld; is there user data?", url,
                       status);
        return status == 404 || status == 429 || status >= 500 ? QR_ERR_LINK_CLOSED
                                                               : QR_ERR_MALFORMED;
    }
    return QR_OK;
}

qr_err
qr_ud_get(const char *url, const char *header, unsigned timeout_ms, uint8_t *buf, size_t cap,
          size_t *ret_len, char err_text[static QR_UD_ERR_MAX])
{
    struct sink s = {.buf = buf, .cap = cap};
    char curl_text[CURL_ERROR_SIZE];
    long status = 0;
    CURLcode r = CURLE_OK;
    struct curl_slist *headers = NULL;

    err_text[0] = '\0';
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return QR_ERR_CRYPTO_LIB;
    }
    CURL *c = curl_easy_init();
    if (header) {
        headers = curl_slist_append(NULL, header);
    }
    qr_err e = c && (headers || !header) ? set_up(c, url, headers, timeout_ms, &s, curl_text)
                                         : QR_ERR_NO_MEMORY;
    if (e != QR_OK) {
        goto out;
    }
    r = curl_easy_perform(c);
    (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    e = judge(url, r, status, &s, curl_text, err_text);
    if (e == QR_OK) {
        *ret_len = s.n;
    }
out:
    curl_slist_free_all(headers);
    curl_easy_cleanup(c);
    curl_global_cleanup();
    return e;
}
