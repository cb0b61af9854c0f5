/* Loads providers from plugindir (design 8.1, security.md c.7): name grammar, owner and mode of the
 * file and of everything above it, judged on open descriptors; the ELF note before anything runs;
 * by absolute path, bound at once; device and inode compared afterwards; ABI and table validated.
 */
#ifndef AUTH_LOADER_H
#define AUTH_LOADER_H

#include "auth/elfnote.h"
#include "config/config.h"

struct loader;

/* DIRS: absolute folders separated by ':' (MCPAUTH_PLUGINDIR, or the tree's own for tests). */
struct loader *loader_new(const char *dirs, struct err *e);
void loader_free(struct loader *l); /* modules stay in the process: they are linked -z nodelete */
/* For config_load.  Valid as long as L. */
struct config_modules loader_modules(struct loader *l);
/* One module by name, or by the absolute path of its file.  Lives as long as L; RET_PATH may be
 * NULL, else gets the file's path, valid as long as L. */
const struct mcpauth_provider *loader_open(struct loader *l, const char *name_or_path,
                                           const char **ret_path, struct err *e);
/* What the file of the module NAME, which loader_open has opened, says in its notes. */
const struct elfnote *loader_note(const struct loader *l, const char *name);
/* The file of the provider that is being loaded, or that checks its options, in this thread's
 * process; else NULL.  For a handler that says whose crash it was. */
extern const char *volatile loader_at_work;
/* Names of the modules that are there, sorted, in ARENA. */
size_t loader_names(struct loader *l, struct arena *arena, const char ***ret);

/* Both defined in host.c: the functions that providers get, and one run of a provider's `check` on
 * an instance that exists for that call only (0; or -1 with E, and *RET_OPTION when it named one).
 */
extern const struct mcpauth_host host_functions;
int host_check(const struct config_provider *p, const char **ret_option, struct err *e);

#endif
