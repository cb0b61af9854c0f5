/* The small parts that the processes of the hub are made of: link, environment, descriptors, what
 * the service manager hands over, the metrics page. */
#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/page.h"
#include "hub/environment.h"
#include "hub/link.h"
#include "hub/notify.h"
#include "hub/privileges.h"

/* ---- link */

static struct link_packet packet;

static void test_a_packet_arrives_with_its_kind_and_text(void **state)
{
  int fds[2];
  (void)state;
  assert_int_equal(link_pair(fds, NULL), 0);
  assert_int_equal(link_text(fds[0], LINK_FAILED, STR("bad word")), 0);
  assert_int_equal(link_send(fds[0], LINK_READY, "", 0, -1), 0);
  assert_int_equal(link_receive(fds[1], &packet), LINK_GOT);
  assert_int_equal(packet.kind, LINK_FAILED);
  assert_string_equal(packet.data, "bad word");
  assert_int_equal(packet.fd, -1);
  assert_int_equal(link_receive(fds[1], &packet), LINK_GOT);
  assert_int_equal(packet.kind, LINK_READY);
  assert_int_equal(packet.n, 0);
  close(fds[0]);
  assert_int_equal(link_receive(fds[1], &packet), LINK_ENDED);
  close(fds[1]);
}

static void test_a_descriptor_travels_and_is_closed_on_exec(void **state)
{
  int fds[2], ends[2];
  (void)state;
  assert_int_equal(link_pair(fds, NULL), 0);
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(link_send(fds[0], LINK_SOCKET, "", 0, ends[1]), 0);
  assert_int_equal(link_receive(fds[1], &packet), LINK_GOT);
  assert_true(packet.fd >= 0 && packet.fd != ends[1]);
  assert_true(fcntl(packet.fd, F_GETFD) & FD_CLOEXEC);
  assert_int_equal(write(packet.fd, "x", 1), 1);
  char c;
  assert_int_equal(read(ends[0], &c, 1), 1);
  for (int i = 0; i < 2; i++)
    close(ends[i]), close(fds[i]);
  close(packet.fd);
}

static void test_what_is_too_long_is_cut_or_not_sent(void **state)
{
  int fds[2];
  (void)state;
  static char text[LINK_DATA_MAX + 100];
  memset(text, 'x', sizeof text);
  assert_int_equal(link_pair(fds, NULL), 0);
  assert_int_equal(link_send(fds[0], LINK_FAILED, text, sizeof text, -1), -1);
  assert_int_equal(link_text(fds[0], LINK_FAILED, (struct str){text, sizeof text}), 0);
  assert_int_equal(link_receive(fds[1], &packet), LINK_GOT);
  assert_int_equal(packet.n, LINK_DATA_MAX);
  close(fds[0]), close(fds[1]);
}

/* The other side is a process that has run foreign code. */
static void test_a_packet_that_is_no_packet_ends_the_link(void **state)
{
  int fds[2];
  (void)state;
  static char text[LINK_DATA_MAX + 100];
  assert_int_equal(link_pair(fds, NULL), 0);
  assert_int_equal(send(fds[0], "x", 1, 0), 1);
  assert_int_equal(link_receive(fds[1], &packet), LINK_ENDED);
  assert_int_equal(send(fds[0], text, sizeof text, 0), (int)sizeof text);
  assert_int_equal(link_receive(fds[1], &packet), LINK_ENDED);
  close(fds[0]), close(fds[1]);
}

static void test_telling_somebody_who_is_gone_fails_without_a_signal(void **state)
{
  int fds[2];
  (void)state;
  assert_int_equal(link_pair(fds, NULL), 0);
  close(fds[1]);
  assert_int_equal(link_send(fds[0], LINK_DRAIN, "", 0, -1), -1);
  close(fds[0]);
}

/* ---- in a process of its own, because it changes the process */

