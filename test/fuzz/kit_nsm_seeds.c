#include "test/fuzz/kit_nsm_seeds.h"

#include "enclave-shim/nitro/nsm.h"
#include "test/common/fakensm.h"

#include <stdio.h>
#include <string.h>

static qr_seed_fn seed;

#define SEED(target, name, choice, bytes)                                                          \
    seed(target, name, choice, qr_view_of(bytes, sizeof(bytes) - 1))

/* The answers that a genuine module gives, and one of each kind that is none; choices as fuzz_nsm.c's. */
static void
nsm_seeds(void)
{
    static const char *const names[] = {"describe", "random", "pcr", "extend", "lock"};
    static struct fakensm fake;
    static struct qr_nsm nsm;
    static uint8_t answer[QR_NSM_ANSWER_MAX];
    struct qr_nsm_info info;
    uint8_t r[QR_NSM_PCR_LEN];
    int locked;

    for (int i = 0; i < 5; i++) {
        fakensm_init(&fake);
        fake.random_len = 24;
        struct qr_nsm_dev dev = fakensm_dev(&fake);
        qr_nsm_over(&nsm, &dev);
        qr_err e = i == 0   ? qr_nsm_describe(&nsm, &info)
                   : i == 1 ? qr_nsm_random(&nsm, r, 8)
                   : i == 2 ? qr_nsm_pcr(&nsm, 4, r, &locked)
                   : i == 3 ? qr_nsm_extend(&nsm, 17, qr_view_str("data"), r)
                            : qr_nsm_lock(&nsm, 17);
        FUZZ_MUST(e == QR_OK);
        size_t asked = fake.request_len;
        fakensm_init(&fake);
        fake.random_len = 24;
        size_t n = fakensm_answer(&fake, qr_view_of(nsm.request, asked), answer, sizeof answer);
        seed("nsm", names[i], i, qr_view_of(answer, n));
    }
    SEED("nsm", "attest", 5,
         "\xa1\x6b"
         "Attestation\xa1\x68"
         "document\x43"
         "abc");
    SEED("nsm", "attest-empty", 5,
         "\xa1\x6b"
         "Attestation\xa1\x68"
         "document\x40");
    SEED("nsm", "attest-huge", 5,
         "\xa1\x6b"
         "Attestation\xa1\x68"
         "document\x5b\xff\xff\xff\xff\xff\xff\xff\xff");
    SEED("nsm", "error", 1,
         "\xa1\x65"
         "Error\x6d"
         "InternalError");
    SEED("nsm", "error-strange", 1,
         "\xa1\x65"
         "Error\x63"
         "a\nb");
    SEED("nsm", "indefinite", 1,
         "\xbf\x69"
         "GetRandom\xbf\x66"
         "random\x42"
         "ab\xff\xff");
    SEED("nsm", "unknown", 1,
         "\xa1\x69"
         "GetRandom\xa2\x61"
         "x\x82\x01\xbf\x61"
         "y\xf6\xff\x66"
         "random\x42"
         "ab");
    SEED("nsm", "deep", 1,
         "\xa1\x69"
         "GetRandom\xa1\x61"
         "x\x81\x81\x81\x81\x81\x81\x81\x81\x81\x01");
    SEED("nsm", "wide", 1,
         "\xa1\x69"
         "GetRandom\xa2\x61"
         "x\x98\xff\x66"
         "random\x42"
         "ab");
    SEED("nsm", "constant", 1,
         "\xa1\x69"
         "GetRandom\xa1\x66"
         "random\x50"
         "aaaaaaaaaaaaaaaa");
    SEED("nsm", "twice", 1,
         "\xa1\x69"
         "GetRandom\xa2\x66"
         "random\x42"
         "ab\x66"
         "random\x42"
         "ab");
    SEED("nsm", "lock-null", 2,
         "\xa1\x6b"
         "DescribePCR\xa2\x64"
         "lock\xf6\x64"
         "data\x58\x30"
         "012345678901234567890123456789012345678901234567");
    SEED("nsm", "lock-other", 4,
         "\x67"
         "LockPCx");
    for (int i = 6; i < 12; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "genuine-%d", i - 6);
        seed("nsm", name, i, qr_view_of(NULL, 0));
    }
    SEED("nsm", "changed", 6, "\x00\x0f\x00\x01");
    SEED("nsm", "changed-doc", 11, "\x00\x40\x00\x01");
}

