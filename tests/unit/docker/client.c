/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client against an Engine that is made up, well behaved and otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"
#include "docker/client.h"
#include "fake_engine.h"

#define PATIENCE_S 20
#define NOBODY 65534

/* One client, and what it was told. */
struct session {
    struct fake_engine *engine;
    sd_event *event;
    struct docker_client *client;
    /* connect */
    unsigned n_connects;
    int connect_error;
    char *connect_message;
    /* get */
    unsigned n_replies, n_good;
    int reply_error;
    unsigned reply_status;
    char *reply_message, *reply_body;
    size_t reply_len;
    /* events */
    unsigned n_opened, n_events, n_problems, n_closed;
    unsigned stop_after; /* stops the stream in the handler of that event */
    int closed_error;
    char *closed_message, *problem_message;
};

static void set_text(char **text, const char *new)
{
    free(*text);
    *text = xstrdup_null(new);
}

static void start_with(struct session *s, const struct fake_plan *plan)
{
    *s = (struct session){.engine = fake_engine_start(plan, NULL)};
    assert_int_equal(sd_event_new(&s->event), 0);
    assert_int_equal(docker_client_new(s->event, fake_engine_socket(s->engine), &s->client), 0);
    assert_string_equal(docker_client_socket(s->client), fake_engine_socket(s->engine));
}

/* Nothing but reading, of nothing but what is published. */
static void assert_only_allowed(struct fake_engine *engine)
{
    _cleanup_free_ char *text = fake_engine_requests(engine);
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *path = line + strlen("GET ");

        if (strcmp(line, "END") == 0)
            continue;
        if (strncmp(line, "GET /", 5) != 0)
            fail_msg("the client sent: %s", line);
        if (strncmp(path, "/v1.", 4) == 0)
            path = strchr(path + 4, '/');
        else if (strcmp(path, "/version") != 0)
            fail_msg("without an API version: %s", line);
        if (!docker_path_allowed(path))
            fail_msg("not among the paths that are published: %s", line);
    }
}

static void end(struct session *s)
{
    docker_client_free(s->client);
    sd_event_unref(s->event);
    if (s->engine)
        assert_only_allowed(s->engine);
    fake_engine_stop(s->engine);
    free(s->connect_message);
    free(s->reply_message);
    free(s->reply_body);
    free(s->closed_message);
    free(s->problem_message);
}

static time_t seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* Runs the loop until the counter has come to n. */
static void run_until(struct session *s, const unsigned *counter, unsigned n)
{
    time_t deadline = seconds() + PATIENCE_S;

    while (*counter < n) {
        assert_true(sd_event_run(s->event, 100000) >= 0);
        if (seconds() > deadline)
            fail_msg("waited %d s in vain", PATIENCE_S);
    }
}

static void run_for(struct session *s, uint64_t usec)
{
    uint64_t now, end_time;

    assert_true(sd_event_now(s->event, CLOCK_MONOTONIC, &now) >= 0);
    end_time = now + usec;
    while (now < end_time) {
        assert_true(sd_event_run(s->event, end_time - now) >= 0);
        assert_true(sd_event_now(s->event, CLOCK_MONOTONIC, &now) >= 0);
    }
}

static void on_connect(int error, const struct docker_version *version, const char *message, void *userdata)
{
    struct session *s = userdata;

    s->n_connects++;
    s->connect_error = error;
    set_text(&s->connect_message, message);
    assert_ptr_equal(version, docker_client_version(s->client));
    assert_int_equal(version != NULL, error == 0);
    assert_int_equal(message != NULL, error != 0);
}

static void connect_now(struct session *s)
{
    unsigned n = s->n_connects;

    assert_int_equal(docker_client_connect(s->client, on_connect, s), 0);
    assert_int_equal(s->n_connects, n);
    run_until(s, &s->n_connects, n + 1);
}

static void connected(struct session *s, const struct fake_plan *plan)
{
    start_with(s, plan);
    connect_now(s);
    assert_int_equal(s->connect_error, 0);
}

static void on_reply(const struct docker_reply *reply, void *userdata)
{
    struct session *s = userdata;

    s->n_replies++;
    s->n_good += reply->error == 0;
    s->reply_error = reply->error;
    s->reply_status = reply->status;
    set_text(&s->reply_message, reply->message);
    free(s->reply_body);
    s->reply_body = reply->body ? xstrndup(reply->body, reply->len) : NULL;
    s->reply_len = reply->len;
    assert_int_equal(reply->body != NULL, reply->error == 0);
    assert_int_equal(reply->message != NULL, reply->error != 0);
}

