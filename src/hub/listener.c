/* Listening sockets; see listener.h. */
#include <config.h>

#include "hub/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hub/notify.h"
#include "ops/log.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/safefile.h"

enum { BACKLOG = 4096 };

struct listener {
  struct listener *next;
  struct link_listen want;
  int fd;
  bool systemd;
  uint64_t opened, wanted; /* by which generation, first and last */
  uint32_t mode;           /* that WANTED wants; set when that one serves */
  dev_t device;            /* of a unix socket that we made */
  ino_t inode;
};

struct listeners {
  struct listener *first;
};

struct listeners *listeners_new(void)
{
  return calloc(1, sizeof(struct listeners));
}

/* ---- making one */

static const char *unix_path(const struct link_listen *w)
{
  const struct sockaddr_un *un = (const struct sockaddr_un *)&w->address;
  return un->sun_path;
}

static bool is_unix(const struct link_listen *w)
{
  return w->address.ss_family == AF_UNIX;
}

/* The leader has run foreign code: what it sends is looked at before anything is done with it. */
static int check(const struct link_listen *w, struct err *e)
{
  size_t least = sizeof w->address;
  if (memchr(w->text, 0, sizeof w->text) == NULL ||
      memchr(w->systemd_name, 0, sizeof w->systemd_name) == NULL)
    return err_set(e, "listen: name too long");
  switch (w->address.ss_family) {
  case 0:
    return 0;
  case AF_INET:
    least = sizeof(struct sockaddr_in);
    break;
  case AF_INET6:
    least = sizeof(struct sockaddr_in6);
    break;
  case AF_UNIX:
    least = offsetof(struct sockaddr_un, sun_path) + 2;
    break;
  default: /* not an enum of ours */
    break;
  }
  if (w->address_len < least || w->address_len > sizeof w->address)
    return err_set(e, "listen %s: not an address", w->text);
  if (is_unix(w) && (unix_path(w)[0] != '/' || memchr(unix_path(w), 0, 108) == NULL))
    return err_set(e, "listen %s: not an absolute path of at most 107 bytes", w->text);
  return 0;
}

int socket_file_clear(const char *path, struct err *e)
{
  struct stat st;
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  if (lstat(path, &st) < 0)
    return errno == ENOENT ? 0 : err_set(e, "%s", strerror(errno));
  if (!S_ISSOCK(st.st_mode) || strlen(path) >= sizeof un.sun_path)
    return err_set(e, "there is something else at that path");
  strcpy(un.sun_path, path);
  AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return err_set(e, "%s", strerror(errno));
  if (connect(fd, (const struct sockaddr *)&un, sizeof un) == 0 || errno != ECONNREFUSED)
    return err_set(e, "another process answers there");
  if (unlink(path) < 0)
    return err_set(e, "left over, and cannot be removed: %s", strerror(errno));
  return 0;
}

static const char *why(const struct link_listen *w, int error)
{
  bool low = false;
  if (w->address.ss_family == AF_INET)
    low = ntohs(((const struct sockaddr_in *)&w->address)->sin_port) < 1024;
  else if (w->address.ss_family == AF_INET6)
    low = ntohs(((const struct sockaddr_in6 *)&w->address)->sin6_port) < 1024;
  if (error == EACCES && low && geteuid() != 0)
    return "a port below 1024 can only be opened as root, and privileges were given up: a new one "
           "needs a restart as root (or a socket of systemd)";
  if (error == EADDRINUSE)
    return "the address is in use, by another process or by another `listen` line of this hub";
  return strerror(error);
}

