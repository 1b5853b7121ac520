/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/covers.h"

#include <string.h>

#include "schema.h"

static bool text_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool has_label(const struct selector *selector, const struct label_match *label)
{
    for (size_t i = 0; i < selector->n_labels; i++)
        if (strcmp(selector->labels[i].key, label->key) == 0)
            return text_equal(selector->labels[i].value, label->value);
    return false;
}

bool selector_covers(const struct selector *a, const struct selector *b)
{
    if (a->compose_project && !text_equal(a->compose_project, b->compose_project))
        return false;
    if (a->compose_service && !text_equal(a->compose_service, b->compose_service))
        return false;
    if ((a->name && !text_equal(a->name, b->name)) || (a->image && !text_equal(a->image, b->image)) ||
        (a->network && !text_equal(a->network, b->network)))
        return false;
    for (size_t i = 0; i < a->n_labels; i++)
        if (!has_label(b, &a->labels[i]))
            return false;
    return true;
}

static bool cidr_covers(const struct peer *a, const struct peer *b)
{
    if (!cidr_within(&b->cidr, &a->cidr))
        return false;
    for (size_t i = 0; i < a->n_except; i++) {
        bool excepted_too = false;

        for (size_t j = 0; j < b->n_except && !excepted_too; j++)
            excepted_too = cidr_within(&a->except[i], &b->except[j]);
        /* Blocks are nested or apart: what is not within b cannot matter unless b is within it. */
        if (!excepted_too && (cidr_within(&a->except[i], &b->cidr) || cidr_within(&b->cidr, &a->except[i])))
            return false;
    }
    return true;
}

bool peer_covers(const struct peer *a, const struct peer *b)
{
    /* Who the name servers are is known for each container only. */
    if (b->kind == PEER_DNS && a->kind != PEER_DNS)
        return false;
    switch (a->kind) {
    case PEER_ANY:
        return true;
    case PEER_OUTSIDE:
        return b->kind == PEER_OUTSIDE || b->kind == PEER_INTERNET || b->kind == PEER_CIDR;
    case PEER_CONTAINERS:
        return b->kind == PEER_CONTAINERS || b->kind == PEER_SELECTOR || b->kind == PEER_SAME;
    case PEER_INTERNET:
    case PEER_HOST:
    case PEER_DNS:
        return a->kind == b->kind;
    case PEER_SAME:
        return b->kind == PEER_SAME && strcmp(a->same, b->same) == 0;
    case PEER_SELECTOR:
        return b->kind == PEER_SELECTOR && selector_covers(&a->selector, &b->selector);
    case PEER_CIDR:
        return b->kind == PEER_CIDR && cidr_covers(a, b);
    }
    return false;
}

static bool any_peer_covers(const struct rule *rule, const struct peer *peer)
{
    for (size_t i = 0; i < rule->n_peers; i++)
        if (peer_covers(&rule->peers[i], peer))
            return true;
    return false;
}

static bool any_port_covers(const struct rule *rule, const struct port *port)
{
    for (size_t i = 0; i < rule->n_ports; i++)
        if (port_covers(&rule->ports[i], port))
            return true;
    return false;
}

static bool means_anybody(const struct rule *rule)
{
    const struct peer any = {.kind = PEER_ANY};

    return !rule->n_peers || any_peer_covers(rule, &any);
}

bool rule_covers(const struct rule *a, const struct rule *b)
{
    if (!means_anybody(a) && !b->n_peers)
        return false;
    for (size_t i = 0; !means_anybody(a) && i < b->n_peers; i++)
        if (!any_peer_covers(a, &b->peers[i]))
            return false;
    /* Name servers bring their port along: it is not among the rule's. */
    for (size_t i = 0; a->n_ports && i < b->n_peers; i++)
        if (b->peers[i].kind == PEER_DNS)
            return false;
    if (a->n_ports && !b->n_ports)
        return false;
    for (size_t i = 0; a->n_ports && i < b->n_ports; i++)
        if (!any_port_covers(a, &b->ports[i]))
            return false;
    return true;
}
