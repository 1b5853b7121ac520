// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset/compile.h"

#include "build.h"

#include <net/if.h>
#include <string.h>

static const char *const bindings[IP_FAMILIES] = {[IP4] = SET_BINDINGS4, [IP6] = SET_BINDINGS6};
static const char *const live[IP_FAMILIES] = {[IP4] = SET_LIVE4, [IP6] = SET_LIVE6};

/* A binding's key is an interface's name, a MAC and an address. */
static const uint8_t *bound_address(const struct set *set, const struct element *element,
                                    enum ip_family family)
{
    return element->key + set->key_len - ip_size(family);
}

/* What cannot be read, or is not there, binds nothing. */
static bool is_bound(const struct set *bound, const uint8_t *address, enum ip_family family,
                     const struct set *in)
{
    if (!bound || !in || in->foreign || !set_same_type(bound, in))
        return false;
    for (const struct element *element = bound->elements; element; element = element->hh.next)
        if (memcmp(bound_address(bound, element, family), address, ip_size(family)) == 0 &&
            set_find(in, element->key))
            return true;
    return false;
}

bool ruleset_has_port(const struct ruleset *ruleset, const char *name)
{
    const struct set *ports = table_set(&ruleset->tables[TABLE_INET], SET_PORTS);
    uint8_t key[KEY_BYTES_MAX] = {0};

    memcpy(key, name, strnlen(name, IFNAMSIZ - 1));
    return ports && !ports->foreign && ports->key_len == IFNAMSIZ && set_find(ports, key);
}

bool ruleset_has_locked(const struct ruleset *ruleset, struct ip ip)
{
    const struct set *locked =
        table_set(&ruleset->tables[TABLE_INET], ip.family == IP4 ? SET_LOCKED4 : SET_LOCKED6);
    uint8_t key[KEY_BYTES_MAX] = {0};

    ip_to_bytes(ip, key);
    return locked && !locked->foreign && locked->key_len == ip_size(ip.family) && set_find(locked, key);
}

size_t ruleset_unlike_addresses(const struct ruleset *is, const struct ruleset *like, struct ip **ret)
{
    size_t n = 0;

    *ret = NULL;
    for (enum ip_family family = IP4; family < IP_FAMILIES; family++) {
        const struct set *all = table_set(&is->tables[TABLE_INET], live[family]);
        const struct set *bound = table_set(&is->tables[TABLE_BRIDGE], bindings[family]);
        const struct set *other = table_set(&like->tables[TABLE_BRIDGE], bindings[family]);

        if (!all || all->key_len != ip_size(family))
            continue;
        for (const struct element *element = all->elements; element; element = element->hh.next)
            if (!is_bound(bound, element->key, family, other))
                *ARRAY_ADD(*ret, n) = ip_from_bytes(family, element->key);
    }
    return n;
}
