// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An existing policy file against what was seen: what it does not allow is added behind it, as staged policies (policies
 * add up); rules that nothing has used are named, and taken out once that was watched for long enough.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "inventory/json.h"
#include "inventory/match.h"
#include "policy/parse.h"
#include "propose.h"

#define CONTEXT 3 /* lines around a change, as diff(1) has it */

/* ---- which rules are used ----------------------------------------------------------------------------- */

struct used {
    const struct rule **v;
    size_t n;
};

static bool is_used(const struct used *used, const struct rule *rule)
{
    for (size_t i = 0; i < used->n; i++)
        if (used->v[i] == rule)
            return true;
    return false;
}

static void note_rule(const struct rule *rule, void *userdata)
{
    struct used *used = userdata;

    if (!is_used(used, rule))
        *ARRAY_ADD(used->v, used->n) = rule;
}

/* Is it the policy of anybody who is watched? */
static bool is_of_subject(const struct proposal_context *context, const struct policy *policy)
{
    const struct container *container, *next;

    HASH_ITER (hh, context->inventory->containers, container, next) {
        if (learning_means(context->learning, container) && selector_means(&policy->select, container))
            return true;
    }
    return false;
}

/* ---- the text, line by line --------------------------------------------------------------------------- */

struct line {
    const char *text;
    size_t len; /* with its end, where it has one */
    bool removed;
};

struct lines {
    struct line *v;
    size_t n;
};

static struct lines split(const char *text, size_t len)
{
    struct lines lines = {0};

    for (const char *at = text, *end = text + len; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t n = newline ? (size_t)(newline - at) + 1 : (size_t)(end - at);

        *ARRAY_ADD(lines.v, lines.n) = (struct line){.text = at, .len = n};
        at += n;
    }
    return lines;
}

static size_t indent(const struct line *line)
{
    size_t n = 0;

    while (n < line->len && line->text[n] == ' ')
        n++;
    return n;
}

static bool is_blank(const struct line *line)
{
    size_t n = indent(line);

    return n == line->len || line->text[n] == '\n' || line->text[n] == '\r';
}

/* Removes a rule that has lines of its own: from its dash to the next thing that does not stand deeper. */
static bool remove_rule(struct lines *lines, const struct rule *rule)
{
    size_t first = rule->pos.line - 1, depth, last;

    if (rule->pos.line == 0 || first >= lines->n)
        return false;
    depth = indent(&lines->v[first]);
    if (lines->v[first].text[depth] != '-' || lines->v[first].removed)
        return false;
    last = first + 1;
    for (size_t i = last; i < lines->n && (is_blank(&lines->v[i]) || indent(&lines->v[i]) > depth); i++)
        if (!is_blank(&lines->v[i]))
            last = i + 1;
    for (size_t i = first; i < last; i++)
        lines->v[i].removed = true;
    return true;
}

static void restore(struct lines *lines)
{
    for (size_t i = 0; i < lines->n; i++)
        lines->v[i].removed = false;
}

static char *join(const struct lines *lines)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return xstrdup("");
    for (size_t i = 0; i < lines->n; i++)
        if (!lines->v[i].removed)
            fwrite(lines->v[i].text, 1, lines->v[i].len, out);
    fclose(out);
    return text;
}

/* ---- the diff ----------------------------------------------------------------------------------------- */

static void write_line(char mark, const struct line *line, FILE *out)
{
    fputc(mark, out);
    fwrite(line->text, 1, line->len, out);
    if (line->len == 0 || line->text[line->len - 1] != '\n')
        fputs("\n\\ No newline at end of file\n", out);
}

/* Both in one: those of the file, and those that come behind it. */
struct edit {
    const struct lines *old, *added;
};

static bool is_change(const struct edit *edit, size_t i)
{
    return i >= edit->old->n || edit->old->v[i].removed;
}

/* From the first line to before the last one: a hunk, with the lines of the new file before it. */
static void write_hunk(const struct edit *edit, size_t first, size_t last, size_t new_before, FILE *out)
{
    size_t n_old = 0, n_new = 0;

    for (size_t i = first; i < last; i++) {
        n_old += i < edit->old->n;
        n_new += i >= edit->old->n || !edit->old->v[i].removed;
    }
    fprintf(out, "@@ -%zu,%zu +%zu,%zu @@\n", n_old ? first + 1 : first, n_old,
            n_new ? new_before + 1 : new_before, n_new);
    for (size_t i = first; i < last; i++)
        if (i >= edit->old->n)
            write_line('+', &edit->added->v[i - edit->old->n], out);
        else
            write_line(edit->old->v[i].removed ? '-' : ' ', &edit->old->v[i], out);
}

/* The end of the hunk that begins with a change here: where no other change is near. */
static size_t hunk_end(const struct edit *edit, size_t change, size_t n)
{
    size_t end = change + 1;

    for (size_t i = change + 1; i < n && i < end + 2 * CONTEXT; i++)
        if (is_change(edit, i))
            end = i + 1;
    return end + CONTEXT < n ? end + CONTEXT : n;
}

