/* `hub { }`: the one block about the whole.  Called by bind.c. */
#include <config.h>

#include <arpa/inet.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "config/bind_rules.h"
#include "config/tables.h"
#include "util/cleanup.h"

struct audit_choice {
  enum audit_to to; /* 0: not said */
  bool arguments, arguments_said;
  const char *file;
};

struct rotation {
  int64_t size, keep;
};

struct log_choice {
  int level;
  bool json;
};

/* As the table fills it; copied to struct config afterwards. */
struct hub_options {
  struct url public_url;
  const char *public_text;
  struct listen_list listen, admin;
  struct line_list lines;
  struct demands demands;
  struct rule_source rules;
  const char *user, *state_dir;
  int64_t workers, job_threads, drain_timeout, watchdog, max_generations;
  int64_t header_timeout, body_timeout, keepalive_timeout, stall_timeout;
  int64_t max_connections, max_connections_per_address, body_budget;
  int64_t requests_per_principal, requests_per_client, requests_per_address;
  int64_t open_per_principal, open_per_client, open_per_address, failures_per_address;
  struct config_words trusted_proxy, allow_origin;
  const char *client_certificate_header;
  const char *ca_file, *egress_proxy;
  struct audit_choice audit;
  struct rotation rotation;
  struct log_choice log;
  int audit_sync;
  struct risks risks;
};

static void custom_public_url(struct binder *b, const struct statement *s, void *target)
{
  struct hub_options *o = target;
  struct err e = {""};
  if (!statement_form(b, s, 1, 1, "public_url URL"))
    return;
  b->public_url_at = s->words[1].at;
  o->public_text = bind_dup(b, s->words[1].text);
  if (value_origin(str_of(o->public_text), &o->public_url, &e) < 0) {
    report_error(b->f, s->words[1].at, "'public_url' %s", e.text);
    o->public_text = NULL;
  }
}

static void custom_admin(struct binder *b, const struct statement *s, void *target);

static void custom_user(struct binder *b, const struct statement *s, void *target)
{
  if (!statement_form(b, s, 1, 1, "user NAME"))
    return;
  struct word name = s->words[1];
  struct passwd *pw = getpwnam(name.text.p);
  if (str_is(name.text, "root") || (pw && pw->pw_uid == 0))
    report_error(b->f, name.at, "the daemon does not run as root: name a user of its own");
  else if (pw == NULL && geteuid() == 0)
    report_error(b->f, name.at, "there is no user '%s' on this machine", name.text.p);
  *(const char **)target = bind_dup(b, name.text);
}

/* Shorter prefixes name so much of the Internet that anybody may claim any address; fc00::/7 and
 * 10.0.0.0/8 are private. */
enum { PREFIX_LEAST_V4 = 8, PREFIX_LEAST_V6 = 7 };

