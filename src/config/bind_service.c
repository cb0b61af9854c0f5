/* `service NAME { }`: its table, then what can be said once stacks and providers are bound.  Called
 * by bind.c in two passes. */
#include "config/bind_service.h"

#include <stdlib.h>
#include <string.h>

#include "config/tables.h"
#include "util/cleanup.h"
#include "util/limits.h"

/* ---- statements with a form of their own */

/* First segments of paths on public_url that the hub answers itself, now or as an authorization
 * server. */
static const char *const reserved[] = {".well-known", "health",  "healthz",   "readyz",
                                       "authorize",   "consent", "callback",  "token",
                                       "register",    "revoke",  "introspect"};

static void check_reserved(struct binder *b, const struct word *word, struct str path)
{
  struct str rest = str_slice(path, 1, path.n), first;
  if (!str_next(&rest, '/', &first))
    return;
  for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
    if (str_is(first, reserved[i]))
      report_error(b->f, word->at, "the hub answers '/%s' itself: choose another path",
                   reserved[i]);
}

static void custom_path(struct binder *b, const struct statement *s, void *target)
{
  struct service_options *o = target;
  struct err e = {""};
  if (!statement_form(b, s, 1, 1, "path /PATH"))
    return;
  o->path_at = s->words[1].at;
  if (value_service_path(s->words[1].text, &e) < 0)
    report_error(b->f, s->words[1].at, "'path' %s", e.text);
  else
    check_reserved(b, &s->words[1], s->words[1].text);
  o->path = bind_dup(b, s->words[1].text);
}

static void custom_url(struct binder *b, const struct statement *s, void *target)
{
  struct service_options *o = target;
  struct err e = {""};
  struct url u;
  if (!statement_form(b, s, 1, 1, "url URL"))
    return;
  struct word word = s->words[1];
  o->path_at = word.at;
  if (value_url(word.text, &u, &e) < 0)
    report_error(b->f, word.at, "'url' %s", e.text);
  else if (u.query.p)
    report_error(b->f, word.at, "'url' must not have a query");
  else if (u.port_written && u.port == (u.https ? 443 : 80))
    report_error(b->f, word.at, "'url': leave the default port :%u out", u.port);
  else if (str_is(u.path, "/"))
    report_error(b->f, word.at, "'url': leave the '/' at the end out");
  else if (u.path.n && value_service_path(u.path, &e) < 0)
    report_error(b->f, word.at, "the path of 'url' %s", e.text);
  else if (!u.https && !url_loopback(&u))
    lint(b, "plain-http-public-url", word.at, "tokens would travel in clear text to %s: use https",
         word.text.p);
  o->url = bind_dup(b, word.text);
}

static const char *nearest_method(struct binder *b, struct str word)
{
  const char *near = method_nearest(word);
  char *text = near ? arena_printf(b->scratch, "; did you mean '%s'?", near) : NULL;
  return text ? text : "";
}

static void custom_anonymous(struct binder *b, const struct statement *s, void *target)
{
  struct service_options *o = target;
  if (s->n < 2)
    report_error(b->f, statement_at(s),
                 "this must have the form `anonymous *` or `anonymous "
                 "METHOD ...`");
  if (o->anonymous_at.file == NULL)
    o->anonymous_at = statement_at(s);
  for (size_t i = 1; i < s->n; i++) {
    struct str word = s->words[i].text;
    if (str_is(word, "*") && (s->n > 2 || o->anonymous_methods.n))
      report_error(b->f, s->words[i].at, "'anonymous *' opens every method: name no others beside");
    else if (str_is(word, "*"))
      o->anonymous = true;
    else if (o->anonymous)
      report_error(b->f, s->words[i].at, "'anonymous *' opens every method already");
    else if (!method_known(word))
      report_error(b->f, s->words[i].at, "MCP has no method '%s'%s", word.p,
                   nearest_method(b, word));
    else
      words_add(b, &o->anonymous_methods, bind_dup(b, word));
  }
}

static void custom_tasks(struct binder *b, const struct statement *s, void *target)
{
  struct service_options *o = target;
  struct err e = {""};
  if (!statement_form(b, s, 1, 1, "tasks on | off"))
    return;
  o->tasks_at = statement_at(s);
  if (value_bool(s->words[1].text, &o->tasks, &e) < 0)
    report_error(b->f, s->words[1].at, "'tasks' %s", e.text);
}

static const char *const list_words[] = {"entitled", "granted", NULL};

