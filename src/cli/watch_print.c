/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A record as a line: aligned on a terminal, as wide as what was printed before needs it, and plain elsewhere.
 */
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "cli/watch.h"
#include "util/utc.h"
#include "watch/line.h"

#define WIDTH_MAX 40 /* one long name must not push all others aside */

void watch_out_init(struct watch_out *out, bool json, bool dated, FILE *stream)
{
    *out = (struct watch_out){.out = stream,
                              .json = json,
                              .dated = dated,
                              .aligned = isatty(fileno(stream)),
                              .colour = cli_colour(stream),
                              .from_width = 12,
                              .to_width = 16,
                              .protocol_width = 4};
}

/* "08:21:07.123", with the day in front "2026-11-20 08:21:07.123", where this host's clocks are. The caller frees it. */
static char *moment(const char *text, bool dated)
{
    char whole[sizeof("2026-11-20 08:21:07")] = "";
    uint64_t usec;
    struct tm tm;

    if (utc_parse_usec(text, &usec) < 0)
        return xstrdup("-");
    const time_t seconds = (time_t)(usec / 1000000);
    if (localtime_r(&seconds, &tm))
        strftime(whole, sizeof(whole), dated ? "%F %T" : "%T", &tm);
    return xasprintf("%s.%03u", whole, (unsigned)(usec / 1000 % 1000));
}

/* A column, which gets as wide as it needs to be, and what stands behind it. */
static void put(const struct watch_out *out, enum cli_style style, const char *text, size_t *width,
                const char *behind)
{
    size_t used = cli_print_cell(out->out, out->colour, style, text, out->aligned ? *width : 0);

    if (used > *width)
        *width = used < WIDTH_MAX ? used : WIDTH_MAX;
    fputs(behind, out->out);
}

static enum cli_style style_of(enum record_verdict verdict)
{
    switch (verdict) {
    case RECORD_DENIED:
        return STYLE_BAD;
    case RECORD_ALLOWED:
        return STYLE_GOOD;
    case RECORD_AUDITED:
        return STYLE_WARN;
    case RECORD_VERDICTS:
        break;
    }
    return STYLE_NONE;
}

static void print_line(struct watch_out *out, const json_t *record, bool ended)
{
    _cleanup_free_ char *when = moment(record_text(record, ended ? "event.end" : "@timestamp"), out->dated);
    size_t none = 0, seven = sizeof("ALLOWED") - 1;
    struct watch_line line;

    watch_line_of(record, &line);
    put(out, STYLE_DIM, when, &none, "  ");
    put(out, STYLE_NONE, line.from, &out->from_width, " -> ");
    put(out, STYLE_NONE, line.to, &out->to_width, "  ");
    put(out, STYLE_NONE, line.protocol, &out->protocol_width, "  ");
    put(out, style_of(record_verdict(record)), line.verdict, &seven, "  ");
    put(out, STYLE_NONE, line.direction, &seven, "  ");
    put(out, STYLE_NONE, line.reason, &none, "");
    fputc('\n', out->out);
    watch_line_clear(&line);
}

void watch_print(struct watch_out *out, const json_t *record, bool ended)
{
    out->n[record_verdict(record)]++;
    if (!out->json) {
        print_line(out, record, ended);
        return;
    }
    /* What strangers have put into names must not steer a terminal. */
    json_dumpf(record, out->out, JSON_COMPACT | JSON_ENSURE_ASCII);
    fputc('\n', out->out);
}

void watch_print_sum(const struct watch_out *out)
{
    fputs("cofferdam: seen:", stderr);
    for (enum record_verdict verdict = RECORD_DENIED; verdict < RECORD_VERDICTS; verdict++)
        fprintf(stderr, " %" PRIu64 " %s,", out->n[verdict], record_verdict_name(verdict));
    fprintf(stderr, " %" PRIu64 " lost\n", out->lost);
}
