/* What must not go back: the clock by which things expire (rows 184, 185) and the store itself (row
 * 122).
 *
 * The clock: the latest wall time is kept.  When the clock is set back by up to a day, the store's
 * time stands still until it has caught up; by more, the kept time is taken for the wrong one. When
 * it has jumped ahead of what the machine's own count of seconds allows, what looks expired is
 * refused but not taken out, and the kept time does not follow: all is well again when the clock
 * is.
 *
 * The store: its epoch is a number in the table `meta` and in the file store.epoch, moved by every
 * revocation and every start, written to the file after the commit.  A store whose number is less
 * than the file's is an older copy that was put back: what was revoked since would be alive. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ops/log.h"
#include "store/sqlite.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum { ALARM_S = 60, FORGET_S = 86400, AHEAD_S = 3600 };

/* What the machine's own count of seconds makes of the time when the store was opened. */
static int64_t plausible(const struct store_db *db)
{
  return db->wall_0 + (clock_mono_ms() - db->mono_0) / 1000;
}

int64_t store_time(struct store_db *db)
{
  int64_t now = clock_wall();
  if (now > db->high_water && now <= plausible(db) + AHEAD_S)
    db->high_water = now;
  return now < db->high_water && now > db->high_water - FORGET_S ? db->high_water : now;
}

bool db_judge_clock(struct store_db *db)
{
  int64_t now = clock_wall();
  int64_t kept = db_meta(db, "clock", 0);
  if (now > plausible(db) + AHEAD_S && now > kept + AHEAD_S) {
    log_error("store: the clock has jumped ahead by %lld s; nothing is swept until it is right",
              (long long)(now - plausible(db)));
    return false;
  }
  if (now < kept - ALARM_S)
    log_error("store: the clock was set back by %lld s%s", (long long)(kept - now),
              now > kept - FORGET_S ? "; times stand still until it has caught up" : "");
  if (now > kept || now <= kept - FORGET_S) {
    if (db_meta_set(db, "clock", now) < 0)
      return false;
    kept = now;
  }
  db->high_water = kept;
  return true;
}

/* ---- the epoch */

int db_open_epoch(struct store_db *db, const char *state_dir, struct err *e)
{
  char path[4096];
  int n = snprintf(path, sizeof path, "%s/store.epoch", state_dir);
  if (n < 0 || (size_t)n >= sizeof path)
    return err_set(e, "the path of the state directory is too long");
  db->epoch_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  return db->epoch_fd < 0 ? err_set(e, "cannot open %s: %s", path, strerror(errno)) : 0;
}

static int64_t read_epoch(const struct store_db *db)
{
  char text[24];
  uint64_t epoch = 0;
  ssize_t n = pread(db->epoch_fd, text, sizeof text, 0);
  struct str s = {text, n > 0 ? (size_t)n : 0};
  s.n = str_chr(s, '\n');
  return str_u64(s, INT64_MAX, &epoch) ? (int64_t)epoch : 0;
}

void db_write_epoch(struct store_db *db)
{
  char text[24];
  int64_t epoch = db_meta(db, "epoch", 0);
  if (db->epoch_fd < 0 || epoch <= read_epoch(db))
    return;
  int n = snprintf(text, sizeof text, "%lld\n", (long long)epoch);
  if (pwrite(db->epoch_fd, text, (size_t)n, 0) != n)
    log_error("store: cannot write store.epoch: %s", strerror(errno));
}

void db_move_epoch(struct store_db *db)
{
  db_meta_set(db, "epoch", db_meta(db, "epoch", 0) + 1);
  db->epoch_moved = true;
}

int db_judge_epoch(struct store_db *db, unsigned *ret_revoked)
{
  int64_t kept = read_epoch(db), own = db_meta(db, "epoch", 0);
  *ret_revoked = 0;
  if (own < kept) {
    int64_t n = RUN(db,
                    "UPDATE grants SET revoked_at = ?, principal = NULL,"
                    " why = 'an older copy of the store was put back' WHERE revoked_at = 0",
                    INT(store_time(db)));
    if (n < 0 || db_exec(db, "DELETE FROM code") < 0 || db_exec(db, "DELETE FROM upstream") < 0)
      return -1;
    *ret_revoked = (unsigned)n;
  }
  db->epoch_moved = true;
  return db_meta_set(db, "epoch", (own > kept ? own : kept) + 1);
}
