/* What the upstream seam costs: N calls at once through one pool, one thread.
 *
 *   upstream-bench URL [CONCURRENT [SECONDS [BODY-BYTES]]]
 *   upstream-bench --hold URL STREAMS      event streams held open: bytes of memory a stream
 *
 * Run it on one core and the server (bench/upstream) on another; CPU time is this process's own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "http/upstream.h"
#include "util/cleanup.h"
#include "util/clock.h"

struct bench;

struct lane {
  struct bench *bench;
  struct upstream_call *call;
};

struct bench {
  struct loop *loop;
  struct upstream_pool *pool;
  struct upstream_target target;
  struct upstream_request rq;
  struct lane *lanes;
  unsigned long done, failed, bytes, heads;
  bool hold, stop;
  struct timer end;
};

static void on_head(void *arg, int status, const struct http_header *h, size_t n, int64_t length)
{
  struct lane *lane = arg;
  (void)h, (void)n, (void)length;
  lane->bench->heads++;
  if (status != 200)
    lane->bench->failed++;
}

static bool on_data(void *arg, struct str bytes)
{
  ((struct lane *)arg)->bench->bytes += bytes.n;
  return true;
}

static void on_done(void *arg, enum upstream_end end, const char *error);

static const struct upstream_events events = {on_head, on_data, on_done};

static void begin(struct lane *lane)
{
  struct err e;
  lane->call = upstream_start(lane->bench->pool, &lane->bench->rq, &events, lane, &e);
  if (lane->call == NULL) {
    fprintf(stderr, "%s\n", e.text);
    exit(1);
  }
}

static void on_done(void *arg, enum upstream_end end, const char *error)
{
  struct lane *lane = arg;
  struct bench *b = lane->bench;
  b->done++;
  if (end != UPSTREAM_COMPLETE && b->failed++ == 0)
    fprintf(stderr, "%s\n", error);
  if (!b->stop && !b->hold)
    begin(lane);
}

static void on_end(struct timer *t)
{
  struct bench *b = container_of(t, struct bench, end);
  b->stop = true;
  loop_stop(b->loop);
}

static double cpu_us(void)
{
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 +
         (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static long rss_bytes(void)
{
  long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f == NULL || fscanf(f, "%*s %ld", &pages) != 1)
    exit(1);
  fclose(f);
  return pages * 4096;
}

static void open_bench(struct bench *b, const char *url, unsigned lanes)
{
  static const struct http_header headers[] = {
      {{"Accept", 6}, {"application/json, text/event-stream", 35}},
      {{"Content-Type", 12}, {"application/json", 16}},
      {{"Mcp-Protocol-Version", 20}, {"2026-07-28", 10}},
      {{"Mcp-Method", 10}, {"tools/call", 10}},
      {{"Mcp-Name", 8}, {"search", 6}},
      {{"User-Agent", 10}, {"upstream-bench", 14}}};
  struct err e;
  b->target = (struct upstream_target){
      .url = url, .connect_timeout_ms = 3000, .first_byte_timeout_ms = 60000};
  b->rq = (struct upstream_request){.target = &b->target,
                                    .url = url,
                                    .method = STR("POST"),
                                    .headers = headers,
                                    .n_headers = ARRAY_SIZE(headers),
                                    .total_timeout_ms = 300000};
  b->loop = loop_new(&e);
  b->pool = upstream_pool_new(b->loop, &e);
  b->lanes = calloc(lanes, sizeof *b->lanes);
  if (b->pool == NULL || b->lanes == NULL)
    exit(1);
  for (unsigned i = 0; i < lanes; i++)
    b->lanes[i].bench = b;
  b->end.fire = on_end;
}

static void run(struct bench *b, unsigned lanes, int64_t ms)
{
  for (unsigned i = 0; i < lanes; i++)
    begin(&b->lanes[i]);
  loop_timer_set(b->loop, &b->end, ms);
  loop_run(b->loop);
}

static int hold(const char *url, unsigned streams)
{
  struct bench b = {.hold = true};
  open_bench(&b, url, streams);
  b.rq.method = STR("GET");
  b.rq.stands_open = true;
  b.rq.total_timeout_ms = 0;
  long before = rss_bytes();
  run(&b, streams, 2000);
  printf("%lu of %u streams open, %lu failed, %ld bytes each\n", b.heads, streams, b.failed,
         (rss_bytes() - before) / (long)streams);
  return b.heads == streams ? 0 : 1;
}

int main(int argc, char **argv)
{
  if (argc == 4 && strcmp(argv[1], "--hold") == 0)
    return hold(argv[2], (unsigned)atoi(argv[3]));
  if (argc < 2) {
    fprintf(stderr, "usage: upstream-bench URL [CONCURRENT [SECONDS [BODY-BYTES]]]\n");
    return 2;
  }
  unsigned lanes = argc > 2 ? (unsigned)atoi(argv[2]) : 64;
  int seconds = argc > 3 ? atoi(argv[3]) : 3;
  size_t n = argc > 4 ? (size_t)atol(argv[4]) : 299;
  struct bench b = {0};
  char *body = malloc(n + 1);
  if (body == NULL)
    return 1;
  memset(body, 'x', n);
  open_bench(&b, argv[1], lanes);
  b.rq.body = (struct str){body, n};
  double cpu = cpu_us();
  int64_t start = clock_mono_us();
  run(&b, lanes, seconds * 1000);
  cpu = cpu_us() - cpu;
  double wall = (double)(clock_mono_us() - start) / 1e6;
  printf("%.0f requests/s, %.1f us CPU each, %.1f MB/s, %lu failed, RSS %ld KiB\n",
         (double)b.done / wall, cpu / (double)b.done, (double)b.bytes / wall / 1e6, b.failed,
         rss_bytes() / 1024);
  upstream_pool_free(b.pool);
  loop_free(b.loop);
  free(b.lanes);
  free(body);
  return b.failed != 0;
}