static void get_now(struct session *s, const char *path)
{
    unsigned n = s->n_replies;

    assert_int_equal(docker_client_get(s->client, path, on_reply, s, NULL), 0);
    assert_int_equal(s->n_replies, n);
    run_until(s, &s->n_replies, n + 1);
}

/* ---- connecting --------------------------------------------------------------------------------------- */

static void test_connect(void **state)
{
    struct session s;

    (void)state;
    start_with(&s, &(struct fake_plan){.capture = "20.10"});
    assert_null(docker_client_version(s.client));
    connect_now(&s);
    assert_int_equal(s.connect_error, 0);
    assert_int_equal(docker_client_version(s.client)->api_minor, 41);
    assert_string_equal(docker_client_version(s.client)->engine, "20.10.24+dfsg1");
    end(&s);
}

static void test_connect_refused(void **state)
{
    static const struct {
        const char *version;
        int error;
        const char *message;
    } cases[] = {
        {"{\"Version\":\"19.03.1\",\"ApiVersion\":\"1.40\"}", -EPROTONOSUPPORT,
         "Docker Engine 19.03.1 is too old: its API is version 1.40, and 1.41 (Docker 20.10) or later is "
         "needed"},
        {"{\"Version\":\"99\",\"ApiVersion\":\"1.90\",\"MinAPIVersion\":\"1.80\"}", -EPROTONOSUPPORT,
         "Docker Engine 99 is too new: its oldest API version is 1.80, and the newest that this version of "
         "Cofferdam "
         "knows is 1.51"},
        {"{\"ApiVersion\":\"1.41\",\"Components\":[{\"Name\":\"Podman Engine\"}]}", -EPROTONOSUPPORT,
         "this socket is Podman's, not the Docker Engine's: Cofferdam works with Docker only, because Podman "
         "does not "
         "tell when a container joins a network"},
        {"hello", -EBADMSG, "the Engine's answer to /version is no JSON: '[' or '{' expected near 'hello'"},
        {"", -EBADMSG, "the Engine's answer to /version is no JSON: '[' or '{' expected near end of file"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct session s;

        start_with(&s, &(struct fake_plan){.version = cases[i].version});
        connect_now(&s);
        assert_int_equal(s.connect_error, cases[i].error);
        assert_string_equal(s.connect_message, cases[i].message);
        assert_int_equal(docker_client_get(s.client, "/networks", on_reply, &s, NULL), -ENOTCONN);
        assert_int_equal(docker_client_events(s.client, 0, &(struct docker_event_handlers){0}, &s),
                         -ENOTCONN);
        end(&s);
    }
}

static void test_connect_no_answer(void **state)
{
    _cleanup_free_ char *message = NULL;
    struct session s;

    (void)state;
    start_with(&s, &(struct fake_plan){.version_hangs = true});
    docker_client_set_timeouts(s.client, 200, 200);
    connect_now(&s);
    assert_int_equal(s.connect_error, -ETIMEDOUT);
    message = xasprintf("the Docker Engine at %s did not answer GET /version within 0.2 s",
                        fake_engine_socket(s.engine));
    assert_string_equal(s.connect_message, message);
    end(&s);
}

static void assert_no_socket(const char *path, int error, const char *format)
{
    _cleanup_free_ char *message = NULL;
    struct session s = {0};
    const char *mark = strstr(format, "SOCKET");

    assert_int_equal(sd_event_new(&s.event), 0);
    assert_int_equal(docker_client_new(s.event, path, &s.client), 0);
    connect_now(&s);
    message = xasprintf("%.*s%s%s", (int)(mark - format), format, path, mark + strlen("SOCKET"));
    assert_int_equal(s.connect_error, error);
    assert_string_equal(s.connect_message, message);
    end(&s);
}

static void test_no_socket(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char directory[] = "/tmp/cofferdam-test-XXXXXX";
    _cleanup_free_ char *absent = NULL, *path = NULL;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_non_null(mkdtemp(directory));
    absent = xasprintf("%s/absent/docker.sock", directory);
    path = xasprintf("%s/docker.sock", directory);
    assert_no_socket(absent, -ENOENT,
                     "there is no socket SOCKET: is the Docker Engine installed and running?");
    assert_no_socket(path, -ENOENT, "there is no socket SOCKET: is the Docker Engine installed and running?");
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    assert_no_socket(path, -ECONNREFUSED, "nobody listens on SOCKET: the Docker Engine is not running");
    unlink(path);
    rmdir(directory);
}

static void test_no_permission(void **state)
{
    bool root = geteuid() == 0;
    struct session s;

    (void)state;
    start_with(&s, &(struct fake_plan){.capture = "20.10"});
    assert_int_equal(chmod(fake_engine_socket(s.engine), root ? 0600 : 0), 0);
    if (root)
        assert_int_equal(seteuid(NOBODY), 0);
    connect_now(&s);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(s.connect_error, -EACCES);
    assert_non_null(strstr(s.connect_message, "no permission to use /tmp/cofferdam-fake-"));
    end(&s);
}

static void test_path_too_long(void **state)
{
    _cleanup_free_ char *path = xasprintf("/%0150d", 0);
    struct docker_client *client = NULL;
    sd_event *event;

    (void)state;
    assert_int_equal(sd_event_new(&event), 0);
    assert_int_equal(docker_client_new(event, path, &client), -ENAMETOOLONG);
    assert_null(client);
    sd_event_unref(event);
}

/* The Engine is replaced by a newer one: it is asked anew, and spoken to in its version. */
static void test_reconnect(void **state)
{
    _cleanup_free_ char *path = NULL, *requests = NULL;
    struct fake_engine *other;
    struct session s;

    (void)state;
    connected(&s, &(struct fake_plan){.capture = "20.10"});
    get_now(&s, "/networks");
    path = xstrdup(fake_engine_socket(s.engine));
    assert_only_allowed(s.engine);
    s.engine = fake_engine_stop(s.engine);
    connect_now(&s);
    assert_int_equal(s.connect_error, -ENOENT);
    assert_null(docker_client_version(s.client));

    *strrchr(path, '/') = '\0';
    assert_int_equal(mkdir(path, 0755), 0);
    path[strlen(path)] = '/';
    other = fake_engine_start(&(struct fake_plan){.capture = "28.5"}, path);
    connect_now(&s);
    assert_int_equal(s.connect_error, 0);
    assert_int_equal(docker_client_version(s.client)->api_minor, 51);
    get_now(&s, "/networks");
    assert_int_equal(s.reply_error, 0);
    requests = fake_engine_requests(other);
    assert_string_equal(requests, "GET /version\nGET /v1.51/networks\n");
    end(&s);
    fake_engine_stop(other);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

/* ---- asking ------------------------------------------------------------------------------------------- */

static void test_get(void **state)
{
    static const size_t pieces[] = {0, 1, 13, 1000, 100000};
    size_t len;
    _cleanup_free_ char *expected = capture_read("20.10", "containers.json", &len);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct session s;

        connected(&s, &(struct fake_plan){.capture = "20.10", .piece = pieces[i]});
        get_now(&s, "/containers/json?all=1");
        assert_int_equal(s.reply_error, 0);
        assert_int_equal(s.reply_status, 200);
        assert_int_equal(s.reply_len, len);
        assert_string_equal(s.reply_body, expected);
        end(&s);
    }
}

static void test_get_order(void **state)
{
    _cleanup_free_ char *requests = NULL;
    struct session s;

    (void)state;
    connected(&s, &(struct fake_plan){.capture = "20.10"});
    get_now(&s, "/networks");
    get_now(&s, "/networks/0123");
    get_now(&s, "/containers/0123/json");
    requests = fake_engine_requests(s.engine);
    assert_non_null(strstr(requests, "GET /version\nGET /v1.41/networks\nGET /v1.41/networks/0123\n"
                                     "GET /v1.41/containers/0123/json\n"));
    end(&s);
}

/* A request costs a round trip, not the loop's idea of punctuality: this is what a container's start waits
 * for. */
static void test_get_is_quick(void **state)
{
    unsigned n = 200;
    struct session s;
    time_t before;

    (void)state;
    connected(&s, &(struct fake_plan){.capture = "20.10"});
    before = seconds();
    for (unsigned i = 0; i < n; i++)
        get_now(&s, "/networks/0123");
    assert_int_equal(s.n_good, n);
    if (seconds() - before > 5)
        fail_msg("%u requests took %ld s", n, (long)(seconds() - before));
    end(&s);
}

static void test_get_errors(void **state)
{
    static const struct {
        const char *id;
        int error;
        unsigned status;
        const char *message;
    } cases[] = {
        {"none", -ENOENT, 404,
         "the Docker Engine answered GET /containers/none/json with status 404: No such container: none"},
        {"bad", -EINVAL, 400,
         "the Docker Engine answered GET /containers/bad/json with status 400: client version 1.10 is too "
         "old. Please "
         "upgrade"},
        {"busy", -EBUSY, 409,
         "the Docker Engine answered GET /containers/busy/json with status 409: removal is in progress"},
        {"broken", -EREMOTEIO, 500, "the Docker Engine answered GET /containers/broken/json with status 500"},
        {"forbidden", -EACCES, 403,
         "the Docker Engine answered GET /containers/forbidden/json with status 403: <html><body><h1>403 "
         "Forbidden</h1> </body></html> (a proxy in front of the Engine must allow this path)"},
        {"odd", -EPROTO, 302, "the Docker Engine answered GET /containers/odd/json with status 302"},
        {"early", -ECONNRESET, 0, NULL},
        {"cut", -ECONNRESET, 0, NULL},
        {"silent", -ECONNRESET, 0, NULL},
        {"garbage", -EPROTO, 0, NULL},
        {"huge", -EFBIG, 0, "the Docker Engine's answer to GET /containers/huge/json is over 64 MiB"},
    };
    struct session s;

    (void)state;
    connected(&s, &(struct fake_plan){.capture = "20.10"});
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *path = xasprintf("/containers/%s/json?size=0", cases[i].id);

        get_now(&s, path);
        if (s.reply_error != cases[i].error || s.reply_status != cases[i].status)
            fail_msg("%s: error %d, status %u: %s", cases[i].id, s.reply_error, s.reply_status,
                     s.reply_message);
        if (cases[i].message)
            assert_string_equal(s.reply_message, cases[i].message);
        else
            assert_non_null(strstr(s.reply_message, path + strlen("/containers"))
                                ?: strstr(s.reply_message, cases[i].id));
    }
    /* and after all that an ordinary answer */
    get_now(&s, "/containers/text/json");
    assert_int_equal(s.reply_error, 0);
    assert_string_equal(s.reply_body, "hello");
    end(&s);
}

