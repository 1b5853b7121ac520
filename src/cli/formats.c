/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Diagnostics in the formats of others: GitHub's annotations, SARIF. */
#include <string.h>

#include "cli/cli.h"
#include "inventory/json.h"
#include "policy/codes.h"
#include "util/text.h"

/* What is said of it, several lines: the message, the second place, the help. The caller frees it. */
static char *whole_text(const struct diag *diag)
{
    _cleanup_free_ char *other = NULL, *help = NULL;

    if (diag->other_message && diag->other_file && diag->other_line)
        other = xasprintf("\n%s:%u:%u: %s", diag->other_file, diag->other_line, diag->other_column,
                          diag->other_message);
    if (diag->help)
        help = xasprintf("\nhelp: %s", diag->help);
    return xasprintf("%s%s%s", diag->message, other ?: "", help ?: "");
}

/* ---- GitHub ------------------------------------------------------------------------------------------- */

/*
 * As the workflow commands' own library escapes (actions/toolkit, core/src/command.ts): so nothing in a text can begin
 * another command. property: in what stands before the second pair of colons, these and commas are escaped as well.
 */
static void put_escaped(const char *text, bool property, FILE *out)
{
    _cleanup_free_ char *safe = text_escape(text, true);

    for (const char *c = safe; *c; c++) {
        if (*c == '%' || *c == '\r' || *c == '\n' || (property && (*c == ':' || *c == ',')))
            fprintf(out, "%%%02X", (unsigned char)*c);
        else
            fputc(*c, out);
    }
}

static const char *github_level(enum diag_level level)
{
    return level == DIAG_NOTE ? "notice" : diag_level_name(level);
}

static void print_annotation(const struct diag *diag, FILE *out)
{
    _cleanup_free_ char *text = whole_text(diag);

    fprintf(out, "::%s ", github_level(diag->level));
    if (diag->file) {
        fputs("file=", out);
        put_escaped(diag->file, true, out);
        fputc(',', out);
    }
    if (diag->file && diag->line)
        fprintf(out, "line=%u,col=%u,endColumn=%u,", diag->line, diag->column, diag->column + diag->width);
    fprintf(out, "title=%s::", diag->code ?: "cofferdam");
    put_escaped(text, false, out);
    fputc('\n', out);
}

void cli_print_github(const struct diags *diags, FILE *out)
{
    for (size_t i = 0; i < diags->n; i++)
        print_annotation(&diags->v[i], out);
}

/* ---- SARIF -------------------------------------------------------------------------------------------- */

#define SARIF_SCHEMA "https://json.schemastore.org/sarif-2.1.0.json"

static json_t *sarif_rules(void)
{
    json_t *rules = json_array();

    for (int i = 0; i < POLICY_CODES; i++) {
        enum policy_code code = (enum policy_code)i;
        const char *id = policy_code_id(code);

        json_array_append_new(
            rules, json_pack("{s:s, s:{s:s}, s:{s:o}, s:{s:s}}", "id", id, "shortDescription", "text",
                             policy_code_title(code), "help", "text",
                             json_sprintf("%s is explained in cofferdam-policy(5).", id),
                             "defaultConfiguration", "level", diag_level_name(policy_code_level(code))));
    }
    return rules;
}

static int rule_index(const char *code)
{
    for (int i = 0; code && i < POLICY_CODES; i++)
        if (strcmp(policy_code_id((enum policy_code)i), code) == 0)
            return i;
    return -1;
}

/* A path as a reference of RFC 3986: an absolute one with its scheme, a relative one with its colons encoded. */
static char *path_uri(const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    char *uri = xcalloc(strlen(path) * 3 + sizeof("file://"), 1), *end = uri;

    if (path[0] == '/')
        end = stpcpy(end, "file://");
    for (; *path; path++) {
        if (strchr(plain, *path))
            *end++ = *path;
        else
            end += sprintf(end, "%%%02X", (unsigned char)*path);
    }
    return uri;
}

/* line 0: the file as a whole */
static json_t *sarif_place(const char *file, unsigned line, unsigned column, unsigned width)
{
    _cleanup_free_ char *uri = path_uri(file);
    json_t *place = json_pack("{s:{s:s}}", "artifactLocation", "uri", uri);

    if (line)
        json_object_set_new(place, "region",
                            json_pack("{s:I, s:I, s:I}", "startLine", (json_int_t)line, "startColumn",
                                      (json_int_t)column, "endColumn", (json_int_t)column + width));
    return place;
}

static json_t *sarif_message(const char *text)
{
    return json_pack("{s:o}", "text", json_text_or_null(text));
}

static json_t *sarif_result(const struct diag *diag)
{
    _cleanup_free_ char *text =
        diag->help ? xasprintf("%s\nhelp: %s", diag->message, diag->help) : xstrdup(diag->message);
    json_t *result =
        json_pack("{s:s, s:o}", "level", diag_level_name(diag->level), "message", sarif_message(text));
    int rule = rule_index(diag->code);

    if (rule >= 0) {
        json_object_set_new(result, "ruleId", json_string(diag->code));
        json_object_set_new(result, "ruleIndex", json_integer(rule));
    }
    if (diag->file)
        json_object_set_new(result, "locations",
                            json_pack("[{s:o}]", "physicalLocation",
                                      sarif_place(diag->file, diag->line, diag->column, diag->width)));
    if (diag->other_file && diag->other_message)
        json_object_set_new(result, "relatedLocations",
                            json_pack("[{s:o, s:o}]", "physicalLocation",
                                      sarif_place(diag->other_file, diag->other_line, diag->other_column, 1),
                                      "message", sarif_message(diag->other_message)));
    return result;
}

json_t *cli_sarif(const struct diags *diags)
{
    json_t *results = json_array();

    for (size_t i = 0; i < diags->n; i++)
        json_array_append_new(results, sarif_result(&diags->v[i]));
    /* Our columns are characters, not the UTF-16 units that are meant where columnKind is left out. */
    return json_pack("{s:s, s:s, s:[{s:{s:{s:s, s:s, s:o}}, s:s, s:o}]}", "$schema", SARIF_SCHEMA, "version",
                     "2.1.0", "runs", "tool", "driver", "name", "cofferdam", "version", COFFERDAM_VERSION,
                     "rules", sarif_rules(), "columnKind", "unicodeCodePoints", "results", results);
}
