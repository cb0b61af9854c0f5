/* An end to each step of a connection to a directory; ldap-groups.c uses it.  libldap waits for a
 * TLS handshake without an end, and with GnuTLS without sleeping. */
#ifndef LDAP_GROUPS_DEADLINE_H
#define LDAP_GROUPS_DEADLINE_H

#include <ldap.h>
#include <stdint.h>

struct deadline {
  struct ldap_conncb opened;
  int fd;
  int64_t step_ms, until; /* monotonic milliseconds: when the step at work is given up */
};

/* Whatever LDAP, not yet connected, waits for from now on ends STEP_MS after the connection was
 * opened or deadline_begin was called: as if the connection had broken.  D lives as long as LDAP.
 * -1 when it cannot be. */
int deadline_guard(struct deadline *d, LDAP *ldap, int64_t step_ms);
void deadline_begin(struct deadline *d);

#endif
