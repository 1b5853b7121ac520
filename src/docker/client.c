/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "docker/client.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include <utlist.h>

#include "client_priv.h"

#define INSPECTION "/containers/"
#define LIST "/containers/json"

struct docker_request {
    struct docker_client *client;
    docker_reply_handler on_reply;
    docker_connect_handler on_connect; /* the request is that of docker_client_connect() */
    void *userdata;
    char *path;
    unsigned timeout_ms;
    bool inspection; /* of a container */
    CURL *easy;      /* NULL: its turn has not come */
    struct body body;
    struct docker_request *prev, *next;
};

bool body_add(struct body *body, const char *bytes, size_t len, size_t max)
{
    if (len > max - body->len) {
        body->too_large = true;
        return false;
    }
    if (body->len + len + 1 > body->size) {
        body->size = 2 * (body->len + len + 1);
        body->bytes = xreallocarray(body->bytes, body->size, 1);
    }
    memcpy(body->bytes + body->len, bytes, len);
    body->len += len;
    body->bytes[body->len] = '\0';
    return true;
}

CURL *client_transfer(const struct docker_client *client, const char *path, bool versioned,
                      body_handler on_body, void *body_userdata)
{
    _cleanup_free_ char *url = NULL;
    CURL *easy = curl_easy_init();

    if (!easy)
        return NULL;
    /* The host's name is of no meaning, only HTTP wants one. */
    if (versioned)
        url = xasprintf("http://docker/v1.%u%s", client->version.api_minor, path);
    else
        url = xasprintf("http://docker%s", path);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, client->socket);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*"); /* whatever the environment says */
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "cofferdam/" COFFERDAM_VERSION);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, body_userdata);
    return easy;
}

/* ---- requests ----------------------------------------------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t n, void *userdata)
{
    struct docker_request *request = userdata;

    return body_add(&request->body, bytes, size * n, DOCKER_ANSWER_MAX) ? size * n : 0;
}

static void request_free(struct docker_request *request)
{
    free(request->body.bytes);
    free(request->path);
    free(request);
}

static void stop(struct docker_request *request)
{
    struct docker_client *client = request->client;

    if (!request->easy) {
        DL_DELETE(client->waiting, request);
        return;
    }
    curl_multi_remove_handle(curl_loop_multi(client->loop), request->easy);
    curl_easy_cleanup(request->easy);
    request->easy = NULL;
    DL_DELETE(client->running, request);
    if (request->inspection)
        client->n_inspections--;
}

/* Hands it to libcurl, which reports everything later, from the event loop. */
static int start(struct docker_request *request)
{
    struct docker_client *client = request->client;
    /* Which version is spoken is what /version is to tell, also when another was settled before. */
    bool versioned = !request->on_connect;
    CURL *easy;

    if (versioned && !client->connected)
        return -ENOTCONN;
    easy = client_transfer(client, request->path, versioned, on_body, request);
    if (!easy)
        return -ENOMEM;
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    if (curl_multi_add_handle(curl_loop_multi(client->loop), easy) != CURLM_OK) {
        curl_easy_cleanup(easy);
        return -EIO;
    }
    request->easy = easy;
    if (request->inspection)
        client->n_inspections++;
    DL_APPEND(client->running, request);
    return 0;
}

static int start_or_wait(struct docker_request *request)
{
    struct docker_client *client = request->client;

    if (!request->inspection || client->n_inspections < DOCKER_INSPECTS_MAX)
        return start(request);
    DL_APPEND(client->waiting, request);
    return 0;
}

static void tell_version(const struct docker_request *request, const struct outcome *outcome)
{
    _cleanup_diags_ struct diags diags = {0};
    struct docker_client *client = request->client;
    struct docker_version version;
    int r = outcome->error;

    docker_version_clear(&client->version);
    client->connected = false;
    if (r == 0)
        r = docker_decode_version(request->body.bytes ? request->body.bytes : "", request->body.len, &version,
                                  &diags);
    if (r == 0) {
        client->version = version;
        client->connected = true;
        request->on_connect(0, &client->version, NULL, request->userdata);
        return;
    }
    request->on_connect(r, NULL, outcome->error ? outcome->message : diags.v[0].message, request->userdata);
}

static void tell_reply(const struct docker_request *request, const struct outcome *outcome)
{
    struct docker_reply reply = {
        .error = outcome->error,
        .status = outcome->status,
        .message = outcome->message,
    };

    if (outcome->error == 0) {
        reply.body = request->body.bytes ? request->body.bytes : "";
        reply.len = request->body.len;
    }
    request->on_reply(&reply, request->userdata);
}

static void request_ended(struct docker_request *request, struct outcome *outcome)
{
    struct docker_client *client = request->client;

    client->calling = true;
    if (request->on_connect)
        tell_version(request, outcome);
    else
        tell_reply(request, outcome);
    client->calling = false;
    outcome_clear(outcome);
    request_free(request);
}

