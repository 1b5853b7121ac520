/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a meter has counted of one key: one element of one of our tables' sets, read by itself. */
#pragma once

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#include "ruleset/ruleset.h"
#include "util/mem.h"

#define METER_REQUEST_MAX 512 /* bytes */

struct meter_key {
    enum table_pair pair;
    enum table_id table;
    const char *meter;
    uint8_t bytes[KEY_BYTES_MAX];
    size_t len;
};

struct meter_reading {
    uint64_t packets;
    uint64_t left_ms; /* until the element goes, unless another packet comes */
};

/* Appends a field to the key, padded as the kernel wants it. */
void meter_key_add(struct meter_key *key, const void *bytes, size_t len);

/* The question, at the buffer's begin, which is aligned to 4 bytes. */
struct nlmsghdr *meter_request(void *buffer, const struct meter_key *key);
/* 0; -ENOENT: there is no such element, set or table; -EBADMSG: it is no such answer. */
int meter_parse(const struct nlmsghdr *message, struct meter_reading *ret);

/* A socket of its own: reading needs nothing but CAP_NET_ADMIN. */
struct meter_socket;

int meter_socket_open(struct meter_socket **ret);
struct meter_socket *meter_socket_close(struct meter_socket *socket); /* NULL-safe, returns NULL */
DEFINE_CLEANUP(struct meter_socket *, meter_socket_close);
int meter_read(struct meter_socket *socket, const struct meter_key *key, struct meter_reading *ret);
