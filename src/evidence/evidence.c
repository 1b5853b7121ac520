/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "evidence/evidence.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "collect.h"
#include "daemon/who.h"
#include "evidence/child.h"
#include "files/boot.h"
#include "inventory/json.h"
#include "util/mem.h"

#define FORMAT_VERSION "1.0"

struct evidence {
    char *directory; /* as asked for */
    char *path;      /* NULL: there is none */
    json_t *asked, *reason;
    json_t *containers, *files, *missing;
    char *begun, *collected;
    uint64_t took; /* microseconds before the cut */
};

static uint64_t now_usec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void add_missing(struct evidence *evidence, const char *what, const char *why)
{
    json_array_append_new(evidence->missing,
                          json_pack("{s:s, s:n, s:s}", "what", what, "container", "why", why));
}

static void take(struct evidence *evidence, const json_t *told)
{
    const struct {
        const char *key;
        json_t *list;
    } lists[] = {
        {"container", evidence->containers}, {"file", evidence->files}, {"missing", evidence->missing}};
    const json_t *object;
    size_t i;

    json_array_foreach (told, i, object) {
        const char *path = json_string_value(json_object_get(object, "path"));

        if (path && !evidence->path)
            evidence->path = xstrdup(path);
        for (size_t j = 0; j < ARRAY_SIZE(lists); j++) {
            json_t *item = json_object_get(object, lists[j].key);

            if (item)
                json_array_append(lists[j].list, item);
        }
    }
}

/* What was asked for, in the words of the request. */
static json_t *asked_for(const json_t *request)
{
    static const char *const keys[] = {"containers", "select", "except", "addresses", "interfaces"};
    json_t *object = json_object();

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        json_t *list = json_object_get(request, keys[i]);

        if (json_array_size(list) > 0)
            json_object_set(object, keys[i], list);
    }
    return object;
}

struct evidence *evidence_collect(const struct settings *settings, const char *directory,
                                  const json_t *request)
{
    struct evidence *evidence = xnew(struct evidence);
    struct collecting collecting = {settings, directory, request};
    json_t *reason = json_object_get(request, "reason");
    uint64_t begun = now_usec();
    bool whole;

    *evidence = (struct evidence){.directory = xstrdup(directory),
                                  .asked = asked_for(request),
                                  .reason = reason ? json_incref(reason) : json_null(),
                                  .containers = json_array(),
                                  .files = json_array(),
                                  .missing = json_array(),
                                  .begun = stamp_now()};
    json_t *told = child_run(collect, &collecting, EVIDENCE_COLLECT_MS, &whole);
    take(evidence, told);
    json_decref(told);
    evidence->took = now_usec() - begun;
    evidence->collected = stamp_now();
    if (!whole)
        add_missing(
            evidence, "time",
            evidence->took >= EVIDENCE_COLLECT_MS * 1000
                ? "it took too long, and the cut did not wait: what follows the last file is not there"
                : "it ended before its end: what follows the last file is not there");
    return evidence;
}

/* ---- afterwards --------------------------------------------------------------------------------------- */

static json_t *host_json(void)
{
    _cleanup_free_ char *boot = boot_id();
    struct utsname names = {0};

    uname(&names);
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "name", json_text_or_null(names.nodename), "system",
                     json_text_or_null(names.sysname), "kernel", json_text_or_null(names.release), "machine",
                     json_text_or_null(names.machine), "boot_id", json_text_or_null(boot));
}

static json_t *manifest_of(const struct evidence *evidence, bool cut)
{
    struct who who = who_of_process(getpid(), getuid());
    json_t *manifest = json_pack(
        "{s:s, s:s, s:o, s:o, s:O, s:O, s:s, s:s, s:b, s:O, s:O, s:O, s:b}", "format_version", FORMAT_VERSION,
        "tool", "cofferdam " COFFERDAM_VERSION, "host", host_json(), "who", who_to_json(&who), "asked",
        evidence->asked, "reason", evidence->reason, "begun", evidence->begun, "collected",
        evidence->collected, "cut", cut, "containers", evidence->containers, "files", evidence->files,
        "missing", evidence->missing, "complete", json_array_size(evidence->missing) == 0);

    who_clear(&who);
    return manifest;
}

static void write_rest(struct evidence *evidence, const json_t *result)
{
    json_t *manifest = manifest_of(evidence, result != NULL);
    struct finishing finishing = {evidence->path, result, manifest};
    bool whole;
    json_t *told = child_run(finish, &finishing, EVIDENCE_FINISH_MS, &whole);

    take(evidence, told);
    if (!whole)
        add_missing(evidence, "manifest", "the disk took too long: manifest and checksums may not be whole");
    json_decref(told);
    json_decref(manifest);
}

static struct evidence *evidence_free(struct evidence *evidence)
{
    json_decref(evidence->asked);
    json_decref(evidence->reason);
    json_decref(evidence->containers);
    json_decref(evidence->files);
    json_decref(evidence->missing);
    free(evidence->directory);
    free(evidence->path);
    free(evidence->begun);
    free(evidence->collected);
    free(evidence);
    return NULL;
}

json_t *evidence_finish(struct evidence *evidence, const json_t *result)
{
    json_t *report;

    if (evidence->path)
        write_rest(evidence, result);
    else if (json_array_size(evidence->missing) == 0)
        add_missing(evidence, "folder", "it cannot be made");
    report = json_pack("{s:o, s:I, s:I, s:b, s:O}", "path", json_text_or_null(evidence->path), "files",
                       (json_int_t)json_array_size(evidence->files), "took_usec", (json_int_t)evidence->took,
                       "complete", json_array_size(evidence->missing) == 0, "missing", evidence->missing);
    evidence_free(evidence);
    return report;
}
