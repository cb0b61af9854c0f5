/* ldap-groups: looks up the groups of whoever the stack has recognised, in an LDAP directory; see
 * mcpauth-ldap-groups(5).  OpenLDAP's library blocks, so it runs in job threads: a connection a
 * look-up, and a bounded table of answers that a lock guards. */
#include <mcpauth/provider.h>

#include <ldap.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deadline.h"

extern const struct mcpauth_host *host; /* set by the loader; defined by MCPAUTH_PROVIDER */

enum { NAME_SIZE = 512, FILTER_SIZE = 4096, GROUPS_SIZE = 16384, MAX_GROUPS = 1000, SLOTS = 256 };

struct config {
  const char *url, *bind_dn, *tls_ca, *base, *user_filter, *group_base, *group_filter, *attribute,
      *from;
  const struct mcpauth_secret *password;
  struct mcpauth_list issuers, require;
  int64_t timeout, reuse;
  bool start_tls;
};

/* What a name was found to be: groups, each ended by a NUL. */
struct answer {
  char name[NAME_SIZE + 1], groups[GROUPS_SIZE];
  size_t n;      /* bytes of groups */
  int64_t until; /* milliseconds since 1970 */
};

struct state {
  pthread_mutex_t lock;
  struct answer kept[SLOTS]; /* by a hash of the name: at most so many */
};

struct lookup {
  struct mcpauth_request *rq;
  const struct config *c;
  LDAP *ldap;
  struct deadline step;
  struct answer a;
};

#define AT(member) .offset = offsetof(struct config, member)
#define ROW(word, kind, member, ...)                                                               \
  {                                                                                                \
    .name = word, .type = MCPAUTH_##kind, AT(member), .since = "0.1", __VA_ARGS__                  \
  }
/* clang-format off */
static const struct mcpauth_option options[] = {
    ROW("url", STRING, url, .flags = MCPAUTH_REQUIRED, .metavar = "URL", .help = "ldaps://HOST, or ldap://HOST with `start_tls` or on loopback"),
    ROW("start_tls", BOOL, start_tls, .fallback = "off", .help = "Turn an ldap:// connection into TLS before anything is said"),
    ROW("tls_ca", PATH, tls_ca, .metavar = "PATH", .help = "Authorities that the server's certificate may hang on, in PEM (default: the system's)"),
    ROW("bind_dn", STRING, bind_dn, .metavar = "DN", .help = "Who the hub is in the directory (default: nobody)"),
    ROW("password", SECRET, password, .metavar = "SECRET", .help = "The password of `bind_dn`"),
    ROW("issuer", LIST, issuers, .flags = MCPAUTH_REQUIRED, .metavar = "TEXT ...", .help = "Principals of these issuers are looked up; those of others have no groups here"),
    ROW("name_claim", STRING, from, .metavar = "CLAIM", .help = "Claim of the principal that is looked up, as a JSON pointer (default: the subject)"),
    ROW("base", STRING, base, .flags = MCPAUTH_REQUIRED, .metavar = "DN", .help = "Where people are"),
    ROW("user_filter", STRING, user_filter, .fallback = "(uid=%s)", .metavar = "FILTER", .help = "Finds a person; %s is the name"),
    ROW("group_base", STRING, group_base, .metavar = "DN", .help = "Where groups are (default: `base`)"),
    ROW("group_filter", STRING, group_filter, .fallback = "(member=%s)", .metavar = "FILTER", .help = "Finds a person's groups; %s is the person's DN"),
    ROW("group_name", STRING, attribute, .fallback = "cn", .metavar = "ATTRIBUTE", .help = "The attribute of a group that is its name"),
    ROW("require", LIST, require, .metavar = "GROUP ...", .help = "Refuse whoever is in none of these (default: groups are told, nobody is refused)"),
    ROW("timeout", DURATION, timeout, .fallback = "3s", .min = 100, .max = 30000, .help = "How long each step may take"),
    ROW("reuse", DURATION, reuse, .fallback = "1m", .min = 0, .max = 3600000, .help = "How long groups are believed: how late a change in the directory counts"),
    {.name = NULL}};
/* clang-format on */

/* One %s, and no other %. */
static bool is_template(const char *filter)
{
  const char *at = strchr(filter, '%');
  return filter[0] == '(' && at && at[1] == 's' && strchr(at + 1, '%') == NULL;
}

static int check(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config)
{
  const struct config *c = config;
  bool plain = strncmp(c->url, "ldap://", 7) == 0,
       local = strncmp(c->url, "ldap://127.0.0.1", 16) == 0 && strchr(":/", c->url[16]);
  if (!plain && strncmp(c->url, "ldaps://", 8) != 0)
    return h->report(self, "url", "it must be ldaps://HOST or ldap://HOST");
  if (strpbrk(c->url, " ,")) /* libldap takes a list, whose others would not be looked at here */
    return h->report(self, "url", "it names one server");
  if (plain && !c->start_tls && !local)
    return h->report(self, "url", "off loopback it must be ldaps://, or `start_tls on`");
  if ((c->bind_dn != NULL) != (c->password != NULL))
    return h->report(self, "bind_dn", "`bind_dn` and `password` come together");
  if (c->password && h->secret_bytes(c->password).n == 0)
    return h->report(self, "password", "an empty password would be no bind at all");
  if (!is_template(c->user_filter) || !is_template(c->group_filter))
    return h->report(self, is_template(c->user_filter) ? "group_filter" : "user_filter",
                     "a filter stands in parentheses and has %%s once");
  return 0;
}