static void start_waiting(struct docker_client *client)
{
    while (client->waiting && client->n_inspections < DOCKER_INSPECTS_MAX) {
        struct docker_request *request = client->waiting;
        int r;

        DL_DELETE(client->waiting, request);
        r = start(request);
        if (r < 0) {
            struct outcome outcome = {.error = r,
                                      .message = xasprintf("GET %s: %s", request->path, strerror(-r))};

            request_ended(request, &outcome);
        }
    }
}

static void transfer_ended(struct docker_client *client, CURL *easy, CURLcode code)
{
    struct docker_request *request;
    struct attempt attempt;
    struct outcome outcome;
    char *private = NULL;

    if (stream_is(client, easy)) {
        stream_ended(client, code);
        return;
    }
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    request = (struct docker_request *)(void *)private;
    attempt =
        (struct attempt){.socket = client->socket, .path = request->path, .timeout_ms = request->timeout_ms};
    outcome =
        outcome_of(&attempt, easy, code, request->body.bytes, request->body.len, request->body.too_large);
    stop(request);
    request_ended(request, &outcome);
}

static void after_work(void *userdata)
{
    struct docker_client *client = userdata;
    CURLMsg *message;
    int left;

    stream_deliver(client);
    while ((message = curl_multi_info_read(curl_loop_multi(client->loop), &left)))
        if (message->msg == CURLMSG_DONE)
            transfer_ended(client, message->easy_handle, message->data.result);
    start_waiting(client);
}

static bool is_inspection(const char *path)
{
    return strncmp(path, INSPECTION, strlen(INSPECTION)) == 0 && strcspn(path, "?") != strlen(LIST);
}

static struct docker_request *request_new(struct docker_client *client, const char *path, void *userdata)
{
    struct docker_request *request = xnew(struct docker_request);

    request->client = client;
    request->userdata = userdata;
    request->path = xstrdup(path);
    request->inspection = is_inspection(path);
    request->timeout_ms = request->inspection ? client->inspect_timeout_ms : client->timeout_ms;
    return request;
}

static int ask(struct docker_request *request, struct docker_request **ret)
{
    int r = start_or_wait(request);

    if (r < 0) {
        request_free(request);
        return r;
    }
    if (ret)
        *ret = request;
    return 0;
}

int docker_client_get(struct docker_client *client, const char *path, docker_reply_handler handler,
                      void *userdata, struct docker_request **ret)
{
    struct docker_request *request;

    if (!docker_path_allowed(path))
        return -EPERM;
    if (!client->connected)
        return -ENOTCONN;
    request = request_new(client, path, userdata);
    request->on_reply = handler;
    return ask(request, ret);
}

int docker_client_connect(struct docker_client *client, docker_connect_handler handler, void *userdata)
{
    struct docker_request *request = request_new(client, "/version", userdata);

    request->on_connect = handler;
    return ask(request, NULL);
}

struct docker_request *docker_request_cancel(struct docker_request *request)
{
    if (request) {
        stop(request);
        request_free(request);
    }
    return NULL;
}

/* ---- the client --------------------------------------------------------------------------------------- */

int docker_client_new(sd_event *event, const char *socket_path, struct docker_client **ret)
{
    struct docker_client *client;
    int r;

    if (strlen(socket_path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return -ENAMETOOLONG;
    if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK)
        return -ENOMEM;
    client = xnew(struct docker_client);
    client->socket = xstrdup(socket_path);
    docker_client_set_timeouts(client, DOCKER_TIMEOUT_MS, DOCKER_INSPECT_TIMEOUT_MS);
    r = curl_loop_new(event, after_work, client, &client->loop);
    if (r < 0) {
        docker_client_free(client);
        return r;
    }
    *ret = client;
    return 0;
}

struct docker_client *docker_client_free(struct docker_client *client)
{
    if (!client)
        return NULL;
    assert(!client->calling);
    docker_client_events_stop(client);
    while (client->running)
        docker_request_cancel(client->running);
    while (client->waiting)
        docker_request_cancel(client->waiting);
    curl_loop_free(client->loop);
    docker_version_clear(&client->version);
    free(client->socket);
    free(client);
    curl_global_cleanup();
    return NULL;
}

void docker_client_set_timeouts(struct docker_client *client, unsigned answer_ms, unsigned inspect_ms)
{
    client->timeout_ms = answer_ms;
    client->inspect_timeout_ms = inspect_ms;
}

const struct docker_version *docker_client_version(const struct docker_client *client)
{
    return client->connected ? &client->version : NULL;
}

const char *docker_client_socket(const struct docker_client *client)
{
    return client->socket;
}