static void test_get_timeout(void **state)
{
    _cleanup_free_ char *message = NULL;
    struct session s;

    (void)state;
    connected(&s, &(struct fake_plan){.capture = "20.10"});
    docker_client_set_timeouts(s.client, 10000, 200);
    get_now(&s, "/containers/hang/json");
    assert_int_equal(s.reply_error, -ETIMEDOUT);
    message = xasprintf("the Docker Engine at %s did not answer GET /containers/hang/json within 0.2 s",
                        fake_engine_socket(s.engine));
    assert_string_equal(s.reply_message, message);
    end(&s);
}

static void test_get_refused(void **state)
{
    static const char *const paths[] = {"/containers/x/start", "/v1.41/networks", "/networks/../x", "/swarm",
                                        ""};
    struct session s;

    (void)state;
    start_with(&s, &(struct fake_plan){.capture = "20.10"});
    assert_int_equal(docker_client_get(s.client, "/networks", on_reply, &s, NULL), -ENOTCONN);
    connect_now(&s);
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        assert_int_equal(docker_client_get(s.client, paths[i], on_reply, &s, NULL), -EPERM);
    run_for(&s, 50000);
    assert_int_equal(s.n_replies, 0);
    end(&s);
}

static void test_cancel(void **state)
{
    struct docker_request *request = NULL;
    struct session s;

    (void)state;
    connected(&s, &(struct fake_plan){.capture = "20.10"});
    assert_int_equal(docker_client_get(s.client, "/containers/slow/json", on_reply, &s, &request), 0);
    assert_non_null(request);
    run_for(&s, 100000);
    request = docker_request_cancel(request);
    assert_null(request);
    assert_null(docker_request_cancel(NULL));
    /* before it has so much as begun */
    assert_int_equal(docker_client_get(s.client, "/networks", on_reply, &s, &request), 0);
    docker_request_cancel(request);
    run_for(&s, 400000);
    assert_int_equal(s.n_replies, 0);
    get_now(&s, "/networks");
    assert_int_equal(s.reply_error, 0);
    end(&s);
}

