/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/settings.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "names.h"
#include "schema.h"
#include "util/duration.h"

#define SOCKET_PATH_MAX 107 /* sun_path of a unix socket, without its end */
#define NETWORK_NAME_MAX 255
#define UNIX_PREFIX "unix://"
#define GROUP_NAME_MAX 255
#define METRICS_EVERY_MIN 1000000ull /* microseconds */
#define METRICS_EVERY_MAX 3600000000ull

struct settings *settings_new(void)
{
    struct settings *settings = xnew(struct settings);

    settings->policies = xstrdup("/etc/cofferdam/policies");
    settings->state = xstrdup("/var/lib/cofferdam");
    settings->control = xstrdup("/run/cofferdam/control.sock");
    settings->audit = xstrdup("/var/log/cofferdam/audit.log");
    settings->managed_all = true;
    settings->log.denied = LOG_DENIED_ON;
    settings->log.group = 64;
    settings->log.file = xstrdup("/var/log/cofferdam/verdicts.log");
    settings->log.journal = LOG_JOURNAL_ON;
    settings->log.rate = 100;
    settings->metrics.every = 15000000;
    settings->mark = MARK_DEFAULT;
    return settings;
}

static void names_free(char ***names, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        free((*names)[i]);
    free(*names);
    *names = NULL;
    *n = 0;
}

struct settings *settings_free(struct settings *settings)
{
    if (!settings)
        return NULL;
    free(settings->docker);
    free(settings->policies);
    free(settings->state);
    free(settings->control);
    free(settings->control_group);
    free(settings->audit);
    free(settings->log.file);
    free(settings->metrics.textfile);
    names_free(&settings->managed, &settings->n_managed);
    names_free(&settings->unmanaged, &settings->n_unmanaged);
    free(settings);
    return NULL;
}

/* ---- values ------------------------------------------------------------------------------------------- */

static bool check_absolute(struct import *import, const struct node *value)
{
    char shown[SHOWN_MAX];

    if (value->text[0] == '/')
        return true;
    diag_help(
        report_node(import, CODE_PATH, value, "'%s' is no absolute path", text_shown(value->text, shown)),
        "begin it with /");
    return false;
}

