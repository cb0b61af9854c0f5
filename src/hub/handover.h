/* What the master's program hands to the one that takes its place in the same process
 * (`mcpauth reload --program`): descriptors that stay open over execve, and a sealed memfd that
 * says what they are.  The environment names it: MCPAUTH_HANDOVER=PID:FD.
 *
 * replace.c writes it; main.c reads it, once, before anything else is opened.  Nothing in it is
 * believed that can be asked of the kernel: it is for this process, nobody can have changed it,
 * each descriptor is what it is said to be, each generation is our child. */
#ifndef HUB_HANDOVER_H
#define HUB_HANDOVER_H

#include <stddef.h>

#include "hub/link.h"
#include "util/limits.h"

struct handover_listener {
  struct link_listen want;
  int32_t fd;
  bool systemd;
  uint64_t opened, wanted, device, inode;
};

struct handover_generation {
  uint64_t number;
  int32_t pid, link_fd; /* link_fd -1: its leader is gone */
  bool reaped, shut, has_deadline;
  int64_t started_ms, due_ms; /* clock_mono_ms */
  char stage[256], version[32];
  struct link_facts facts;
  uint32_t n_crew;
  struct link_member crew[LINK_CREW_MAX];
};

/* Somebody at the control socket: has sent N_LINE bytes, or waits for an answer. */
struct handover_client {
  int32_t fd;
  bool waiting;
  uint32_t n_line;
  char line[LIMIT_CONTROL_LINE];
};

struct handover_head {
  char magic[16], layout[64]; /* handover_layout of who wrote it */
  int32_t pid;
  uint32_t n_listeners, n_generations, n_clients;
  char version[32], daemon[48], user[64];
  int32_t shm_fd, heads_fd, control_fd;
  uint64_t control_device, control_inode, serving, last_number;
  int64_t started_ms, serving_since_ms, last_wall_ms;
  int32_t log_level;
  bool log_json, failed; /* the last reload, with LAST_ERROR */
  char last_error[8192];
};

struct handover {
  struct handover_head head;
  struct handover_listener *listeners;
  struct handover_generation *generations; /* newest first */
  struct handover_client *clients;
};

/* Two programs whose words are the same can follow each other.  Raise HANDOVER_VERSION (handover.c)
 * when the meaning of anything changes that processes of two programs share: these structs, link.h,
 * the shared page, the audit heads; changes of size are seen by themselves. */
const char *handover_layout(void);
/* The memfd of H for this process, close-on-exec; -1 with E. */
int handover_write(const struct handover *h, struct err *e);
/* What the next program will ask of it: -1 with E when it would refuse. */
int handover_check(const struct handover *h, struct err *e);
/* *RET is NULL when nobody handed anything over; -1 when what was handed over is not right.  The
 * environment forgets it. */
int handover_take(struct handover **ret, struct err *e);
/* All descriptors of H but the sockets of systemd into FDS (handover_fds_most places); how many. */
size_t handover_fds_most(const struct handover *h);
size_t handover_fds(const struct handover *h, int *fds);
void handover_free(struct handover *h); /* closes nothing */

#endif
