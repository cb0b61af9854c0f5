/* Asking the running daemon; see control.h. */
#include <config.h>

#include "cli/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/limits.h"

/* Two loads of at most 30 s may stand before ours. */
enum { ANSWER_S = 100 };

static int reach(const char *path, struct err *e)
{
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  const struct timeval limit = {.tv_sec = ANSWER_S};
  if (strlen(path) >= sizeof un.sun_path)
    return err_set(e, "%s: the path is too long", path);
  strcpy(un.sun_path, path);
  AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0)
    return err_set(e, "%s", strerror(errno));
  if (connect(fd, (const struct sockaddr *)&un, sizeof un) < 0) {
    if (errno == ENOENT || errno == ECONNREFUSED)
      return err_set(e, "no mcpauthd answers at %s: is it running? (--control names its socket)",
                     path);
    return err_set(e, "%s: %s", path, strerror(errno));
  }
  return steal_fd(&fd);
}

static int read_all(int fd, struct buf *answer, struct err *e)
{
  for (;;) {
    char *room = buf_reserve(answer, 4096);
    if (room == NULL)
      return err_set(e, "the answer is too long");
    ssize_t n = recv(fd, room, 4096, 0);
    if (n == 0)
      return 0;
    if (n < 0)
      return errno == EAGAIN ? err_set(e, "no answer within %d s", ANSWER_S)
                             : err_set(e, "the daemon hung up: %s", strerror(errno));
    answer->n += (size_t)n;
  }
}

/* Takes the last line off ANSWER. */
static int judge(struct buf *answer, struct err *e)
{
  struct str all = buf_view(answer);
  if (!str_ends(all, "\n"))
    return err_set(e, all.n ? "the daemon's answer is incomplete"
                            : "the daemon hung up: only root and its own user may ask it");
  size_t end = all.n - 1, from = end;
  while (from > 0 && all.p[from - 1] != '\n')
    from--;
  struct str last = str_slice(all, from, end);
  int r = str_is(last, "ok") ? 0 : str_starts(last, "error: ") ? 1 : -1;
  if (r == 1)
    err_set(e, "%.*s", STR_ARG(str_slice(last, 7, last.n)));
  else if (r < 0)
    err_set(e, "the daemon's answer is not understood");
  answer->n = from;
  answer->p[from] = 0;
  return r;
}

int control_ask(const char *path, const char *command, struct buf *answer, struct err *e)
{
  char line[LIMIT_CONTROL_LINE + 2];
  int n = snprintf(line, sizeof line, "%s\n", command);
  if (n < 0 || (size_t)n >= sizeof line)
    return err_set(e, "the command is too long");
  AUTO_CLOSE int fd = reach(path, e);
  if (fd < 0)
    return -1;
  if (send(fd, line, (size_t)n, MSG_NOSIGNAL) != n)
    return err_set(e, "%s: %s", path, strerror(errno));
  return read_all(fd, answer, e) < 0 ? -1 : judge(answer, e);
}
