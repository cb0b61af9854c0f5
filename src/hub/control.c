/* The control socket; see control.h. */
#include <config.h>

#include "hub/control.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hub/listener.h"
#include "ops/log.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/limits.h"

enum {
  CLIENTS_MOST = 32,
  LINE_MOST = LIMIT_CONTROL_LINE,
  IDLE_MS = 10000, /* to send a command, and to read what is left of an answer */
};
#define ANSWER_MOST MIB(1)

struct control {
  struct loop *loop;
  struct watch watch;
  struct control_handler handler;
  struct sockaddr_un address;
  uid_t uid;
  char *folder;
  bool made_folder;
  dev_t device;
  ino_t inode;
  struct control_client *clients;
  unsigned n_clients;
};

enum client_state { CLIENT_READING, CLIENT_WAITING, CLIENT_WRITING };

struct control_client {
  struct control *control;
  struct control_client *next, *waiting;
  struct watch watch;
  struct timer timer;
  enum client_state state;
  char line[LINE_MOST];
  size_t n_line;
  struct buf answer;
};

struct control_client **control_link(struct control_client *c)
{
  return &c->waiting;
}

/* ---- one client */

static void client_free(struct control_client *c)
{
  struct control *ctl = c->control;
  struct control_client **at = &ctl->clients;
  while (*at != c)
    at = &(*at)->next;
  *at = c->next;
  ctl->n_clients--;
  int fd = c->watch.fd;
  loop_timer_stop(ctl->loop, &c->timer);
  loop_unwatch(ctl->loop, &c->watch);
  close(fd);
  buf_done(&c->answer);
  free(c);
}

static void client_gone(struct control_client *c)
{
  if (c->state == CLIENT_WAITING)
    c->control->handler.gone(c->control->handler.self, c);
  client_free(c);
}

static void client_expired(struct timer *t)
{
  client_gone(container_of(t, struct control_client, timer));
}

static void client_write(struct control_client *c)
{
  ssize_t n = send(c->watch.fd, c->answer.p, c->answer.n, MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n > 0)
    buf_consume(&c->answer, (size_t)n);
  if (n < 0 || c->answer.n == 0)
    client_free(c);
}

static void client_read(struct control_client *c)
{
  ssize_t n = recv(c->watch.fd, c->line + c->n_line, sizeof c->line - c->n_line, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0) {
    client_gone(c);
    return;
  }
  c->n_line += (size_t)n;
  struct str got = {c->line, c->n_line};
  size_t end = str_chr(got, '\n');
  if (end == got.n && got.n < sizeof c->line)
    return;
  c->state = CLIENT_WAITING;
  loop_timer_stop(c->control->loop, &c->timer);
  /* While it waits only its leaving is of interest. */
  loop_watch(c->control->loop, &c->watch, c->watch.fd, EPOLLRDHUP);
  if (end == got.n)
    control_finish(c, "a command is one short line");
  else
    c->control->handler.command(c->control->handler.self, c, str_slice(got, 0, end));
}

static void client_ready(struct watch *w, uint32_t events)
{
  struct control_client *c = container_of(w, struct control_client, watch);
  if (c->state == CLIENT_WRITING)
    client_write(c);
  else if (c->state == CLIENT_READING)
    client_read(c);
  else if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
    client_gone(c);
}

void control_say(struct control_client *c, struct str text)
{
  buf_str(&c->answer, text);
}

void control_finish(struct control_client *c, const char *error)
{
  if (error)
    buf_printf(&c->answer, "error: %s\n", error);
  else
    buf_puts(&c->answer, "ok\n");
  if (c->answer.failed) {
    buf_done(&c->answer);
    buf_puts(&c->answer, "error: the answer is too long\n");
  }
  c->state = CLIENT_WRITING;
  if (loop_timer_set(c->control->loop, &c->timer, IDLE_MS) < 0 ||
      loop_watch(c->control->loop, &c->watch, c->watch.fd, EPOLLOUT) < 0)
    log_error("control socket: out of memory");
}

