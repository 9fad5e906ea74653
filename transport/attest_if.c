#include "transport/attest_if.h"

const char *
qr_platform_name(enum qr_platform p)
{
    switch (p) {
    case QR_PLATFORM_SIM:
        return "sim";
    case QR_PLATFORM_NITRO:
        return "aws-nitro";
    case QR_PLATFORM_SNP:
        return "amd-sev-snp";
    case QR_PLATFORM_TDX:
        return "intel-tdx";
    case QR_PLATFORM_SGX:
        return "intel-sgx";
    case QR_PLATFORM_AZURE_SNP:
        return "azure-snp-vtpm";
    case QR_PLATFORM_AZURE_TDX:
        return "azure-tdx-vtpm";
    case QR_PLATFORM_GCP_SNP:
        return "gcp-snp-vtpm";
    case QR_PLATFORM_GCP_TDX:
        return "gcp-tdx-vtpm";
    }
    return "unknown";
}
