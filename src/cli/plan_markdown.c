/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The document of the verb "plan" in Markdown, as a comment on a change. All that may be a stranger's stands in fenced
 * blocks, in which nothing is markup, a mention or a link, and whose fences are longer than any row of backticks within:
 * so nothing ends them early. The rest is ours, and numbers.
 */
#include <string.h>

#include "cli/cli.h"
#include "util/text.h"

#define LINE_MAX_BYTES 1000 /* of one line: a long name must not push out what stands behind it */
#define OVERHEAD 300        /* of a section: its markup, and what is said of lines left out */

struct section {
    char *title;
    char **lines;
    size_t n_lines;
    char *fence;
    size_t size;      /* bytes of all that but OVERHEAD */
    size_t share;     /* of them that there is room for */
    size_t indent;    /* blanks that stand before each line in the plan's text */
    bool collapsed;   /* it is long, and for few */
    const char *more; /* prints what is left out */
};

static void section_clear(struct section *section)
{
    free(section->title);
    for (size_t i = 0; i < section->n_lines; i++)
        free(section->lines[i]);
    free(section->lines);
    free(section->fence);
}

/* At a character's start. The caller frees it. */
static char *shorten(const char *line)
{
    size_t len = strlen(line), end = LINE_MAX_BYTES;

    if (len <= LINE_MAX_BYTES)
        return xstrdup(line);
    while (((unsigned char)line[end] & 0xc0) == 0x80)
        end--;
    return xasprintf("%.*s... (%zu more bytes of this line are left out)", (int)end, line, len - end);
}

/* + and - must stand first for the line to be seen as added or removed; what stands before rules is the place of a hunk. */
static void add_line(struct section *section, const char *line)
{
    size_t blanks = strspn(line, " ");
    bool holder = section->collapsed && blanks < section->indent;

    line += blanks < section->indent ? blanks : section->indent;
    _cleanup_free_ char *text = holder ? xasprintf("@@ %s @@", line) : xstrdup(line);
    *ARRAY_ADD(section->lines, section->n_lines) = shorten(text);
}

/* Longer than any row of backticks within. The caller frees it. */
static char *fence_for(const struct section *section)
{
    size_t longest = 2;

    for (size_t i = 0; i < section->n_lines; i++) {
        for (const char *c = section->lines[i]; *c;) {
            size_t row = strspn(c, "`");

            longest = row > longest ? row : longest;
            c += row ?: 1;
        }
    }
    char *fence = xcalloc(longest + 2, 1);
    memset(fence, '`', longest + 1);
    return fence;
}

/* Bytes before the first line and after the last. */
static size_t frame_size(const struct section *section)
{
    return strlen(section->title) + 2 * strlen(section->fence);
}

/* text: the title, which may be there already, and the lines, as in the plan's text. */
static void section_init(struct section *section, const char *text)
{
    _cleanup_free_ char *safe = text_escape(text, true);
    char *rest = safe, *line;

    while ((line = strsep(&rest, "\n"))) {
        if (!*line)
            continue;
        if (section->title)
            add_line(section, line);
        else
            section->title = xstrdup(line);
    }
    if (!section->title)
        return;
    section->fence = fence_for(section);
    section->size = frame_size(section);
    for (size_t i = 0; i < section->n_lines; i++)
        section->size += strlen(section->lines[i]) + 1;
}

static void section_make(struct section *section, const json_t *result, enum plan_section which)
{
    static const char *const more[PLAN_SECTIONS] = {
        [PLAN_POLICIES] = "cofferdam plan", [PLAN_CONNECTIONS] = "cofferdam plan --full",
        [PLAN_LIVE] = "cofferdam plan",     [PLAN_RULES] = "cofferdam plan --rules",
        [PLAN_PROBLEMS] = "cofferdam plan", [PLAN_RECORDED] = "cofferdam plan --against-log",
    };
    static const size_t indents[PLAN_SECTIONS] = {
        [PLAN_POLICIES] = 2, [PLAN_CONNECTIONS] = 2, [PLAN_LIVE] = 2, [PLAN_RECORDED] = 2, [PLAN_RULES] = 4};
    _cleanup_free_ char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        abort(); /* out of memory */
    plan_print_section(result, which, out, false);
    if (fclose(out) != 0)
        abort();
    *section =
        (struct section){.indent = indents[which], .collapsed = which == PLAN_RULES, .more = more[which]};
    section_init(section, text);
}

