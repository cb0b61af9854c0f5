/* Token refreshes a second through the store of one worker, each on the disk before it counts:
 * bench/store-bench [STATE_DIR] [SECONDS].  One line for each number of refreshes under way at
 * once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"
#include "util/clock.h"

enum { FAMILIES = 256, MONTH = 30 * 86400, GRACE = 120 };

struct family {
  struct arena *arena;
  unsigned number, generation;
  struct store_refresh before;
  enum store_result result;
};

static struct loop *loop;
static struct store *store;
static struct timer over;
static bool ending;
static unsigned long long refreshes, failures;
static unsigned under_way;

static struct str name(struct arena *a, const char *what, unsigned n, unsigned generation)
{
  return str_of(arena_printf(a, "%s-%d-%u-%u-0123456789", what, (int)getpid(), n, generation));
}

static int make_work(void *arg, struct store_db *db)
{
  struct arena *a = arg;
  for (unsigned i = 0; i < FAMILIES; i++) {
    struct store_grant g = {.id = name(a, "grant", i, 0),
                            .issuer = STR("https://idp.example"),
                            .subject = name(a, "person", i, 0),
                            .provider = STR("google"),
                            .client = STR("client"),
                            .client_name = STR("Client"),
                            .service = STR("notes"),
                            .scopes = STR("notes:read notes:write"),
                            .principal = STR("{\"email\":\"ann@example.com\"}")};
    if (store_grant_add(db, &g) != STORE_OK ||
        store_refresh_add(db, g.id, name(a, "refresh", i, 0), clock_wall() + MONTH) != STORE_OK)
      return -1;
  }
  return 0;
}

/* As the token endpoint does it: a look, then the exchange. */
static int peek_work(void *arg, struct store_db *db)
{
  struct family *f = arg;
  f->result = store_refresh_peek(db, name(f->arena, "refresh", f->number, f->generation), GRACE,
                                 f->arena, &f->before);
  return 0;
}

static int rotate_work(void *arg, struct store_db *db)
{
  struct family *f = arg;
  struct str got;
  f->result =
      store_refresh_rotate(db, name(f->arena, "refresh", f->number, f->generation), STR("client"),
                           name(f->arena, "refresh", f->number, f->generation + 1),
                           clock_wall() + MONTH, GRACE, f->arena, &got);
  return f->result == STORE_OK ? 0 : -1;
}

static void begin(struct family *f);

static void on_rotated(void *arg, bool stored)
{
  struct family *f = arg;
  arena_free(f->arena);
  under_way--;
  if (stored) {
    f->generation++;
    refreshes++;
  } else {
    failures++;
  }
  if (!ending)
    begin(f);
  else if (under_way == 0)
    loop_stop(loop);
}

static void on_peeked(void *arg, bool stored)
{
  struct family *f = arg;
  if (!stored || f->result != STORE_OK ||
      store_submit(store, STORE_WRITE, rotate_work, on_rotated, NULL, f) == NULL)
    on_rotated(f, false);
}

static void begin(struct family *f)
{
  f->arena = arena_new(1024 * 1024);
  under_way++;
  if (f->arena == NULL || !store_submit(store, STORE_READ, peek_work, on_peeked, NULL, f))
    abort();
}

static void on_over(struct timer *t)
{
  (void)t;
  ending = true;
}

static void measure(struct family *families, unsigned n, int64_t seconds)
{
  int64_t from = clock_mono_us();
  refreshes = failures = 0;
  ending = false;
  over.fire = on_over;
  loop_timer_set(loop, &over, seconds * 1000);
  for (unsigned i = 0; i < n; i++)
    begin(&families[i]);
  loop_run(loop);
  double took = (double)(clock_mono_us() - from) / 1e6;
  printf("%3u at once: %8.0f refreshes/s, %llu failed\n", n, (double)refreshes / took, failures);
}

int main(int argc, char **argv)
{
  static struct family families[FAMILIES];
  static const unsigned at_once[] = {1, 8, 64};
  char scratch[] = "/tmp/store-bench.XXXXXX";
  struct err e = {""};
  const char *dir = argc > 1 ? argv[1] : mkdtemp(scratch);
  int64_t seconds = argc > 2 ? atoi(argv[2]) : 2;
  struct keyring *keys = dir ? keyring_load(dir, true, &e) : NULL;
  struct jobs *jobs = keys && (loop = loop_new(&e)) ? jobs_new(loop, 4, &e) : NULL;
  struct arena *arena = arena_new(16 * 1024 * 1024);
  const struct store_options o = {
      .state_dir = dir, .keys = keys, .jobs = jobs, .loop = loop, .sweep = true};
  if (jobs == NULL || !(store = store_open(&o, &e)) ||
      store_now(store, STORE_WRITE, make_work, arena, &e) < 0) {
    fprintf(stderr, "store-bench: %s\n", e.text);
    return 1;
  }
  for (unsigned i = 0; i < FAMILIES; i++)
    families[i].number = i;
  for (unsigned i = 0; i < sizeof at_once / sizeof at_once[0]; i++)
    measure(families, at_once[i], seconds);
  jobs_free(jobs, 1000);
  store_close(store);
  keyring_free(keys);
  loop_free(loop);
  arena_free(arena);
  return 0;
}
