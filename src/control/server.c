/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/server.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "control/line_queue.h"
#include "control/protocol.h"

#define REQUEST_SIZE_MIN ((size_t)4096) /* doubled until CONTROL_REQUEST_MAX, a power of two */

/* What follows an answer. */
struct control_stream {
    struct client *client;
    struct line_queue queue;
    control_stream_end ended;
    void *userdata;
};

struct client {
    struct control_server *server;
    int fd;
    sd_event_source *io, *timer;
    struct control_peer peer;
    char *request;
    size_t request_len, request_size;
    char *answer; /* NULL until the request is complete; of a stream, once more when it is sent */
    size_t answer_len, answer_sent;
    struct control_stream *stream; /* NULL: the answer is all */
    struct client *next;
};

struct control_server {
    sd_event *event;
    sd_event_source *io;
    int fd, lock_fd;
    char *path;
    struct control_service service;
    struct client *clients;
    struct client *asking;      /* whose request is being handled; else NULL */
    size_t n_clients, n_others; /* the latter of other users than the server's */
    size_t n_streams, n_other_streams;
};

static bool is_other(const struct control_peer *peer)
{
    return peer->uid != geteuid();
}

/* ---- streams ------------------------------------------------------------------------------------------ */

static void stream_end(struct client *client)
{
    struct control_server *server = client->server;
    struct control_stream *stream = STEAL(client->stream);

    if (!stream)
        return;
    server->n_streams--;
    server->n_other_streams -= is_other(&client->peer);
    line_queue_clear(&stream->queue);
    if (stream->ended)
        stream->ended(stream->userdata);
    free(stream);
}

