/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log: the journal's own protocol where stderr is the journal, lines on stderr elsewhere. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include "daemon.h"
#include "util/text.h"

static bool to_journal;

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the stream that leads to the journal. */
void log_open(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t device, inode;
    struct stat stat;

    to_journal = stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
                 fstat(STDERR_FILENO, &stat) == 0 && stat.st_dev == device && stat.st_ino == inode;
}

bool log_is_journal(void)
{
    return to_journal;
}

static const char *priority_name(int priority)
{
    static const char *const names[] = {"emergency", "alert",  "critical", "error",
                                        "warning",   "notice", "info",     "debug"};

    return priority >= 0 && (size_t)priority < ARRAY_SIZE(names) ? names[priority] : "info";
}

void log_text(int priority, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    _cleanup_free_ char *raw = xvasprintf(format, args);
    va_end(args);
    /* Names and error texts come from others: nobody shall write a line of their own into the log. */
    _cleanup_free_ char *text = text_escape(raw, false);
    if (to_journal)
        sd_journal_send("MESSAGE=%s", text, "PRIORITY=%i", priority, NULL);
    else
        fprintf(stderr, "%s: %s\n", priority_name(priority), text);
}

void log_audit(const json_t *entry)
{
    if (to_journal) {
        audit_to_journal(entry);
        return;
    }
    _cleanup_free_ char *text = audit_text(entry);
    log_text(audit_priority(entry), "%s", text);
}

char *diag_line(const struct diag *diag)
{
    _cleanup_free_ char *place = NULL, *code = NULL;

    if (diag->file && diag->line)
        place = xasprintf("%s:%u:%u: ", diag->file, diag->line, diag->column);
    else if (diag->file)
        place = xasprintf("%s: ", diag->file);
    if (diag->code)
        code = xasprintf("%s[%s]: ", diag_level_name(diag->level), diag->code);
    return xasprintf("%s%s%s%s%s", place ? place : "", code ? code : "", diag->message,
                     diag->help ? "; " : "", diag->help ? diag->help : "");
}

void log_diags(const struct diags *diags)
{
    for (size_t i = 0; i < diags->n; i++) {
        static const int priorities[] = {
            [DIAG_ERROR] = LOG_ERR, [DIAG_WARNING] = LOG_WARNING, [DIAG_NOTE] = LOG_INFO};
        _cleanup_free_ char *line = diag_line(&diags->v[i]);
        log_text(priorities[diags->v[i].level], "%s", line);
    }
}