static void custom_authorization_server(struct binder *b, const struct statement *s, void *target)
{
  struct err e = {""};
  struct url u;
  if (!statement_form(b, s, 1, 1, "authorization_server URL"))
    return;
  struct word word = s->words[1];
  if (value_url(word.text, &u, &e) < 0)
    report_error(b->f, word.at, "'authorization_server' %s", e.text);
  else if (u.query.p)
    report_error(b->f, word.at, "'authorization_server' must not have a query");
  else if (!u.https && !url_loopback(&u))
    report_error(b->f, word.at, "'authorization_server' must be https, or on loopback");
  else if (config_words_have(target, word.text.p))
    report_error(b->f, word.at, "'%s' is named twice", word.text.p);
  words_add(b, target, bind_dup(b, word.text));
}

/* ---- the table */

#define AT(member) .offset = offsetof(struct service_options, member)

enum { S = 1000, H = 3600000 };

static const char *const identity_words[] = {"none", "headers", "assertion", NULL};

static const struct option_spec rows[] = {
    STATEMENT("accept_risk", custom_accept_risk, "NAME ...",
              "named risks of this block that are taken", AT(risks), .flags = MCPAUTH_REPEAT),
    STATEMENT("path", custom_path, "/PATH", "where it is on public_url; this or url", .flags = 0),
    STATEMENT("url", custom_url, "URL", "its public URL, when that is not below public_url",
              .flags = 0),
    STATEMENT("upstream", custom_upstream, "URL | unix:PATH http://NAME/PATH",
              "the MCP server behind it", .flags = MCPAUTH_REQUIRED),
    STATEMENT("upstream_auth", custom_upstream_auth,
              "none | bearer SECRET | header NAME SECRET | assertion | user_token PROVIDER",
              "what the hub shows to that server", .fallback = "none"),
    OPTION("identity", MCPAUTH_CHOICE, "none | headers | assertion",
           "how that server learns who is calling: X-Mcpauth-* headers, or a signed assertion in "
           "X-Mcpauth-Assertion",
           AT(upstream.identity), .fallback = "none", .choices = identity_words),
    OPTION("upstream_audience", MCPAUTH_STRING, "TEXT",
           "whom assertions are for; by default the upstream's URL", AT(upstream.audience)),
    STATEMENT("accept", custom_accept, "bearer | basic | header NAME | query NAME",
              "where the caller's one credential may stand", .flags = MCPAUTH_REPEAT,
              .fallback = "bearer"),
    STATEMENT("auth", custom_line, "CONTROL PROVIDER | include STACK",
              "its stack; without auth lines the hub's", AT(lines), .flags = MCPAUTH_REPEAT),
    STATEMENT("account", custom_line, "PROVIDER", "asked after a grant, on every request",
              AT(lines), .flags = MCPAUTH_REPEAT),
    BLOCK("require", custom_require, "CONDITION", "what every request must meet", AT(demands),
          .flags = MCPAUTH_REPEAT),
    BLOCK("tool", custom_rule, RULE_FORM, RULE_HELP_TOOL, AT(rules), .flags = MCPAUTH_REPEAT),
    BLOCK("resource", custom_rule, RULE_FORM, RULE_HELP_RESOURCE, AT(rules),
          .flags = MCPAUTH_REPEAT),
    BLOCK("prompt", custom_rule, RULE_FORM, RULE_HELP_PROMPT, AT(rules), .flags = MCPAUTH_REPEAT),
    BLOCK("method", custom_rule, RULE_FORM, RULE_HELP_METHOD, AT(rules), .flags = MCPAUTH_REPEAT),
    BLOCK("policy", custom_rule, "NAME", RULE_HELP_POLICY, AT(rules), .flags = MCPAUTH_REPEAT),
    OPTION("list", MCPAUTH_CHOICE, "entitled | granted",
           "whether lists show what only a scope that the caller may hold keeps from her", AT(list),
           .fallback = "entitled", .choices = list_words),
    STATEMENT("tasks", custom_tasks, "on | off",
              "whether tasks/... may be used, by whom the hub has given the task's id", .flags = 0,
              .fallback = "off"),
    STATEMENT("login_scope", custom_scopes, "SCOPE ...",
              "what clients are told to ask for; by default the scopes of require", AT(login_scope),
              .flags = MCPAUTH_REPEAT),
    STATEMENT("authorization_server", custom_authorization_server, "URL",
              "where clients log in; by default the issuers that the stack's providers name",
              AT(authorization_servers), .flags = MCPAUTH_REPEAT),
    OPTION("resource_name", MCPAUTH_STRING, "WORDS", "its name for people, in the metadata",
           AT(resource_name)),
    STATEMENT("forward_header", custom_forward_header, "NAME ...",
              "more request headers that the upstream sees", AT(forward_header),
              .flags = MCPAUTH_REPEAT),
    STATEMENT("forward_query", custom_forward_query, "NAME ...",
              "query parameters that the upstream sees; others are cut", AT(forward_query),
              .flags = MCPAUTH_REPEAT),
    STATEMENT("return_header", custom_return_header, "NAME ...",
              "more reply headers that the client sees", AT(return_header),
              .flags = MCPAUTH_REPEAT),
    STATEMENT("allow_origin", custom_origin, "ORIGIN ...", "web pages that may call it",
              AT(allow_origin), .flags = MCPAUTH_REPEAT),
    STATEMENT("anonymous", custom_anonymous, "* | METHOD ...",
              "opens the whole service, or these methods, to callers without a credential",
              .flags = MCPAUTH_REPEAT),
    OPTION("max_body", MCPAUTH_SIZE, "SIZE", "the most that a request's body may have",
           AT(max_body), .fallback = "4m", .min = 1024, .max = 1 << 30),
    OPTION("call_limit", MCPAUTH_DURATION, "TIME", "the most that one exchange may take",
           AT(call_limit), .fallback = "1h", .min = 100, .max = 168 * (int64_t)H),
    OPTION("stream_max_age", MCPAUTH_DURATION, "TIME",
           "the most that a standing event stream may last", AT(stream_max_age), .fallback = "24h",
           .min = 100, .max = 720 * (int64_t)H),
    OPTION("connect_timeout", MCPAUTH_DURATION, "TIME", "for connecting to the upstream",
           AT(connect_timeout), .fallback = "5s", .min = 10, .max = 120 * S),
    OPTION("first_byte_timeout", MCPAUTH_DURATION, "TIME", "for the upstream's first byte; 0: none",
           AT(first_byte_timeout), .fallback = "60s", .min = 0, .max = 168 * (int64_t)H),
    STATEMENT("ca_file", custom_ca_file, "PATH",
              "certificates to trust for the upstream instead of the hub's (PEM)",
              AT(upstream.ca_file)),
    STATEMENT("egress_proxy", custom_proxy, "URL", "proxy for connections to the upstream",
              AT(upstream.egress_proxy)),
};
const struct block_rows service_rows = {"service", rows, ARRAY_SIZE(rows)};

