/* The log of one process: lines on standard error, as text or JSON.  One error is logged at exactly
 * one place, where it is handled.  Never credentials: they are struct secret or fingerprints.
 * Control characters and bad UTF-8 in any argument are escaped (row 174); a line is at most
 * LIMIT_LOG_LINE bytes.  Thread-safe: a line is one write. */
#ifndef OPS_LOG_H
#define OPS_LOG_H

#include <mcpauth/provider.h>

#include <stdbool.h>

/* PROCESS names the writer: "master", "leader", "worker 2", "mcpauth". */
void log_init(const char *process, bool json, int level);
bool log_on(int level);
void log_at(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_at(MCPAUTH_LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(MCPAUTH_LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(MCPAUTH_LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
  (log_on(MCPAUTH_LOG_DEBUG) ? log_at(MCPAUTH_LOG_DEBUG, __VA_ARGS__) : (void)0)

#endif
