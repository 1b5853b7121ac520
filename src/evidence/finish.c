/* SPDX-License-Identifier: GPL-2.0-or-later */
/* After the cut: what was cut, the manifest, the checksums, and all of it on the disk. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "collect.h"
#include "evidence/child.h"
#include "evidence/folder.h"
#include "inventory/json.h"
#include "util/fd.h"

struct finisher {
    int pipe, folder;
    struct finishing *asked;
    char *sums; /* the lines of SHA256SUMS */
};

static void failed(struct finisher *f, const char *what, const char *name, int error)
{
    _cleanup_free_ char *why = xasprintf("%s cannot be written: %s", name, strerror(-error));

    json_t *item = json_pack("{s:s, s:n, s:s}", "what", what, "container", "why", why);
    json_array_append(json_object_get(f->asked->manifest, "missing"), item);
    json_object_set_new(f->asked->manifest, "complete", json_false());
    child_tell(f->pipe, json_pack("{s:o}", "missing", item));
}

static void add_sum(struct finisher *f, const char *digest, const char *name)
{
    char *longer = xasprintf("%s%s  %s\n", f->sums, digest, name);

    free(f->sums);
    f->sums = longer;
}

/* NULL: it could not be written. A new reference. */
static json_t *write_json(struct finisher *f, const char *name, const char *what, const json_t *json)
{
    _cleanup_free_ char *text = json_dumps(json, JSON_INDENT(2)), *taken = stamp_now();
    _cleanup_free_ char *line = xasprintf("%s\n", text ?: "null");
    char digest[SHA256_DIGEST_STRING_LENGTH];
    size_t done = 0;
    int r = folder_write(f->folder, name, line, strlen(line), digest, &done);

    if (r < 0)
        failed(f, what, name, r);
    if (r < 0 && done == 0)
        return NULL;
    add_sum(f, digest, name);
    return json_pack("{s:s, s:s, s:n, s:I, s:s, s:s, s:b}", "name", name, "what", what, "container", "size",
                     (json_int_t)done, "sha256", digest, "taken", taken, "whole", r == 0);
}

static int sync_names(struct finisher *f, const char *list, const char *key)
{
    const json_t *item;
    size_t i;
    int r = 0;

    json_array_foreach (json_object_get(f->asked->manifest, list), i, item) {
        const char *name = json_string_value(json_object_get(item, key));
        int error = folder_sync(f->folder, name && *name ? name : NULL);

        r = r < 0 ? r : error;
    }
    return r;
}

/* After all is written: a disk that is slow may take longer than there is time. The folder stands in another one. */
static void sync_all(struct finisher *f)
{
    static const char *const last[] = {"manifest.json", "SHA256SUMS", NULL, ".."};
    int r = sync_names(f, "files", "name"), folders = sync_names(f, "containers", "folder");

    r = r < 0 ? r : folders;
    for (size_t i = 0; i < ARRAY_SIZE(last); i++) {
        int error = folder_sync(f->folder, last[i]);

        r = r < 0 || error == -ENOENT ? r : error;
    }
    if (r < 0)
        failed(f, "disk", "what was taken", r);
}

/* It vouches for all the others. */
static void write_sums(struct finisher *f)
{
    char digest[SHA256_DIGEST_STRING_LENGTH];
    size_t done;
    int r = folder_write(f->folder, "SHA256SUMS", f->sums, strlen(f->sums), digest, &done);

    if (r < 0)
        failed(f, "checksums", "SHA256SUMS", r);
}

void finish(int pipe, void *userdata)
{
    struct finishing *asked = userdata;
    _cleanup_close_ int folder = open(asked->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct finisher f = {pipe, folder, asked, xstrdup("")};
    json_t *files = json_object_get(asked->manifest, "files"), *entry;
    size_t i;

    if (folder < 0) {
        failed(&f, "manifest", asked->path, -errno);
        free(f.sums);
        return;
    }
    json_array_foreach (files, i, entry)
        add_sum(&f, json_string_value(json_object_get(entry, "sha256")),
                json_string_value(json_object_get(entry, "name")));
    entry = asked->result ? write_json(&f, "lockdown.json", "lockdown", asked->result) : NULL;
    if (entry) {
        json_array_append(files, entry);
        child_tell(pipe, json_pack("{s:o}", "file", entry));
    }
    entry = write_json(&f, "manifest.json", "manifest", asked->manifest);
    if (entry)
        child_tell(pipe, json_pack("{s:o}", "file", entry));
    write_sums(&f);
    sync_all(&f);
    free(f.sums);
}