static char *diff_text(const char *path, const struct lines *old, const struct lines *added)
{
    const struct edit edit = {old, added};
    size_t n = old->n + added->n, written = 0, len;
    bool headed = false;
    char *text = NULL;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return xstrdup("");
    for (size_t i = 0, new_before = 0; i < n; i++) {
        if (!is_change(&edit, i))
            continue;
        size_t first = i > written + CONTEXT ? i - CONTEXT : written, last = hunk_end(&edit, i, n);

        for (; written < first; written++)
            new_before += !old->v[written].removed;
        if (!headed)
            fprintf(out, "--- %s\n+++ %s\n", path, path);
        headed = true;
        write_hunk(&edit, first, last, new_before, out);
        for (; written < last; written++)
            new_before += written >= old->n || !old->v[written].removed;
        i = last - 1;
    }
    fclose(out);
    return text;
}

/* ---- all together ------------------------------------------------------------------------------------- */

struct updating {
    const struct proposal_context *context;
    struct policy_set *set; /* the file's, as if all of it were in force */
    struct settings *settings;
    struct used used;
};

static struct policy_set *parse(const char *path, const char *text, size_t len, struct diags *diags)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    int r = policy_parse(set, path, text, len, diags);

    if (policy_set_finish(set, diags) < 0 || r < 0)
        return NULL;
    for (size_t i = 0; i < set->n_policies; i++)
        set->policies[i].mode = MODE_ENFORCE;
    return STEAL(set);
}

static bool is_missing(const struct observation *o, const void *userdata)
{
    const struct updating *updating = userdata;

    return !observation_danger(o) &&
           !proposal_allows(updating->context, updating->set, updating->settings, o);
}

static void find_used(struct updating *updating)
{
    const struct observation *o, *next;

    HASH_ITER (hh, updating->context->learning->observations, o, next) {
        proposal_each_rule(updating->context, updating->set, o, note_rule, &updating->used);
    }
}

/* Is what is left of the file one still? */
static bool is_good(const char *path, const struct lines *lines)
{
    _cleanup_free_ char *text = join(lines);
    _cleanup_diags_ struct diags diags = {0};
    _cleanup_(policy_set_freep) struct policy_set *set = parse(path, text, strlen(text), &diags);

    return set;
}

static void find_unused(const struct updating *updating, const char *path, bool remove, struct lines *lines,
                        struct learn_update *update)
{
    for (size_t i = 0; i < updating->set->n_policies; i++) {
        const struct policy *policy = &updating->set->policies[i];

        if (!is_of_subject(updating->context, policy))
            continue;
        for (enum direction direction = 0; direction < DIRECTIONS; direction++)
            for (size_t j = 0; j < policy->n_rules[direction]; j++) {
                const struct rule *rule = &policy->rules[direction][j];

                if (rule->deny || is_used(&updating->used, rule))
                    continue;
                _cleanup_free_ char *name = rule_text(policy, direction, rule);
                texts_add(&update->unused, xasprintf("%s (%s:%u)", name, path, rule->pos.line));
                if (remove)
                    (void)remove_rule(lines, rule);
            }
    }
    if (!is_good(path, lines))
        restore(lines);
}

/* A last line without an end is another one with something behind it. */
static char *end_last_line(struct lines *old)
{
    struct line *last = old->n > 0 ? &old->v[old->n - 1] : NULL;

    if (!last || last->removed || last->text[last->len - 1] == '\n')
        return xstrdup("");
    last->removed = true;
    return xasprintf("%.*s\n", (int)last->len, last->text);
}

static char *added_text(const struct updating *updating, struct lines *old, struct learn_update *update)
{
    struct proposal_context context = *updating->context;

    context.also_taken = updating->set;
    _cleanup_free_ char *body = proposal_body(&context, is_missing, updating, &update->missing);
    if (!*body)
        return xstrdup("");
    _cleanup_free_ char *last = end_last_line(old);
    return xasprintf("%s---\n%s", last, body);
}

int learning_update(const struct proposal_context *context, const char *path, const char *text, size_t len,
                    struct learn_update *ret, struct diags *diags)
{
    _cleanup_(policy_set_freep) struct policy_set *set = parse(path, text, len, diags);
    _cleanup_(settings_freep) struct settings *settings = settings_new();
    struct updating updating = {.context = context, .set = set, .settings = settings};
    const struct learning *learning = context->learning;
    uint64_t end = learning->ended ? learning->ended : context->now;

    if (!set)
        return -EBADMSG;
    struct lines old = split(text, len);
    find_used(&updating);
    find_unused(&updating, path, end >= learning->since + LEARN_UNUSED_SECONDS + learning->blind, &old, ret);
    _cleanup_free_ char *behind = added_text(&updating, &old, ret);
    struct lines added = split(behind, strlen(behind));
    ret->diff = diff_text(path, &old, &added);
    free(old.v);
    free(added.v);
    free(updating.used.v);
    return 0;
}

void learn_update_clear(struct learn_update *update)
{
    free(update->diff);
    texts_clear(&update->missing);
    texts_clear(&update->unused);
}

json_t *learn_update_to_json(const struct learn_update *update)
{
    return json_pack("{s:s, s:o, s:o}", "diff", update->diff, "missing",
                     texts_to_json(update->missing.v, update->missing.n), "unused",
                     texts_to_json(update->unused.v, update->unused.n));
}
