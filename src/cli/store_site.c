/* Opening the store for subcommands, and what they print; see store_site.h. */
#include <config.h>

#include "cli/store_site.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/control.h"
#include "util/base64url.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limits.h"

int store_site_fail(const struct store_site *s, const struct err *e)
{
  fprintf(stderr, "mcpauth %s: %s\n", s->command, e->text);
  return CLI_FAILED;
}

/* The configuration is asked only when nobody says where. */
static int find(struct store_site *s, struct err *e)
{
  if (s->cli->statedir) {
    s->state_dir = s->cli->statedir;
    return 0;
  }
  if (site_open(s->cli, &s->site, e) < 0)
    return -1;
  s->state_dir = s->site.state_dir;
  return 0;
}

static int open_store(struct store_site *s, struct err *e)
{
  char path[4096];
  int n = snprintf(path, sizeof path, "%s/store.db", s->state_dir);
  if (n < 0 || (size_t)n >= sizeof path)
    return err_set(e, "the path of the state directory is too long");
  if (access(path, F_OK) < 0)
    return 0;
  const struct store_options o = {.state_dir = s->state_dir, .keys = s->keys};
  s->store = store_open(&o, e);
  return s->store ? 0 : -1;
}

int store_site_open(const struct cli *cli, const char *command, bool store, struct store_site *ret)
{
  struct err e = {""};
  struct store_site s = {.cli = cli, .command = command};
  umask(077);
  if (find(&s, &e) == 0 && (s.keys = keyring_load(s.state_dir, false, &e)) &&
      (!store || open_store(&s, &e) == 0)) {
    *ret = s;
    return 0;
  }
  store_site_fail(&s, &e);
  store_site_done(&s);
  return -1;
}

void store_site_done(struct store_site *s)
{
  store_close(s->store);
  keyring_free(s->keys);
  site_done(&s->site);
}

int store_site_run(const struct store_site *s, enum store_mode mode, store_work_fn *work, void *arg)
{
  struct err e = {""};
  if (s->store == NULL || store_now(s->store, mode, work, arg, &e) == 0)
    return 0;
  store_site_fail(s, &e);
  return -1;
}

int store_site_tell(const struct store_site *s, const struct store_grant *g)
{
  struct err e = {""};
  CLEANUP(buf_done) struct buf command, answer;
  buf_init(&command, LIMIT_CONTROL_LINE);
  buf_init(&answer, MIB(1));
  if (access(s->cli->control, F_OK) < 0)
    return 0;
  buf_puts(&command, "revoke ");
  base64url_encode(&command, g->issuer);
  buf_putc(&command, ' ');
  base64url_encode(&command, g->subject);
  buf_putc(&command, ' ');
  base64url_encode(&command, g->id);
  if (command.failed)
    err_set(&e, "the name is too long");
  else if (control_ask(s->cli->control, command.p, &answer, &e) == 0)
    return 0;
  err_prefix(&e, "it is done in the store, but the running daemon could not be told; what it "
                 "remembers it may use for as long as its access tokens live");
  store_site_fail(s, &e);
  return -1;
}

/* ---- grants */

static void keep(void *arg, const struct store_grant *g)
{
  struct grant_list *l = arg;
  if (l->n == l->room) {
    size_t room = l->room ? 2 * l->room : 64;
    struct store_grant *bigger = arena_array(l->arena, room, sizeof *bigger);
    if (bigger == NULL) {
      l->no_memory = true;
      return;
    }
    if (l->n)
      memcpy(bigger, l->v, l->n * sizeof *bigger);
    l->v = bigger;
    l->room = room;
  }
  struct store_grant *copy = &l->v[l->n];
  *copy = *g;
  struct str *const texts[] = {&copy->id,     &copy->issuer,      &copy->subject,
                               &copy->client, &copy->client_name, &copy->provider,
                               &copy->scopes, &copy->service,     &copy->why};
  for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
    *texts[i] = arena_str(l->arena, *texts[i]);
    l->no_memory = l->no_memory || texts[i]->p == NULL;
  }
  l->n++;
}

int grant_list_find(struct grant_list *l, struct store_db *db,
                    const struct store_grant_filter *filter)
{
  return store_grant_each(db, filter, keep, l) == STORE_OK && !l->no_memory ? 0 : -1;
}

int grant_list_tell(const struct grant_list *l, const struct store_site *s)
{
  int status = CLI_OK;
  for (size_t i = 0; i < l->n; i++)
    if (store_site_tell(s, &l->v[i]) < 0)
      status = CLI_FAILED;
  return status;
}

/* ---- output */

const char *show_time(int64_t seconds, char out[32])
{
  if (seconds == 0)
    return "-";
  clock_format(seconds * 1000, out, 32);
  memcpy(out + 19, "Z", 2);
  return out;
}

/* As in JSON, without the quotes. */
static void escape(struct str s, struct buf *b)
{
  buf_init(b, MIB(1));
  buf_json(b, s);
}

const char *show_text(struct str s, struct arena *a)
{
  CLEANUP(buf_done) struct buf b;
  escape(s, &b);
  const char *text = b.failed ? NULL : arena_dup(a, str_slice(buf_view(&b), 1, b.n - 1));
  return text ? text : "?";
}

json_t *json_of(struct str s)
{
  if (str_utf8(s))
    return json_stringn(s.p ? s.p : "", s.n);
  CLEANUP(buf_done) struct buf b;
  escape(s, &b);
  return b.failed ? NULL : json_stringn(b.p + 1, b.n - 2);
}

json_t *json_of_time(int64_t seconds)
{
  char text[32];
  return seconds ? json_string(show_time(seconds, text)) : json_null();
}

int show_json(json_t *j)
{
  int bad = j == NULL || json_dumpf(j, stdout, JSON_INDENT(2)) < 0 || putchar('\n') == EOF;
  json_decref(j);
  return bad || fflush(stdout) ? CLI_FAILED : CLI_OK;
}
