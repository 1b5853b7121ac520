/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log of verdicts, for `cofferdam plan --against-log`: read line by line, so that its size does not matter, with the
 * caller's rights.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "plan/recorded.h"

/* A line that is longer than any record is told of as one that is none. */
static void read_lines(FILE *file, struct recorded_log *log)
{
    _cleanup_free_ char *line = xcalloc(RECORDED_LINE_MAX + 1, 1);
    size_t len = 0;
    int c;

    while ((c = getc_unlocked(file)) != EOF) {
        if (c == '\n') {
            recorded_log_line(log, line, len);
            len = 0;
        } else if (len <= RECORDED_LINE_MAX) {
            line[len++] = (char)c;
        }
    }
    recorded_log_line(log, line, len);
}

static int read_stream(FILE *file, const char *name, struct recorded_log *log, struct diags *diags)
{
    recorded_log_source(log, name);
    read_lines(file, log);
    if (!ferror(file))
        return 0;
    diag_add(diags, DIAG_ERROR, NULL, NULL, "%s cannot be read: %s", name, strerror(errno));
    return -EIO;
}

/* optional: that there is no such file is no error. */
static int read_path(const char *path, bool optional, struct recorded_log *log, struct diags *diags)
{
    struct stat st;
    FILE *file = fopen(path, "re");
    int r = file ? 0 : -errno;

    if (r == -ENOENT && optional)
        return 0;
    if (file && fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode))
        r = -EISDIR;
    if (r < 0)
        diag_add(diags, DIAG_ERROR, NULL, NULL, "%s cannot be read: %s", path, strerror(-r));
    else
        r = read_stream(file, path, log, diags);
    if (file)
        fclose(file);
    return r;
}

/* The one that was moved away last comes first: its records are older. */
static int read_default(const struct settings *settings, struct recorded_log *log, struct diags *diags)
{
    const char *path = settings->log.file;
    struct stat st;

    if (!path || (stat(path, &st) < 0 && errno == ENOENT)) {
        diag_help(diag_add(diags, DIAG_ERROR, NULL, NULL, "there is no log%s%s",
                           path ? " at " : ": the settings keep no file", path ?: ""),
                  "--against-log=FILE names another; `log` in the settings says what is logged, and where");
        return -ENOENT;
    }
    _cleanup_free_ char *rotated = xasprintf("%s.1", path);
    int r = read_path(rotated, true, log, diags);

    return r < 0 ? r : read_path(path, false, log, diags);
}

int cli_load_recorded(const struct cli_options *options, const struct settings *settings,
                      struct recorded_log **ret, struct diags *diags)
{
    _cleanup_(recorded_log_freep) struct recorded_log *log = NULL;
    uint64_t since;
    int r;

    if (cli_moment(options->since ?: "24h", &since) < 0) {
        diag_add(diags, DIAG_ERROR, NULL, NULL,
                 "--since takes a span of time such as 24h, or a moment such as 2026-11-20T15:04:05Z");
        return -EINVAL;
    }
    log = recorded_log_new(since);
    if (!options->log)
        r = read_default(settings, log, diags);
    else if (strcmp(options->log, "-") == 0)
        r = read_stream(stdin, "standard input", log, diags);
    else
        r = read_path(options->log, false, log, diags);
    if (r == 0)
        *ret = STEAL(log);
    return r;
}