/* ---- first pass: the block itself */

static void finish_url(struct binder *b, struct service_options *o)
{
  struct config_service *v = o->service;
  struct url u = b->c->public_parts;
  if ((o->path == NULL) == (o->url == NULL)) {
    report_error(b->f, v->at, "service '%s' needs one of `path /PATH` and `url URL`%s", v->name,
                 o->path ? ", and has both" : "");
    return;
  }
  if (o->path && b->c->public_url) {
    v->path = str_of(o->path);
    v->resource = arena_printf(b->arena, "%s%s", b->c->public_url, o->path);
  } else if (o->url && url_parse(str_of(o->url), &u, NULL) == 0) {
    v->path = u.path;
    v->resource = o->url;
    if (b->c->public_url && str_eq(u.authority, b->c->public_parts.authority) && u.path.n)
      check_reserved(b, &(struct word){str_of(o->url), o->path_at}, u.path);
    else if (b->c->public_url && str_eq(u.authority, b->c->public_parts.authority))
      report_error(b->f, o->path_at, "a service at the root of public_url would take every path");
  } else {
    return; /* reported where it stands */
  }
  v->host = bind_dup(b, u.authority);
  if (v->resource == NULL)
    bind_no_memory(b);
}

static void copy(struct binder *b, struct service_options *o)
{
  struct config_service *v = o->service;
  v->upstream = o->upstream;
  v->upstream.connect_timeout_ms = o->connect_timeout;
  v->upstream.first_byte_timeout_ms = o->first_byte_timeout;
  v->accept = o->accept.v;
  v->n_accept = o->accept.n;
  struct demands all = b->hub_demands;
  demands_add(b, &all, &o->demands);
  scope_list_sort(&all.scopes);
  v->require = all.scopes.v;
  v->n_require = all.scopes.n;
  v->conditions = all.conditions.v;
  v->n_conditions = all.conditions.n;
  scope_list_sort(&o->login_scope);
  v->login_scope = o->login_scope.n ? o->login_scope.v : all.scopes.v;
  v->n_login_scope = o->login_scope.n ? o->login_scope.n : all.scopes.n;
  v->authorization_servers = o->authorization_servers;
  v->resource_name = o->resource_name;
  v->forward_header = o->forward_header;
  v->forward_query = o->forward_query;
  v->return_header = o->return_header;
  v->allow_origin = o->allow_origin;
  v->anonymous = o->anonymous;
  v->anonymous_methods = o->anonymous_methods;
  v->tasks = o->tasks;
  v->list_granted = o->list == 1;
  v->max_body = (size_t)o->max_body;
  v->call_limit_ms = o->call_limit;
  v->stream_max_age_ms = o->stream_max_age;
}

