/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Netlink attributes read strictly: what is cut short is an error, and what is not asked for is noticed. So
 * nothing that a newer kernel or another program can say goes by unseen.
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct attrs {
    const struct nlattr **v; /* by type, NULL where there is none */
    size_t n;                /* types below this are known */
    bool odd;                /* one of an unknown type is there, or one type twice */
};

#define ATTRS(max)                                                                                           \
    {                                                                                                        \
        .v = (const struct nlattr * [(max) + 1]){0}, .n = (max) + 1                                          \
    }

/* The attributes of a nest, or of a message behind its nfgenmsg. 0, or -EBADMSG when one is cut short. */
int attrs_read_nest(const struct nlattr *nest, struct attrs *attrs);
int attrs_read_message(const struct nlmsghdr *message, struct attrs *attrs);
/* Is every attribute of the nest, a list, whole and of this type? */
bool attrs_is_list_of(const struct nlattr *nest, uint16_t type);

/* Is anything there but the types given? A bit for each. */
bool attrs_has_other(const struct attrs *attrs, uint64_t types);
#define ATTR_BIT(type) ((uint64_t)1 << (type))

/* All return false, leaving *ret alone, when the attribute is NULL or not of that size or kind. */
bool attr_u8(const struct nlattr *attr, uint8_t *ret);
bool attr_be16(const struct nlattr *attr, uint16_t *ret);
bool attr_be32(const struct nlattr *attr, uint32_t *ret);
bool attr_be64(const struct nlattr *attr, uint64_t *ret);
/* The text, which stays in the message; shorter than size with its NUL. */
bool attr_text(const struct nlattr *attr, size_t size, const char **ret);
