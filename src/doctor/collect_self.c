// SPDX-License-Identifier: GPL-2.0-or-later
/* The daemon's answer to "status", its files, its tables, its service. */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/client.h"
#include "control/protocol.h"
#include "doctor/collect.h"
#include "files/files.h"

#define ANSWER_MS 5000
#define UNIT "cofferdamd.service"

/* ---- files -------------------------------------------------------------------------------------------- */

static void note_access(struct fact_self *self, const char *path)
{
    if (access(path, R_OK) < 0 && errno == EACCES)
        self->access_error = -EACCES;
}

static void add_file(struct fact_self *self, const char *path)
{
    struct fact_file *file = ARRAY_ADD(self->files, self->n_files);
    struct stat st;

    file->path = xstrdup(path);
    if (stat(path, &st) < 0) {
        file->error = -errno;
        return;
    }
    file->mode = st.st_mode;
    file->uid = st.st_uid;
    file->gid = st.st_gid;
}

/* Whoever may write to the folder may put another file in the place of one. */
static void add_folder_of(struct fact_self *self, const char *path)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *folder = slash && slash > path ? xstrndup(path, (size_t)(slash - path)) : NULL;

    if (folder)
        add_file(self, folder);
}

static void add_policies(struct fact_self *self, const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    for (size_t i = 0; dir && i < POLICY_FILES_MAX && (entry = readdir(dir)); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", folder, entry->d_name);

        if (entry->d_name[0] == '.' ||
            (fnmatch("*.yaml", entry->d_name, 0) != 0 && fnmatch("*.yml", entry->d_name, 0) != 0))
            continue;
        add_file(self, path);
        note_access(self, path);
    }
    if (dir)
        closedir(dir);
}

static void load_policies(struct fact_self *self)
{
    _cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
    _cleanup_diags_ struct diags diags = {0};

    if (access(self->settings->policies, F_OK) < 0 && errno == ENOENT)
        return;
    files_load_policies(self->settings->policies, set, &diags);
    policy_set_finish(set, &diags);
    self->n_policies = set->n_policies;
    self->n_policy_errors = diags.n_errors;
    for (size_t i = 0; i < diags.n && !self->policies_error; i++)
        if (diags.v[i].level == DIAG_ERROR)
            self->policies_error = xasprintf("%s:%u: %s", diags.v[i].file ? diags.v[i].file : "",
                                             diags.v[i].line, diags.v[i].message);
}

/* ---- the daemon --------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static void read_containers(const json_t *containers, struct fact_self *self)
{
    const json_t *container;
    size_t i;

    json_array_foreach (containers, i, container) {
        const char *name = text_of(container, "name"), *reason = text_of(container, "reason");

        self->n_containers++;
        if (!is_true(container, "running") || is_true(container, "enforced"))
            continue;
        *ARRAY_ADD(self->unenforced, self->n_unenforced) = (struct fact_unenforced){
            xstrdup(name ? name : "?"), xstrdup(reason ? reason : "no reason is given")};
    }
}

static void read_status(const json_t *result, struct fact_self *self)
{
    const json_t *tables = json_object_get(result, "tables"), *problem;
    size_t i;

    self->daemon_version = xstrdup_null(text_of(json_object_get(result, "daemon"), "version"));
    self->tables_protected = is_true(tables, "protected");
    self->tables_kept = is_true(tables, "kept");
    self->engine_connected = is_true(json_object_get(result, "engine"), "connected");
    read_containers(json_object_get(result, "containers"), self);
    json_array_foreach (json_object_get(result, "problems"), i, problem)
        if (json_string_value(problem))
            *ARRAY_ADD(self->problems, self->n_problems) = xstrdup(json_string_value(problem));
}

static void ask_daemon(struct fact_self *self)
{
    json_t *request = control_request("status"), *answer = NULL;

    self->daemon_error = control_call(self->settings->control, request, ANSWER_MS, &answer);
    json_decref(request);
    if (self->daemon_error)
        return;
    if (is_true(answer, "ok")) {
        read_status(json_object_get(answer, "result"), self);
    } else {
        const char *error = text_of(answer, "error");

        self->daemon_refused = xstrdup(error ? error : "it refuses to say how it is");
    }
    json_decref(answer);
}

/* ---- tables and service ------------------------------------------------------------------------------- */

static void read_tables(struct fact_self *self)
{
    _cleanup_(nft_socket_closep) struct nft_socket *socket = NULL;

    self->tables_error = nft_socket_open(&socket);
    if (self->tables_error == 0)
        self->tables_error = nft_table_state(socket, TABLE_INET, &self->tables[TABLE_INET]);
    if (self->tables_error == 0)
        self->tables_error = nft_table_state(socket, TABLE_BRIDGE, &self->tables[TABLE_BRIDGE]);
}

/* A link may lead nowhere for us and yet count for systemd. */
static bool is_there(const char *folder, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
    struct stat st;

    return lstat(path, &st) == 0;
}

/* systemd's own library has the version in its name; asking it would need D-Bus. */
static unsigned find_systemd_version(void)
{
    static const char *const folders[] = {"/usr/lib/systemd", "/lib/systemd",
                                          "/usr/lib/x86_64-linux-gnu/systemd",
                                          "/usr/lib/aarch64-linux-gnu/systemd", "/usr/lib64/systemd"};
    unsigned version = 0;

    for (size_t i = 0; !version && i < ARRAY_SIZE(folders); i++) {
        DIR *dir = opendir(folders[i]);
        const struct dirent *entry;

        while (dir && !version && (entry = readdir(dir)))
            if (sscanf(entry->d_name, "libsystemd-shared-%u", &version) != 1)
                version = 0;
        if (dir)
            closedir(dir);
    }
    return version;
}

static void look_at_service(struct fact_self *self)
{
    static const char *const units[] = {"/etc/systemd/system", "/run/systemd/system",
                                        "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
                                        "/lib/systemd/system"};
    static const char *const wants[] = {"/etc/systemd/system/multi-user.target.wants",
                                        "/run/systemd/system/multi-user.target.wants"};

    self->systemd = access("/run/systemd/system", F_OK) == 0;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        self->unit_found = self->unit_found || is_there(units[i], UNIT);
    for (size_t i = 0; i < ARRAY_SIZE(wants); i++)
        self->unit_enabled = self->unit_enabled || is_there(wants[i], UNIT);
    self->systemd_version = find_systemd_version();
}

void collect_self(const char *settings_path, struct fact_self *self)
{
    add_folder_of(self, settings_path);
    add_file(self, settings_path);
    add_file(self, self->settings->policies);
    note_access(self, settings_path);
    note_access(self, self->settings->policies);
    add_policies(self, self->settings->policies);
    add_file(self, self->settings->state);
    load_policies(self);
    ask_daemon(self);
    read_tables(self);
    look_at_service(self);
}