/* Whether the first PREFIX bits of A and B are the same. */
static bool same_bits(const unsigned char *a, const unsigned char *b, uint64_t prefix)
{
  size_t whole = (size_t)(prefix / 8);
  unsigned rest = (unsigned)(prefix % 8);
  return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

/* IPv4 addresses are compared as ::ffff:0:0/96, so a short IPv6 network can contain them all. */
static bool too_wide(const unsigned char address[16], bool v4, uint64_t prefix)
{
  static const unsigned char mapped[16] = {[10] = 0xff, [11] = 0xff};
  if (v4)
    return prefix < PREFIX_LEAST_V4;
  uint64_t common = prefix < 96 ? prefix : 96;
  return prefix < PREFIX_LEAST_V6 ||
         (same_bits(address, mapped, common) && prefix < 96 + PREFIX_LEAST_V4);
}

/* An address, with or without /PREFIX. */
static int check_network(const char *text, bool *ret_wide)
{
  char address[64];
  unsigned char raw[16] = {0};
  struct str all = str_of(text);
  size_t slash = str_chr(all, '/');
  if (slash >= sizeof address)
    return -1;
  memcpy(address, text, slash);
  address[slash] = 0;
  bool v4 = inet_pton(AF_INET, address, raw) == 1;
  if (!v4 && inet_pton(AF_INET6, address, raw) != 1)
    return -1;
  uint64_t most = v4 ? 32 : 128, prefix = most;
  if (slash < all.n && !str_u64(str_slice(all, slash + 1, all.n), most, &prefix))
    return -1;
  *ret_wide = too_wide(raw, v4, prefix);
  return 0;
}

static void custom_trusted_proxy(struct binder *b, const struct statement *s, void *target)
{
  if (s->n < 2)
    report_error(b->f, statement_at(s), "this must have the form `trusted_proxy NETWORK ...`");
  for (size_t i = 1; i < s->n; i++) {
    struct word word = s->words[i];
    bool wide = str_is(word.text, "*") || str_is(word.text, "all");
    if (!wide && !str_is(word.text, "unix") && check_network(word.text.p, &wide) < 0)
      report_error(b->f, word.at, "'%s' is no network: write ADDRESS, ADDRESS/PREFIX or unix",
                   word.text.p);
    else if (wide)
      report_lint(b->f, CONFIG_ERROR, word.at, "wildcard-trusted-proxy",
                  "'%s' would let anybody choose the address that they seem to come from",
                  word.text.p);
    words_add(b, target, bind_dup(b, word.text));
  }
}

void custom_origin(struct binder *b, const struct statement *s, void *target)
{
  if (s->n < 2)
    report_error(b->f, statement_at(s), "this must have the form `allow_origin ORIGIN ...`");
  for (size_t i = 1; i < s->n; i++) {
    struct url u;
    struct err e = {""};
    if (str_is(s->words[i].text, "*"))
      report_error(b->f, s->words[i].at,
                   "'allow_origin *' would open the hub to every web page: "
                   "name the origins");
    else if (value_origin(s->words[i].text, &u, &e) < 0)
      report_error(b->f, s->words[i].at, "'allow_origin' %s", e.text);
    words_add(b, target, bind_dup(b, s->words[i].text));
  }
}

void custom_ca_file(struct binder *b, const struct statement *s, void *target)
{
  if (!statement_form(b, s, 1, 1, "ca_file PATH"))
    return;
  struct str content = bind_read_file(b, &s->words[1], 4 * 1024 * 1024);
  if (content.p && strstr(content.p, "-----BEGIN CERTIFICATE-----") == NULL &&
      strstr(content.p, "-----BEGIN TRUSTED CERTIFICATE-----") == NULL)
    report_error(b->f, s->words[1].at, "%s has no PEM certificate", s->words[1].text.p);
  *(const char **)target = bind_dup(b, s->words[1].text);
}

void custom_proxy(struct binder *b, const struct statement *s, void *target)
{
  struct err e = {""};
  if (!statement_form(b, s, 1, 1, "egress_proxy URL"))
    return;
  if (value_proxy(s->words[1].text, &e) < 0)
    report_error(b->f, s->words[1].at, "'egress_proxy' %s", e.text);
  *(const char **)target = bind_dup(b, s->words[1].text);
}

/* `audit arguments on`: the one form that may stand beside another. */
static void audit_arguments(struct binder *b, const struct statement *s, struct audit_choice *a)
{
  struct err e = {""};
  if (a->arguments_said || s->n != 3)
    report_error(b->f, s->words[1].at, "this must have the form `audit arguments on|off`, once");
  else if (value_bool(s->words[2].text, &a->arguments, &e) < 0)
    report_error(b->f, s->words[2].at, "'audit arguments' %s", e.text);
  else if (a->arguments)
    lint_warning(b, "audit-arguments", s->words[1].at,
                 "what callers send to tools will be in the audit log as it is, secrets included");
  a->arguments_said = true;
}

static void custom_audit(struct binder *b, const struct statement *s, void *target)
{
  struct audit_choice *a = target;
  struct err e = {""};
  static const char form[] =
      "audit file [PATH] | audit stdout | audit off | audit arguments on|off";
  if (!statement_form(b, s, 1, 2, form))
    return;
  struct word kind = s->words[1];
  if (str_is(kind.text, "arguments")) {
    audit_arguments(b, s, a);
    return;
  }
  if (a->to)
    report_error(b->f, kind.at, "where decisions are recorded is said twice");
  a->to = str_is(kind.text, "file")     ? AUDIT_FILE
          : str_is(kind.text, "stdout") ? AUDIT_STDOUT
                                        : AUDIT_OFF;
  if ((a->to == AUDIT_OFF && !str_is(kind.text, "off")) || (a->to != AUDIT_FILE && s->n > 2)) {
    report_error(b->f, kind.at, "this must have the form `%s`", form);
  } else if (s->n > 2) {
    if (value_path(s->words[2].text, &e) < 0)
      report_error(b->f, s->words[2].at, "'audit file' %s", e.text);
    a->file = bind_dup(b, s->words[2].text);
  } else if (a->to == AUDIT_OFF) {
    lint_warning(b, "audit-off", kind.at,
                 "no decision will be recorded: nobody can say who called what");
  }
}

static void custom_rotate(struct binder *b, const struct statement *s, void *target)
{
  struct rotation *r = target;
  struct err e = {""};
  static const char form[] = "audit_rotate SIZE KEEP | audit_rotate off";
  if (s->n == 2 && str_is(s->words[1].text, "off"))
    return;
  if (!statement_form(b, s, 2, 2, form))
    return;
  if (value_size(s->words[1].text, &r->size, &e) < 0)
    report_error(b->f, s->words[1].at, "the size %s", e.text);
  else if (r->size < 65536)
    report_error(b->f, s->words[1].at, "the size must be at least 64k");
  if (value_integer(s->words[2].text, &r->keep, &e) < 0 || r->keep < 1 || r->keep > 1000)
    report_error(b->f, s->words[2].at, "the number of files to keep must be from 1 to 1000");
}

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const formats[] = {"text", "json", NULL};

static void custom_log(struct binder *b, const struct statement *s, void *target)
{
  struct log_choice *l = target;
  struct err e = {""};
  int format = 0;
  if (!statement_form(b, s, 1, 2, "log LEVEL [text|json]"))
    return;
  if (value_choice(s->words[1].text, levels, &l->level, &e) < 0)
    report_error(b->f, s->words[1].at, "the level %s", e.text);
  if (s->n > 2 && value_choice(s->words[2].text, formats, &format, &e) < 0)
    report_error(b->f, s->words[2].at, "the format %s", e.text);
  l->json = format == 1;
}

static const char *const sync_words[] = {"normal", "strict", NULL};

#define AT(member) .offset = offsetof(struct hub_options, member)
enum { S = 1000, M = 60000, H = 3600000 };

static const struct option_spec rows[] = {
    STATEMENT("accept_risk", custom_accept_risk, "NAME ...",
              "named risks of this block that are taken", AT(risks), .flags = MCPAUTH_REPEAT),
    STATEMENT("public_url", custom_public_url, "URL",
              "the origin that clients see: scheme, host and port, no path",
              .flags = MCPAUTH_REQUIRED),
    BLOCK("listen", custom_listen, "ADDRESS [{ ... }]",
          "where connections are taken; a block makes it TLS", AT(listen), .flags = MCPAUTH_REPEAT,
          .fallback = "127.0.0.1:8080"),
    BLOCK("admin", custom_admin, "{ ... }",
          "the administration listener: metrics and health; loopback or unix only", .flags = 0),
    STATEMENT("auth", custom_line, "CONTROL PROVIDER | include STACK",
              "the stack of services that bring none", AT(lines), .flags = MCPAUTH_REPEAT),
    STATEMENT("account", custom_line, "PROVIDER",
              "asked at every service, before its own account lines", AT(lines),
              .flags = MCPAUTH_REPEAT),
    BLOCK("require", custom_require, "CONDITION", "what every request to every service must meet",
          AT(demands), .flags = MCPAUTH_REPEAT),
    BLOCK("tool", custom_rule, RULE_FORM, RULE_HELP_TOOL, AT(rules), .flags = MCPAUTH_REPEAT),
    BLOCK("resource", custom_rule, RULE_FORM, RULE_HELP_RESOURCE, AT(rules),
          .flags = MCPAUTH_REPEAT),
    BLOCK("prompt", custom_rule, RULE_FORM, RULE_HELP_PROMPT, AT(rules), .flags = MCPAUTH_REPEAT),
    BLOCK("method", custom_rule, RULE_FORM, RULE_HELP_METHOD, AT(rules), .flags = MCPAUTH_REPEAT),
    BLOCK("policy", custom_rule, "NAME", RULE_HELP_POLICY, AT(rules), .flags = MCPAUTH_REPEAT),
    STATEMENT("user", custom_user, "NAME", "whom to become for good when started as root",
              AT(user)),
    OPTION("state_dir", MCPAUTH_PATH, "PATH", "what must survive a restart", AT(state_dir),
           .fallback = MCPAUTH_STATEDIR),
    OPTION("workers", MCPAUTH_INTEGER, "NUMBER", "processes that serve; 0: one a processor",
           AT(workers), .fallback = "0", .min = 0, .max = 256),
    OPTION("job_threads", MCPAUTH_INTEGER, "NUMBER", "threads of a worker for what blocks",
           AT(job_threads), .fallback = "4", .min = 1, .max = 64),
    OPTION("drain_timeout", MCPAUTH_DURATION, "TIME",
           "the most that requests of an old configuration may go on", AT(drain_timeout),
           .fallback = "30s", .min = 0, .max = 24 * H),
    OPTION("watchdog", MCPAUTH_DURATION, "TIME",
           "a worker that does not turn its loop for so long is replaced", AT(watchdog),
           .fallback = "10s", .min = 1 * S, .max = 10 * M),
    OPTION("max_generations", MCPAUTH_INTEGER, "NUMBER",
           "configurations that may be draining at once", AT(max_generations), .fallback = "8",
           .min = 2, .max = 64),
    OPTION("header_timeout", MCPAUTH_DURATION, "TIME", "for the handshake and the whole header",
           AT(header_timeout), .fallback = "10s", .min = 100, .max = 10 * M),
    OPTION("body_timeout", MCPAUTH_DURATION, "TIME", "for the whole body", AT(body_timeout),
           .fallback = "60s", .min = 100, .max = 1 * H),
    OPTION("keepalive_timeout", MCPAUTH_DURATION, "TIME", "idle between two requests",
           AT(keepalive_timeout), .fallback = "60s", .min = 100, .max = 1 * H),
    OPTION("stall_timeout", MCPAUTH_DURATION, "TIME",
           "a client that reads nothing for so long is dropped", AT(stall_timeout),
           .fallback = "30s", .min = 100, .max = 1 * H),
    OPTION("max_connections", MCPAUTH_INTEGER, "NUMBER", "connections of a worker",
           AT(max_connections), .fallback = "4096", .min = 1, .max = 1000000),
    OPTION("max_connections_per_address", MCPAUTH_INTEGER, "NUMBER",
           "connections of one address at a worker; trusted proxies are exempt",
           AT(max_connections_per_address), .fallback = "256", .min = 1, .max = 1000000),
    OPTION("max_requests_per_principal", MCPAUTH_INTEGER, "NUMBER",
           "requests a second of one principal, over all workers; 0: no limit",
           AT(requests_per_principal), .fallback = "0", .min = 0, .max = 1000000),
    OPTION("max_requests_per_client", MCPAUTH_INTEGER, "NUMBER",
           "the same of one client of an issuer", AT(requests_per_client), .fallback = "0",
           .min = 0, .max = 1000000),
    OPTION("max_requests_per_address", MCPAUTH_INTEGER, "NUMBER",
           "the same of one address; of IPv6 by /64", AT(requests_per_address), .fallback = "0",
           .min = 0, .max = 1000000),
    OPTION("max_open_per_principal", MCPAUTH_INTEGER, "NUMBER",
           "calls and streams of one principal that are open at once, over all workers; 0: no "
           "limit",
           AT(open_per_principal), .fallback = "0", .min = 0, .max = 60000),
    OPTION("max_open_per_client", MCPAUTH_INTEGER, "NUMBER", "the same of one client of an issuer",
           AT(open_per_client), .fallback = "0", .min = 0, .max = 60000),
    OPTION("max_open_per_address", MCPAUTH_INTEGER, "NUMBER",
           "the same of one address; of IPv6 by /64", AT(open_per_address), .fallback = "0",
           .min = 0, .max = 60000),
    OPTION("max_failures_per_address", MCPAUTH_INTEGER, "NUMBER",
           "unknown or forged credentials a minute of one address at one service; whoever is over "
           "it waits before the next is verified; 0: no limit",
           AT(failures_per_address), .fallback = "60", .min = 0, .max = 1000000),
    OPTION("body_budget", MCPAUTH_SIZE, "SIZE", "buffered bodies of a worker together",
           AT(body_budget), .fallback = "256m", .min = 1 << 16, .max = (int64_t)1 << 40),
    STATEMENT("trusted_proxy", custom_trusted_proxy, "NETWORK ...",
              "whose X-Forwarded-For is believed: networks, and unix for unix sockets",
              AT(trusted_proxy), .flags = MCPAUTH_REPEAT),
    OPTION("client_certificate_header", MCPAUTH_STRING, "NAME",
           "where trusted proxies put the client's certificate: Client-Cert (RFC 9440), or nginx's "
           "$ssl_client_escaped_cert",
           AT(client_certificate_header)),
    STATEMENT("allow_origin", custom_origin, "ORIGIN ...", "web pages that may call every service",
              AT(allow_origin), .flags = MCPAUTH_REPEAT),
    STATEMENT("ca_file", custom_ca_file, "PATH",
              "certificates to trust instead of the system's (PEM)", AT(ca_file)),
    STATEMENT("egress_proxy", custom_proxy, "URL", "proxy for connections that the hub makes",
              AT(egress_proxy)),
    STATEMENT("audit", custom_audit, "file [PATH] | stdout | off | arguments on|off",
              "where decisions are recorded; without PATH audit.log in state_dir. `audit arguments "
              "on`, beside it, records what tools are called with, not only its size and SHA-256",
              AT(audit), .flags = MCPAUTH_REPEAT, .fallback = "file"),
    OPTION("audit_sync", MCPAUTH_CHOICE, "normal | strict",
           "what a record must survive before its request goes on: the process, or the disk",
           AT(audit_sync), .fallback = "normal", .choices = sync_words),
    STATEMENT("audit_rotate", custom_rotate, "SIZE KEEP | off",
              "size of an audit file, and how many old ones stay", AT(rotation),
              .fallback = "64m 8"),
    STATEMENT("log", custom_log, "error|warn|info|debug [text|json]", "what goes to standard error",
              AT(log), .fallback = "info text"),
};
const struct block_rows hub_rows = {"hub", rows, ARRAY_SIZE(rows)};

static const struct option_spec in_admin[] = {
    BLOCK("listen", custom_listen, "ADDRESS", "loopback or unix:/PATH",
          .flags = MCPAUTH_REPEAT | MCPAUTH_REQUIRED),
};
const struct block_rows admin_rows = {"admin", in_admin, ARRAY_SIZE(in_admin)};

static void custom_admin(struct binder *b, const struct statement *s, void *target)
{
  struct hub_options *o = target;
  if (s->n != 1 || s->block == NULL) {
    report_error(b->f, statement_at(s), "this must have the form `admin { listen ADDRESS }`");
    return;
  }
  o->admin.admin = true;
  options_open(b, s);
  options_bind(b, s, &(struct option_table){in_admin, ARRAY_SIZE(in_admin), &o->admin}, 1);
  options_close(b);
}

static void copy_limits(struct config_limits *l, const struct hub_options *o)
{
  *l = (struct config_limits){
      .max_connections = (unsigned)o->max_connections,
      .max_connections_per_address = (unsigned)o->max_connections_per_address,
      .header_timeout_ms = o->header_timeout,
      .body_timeout_ms = o->body_timeout,
      .keepalive_timeout_ms = o->keepalive_timeout,
      .stall_timeout_ms = o->stall_timeout,
      .requests_per_principal = (unsigned)o->requests_per_principal,
      .requests_per_client = (unsigned)o->requests_per_client,
      .requests_per_address = (unsigned)o->requests_per_address,
      .open_per_principal = (unsigned)o->open_per_principal,
      .open_per_client = (unsigned)o->open_per_client,
      .open_per_address = (unsigned)o->open_per_address,
      .failures_per_address = (unsigned)o->failures_per_address,
      .body_budget = (size_t)o->body_budget,
  };
}

static void copy_audit(struct config *c, const struct hub_options *o)
{
  c->audit_to = o->audit.to ? o->audit.to : AUDIT_FILE;
  c->audit_arguments = o->audit.arguments;
  c->audit_file = o->audit.file;
  c->audit_sync_strict = o->audit_sync == 1;
  c->audit_rotate_size = (size_t)o->rotation.size;
  c->audit_keep = (unsigned)o->rotation.keep;
  c->log_level = o->log.level;
  c->log_json = o->log.json;
}

static void copy(struct binder *b, const struct hub_options *o)
{
  struct config *c = b->c;
  c->public_url = o->public_text;
  c->public_parts = o->public_url;
  c->listen = o->listen.v;
  c->n_listen = o->listen.n;
  c->admin_listen = o->admin.v;
  c->n_admin_listen = o->admin.n;
  c->user = o->user;
  c->state_dir = o->state_dir;
  c->workers = (unsigned)o->workers;
  c->job_threads = (unsigned)o->job_threads;
  c->drain_timeout_ms = o->drain_timeout;
  c->watchdog_ms = o->watchdog;
  c->max_generations = (unsigned)o->max_generations;
  c->trusted_proxy = o->trusted_proxy;
  c->client_certificate_header = o->client_certificate_header;
  c->allow_origin = o->allow_origin;
  c->ca_file = o->ca_file;
  c->egress_proxy = o->egress_proxy;
  copy_limits(&c->limits, o);
  copy_audit(c, o);
  b->hub_lines = o->lines;
  b->hub_demands = o->demands;
}

void bind_hub(struct binder *b)
{
  struct hub_options o = {0};
  if (b->hub == NULL)
    return;
  b->risks = &o.risks;
  options_open(b, b->hub);
  options_bind(b, b->hub, &(struct option_table){rows, ARRAY_SIZE(rows), &o}, 1);
  rules_bind(b, &o.rules, &b->hub_rules);
  options_close(b);
  if (o.public_text && !o.public_url.https && !url_loopback(&o.public_url))
    lint(b, "plain-http-public-url", b->public_url_at,
         "tokens would travel in clear text to %s: use https, or TLS in front of the hub",
         o.public_text);
  listen_finish(b, &o.listen, &o.admin);
  b->hub_risks = o.risks; /* its stack is judged with the services */
  b->risks = NULL;
  copy(b, &o);
}
