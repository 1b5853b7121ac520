/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture.h"

#define LOG_MAX (1024 * 1024)

struct fake_engine {
    char *directory; /* NULL: the path was given */
    char *socket;
    int listener;
    int log; /* of a pipe, the end to read from */
    char *requests;
    size_t n_requests; /* bytes */
    pid_t pid;         /* leads a process group */
};

/* One connection, in the engine's processes. */
struct server {
    const struct fake_plan *plan;
    int fd, log;
};

static void die(const char *what)
{
    perror(what);
    abort();
}

/* ---- answering ---------------------------------------------------------------------------------------- */

static void send_bytes(const struct server *server, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(server->fd, bytes, len, MSG_NOSIGNAL);

        if (n < 0)
            _exit(0); /* the client has gone */
        bytes += n;
        len -= (size_t)n;
    }
}

static void send_text(const struct server *server, const char *text)
{
    send_bytes(server, text, strlen(text));
}

static void send_chunk(const struct server *server, const char *bytes, size_t len)
{
    char head[32];

    snprintf(head, sizeof(head), "%zx\r\n", len);
    send_text(server, head);
    send_bytes(server, bytes, len);
    send_text(server, "\r\n");
}

/* In pieces; now and then with a pause, so that they arrive one by one. */
static void send_chunks(const struct server *server, const char *bytes, size_t len)
{
    size_t piece = server->plan->piece ? server->plan->piece : len;

    for (size_t at = 0, i = 0; at < len; at += piece, i++) {
        send_chunk(server, bytes + at, piece < len - at ? piece : len - at);
        if (i % 100 == 50)
            usleep(1000);
    }
}

static void answer(const struct server *server, const char *status, const char *type, const char *body,
                   size_t len)
{
    char head[256];

    if (server->plan->piece) {
        snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n",
                 status, type);
        send_text(server, head);
        send_chunks(server, body, len);
        send_text(server, "0\r\n\r\n");
        return;
    }
    snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", status,
             type, len);
    send_text(server, head);
    send_bytes(server, body, len);
}

static void answer_text(const struct server *server, const char *status, const char *body)
{
    answer(server, status, "text/plain; charset=utf-8", body, strlen(body));
}

static void answer_capture(const struct server *server, const char *file)
{
    size_t len;
    _cleanup_free_ char *bytes = capture_read(server->plan->capture, file, &len);

    answer(server, "200 OK", "application/json", bytes, len);
}

static void hang(void)
{
    pause();
    _exit(0);
}

