/* Protected resource metadata (RFC 9728): one document a service, under the well-known prefix with
 * the service's path behind it, made once a worker from the configuration alone, never from Host or
 * forwarded headers (row 34).  Called by src/hub. */
#ifndef OAUTH_RESOURCE_H
#define OAUTH_RESOURCE_H

#include "config/config.h"

#define RESOURCE_WELL_KNOWN "/.well-known/oauth-protected-resource"

struct resource_document {
  struct str path; /* of the document on the service's host */
  const char *url; /* of the document, for resource_metadata in challenges */
  struct str json;
};

/* Whether SERVICE has one: somebody must be named who issues tokens for it. */
bool resource_has_document(const struct config_service *service);
/* Whether RESOURCE (RFC 8707) means SERVICE: scheme and host without regard to case, without the
 * scheme's own port, one '/' at the end or none; everything else byte for byte. */
bool resource_is(struct str resource, const struct config_service *service);
/* Everything in ARENA; -1 when out of memory. */
int resource_document(const struct config_service *service, struct arena *arena,
                      struct resource_document *ret);

#endif