/* The Engine is reached through its unix socket only: whoever else could listen would be root for us. */
static bool check_docker(struct import *import, const struct node *value)
{
    const char *path = value->text;

    if (strncmp(path, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        path += strlen(UNIX_PREFIX);
    if (strstr(path, "://") || (path != value->text && path[0] != '/')) {
        diag_help(
            report_node(import, CODE_PATH, value, "the Engine can only be reached through a unix socket"),
            "write unix:// and an absolute path, such as unix:///run/docker.sock");
        return false;
    }
    if (path == value->text && !check_absolute(import, value))
        return false;
    if (strlen(path) <= SOCKET_PATH_MAX)
        return true;
    report_node(import, CODE_TEXT_LENGTH, value, "the path of a socket has at most %d bytes",
                SOCKET_PATH_MAX);
    return false;
}

static bool check_audit(struct import *import, const struct node *value)
{
    return strcmp(value->text, AUDIT_OFF) == 0 || check_absolute(import, value);
}

static void import_network(struct import *import, const struct node *node, char ***names, size_t *n,
                           struct seen_name **seen)
{
    const char *name = import_text(import, "a network's name", node, NETWORK_NAME_MAX);
    struct source_pos pos = import_pos(import, node);
    const struct seen_name *first;
    char shown[SHOWN_MAX];
    struct diag *diag;

    if (!name)
        return;
    first = seen_names_add(seen, name, &pos);
    if (!first) {
        *ARRAY_ADD(*names, *n) = xstrdup(name);
        return;
    }
    diag = report_node(import, CODE_NETWORK_TWICE, node, "network '%s' is listed already",
                       text_shown(name, shown));
    diag_other(diag, &first->pos, "it stands here already");
    diag_help(diag, "a network is managed or unmanaged, not both");
}

/* ---- networks ----------------------------------------------------------------------------------------- */

struct networks_draft {
    struct settings *settings;
    struct seen_name *seen;
};

static void import_managed(struct import *import, const struct key *key, const struct node *value,
                           void *object)
{
    static const char *const words[] = {"all", NULL};
    struct networks_draft *draft = object;
    struct settings *settings = draft->settings;

    (void)key;
    names_free(&settings->managed, &settings->n_managed);
    settings->managed_all = value->kind != NODE_LIST;
    if (value->kind == NODE_MAPPING || node_is_null(value)) {
        report_type(import, "'managed'", "the word all or a list of networks", value);
    } else if (value->kind == NODE_SCALAR && import_word(import, "'managed'", value, words) < 0) {
        return;
    } else if (value->kind == NODE_LIST && !value->n) {
        diag_help(report_node(import, CODE_EMPTY_LIST, value,
                              "'managed' is an empty list: nothing would be enforced"),
                  "leave 'managed' out for every network, or list some");
    }
    for (size_t i = 0; value->kind == NODE_LIST && i < value->n; i++)
        import_network(import, value->items[i], &settings->managed, &settings->n_managed, &draft->seen);
}

static void import_unmanaged(struct import *import, const struct key *key, const struct node *value,
                             void *object)
{
    struct networks_draft *draft = object;

    (void)key;
    import_network(import, value, &draft->settings->unmanaged, &draft->settings->n_unmanaged, &draft->seen);
}

static const struct key networks_keys[] = {
    {.name = "managed", .type = KEY_OTHER, .summary = "all, or a list of networks", .import = import_managed},
    {.name = "unmanaged",
     .type = KEY_LIST,
     .summary = "networks to leave alone",
     .may_be_empty = true,
     .import = import_unmanaged},
};

static const struct mapping networks_mapping = {
    .what = "'networks'",
    .keys = networks_keys,
    .n_keys = ARRAY_SIZE(networks_keys),
};

static void import_networks(struct import *import, const struct key *key, const struct node *value,
                            void *object)
{
    struct networks_draft draft = {.settings = object};

    (void)key;
    if (mapping_get(value, "unmanaged"))
        names_free(&draft.settings->unmanaged, &draft.settings->n_unmanaged);
    import_mapping(import, &networks_mapping, value, &draft);
    seen_names_clear(&draft.seen);
}

/* ---- the tables --------------------------------------------------------------------------------------- */

static const char *const switch_words[] = {"off", "on", NULL}; /* enum log_denied, log_allowed, log_journal */

/* The word off stands for no file. */
static void import_file(struct import *import, const struct key *key, const struct node *value, char **path)
{
    _cleanup_free_ char *what = xasprintf("'%s'", key->name);
    const char *text = import_text(import, what, value, PATH_MAX - 1);

    if (!text || (strcmp(text, "off") != 0 && !check_absolute(import, value)))
        return;
    free(*path);
    *path = strcmp(text, "off") == 0 ? NULL : xstrdup(text);
}

static void import_log_file(struct import *import, const struct key *key, const struct node *value,
                            void *object)
{
    import_file(import, key, value, &((struct settings *)object)->log.file);
}

static const struct key log_keys[] = {
    {.name = "denied",
     .type = KEY_WORD,
     .summary = "on, or off: log what is denied",
     .offset = offsetof(struct settings, log.denied),
     .words = switch_words},
    {.name = "allowed",
     .type = KEY_WORD,
     .summary = "on, or off: log new connections that are allowed as well",
     .offset = offsetof(struct settings, log.allowed),
     .words = switch_words},
    {.name = "file",
     .type = KEY_OTHER,
     .summary = "where the records go, as lines of JSON: a path, or off",
     .import = import_log_file},
    {.name = "journal",
     .type = KEY_WORD,
     .summary = "on, or off: the same records to the journal",
     .offset = offsetof(struct settings, log.journal),
     .words = switch_words},
    {.name = "group",
     .type = KEY_NUMBER,
     .summary = "the NFLOG group by which the kernel tells of what is denied",
     .offset = offsetof(struct settings, log.group),
     .min = 1,
     .max = 65535},
    {.name = "rate",
     .type = KEY_NUMBER,
     .summary = "connections that are logged of one source, in a second",
     .offset = offsetof(struct settings, log.rate),
     .min = 1,
     .max = 1000000},
};

static const struct mapping log_mapping = {.what = "'log'", .keys = log_keys, .n_keys = ARRAY_SIZE(log_keys)};

/* ---- the metrics -------------------------------------------------------------------------------------- */

static void import_textfile(struct import *import, const struct key *key, const struct node *value,
                            void *object)
{
    import_file(import, key, value, &((struct settings *)object)->metrics.textfile);
}

static void import_every(struct import *import, const struct key *key, const struct node *value, void *object)
{
    const char *text = import_text(import, "'every'", value, PATH_MAX - 1);
    struct settings *settings = object;
    char shown[SHOWN_MAX];
    uint64_t span;

    (void)key;
    if (!text)
        return;
    if (duration_parse(text, &span) == 0 && span >= METRICS_EVERY_MIN && span <= METRICS_EVERY_MAX)
        settings->metrics.every = span;
    else
        diag_help(report_node(import, CODE_NUMBER, value, "'every' must be a time from 1s to 1h, not '%s'",
                              text_shown(text, shown)),
                  "write it as 15s or 1m");
}

static const struct key metrics_keys[] = {
    {.name = "textfile",
     .type = KEY_OTHER,
     .summary = "where the metrics are written for node_exporter: a path that ends with .prom, or off",
     .import = import_textfile},
    {.name = "every", .type = KEY_OTHER, .summary = "how often, such as 15s", .import = import_every},
};

static const struct mapping metrics_mapping = {
    .what = "'metrics'", .keys = metrics_keys, .n_keys = ARRAY_SIZE(metrics_keys)};

/* ---- all ---------------------------------------------------------------------------------------------- */

static const char *const mode_words[] = {"enforce", "audit", NULL};    /* enum policy_mode */
static const char *const unknown_words[] = {"deny", "internet", NULL}; /* enum unknown_endpoints */
static const char *const protect_words[] = {"auto", "off", NULL};      /* enum protect_table */
static const char *const image_label_words[] = {"ignore", "trust", NULL};
static const char *const group_may_words[] = {"read", "change", NULL}; /* enum group_may */

static void import_image_labels(struct import *import, const struct key *key, const struct node *value,
                                void *object)
{
    int word = import_word(import, "'image_labels'", value, key->words);
    struct settings *settings = object;

    if (word >= 0)
        settings->trust_image_labels = word == 1;
}

/* Marks are written in hexadecimal wherever they are written. */
static bool parse_mark(const char *text, uint32_t *ret)
{
    size_t len = strncmp(text, "0x", 2) == 0 ? strspn(text + 2, "0123456789abcdefABCDEF") : 0;

    if (len < 1 || len > 8 || text[2 + len])
        return false;
    *ret = (uint32_t)strtoul(text + 2, NULL, 16);
    return true;
}

static void import_mark(struct import *import, const struct key *key, const struct node *value, void *object)
{
    struct settings *settings = object;
    char shown[SHOWN_MAX];
    uint32_t mark;

    (void)key;
    if (value->kind != NODE_SCALAR || node_is_null(value)) {
        report_type(import, "'mark'", "a number such as 0x2000", value);
    } else if (!value->plain || !parse_mark(value->text, &mark)) {
        diag_help(report_node(import, CODE_NUMBER, value, "'mark' must be a hexadecimal number, not '%s'%s",
                              text_shown(value->text, shown), value->plain ? "" : " in quotes"),
                  "write one bit as 0x and up to 8 digits, such as 0x%x, without quotes", MARK_DEFAULT);
    } else if (mark == 0 || (mark & (mark - 1)) != 0) {
        diag_help(report_node(import, CODE_NUMBER, value, "'mark' must have exactly one bit set, not %s",
                              mark == 0 ? "none" : "several"),
                  "the other bits of the packet mark belong to other programs; write one, such as 0x%x",
                  MARK_DEFAULT);
    } else {
        settings->mark = mark;
    }
}

static const struct key settings_keys[] = {
    {.name = "docker",
     .type = KEY_TEXT,
     .summary = "the Engine's unix socket",
     .offset = offsetof(struct settings, docker),
     .max = SOCKET_PATH_MAX + sizeof(UNIX_PREFIX) - 1,
     .check = check_docker},
    {.name = "policies",
     .type = KEY_TEXT,
     .summary = "directory of the policies",
     .offset = offsetof(struct settings, policies),
     .max = PATH_MAX - 1,
     .check = check_absolute},
    {.name = "state",
     .type = KEY_TEXT,
     .summary = "directory for what must outlive the daemon",
     .offset = offsetof(struct settings, state),
     .max = PATH_MAX - 1,
     .check = check_absolute},
    {.name = "control",
     .type = KEY_TEXT,
     .summary = "the daemon's control socket",
     .offset = offsetof(struct settings, control),
     .max = SOCKET_PATH_MAX,
     .check = check_absolute},
    {.name = "control_group",
     .type = KEY_TEXT,
     .summary = "the group whose members may use the control socket, besides root",
     .offset = offsetof(struct settings, control_group),
     .max = GROUP_NAME_MAX},
    {.name = "control_group_may",
     .type = KEY_WORD,
     .summary = "read, or change: what the members of that group may do",
     .offset = offsetof(struct settings, control_group_may),
     .words = group_may_words},
    {.name = "audit",
     .type = KEY_TEXT,
     .summary = "the file in which each change and each refused attempt is a line, or off",
     .offset = offsetof(struct settings, audit),
     .max = PATH_MAX - 1,
     .check = check_audit},
    {.name = "networks",
     .type = KEY_OTHER,
     .summary = "which networks are managed",
     .mapping = &networks_mapping,
     .import = import_networks},
    {.name = "default_mode",
     .type = KEY_WORD,
     .summary = "enforce, or audit: let pass and log what containers that no policy selects would be denied",
     .offset = offsetof(struct settings, default_mode),
     .words = mode_words},
    {.name = "unknown_endpoints",
     .type = KEY_WORD,
     .summary = "what an address that no container owns may do: deny, or internet",
     .offset = offsetof(struct settings, unknown_endpoints),
     .words = unknown_words},
    {.name = "protect_table",
     .type = KEY_WORD,
     .summary = "auto, or off: keep others from changing our tables",
     .offset = offsetof(struct settings, protect_table),
     .words = protect_words},
    {.name = "image_labels",
     .type = KEY_OTHER,
     .summary = "ignore, or trust: labels that come from an image",
     .words = image_label_words,
     .import = import_image_labels},
    {.name = "mark",
     .type = KEY_OTHER,
     .summary = "the bit of the packet mark that says that the inet rules have seen a bridged packet",
     .import = import_mark},
    {.name = "log",
     .type = KEY_MAPPING,
     .summary = "which connections are logged, and where",
     .mapping = &log_mapping},
    {.name = "metrics",
     .type = KEY_MAPPING,
     .summary = "where the metrics are written",
     .mapping = &metrics_mapping},
};

static const struct misplaced settings_misplaced[] = {
    {"managed", "it belongs under 'networks'"},
    {"unmanaged", "it belongs under 'networks'"},
    {"mode",
     "for containers that no policy selects write default_mode; a policy's mode stands in the policy"},
    {"policy", "policies stand in files of their own, in the directory that 'policies' names"},
};

const struct mapping settings_mapping = {
    .what = "the settings",
    .keys = settings_keys,
    .n_keys = ARRAY_SIZE(settings_keys),
    .misplaced = settings_misplaced,
    .n_misplaced = ARRAY_SIZE(settings_misplaced),
};

/* ---- parsing ------------------------------------------------------------------------------------------ */

static void parse_documents(struct import *import, struct settings *settings)
{
    _cleanup_(yaml_reader_freep) struct yaml_reader *reader = yaml_reader_new(import->source);

    for (size_t n = 0;; n++) {
        _cleanup_(node_freep) struct node *root = NULL;
        int r = yaml_reader_next(reader, &root);

        if (r == 0)
            break;
        if (r < 0 || (n == 0 && node_is_null(root)))
            continue;
        if (n > 0)
            diag_help(report_node(import, CODE_CONFLICT, root, "the settings are one document"),
                      "join the two: remove the line ---");
        else
            import_mapping(import, &settings_mapping, root, settings);
    }
}

int settings_parse(struct settings *settings, const char *file, const char *bytes, size_t len,
                   struct diags *diags)
{
    struct import import = {.file = file};
    struct source source;
    int r;

    source_init(&source, file, bytes, len, diags);
    import.source = &source;
    if (!source.too_many && source_check(&source) == 0)
        parse_documents(&import, settings);
    r = source_finish(&source, diags);
    source_clear(&source);
    return r;
}
