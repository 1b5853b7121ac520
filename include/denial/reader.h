/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads what the kernel tells of denied packets. Needs CAP_NET_ADMIN. */
#pragma once

#include <systemd/sd-event.h>

#include "denial/packet.h"
#include "util/mem.h"

struct denial_reader;

typedef void (*denial_handler)(const struct denied_packet *packet, void *userdata);

/*
 * 0; -EBUSY: another program reads this group; -EOPNOTSUPP: the kernel cannot do it; another negative errno. The handler
 * must not close the reader.
 */
int denial_reader_open(sd_event *event, uint16_t group, denial_handler handler, void *userdata,
                       struct denial_reader **ret);
struct denial_reader *denial_reader_close(struct denial_reader *reader); /* NULL-safe, returns NULL */
DEFINE_CLEANUP(struct denial_reader *, denial_reader_close);

/* Packets that the kernel could not tell of, as we were too slow. */
uint64_t denial_reader_lost(const struct denial_reader *reader);
