/* address: a guard that lets callers from some networks pass and refuses the others; see
 * mcpauth-address(5).  The address is the one that the host has found behind trusted proxies.  IPv4
 * is kept as ::ffff:a.b.c.d, so that one spelling of a network covers both of an address. */
#include <mcpauth/provider.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct mcpauth_host *host; /* set by the loader; defined by MCPAUTH_PROVIDER */

struct config {
  struct mcpauth_list allow, deny;
};

struct network {
  unsigned char address[16];
  unsigned bits;
  bool unix_socket; /* instead: the word `unix` */
};

struct networks {
  size_t n;
  struct network *v;
};

struct state {
  struct networks allow, deny;
};

/* clang-format off */
static const struct mcpauth_option options[] = {
    {.name = "allow", .type = MCPAUTH_LIST, .offset = offsetof(struct config, allow), .metavar = "NETWORK ...",
     .help = "Who may pass: addresses and networks like 10.0.0.0/8 and 2001:db8::/32, or `unix`", .since = "0.1"},
    {.name = "deny", .type = MCPAUTH_LIST, .offset = offsetof(struct config, deny), .metavar = "NETWORK ...",
     .help = "Who may not, although allowed by `allow` or by its absence", .since = "0.1"},
    {.name = NULL}};
/* clang-format on */

/* ---- addresses and networks */

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* false: neither an IPv4 nor an IPv6 address.  *V4: written as IPv4. */
static bool parse_address(const char *text, unsigned char out[16], bool *v4)
{
  unsigned char four[4];
  *v4 = inet_pton(AF_INET, text, four) == 1;
  if (!*v4)
    return inet_pton(AF_INET6, text, out) == 1;
  memcpy(out, mapped, sizeof mapped);
  memcpy(out + sizeof mapped, four, sizeof four);
  return true;
}

/* "0" to "128", written in one way only. */
static bool parse_bits(const char *text, unsigned most, unsigned *out)
{
  size_t n = strspn(text, "0123456789");
  if (n == 0 || n > 3 || text[n] || (n > 1 && text[0] == '0'))
    return false;
  *out = (unsigned)strtoul(text, NULL, 10);
  return *out <= most;
}

static bool inside(const unsigned char a[16], const unsigned char b[16], unsigned bits)
{
  unsigned whole = bits / 8, rest = bits % 8;
  if (memcmp(a, b, whole) != 0)
    return false;
  return rest == 0 || ((a[whole] ^ b[whole]) & (0xff00u >> rest) & 0xffu) == 0;
}

static const char *parse_network(const char *text, struct network *out)
{
  char address[64];
  size_t n = strcspn(text, "/");
  bool v4;
  memset(out, 0, sizeof *out);
  out->unix_socket = strcmp(text, "unix") == 0;
  if (out->unix_socket)
    return NULL;
  if (n >= sizeof address)
    return "is too long for a network";
  memcpy(address, text, n);
  address[n] = 0;
  if (!parse_address(address, out->address, &v4))
    return "is no network: write 10.0.0.0/8, 192.0.2.7, 2001:db8::/32 or unix";
  unsigned most = v4 ? 32 : 128;
  out->bits = most;
  if (text[n] == '/' && !parse_bits(text + n + 1, most, &out->bits))
    return "has no such prefix length";
  out->bits += v4 ? 96 : 0;
  for (unsigned bit = out->bits; bit < 128; bit++)
    if (out->address[bit / 8] & (0x80u >> bit % 8))
      return "has bits beyond its prefix length: it is an address in a network, not a network";
  return NULL;
}

static bool read_networks(const struct mcpauth_list *words, struct networks *out,
                          struct mcpauth_instance *self, const char *option)
{
  out->v = calloc(words->n + 1, sizeof *out->v);
  for (out->n = 0; out->v && out->n < words->n; out->n++) {
    const char *why = parse_network(words->v[out->n], &out->v[out->n]);
    if (why) {
      host->report(self, option, "'%.60s' %s", words->v[out->n], why);
      return false;
    }
  }
  return out->v != NULL;
}

/* ---- life */

static void stop(void *state)
{
  struct state *s = state;
  free(s->allow.v);
  free(s->deny.v);
  free(s);
}

static struct state *read_all(struct mcpauth_instance *self, const struct config *c)
{
  struct state *s = calloc(1, sizeof *s);
  if (s && read_networks(&c->allow, &s->allow, self, "allow") &&
      read_networks(&c->deny, &s->deny, self, "deny"))
    return s;
  if (s)
    stop(s);
  return NULL;
}

static int check(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config)
{
  const struct config *c = config;
  if (c->allow.n + c->deny.n == 0)
    return h->report(self, NULL, "`allow` or `deny` must name a network");
  struct state *s = read_all(self, c);
  if (s == NULL)
    return -1;
  stop(s);
  return 0;
}

static int start(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config,
                 void **state)
{
  (void)h;
  *state = read_all(self, config);
  return *state ? 0 : -1;
}

/* ---- the guard */

static bool covers(const struct networks *list, const unsigned char *address)
{
  for (size_t i = 0; i < list->n; i++)
    if (address ? !list->v[i].unix_socket && inside(address, list->v[i].address, list->v[i].bits)
                : list->v[i].unix_socket)
      return true;
  return false;
}

static enum mcpauth_result judge(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct state *s = state;
  const char *text = host->facts(rq)->address;
  unsigned char address[16], *at = address;
  bool v4;
  (void)config;
  if (strcmp(text, "unix") == 0)
    at = NULL;
  else if (!parse_address(text, address, &v4))
    return host->refuse(rq, MCPAUTH_ERROR, MCPAUTH_WHY_NONE, "'%.64s' is no address", text);
  if (covers(&s->deny, at))
    return host->refuse(rq, MCPAUTH_DENY, MCPAUTH_WHY_NOT_ACCEPTED, "%.64s is denied", text);
  if (s->allow.n && !covers(&s->allow, at))
    return host->refuse(rq, MCPAUTH_DENY, MCPAUTH_WHY_NOT_ACCEPTED, "%.64s is not allowed", text);
  return MCPAUTH_PASS;
}

/* clang-format off */
static const struct mcpauth_provider provider = {
    .abi = MCPAUTH_ABI, .struct_size = sizeof(struct mcpauth_provider), .name = "address", .version = "0.1.0",
    .description = "Lets callers from some networks pass", .flags = MCPAUTH_GUARD, .options = options,
    .config_size = sizeof(struct config), .check = check, .start = start, .stop = stop, .verify = judge,
    .account = judge};
/* clang-format on */

MCPAUTH_PROVIDER(&provider);
