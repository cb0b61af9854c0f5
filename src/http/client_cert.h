/* Client certificates: of the TLS connection, verified against the listener's `client_ca`, or in a
 * header of a trusted proxy that has verified it; as providers see them. */
#ifndef HTTP_CLIENT_CERT_H
#define HTTP_CLIENT_CERT_H

#include <mcpauth/provider.h>

#include "http/server.h"

/* NULL when DER is no certificate, or memory is short.  Lives in A.  Pure but for OpenSSL. */
const struct mcpauth_certificate *client_cert_parse(struct str der, struct arena *a);
/* The same of a header's value: `:BASE64:` (RFC 9440 Client-Cert), or PEM in URL encoding (what
 * nginx calls $ssl_client_escaped_cert).  NULL when it is neither. */
const struct mcpauth_certificate *client_cert_header(struct str value, struct arena *a);

#endif