static void bind_service(struct binder *b, struct named *n, struct config_service *v)
{
  struct service_options *o = bind_alloc(b, 1, sizeof *o);
  if (o == NULL)
    return;
  *v = (struct config_service){.at = statement_at(n->s), .name = n->name, .index = v->index};
  o->service = v;
  n->bound = v;
  n->extra = o;
  b->risks = &o->risks;
  options_open(b, n->s);
  options_bind(b, n->s, &(struct option_table){rows, ARRAY_SIZE(rows), o}, 1);
  struct rule_list rules = {NULL, 0};
  rules_bind(b, &o->rules, &rules);
  options_close(b);
  rules_of_service(b, v, &rules);
  finish_url(b, o);
  upstream_finish(b, o);
  if (o->anonymous)
    lint_warning(b, "open-service", o->anonymous_at,
                 "the service '%s' answers callers without a credential; 'require' holds only for "
                 "those that show one",
                 v->name);
  else if (o->anonymous_methods.n)
    lint_warning(b, "anonymous-operation", o->anonymous_at,
                 "the service '%s' answers %zu method%s without a credential", v->name,
                 o->anonymous_methods.n, o->anonymous_methods.n > 1 ? "s" : "");
  if (o->tasks)
    lint_warning(b, "tasks", o->tasks_at,
                 "tasks/... name no tool: whoever has got a task's id may use it, whatever the "
                 "lines of tools say by then");
  copy(b, o);
  b->risks = NULL;
}

void bind_services(struct binder *b)
{
  size_t n = b->services.n;
  if (n > LIMIT_SERVICES) {
    report_error(b->f, statement_at(b->services.v[LIMIT_SERVICES].s),
                 "there are more than %d services", LIMIT_SERVICES);
    return;
  }
  struct config_service *v = bind_alloc(b, n, sizeof *v);
  if (v == NULL)
    return;
  for (size_t i = 0; i < n; i++) {
    v[i].index = (unsigned)i;
    bind_service(b, &b->services.v[i], &v[i]);
  }
  b->c->services = v;
  b->c->n_services = n;
}

/* ---- second pass: stacks, metadata, lints */

static bool logs_in(const struct config_provider *p)
{
  return config_logs_in(p) || config_is_clients(p);
}

/* Those that log people in do so through the hub: clients that speak MCP could not use them. */
static void add_issuers(struct binder *b, struct config_service *v, const struct config_provider *p)
{
  if (p->table->issuers == NULL || logs_in(p))
    return;
  struct mcpauth_list issuers = p->table->issuers(p->config);
  for (size_t i = 0; i < issuers.n; i++) {
    struct url u;
    /* An issuer that is no URL is nowhere to log in. */
    if (url_parse(str_of(issuers.v[i]), &u, NULL) == 0 &&
        !config_words_have(&v->authorization_servers, issuers.v[i]))
      words_add(b, &v->authorization_servers, bind_dup(b, str_of(issuers.v[i])));
  }
}

static void add_servers(struct binder *b, struct config_service *v)
{
  for (size_t i = 0; i < v->stack.n_auth; i++)
    if (logs_in(v->stack.auth[i].provider) && v->authorization_servers.n == 0 && b->c->public_url)
      words_add(b, &v->authorization_servers, b->c->public_url);
  for (size_t i = 0; i < v->stack.n_auth; i++)
    add_issuers(b, v, v->stack.auth[i].provider);
}

/* The hub's account lines first; its auth lines only for services that have none. */
static void resolve_stack(struct binder *b, struct config_service *v, struct service_options *o)
{
  struct line_list none = {.v = NULL}, hub_account = none;
  struct line_source *lines = bind_alloc(b, b->hub_lines.n, sizeof *lines);
  if (lines == NULL)
    return;
  hub_account.v = lines;
  for (size_t i = 0; i < b->hub_lines.n; i++)
    if (b->hub_lines.v[i].kind == LINE_ACCOUNT)
      lines[hub_account.n++] = b->hub_lines.v[i];
  const struct line_list *lists[] = {&hub_account, o->lines.n_auth ? &none : &b->hub_lines,
                                     &o->lines};
  stack_flatten(b, v->at, lists, ARRAY_SIZE(lists), &v->stack);
}

