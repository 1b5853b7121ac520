/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is meant by the words of a question. */
#include "target.h"

#include <errno.h>
#include <string.h>

#include "util/text.h"

static bool is_host_address(const struct inventory *inventory, struct ip ip)
{
    for (size_t i = 0; i < inventory->n_host_addresses; i++)
        if (ip_equal(inventory->host_addresses[i], ip))
            return true;
    return ip_is_loopback(ip);
}

/* The container in whose network this one is, NULL when that is nobody's; with a note when it is not its own. */
static const struct container *network_owner(const struct inventory *inventory,
                                             const struct container *container, struct explain_party *who)
{
    const struct container *owner = container_network_owner(inventory, container);

    if (!owner)
        who->note = xasprintf("%s shares the network of a container that is not there", container->name);
    else if (owner != container)
        who->note = xasprintf("%s has no network of its own: it shares that of %s, whose policies count",
                              container->name, owner->name);
    return owner;
}

static void target_container(const struct inventory *inventory, const struct container *container,
                             struct explain_party *who, struct target *ret)
{
    const struct container *owner = network_owner(inventory, container, who);

    who->container = container;
    who->label = xstrdup(container->name);
    who->kind = PARTY_ENDPOINT;
    ret->container = owner ?: container;
    ret->party = (struct party){.kind = PARTY_ENDPOINT, .container = ret->container};
    if (owner && owner->mode == NETMODE_HOST) {
        free(who->note);
        who->note =
            xasprintf("%s uses the host's network: nothing is enforced for it, and to others it is the host",
                      container->name);
        who->kind = PARTY_HOST;
        ret->container = NULL;
        ret->party = (struct party){.kind = PARTY_HOST};
    } else if (owner && owner->mode == NETMODE_NONE && !who->note) {
        who->note = xasprintf("%s has no network", container->name);
    } else if (!container->running && !who->note) {
        who->note = xasprintf("%s does not run; this is what will hold when it does", container->name);
    }
}

static void target_address(const struct inventory *inventory, const char *word, struct ip ip,
                           struct explain_party *who, struct target *ret)
{
    const struct container *container;
    const struct endpoint *endpoint;

    if (inventory_owner(inventory, ip, &container, &endpoint)) {
        target_container(inventory, container, who, ret);
        free(who->label);
        who->label = xasprintf("%s (%s)", container->name, word);
        ret->endpoint = endpoint;
        ret->party.ip = ip;
        ret->party.has_ip = true;
        return;
    }
    bool host = is_host_address(inventory, ip);
    who->kind = host ? PARTY_HOST : PARTY_OUTSIDE;
    who->label = host ? xasprintf("host (%s)", word) : xstrdup(word);
    ret->party = (struct party){.kind = who->kind, .ip = ip, .has_ip = true};
}

/* As Compose names containers, by what comes before the number, the first of several; else by its spelling. */
static const char *nearest_name(const struct inventory *inventory, const char *word)
{
    const struct container *container, *next;
    const char **names = NULL, *meant = NULL;
    size_t n = 0;

    HASH_ITER (hh, inventory->containers, container, next) {
        const char *name = container->name;

        *ARRAY_ADD(names, n) = name;
        if (*word && strncmp(name, word, strlen(word)) == 0 && name[strlen(word)] == '-' &&
            (!meant || strcmp(name, meant) < 0))
            meant = name;
    }
    *ARRAY_ADD(names, n) = NULL;
    meant = meant ?: nearest_word(word, names);
    free(names);
    return meant;
}

int target_resolve(const struct inventory *inventory, const char *word, struct explain_party *who,
                   struct target *ret, struct diags *diags)
{
    const struct container *container;
    struct ip ip;
    int r = -ENOENT;

    if (strcmp(word, "host") == 0) {
        who->kind = PARTY_HOST;
        who->label = xstrdup("host");
        ret->party = (struct party){.kind = PARTY_HOST};
        return 0;
    }
    /* Docker takes names that look like an address: whoever gives one to a container answers for no other. */
    if (ip_parse(word, &ip) == 0) {
        target_address(inventory, word, ip, who, ret);
        return 0;
    }
    if (*word)
        r = inventory_find(inventory, word, &container);
    if (r == 0) {
        target_container(inventory, container, who, ret);
        return 0;
    }
    if (r == -ENOTUNIQ) {
        diag_help(diag_add(diags, DIAG_ERROR, NULL, NULL, "several containers have an ID that begins with %s",
                           word),
                  "give more of the ID, or the name");
        return r;
    }
    const char *meant = nearest_name(inventory, word);
    struct diag *diag =
        diag_add(diags, DIAG_ERROR, NULL, NULL, "no such container: %.*s", EXPLAIN_WORD_MAX, word);
    if (meant)
        diag_help(diag, "did you mean '%.*s'?", EXPLAIN_WORD_MAX, meant);
    else
        diag_help(diag, "give a container's name or ID, an IPv4 or IPv6 address, or `host`");
    return -ENOENT;
}

void target_ends(const struct inventory *inventory, const struct target *target, struct ends *ret)
{
    const struct container *container = target->container;

    if (!container) {
        for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
            if (!target->party.has_ip || target->party.ip.family == family)
                *ARRAY_ADD(ret->v, ret->n) = (struct end){.party = target->party, .family = family};
        return;
    }
    for (size_t i = 0; i < container->n_endpoints; i++) {
        const struct endpoint *endpoint = &container->endpoints[i];
        if (target->endpoint && target->endpoint != endpoint)
            continue;
        for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
            if (!target->endpoint || target->party.ip.family == family)
                ends_add_endpoint(inventory, container, endpoint, family, ret);
    }
}
