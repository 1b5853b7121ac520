/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control server on a real socket: rights, garbage, oversize, silence, many at once, slow readers. */
#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/protocol.h"
#include "control/server.h"

struct fixture {
    char directory[32];
    char *path;
    sd_event *event;
    struct control_server *server;
    unsigned n_handled, n_refused;
    struct control_peer peer;
    struct control_stream *stream;
    unsigned n_streams, n_ended;
};

static void ended(void *userdata)
{
    struct fixture *fixture = userdata;

    fixture->n_ended++;
    fixture->stream = NULL;
}

static json_t *handle(const json_t *request, const struct control_peer *peer, void *userdata)
{
    struct fixture *fixture = userdata;
    const char *verb = json_string_value(json_object_get(request, "verb"));

    fixture->n_handled++;
    fixture->peer = *peer;
    if (strcmp(verb, "follow") == 0) {
        struct control_stream *stream = control_stream_open(fixture->server, ended, fixture);

        if (!stream)
            return control_error(STATUS_ERROR, "too many", NULL, NULL);
        assert_null(control_stream_open(fixture->server, ended, fixture)); /* once is enough */
        fixture->stream = stream;
        fixture->n_streams++;
        control_stream_send(stream, "{\"first\":1}", 11);
    }
    if (strcmp(verb, "large") == 0) {
        char *text = malloc(8 * 1024 * 1024 + 1);
        memset(text, 'x', 8 * 1024 * 1024);
        text[8 * 1024 * 1024] = '\0';
        json_t *answer = control_answer(0, json_pack("{s:s}", "text", text));
        free(text);
        return answer;
    }
    return control_answer(0, json_pack("{s:s}", "verb", verb));
}

static void refused(const char *error, const struct control_peer *peer, void *userdata)
{
    struct fixture *fixture = userdata;

    assert_non_null(error);
    assert_int_equal(peer->pid, getpid());
    fixture->n_refused++;
}

static int open_server(struct fixture *fixture, const struct control_service *service,
                       struct control_server **ret)
{
    _cleanup_diags_ struct diags diags = {0};
    int r = control_server_open(fixture->event, fixture->path, service, ret, &diags);

    assert_int_equal(diags.n, r < 0);
    return r;
}

