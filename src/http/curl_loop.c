/* A libcurl multi handle in a worker's loop; see curl.h.
 *
 * A kept connection stays registered with epoll between two requests: taking it out and putting it
 * back costs two system calls a request.  So an event on a socket that libcurl does not wait for is
 * possible: a paused transfer (then the watch goes), or an idle connection on which the server said
 * something or hung up.  libcurl 7.88 would take unasked bytes for the next reply (row 56), so they
 * are drained and the socket is shut down; it then finds the connection dead and opens another. */
#include "http/curl_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"

enum { DRAIN_MAX = 65536 };

struct hsocket {
  struct watch watch;
  struct hcurl *h;
  uint32_t want; /* EPOLL* that libcurl waits for */
  bool ours;     /* opened by hcurl_socket and not closed yet */
  bool idle;     /* a kept HTTP/1 connection */
};

struct hcurl {
  struct loop *loop;
  CURLM *multi;
  struct timer timer;
  struct task kick; /* timers due now, stopped transfers */
  bool inside;      /* libcurl is running */
  struct hcurl_transfer *stopping;
  struct hsocket **sockets; /* by descriptor; kept for reuse */
  size_t n_sockets;
};

/* ---- turning libcurl */

static struct hsocket *known(struct hcurl *h, int fd)
{
  return fd >= 0 && (size_t)fd < h->n_sockets ? h->sockets[fd] : NULL;
}

static void unlink_stopping(struct hcurl *h, struct hcurl_transfer *t)
{
  struct hcurl_transfer **at = &h->stopping;
  while (*at && *at != t)
    at = &(*at)->next_stopping;
  if (*at)
    *at = t->next_stopping;
}

static void leave(struct hcurl_transfer *t)
{
  struct hcurl *h = t->h;
  t->running = false;
  loop_undefer(h->loop, &t->resume);
  curl_multi_remove_handle(h->multi, t->easy);
}

static void release(struct hcurl_transfer *t)
{
  leave(t);
  hcurl_forbid_reuse(t, false);
  t->on->released(t);
}

/* The connection went back to libcurl's pool.  HTTP/2 has frames of its own on an idle connection,
 * which libcurl reads itself. */
static void note_idle(struct hcurl_transfer *t)
{
  long version = 0;
  struct hsocket *s = known(t->h, t->fd);
  curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version);
  if (s && s->ours && s->want == 0)
    s->idle = version < CURL_HTTP_VERSION_2_0;
}

static void reap(struct hcurl *h)
{
  CURLMsg *m;
  int left;
  while ((m = curl_multi_info_read(h->multi, &left))) {
    struct hcurl_transfer *t;
    CURLcode rc = m->data.result;
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
    if (t->stopped) {
      unlink_stopping(h, t);
      release(t);
      continue;
    }
    leave(t);
    note_idle(t);
    t->on->done(t, rc);
  }
}

static void drive(struct hcurl *h, curl_socket_t fd, int events)
{
  int running;
  h->inside = true;
  curl_multi_socket_action(h->multi, fd, events, &running);
  h->inside = false;
  reap(h);
}

static void release_stopping(struct hcurl *h)
{
  while (h->stopping) {
    struct hcurl_transfer *t = h->stopping;
    h->stopping = t->next_stopping;
    release(t);
  }
}

static void on_kick(struct task *task)
{
  struct hcurl *h = container_of(task, struct hcurl, kick);
  release_stopping(h);
  drive(h, CURL_SOCKET_TIMEOUT, 0);
}

static void on_timer_due(struct timer *timer)
{
  struct hcurl *h = container_of(timer, struct hcurl, timer);
  drive(h, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl's: its next timer is due in MS. */
static int on_timer(CURLM *multi, long ms, void *arg)
{
  struct hcurl *h = arg;
  (void)multi;
  if (ms == 0)
    loop_defer(h->loop, &h->kick);
  else if (ms < 0)
    loop_timer_stop(h->loop, &h->timer);
  else if (loop_timer_set(h->loop, &h->timer, ms) < 0)
    return -1;
  return 0;
}

/* ---- sockets */

/* Whether the server said something or hung up; else the event is from before the connection became
 * idle. */
static bool disturbed(int fd)
{
  char byte;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
         (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* What came on an idle connection is never to be read as the reply to what is sent next. */
static void spoil(int fd)
{
  char bytes[4096];
  size_t drained = 0;
  shutdown(fd, SHUT_RDWR);
  while (drained < DRAIN_MAX) {
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n <= 0)
      break;
    drained += (size_t)n;
  }
}

/* An event that libcurl does not wait for. */
static void on_unexpected(struct hsocket *s)
{
  int fd = s->watch.fd;
  if (s->idle && !disturbed(fd))
    return;
  loop_unwatch(s->h->loop, &s->watch);
  if (s->idle)
    spoil(fd);
}

static void on_ready(struct watch *w, uint32_t events)
{
  struct hsocket *s = container_of(w, struct hsocket, watch);
  int action = 0;
  if (s->want == 0) {
    on_unexpected(s);
    return;
  }
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP))
    action |= CURL_CSELECT_IN;
  if (events & EPOLLOUT)
    action |= CURL_CSELECT_OUT;
  if (events & EPOLLERR)
    action |= CURL_CSELECT_ERR;
  drive(s->h, w->fd, action);
}

static struct hsocket *socket_at(struct hcurl *h, int fd)
{
  size_t i = (size_t)fd;
  if (i >= h->n_sockets) {
    size_t n = h->n_sockets ? h->n_sockets : 64;
    while (n <= i)
      n *= 2;
    struct hsocket **more = reallocarray(h->sockets, n, sizeof *more);
    if (more == NULL)
      return NULL;
    memset(more + h->n_sockets, 0, (n - h->n_sockets) * sizeof *more);
    h->sockets = more;
    h->n_sockets = n;
  }
  if (h->sockets[i] == NULL) {
    struct hsocket *s = calloc(1, sizeof *s);
    if (s == NULL)
      return NULL;
    s->watch = (struct watch){.fd = -1, .ready = on_ready};
    s->h = h;
    h->sockets[i] = s;
  }
  return h->sockets[i];
}

curl_socket_t hcurl_socket(struct hcurl *h, int family, int type, int protocol)
{
  int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0)
    return CURL_SOCKET_BAD;
  struct hsocket *s = socket_at(h, fd);
  if (s == NULL) {
    close(fd);
    return CURL_SOCKET_BAD;
  }
  s->ours = true;
  s->idle = false;
  s->want = 0;
  return fd;
}