static int start(const struct mcpauth_host *h, struct mcpauth_instance *self, const void *config,
                 void **state)
{
  (void)self, (void)config;
  struct state *s = *state = MCPAUTH_HAS(h, json_text) ? calloc(1, sizeof *s) : NULL;
  return s && pthread_mutex_init(&s->lock, NULL) == 0 ? 0 : -1;
}

static void stop(void *state)
{
  pthread_mutex_destroy(&((struct state *)state)->lock);
  free(state);
}

/* Keeps A for KEEP_MS; recalls it when that is -1. */
static bool remember(struct state *s, struct answer *a, int64_t keep_ms)
{
  int64_t now = host->now() * 1000;
  size_t at = 0;
  for (const char *p = a->name; *p; p++) /* FNV-1a */
    at = (at ^ (unsigned char)*p) * 1099511628211u;
  pthread_mutex_lock(&s->lock);
  struct answer *kept = &s->kept[at % SLOTS];
  bool found = keep_ms < 0 && strcmp(kept->name, a->name) == 0 && kept->until > now;
  if (found)
    *a = *kept;
  else if (keep_ms > 0) {
    *kept = *a;
    kept->until = now + keep_ms;
  }
  pthread_mutex_unlock(&s->lock);
  return found;
}

/* FILTER with VALUE for its %s, escaped as RFC 4515 section 3 says. */
static bool fill(char out[FILTER_SIZE], const char *filter, const char *value)
{
  size_t before = strcspn(filter, "%"), n = before;
  if (before + 3 * strlen(value) + strlen(filter) >= FILTER_SIZE)
    return false;
  memcpy(out, filter, before);
  for (const unsigned char *p = (const unsigned char *)value; *p; p++)
    if (strchr("*()\\", *p) || *p < 0x20 || *p >= 0x7f)
      n += (size_t)snprintf(out + n, 4, "\\%02x", *p);
    else
      out[n++] = (char)*p;
  strcpy(out + n, filter + before + 2);
  return true;
}

