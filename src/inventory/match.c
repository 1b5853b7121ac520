/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "inventory/match.h"

#include <fnmatch.h>
#include <string.h>

#define COMPOSE_PROJECT "com.docker.compose.project"
#define COMPOSE_SERVICE "com.docker.compose.service"

/*
 * Without flags fnmatch(3) matches the whole text, `*` and `?` match a slash and a leading dot as well, and a
 * backslash takes the meaning from what follows it, all as the shell's `case` does. Nothing calls
 * setlocale(3), so bytes are compared and ranges do not depend on anybody's language.
 */
bool glob_match(const char *pattern, const char *text)
{
    return fnmatch(pattern, text, 0) == 0;
}

static bool text_matches(const char *glob, const char *text)
{
    return !glob || (text && glob_match(glob, text));
}

static bool label_equals(const struct container *container, const char *key, const char *value)
{
    const char *own = container_label(container, key);

    return own && strcmp(own, value) == 0;
}

static bool compose_matches(const struct selector *selector, const struct container *container)
{
    if (selector->compose_project && !label_equals(container, COMPOSE_PROJECT, selector->compose_project))
        return false;
    return !selector->compose_service || label_equals(container, COMPOSE_SERVICE, selector->compose_service);
}

static bool label_matches(const struct label_match *match, const struct container *container)
{
    const char *own = container_label(container, match->key);

    /* While it is not known which labels count, "has none" cannot be said either. */
    if (!match->value)
        return container->labels_known && !own;
    if (!own)
        return false;
    return match->literal ? strcmp(own, match->value) == 0 : glob_match(match->value, own);
}

static bool network_matches(const char *network, const struct endpoint *endpoint)
{
    if (!network)
        return true;
    return endpoint && endpoint->network_name && strcmp(endpoint->network_name, network) == 0;
}

/* A selector without any part would mean everybody; the parser refuses it, and so does this. */
static bool selects_anything(const struct selector *s)
{
    return s->all || s->compose_project || s->compose_service || s->name || s->image || s->network ||
           s->n_labels;
}

bool selector_matches(const struct selector *selector, const struct container *container,
                      const struct endpoint *endpoint)
{
    if (!selects_anything(selector) || !text_matches(selector->name, container->name) ||
        !text_matches(selector->image, container->image) || !network_matches(selector->network, endpoint) ||
        !compose_matches(selector, container))
        return false;
    for (size_t i = 0; i < selector->n_labels; i++)
        if (!label_matches(&selector->labels[i], container))
            return false;
    return true;
}

bool selector_means(const struct selector *selector, const struct container *container)
{
    if (container->n_endpoints == 0)
        return selector_matches(selector, container, NULL);
    for (size_t i = 0; i < container->n_endpoints; i++)
        if (selector_matches(selector, container, &container->endpoints[i]))
            return true;
    return false;
}
