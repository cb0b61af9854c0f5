/* From one program of the master to the next; see handover.h. */
#include <config.h>

#include "hub/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ops/audit.h"
#include "ops/shm.h"
#include "util/cleanup.h"

enum {
  HANDOVER_VERSION = 1,
  SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
  LISTENERS_MOST = 4096,
  GENERATIONS_MOST = 4096,
  CLIENTS_MOST = 1024,
};

static const char magic[16] = "mcpauth-handover";

const char *handover_layout(void)
{
  static char text[64];
  snprintf(text, sizeof text, "%d.%zx.%zx.%zx.%zx.%zx.%zx", HANDOVER_VERSION,
           sizeof(struct handover_head), sizeof(struct handover_listener),
           sizeof(struct handover_generation), sizeof(struct handover_client), shm_size(),
           audit_heads_size());
  return text;
}

/* ---- its bytes */

/* The parts of H in their order; where each is read to or written from. */
static size_t parts_of(struct handover *h, struct iovec parts[4])
{
  parts[0] = (struct iovec){&h->head, sizeof h->head};
  parts[1] = (struct iovec){h->listeners, h->head.n_listeners * sizeof *h->listeners};
  parts[2] = (struct iovec){h->generations, h->head.n_generations * sizeof *h->generations};
  parts[3] = (struct iovec){h->clients, h->head.n_clients * sizeof *h->clients};
  return parts[0].iov_len + parts[1].iov_len + parts[2].iov_len + parts[3].iov_len;
}

static int write_part(int fd, const struct iovec *part)
{
  for (size_t done = 0; done < part->iov_len;) {
    ssize_t n = write(fd, (const char *)part->iov_base + done, part->iov_len - done);
    if (n < 0)
      return -1;
    done += (size_t)n;
  }
  return 0;
}

int handover_write(const struct handover *h, struct err *e)
{
  struct handover copy = *h;
  struct iovec parts[4];
  memcpy(copy.head.magic, magic, sizeof magic);
  snprintf(copy.head.layout, sizeof copy.head.layout, "%s", handover_layout());
  copy.head.pid = getpid();
  parts_of(&copy, parts);
  AUTO_CLOSE int fd = memfd_create("mcpauth handover", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0)
    return err_set(e, "handover: %s", strerror(errno));
  for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
    if (write_part(fd, &parts[i]) < 0)
      return err_set(e, "handover: %s", strerror(errno));
  if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
    return err_set(e, "handover: %s", strerror(errno));
  return steal_fd(&fd);
}

static int read_part(int fd, const struct iovec *part, off_t *at)
{
  for (size_t done = 0; done < part->iov_len;) {
    ssize_t n = pread(fd, (char *)part->iov_base + done, part->iov_len - done, *at);
    if (n <= 0)
      return -1;
    done += (size_t)n;
    *at += n;
  }
  return 0;
}

static int allocate(struct handover *h, struct err *e)
{
  if (h->head.n_listeners > LISTENERS_MOST || h->head.n_generations > GENERATIONS_MOST ||
      h->head.n_clients > CLIENTS_MOST)
    return err_set(e, "too many of something");
  h->listeners = calloc(h->head.n_listeners + 1, sizeof *h->listeners);
  h->generations = calloc(h->head.n_generations + 1, sizeof *h->generations);
  h->clients = calloc(h->head.n_clients + 1, sizeof *h->clients);
  if (h->listeners == NULL || h->generations == NULL || h->clients == NULL)
    return err_set(e, "out of memory");
  return 0;
}

static int read_all(int fd, struct handover *h, struct err *e)
{
  struct stat st;
  struct iovec parts[4];
  off_t at = 0;
  const struct iovec head = {&h->head, sizeof h->head};
  if (fcntl(fd, F_GET_SEALS) != SEALS || fstat(fd, &st) < 0)
    return err_set(e, "not a sealed memfd");
  if (st.st_size < (off_t)sizeof h->head || read_part(fd, &head, &at) < 0 ||
      memcmp(h->head.magic, magic, sizeof magic) != 0)
    return err_set(e, "not a handover");
  h->head.layout[sizeof h->head.layout - 1] = 0;
  if (strcmp(h->head.layout, handover_layout()) != 0)
    return err_set(e, "of layout %s, not %s", h->head.layout, handover_layout());
  if (h->head.pid != getpid())
    return err_set(e, "for process %d, not %d", h->head.pid, (int)getpid());
  if (allocate(h, e) < 0)
    return -1;
  if ((off_t)parts_of(h, parts) != st.st_size)
    return err_set(e, "of another length");
  for (size_t i = 1; i < ARRAY_SIZE(parts); i++)
    if (read_part(fd, &parts[i], &at) < 0)
      return err_set(e, "cut off");
  return 0;
}

/* ---- is it true? */

static bool ends(const char *text, size_t size)
{
  return memchr(text, 0, size) != NULL;
}

static bool is_socket(int fd, int type, bool listens)
{
  int got_type = 0, accepts = 0;
  socklen_t n = sizeof got_type, n_accepts = sizeof accepts;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &got_type, &n) == 0 && got_type == type &&
         getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &n_accepts) == 0 &&
         (accepts != 0) == listens;
}