static void test_free_cancels(void **state)
{
    struct session s;

    (void)state;
    connected(&s, &(struct fake_plan){.capture = "20.10"});
    for (unsigned i = 0; i < 3 * DOCKER_INSPECTS_MAX; i++)
        assert_int_equal(docker_client_get(s.client, "/containers/slow/json", on_reply, &s, NULL), 0);
    run_for(&s, 50000);
    s.client = docker_client_free(s.client);
    assert_null(s.client);
    run_for(&s, 400000);
    assert_int_equal(s.n_replies, 0);
    end(&s);
}

/* How many of the slow ones the Engine was at work on at once, and all in all. */
static void count_slow(char *requests, unsigned *ret_most, unsigned *ret_all)
{
    unsigned now = 0;
    char *save = NULL;

    *ret_most = *ret_all = 0;
    for (char *line = strtok_r(requests, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strcmp(line, "END") == 0) {
            now--;
        } else if (strstr(line, "/containers/slow/json")) {
            ++*ret_all;
            if (++now > *ret_most)
                *ret_most = now;
        }
    }
}

/* Inspections that the Engine holds back take turns, and waiting for the turn does not count as time of
 * theirs. */
static void test_inspections_in_turn(void **state)
{
    unsigned n = 10 * DOCKER_INSPECTS_MAX, most, all; /* ten turns of 0.3 s */
    _cleanup_free_ char *requests = NULL;
    struct session s;

    (void)state;
    connected(&s, &(struct fake_plan){.capture = "20.10"});
    docker_client_set_timeouts(s.client, 10000, 2500);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(docker_client_get(s.client, "/containers/slow/json", on_reply, &s, NULL), 0);
    run_until(&s, &s.n_replies, n);
    assert_int_equal(s.n_good, n);
    requests = fake_engine_requests(s.engine);
    count_slow(requests, &most, &all);
    assert_int_equal(all, n);
    assert_in_range(most, 2, DOCKER_INSPECTS_MAX);
    end(&s);
}

