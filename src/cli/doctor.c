/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `cofferdam doctor`: what of this host, kernel, Engine and Cofferdam is not as it should be, and how to mend it. */
#include <string.h>

#include "cli/cli.h"
#include "doctor/collect.h"
#include "doctor/doctor.h"
#include "files/files.h"
#include "inventory/json.h"
#include "util/text.h"

#define TEXT_WIDTH 110 /* columns, with the head of each line */

static const struct cli_verb verb = {
    .name = "doctor",
    .arguments = "",
    .takes = TAKES_CONTROL | TAKES_ALL,
    .about =
        "Looks at the host, the kernel, the Docker Engine, other firewalls and Cofferdam itself, and says of each thing\n"
        "that is not as it should be what was found, what it means and how to mend it. Nothing is changed. It works\n"
        "without the daemon and without Docker, and then says so; what only root may look at is named as not checked.\n"
        "\n"
        "Levels:  bad   what Cofferdam promises does not hold, or the host is open to others\n"
        "         warn  to mend\n"
        "         note  to know; there is nothing to mend\n",
    .examples =
        "Examples:\n"
        "  cofferdam doctor                      what is to be mended\n"
        "  cofferdam doctor --all                what is well, too\n"
        "  cofferdam doctor --json | jq -r '.checks[] | select(.level == \"bad\") | .id'\n"
        "\n"
        "Exit status: 0 nothing is to be mended, 3 something is, or could not be checked, 1 error, 64 wrong usage.\n",
};

/* ---- text --------------------------------------------------------------------------------------------- */

static enum cli_style style_of(enum finding_level level)
{
    static const enum cli_style styles[FINDING_LEVELS] = {
        [FINDING_OK] = STYLE_GOOD,   [FINDING_NOTE] = STYLE_HEAD, [FINDING_UNCHECKED] = STYLE_WARN,
        [FINDING_WARN] = STYLE_WARN, [FINDING_BAD] = STYLE_BAD,
    };

    return styles[level];
}

/* The bytes of the next line of a text: up to width, broken between words, and at line ends. */
static size_t line_length(const char *text, size_t width)
{
    size_t end = strcspn(text, "\n"), last = 0;

    if (end <= width)
        return end;
    for (size_t i = 0; i <= width; i++)
        if (text[i] == ' ')
            last = i;
    return last ? last : strcspn(text, " \n");
}

/* "      means  ..." with what follows below each other. */
static void print_part(FILE *out, bool colour, const char *head, const char *text)
{
    _cleanup_free_ char *escaped = text_escape(text, true);
    const char *rest = escaped;

    for (bool first = true; *rest; first = false) {
        size_t len = line_length(rest, TEXT_WIDTH - 14);
        _cleanup_free_ char *line = xasprintf("      %-6s", first ? head : "");

        cli_print_styled(out, colour, STYLE_DIM, line);
        fprintf(out, "%.*s\n", (int)len, rest);
        rest += len;
        rest += *rest == ' ' || *rest == '\n';
    }
}

static void print_head(FILE *out, bool colour, const struct finding *finding, const char *text)
{
    _cleanup_free_ char *level = xasprintf("%-10s", finding_level_name(finding->level));
    _cleanup_free_ char *rest = xasprintf("%-18s %s", finding->id, text);

    cli_print_styled(out, colour, style_of(finding->level), level);
    cli_print_styled(out, false, STYLE_NONE, rest);
    fputc('\n', out);
}

/* The first line alone; for what needs no more. */
static void print_short(FILE *out, bool colour, const struct finding *finding)
{
    _cleanup_free_ char *first = xstrndup(finding->found, strcspn(finding->found, "\n"));

    print_head(out, colour, finding, first);
}

static void print_full(FILE *out, bool colour, const struct finding *finding)
{
    _cleanup_free_ char *level = xasprintf("%-6s", finding_level_name(finding->level));

    cli_print_styled(out, colour, style_of(finding->level), level);
    cli_print_styled(out, colour, STYLE_HEAD, finding->id);
    fputc('\n', out);
    print_part(out, colour, "found", finding->found);
    if (finding->means)
        print_part(out, colour, "means", finding->means);
    if (finding->mend)
        print_part(out, colour, "mend", finding->mend);
    fputc('\n', out);
}

