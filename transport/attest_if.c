#include "transport/attest_if.h"

const char *
qr_platform_name(enum qr_platform p)
{
    switch (p) {
    case QR_PLATFORM_SIM:
        return "sim";
    case QR_PLATFORM_NITRO:
        return "nitro";
    case QR_PLATFORM_SNP:
        return "snp";
    case QR_PLATFORM_TDX:
        return "tdx";
    case QR_PLATFORM_AZURE_VTPM:
        return "azure-vtpm";
    case QR_PLATFORM_GCP_VTPM:
        return "gcp-vtpm";
    }
    return "unknown";
}
