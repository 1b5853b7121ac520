/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is written on nodes and edges, whatever the format. */
#include <stdio.h>
#include <string.h>

#include "graph_text.h"
#include "util/text.h"

#define PORTS_SHOWN 12 /* of one grant */
#define NAME_SHOWN 60  /* bytes of a name; many blocks of addresses can be one node */

const char *const graph_change_words[GRAPH_CHANGES] = {
    [GRAPH_ADDED] = "added", [GRAPH_REMOVED] = "removed", [GRAPH_MIXED] = "mixed", [GRAPH_SAME] = "same"};

const char *graph_legend(const struct graph *graph)
{
    if (!graph->compares)
        return NULL;
    return graph_has_changes(graph) ? "+ would be allowed, − would be denied; what has no sign stays"
                                    : "Nothing would change.";
}

FILE *graph_open(char **text, size_t *len)
{
    FILE *out = open_memstream(text, len);

    if (!out)
        abort();
    return out;
}

void graph_close(FILE *out)
{
    if (fclose(out) != 0)
        abort();
}

/* Cut at a comma, so that no address looks like another one. */
static size_t shown_length(const char *name)
{
    size_t end = 0;

    if (strlen(name) <= NAME_SHOWN)
        return strlen(name);
    for (const char *comma = strstr(name, ", "); comma && (!end || comma - name <= NAME_SHOWN);
         comma = strstr(comma + 1, ", "))
        end = (size_t)(comma - name);
    return end ?: strlen(name);
}

char *graph_node_text(const struct graph_node *node)
{
    _cleanup_free_ char *name = text_escape(node->name, false);
    int shown = (int)(node->kind == GRAPH_OUTSIDE ? shown_length(name) : strlen(name));
    const char *more = name[shown] ? " and more" : "";

    if (node->n_members > 1)
        return xasprintf("%s (%zu)", name, node->n_members);
    return xasprintf("%.*s%s", shown, name, more);
}

char *graph_node_note(const struct graph_node *node)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = graph_open(&text, &len);

    for (size_t i = 0; i < node->n_members; i++) {
        const struct graph_member *member = &node->members[i];
        _cleanup_free_ char *name = text_escape(member->container->name ?: member->container->id, false);
        _cleanup_free_ char *note = text_escape(member->note ?: "", false);

        if (*note)
            fprintf(out, "%s%s%s%s", ftell(out) ? "; " : "", node->n_members > 1 ? name : "",
                    node->n_members > 1 ? ": " : "", note);
    }
    graph_close(out);
    if (len)
        return text;
    free(text);
    return NULL;
}

static void put_ports(const struct graph_grant *grant, FILE *out)
{
    size_t shown = grant->n_ports <= PORTS_SHOWN + 1 ? grant->n_ports : PORTS_SHOWN;

    if (grant->all_ports)
        fputs("everything", out);
    for (size_t i = 0; i < shown && !grant->all_ports; i++)
        fprintf(out, "%s%s", i ? ", " : "", grant->ports[i]);
    if (shown < grant->n_ports && !grant->all_ports)
        fprintf(out, " and %zu more", grant->n_ports - shown);
}

static char *grant_text(const struct graph_edge *edge, const struct graph_grant *grant)
{
    bool some = grant->n_pairs < edge->n_pairs;
    char *text = NULL;
    size_t len = 0;
    FILE *out = graph_open(&text, &len);

    fputs(grant->change == GRAPH_ADDED ? "+ " : grant->change == GRAPH_REMOVED ? "− " : "", out);
    put_ports(grant, out);
    if (grant->one_family || some)
        fputs(" (", out);
    if (grant->one_family)
        fputs(grant->family == IP4 ? "IPv4" : "IPv6", out);
    if (some)
        fprintf(out, "%s%zu of %zu pairs", grant->one_family ? ", " : "", grant->n_pairs, edge->n_pairs);
    if (grant->one_family || some)
        fputs(")", out);
    graph_close(out);
    return text;
}

bool graph_is_drawn(const struct graph_edge *edge)
{
    return !edge->grants[0].docker_blocks; /* those that are come last */
}

char *graph_edge_text(const struct graph_edge *edge)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = graph_open(&text, &len);

    for (size_t i = 0; i < edge->n_grants && !edge->grants[i].docker_blocks; i++) {
        _cleanup_free_ char *grant = grant_text(edge, &edge->grants[i]);

        fprintf(out, "%s%s", i ? "; " : "", grant);
    }
    graph_close(out);
    return text;
}

enum graph_change graph_edge_change(const struct graph_edge *edge)
{
    enum graph_change change = edge->grants[0].change;

    for (size_t i = 1; i < edge->n_grants && edge->grants[i].docker_blocks == edge->grants[0].docker_blocks;
         i++)
        if (edge->grants[i].change != change)
            return GRAPH_MIXED;
    return change;
}

bool graph_has_changes(const struct graph *graph)
{
    for (size_t i = 0; i < graph->n_edges; i++)
        for (size_t g = 0; g < graph->edges[i].n_grants; g++)
            if (graph->edges[i].grants[g].change != GRAPH_SAME)
                return true;
    return false;
}

size_t graph_count_drawn(const struct graph *graph)
{
    size_t n = 0;

    for (size_t i = 0; i < graph->n_edges; i++)
        n += graph_is_drawn(&graph->edges[i]);
    return n;
}

size_t graph_count_blocked(const struct graph *graph)
{
    size_t n = 0;

    for (size_t i = 0; i < graph->n_edges; i++)
        n += graph->edges[i].grants[graph->edges[i].n_grants - 1].docker_blocks;
    return n;
}

/* ---- markup ------------------------------------------------------------------------------------------- */

/* For text and for attributes in double quotes (HTML, 13.3 and "escapingString"; XML 1.0, 2.2 and 2.4). */
static void put_character(FILE *out, uint32_t character, const char *bytes, size_t size)
{
    static const char *const special[] = {
        ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&#39;"};
    bool none = character == 0xfffe || character == 0xffff; /* in XML these are no characters */

    if (character < ARRAY_SIZE(special) && special[character])
        fputs(special[character], out);
    else if (none)
        fputs("\xef\xbf\xbd", out);
    else
        fwrite(bytes, 1, size, out);
}

/* East Asian characters, and most pictures, are twice as wide as letters. */
static size_t width_of(uint32_t character)
{
    return character >= 0x1100 ? 2 : 1;
}

void graph_put_start(FILE *out, const char *text, size_t width)
{
    size_t len = strlen(text), size;
    uint32_t character;

    for (; len; text += size, len -= size) {
        size = utf8_decode(text, len, &character);
        if (!size) { /* not UTF-8, which escaped texts are */
            size = 1;
            character = 0xffff;
        }
        if (width < width_of(character)) {
            fputs("…", out);
            return;
        }
        width -= width_of(character);
        put_character(out, character, text, size);
    }
}

void graph_put_markup(FILE *out, const char *text)
{
    graph_put_start(out, text, SIZE_MAX);
}
