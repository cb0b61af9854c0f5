/* The control socket: `mcpauth reload` and `mcpauth status` speak to the master here, one command a
 * connection.  A command is a line (`reload`, `replace`, `status`, `stop`, `revoke ISSUER SUBJECT
 * GRANT` in base64url); the answer is lines of which the last is `ok` or `error: TEXT`.  Who may:
 * root and the daemon's own user (SO_PEERCRED). */
#ifndef HUB_CONTROL_H
#define HUB_CONTROL_H

#include <sys/types.h>

#include "hub/handover.h"
#include "ops/loop.h"
#include "util/str.h"

struct control;
struct control_client;

struct control_handler {
  void *self;
  void (*command)(void *self, struct control_client *c, struct str line);
  /* The client has left before control_finish; it must not be used again. */
  void (*gone)(void *self, struct control_client *c);
};

/* Fails when another daemon answers at PATH.  FROM (may be NULL) is what the program before us has
 * handed over: its socket, which must be bound to PATH. */
struct control *control_open(struct loop *l, const char *path, const struct handover *from,
                             const struct control_handler *h, struct err *e);
/* For the program that takes this one's place: answers that are there are sent first, as far as
 * their readers take them at once.  -1: out of memory. */
int control_save(struct control *c, struct handover *h);
/* The clients of FROM: those that waited for an answer become the list *WAITING, the others are
 * listened to. */
void control_restore_clients(struct control *c, const struct handover *from,
                             struct control_client **waiting);
/* From now on the file belongs to UID, who may use it. */
int control_give(struct control *c, uid_t uid, gid_t gid, struct err *e);
void control_close(struct control *c); /* removes the file; open clients are cut off */

/* Adds TEXT to the answer; control_finish sends it all, `ok` (or `error: …`) last, and hangs up. */
void control_say(struct control_client *c, struct str text);
void control_finish(struct control_client *c, const char *error);
/* A list of waiting clients, for the handler. */
struct control_client **control_link(struct control_client *c);

#endif