/* ---- all of them */

static bool may(const struct control *ctl, int fd)
{
  struct ucred peer;
  socklen_t n = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
    return false;
  return peer.uid == 0 || peer.uid == ctl->uid;
}

/* NULL, and FD is closed, when out of memory. */
static struct control_client *client_add(struct control *ctl, int fd)
{
  struct control_client *c = calloc(1, sizeof *c);
  if (c == NULL) {
    close(fd);
    return NULL;
  }
  c->control = ctl;
  c->watch = (struct watch){.fd = -1, .ready = client_ready};
  c->timer.fire = client_expired;
  buf_init(&c->answer, ANSWER_MOST);
  if (loop_timer_set(ctl->loop, &c->timer, IDLE_MS) < 0 ||
      loop_watch(ctl->loop, &c->watch, fd, EPOLLIN) < 0) {
    loop_timer_stop(ctl->loop, &c->timer);
    close(fd);
    free(c);
    return NULL;
  }
  c->next = ctl->clients;
  ctl->clients = c;
  ctl->n_clients++;
  return c;
}

static void control_ready(struct watch *w, uint32_t events)
{
  struct control *ctl = container_of(w, struct control, watch);
  (void)events;
  int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0)
    return;
  if (may(ctl, fd) && ctl->n_clients < CLIENTS_MOST) {
    client_add(ctl, fd);
    return;
  }
  log_warn("control socket: a connection was refused (%s)",
           ctl->n_clients < CLIENTS_MOST ? "neither root nor the daemon's user" : "too many");
  close(fd);
}

/* The folder is made when it is missing: /run is empty after each boot. */
static int make_folder(struct control *ctl, const char *path, struct err *e)
{
  const char *slash = strrchr(path, '/');
  ctl->folder = strndup(path, slash > path ? (size_t)(slash - path) : 1);
  if (ctl->folder == NULL)
    return err_set(e, "out of memory");
  if (mkdir(ctl->folder, 0755) == 0) {
    ctl->made_folder = true;
    return chmod(ctl->folder, 0755) < 0 ? err_set(e, "%s: %s", ctl->folder, strerror(errno)) : 0;
  }
  if (errno != EEXIST)
    return err_set(e, "%s: %s (--control names another place)", ctl->folder, strerror(errno));
  return 0;
}

static int open_socket(struct control *ctl, struct err *e)
{
  struct stat st;
  if (socket_file_clear(ctl->address.sun_path, e) < 0)
    return err_prefix(e, "%s (--control names another place)", ctl->address.sun_path);
  AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  /* umask 077: only its owner, and root, can connect */
  if (fd < 0 || bind(fd, (const struct sockaddr *)&ctl->address, sizeof ctl->address) < 0 ||
      listen(fd, CLIENTS_MOST) < 0 || lstat(ctl->address.sun_path, &st) < 0)
    return err_set(e, "%s: %s (--control names another place)", ctl->address.sun_path,
                   strerror(errno));
  ctl->device = st.st_dev;
  ctl->inode = st.st_ino;
  if (loop_watch(ctl->loop, &ctl->watch, fd, EPOLLIN) < 0)
    return err_set(e, "%s: %s", ctl->address.sun_path, strerror(errno));
  steal_fd(&fd);
  return 0;
}

static int take_socket(struct control *ctl, const struct handover_head *from, struct err *e)
{
  struct sockaddr_un bound = {0};
  socklen_t n = sizeof bound;
  if (getsockname(from->control_fd, (struct sockaddr *)&bound, &n) < 0 ||
      bound.sun_family != AF_UNIX ||
      strncmp(bound.sun_path, ctl->address.sun_path, sizeof bound.sun_path) != 0)
    return err_set(e, "%s is not what was handed over", ctl->address.sun_path);
  ctl->device = from->control_device;
  ctl->inode = from->control_inode;
  if (loop_watch(ctl->loop, &ctl->watch, from->control_fd, EPOLLIN) < 0)
    return err_set(e, "%s: %s", ctl->address.sun_path, strerror(errno));
  return 0;
}

