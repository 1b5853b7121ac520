/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loop.h"

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>

/* Connections that are kept open between requests. */
#define IDLE_CONNECTIONS_MAX 4L

#define TIMER_ACCURACY_USEC 1

struct curl_loop {
    sd_event *event;
    sd_event_source *timer;
    CURLM *multi;
    curl_loop_handler handler;
    void *userdata;
};

static void work(struct curl_loop *loop, curl_socket_t fd, int what)
{
    int running;

    curl_multi_socket_action(loop->multi, fd, what, &running);
    loop->handler(loop->userdata);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    int what = 0;

    (void)source;
    if (events & (EPOLLIN | EPOLLHUP))
        what |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        what |= CURL_CSELECT_OUT;
    if (events & EPOLLERR)
        what |= CURL_CSELECT_ERR;
    work(userdata, fd, what);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    work(userdata, CURL_SOCKET_TIMEOUT, 0);
    return 0;
}

static uint32_t epoll_events(int what)
{
    switch (what) {
    case CURL_POLL_IN:
        return EPOLLIN;
    case CURL_POLL_OUT:
        return EPOLLOUT;
    case CURL_POLL_INOUT:
        return EPOLLIN | EPOLLOUT;
    default:
        return 0;
    }
}

/* libcurl keeps our event source with the descriptor, and says so before it closes that. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *assigned)
{
    struct curl_loop *loop = userdata;
    sd_event_source *source = assigned;
    int r;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        sd_event_source_disable_unref(source);
        return 0;
    }
    if (source) {
        r = sd_event_source_set_io_events(source, epoll_events(what));
        return r < 0 ? -1 : 0;
    }
    r = sd_event_add_io(loop->event, &source, fd, epoll_events(what), on_io, loop);
    if (r < 0)
        return -1;
    sd_event_source_set_description(source, "docker-socket");
    curl_multi_assign(loop->multi, fd, source);
    return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *userdata)
{
    struct curl_loop *loop = userdata;

    (void)multi;
    if (timeout_ms < 0)
        return sd_event_source_set_enabled(loop->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
    if (sd_event_source_set_time_relative(loop->timer, (uint64_t)timeout_ms * 1000) < 0 ||
        sd_event_source_set_enabled(loop->timer, SD_EVENT_ONESHOT) < 0)
        return -1;
    return 0;
}

static int set_up(struct curl_loop *loop)
{
    /* Every request starts by this timer; with sd-event's default accuracy that would take up to 250 ms. */
    int r = sd_event_add_time_relative(loop->event, &loop->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC,
                                       on_timer, loop);

    if (r < 0)
        return r;
    sd_event_source_set_description(loop->timer, "docker-timer");
    r = sd_event_source_set_enabled(loop->timer, SD_EVENT_OFF);
    if (r < 0)
        return r;
    loop->multi = curl_multi_init();
    if (!loop->multi)
        return -ENOMEM;
    if (curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
        curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop) != CURLM_OK ||
        curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, set_timer) != CURLM_OK ||
        curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop) != CURLM_OK ||
        curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX) != CURLM_OK)
        return -EINVAL;
    return 0;
}

int curl_loop_new(sd_event *event, curl_loop_handler handler, void *userdata, struct curl_loop **ret)
{
    _cleanup_(curl_loop_freep) struct curl_loop *loop = xnew(struct curl_loop);
    int r;

    loop->event = sd_event_ref(event);
    loop->handler = handler;
    loop->userdata = userdata;
    r = set_up(loop);
    if (r < 0)
        return r;
    *ret = STEAL(loop);
    return 0;
}

struct curl_loop *curl_loop_free(struct curl_loop *loop)
{
    if (!loop)
        return NULL;
    if (loop->multi)
        curl_multi_cleanup(loop->multi);
    sd_event_source_disable_unref(loop->timer);
    sd_event_unref(loop->event);
    free(loop);
    return NULL;
}

CURLM *curl_loop_multi(struct curl_loop *loop)
{
    return loop->multi;
}

sd_event *curl_loop_event(struct curl_loop *loop)
{
    return loop->event;
}