static bool connect_to(struct lookup *l, int *error)
{
  const struct config *c = l->c;
  struct timeval t = {c->timeout / 1000, c->timeout % 1000 * 1000};
  int v3 = LDAP_VERSION3, demand = LDAP_OPT_X_TLS_DEMAND, server = 0;
  if ((*error = ldap_initialize(&l->ldap, c->url)) != LDAP_SUCCESS)
    return false;
  struct mcpauth_bytes secret = host->secret_bytes(c->password);
  struct berval password = {secret.n, (char *)(uintptr_t)secret.p};
  ldap_set_option(l->ldap, LDAP_OPT_PROTOCOL_VERSION, &v3);
  ldap_set_option(l->ldap, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
  ldap_set_option(l->ldap, LDAP_OPT_NETWORK_TIMEOUT, &t);
  ldap_set_option(l->ldap, LDAP_OPT_TIMEOUT, &t);
  if (deadline_guard(&l->step, l->ldap, c->timeout) < 0 ||
      ldap_set_option(l->ldap, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand) != LDAP_SUCCESS ||
      (c->tls_ca &&
       ldap_set_option(l->ldap, LDAP_OPT_X_TLS_CACERTFILE, c->tls_ca) != LDAP_SUCCESS) ||
      ldap_set_option(l->ldap, LDAP_OPT_X_TLS_NEWCTX, &server) != LDAP_SUCCESS)
    *error = LDAP_LOCAL_ERROR;
  else if (!c->start_tls || (*error = ldap_start_tls_s(l->ldap, NULL, NULL)) == LDAP_SUCCESS)
    *error = ldap_sasl_bind_s(l->ldap, c->bind_dn, LDAP_SASL_SIMPLE, &password, NULL, NULL, NULL);
  return *error == LDAP_SUCCESS;
}

static LDAPMessage *search(struct lookup *l, const char *base, const char *filter,
                           const char *value, const char *attribute, int *error)
{
  char text[FILTER_SIZE], *wanted[] = {(char *)(uintptr_t)attribute, NULL};
  struct timeval t = {l->c->timeout / 1000, l->c->timeout % 1000 * 1000};
  LDAPMessage *found = NULL;
  deadline_begin(&l->step);
  *error = LDAP_FILTER_ERROR;
  if (fill(text, filter, value))
    *error = ldap_search_ext_s(l->ldap, base, LDAP_SCOPE_SUBTREE, text, wanted, 0, NULL, NULL, &t,
                               MAX_GROUPS, &found);
  if (*error == LDAP_SUCCESS)
    return found;
  ldap_msgfree(found);
  return NULL;
}

static bool add_group(struct answer *a, const struct berval *v)
{
  if (a->n + v->bv_len + 1 > sizeof a->groups || memchr(v->bv_val, 0, v->bv_len))
    return false;
  memcpy(a->groups + a->n, v->bv_val, v->bv_len);
  a->n += v->bv_len + 1; /* the NUL is there: the arena is zeroed */
  return true;
}

static bool add_groups(struct lookup *l, LDAPMessage *found)
{
  bool good = true;
  for (LDAPMessage *g = ldap_first_entry(l->ldap, found); g; g = ldap_next_entry(l->ldap, g)) {
    struct berval **v = ldap_get_values_len(l->ldap, g, l->c->attribute);
    for (size_t i = 0; good && v && v[i]; i++)
      good = add_group(&l->a, v[i]);
    ldap_value_free_len(v);
  }
  return good;
}

/* Two people of one name are an error; somebody whom the directory does not know has no groups. */
static int ask(struct lookup *l)
{
  int error;
  if (!connect_to(l, &error))
    return error;
  LDAPMessage *person = search(l, l->c->base, l->c->user_filter, l->a.name, LDAP_NO_ATTRS, &error),
              *groups = NULL;
  int n = person ? ldap_count_entries(l->ldap, person) : 0;
  char *dn = n == 1 ? ldap_get_dn(l->ldap, ldap_first_entry(l->ldap, person)) : NULL;
  if (n > 1)
    error = LDAP_MORE_RESULTS_TO_RETURN;
  if (dn)
    groups = search(l, l->c->group_base ? l->c->group_base : l->c->base, l->c->group_filter, dn,
                    l->c->attribute, &error);
  if (groups && !add_groups(l, groups))
    error = LDAP_SIZELIMIT_EXCEEDED;
  ldap_msgfree(groups);
  ldap_msgfree(person);
  ldap_memfree(dn);
  return error;
}

static bool listed(const struct mcpauth_list *list, const char *word)
{
  for (size_t i = 0; i < list->n; i++)
    if (strcmp(list->v[i], word) == 0)
      return true;
  return false;
}

static enum mcpauth_result unable(struct mcpauth_request *rq, int error)
{
  bool away = error == LDAP_SERVER_DOWN || error == LDAP_TIMEOUT || error == LDAP_CONNECT_ERROR ||
              error == LDAP_BUSY || error == LDAP_UNAVAILABLE || error == LDAP_TIMELIMIT_EXCEEDED;
  return host->refuse(rq, away ? MCPAUTH_UNAVAIL : MCPAUTH_ERROR, MCPAUTH_WHY_NONE,
                      "the directory: %.120s", ldap_err2string(error));
}

/* Sets the claim; PASS when one of `require` is among the groups. */
static enum mcpauth_result tell(struct lookup *l)
{
  size_t size = 6 * l->a.n + 16, n = 1;
  char *json = host->alloc(l->rq, size);
  bool member = l->c->require.n == 0;
  if (json)
    json[0] = '[';
  for (const char *g = l->a.groups; json && g < l->a.groups + l->a.n; g += strlen(g) + 1) {
    const char *word = host->json_text(l->rq, (struct mcpauth_bytes){g, strlen(g)});
    if (word == NULL || n + strlen(word) + 3 > size)
      return MCPAUTH_ERROR;
    n += (size_t)snprintf(json + n, size - n, "%s%s", n > 1 ? "," : "", word);
    member = member || listed(&l->c->require, g);
  }
  if (json == NULL || host->set_claim(l->rq, "/groups", strcat(json, "]")) < 0)
    return MCPAUTH_ERROR;
  if (member)
    return MCPAUTH_PASS;
  return host->refuse(l->rq, MCPAUTH_DENY, MCPAUTH_WHY_NOT_ACCEPTED, "in no required group");
}

static enum mcpauth_result account(struct mcpauth_request *rq, const void *config, void *state)
{
  const struct config *c = config;
  const struct mcpauth_principal *who = host->principal(rq);
  const char *name = c->from ? host->claim(host->principal_claims(rq), c->from).text : who->subject;
  struct lookup *l = host->alloc(rq, sizeof *l);
  if (l == NULL)
    return MCPAUTH_ERROR;
  l->rq = rq;
  l->c = c;
  if (name == NULL || *name == 0 || strlen(name) > NAME_SIZE || !listed(&c->issuers, who->issuer))
    return tell(l);
  strcpy(l->a.name, name);
  if (!remember(state, &l->a, -1)) {
    int error = ask(l);
    if (l->ldap)
      ldap_unbind_ext_s(l->ldap, NULL, NULL);
    if (error != LDAP_SUCCESS)
      return unable(rq, error);
    remember(state, &l->a, c->reuse);
  }
  return tell(l);
}

/* clang-format off */
static const struct mcpauth_provider provider = {
    .abi = MCPAUTH_ABI, .struct_size = sizeof(struct mcpauth_provider), .name = "ldap-groups", .version = "0.1.0",
    .description = "Groups of whoever is calling, from an LDAP directory", .flags = MCPAUTH_BLOCKING,
    .options = options, .config_size = sizeof(struct config), .check = check, .start = start, .stop = stop,
    .account = account};
/* clang-format on */

MCPAUTH_PROVIDER(&provider);