/* However many the Engine never answers, the rest is asked and answered. */
static void test_inspections_block_nothing(void **state)
{
    struct session s;

    (void)state;
    connected(&s, &(struct fake_plan){.capture = "20.10"});
    for (unsigned i = 0; i < 2 * DOCKER_INSPECTS_MAX; i++)
        assert_int_equal(docker_client_get(s.client, "/containers/hang/json", on_reply, &s, NULL), 0);
    get_now(&s, "/networks/0123");
    get_now(&s, "/containers/json?all=1");
    assert_int_equal(s.n_good, 2);
    end(&s);
}

/* A waiting one can be cancelled too, and the others still get their turn. */
static void test_cancel_waiting(void **state)
{
    struct docker_request *requests[DOCKER_INSPECTS_MAX + 4];
    struct session s;

    (void)state;
    connected(&s, &(struct fake_plan){.capture = "20.10"});
    for (unsigned i = 0; i < ARRAY_SIZE(requests); i++)
        assert_int_equal(docker_client_get(s.client, "/containers/slow/json", on_reply, &s, &requests[i]), 0);
    docker_request_cancel(requests[DOCKER_INSPECTS_MAX + 1]);
    docker_request_cancel(requests[0]);
    run_until(&s, &s.n_replies, ARRAY_SIZE(requests) - 2);
    run_for(&s, 400000);
    assert_int_equal(s.n_replies, ARRAY_SIZE(requests) - 2);
    assert_int_equal(s.n_good, s.n_replies);
    end(&s);
}

/* ---- events ------------------------------------------------------------------------------------------- */

static void on_opened(void *userdata)
{
    struct session *s = userdata;

    s->n_opened++;
    assert_int_equal(s->n_events, 0);
    /* a handler may ask */
    assert_int_equal(docker_client_get(s->client, "/networks", on_reply, s, NULL), 0);
}

static void on_event(const struct docker_event *event, void *userdata)
{
    struct session *s = userdata;

    assert_non_null(event->id);
    s->n_events++;
    if (s->n_events == s->stop_after)
        docker_client_events_stop(s->client);
}

static void on_problem(const char *message, void *userdata)
{
    struct session *s = userdata;

    s->n_problems++;
    set_text(&s->problem_message, message);
}

static void on_closed(int error, const char *message, void *userdata)
{
    struct session *s = userdata;

    s->n_closed++;
    s->closed_error = error;
    set_text(&s->closed_message, message);
}

