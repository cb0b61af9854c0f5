/* What master and leader say to each other: packets of fixed form over a SOCK_SEQPACKET pair, with
 * a descriptor where one is handed over.  Both ends check lengths: the leader has run the code of
 * providers, so the master trusts nothing that it says. */
#ifndef HUB_LINK_H
#define HUB_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "util/err.h"
#include "util/str.h"

enum { LINK_DATA_MAX = 60000, LINK_CREW_MAX = 1024 };

enum link_kind {
  /* leader to master */
  LINK_STAGE = 1, /* text: what it is doing, for the error if it dies of it */
  LINK_FACTS,     /* struct link_facts: the configuration was read */
  LINK_LISTEN,    /* struct link_listen; answered by LINK_SOCKET or LINK_REFUSED */
  LINK_READY,     /* every worker serves */
  LINK_FAILED,    /* text, lines: the configuration was refused, or a worker did not start */
  LINK_UNCHANGED, /* the configuration is the one that is being served */
  LINK_CREW,      /* struct link_member[]: whenever somebody was started or has ended */
  LINK_RETIRED,   /* told to drain: nobody of it accepts any more */
  /* master to leader */
  LINK_SOCKET,         /* the listening socket comes with it; to LINK_FACTS: go on */
  LINK_REFUSED,        /* text */
  LINK_DRAIN,          /* stop accepting, finish, end */
  LINK_QUIT,           /* the same, and no other generation follows */
  LINK_SHUTDOWN,       /* end now */
  LINK_REFUSED_RELOAD, /* text: what was wrong with a newer configuration, for the audit log */
  LINK_REVOKED,        /* text: members of the record of a grant that an administrator has ended */
};

struct link_facts {
  char identity[65]; /* of the effective configuration and the files of its providers */
  char state_dir[1024];
  int64_t drain_timeout_ms;
  uint32_t max_generations, services;
  int32_t log_level;
  bool log_json;
};

struct link_listen {
  char text[512]; /* as in the configuration: the identity of the socket */
  char systemd_name[256];
  struct sockaddr_storage address; /* ss_family 0: systemd_name counts */
  uint32_t address_len, order, mode;
  bool admin;
};

struct link_member {
  int32_t pid;
  uint32_t number;    /* from 1; 0: the admin process */
  int64_t started_ms; /* clock_mono_ms */
  bool ready;
};

struct link_packet {
  enum link_kind kind;
  size_t n;
  int fd;                                    /* -1, or the receiver's to close */
  _Alignas(16) char data[LINK_DATA_MAX + 1]; /* NUL-terminated */
};

int link_pair(int ret_fds[2], struct err *e);
/* -1 when the other side is gone or does not listen; PASS_FD -1: none. */
int link_send(int fd, enum link_kind kind, const void *data, size_t n, int pass_fd);
int link_text(int fd, enum link_kind kind, struct str text); /* cut at the maximum */
enum link_status { LINK_NOTHING = 0, LINK_GOT, LINK_ENDED };
enum link_status link_receive(int fd, struct link_packet *ret);

#endif