static int setup(void **state)
{
    struct fixture *fixture = xnew(struct fixture);
    const struct control_service service = {.handle = handle, .refused = refused, .userdata = fixture};

    strcpy(fixture->directory, "/tmp/cofferdam-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    fixture->path = xasprintf("%s/run/control.sock", fixture->directory);
    assert_true(sd_event_new(&fixture->event) >= 0);
    assert_int_equal(open_server(fixture, &service, &fixture->server), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_free_ char *lock = xasprintf("%s.lock", fixture->path);
    _cleanup_free_ char *run = xasprintf("%s/run", fixture->directory);

    control_server_close(fixture->server);
    sd_event_unref(fixture->event);
    assert_int_equal(access(fixture->path, F_OK), -1);
    unlink(lock);
    rmdir(run);
    rmdir(fixture->directory);
    free(fixture->path);
    free(fixture);
    return 0;
}

static int dial(const struct fixture *fixture)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, fixture->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void turn(struct fixture *fixture)
{
    while (sd_event_run(fixture->event, 0) > 0)
        ;
}

/* Everything that the server sends until it closes; the caller frees it. */
static char *read_answer(struct fixture *fixture, int fd)
{
    size_t len = 0, size = 16 * 1024 * 1024;
    char *text = malloc(size + 1);

    for (;;) {
        turn(fixture);
        ssize_t n = recv(fd, text + len, size - len, 0);
        if (n < 0 && errno == EAGAIN) {
            assert_true(control_server_busy(fixture->server));
            continue;
        }
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    close(fd);
    return text;
}

static char *ask(struct fixture *fixture, const char *request, size_t len)
{
    int fd = dial(fixture);

    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, request + sent, len - sent, MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        else if (errno != EAGAIN)
            break; /* it has answered already, and closed */
        turn(fixture);
    }
    return read_answer(fixture, fd);
}

static void answers_and_knows_who_asked(void **state)
{
    struct fixture *fixture = *state;
    char *text = ask(fixture, "{\"verb\":\"status\"}\n", 18);

    assert_string_equal(text, "{\"ok\":true,\"exit\":0,\"result\":{\"verb\":\"status\"}}\n");
    assert_int_equal(fixture->peer.pid, getpid());
    assert_int_equal(fixture->peer.uid, getuid());
    assert_int_equal(fixture->peer.gid, getgid());
    assert_false(control_server_busy(fixture->server));
    free(text);
}

static void the_socket_is_for_its_owner_alone(void **state)
{
    struct fixture *fixture = *state;
    struct stat stat_;

    assert_int_equal(stat(fixture->path, &stat_), 0);
    assert_int_equal(stat_.st_mode & 0777, 0600);
    assert_true(getxattr(fixture->path, "system.posix_acl_access", NULL, 0) < 0);
    free(ask(fixture, "{\"verb\":\"status\"}\n", 18));
    assert_false(fixture->peer.in_group);
}

static void a_group_is_let_in(void **state)
{
    static const struct posix_acl_xattr_entry wanted[] = {{ACL_USER_OBJ, 6, UINT32_MAX},
                                                          {ACL_GROUP_OBJ, 0, UINT32_MAX},
                                                          {ACL_GROUP, 6, 4711},
                                                          {ACL_MASK, 6, UINT32_MAX},
                                                          {ACL_OTHER, 0, UINT32_MAX}};
    struct fixture *fixture = *state;
    struct control_service service = {
        .handle = handle, .userdata = fixture, .has_group = true, .group = 4711};
    char acl[100];

    control_server_close(fixture->server);
    assert_int_equal(open_server(fixture, &service, &fixture->server), 0);
    assert_int_equal(getxattr(fixture->path, "system.posix_acl_access", acl, sizeof(acl)),
                     4 + sizeof(wanted));
    assert_memory_equal(acl + 4, wanted, sizeof(wanted));
    free(ask(fixture, "{\"verb\":\"status\"}\n", 18));
    assert_false(fixture->peer.in_group);

    control_server_close(fixture->server);
    service.group = getgid();
    assert_int_equal(open_server(fixture, &service, &fixture->server), 0);
    free(ask(fixture, "{\"verb\":\"status\"}\n", 18));
    assert_true(fixture->peer.in_group);
}

static void a_second_server_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct control_server *second = NULL;
    const struct control_service service = {.handle = handle};

    assert_int_equal(open_server(fixture, &service, &second), -EADDRINUSE);
    assert_null(second);
    char *text = ask(fixture, "{\"verb\":\"status\"}\n", 18); /* the first still serves */
    assert_non_null(strstr(text, "\"ok\":true"));
    free(text);
}

static void garbage_is_answered_with_an_error(void **state)
{
    static const char *const garbage[] = {
        "\n",
        "hello\n",
        "[1,2]\n",
        "{}\n",
        "{\"verb\":1}\n",
        "{\"verb\":\"a\",\"verb\":\"b\"}\n",
        "{\"verb\":\"status\"\n",
        "\xff\xfe\n",
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
        char *text = ask(fixture, garbage[i], strlen(garbage[i]));
        assert_non_null(strstr(text, "\"ok\":false"));
        assert_non_null(strstr(text, "\"exit\":1"));
        free(text);
    }
    char *nul = ask(fixture, "{\"verb\":\"a\0b\"}\n", 15);
    assert_non_null(strstr(nul, "\"ok\":false"));
    free(nul);
    assert_int_equal(fixture->n_handled, 0);
    assert_int_equal(fixture->n_refused, ARRAY_SIZE(garbage) + 1);
}

static void oversize_is_refused(void **state)
{
    struct fixture *fixture = *state;
    size_t len = CONTROL_REQUEST_MAX + 4096;
    char *request = malloc(len);

    memset(request, 'x', len);
    char *text = ask(fixture, request, len);
    /* What was sent behind the limit is never read, so the answer may be lost to a reset; the request is not
     * handled. */
    if (text[0])
        assert_non_null(strstr(text, "longer than 16 MiB"));
    free(text);
    text = ask(fixture, request, CONTROL_REQUEST_MAX);
    assert_non_null(strstr(text, "longer than 16 MiB"));
    free(text);
    free(request);
    assert_int_equal(fixture->n_handled, 0);
}

/* A whole set of policies, say. */
static void a_long_request_is_taken_in_pieces(void **state)
{
    static const char head[] = "{\"verb\":\"long\",\"text\":\"", tail[] = "\"}\n";
    struct fixture *fixture = *state;
    size_t len = 1024 * 1024;
    char *request = malloc(len);

    memset(request, 'x', len);
    memcpy(request, head, strlen(head));
    memcpy(request + len - strlen(tail), tail, strlen(tail));
    char *text = ask(fixture, request, len);
    assert_non_null(strstr(text, "\"verb\":\"long\""));
    free(text);
    free(request);
}

static void a_large_answer_waits_for_its_reader_and_for_nobody_else(void **state)
{
    struct fixture *fixture = *state;
    int slow = dial(fixture);

    assert_int_equal(send(slow, "{\"verb\":\"large\"}\n", 17, 0), 17);
    turn(fixture);
    assert_true(control_server_busy(fixture->server));
    char *other = ask(fixture, "{\"verb\":\"status\"}\n", 18);
    assert_non_null(strstr(other, "\"ok\":true"));
    free(other);
    char *large = read_answer(fixture, slow);
    assert_true(strlen(large) > 8 * 1024 * 1024);
    free(large);
    assert_false(control_server_busy(fixture->server));
}

static void more_clients_than_places_wait_for_their_turn(void **state)
{
    struct fixture *fixture = *state;
    int silent[CONTROL_CLIENTS_MAX];

    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        silent[i] = dial(fixture);
        turn(fixture);
    }
    int waiting = dial(fixture);
    assert_int_equal(send(waiting, "{\"verb\":\"status\"}\n", 18, 0), 18);
    turn(fixture);
    assert_int_equal(fixture->n_handled, 0);
    close(silent[0]);
    turn(fixture);
    assert_int_equal(fixture->n_handled, 1);
    char *text = read_answer(fixture, waiting);
    assert_non_null(strstr(text, "\"ok\":true"));
    free(text);
    for (size_t i = 1; i < CONTROL_CLIENTS_MAX; i++)
        close(silent[i]);
    turn(fixture);
}

