/* A layer of ours between libldap and its socket (lber-sockbuf(3)): it waits for each read itself,
 * until the step's time is over. */
#include "deadline.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

static int64_t now_ms(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void deadline_begin(struct deadline *d)
{
  d->until = now_ms() + d->step_ms;
}

static int layer_setup(Sockbuf_IO_Desc *io, void *arg)
{
  io->sbiod_pvt = arg;
  return 0;
}

static int layer_ctrl(Sockbuf_IO_Desc *io, int option, void *arg)
{
  return LBER_SBIOD_CTRL_NEXT(io, option, arg);
}

static ber_slen_t layer_read(Sockbuf_IO_Desc *io, void *to, ber_len_t n)
{
  const struct deadline *d = io->sbiod_pvt;
  struct pollfd p = {.fd = d->fd, .events = POLLIN};
  int64_t left = d->until - now_ms();
  if (left > 0 && poll(&p, 1, (int)left) == 1)
    return LBER_SBIOD_READ_NEXT(io, to, n);
  errno = ETIMEDOUT;
  return -1;
}

static ber_slen_t layer_write(Sockbuf_IO_Desc *io, void *from, ber_len_t n)
{
  return LBER_SBIOD_WRITE_NEXT(io, from, n);
}

static int on_open(LDAP *ldap, Sockbuf *sb, LDAPURLDesc *to, struct sockaddr *address,
                   struct ldap_conncb *opened)
{
  static Sockbuf_IO layer = {.sbi_setup = layer_setup,
                             .sbi_ctrl = layer_ctrl,
                             .sbi_read = layer_read,
                             .sbi_write = layer_write};
  struct deadline *d = opened->lc_arg;
  (void)ldap, (void)to, (void)address;
  deadline_begin(d);
  return ber_sockbuf_ctrl(sb, LBER_SB_OPT_GET_FD, &d->fd) == 1
             ? ber_sockbuf_add_io(sb, &layer, LBER_SBIOD_LEVEL_PROVIDER + 1, d)
             : -1;
}

static void on_close(LDAP *ldap, Sockbuf *sb, struct ldap_conncb *opened)
{
  (void)ldap, (void)sb, (void)opened;
}

int deadline_guard(struct deadline *d, LDAP *ldap, int64_t step_ms)
{
  *d = (struct deadline){.opened = {on_open, on_close, d}, .fd = -1, .step_ms = step_ms};
  return ldap_set_option(ldap, LDAP_OPT_CONNECT_CB, &d->opened) == LDAP_SUCCESS ? 0 : -1;
}
