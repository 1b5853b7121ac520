/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/audit_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

struct audit_log *audit_log_new(const char *path)
{
    struct audit_log *log = xnew(struct audit_log);

    log->file.fd = -1;
    log->path = path[0] == '/' ? xstrdup(path) : NULL;
    return log;
}

struct audit_log *audit_log_free(struct audit_log *log)
{
    if (!log)
        return NULL;
    for (size_t i = 0; i < log->n_waiting; i++)
        free(log->waiting[i]);
    free(log->waiting);
    append_close(&log->file);
    free(log->path);
    free(log);
    return NULL;
}

/* ---- lines that wait ---------------------------------------------------------------------------------- */

/* Some have waited long: they are written together, and may be there twice where it is not certain that they are. */
int audit_log_retry(struct audit_log *log)
{
    size_t n = 0;
    int r = 0;

    while (n < log->n_waiting && (r = append_line(&log->file, log->path, 0600, log->waiting[n])) == 0)
        n++;
    int synced = n > 0 ? append_sync(&log->file) : 0;
    if (synced < 0) {
        r = synced;
        n = 0;
    }
    if (r < 0)
        append_close(&log->file); /* it may be another disk by the next time */
    for (size_t i = 0; i < n; i++)
        free(log->waiting[i]);
    if (n > 0)
        memmove(log->waiting, log->waiting + n, (log->n_waiting - n) * sizeof(*log->waiting));
    log->n_waiting -= n;
    log->error = r;
    return r;
}

int audit_log_write(struct audit_log *log, const char *line)
{
    if (!log->path)
        return 0;
    if (log->n_waiting >= AUDIT_WAITING_MAX && audit_log_retry(log) < 0) {
        log->n_lost++;
        return log->error;
    }
    *ARRAY_ADD(log->waiting, log->n_waiting) = xstrdup(line);
    return audit_log_retry(log);
}

/* ---- a whole entry ------------------------------------------------------------------------------------ */

#define ID_SIZE sizeof("0123456789abcdef")

static uint64_t wall_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The kernel has enough of it as soon as it runs services. */
static void make_id(char ret[static ID_SIZE])
{
    uint64_t id = 0;

    if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != sizeof(id))
        id = wall_now();
    snprintf(ret, ID_SIZE, "%016" PRIx64, id);
}

int audit_log_record(struct audit_log *log, struct audit_facts *facts, void (*tell)(const json_t *entry))
{
    char id[ID_SIZE];

    make_id(id);
    facts->id = id;
    facts->time = wall_now();
    json_t *entry = audit_entry(facts);
    _cleanup_free_ char *line = audit_line(entry);
    tell(entry);
    json_decref(entry);
    return audit_log_write(log, line);
}
