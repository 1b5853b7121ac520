/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a lockdown does not end, as no packet is needed for it: sockets that start containers, volumes, namespaces. */
#include <string.h>

#include "cli/cli.h"

#define LINES_MAX 12 /* of one container; more are counted */

static void print_warning(FILE *out, bool colour, enum cli_style style, char *text /* freed */)
{
    cli_print_styled(out, colour, style, text);
    fputc('\n', out);
    free(text);
}

static void print_engine(const json_t *container, FILE *out, bool colour)
{
    const char *name = cli_text_of(container, "name") ?: "?",
               *socket = cli_text_of(container, "engine_socket");

    if (!socket)
        return;
    print_warning(
        out, colour, STYLE_BAD,
        xasprintf(
            "%s can start other containers, which are not cut off: it has %s of the host's, and with it a socket "
            "of the Engine's. Stop that first: `docker pause %s`",
            name, socket, name));
}

/* Who writes is who matters. */
static char *volume_text(const char *name, const json_t *shared)
{
    const char *other = cli_text_of(shared, "name") ?: "?", *volume = cli_text_of(shared, "volume");
    const char *what = volume ?: cli_text_of(shared, "path") ?: "?", *kind = volume ? "volume " : "";

    if (json_is_true(json_object_get(shared, "own_read_only")))
        return xasprintf("  %s reads what %s writes: %s%s", name, other, kind, what);
    if (json_is_true(json_object_get(shared, "read_only")))
        return xasprintf("  %s reads what %s writes: %s%s", other, name, kind, what);
    return xasprintf("  %s and %s read what the other writes: %s%s", name, other, kind, what);
}

static char *namespace_text(const char *name, const json_t *shared)
{
    const char *other = cli_text_of(shared, "name") ?: "?",
               *namespace = cli_text_of(shared, "namespace") ?: "?";
    bool pid = strcmp(namespace, "pid") == 0;

    return xasprintf("  %s and %s see each other's %s", name, other,
                     pid ? "processes (--pid)" : "shared memory (--ipc)");
}

static void print_list(const char *name, const json_t *list, char *(*text)(const char *, const json_t *),
                       FILE *out, bool colour)
{
    const json_t *item;
    size_t i, n = json_array_size(list);

    json_array_foreach (list, i, item) {
        if (i == LINES_MAX && n > LINES_MAX + 1) {
            print_warning(out, colour, STYLE_WARN, xasprintf("  and %zu more", n - LINES_MAX));
            return;
        }
        print_warning(out, colour, STYLE_WARN, text(name, item));
    }
}

static void print_others(const json_t *container, FILE *out, bool colour)
{
    const json_t *namespaces = json_object_get(container, "shares_namespaces_with");
    const json_t *volumes = json_object_get(container, "shares_volumes_with");
    const char *name = cli_text_of(container, "name") ?: "?";

    if (json_array_size(namespaces) + json_array_size(volumes) == 0)
        return;
    print_warning(out, colour, STYLE_WARN,
                  xasprintf("%s shares more than a network, and no rule for packets ends that:", name));
    print_list(name, namespaces, namespace_text, out, colour);
    print_list(name, volumes, volume_text, out, colour);
}

void lockdown_print_sockets(const json_t *containers, FILE *out, bool colour)
{
    const json_t *item;
    size_t i;

    json_array_foreach (containers, i, item)
        print_engine(item, out, colour);
}

void lockdown_print_shared(const json_t *containers, FILE *out, bool colour)
{
    const json_t *item;
    size_t i;

    json_array_foreach (containers, i, item)
        print_others(item, out, colour);
}