static void
kms_seeds(void)
{
    SEED("kms", "creds", 0,
         "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIATESTTESTTESTTEST\",\"SecretAccessKey\":"
         "\"0123456789abcdefghij\",\"Token\":\"abc\",\"Expiration\":\"2026-01-01T06:00:00Z\"}");
    SEED("kms", "creds-failed", 0, "{\"Code\":\"Failed\"}");
    SEED("kms", "creds-date", 0,
         "{\"AccessKeyId\":\"ASIATESTTESTTESTTEST\",\"SecretAccessKey\":\"0123456789abcdefghij\","
         "\"Expiration\":\"x\"}");
    SEED("kms", "creds-token", 0,
         "{\"AccessKeyId\":\"ASIATESTTESTTESTTEST\",\"SecretAccessKey\":\"0123456789abcdefghij\","
         "\"Token\":\" \"}");
    SEED("kms", "creds-secret", 0, "{\"AccessKeyId\":\"ASIATESTTESTTESTTEST\"}");
    SEED("kms", "creds-array", 0, "[1]");
    SEED("kms", "http-length", 1, "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nab");
    SEED("kms", "http-chunked", 1,
         "HTTP/1.1 400 x\r\nTransfer-Encoding: "
         "chunked\r\n\r\n1\r\na\r\n0B\r\n0123456789a\r\n0\r\n\r\n");
    SEED("kms", "http-folded", 1, "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n");
    SEED("kms", "http-both", 1,
         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n");
    SEED("kms", "http-gzip", 1, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
    SEED("kms", "http-coding", 1, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n");
    SEED("kms", "http-huge", 1, "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n");
    SEED("kms", "http-status", 1, "HTTP/1.1 100 Continue\r\n\r\n");
    SEED("kms", "http-more", 1, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nx");
    SEED("kms", "cms-start", 2,
         "\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03\xa0\x80\x30\x80\x02\x01\x02\x31\x82"
         "\x01\x6b");
    SEED("kms", "cms-other", 2, "\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01");
    SEED("kms", "cms-genuine", 3, "");
    SEED("kms", "cms-changed", 3, "\x01\x80\x00\x01");
    SEED("kms", "cms-version", 3, "\x00\x13\x00\x01");
    SEED("kms", "cms-algorithm", 3, "\x00\x4a\x00\x01");
    SEED("kms", "answer-denied", 4,
         "\x00\xc8{\"__type\":\"com.amazonaws.kms#AccessDeniedException:x\"}");
    SEED("kms", "answer-unknown", 4, "\x01\x2c{\"__type\":\"Other\"}");
    SEED("kms", "answer-none", 4, "\x00\xc8{\"message\":1}");
    SEED("kms", "answer-redirect", 4, "\x00\x66{}");
    SEED("kms", "answer-no-json", 4, "\x00\x00<html>");
    SEED("kms", "answer-array", 4, "\x00\x00[1]");
    SEED("kms", "answer-good", 5, "\x00");
    SEED("kms", "answer-generate", 5, "\x40");
    SEED("kms", "answer-null", 5, "\x42");
    SEED("kms", "answer-clear", 5, "\x44");
    SEED("kms", "answer-no-cms", 5, "\x48");
    SEED("kms", "answer-no-blob", 5, "\x50");
    SEED("kms", "answer-other-key", 5, "\x20");
    SEED("kms", "kept", 6,
         "QRNK\x01\x00\x03"
         "arn\x00\x04"
         "blobsealed");
    SEED("kms", "kept-version", 6,
         "QRNK\x02\x00\x00\x00\x01"
         "b");
    SEED("kms", "kept-empty", 6, "QRNK\x01\x00\x00\x00\x00");
    SEED("kms", "kept-other", 6,
         "QRNX\x01\x00\x00\x00\x01"
         "b");
    SEED("kms", "answer-cms", 5, "\x01\x30\x80\x06\x09");
}

void
fuzz_seeds_nsm(qr_seed_fn fn)
{
    seed = fn;
    nsm_seeds();
    kms_seeds();
}