/* A client that goes is noticed as it can be read from. */
static void stream_await(const struct client *client)
{
    sd_event_source_set_io_events(client->io, client->stream->queue.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* The answer is sent: what comes now may take as long as it likes. */
static void stream_begin(struct client *client)
{
    free(STEAL(client->answer));
    free(STEAL(client->request));
    sd_event_source_set_enabled(client->timer, SD_EVENT_OFF);
    stream_await(client);
}

static bool stream_write(struct client *client)
{
    struct line_queue *queue = &client->stream->queue;
    ssize_t n = send(client->fd, queue->bytes + queue->start, queue->len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    line_queue_take(queue, (size_t)n);
    stream_await(client);
    return true;
}

/* Returns false when the client is to be dropped: it has gone, or says something where there is nothing to be said. */
static bool stream_serve(struct client *client, uint32_t events)
{
    char byte;

    if (events & ~(uint32_t)EPOLLOUT) {
        ssize_t n = recv(client->fd, &byte, 1, MSG_DONTWAIT);
        if (n >= 0 || (errno != EAGAIN && errno != EINTR))
            return false;
    }
    return !(events & EPOLLOUT) || stream_write(client);
}

struct control_stream *control_stream_open(struct control_server *server, control_stream_end ended,
                                           void *userdata)
{
    struct client *client = server->asking;

    if (!client || client->stream || server->n_streams >= CONTROL_STREAMS_MAX ||
        (is_other(&client->peer) && server->n_other_streams >= CONTROL_OTHER_STREAMS_MAX))
        return NULL;
    client->stream = xnew(struct control_stream);
    *client->stream = (struct control_stream){
        .client = client, .queue = LINE_QUEUE(CONTROL_STREAM_MAX), .ended = ended, .userdata = userdata};
    server->n_streams++;
    server->n_other_streams += is_other(&client->peer);
    return client->stream;
}

void control_stream_send(struct control_stream *stream, const char *line, size_t len)
{
    bool waited = stream->queue.len > 0;

    line_queue_add(&stream->queue, line, len);
    if (!waited && !stream->client->answer)
        stream_await(stream->client);
}

/* ---- one client --------------------------------------------------------------------------------------- */

static void client_drop(struct client *client)
{
    struct control_server *server = client->server;

    stream_end(client);

    for (struct client **at = &server->clients; *at; at = &(*at)->next)
        if (*at == client) {
            *at = client->next;
            server->n_clients--;
            server->n_others -= is_other(&client->peer);
            break;
        }
    sd_event_source_disable_unref(client->io);
    sd_event_source_disable_unref(client->timer);
    close(client->fd);
    free(client->request);
    free(client->answer);
    free(client);
    /* The queue of connections is not accepted from while all places are taken. */
    if (server->io)
        sd_event_source_set_enabled(server->io, SD_EVENT_ON);
}

static void client_answer(struct client *client, json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);

    json_decref(answer);
    if (!text)
        text = xstrdup("{\"ok\":false,\"exit\":1,\"error\":\"the answer cannot be put into JSON\"}");
    client->answer_len = strlen(text) + 1;
    if (client->answer_len > CONTROL_MESSAGE_MAX) {
        free(text);
        text = xstrdup("{\"ok\":false,\"exit\":1,\"error\":\"the answer is too long\"}");
        client->answer_len = strlen(text) + 1;
    }
    client->answer = text;
    client->answer[client->answer_len - 1] =
        '\n'; /* instead of the NUL: only answer_len counts from here on */
    sd_event_source_set_io_events(client->io, EPOLLOUT);
    sd_event_source_set_time_relative(client->timer, CONTROL_ANSWER_USEC);
}

static void client_refuse(struct client *client, const char *error)
{
    const struct control_service *service = &client->server->service;

    if (service->refused)
        service->refused(error, &client->peer, service->userdata);
    client_answer(client, control_error(STATUS_ERROR, error, NULL, NULL));
}

static void client_handle(struct client *client, size_t len)
{
    const struct control_service *service = &client->server->service;
    json_error_t error;
    json_t *request = json_loadb(client->request, len, JSON_REJECT_DUPLICATES, &error);

    if (!json_is_object(request))
        client_refuse(client, "the request is not a JSON object on one line");
    else if (!json_is_string(json_object_get(request, "verb")))
        client_refuse(client, "the request has no \"verb\"");
    else {
        client->server->asking = client;
        json_t *answer = service->handle(request, &client->peer, service->userdata);
        client->server->asking = NULL;
        client_answer(client, answer);
    }
    json_decref(request);
}

/* Few requests hold policies; the others are short. */
static void client_grow(struct client *client)
{
    client->request_size = client->request_size ? 2 * client->request_size : REQUEST_SIZE_MIN;
    client->request = xreallocarray(client->request, client->request_size, 1);
}

/* Reads what is there. Returns false when the client is to be dropped. */
static bool client_read(struct client *client)
{
    if (client->request_len == client->request_size)
        client_grow(client);
    char *at = client->request + client->request_len;
    ssize_t n = recv(client->fd, at, client->request_size - client->request_len, MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    client->request_len += (size_t)n;
    char *end = memchr(at, '\n', (size_t)n);
    if (end)
        client_handle(client, (size_t)(end - client->request));
    else if (client->request_len == CONTROL_REQUEST_MAX)
        client_refuse(client, "the request is longer than 16 MiB");
    return true;
}

static bool client_write(struct client *client)
{
    ssize_t n = send(client->fd, client->answer + client->answer_sent,
                     client->answer_len - client->answer_sent, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    client->answer_sent += (size_t)n;
    if (client->answer_sent < client->answer_len)
        return true;
    if (client->stream)
        stream_begin(client);
    return client->stream;
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct client *client = userdata;
    bool keep = client->answer   ? client_write(client)
                : client->stream ? stream_serve(client, events)
                                 : client_read(client);

    (void)source;
    (void)fd;
    if (!keep)
        client_drop(client);
    return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    client_drop(userdata);
    return 0;
}

static bool has_group(int fd, gid_t group)
{
    _cleanup_free_ gid_t *groups = NULL;
    socklen_t len = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || errno != ERANGE)
        return false; /* it has none, or they cannot be known */
    groups = xcalloc(len, 1);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
        return false;
    for (size_t i = 0; i < len / sizeof(*groups); i++)
        if (groups[i] == group)
            return true;
    return false;
}

static int ask_who(int fd, const struct control_service *service, struct control_peer *ret)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return -errno;
    *ret = (struct control_peer){.pid = cred.pid, .uid = cred.uid, .gid = cred.gid};
    ret->in_group = service->has_group && (cred.gid == service->group || has_group(fd, service->group));
    return 0;
}

static void client_add(struct control_server *server, int fd)
{
    struct control_peer peer;

    if (ask_who(fd, &server->service, &peer) < 0 ||
        (is_other(&peer) && server->n_others >= CONTROL_OTHERS_MAX)) {
        close(fd);
        return;
    }
    struct client *client = xnew(struct client);
    *client = (struct client){.server = server, .fd = fd, .peer = peer, .next = server->clients};
    server->clients = client;
    server->n_clients++;
    server->n_others += is_other(&peer);
    if (sd_event_add_io(server->event, &client->io, fd, EPOLLIN, on_client, client) < 0 ||
        sd_event_add_time_relative(server->event, &client->timer, CLOCK_MONOTONIC, CONTROL_REQUEST_USEC, 0,
                                   on_timeout, client) < 0)
        client_drop(client);
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct control_server *server = userdata;

    (void)events;
    if (server->n_clients >= CONTROL_CLIENTS_MAX) {
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return 0;
    }
    int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client >= 0)
        client_add(server, client);
    return 0;
}

/* ---- the socket --------------------------------------------------------------------------------------- */

static int fail(struct diags *diags, int error, const char *what, const char *path)
{
    diag_add(diags, DIAG_ERROR, NULL, NULL, "%s %s: %s", what, path, strerror(-error));
    return error;
}

static int make_directory(const char *path, struct diags *diags)
{
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path)
        return 0;
    _cleanup_free_ char *directory = xstrndup(path, (size_t)(slash - path));
    if (mkdir(directory, 0755) < 0 && errno != EEXIST)
        return fail(diags, -errno, "cannot make the directory", directory);
    return 0;
}