static size_t count(const struct findings *findings, enum finding_level level)
{
    size_t n = 0;

    for (size_t i = 0; i < findings->n; i++)
        n += findings->v[i].level == level;
    return n;
}

static void print_level(const struct findings *findings, enum finding_level level, FILE *out, bool colour)
{
    bool short_form = level == FINDING_OK || level == FINDING_UNCHECKED;

    for (size_t i = 0; i < findings->n; i++)
        if (findings->v[i].level == level)
            (short_form ? print_short : print_full)(out, colour, &findings->v[i]);
    if (short_form && count(findings, level))
        fputc('\n', out);
}

void doctor_print(const struct findings *findings, bool all, FILE *out, bool colour)
{
    for (int level = FINDING_LEVELS - 1; level >= 0; level--)
        if (all || level != FINDING_OK)
            print_level(findings, (enum finding_level)level, out, colour);
    fprintf(out, "%zu checks: %zu bad, %zu to mend, %zu to know, %zu not checked, %zu well\n", findings->n,
            count(findings, FINDING_BAD), count(findings, FINDING_WARN), count(findings, FINDING_NOTE),
            count(findings, FINDING_UNCHECKED), count(findings, FINDING_OK));
}

/* ---- JSON --------------------------------------------------------------------------------------------- */

static void print_json(const struct findings *findings)
{
    json_t *checks = json_array(), *document;

    for (size_t i = 0; i < findings->n; i++) {
        const struct finding *finding = &findings->v[i];

        json_array_append_new(checks, json_pack("{s:s, s:s, s:o, s:o, s:o}", "id", finding->id, "level",
                                                finding_level_name(finding->level), "found",
                                                json_text_or_null(finding->found), "means",
                                                json_text_or_null(finding->means), "mend",
                                                json_text_or_null(finding->mend)));
    }
    document = json_pack("{s:b, s:o}", "well", findings_are_well(findings), "checks", checks);
    cli_print_json(document);
    json_decref(document);
}

/* ---- the verb ----------------------------------------------------------------------------------------- */

/* Settings that cannot be used are a finding; then what is said is said of the defaults. */
static struct settings *load_settings(const struct cli_options *options, char **ret_error)
{
    struct settings *settings = settings_new();
    _cleanup_diags_ struct diags diags = {0};

    if (files_load_settings(options->config ?: SETTINGS_FILE, !options->config, settings, &diags) < 0) {
        *ret_error = xasprintf("%s:%u: %s", diags.n && diags.v[0].file ? diags.v[0].file : options->config ?: SETTINGS_FILE,
                               diags.n ? diags.v[0].line : 0, diags.n ? diags.v[0].message : "cannot be used");
        settings_free(settings);
        settings = settings_new();
    }
    if (options->control) {
        free(settings->control);
        settings->control = xstrdup(options->control);
    }
    return settings;
}

static int tell(const struct host_facts *facts, const struct cli_options *options)
{
    _cleanup_findings_ struct findings findings = {0};

    doctor_examine(facts, &findings);
    if (options->json)
        print_json(&findings);
    else
        doctor_print(&findings, options->all, stdout, cli_colour(stdout));
    return findings_are_well(&findings) ? STATUS_OK : STATUS_ATTENTION;
}

int cli_doctor(int argc, char **argv)
{
    struct host_facts facts;
    struct cli_options options;
    char *settings_error = NULL;
    struct settings *settings;
    int status;

    if (!cli_options_parse(&verb, argc, argv, &options, &status))
        return status;
    settings = load_settings(&options, &settings_error);
    if (doctor_collect(settings, settings_error, options.config ?: SETTINGS_FILE, &facts) == 0) {
        status = tell(&facts, &options);
    } else {
        cli_error("nothing can be looked at: /proc is not mounted, or not all of it");
        status = STATUS_ERROR;
    }
    host_facts_clear(&facts);
    return status;
}
