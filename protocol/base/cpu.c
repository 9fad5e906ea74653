#include "protocol/base/cpu.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

int
qr_cpu_clmul(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("pclmul") != 0;
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & (1ul << 4)) != 0; /* HWCAP_PMULL */
#else
    return 0;
#endif
}