static const struct docker_event_handlers handlers = {
    .opened = on_opened,
    .event = on_event,
    .problem = on_problem,
    .closed = on_closed,
};

static unsigned count_lines(const char *text)
{
    unsigned n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void test_events(void **state)
{
    static const size_t pieces[] = {0, 1, 7, 1000};
    size_t len;
    _cleanup_free_ char *text = capture_read("20.10", "events.jsonl", &len);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct session s;

        connected(&s, &(struct fake_plan){.capture = "20.10", .piece = pieces[i]});
        assert_int_equal(docker_client_events(s.client, 1795186608392123457, &handlers, &s), 0);
        run_until(&s, &s.n_events, count_lines(text));
        run_until(&s, &s.n_replies, 1);
        run_for(&s, 50000);
        assert_int_equal(s.n_opened, 1);
        assert_int_equal(s.n_events, count_lines(text));
        assert_int_equal(s.n_problems, 0);
        assert_int_equal(s.n_closed, 0);
        assert_int_equal(s.n_good, 1);
        end(&s);
    }
}

static void test_events_request(void **state)
{
    _cleanup_free_ char *requests = NULL;
    struct session s;

    (void)state;
    connected(&s, &(struct fake_plan){.capture = "20.10"});
    assert_int_equal(docker_client_events(s.client, 1795186608002123457, &handlers, &s), 0);
    run_until(&s, &s.n_opened, 1);
    requests = fake_engine_requests(s.engine);
    assert_non_null(strstr(
        requests,
        "GET /v1.41/events?since=1795186608.002123457&filters=%7B%22type%22%3A%5B%22container%22%2C%22network"
        "%22%5D%2C%22event%22%3A%5B%22create%22%2C%22start%22%2C%22die%22%2C%22stop%22%2C%22destroy%22%2C%22"
        "rename%22%2C%22pause%22%2C%22unpause%22%2C%22update%22%2C%22connect%22%2C%22disconnect%22%5D%7D\n"));
    end(&s);
}

static void test_events_end(void **state)
{
    static const enum fake_events ways[] = {FAKE_EVENTS_END, FAKE_EVENTS_BREAK};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        struct session s;

        connected(&s, &(struct fake_plan){.capture = "20.10", .events = ways[i], .piece = 100});
        assert_int_equal(docker_client_events(s.client, 0, &handlers, &s), 0);
        run_until(&s, &s.n_closed, 1);
        assert_int_equal(s.closed_error, -ECONNRESET);
        assert_non_null(strstr(s.closed_message, "ended its stream of events: it was stopped or restarted"));
        assert_true(s.n_events > 30); /* what came before the end was delivered */
        run_for(&s, 50000);
        assert_int_equal(s.n_closed, 1);
        end(&s);
    }
}