static void answer_events(const struct server *server)
{
    static const char head[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    _cleanup_free_ char *bytes = NULL;
    size_t len;

    switch (server->plan->events) {
    case FAKE_EVENTS_REFUSED:
        answer_text(server, "400 Bad Request", "client version 1.41 is too old. Please upgrade\n");
        return;
    case FAKE_EVENTS_HANG:
        hang();
        return;
    case FAKE_EVENTS_CLOSE:
        _exit(0);
    case FAKE_EVENTS_STAY:
    case FAKE_EVENTS_END:
    case FAKE_EVENTS_BREAK:
        break;
    }
    send_text(server, head);
    if (server->plan->event_text) {
        bytes = xstrdup(server->plan->event_text);
        len = strlen(bytes);
    } else {
        bytes = capture_read(server->plan->capture, "events.jsonl", &len);
    }
    send_chunks(server, bytes, len);
    if (server->plan->events == FAKE_EVENTS_STAY)
        hang();
    if (server->plan->events == FAKE_EVENTS_END)
        send_text(server, "0\r\n\r\n");
    _exit(0);
}

static void answer_huge(const struct server *server)
{
    static char zeros[65536];

    send_text(server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (;;)
        send_chunk(server, zeros, sizeof(zeros));
}

static void note(const struct server *server, const char *line)
{
    char text[512];
    int n = snprintf(text, sizeof(text), "%s\n", line);

    if (write(server->log, text, (size_t)n) != n)
        _exit(1);
}

static void answer_object(const struct server *server, const char *id)
{
    if (strcmp(id, "none") == 0) {
        answer_text(server, "404 Not Found", "{\"message\":\"No such container: none\"}\n");
    } else if (strcmp(id, "bad") == 0) {
        answer_text(server, "400 Bad Request", "client version 1.10 is too old. Please\nupgrade\n");
    } else if (strcmp(id, "busy") == 0) {
        answer_text(server, "409 Conflict", "{\"message\":\"removal is in progress\"}");
    } else if (strcmp(id, "broken") == 0) {
        answer_text(server, "500 Internal Server Error", "");
    } else if (strcmp(id, "forbidden") == 0) {
        answer_text(server, "403 Forbidden", "<html><body><h1>403 Forbidden</h1>\n</body></html>\n");
    } else if (strcmp(id, "odd") == 0) {
        send_text(server,
                  "HTTP/1.1 302 Found\r\nLocation: http://docker/secrets\r\nContent-Length: 0\r\n\r\n");
    } else if (strcmp(id, "slow") == 0) {
        usleep(300000);
        note(server, "END");
        answer_capture(server, "container-db.json");
    } else if (strcmp(id, "hang") == 0) {
        hang();
    } else if (strcmp(id, "early") == 0) {
        send_text(server, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"Id\":");
        _exit(0);
    } else if (strcmp(id, "cut") == 0) {
        send_text(server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"Id\"");
        _exit(0);
    } else if (strcmp(id, "silent") == 0) {
        _exit(0);
    } else if (strcmp(id, "garbage") == 0) {
        send_text(server, "SSH-2.0-OpenSSH_9.2p1\r\n\r\n");
        _exit(0);
    } else if (strcmp(id, "huge") == 0) {
        answer_huge(server);
    } else if (strcmp(id, "text") == 0) {
        answer_text(server, "200 OK", "hello");
    } else {
        answer_capture(server, "container-db.json");
    }
}

static void answer_version(const struct server *server)
{
    if (server->plan->version_hangs)
        hang();
    if (server->plan->version)
        answer(server, "200 OK", "application/json", server->plan->version, strlen(server->plan->version));
    else
        answer_capture(server, "version.json");
}

static void answer_path(const struct server *server, const char *path)
{
    char id[64];

    if (strncmp(path, "/v1.", 4) == 0)
        path = strchr(path + 4, '/') ? strchr(path + 4, '/') : path;
    if (strcmp(path, "/version") == 0) {
        answer_version(server);
    } else if (strncmp(path, "/events?", 8) == 0) {
        answer_events(server);
    } else if (strncmp(path, "/containers/json", 16) == 0) {
        answer_capture(server, "containers.json");
    } else if (sscanf(path, "/containers/%63[^/]/json", id) == 1) {
        answer_object(server, id);
    } else if (strcmp(path, "/networks") == 0) {
        answer_capture(server, "networks.json");
    } else if (strncmp(path, "/networks/", 10) == 0) {
        answer_capture(server, "network-six.json");
    } else {
        answer_text(server, "404 Not Found", "{\"message\":\"page not found\"}");
    }
}

static void serve(const struct server *server)
{
    char head[8192] = "", method[16], path[4096], line[4200];
    size_t len = 0;

    for (;;) {
        char *end = strstr(head, "\r\n\r\n");
        ssize_t n;

        if (end) {
            if (sscanf(head, "%15s %4095s", method, path) != 2)
                _exit(1);
            snprintf(line, sizeof(line), "%s %s", method, path);
            note(server, line);
            answer_path(server, path);
            len -= (size_t)(end + 4 - head);
            memmove(head, end + 4, len + 1);
            continue;
        }
        n = recv(server->fd, head + len, sizeof(head) - 1 - len, 0);
        if (n <= 0)
            _exit(0);
        len += (size_t)n;
        head[len] = '\0';
    }
}

/* ---- the engine --------------------------------------------------------------------------------------- */

static void run(const struct fake_plan *plan, int listener, int log)
{
    struct server server = {.plan = plan, .log = log};

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        server.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (server.fd < 0)
            _exit(1);
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            serve(&server);
        }
        close(server.fd);
    }
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0)
        die(path);
    return fd;
}

struct fake_engine *fake_engine_start(const struct fake_plan *plan, const char *path)
{
    struct fake_engine *engine = xnew(struct fake_engine);
    int log[2];

    if (path) {
        engine->socket = xstrdup(path);
    } else {
        engine->directory = xstrdup("/tmp/cofferdam-fake-XXXXXX");
        if (!mkdtemp(engine->directory) || chmod(engine->directory, 0755) < 0)
            die(engine->directory);
        engine->socket = xasprintf("%s/docker.sock", engine->directory);
    }
    if (pipe2(log, O_CLOEXEC) < 0 || fcntl(log[1], F_SETPIPE_SZ, LOG_MAX) < 0)
        die("pipe");
    fcntl(log[0], F_SETFL, O_NONBLOCK);
    engine->listener = listen_at(engine->socket);
    engine->log = log[0];
    engine->pid = fork();
    if (engine->pid < 0)
        die("fork");
    if (engine->pid == 0)
        run(plan, engine->listener, log[1]);
    setpgid(engine->pid, engine->pid);
    close(engine->listener);
    close(log[1]);
    return engine;
}

struct fake_engine *fake_engine_stop(struct fake_engine *engine)
{
    if (!engine)
        return NULL;
    kill(-engine->pid, SIGKILL);
    waitpid(engine->pid, NULL, 0);
    unlink(engine->socket);
    if (engine->directory)
        rmdir(engine->directory);
    close(engine->log);
    free(engine->requests);
    free(engine->socket);
    free(engine->directory);
    free(engine);
    return NULL;
}

const char *fake_engine_socket(const struct fake_engine *engine)
{
    return engine->socket;
}

char *fake_engine_requests(struct fake_engine *engine)
{
    char buffer[4096];
    ssize_t n;

    while ((n = read(engine->log, buffer, sizeof(buffer))) > 0) {
        engine->requests = xreallocarray(engine->requests, engine->n_requests + (size_t)n, 1);
        memcpy(engine->requests + engine->n_requests, buffer, (size_t)n);
        engine->n_requests += (size_t)n;
    }
    return xstrndup(engine->requests ? engine->requests : "", engine->n_requests);
}