static void a_silent_client_is_dropped_in_time(void **state)
{
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    time_t begin = time(NULL);
    char byte;

    assert_int_equal(send(fd, "{\"verb\"", 7, 0), 7);
    while (recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN) {
        assert_true(time(NULL) - begin <= 10);
        sd_event_run(fixture->event, 100000);
    }
    assert_true(time(NULL) - begin >= 4);
    assert_int_equal(fixture->n_handled, 0);
    close(fd);
}

/* ---- streams ------------------------------------------------------------------------------------------ */

static int follow(struct fixture *fixture)
{
    int fd = dial(fixture);

    assert_int_equal(send(fd, "{\"verb\":\"follow\"}\n", 18, 0), 18);
    turn(fixture);
    return fd;
}

static void expect_text(struct fixture *fixture, int fd, const char *wanted)
{
    char text[256] = "";

    turn(fixture);
    ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
    assert_int_equal(n, strlen(wanted));
    assert_string_equal(text, wanted);
}

static void a_stream_goes_on_until_its_client_goes(void **state)
{
    struct fixture *fixture = *state;
    int fd = follow(fixture);

    expect_text(fixture, fd, "{\"ok\":true,\"exit\":0,\"result\":{\"verb\":\"follow\"}}\n{\"first\":1}\n");
    assert_false(control_server_busy(fixture->server));
    control_stream_send(fixture->stream, "{\"a\":1}", 7);
    control_stream_send(fixture->stream, "{\"b\":2}", 7);
    expect_text(fixture, fd, "{\"a\":1}\n{\"b\":2}\n");
    assert_int_equal(fixture->n_ended, 0);
    close(fd);
    turn(fixture);
    assert_int_equal(fixture->n_ended, 1);
    assert_null(control_stream_open(fixture->server, ended, fixture)); /* nobody asks now */
}