static void test_events_never_open(void **state)
{
    static const struct {
        enum fake_events way;
        int error;
        const char *message;
    } cases[] = {
        {FAKE_EVENTS_REFUSED, -EINVAL, "with status 400: client version 1.41 is too old. Please upgrade"},
        {FAKE_EVENTS_HANG, -ETIMEDOUT, "did not answer GET /events within 1 s"},
        {FAKE_EVENTS_CLOSE, -ECONNRESET,
         "closed the connection before its answer to GET /events was complete"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct session s;

        connected(&s, &(struct fake_plan){.capture = "20.10", .events = cases[i].way});
        docker_client_set_timeouts(s.client, 1000, 1000);
        assert_int_equal(docker_client_events(s.client, 0, &handlers, &s), 0);
        run_until(&s, &s.n_closed, 1);
        assert_int_equal(s.n_opened, 0);
        assert_int_equal(s.n_events, 0);
        assert_int_equal(s.closed_error, cases[i].error);
        assert_non_null(strstr(s.closed_message, cases[i].message));
        end(&s);
    }
}

/* An open stream that is quiet is not timed out. */
static void test_events_quiet(void **state)
{
    struct session s;

    (void)state;
    connected(&s, &(struct fake_plan){.capture = "20.10", .event_text = ""});
    docker_client_set_timeouts(s.client, 1000, 1000);
    assert_int_equal(docker_client_events(s.client, 0, &handlers, &s), 0);
    run_until(&s, &s.n_opened, 1);
    run_for(&s, 1500000);
    assert_int_equal(s.n_closed, 0);
    end(&s);
}

/* Nonsense is reported and skipped; what follows is understood. */
static void test_events_problems(void **state)
{
    static const char good[] = "{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"aa\"}}\n";
    _cleanup_free_ char *long_line = xcalloc(DOCKER_LINE_MAX + 2, 1);
    _cleanup_free_ char *text = NULL;
    struct session s;

    (void)state;
    memset(long_line, 'x', DOCKER_LINE_MAX + 1);
    text = xasprintf("%sno JSON\n{}\n\n%s%s\n%s", good, good, long_line, good);
    connected(&s, &(struct fake_plan){.capture = "20.10", .event_text = text, .piece = 40000});
    assert_int_equal(docker_client_events(s.client, 0, &handlers, &s), 0);
    run_until(&s, &s.n_events, 3);
    assert_int_equal(s.n_problems, 3);
    assert_string_equal(s.problem_message, "the Engine sent an event of over 1048576 bytes");
    assert_int_equal(s.n_closed, 0);
    end(&s);
}

static void test_events_stop(void **state)
{
    struct session s;

    (void)state;
    connected(&s, &(struct fake_plan){.capture = "20.10", .events = FAKE_EVENTS_END});
    s.stop_after = 5;
    assert_int_equal(docker_client_events(s.client, 0, &handlers, &s), 0);
    run_until(&s, &s.n_events, 5);
    run_for(&s, 100000);
    assert_int_equal(s.n_events, 5);
    assert_int_equal(s.n_closed, 0);
    docker_client_events_stop(s.client); /* twice is fine */
    end(&s);
}

/* From the handler of the end, everything again. */
static void on_closed_again(int error, const char *message, void *userdata)
{
    struct session *s = userdata;

    on_closed(error, message, userdata);
    if (s->n_closed < 3) {
        s->n_events = 0;
        assert_int_equal(docker_client_events(s->client, 0,
                                              &(struct docker_event_handlers){.opened = on_opened,
                                                                              .event = on_event,
                                                                              .problem = NULL,
                                                                              .closed = on_closed_again},
                                              s),
                         0);
    }
}

static void test_events_again(void **state)
{
    struct docker_event_handlers again = handlers;
    struct session s;

    (void)state;
    again.problem = NULL;
    again.closed = on_closed_again;
    connected(&s,
              &(struct fake_plan){.capture = "20.10", .events = FAKE_EVENTS_END, .event_text = "nonsense\n"});
    assert_int_equal(docker_client_events(s.client, 0, &again, &s), 0);
    run_until(&s, &s.n_closed, 3);
    assert_int_equal(s.n_opened, 3);
    end(&s);
}

/* A new stream takes the place of the old one, of which no word comes any more. */
static void test_events_replaced(void **state)
{
    struct session old = {0}, s;

    (void)state;
    connected(&s, &(struct fake_plan){.capture = "20.10"});
    assert_int_equal(docker_client_events(s.client, 0, &handlers, &old), 0);
    assert_int_equal(docker_client_events(s.client, 0, &handlers, &s), 0);
    run_until(&s, &s.n_opened, 1);
    run_for(&s, 100000);
    assert_int_equal(old.n_opened + old.n_events + old.n_closed, 0);
    assert_true(s.n_events > 0);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_connect_refused),
        cmocka_unit_test(test_connect_no_answer),
        cmocka_unit_test(test_no_socket),
        cmocka_unit_test(test_no_permission),
        cmocka_unit_test(test_path_too_long),
        cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_get_order),
        cmocka_unit_test(test_get_is_quick),
        cmocka_unit_test(test_get_errors),
        cmocka_unit_test(test_get_timeout),
        cmocka_unit_test(test_get_refused),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_free_cancels),
        cmocka_unit_test(test_inspections_in_turn),
        cmocka_unit_test(test_inspections_block_nothing),
        cmocka_unit_test(test_cancel_waiting),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_events_request),
        cmocka_unit_test(test_events_end),
        cmocka_unit_test(test_events_never_open),
        cmocka_unit_test(test_events_quiet),
        cmocka_unit_test(test_events_problems),
        cmocka_unit_test(test_events_stop),
        cmocka_unit_test(test_events_again),
        cmocka_unit_test(test_events_replaced),
    };

    /* Whoever has a proxy in the environment means other connections. */
    setenv("http_proxy", "http://127.0.0.1:9", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:9", 1);
    return cmocka_run_group_tests_name("docker-client", tests, NULL, NULL);
}
