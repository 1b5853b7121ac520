/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verdict/changes.h"

#include <stdio.h>
#include <string.h>

#include "util/text.h"

#define NAMES_SHOWN 4     /* of one side, and of the ports */
#define LINES_ALIKE_MAX 8 /* that differ in their sides only; of more, LINES_ALIKE_SHOWN are shown */
#define LINES_ALIKE_SHOWN 3
#define COLUMN_WIDTH_MAX 40 /* a text that is longer does not move those of the other lines */

enum column { COLUMN_FROM, COLUMN_TO, COLUMN_PORTS, COLUMN_VERDICT, COLUMN_CAUSE, COLUMNS };

struct row {
    char *v[COLUMNS];
};

/* A stream into memory; out of memory ends the process, as everywhere (util/mem.h). */
static FILE *text_open(char **text, size_t *len)
{
    FILE *out = open_memstream(text, len);

    if (!out)
        abort();
    return out;
}

static char *list_text(char *const *names, size_t n, bool full)
{
    size_t shown = full || n <= NAMES_SHOWN + 1 ? n : NAMES_SHOWN;
    char *text = NULL;
    size_t len = 0;
    FILE *out = text_open(&text, &len);

    for (size_t i = 0; i < shown; i++)
        fprintf(out, "%s%s", i ? ", " : "", names[i]);
    if (shown < n)
        fprintf(out, " and %zu more", n - shown);
    if (fclose(out) != 0)
        abort();
    return text;
}

const struct source_pos *change_cause_pos(const struct change_cause *cause)
{
    if (cause->rule)
        return &cause->rule->pos;
    return cause->policy ? &cause->policy->pos : NULL;
}

static char *place_text(const struct change_cause *cause, char *what)
{
    const struct source_pos *pos = change_cause_pos(cause);
    char *text = xasprintf("%s:%u (%s)", pos->file ?: "?", pos->line, what);

    free(what);
    return text;
}

char *change_cause_text(const struct change_cause *cause, enum direction direction)
{
    _cleanup_free_ char *place = NULL;

    switch (cause->reason) {
    case CHANGE_NONE:
        break;
    case CHANGE_RULE:
        return place_text(cause, rule_text(cause->policy, direction, cause->rule));
    case CHANGE_RULE_GONE:
        place = place_text(cause, rule_text(cause->policy, direction, cause->rule));
        return xasprintf("no longer %s", place);
    case CHANGE_SELECTED:
        return place_text(cause, xasprintf("%s selects it", cause->policy->name));
    case CHANGE_UNSELECTED:
        place = place_text(cause, xasprintf("%s selected it", cause->policy->name));
        return xasprintf("no longer %s", place);
    case CHANGE_DEFAULT_MODE:
        return xstrdup("default_mode in the settings");
    }
    return xstrdup("");
}

static char *causes_text(const struct change *change)
{
    _cleanup_free_ char *egress = change_cause_text(&change->causes[EGRESS], EGRESS);
    _cleanup_free_ char *ingress = change_cause_text(&change->causes[INGRESS], INGRESS);

    return xasprintf("%s%s%s%s", egress, egress[0] && ingress[0] ? "; " : "", ingress,
                     change->docker_blocks ? "; Docker blocks it anyway" : "");
}

/* Takes the text. */
static char *escaped(char *text)
{
    char *safe = text_escape(text, false);

    free(text);
    return safe;
}

static char *ports_text(const struct change *change, bool full)
{
    _cleanup_free_ char *list =
        change->all_ports ? xstrdup("every port") : list_text(change->ports, change->n_ports, full);

    if (!change->one_family)
        return STEAL(list);
    return xasprintf("%s (%s)", list, change->family == IP4 ? "IPv4" : "IPv6");
}

static struct row row_of(const struct change *change, bool full)
{
    bool allowed = change->verdict == VERDICT_ALLOW;

    return (struct row){{
        [COLUMN_FROM] = escaped(list_text(change->from.names, change->from.n_names, full)),
        [COLUMN_TO] = escaped(list_text(change->to.names, change->to.n_names, full)),
        [COLUMN_PORTS] = ports_text(change, full),
        [COLUMN_VERDICT] = xstrdup(allowed ? "denied -> allowed" : "allowed -> denied"),
        [COLUMN_CAUSE] = escaped(causes_text(change)),
    }};
}

