/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was denied within the last hour, as a person wants it. All names may be a stranger's. */
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "util/utc.h"

#define SHOWN 10 /* of those that most was denied */

static char *counted(long long n, const char *what)
{
    return xasprintf("%lld %s%s", n, what, n == 1 ? "" : "s");
}

/* "to db 5432/tcp: no egress rule ..." */
static char *most_text(const json_t *container)
{
    const json_t *most = json_object_get(container, "most");
    const char *direction = cli_text_of(container, "direction") ?: "", *port = cli_text_of(most, "port");

    if (!json_is_object(most))
        return xstrdup("");
    return xasprintf("%s %s%s%s: %s", strcmp(direction, "egress") == 0 ? "to" : "from",
                     cli_text_of(most, "peer") ?: "?", port ? " " : "", port ?: "",
                     cli_text_of(most, "reason") ?: "?");
}

/* Of "2026-11-20T15:04:05Z" what people look for within an hour. */
static char *clock_text(const char *time)
{
    return time && strlen(time) == strlen("2026-11-20T15:04:05Z") ? xasprintf("%.8sZ", time + 11)
                                                                  : xstrdup("?");
}

static void add_container(struct cli_table *table, const json_t *container)
{
    const char *name = cli_text_of(container, "name") ?: cli_text_of(container, "kind");
    _cleanup_free_ char *connections = counted(cli_number_of(container, "connections"), "connection"),
                        *packets = counted(cli_number_of(container, "packets"), "packet"),
                        *most = most_text(container), *at = clock_text(cli_text_of(container, "last"));
    _cleanup_free_ char *last = xasprintf("last %s", at);

    cli_table_add(table, STYLE_HEAD, name);
    cli_table_add(table, STYLE_NONE, cli_text_of(container, "direction"));
    cli_table_add(table, STYLE_NONE, connections);
    cli_table_add(table, STYLE_NONE, packets);
    cli_table_add(table, STYLE_DIM, last);
    cli_table_add(table, STYLE_NONE, most);
}

/* The daemon has started since, and what it has in its log begins later as well. */
static char *span_text(const json_t *denied)
{
    const char *since = cli_text_of(denied, "since") ?: "";
    struct timespec now;
    uint64_t begin;

    if (json_is_true(json_object_get(denied, "whole_hour")) || utc_parse(since, &begin) < 0)
        return xstrdup("in the last hour");
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t minutes = (uint64_t)now.tv_sec > begin ? ((uint64_t)now.tv_sec - begin) / 60 : 0;
    _cleanup_free_ char *at = clock_text(since);

    return xasprintf("since %s, for %llu min", at, (unsigned long long)minutes);
}

static void print_more(long long n, const json_t *others, FILE *out, bool colour)
{
    _cleanup_free_ char *more = n > 0 ? xasprintf("  and %lld more: see --json\n", n) : NULL,
                        *rest = cli_number_of(others, "connections") > 0
                                    ? xasprintf("  and %lld connections of others\n",
                                                cli_number_of(others, "connections"))
                                    : NULL;

    cli_print_styled(out, colour, STYLE_DIM, more ?: "");
    cli_print_styled(out, colour, STYLE_DIM, rest ?: "");
}

void status_print_denied(const json_t *denied, FILE *out, bool colour)
{
    const json_t *containers = json_object_get(denied, "containers");
    _cleanup_(cli_table_freep) struct cli_table *table = cli_table_new(6);
    size_t n = json_array_size(containers);

    if (!json_is_object(denied))
        return;
    _cleanup_free_ char *span = span_text(denied),
                        *connections = counted(cli_number_of(denied, "connections"), "connection"),
                        *packets = counted(cli_number_of(denied, "packets"), "packet");
    _cleanup_free_ char *head = n ? xasprintf("Denied %s: %s, %s", span, connections, packets)
                                  : xasprintf("Denied %s: nothing", span);

    fputc('\n', out);
    cli_print_styled(out, colour, STYLE_HEAD, head);
    fputc('\n', out);
    for (size_t i = 0; i < n && i < SHOWN; i++)
        add_container(table, json_array_get(containers, i));
    cli_table_print(table, out, colour);
    print_more((long long)n - SHOWN, json_object_get(denied, "others"), out, colour);
}
