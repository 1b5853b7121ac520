/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside the client: libcurl's multi interface on an sd-event loop. */
#pragma once

#include <curl/curl.h>
#include <systemd/sd-event.h>

#include "util/mem.h"

struct curl_loop;

/* Called after libcurl has worked, outside of it: transfers may have ended, and may be added and removed. */
typedef void (*curl_loop_handler)(void *userdata);

int curl_loop_new(sd_event *event, curl_loop_handler handler, void *userdata, struct curl_loop **ret);
/* Every transfer must have been removed. */
struct curl_loop *curl_loop_free(struct curl_loop *loop);
DEFINE_CLEANUP(struct curl_loop *, curl_loop_free);

CURLM *curl_loop_multi(struct curl_loop *loop);
sd_event *curl_loop_event(struct curl_loop *loop);
