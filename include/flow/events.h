/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each new connection, once its first packet has passed all that could have dropped it: then the kernel's connection
 * tracking tells of it, as long as somebody listens. Needs CAP_NET_ADMIN.
 */
#pragma once

#include <systemd/sd-event.h>

#include "flow/codec.h"
#include "util/mem.h"

struct flow_events;

typedef void (*flow_event_handler)(const struct flow *flow, void *userdata);

/* 0 or a negative errno. The handler must not close it. */
int flow_events_open(sd_event *event, flow_event_handler handler, void *userdata, struct flow_events **ret);
struct flow_events *flow_events_close(struct flow_events *events); /* NULL-safe, returns NULL */
DEFINE_CLEANUP(struct flow_events *, flow_events_close);

/* Connections that the kernel could not tell of, as we were too slow, or that could not be understood. 0 for NULL. */
uint64_t flow_events_lost(struct flow_events *events);