static void run_apart(void (*what)(void))
{
  int status, pid = fork();
  if (pid == 0) {
    what();
    _exit(0);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

#define MUST(x) ((x) ? (void)0 : (fprintf(stderr, "not so: %s\n", #x), _exit(1)))

static void scrub(void)
{
  clearenv();
  putenv(strdup("PATH=/bin"));
  putenv(strdup("TZ=America/New_York"));
  static const char *const secrets[] = {"NOTES_SECRET", "HTTPX"};
  static const char *const bad[] = {
      "LD_PRELOAD",   "LTDL_LIBRARY_PATH", "http_proxy",
      "HTTPS_PROXY",  "SSLKEYLOGFILE",     "OPENSSL_CONF",
      "CURL_HOME",    "OPENSSL_MODULES",   "GNUTLS_SYSTEM_PRIORITY_FILE",
      "NOTIFY_SOCKET"};
  for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
    setenv(secrets[i], "hidden", 1);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    setenv(bad[i], "evil", 1);
  MUST(environment_init(NULL) == 0);
  MUST(strcmp(getenv("PATH"), "/bin") == 0);
  MUST(strcmp(getenv("TZ"), "UTC") == 0);
  MUST(getenv("NOTES_SECRET") == NULL);
  environment_reveal();
  for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
    MUST(getenv(secrets[i]) && strcmp(getenv(secrets[i]), "hidden") == 0);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    MUST(getenv(bad[i]) == NULL);
  environment_hide();
  MUST(getenv("NOTES_SECRET") == NULL);
  environment_forget();
  MUST(getenv("NOTES_SECRET") == NULL && getenv("PATH") != NULL);
}

/* security c.3 */
static void test_the_environment_is_hidden_but_for_the_configuration(void **state)
{
  (void)state;
  run_apart(scrub);
}

static bool is_open(int fd)
{
  return fcntl(fd, F_GETFD) >= 0;
}

static void close_some(void)
{
  int fds[10];
  for (int i = 0; i < 10; i++)
    fds[i] = dup(2);
  const int keep[] = {fds[7], 1, fds[2], fds[3], fds[7]};
  MUST(close_all_but(keep, 5, NULL) == 0);
  for (int i = 0; i < 10; i++)
    MUST(is_open(fds[i]) == (i == 2 || i == 3 || i == 7));
  MUST(is_open(0) && is_open(1) && is_open(2));
  MUST(close_all_but(NULL, 0, NULL) == 0);
  MUST(!is_open(fds[7]) && is_open(2));
}

/* row 193 */
static void test_every_other_descriptor_is_closed(void **state)
{
  (void)state;
  run_apart(close_some);
}

static void set_number(const char *name, long n)
{
  char text[32];
  snprintf(text, sizeof text, "%ld", n);
  setenv(name, text, 1);
}

static void other_process(void)
{
  set_number("LISTEN_PID", getpid() + 1);
  set_number("LISTEN_FDS", 2);
  set_number("WATCHDOG_PID", getpid() + 1);
  set_number("WATCHDOG_USEC", 3000000);
  MUST(notify_init(NULL) == 0);
  MUST(notify_fds() == 0);
  MUST(notify_watchdog_ms() == 0);
}

static void test_what_is_meant_for_another_process_is_left_alone(void **state)
{
  (void)state;
  run_apart(other_process);
}

static void passed_sockets(void)
{
  struct err e = {""};
  for (int fd = 3; fd < 6; fd++) {
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    const struct sockaddr any = {.sa_family = AF_UNIX};
    MUST(bind(s, &any, sizeof any.sa_family) == 0);
    MUST(dup2(s, fd + 100) == fd + 100);
    if (s != fd)
      close(s);
  }
  for (int fd = 3; fd < 6; fd++)
    MUST(dup2(fd + 100, fd) == fd && (fd == 4 || listen(fd, 1) == 0));
  set_number("LISTEN_PID", getpid());
  setenv("LISTEN_FDS", "3", 1);
  setenv("LISTEN_FDNAMES", "web:plain:web", 1);
  MUST(notify_init(NULL) == 0);
  MUST(notify_fds() == 3);
  MUST(notify_socket("web", &e) < 0 && strstr(e.text, "several"));
  MUST(notify_socket("plain", &e) < 0 && strstr(e.text, "not a listening"));
  MUST(notify_socket("we", &e) < 0 && strstr(e.text, "no socket called 'we'"));
}

static void test_sockets_of_systemd_are_found_by_name_and_judged(void **state)
{
  (void)state;
  run_apart(passed_sockets);
}

/* ---- who to become */

static void test_root_and_unknown_users_are_nobody_to_become(void **state)
{
  struct identity id;
  struct err e = {""};
  (void)state;
  assert_int_equal(privileges_find("root", &id, &e), -1);
  assert_int_equal(privileges_find("no-such-user-here", &id, &e), -1);
  assert_non_null(strstr(e.text, "there is no such user"));
  assert_int_equal(privileges_find(NULL, &id, &e), 0);
  assert_int_equal(id.uid, geteuid());
}

/* ---- the metrics page */

static void test_the_page_names_each_metric_once_and_shows_the_totals(void **state)
{
  struct shm *shm = shm_create(NULL);
  struct buf page;
  (void)state;
  assert_non_null(shm);
  assert_int_equal(shm_attach(shm, getpid()), 0);
  metric_add(METRIC_CONNECTIONS, 3);
  metric_set(METRIC_CONNECTIONS_OPEN, 2);
  buf_init(&page, 1 << 20);
  assert_int_equal(page_metrics(shm, 7, &page), 0);
  assert_non_null(strstr(page.p, "\nmcpauth_connections_total 3\n"));
  assert_non_null(strstr(page.p, "\nmcpauth_connections_open 2\n"));
  assert_non_null(strstr(page.p, "\nmcpauth_generation 7\n"));
  const char *type = strstr(page.p, "# TYPE mcpauth_responses_total counter\n");
  assert_non_null(type);
  assert_null(strstr(type + 1, "# TYPE mcpauth_responses_total"));
  assert_non_null(strstr(page.p, "\nmcpauth_responses_total{code=\"5xx\"} 0\n"));
  buf_done(&page);
  buf_init(&page, 100);
  assert_int_equal(page_metrics(shm, 7, &page), -1);
  buf_done(&page);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_packet_arrives_with_its_kind_and_text),
      cmocka_unit_test(test_a_descriptor_travels_and_is_closed_on_exec),
      cmocka_unit_test(test_what_is_too_long_is_cut_or_not_sent),
      cmocka_unit_test(test_a_packet_that_is_no_packet_ends_the_link),
      cmocka_unit_test(test_telling_somebody_who_is_gone_fails_without_a_signal),
      cmocka_unit_test(test_the_environment_is_hidden_but_for_the_configuration),
      cmocka_unit_test(test_every_other_descriptor_is_closed),
      cmocka_unit_test(test_what_is_meant_for_another_process_is_left_alone),
      cmocka_unit_test(test_sockets_of_systemd_are_found_by_name_and_judged),
      cmocka_unit_test(test_root_and_unknown_users_are_nobody_to_become),
      cmocka_unit_test(test_the_page_names_each_metric_once_and_shows_the_totals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
