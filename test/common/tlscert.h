/* tlscert: a throwaway self-signed certificate for 127.0.0.1 and localhost, as two PEM files. */
#ifndef TEST_TLSCERT_H
#define TEST_TLSCERT_H

/* key_path is made with mode 0600. Valid for one day. */
void tlscert_write(const char *cert_path, const char *key_path);

#endif
