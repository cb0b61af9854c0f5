/* The listening sockets of the hub, kept by the master over all generations.  A socket's identity
 * is its text in the configuration, so that `127.0.0.1:0` keeps its port across reloads. */
#ifndef HUB_LISTENER_H
#define HUB_LISTENER_H

#include <jansson.h>
#include <sys/types.h>

#include "hub/handover.h"

struct listeners;

struct listeners *listeners_new(void);
/* The socket that GENERATION asks for with WANT (whose strings are checked here): the one that
 * there is, or a new one.  Owned by LS.  -1 with E. */
int listeners_get(struct listeners *ls, const struct link_listen *want, uint64_t generation,
                  struct err *e);
/* GENERATION serves: what it did not ask for is closed. */
void listeners_commit(struct listeners *ls, uint64_t generation);
/* GENERATION failed: what only it asked for is closed. */
void listeners_abandon(struct listeners *ls, uint64_t generation);
/* New connections are refused from now on (those for systemd's sockets wait). */
void listeners_end(struct listeners *ls);
/* Unix sockets that were made by root are given to UID, who will have to unlink them. */
void listeners_give(struct listeners *ls, uid_t uid, gid_t gid);
/* One line a socket: `LISTEN-TEXT PORT` or `admin LISTEN-TEXT PORT`; replaced atomically. */
int listeners_write_ports(const struct listeners *ls, const char *path, struct err *e);
/* For the program that takes this one's place, and in that: 0, or -1 when out of memory. */
int listeners_save(const struct listeners *ls, struct handover *h);
int listeners_restore(struct listeners *ls, const struct handover *h);
json_t *listeners_json(const struct listeners *ls);

/* Removes the socket file at PATH when nobody answers on it: left over from a process that was
 * killed.  0 also when there is nothing. */
int socket_file_clear(const char *path, struct err *e);

#endif