/* What needs little gets all of it; the others share alike what that leaves. */
static void share_out(struct section *sections, size_t n, size_t room)
{
    size_t left = n;

    for (bool again = true; again && left;) {
        size_t part = room / left;

        again = false;
        for (size_t i = 0; i < n; i++) {
            if (sections[i].share || sections[i].size > part)
                continue;
            sections[i].share = sections[i].size + 1; /* not 0: it is settled */
            room -= sections[i].size;
            left--;
            again = true;
        }
    }
    for (size_t i = 0; i < n; i++)
        sections[i].share = sections[i].share ?: room / left;
}

static void print_lines(const struct section *section, FILE *out)
{
    size_t used = frame_size(section), i = 0;

    fprintf(out, "\n%sdiff\n", section->fence);
    for (; i < section->n_lines && used + strlen(section->lines[i]) < section->share; i++)
        used += (size_t)fprintf(out, "%s\n", section->lines[i]);
    fprintf(out, "%s\n", section->fence);
    if (i < section->n_lines)
        fprintf(out, "\n%zu more line%s left out, as a comment has no room for them: `%s` prints all.\n",
                section->n_lines - i, section->n_lines - i == 1 ? " is" : "s are", section->more);
}

static void print_section(const struct section *section, FILE *out)
{
    if (!section->title)
        return;
    if (section->collapsed && section->n_lines)
        fprintf(out, "\n<details><summary>%s</summary>\n", section->title);
    else
        fprintf(out, "\n### %s\n", section->title);
    if (section->n_lines)
        print_lines(section, out);
    if (section->collapsed && section->n_lines)
        fputs("\n</details>\n", out);
}

/* What else the daemon may send is no markup of ours. */
static void print_id(const json_t *result, FILE *out)
{
    const char *id = json_string_value(json_object_get(result, "plan_id"));

    if (id && *id && strspn(id, "0123456789abcdef") == strlen(id) && strlen(id) < OVERHEAD &&
        !json_is_false(json_object_get(result, "changes")))
        fprintf(out, "\nTo apply just this: `cofferdam apply --only %s`\n", id);
}

void plan_print_markdown(const json_t *result, const struct cli_options *options, FILE *out)
{
    _cleanup_free_ char *summary = plan_summary(result);
    struct section sections[PLAN_SECTIONS];
    size_t n = 0;

    for (enum plan_section i = 0; i < PLAN_SECTIONS; i++)
        if (!options->brief || i == PLAN_CONNECTIONS || i == PLAN_RECORDED)
            section_make(&sections[n++], result, i);
    share_out(sections, n, PLAN_MARKDOWN_MAX - (n + 2) * OVERHEAD);
    fprintf(out, "**%s**\n", summary);
    for (size_t i = 0; i < n; i++) {
        print_section(&sections[i], out);
        section_clear(&sections[i]);
    }
    if (!options->brief)
        print_id(result, out);
}

void plan_print_markdown_refusal(const char *error, const struct diags *diags, FILE *out)
{
    struct section section = {.more = "cofferdam plan", .title = xstrdup("")};
    _cleanup_free_ char *text = NULL;
    size_t len;
    FILE *lines = open_memstream(&text, &len);

    if (!lines)
        abort(); /* out of memory */
    diags_print(diags, lines, false);
    if (fclose(lines) != 0)
        abort();
    section_init(&section, text);
    share_out(&section, 1, PLAN_MARKDOWN_MAX - OVERHEAD);
    fprintf(out, "**No plan: %s**\n", error);
    if (section.n_lines)
        print_lines(&section, out);
    section_clear(&section);
}
