/* hello-provider: looks a caller up with something that blocks: a library, a database, a file.
 *
 * This is a whole provider that builds and passes its test as it is.  Make it yours: the
 * configuration, and `look_up`, which may wait.  mcpauth/provider.h says what each callback and
 * host function may do; see also mcpauth-provider(3). */
#include <mcpauth/provider.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct mcpauth_host *host; /* set before any callback; defined by MCPAUTH_PROVIDER */

/* What an administrator may write into `provider NAME { ... }`. */
struct config {
  const char *file, *prefix;
};

static const struct mcpauth_option options[] = {
    {.name = "file",
     .type = MCPAUTH_PATH,
     .flags = MCPAUTH_REQUIRED,
     .offset = offsetof(struct config, file),
     .metavar = "PATH",
     .help = "Lines of a credential, a space and who has it",
     .since = "1.0"},
    {.name = "prefix",
     .type = MCPAUTH_STRING,
     .fallback = "hello_",
     .offset = offsetof(struct config, prefix),
     .metavar = "TEXT",
     .help = "What our credentials begin with",
     .since = "1.0"},
    {.name = NULL}};

/* Is this credential mine?  Pure and fast.  VALUE is not NUL-terminated. */
static bool claims(const void *config, void *state, const struct mcpauth_credential *credential)
{
  const char *prefix = ((const struct config *)config)->prefix;
  size_t n = strlen(prefix);
  (void)state;
  return credential->value.n > n && memcmp(credential->value.p, prefix, n) == 0;
}

/* YOURS: copies who has SECRET to WHO.  It runs in a job thread, several at once: guard what they
 * share.  1: found; 0: not; -1: cannot tell now. */
static int look_up(const struct config *c, struct mcpauth_bytes secret, char *who, size_t size)
{
  char line[1024];
  int found = 0;
  FILE *f = fopen(c->file, "re");
  if (f == NULL)
    return -1;
  while (!found && fgets(line, sizeof line, f)) {
    size_t n = strcspn(line, " \n");
    struct mcpauth_bytes word = {line, n};
    found = line[n] == ' ' && host->equal(word, secret);
    if (found)
      snprintf(who, size, "%.*s", (int)strcspn(line + n + 1, "\n"), line + n + 1);
  }
  fclose(f);
  return found;
}

static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct config *c = config;
  char name[512] = "";
  int found = look_up(c, host->credential(rq)->value, name, sizeof name);
  (void)state;
  if (found < 0)
    return host->refuse(rq, MCPAUTH_UNAVAIL, MCPAUTH_WHY_NONE, "%s cannot be read", c->file);
  if (found == 0)
    return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "not in the file");
  struct mcpauth_principal who = {.issuer = c->file, .subject = name};
  return host->set_principal(rq, &who) < 0 ? MCPAUTH_ERROR : MCPAUTH_OK;
}

/* MCPAUTH_BLOCKING: verify runs in a job thread and may wait. */
static const struct mcpauth_provider provider = {.abi = MCPAUTH_ABI,
                                                 .struct_size = sizeof(struct mcpauth_provider),
                                                 .name = "hello-provider",
                                                 .version = "1.0.0",
                                                 .description = "Looks callers up in a file",
                                                 .flags = MCPAUTH_BLOCKING,
                                                 .options = options,
                                                 .config_size = sizeof(struct config),
                                                 .claims = claims,
                                                 .verify = verify};

MCPAUTH_PROVIDER(&provider);
