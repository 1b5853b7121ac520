/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `cofferdam lockdown --evidence`: what came of it, whoever has made the cut. */
#include "cli/cli.h"
#include "evidence/evidence.h"

void lockdown_evidence_end(struct evidence *evidence, json_t *answer)
{
    json_t *result = json_is_true(json_object_get(answer, "ok")) ? json_object_get(answer, "result") : NULL;
    json_t *report;

    if (!evidence)
        return;
    report = evidence_finish(evidence, result);
    if (result) {
        if (!json_is_true(json_object_get(report, "complete")) &&
            json_integer_value(json_object_get(answer, "exit")) == STATUS_OK)
            json_object_set_new(answer, "exit", json_integer(STATUS_ERROR));
        json_object_set(result, "evidence", report);
    } else if (json_is_string(json_object_get(report, "path"))) {
        cli_error("lockdown: the evidence is in %s, though nothing was cut off",
                  json_string_value(json_object_get(report, "path")));
    }
    json_decref(report);
}

/* ---- for people --------------------------------------------------------------------------------------- */

void lockdown_print_evidence(const json_t *result, FILE *out, bool colour)
{
    const json_t *evidence = json_object_get(result, "evidence"), *item;
    const char *path = json_string_value(json_object_get(evidence, "path"));
    long long took = (long long)json_integer_value(json_object_get(evidence, "took_usec"));
    size_t i;

    if (!evidence)
        return;
    if (path)
        cli_print_line(out, colour, STYLE_GOOD,
                       xasprintf("The evidence is in %s: %lld files, taken before the cut in %lld ms.", path,
                                 (long long)json_integer_value(json_object_get(evidence, "files")),
                                 took / 1000));
    else
        cli_print_line(out, colour, STYLE_BAD, xstrdup("THERE IS NO EVIDENCE"));
    json_array_foreach (json_object_get(evidence, "missing"), i, item) {
        const char *container = json_string_value(json_object_get(item, "container"));

        cli_print_line(out, colour, STYLE_BAD,
                       xasprintf("  not in it: %s%s%s: %s",
                                 json_string_value(json_object_get(item, "what")) ?: "?",
                                 container ? " of " : "", container ?: "",
                                 json_string_value(json_object_get(item, "why")) ?: "?"));
    }
}