/* Only those who logged in through the provider have a token of it: a line of the stack must let
 * them. */
static void resolve_user_token(struct binder *b, struct config_service *v, const struct word *name)
{
  const struct config_stack *s = &v->stack;
  for (size_t i = 0; i < s->n_auth; i++)
    if (str_is(name->text, s->auth[i].provider->name) && config_logs_in(s->auth[i].provider))
      v->upstream.auth_provider = s->auth[i].provider;
  if (v->upstream.auth_provider == NULL)
    report_error(b->f, name->at, "nobody logs in to service '%s' through '%s': no auth line does",
                 v->name, name->text.p);
}

static void resolve_service(struct binder *b, struct config_service *v, struct service_options *o,
                            bool providers_good)
{
  lines_check(b, &o->lines);
  resolve_stack(b, v, o);
  if (o->lines.n_auth == 0 && b->hub_lines.n_auth == 0 && !v->anonymous && !o->lines.broken &&
      !b->hub_lines.broken)
    report_lint(b->f, CONFIG_ERROR, v->at, "no-stack",
                "service '%s' has no auth line, and neither has the hub: nobody could call it",
                v->name);
  if (!providers_good)
    return;
  if (o->user_token)
    resolve_user_token(b, v, o->user_token);
  if (v->authorization_servers.n == 0)
    add_servers(b, v);
  b->risks = &o->risks;
  lint_stack(b, v, o->lines.n_auth ? NULL : &b->hub_risks);
  lint_rules(b, v);
  risks_end(b, &o->risks);
  service_note(b, v);
}

/* By host, then path, so that what overlaps stands side by side. */
static int by_place(const void *pa, const void *pb)
{
  const struct config_service *const *a = pa, *const *b = pb;
  int r = strcmp((*a)->host, (*b)->host);
  if (r)
    return r;
  struct str x = (*a)->path, y = (*b)->path;
  for (size_t i = 0; i < x.n && i < y.n; i++) {
    /* '/' before all else: what lies below a path follows it at once */
    int cx = x.p[i] == '/' ? 0 : (unsigned char)x.p[i],
        cy = y.p[i] == '/' ? 0 : (unsigned char)y.p[i];
    if (cx != cy)
      return cx - cy;
  }
  return x.n < y.n ? -1 : x.n > y.n;
}

static bool contains(const struct config_service *outer, const struct config_service *inner)
{
  return strcmp(outer->host, inner->host) == 0 && inner->path.n >= outer->path.n &&
         memcmp(inner->path.p ? inner->path.p : "", outer->path.p ? outer->path.p : "",
                outer->path.n) == 0 &&
         (inner->path.n == outer->path.n || inner->path.p[outer->path.n] == '/');
}

static void check_overlap(struct binder *b)
{
  size_t n = 0;
  const struct config_service **v = arena_array(b->scratch, b->c->n_services, sizeof *v);
  if (v == NULL) {
    bind_no_memory(b);
    return;
  }
  for (size_t i = 0; i < b->c->n_services; i++)
    if (b->c->services[i].host)
      v[n++] = &b->c->services[i];
  if (n)
    qsort(v, n, sizeof *v, by_place);
  for (size_t i = 1; i < n; i++) {
    if (!contains(v[i - 1], v[i]))
      continue;
    bool first = v[i]->index < v[i - 1]->index; /* the later one is at fault */
    const struct config_service *at = first ? v[i - 1] : v[i], *other = first ? v[i] : v[i - 1];
    report_error(b->f, at->at, "the paths of services '%s' and '%s' overlap: %s and %s", at->name,
                 other->name, at->resource, other->resource);
  }
}

void bind_resolve_services(struct binder *b)
{
  bool good = true;
  check_overlap(b);
  lines_check(b, &b->hub_lines);
  for (size_t i = 0; i < b->stacks.n; i++)
    lines_check(b, b->stacks.v[i].bound);
  for (size_t i = 0; i < b->providers.n; i++)
    good = good && (!b->providers.v[i].used || b->providers.v[i].good);
  for (size_t i = 0; i < b->c->n_services; i++)
    if (b->services.v[i].extra)
      resolve_service(b, &b->c->services[i], b->services.v[i].extra, good);
  b->judged = good;
}