int hcurl_close_socket(void *arg, curl_socket_t fd)
{
  struct hcurl *h = arg;
  struct hsocket *s = known(h, fd);
  if (s) {
    loop_unwatch(h->loop, &s->watch);
    s->ours = s->idle = false;
    s->want = 0;
  }
  return close(fd);
}

static int stop_watching(struct hcurl *h, int fd)
{
  struct hsocket *s = known(h, fd);
  if (s == NULL)
    return 0;
  s->want = 0;
  if (!s->ours) /* the resolver's: closed without telling us */
    loop_unwatch(h->loop, &s->watch);
  return 0;
}

/* libcurl's: what to wait for on FD. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
  struct hcurl *h = arg;
  struct hcurl_transfer *t;
  (void)unused;
  if (what == CURL_POLL_REMOVE)
    return stop_watching(h, fd);
  struct hsocket *s = socket_at(h, fd);
  if (s == NULL)
    return -1;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
  t->fd = fd;
  s->idle = false;
  s->want = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
  if (s->watch.fd == fd && s->watch.events == s->want)
    return 0;
  if (loop_watch(h->loop, &s->watch, fd, s->want) < 0)
    shutdown(fd, SHUT_RDWR); /* no memory: this exchange ends by its deadline, the others go on */
  return 0;
}

/* ---- transfers */

int hcurl_add(struct hcurl *h, struct hcurl_transfer *t, struct err *e)
{
  CURLMcode rc = curl_multi_add_handle(h->multi, t->easy);
  if (rc != CURLM_OK)
    return err_set(e, "libcurl: %s", curl_multi_strerror(rc));
  t->running = true;
  return 0;
}

void hcurl_stop(struct hcurl_transfer *t)
{
  struct hcurl *h = t->h;
  if (!t->running || t->stopped)
    return;
  t->stopped = true;
  hcurl_forbid_reuse(t, true);
  if (!h->inside) {
    release(t);
    return;
  }
  t->next_stopping = h->stopping;
  h->stopping = t;
  loop_defer(h->loop, &h->kick);
}

void hcurl_resume(struct hcurl_transfer *t)
{
  if (t->running && t->paused && !t->stopped)
    loop_defer(t->h->loop, &t->resume);
}

void hcurl_run_resume(struct task *task)
{
  struct hcurl_transfer *t = container_of(task, struct hcurl_transfer, resume);
  struct hcurl *h = t->h;
  if (!t->running || t->stopped)
    return;
  t->paused = false;
  h->inside = true;
  CURLcode rc = curl_easy_pause(t->easy, CURLPAUSE_CONT);
  h->inside = false;
  if (rc != CURLE_OK && !t->stopped) { /* what it had kept was refused */
    leave(t);
    t->on->done(t, rc);
  }
  reap(h);
}

/* ---- the multi handle */

static bool set_multi(struct hcurl *h, long kept)
{
  return curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
         curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h) == CURLM_OK &&
         curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
         curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h) == CURLM_OK &&
         curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, kept) == CURLM_OK &&
         /* Four slow streams on one connection cost 207 MB, on four 13 MB. */
         curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) == CURLM_OK;
}

struct hcurl *hcurl_new(struct loop *l, long kept, struct err *e)
{
  static bool ready;
  if (!ready) {
    unsetenv("SSLKEYLOGFILE"); /* libcurl would write session keys there (row 58) */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
      err_set(e, "libcurl does not start");
      return NULL;
    }
    ready = true;
  }
  struct hcurl *h = calloc(1, sizeof *h);
  if (h)
    h->multi = curl_multi_init();
  if (h == NULL || h->multi == NULL || !set_multi(h, kept)) {
    err_set(e, "libcurl: out of memory");
    if (h)
      curl_multi_cleanup(h->multi);
    free(h);
    return NULL;
  }
  h->loop = l;
  h->timer.fire = on_timer_due;
  h->kick.run = on_kick;
  return h;
}

void hcurl_free(struct hcurl *h)
{
  if (h == NULL)
    return;
  release_stopping(h);
  curl_multi_cleanup(h->multi); /* closes kept connections through hcurl_close_socket */
  loop_timer_stop(h->loop, &h->timer);
  loop_undefer(h->loop, &h->kick);
  for (size_t i = 0; i < h->n_sockets; i++)
    free(h->sockets[i]);
  free(h->sockets);
  free(h);
}