/* In characters, for the alignment: bytes that begin one (RFC 3629). */
static size_t text_width(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += (*text & 0xc0) != 0x80;
    return n;
}

static void put_row(FILE *out, const struct row *row, const size_t *widths, bool added)
{
    fputs(added ? "+ " : "- ", out);
    for (enum column c = 0; c < COLUMNS; c++) {
        fputs(c == COLUMN_TO ? " -> " : c ? "  " : "", out);
        fputs(row->v[c], out);
        for (size_t w = text_width(row->v[c]); c + 1 < COLUMNS && w < widths[c]; w++)
            fputc(' ', out);
    }
    fputc('\n', out);
}

/* Which lines are shown, and after which stands how many more there are that are like it. */
struct selected {
    bool shown;
    size_t more;
};

/* Without full, of many lines that differ in their sides only the first are. */
static struct selected *select_lines(const struct changes *changes, size_t n, bool full)
{
    struct selected *selected = xcalloc(n, sizeof(*selected));
    size_t n_themes = 0;

    for (size_t i = 0; i < n; i++)
        n_themes = changes->v[i].theme >= n_themes ? changes->v[i].theme + 1 : n_themes;
    _cleanup_free_ size_t *all = xcalloc(n_themes, sizeof(*all)), *seen = xcalloc(n_themes, sizeof(*seen));
    for (size_t i = 0; i < n; i++)
        all[changes->v[i].theme]++;
    for (size_t i = 0; i < n; i++) {
        size_t theme = changes->v[i].theme;
        bool folded = !full && all[theme] > LINES_ALIKE_MAX;

        selected[i].shown = !folded || seen[theme] < LINES_ALIKE_SHOWN;
        seen[theme]++;
        if (folded && seen[theme] == LINES_ALIKE_SHOWN)
            selected[i].more = all[theme] - LINES_ALIKE_SHOWN;
    }
    return selected;
}

static void put_rows(FILE *out, const struct changes *changes, size_t n, bool full)
{
    _cleanup_free_ struct selected *selected = select_lines(changes, n, full);
    struct row *rows = xcalloc(n, sizeof(*rows));
    size_t widths[COLUMNS] = {0};

    for (size_t i = 0; i < n; i++) {
        if (selected[i].shown)
            rows[i] = row_of(&changes->v[i], full);
        for (enum column c = 0; c < COLUMNS && selected[i].shown; c++) {
            size_t width = text_width(rows[i].v[c]);

            widths[c] = width > widths[c] && width <= COLUMN_WIDTH_MAX ? width : widths[c];
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (selected[i].shown)
            put_row(out, &rows[i], widths, changes->v[i].verdict == VERDICT_ALLOW);
        if (selected[i].more)
            fprintf(out, "  and %zu more like the line above, on the same ports and by the same causes\n",
                    selected[i].more);
        for (enum column c = 0; c < COLUMNS; c++)
            free(rows[i].v[c]);
    }
    free(rows);
}

static void put_held(FILE *out, const struct changes *changes, bool full)
{
    _cleanup_free_ char **names = xcalloc(changes->n_held, sizeof(*names));

    if (!changes->n_held)
        return;
    for (size_t i = 0; i < changes->n_held; i++)
        names[i] = changes->held[i]->name ?: changes->held[i]->id;
    _cleanup_free_ char *text = escaped(list_text(names, changes->n_held, full));
    fprintf(out, "  held back by lockdowns: what changes for %s, once released\n", text);
}

char *changes_text(const struct changes *changes, bool full)
{
    char *text = NULL;
    size_t len = 0, n = 0;
    FILE *out = text_open(&text, &len);

    /* What Docker blocks stands at the end. */
    while (n < changes->n && (full || !changes->v[n].docker_blocks))
        n++;
    put_rows(out, changes, n, full);
    if (n < changes->n)
        fprintf(out, "  %s%zu %sbetween those whom Docker itself keeps apart\n", n ? "and " : "",
                changes->n - n, n ? "more " : "");
    put_held(out, changes, full);
    if (fclose(out) != 0)
        abort();
    return text;
}