struct control *control_open(struct loop *l, const char *path, const struct handover *from,
                             const struct control_handler *h, struct err *e)
{
  struct control *ctl = calloc(1, sizeof *ctl);
  if (ctl == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  ctl->loop = l;
  ctl->handler = *h;
  ctl->uid = geteuid();
  ctl->watch = (struct watch){.fd = -1, .ready = control_ready};
  ctl->address.sun_family = AF_UNIX;
  if (strlen(path) >= sizeof ctl->address.sun_path) {
    err_set(e, "control socket: %s: the path is too long", path);
    free(ctl);
    return NULL;
  }
  strcpy(ctl->address.sun_path, path);
  if (from ? take_socket(ctl, &from->head, e) < 0
           : make_folder(ctl, path, e) < 0 || open_socket(ctl, e) < 0) {
    err_prefix(e, "control socket");
    free(ctl->folder);
    free(ctl);
    return NULL;
  }
  return ctl;
}

int control_give(struct control *ctl, uid_t uid, gid_t gid, struct err *e)
{
  ctl->uid = uid;
  if (geteuid() != 0 || uid == 0)
    return 0;
  if (lchown(ctl->address.sun_path, uid, gid) < 0 ||
      (ctl->made_folder && lchown(ctl->folder, uid, gid) < 0))
    return err_set(e, "control socket: %s: %s", ctl->address.sun_path, strerror(errno));
  return 0;
}

int control_save(struct control *ctl, struct handover *h)
{
  h->head.control_fd = ctl->watch.fd;
  h->head.control_device = ctl->device;
  h->head.control_inode = ctl->inode;
  for (struct control_client *c = ctl->clients, *next; c; c = next) {
    next = c->next;
    if (c->state == CLIENT_WRITING)
      client_write(c);
  }
  if ((h->clients = calloc(ctl->n_clients + 1, sizeof *h->clients)) == NULL)
    return -1;
  for (const struct control_client *c = ctl->clients; c; c = c->next) {
    struct handover_client *to = &h->clients[h->head.n_clients];
    if (c->state == CLIENT_WRITING)
      continue; /* what it has not read is lost */
    h->head.n_clients++;
    *to = (struct handover_client){
        .fd = c->watch.fd, .waiting = c->state == CLIENT_WAITING, .n_line = (uint32_t)c->n_line};
    memcpy(to->line, c->line, c->n_line);
  }
  return 0;
}

void control_restore_clients(struct control *ctl, const struct handover *from,
                             struct control_client **waiting)
{
  for (uint32_t i = 0; i < from->head.n_clients; i++) {
    const struct handover_client *saved = &from->clients[i];
    struct control_client *c = client_add(ctl, saved->fd);
    if (c == NULL)
      continue;
    memcpy(c->line, saved->line, saved->n_line);
    c->n_line = saved->n_line;
    if (!saved->waiting)
      continue;
    c->state = CLIENT_WAITING;
    loop_timer_stop(ctl->loop, &c->timer);
    loop_watch(ctl->loop, &c->watch, saved->fd, EPOLLRDHUP);
    c->waiting = *waiting;
    *waiting = c;
  }
}

void control_close(struct control *ctl)
{
  struct stat st;
  if (ctl == NULL)
    return;
  while (ctl->clients)
    client_free(ctl->clients);
  int fd = ctl->watch.fd;
  loop_unwatch(ctl->loop, &ctl->watch);
  close(fd);
  if (lstat(ctl->address.sun_path, &st) == 0 && st.st_dev == ctl->device && st.st_ino == ctl->inode)
    unlink(ctl->address.sun_path);
  free(ctl->folder);
  free(ctl);
}
