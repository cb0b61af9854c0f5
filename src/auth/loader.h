/* Loads providers from plugindir (design 8.1, security.md c.7): name grammar, ownership and mode of
 * the file and every folder above it on open descriptors, the ELF note before dlopen, the real
 * absolute path, device and inode compared afterwards, bind-now, ABI and table validated. */
#ifndef AUTH_LOADER_H
#define AUTH_LOADER_H

#include "config/config.h"

struct loader;

/* DIR: MCPAUTH_PLUGINDIR, or for the tree's own tests a list separated by ':'. */
struct loader *loader_new(const char *dir, struct err *e);
void loader_free(struct loader *l); /* modules stay loaded: they are linked -z nodelete */
/* For config_load. */
struct config_modules loader_modules(struct loader *l);
/* One module by name or by absolute path of its file (provider show). */
const struct mcpauth_provider *loader_open(struct loader *l, const char *name_or_path,
                                           char *ret_path, size_t path_size, struct err *e);
/* The functions that providers get; defined in host.c. */
/* The table of functions that providers get: host.c defines it. */
extern const struct mcpauth_host host_functions;

#endif
