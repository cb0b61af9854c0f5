/* Opens event streams and keeps them: hold PORT PATH N TOKEN-FILE.  Prints how many were answered
 * 200, then waits until its standard input ends.  Each hundred connections come from an address of
 * their own (127.0.1.x), so that no per-address limit is in the way. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PER_ADDRESS = 100, ANSWER_MS = 10000 };

static int open_stream(int port, int number, const char *request, size_t n)
{
  struct sockaddr_in from = {.sin_family = AF_INET,
                             .sin_addr.s_addr =
                                 htonl(0x7f000101u + (uint32_t)(number / PER_ADDRESS))};
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) != 0 ||
      connect(fd, (struct sockaddr *)&to, sizeof to) != 0 ||
      send(fd, request, n, MSG_NOSIGNAL) != (ssize_t)n) {
    perror("hold");
    exit(1);
  }
  return fd;
}

static bool answered(int fd)
{
  char head[16];
  struct pollfd p = {.fd = fd, .events = POLLIN};
  return poll(&p, 1, ANSWER_MS) == 1 && recv(fd, head, sizeof head, 0) > 12 &&
         memcmp(head + 9, "200", 3) == 0;
}

int main(int argc, char **argv)
{
  if (argc != 5)
    return 2;
  int port = atoi(argv[1]), n = atoi(argv[3]), ok = 0;
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  char token[4096] = "", request[8192];
  FILE *f = fopen(argv[4], "r");
  if (f == NULL || fgets(token, sizeof token, f) == NULL) {
    perror(argv[4]);
    return 1;
  }
  fclose(f);
  token[strcspn(token, "\n")] = '\0';
  int length = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n"
                        "Authorization: Bearer %s\r\n\r\n",
                        argv[2], port, token);
  int *fds = calloc((size_t)n, sizeof *fds);
  if (fds == NULL)
    return 1;
  for (int i = 0; i < n; i++)
    fds[i] = open_stream(port, i, request, (size_t)length);
  for (int i = 0; i < n; i++)
    ok += answered(fds[i]);
  printf("%d\n", ok);
  fflush(stdout);
  char end;
  while (read(0, &end, 1) > 0)
    ;
  return 0;
}
