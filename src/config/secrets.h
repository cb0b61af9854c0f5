/* Secrets are references: env:NAME, file:/PATH, credential:NAME (systemd).  Literals, unset and
 * empty values, and files that others could change are refused; files that others can read are the
 * lint `readable-secret` (rows 81, 121, 140, 145). */
#ifndef CONFIG_SECRETS_H
#define CONFIG_SECRETS_H

#include "config/tree.h"

struct binder;

/* The secret behind WORD, which lives as long as the configuration; NULL: reported.  Mixes the
 * content into the fingerprint, and marks the line of the effective text. */
const struct secret *secrets_resolve(struct binder *b, const struct word *word);
/* The same, for values that go into an HTTP header: visible ASCII and spaces only. */
const struct secret *secrets_resolve_header(struct binder *b, const struct word *word);

#endif