static bool is_our_child(pid_t pid)
{
  siginfo_t info;
  return pid > 1 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static bool head_is_true(const struct handover_head *h)
{
  return ends(h->version, sizeof h->version) && ends(h->daemon, sizeof h->daemon) && *h->daemon &&
         ends(h->user, sizeof h->user) && ends(h->last_error, sizeof h->last_error) &&
         is_socket(h->control_fd, SOCK_STREAM, true) && h->serving && h->serving <= h->last_number;
}

static bool listener_is_true(const struct handover_listener *l)
{
  return ends(l->want.text, sizeof l->want.text) &&
         ends(l->want.systemd_name, sizeof l->want.systemd_name) &&
         l->want.address_len <= sizeof l->want.address && is_socket(l->fd, SOCK_STREAM, true) &&
         l->systemd == (l->want.address.ss_family == 0);
}

static bool generation_is_true(const struct handover_generation *g, const struct handover_head *h)
{
  return ends(g->stage, sizeof g->stage) && ends(g->version, sizeof g->version) &&
         ends(g->facts.identity, sizeof g->facts.identity) &&
         ends(g->facts.state_dir, sizeof g->facts.state_dir) && g->facts.drain_timeout_ms >= 0 &&
         g->n_crew <= LINK_CREW_MAX && g->number <= h->last_number && g->pid > 1 &&
         (g->reaped || is_our_child(g->pid)) &&
         (g->link_fd == -1 || is_socket(g->link_fd, SOCK_SEQPACKET, false));
}

static bool client_is_true(const struct handover_client *c)
{
  return c->n_line <= sizeof c->line && is_socket(c->fd, SOCK_STREAM, false);
}

/* Twice the same would be closed twice. */
static bool all_different(const struct handover *h)
{
  AUTO_FREE int *fds = calloc(handover_fds_most(h), sizeof *fds);
  size_t n = fds ? handover_fds(h, fds) : 0;
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < i; k++)
      if (fds[i] == fds[k] || fds[i] < 3)
        return false;
  return fds != NULL;
}

int handover_check(const struct handover *h, struct err *e)
{
  unsigned serving = 0;
  if (!head_is_true(&h->head) || !all_different(h))
    return err_set(e, "its head is wrong");
  for (size_t i = 0; i < h->head.n_listeners; i++)
    if (!listener_is_true(&h->listeners[i]))
      return err_set(e, "listener %zu is wrong", i);
  for (size_t i = 0; i < h->head.n_generations; i++) {
    if (!generation_is_true(&h->generations[i], &h->head))
      return err_set(e, "generation %zu is wrong", i);
    serving += h->generations[i].number == h->head.serving;
  }
  for (size_t i = 0; i < h->head.n_clients; i++)
    if (!client_is_true(&h->clients[i]))
      return err_set(e, "client %zu is wrong", i);
  return serving == 1 ? 0 : err_set(e, "nobody serves");
}

/* ---- taking it */

/* MCPAUTH_HANDOVER=PID:FD, gone from the environment; -1: there is none for us. */
static int find(void)
{
  const char *v = getenv("MCPAUTH_HANDOVER");
  uint64_t pid, fd;
  struct str rest = str_of(v ? v : ""), word;
  bool ours = getauxval(AT_SECURE) == 0 && str_next(&rest, ':', &word) &&
              str_u64(word, INT32_MAX, &pid) && pid == (uint64_t)getpid() &&
              str_u64(rest, INT32_MAX, &fd) && fd > 2;
  unsetenv("MCPAUTH_HANDOVER");
  return ours ? (int)fd : -1;
}

int handover_take(struct handover **ret, struct err *e)
{
  AUTO_CLOSE int fd = find();
  *ret = NULL;
  if (fd < 0)
    return 0;
  struct handover *h = calloc(1, sizeof *h);
  if (h == NULL)
    return err_set(e, "out of memory");
  if (read_all(fd, h, e) < 0 || handover_check(h, e) < 0) {
    handover_free(h);
    return err_prefix(e, "what the program before has handed over cannot be used");
  }
  *ret = h;
  return 0;
}

size_t handover_fds_most(const struct handover *h)
{
  return 3 + (size_t)h->head.n_listeners + h->head.n_generations + h->head.n_clients;
}

size_t handover_fds(const struct handover *h, int *fds)
{
  size_t n = 0;
  fds[n++] = h->head.control_fd;
  fds[n++] = h->head.shm_fd;
  fds[n++] = h->head.heads_fd;
  for (size_t i = 0; i < h->head.n_listeners; i++)
    if (!h->listeners[i].systemd) /* those are handed over as systemd has done it (notify.h) */
      fds[n++] = h->listeners[i].fd;
  for (size_t i = 0; i < h->head.n_generations; i++)
    if (h->generations[i].link_fd >= 0)
      fds[n++] = h->generations[i].link_fd;
  for (size_t i = 0; i < h->head.n_clients; i++)
    fds[n++] = h->clients[i].fd;
  return n;
}

void handover_free(struct handover *h)
{
  if (h == NULL)
    return;
  free(h->listeners);
  free(h->generations);
  free(h->clients);
  free(h);
}