static void who_says_more_is_dropped(void **state)
{
    struct fixture *fixture = *state;
    int fd = follow(fixture);
    char text[256];

    assert_int_equal(send(fd, "x", 1, 0), 1);
    turn(fixture);
    assert_int_equal(fixture->n_ended, 1);
    while (recv(fd, text, sizeof(text), 0) > 0)
        ;
    assert_int_not_equal(errno, EAGAIN);
    close(fd);
}

static void a_slow_reader_loses_lines_and_is_told(void **state)
{
    struct fixture *fixture = *state;
    const unsigned sent = 20000;
    char line[1001], *text, *save;
    unsigned got = 0, lost = 0, told = 0;
    int fd = follow(fixture);

    memset(line, 'x', sizeof(line));
    for (unsigned i = 0; i < sent; i++) {
        control_stream_send(fixture->stream, line, sizeof(line));
        if (i % 100 == 0)
            turn(fixture);
    }
    text = ask(fixture, "{\"verb\":\"status\"}\n", 18);
    assert_non_null(strstr(text, "\"ok\":true"));
    free(text);

    text = malloc(64 * 1024 * 1024);
    size_t len = 0;
    for (unsigned idle = 0; idle < 3; idle++) {
        ssize_t n = recv(fd, text + len, 64 * 1024, 0);
        if (n > 0)
            idle = 0;
        len += n > 0 ? (size_t)n : 0;
        turn(fixture);
    }
    text[len] = '\0';
    assert_true(len < 3 * CONTROL_STREAM_MAX);
    for (char *at = strtok_r(text, "\n", &save); at; at = strtok_r(NULL, "\n", &save)) {
        unsigned n;

        if (sscanf(at, "{\"lost\":%u}", &n) == 1) {
            lost += n;
            told++;
        } else if (*at == 'x') {
            assert_int_equal(strlen(at), sizeof(line));
            got++;
        }
    }
    free(text);
    assert_int_equal(got + lost, sent);
    assert_int_equal(told, 1);
    assert_true(lost > sent / 2);
    control_stream_send(fixture->stream, "{\"a\":1}", 7);
    expect_text(fixture, fd, "{\"a\":1}\n");
    close(fd);
}

static void there_are_only_so_many_streams(void **state)
{
    struct fixture *fixture = *state;
    int fds[CONTROL_STREAMS_MAX];
    char *text;

    for (size_t i = 0; i < CONTROL_STREAMS_MAX; i++)
        fds[i] = follow(fixture);
    assert_int_equal(fixture->n_streams, CONTROL_STREAMS_MAX);
    text = ask(fixture, "{\"verb\":\"follow\"}\n", 18);
    assert_non_null(strstr(text, "too many"));
    free(text);
    close(fds[0]);
    turn(fixture);
    fds[0] = follow(fixture);
    assert_int_equal(fixture->n_streams, CONTROL_STREAMS_MAX + 1);
    fixture->server = control_server_close(fixture->server);
    assert_int_equal(fixture->n_ended, CONTROL_STREAMS_MAX + 1);
    for (size_t i = 0; i < CONTROL_STREAMS_MAX; i++)
        close(fds[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_and_knows_who_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(the_socket_is_for_its_owner_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_group_is_let_in, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_server_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(garbage_is_answered_with_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(oversize_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_request_is_taken_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_answer_waits_for_its_reader_and_for_nobody_else, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(more_clients_than_places_wait_for_their_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(a_silent_client_is_dropped_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_goes_on_until_its_client_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(who_says_more_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_reader_loses_lines_and_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(there_are_only_so_many_streams, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