static int bind_and_listen(int fd, struct listener *l, struct err *e)
{
  const struct link_listen *w = &l->want;
  const int on = 1;
  if (w->address.ss_family != AF_UNIX &&
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
    return err_set(e, "listen %s: SO_REUSEADDR: %s", w->text, strerror(errno));
  if (w->address.ss_family == AF_INET6 &&
      setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
    return err_set(e, "listen %s: IPV6_V6ONLY: %s", w->text, strerror(errno));
  if (bind(fd, (const struct sockaddr *)&w->address, w->address_len) < 0 || listen(fd, BACKLOG) < 0)
    return err_set(e, "listen %s: %s", w->text, why(w, errno));
  return 0;
}

/* Whoever may write in the folder may have put something else there, or a link. */
static int find_file(const struct listener *l, struct stat *st, struct err *e)
{
  if (lstat(unix_path(&l->want), st) < 0)
    return err_set(e, "listen %s: %s", l->want.text, strerror(errno));
  if (!S_ISSOCK(st->st_mode) || (l->inode && (st->st_dev != l->device || st->st_ino != l->inode)))
    return err_set(e, "listen %s: there is something else at that path now", l->want.text);
  return 0;
}

/* The mode is set before anybody can connect usefully: bind ran under umask 077. */
static int set_mode(struct listener *l, struct err *e)
{
  struct stat st;
  if (find_file(l, &st, e) < 0)
    return -1;
  if (fchmodat(AT_FDCWD, unix_path(&l->want), (mode_t)(l->mode & 0777), AT_SYMLINK_NOFOLLOW) < 0)
    return err_set(e, "listen %s: %s", l->want.text, strerror(errno));
  l->want.mode = l->mode;
  l->device = st.st_dev;
  l->inode = st.st_ino;
  return 0;
}

static int open_socket(struct listener *l, struct err *e)
{
  const struct link_listen *w = &l->want;
  if (is_unix(w) && socket_file_clear(unix_path(w), e) < 0)
    return err_prefix(e, "listen %s", w->text);
  AUTO_CLOSE int fd = socket(w->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return err_set(e, "listen %s: %s", w->text, strerror(errno));
  if (bind_and_listen(fd, l, e) < 0 || (is_unix(w) && set_mode(l, e) < 0))
    return -1;
  return steal_fd(&fd);
}

static struct listener *open_listener(const struct link_listen *w, struct err *e)
{
  struct listener *l = calloc(1, sizeof *l);
  if (l == NULL) {
    err_set(e, "out of memory");
    return NULL;
  }
  l->want = *w;
  l->mode = w->mode;
  l->systemd = w->address.ss_family == 0;
  l->fd = l->systemd ? notify_socket(w->systemd_name, e) : open_socket(l, e);
  if (l->fd < 0) {
    free(l);
    return NULL;
  }
  return l;
}

/* ---- keeping them */

static struct listener *find(const struct listeners *ls, const struct link_listen *w)
{
  for (struct listener *l = ls->first; l; l = l->next)
    if (l->want.admin == w->admin && strcmp(l->want.text, w->text) == 0)
      return l;
  return NULL;
}

int listeners_get(struct listeners *ls, const struct link_listen *want, uint64_t generation,
                  struct err *e)
{
  if (check(want, e) < 0)
    return -1;
  struct listener *l = find(ls, want);
  if (l == NULL) {
    if ((l = open_listener(want, e)) == NULL)
      return -1;
    l->opened = generation;
    l->next = ls->first;
    ls->first = l;
  } else {
    struct stat st;
    if (is_unix(want) && l->want.mode != want->mode && find_file(l, &st, e) < 0)
      return -1;
    l->mode = want->mode;
  }
  l->want.order = want->order;
  l->wanted = generation;
  return l->fd;
}

/* Unlinks the file only while it is still the one that we made. */
static void remove_file(const struct listener *l)
{
  struct stat st;
  if (is_unix(&l->want) && lstat(unix_path(&l->want), &st) == 0 && st.st_dev == l->device &&
      st.st_ino == l->inode)
    unlink(unix_path(&l->want));
}

/* shutdown reaches every process that holds the socket, so that a client is refused at once instead
 * of waiting in a queue that nobody serves.  A socket of systemd stays: its queue is for the next.
 */
static void close_listener(struct listener *l)
{
  if (!l->systemd) {
    remove_file(l);
    shutdown(l->fd, SHUT_RDWR);
    close(l->fd);
  }
  free(l);
}

static void close_those(struct listeners *ls, bool (*gone)(const struct listener *, uint64_t),
                        uint64_t generation)
{
  for (struct listener **at = &ls->first, *l; (l = *at);) {
    if (gone(l, generation)) {
      *at = l->next;
      close_listener(l);
    } else {
      at = &l->next;
    }
  }
}

static bool not_wanted(const struct listener *l, uint64_t generation)
{
  return l->wanted < generation;
}

static bool opened_by(const struct listener *l, uint64_t generation)
{
  return l->opened == generation;
}

static bool every(const struct listener *l, uint64_t generation)
{
  (void)l, (void)generation;
  return true;
}

void listeners_commit(struct listeners *ls, uint64_t generation)
{
  struct err e = {""};
  close_those(ls, not_wanted, generation);
  for (struct listener *l = ls->first; l; l = l->next)
    if (is_unix(&l->want) && l->mode != l->want.mode && set_mode(l, &e) < 0)
      log_error("%s", e.text);
}

void listeners_abandon(struct listeners *ls, uint64_t generation)
{
  close_those(ls, opened_by, generation);
  for (struct listener *l = ls->first; l; l = l->next)
    l->mode = l->want.mode;
}

void listeners_end(struct listeners *ls)
{
  close_those(ls, every, 0);
}

void listeners_give(struct listeners *ls, uid_t uid, gid_t gid)
{
  for (struct listener *l = ls->first; l; l = l->next)
    if (is_unix(&l->want) && lchown(unix_path(&l->want), uid, gid) < 0)
      continue; /* then it stays when we end, and the next start removes it */
}

/* ---- to another program */

int listeners_save(const struct listeners *ls, struct handover *h)
{
  uint32_t n = 0;
  for (const struct listener *l = ls->first; l; l = l->next)
    n++;
  if ((h->listeners = calloc(n + 1, sizeof *h->listeners)) == NULL)
    return -1;
  for (const struct listener *l = ls->first; l; l = l->next)
    h->listeners[h->head.n_listeners++] = (struct handover_listener){.want = l->want,
                                                                     .fd = l->fd,
                                                                     .systemd = l->systemd,
                                                                     .opened = l->opened,
                                                                     .wanted = l->wanted,
                                                                     .device = l->device,
                                                                     .inode = l->inode};
  return 0;
}

int listeners_restore(struct listeners *ls, const struct handover *h)
{
  for (uint32_t i = 0; i < h->head.n_listeners; i++) {
    const struct handover_listener *from = &h->listeners[i];
    struct listener *l = calloc(1, sizeof *l);
    if (l == NULL)
      return -1;
    *l = (struct listener){.next = ls->first,
                           .want = from->want,
                           .fd = from->fd,
                           .systemd = from->systemd,
                           .opened = from->opened,
                           .wanted = from->wanted,
                           .mode = from->want.mode,
                           .device = from->device,
                           .inode = from->inode};
    ls->first = l;
  }
  return 0;
}

/* ---- telling about them */

static unsigned port_of(const struct listener *l)
{
  struct sockaddr_storage a = {0};
  socklen_t n = sizeof a;
  if (getsockname(l->fd, (struct sockaddr *)&a, &n) < 0)
    return 0;
  if (a.ss_family == AF_INET)
    return ntohs(((const struct sockaddr_in *)&a)->sin_port);
  if (a.ss_family == AF_INET6)
    return ntohs(((const struct sockaddr_in6 *)&a)->sin6_port);
  return 0;
}

/* The next in the order of the configuration, public ones first. */
static const struct listener *next_in_order(const struct listeners *ls,
                                            const struct listener *after)
{
  const struct listener *best = NULL;
  for (const struct listener *l = ls->first; l; l = l->next)
    if ((after == NULL || l->want.order > after->want.order) &&
        (best == NULL || l->want.order < best->want.order))
      best = l;
  return best;
}

int listeners_write_ports(const struct listeners *ls, const char *path, struct err *e)
{
  CLEANUP(buf_done) struct buf text;
  buf_init(&text, MIB(1));
  for (const struct listener *l = NULL; (l = next_in_order(ls, l));)
    buf_printf(&text, "%s%s %u\n", l->want.admin ? "admin " : "", l->want.text, port_of(l));
  if (text.failed)
    return err_set(e, "port file %s: out of memory", path);
  if (safefile_write(path, buf_view(&text), &(struct safefile_how){.mode = 0644}, e) < 0)
    return err_prefix(e, "port file");
  return 0;
}

json_t *listeners_json(const struct listeners *ls)
{
  json_t *list = json_array();
  for (const struct listener *l = NULL; (l = next_in_order(ls, l));)
    json_array_append_new(list, json_pack("{s:s, s:i, s:b}", "listen", l->want.text, "port",
                                          (int)port_of(l), "admin", (int)l->want.admin));
  return list;
}
