/* A provider for a hub that does not exist yet: built with a header of abi 1.99, whose host has one
 * function more.  On today's it says what it misses, or does without. */
#include <mcpauth/provider.h>

#include <stddef.h>

extern const struct mcpauth_host *host;

struct config {
  bool insist;
};

static const struct mcpauth_option options[] = {{.name = "insist",
                                                 .type = MCPAUTH_BOOL,
                                                 .offset = offsetof(struct config, insist),
                                                 .help = "Whether it refuses to do without",
                                                 .since = "9.9"},
                                                {.name = NULL}};

static int check(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config)
{
  if (MCPAUTH_HAS(h, from_the_future))
    return h->report(self, NULL, "this host has what cannot be");
  if (((const struct config *)config)->insist)
    return h->report(self, "insist", "a hub of ABI 1.99 is needed, this one has %u.%u",
                     h->abi >> 16, h->abi & 0xffff);
  return 0;
}

static enum mcpauth_result verify(struct mcpauth_request *rq, const void *config, void *state)
{
  (void)config, (void)state;
  return host->refuse(rq, MCPAUTH_INVALID, MCPAUTH_WHY_NOT_ACCEPTED, "nobody");
}

static const struct mcpauth_provider provider = {.abi = MCPAUTH_ABI,
                                                 .struct_size = sizeof(struct mcpauth_provider),
                                                 .name = "newer",
                                                 .version = "9.9.0",
                                                 .description = "Ahead of its time",
                                                 .options = options,
                                                 .config_size = sizeof(struct config),
                                                 .check = check,
                                                 .verify = verify};

MCPAUTH_PROVIDER(&provider);
#ifdef NEEDS
MCPAUTH_NEEDS(from_the_future);
MCPAUTH_NEEDS(log);
#endif
