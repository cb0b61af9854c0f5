/* A server of the tests' own on loopback, a thread a connection: what it answers is written out
 * byte by byte in a function of the test, what it was sent is kept for the test to look at. */
#ifndef TESTS_TINY_SERVER_H
#define TESTS_TINY_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum { TINY_REQUEST_MAX = 1 << 20, TINY_CONNECTIONS_MAX = 256 };

struct tiny_server;
/* Serves one connection, the NTH (from 1); the descriptor is closed behind it. */
typedef void tiny_serve_fn(struct tiny_server *s, int fd, int nth);

struct tiny_server {
  int listener, port;
  tiny_serve_fn *serve;
  const void *arg;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_t threads[TINY_CONNECTIONS_MAX];
  int open[TINY_CONNECTIONS_MAX];
  int connections, requests;   /* read these with tiny_count */
  char last[TINY_REQUEST_MAX]; /* the last request, NUL-terminated */
  size_t last_n;
};

/* PATH: a unix socket's, or NULL for 127.0.0.1 and a port of the kernel's choice. */
void tiny_start(struct tiny_server *s, tiny_serve_fn *serve, const void *arg, const char *path);
void tiny_stop(struct tiny_server *s);
int tiny_connections(struct tiny_server *s);
int tiny_requests(struct tiny_server *s);
/* For serve functions: reads one request, head and body; false at the end of the connection. */
bool tiny_read(struct tiny_server *s, int fd);
void tiny_write(int fd, const char *text);
void tiny_write_bytes(int fd, const void *p, size_t n);
/* Milliseconds until the peer closed, at most MOST; -1: it did not. */
int tiny_wait_close(int fd, int most);

#endif
