/* Rows of `grants` as other files of the store read them. */
#ifndef STORE_STORE_GRANT_H
#define STORE_STORE_GRANT_H

#include "store/sqlite.h"

/* Columns 0 to 13 of a query over `grants g`. */
#define GRANT_COLUMNS                                                                              \
  "g.id, g.issuer, g.subject, g.provider, g.client, g.client_name, g.service, g.scopes,"           \
  " g.created_at, g.used_at, g.checked_at, g.expires_at, g.revoked_at, g.why"

/* What they hold, valid until the next step. */
void grant_view(sqlite3_stmt *s, struct store_grant *ret);
/* Its strings into A. */
int grant_keep(struct store_grant *g, struct arena *a);
/* As store_grant_get, where column 14 is g.principal. */
enum store_result grant_read(struct store_db *db, sqlite3_stmt *s, struct arena *a,
                             struct store_grant *ret);

#endif