static int take_lock(struct control_server *server, struct diags *diags)
{
    _cleanup_free_ char *path = xasprintf("%s.lock", server->path);

    server->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (server->lock_fd < 0)
        return fail(diags, -errno, "cannot open", path);
    if (flock(server->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return fail(diags, -errno, "cannot lock", path);
        diag_add(diags, DIAG_ERROR, NULL, NULL, "another cofferdamd serves %s", server->path);
        return -EADDRINUSE;
    }
    return 0;
}

#define READ_WRITE (ACL_READ | ACL_WRITE)

/* An access control list, as acl(5) and the kernel's posix_acl_xattr.h have it. Its owner may set it, without powers. */
static void let_group_in(struct control_server *server, struct diags *diags)
{
    struct {
        struct posix_acl_xattr_header header;
        struct posix_acl_xattr_entry entries[5];
    } acl = {
        .header = {htole32(POSIX_ACL_XATTR_VERSION)},
        .entries = {{htole16(ACL_USER_OBJ), htole16(READ_WRITE), htole32(ACL_UNDEFINED_ID)},
                    {htole16(ACL_GROUP_OBJ), 0, htole32(ACL_UNDEFINED_ID)},
                    {htole16(ACL_GROUP), htole16(READ_WRITE), htole32(server->service.group)},
                    {htole16(ACL_MASK), htole16(READ_WRITE), htole32(ACL_UNDEFINED_ID)},
                    {htole16(ACL_OTHER), 0, htole32(ACL_UNDEFINED_ID)}},
    };

    if (setxattr(server->path, "system.posix_acl_access", &acl, sizeof(acl), 0) < 0)
        diag_add(diags, DIAG_WARNING, NULL, NULL,
                 "group %u cannot be let in at %s (%s): only root may use the control socket",
                 (unsigned)server->service.group, server->path, strerror(errno));
}

static int bind_socket(struct control_server *server, struct diags *diags)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(server->path) >= sizeof(address.sun_path))
        return fail(diags, -ENAMETOOLONG, "cannot use the control socket", server->path);
    strcpy(address.sun_path, server->path);

    server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->fd < 0)
        return fail(diags, -errno, "cannot make the control socket", server->path);
    if (unlink(server->path) < 0 && errno != ENOENT)
        return fail(diags, -errno, "cannot remove the old control socket", server->path);
    mode_t mask = umask(0177); /* 0600 from the very first moment */
    int r = bind(server->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    umask(mask);
    if (r < 0)
        return fail(diags, r, "cannot bind the control socket", server->path);
    if (server->service.has_group)
        let_group_in(server, diags); /* nobody can connect before listen() */
    if (listen(server->fd, CONTROL_CLIENTS_MAX) < 0)
        return fail(diags, -errno, "cannot listen on", server->path);
    return 0;
}

int control_server_open(sd_event *event, const char *path, const struct control_service *service,
                        struct control_server **ret, struct diags *diags)
{
    _cleanup_(control_server_closep) struct control_server *server = xnew(struct control_server);
    int r;

    *server = (struct control_server){.fd = -1, .lock_fd = -1, .service = *service};
    server->path = xstrdup(path);
    server->event = sd_event_ref(event);
    r = make_directory(path, diags);
    if (r == 0)
        r = take_lock(server, diags);
    if (r == 0)
        r = bind_socket(server, diags);
    if (r < 0)
        return r;
    r = sd_event_add_io(event, &server->io, server->fd, EPOLLIN, on_connection, server);
    if (r < 0)
        return fail(diags, r, "cannot serve", path);
    *ret = STEAL(server);
    return 0;
}

struct control_server *control_server_close(struct control_server *server)
{
    if (!server)
        return NULL;
    server->io = sd_event_source_disable_unref(server->io);
    while (server->clients)
        client_drop(server->clients);
    if (server->fd >= 0) {
        unlink(server->path); /* ours: the lock is still held */
        close(server->fd);
    }
    if (server->lock_fd >= 0)
        close(server->lock_fd);
    sd_event_unref(server->event);
    free(server->path);
    free(server);
    return NULL;
}

bool control_server_busy(const struct control_server *server)
{
    for (const struct client *client = server->clients; client; client = client->next)
        if (client->answer)
            return true;
    return false;
}
