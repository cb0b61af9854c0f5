/* Packets between master and leader; see link.h. */
#include <config.h>

#include "hub/link.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

union control {
  char space[CMSG_SPACE(sizeof(int))];
  struct cmsghdr align;
};

int link_pair(int ret_fds[2], struct err *e)
{
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
    return err_set(e, "socketpair: %s", strerror(errno));
  return 0;
}

int link_send(int fd, enum link_kind kind, const void *data, size_t n, int pass_fd)
{
  uint32_t k = kind;
  char none = 0;
  struct iovec iov[2] = {{&k, sizeof k}, {n ? (void *)(uintptr_t)data : &none, n}};
  struct msghdr m = {.msg_iov = iov, .msg_iovlen = n ? 2 : 1};
  union control control = {.space = {0}};
  if (n > LINK_DATA_MAX)
    return -1;
  if (pass_fd >= 0) {
    m.msg_control = &control;
    m.msg_controllen = sizeof control;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof pass_fd);
    memcpy(CMSG_DATA(c), &pass_fd, sizeof pass_fd);
  }
  ssize_t sent;
  do
    sent = sendmsg(fd, &m, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? -1 : 0;
}

int link_text(int fd, enum link_kind kind, struct str text)
{
  return link_send(fd, kind, text.p, text.n < LINK_DATA_MAX ? text.n : LINK_DATA_MAX, -1);
}

/* The one descriptor of M, or -1. */
static int passed_fd(struct msghdr *m)
{
  int fd = -1;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof fd))
      memcpy(&fd, CMSG_DATA(c), sizeof fd);
  return fd;
}

enum link_status link_receive(int fd, struct link_packet *ret)
{
  uint32_t kind = 0;
  union control control;
  struct iovec iov[2] = {{&kind, sizeof kind}, {ret->data, LINK_DATA_MAX}};
  struct msghdr m = {
      .msg_iov = iov, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t n;
  do
    n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    return errno == EAGAIN ? LINK_NOTHING : LINK_ENDED;
  ret->fd = passed_fd(&m);
  if (n < (ssize_t)sizeof kind || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    if (ret->fd >= 0)
      close(ret->fd);
    return LINK_ENDED;
  }
  ret->kind = (enum link_kind)kind;
  ret->n = (size_t)n - sizeof kind;
  ret->data[ret->n] = 0;
  return LINK_GOT;
}
