/*
 * nng without a TLS of its own, for the party.
 *
 * Debian's nng carries mbedtls for its tls:// and wss:// schemes, which no address of ours can name
 * (transport/address.h). A party is linked with nng's archive, and this file stands in the place of
 * that engine's two entry points, so that nothing of mbedtls is in a TEE: one TLS library there, OpenSSL,
 * and 0.8 MB less to measure. Only programs that name this file's object have it; nng calls both from
 * its own start and end.
 */
int nng_tls_engine_init_mbed(void);
void nng_tls_engine_fini_mbed(void);

int
nng_tls_engine_init_mbed(void)
{
    return 0;
}

void
nng_tls_engine_fini_mbed(void)
{
}
