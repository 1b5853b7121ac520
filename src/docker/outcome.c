/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "outcome.h"

#include <errno.h>
#include <string.h>

void outcome_clear(struct outcome *outcome)
{
    free(outcome->message);
    *outcome = (struct outcome){0};
}

/* A path without its query. */
static int path_width(const struct attempt *attempt)
{
    return (int)strcspn(attempt->path, "?");
}

struct outcome outcome_timed_out(const struct attempt *attempt)
{
    return (struct outcome){
        .error = -ETIMEDOUT,
        .message = xasprintf("the Docker Engine at %s did not answer GET %.*s within %g s", attempt->socket,
                             path_width(attempt), attempt->path, attempt->timeout_ms / 1000.0),
    };
}

static struct outcome not_connected(const struct attempt *attempt, CURL *easy)
{
    long os_error = 0;

    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_error);
    switch (os_error) {
    case ENOENT:
    case ENOTDIR:
        return (struct outcome){
            .error = -ENOENT,
            .message = xasprintf("there is no socket %s: is the Docker Engine installed and running?",
                                 attempt->socket),
        };
    case EACCES:
    case EPERM:
        return (struct outcome){
            .error = -EACCES,
            .message = xasprintf("no permission to use %s: run as root, or as a member of its group",
                                 attempt->socket),
        };
    case ECONNREFUSED:
        return (struct outcome){
            .error = -ECONNREFUSED,
            .message = xasprintf("nobody listens on %s: the Docker Engine is not running", attempt->socket),
        };
    default:
        return (struct outcome){
            .error = os_error > 0 ? (int)-os_error : -ECONNREFUSED,
            .message = xasprintf("cannot connect to %s: %s", attempt->socket,
                                 os_error > 0 ? strerror((int)os_error) : "no reason given"),
        };
    }
}

static int status_error(unsigned status)
{
    switch (status) {
    case 400:
        return -EINVAL;
    case 401:
    case 403:
        return -EACCES;
    case 404:
        return -ENOENT;
    case 409:
        return -EBUSY;
    default:
        return status >= 500 && status <= 599 ? -EREMOTEIO : -EPROTO;
    }
}

static struct outcome refused(const struct attempt *attempt, unsigned status, const char *body, size_t len)
{
    _cleanup_free_ char *text = docker_error_text(body, len);
    int error = status_error(status);
    /* The Engine itself never forbids anything that we ask for. */
    const char *hint = error == -EACCES ? " (a proxy in front of the Engine must allow this path)" : "";

    return (struct outcome){
        .error = error,
        .status = status,
        .message = xasprintf("the Docker Engine answered GET %.*s with status %u%s%s%s", path_width(attempt),
                             attempt->path, status, text[0] ? ": " : "", text, hint),
    };
}

static struct outcome cut_off(const struct attempt *attempt)
{
    return (struct outcome){
        .error = -ECONNRESET,
        .message = xasprintf(
            "the Docker Engine at %s closed the connection before its answer to GET %.*s was complete",
            attempt->socket, path_width(attempt), attempt->path),
    };
}

static struct outcome too_long(const struct attempt *attempt)
{
    return (struct outcome){
        .error = -EFBIG,
        .message = xasprintf("the Docker Engine's answer to GET %.*s is over %zu MiB", path_width(attempt),
                             attempt->path, DOCKER_ANSWER_MAX / (1024 * 1024)),
    };
}

static struct outcome answered(const struct attempt *attempt, CURL *easy, const char *body, size_t len)
{
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200)
        return (struct outcome){.status = 200};
    return refused(attempt, (unsigned)status, body, len);
}

struct outcome outcome_of(const struct attempt *attempt, CURL *easy, CURLcode code, const char *body,
                          size_t len, bool too_large)
{
    if (too_large)
        return too_long(attempt);
    /* libcurl has a hundred codes; what is not told apart here is no HTTP. */
    if (code == CURLE_OK)
        return answered(attempt, easy, body, len);
    if (code == CURLE_COULDNT_CONNECT)
        return not_connected(attempt, easy);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return outcome_timed_out(attempt);
    if (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR || code == CURLE_GOT_NOTHING ||
        code == CURLE_PARTIAL_FILE)
        return cut_off(attempt);
    return (struct outcome){
        .error = -EPROTO,
        .message = xasprintf("what answers GET %.*s at %s is no Docker Engine: %s", path_width(attempt),
                             attempt->path, attempt->socket, curl_easy_strerror(code)),
    };
}
