/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of dockerd, and the sockets on which it listens. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "docker/host.h"

static void list_clear(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

void dockerd_options_clear(struct dockerd_options *options)
{
    list_clear(options->hosts, options->n_hosts);
    list_clear(options->dns, options->n_dns);
    free(options->firewall_backend);
    free(options->userns_remap);
    free(options->config);
    *options = (struct dockerd_options){0};
}

static void add_text(char ***list, size_t *n, const char *text)
{
    if (*n < DOCKERD_LIST_MAX)
        *ARRAY_ADD(*list, *n) = xstrdup(text);
}

static void set_text(char **where, const char *text)
{
    free(*where);
    *where = xstrdup(text);
}

/* The options that are on or off, by their name on the command line and in daemon.json. */
static enum option_state *find_switch(struct dockerd_options *options, const char *name, size_t len)
{
    struct {
        const char *name;
        enum option_state *state;
    } known[] = {
        {"tls", &options->tls},
        {"tlsverify", &options->tlsverify},
        {"iptables", &options->iptables},
        {"ip6tables", &options->ip6tables},
        {"userland-proxy", &options->userland_proxy},
        {"icc", &options->icc},
        {"live-restore", &options->live_restore},
    };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strlen(known[i].name) == len && strncmp(known[i].name, name, len) == 0)
            return known[i].state;
    return NULL;
}

/* Takes an option that has a value; false when it is none of those that we know. */
static bool take_value(struct dockerd_options *options, const char *name, size_t len, const char *value)
{
    struct {
        const char *name;
        char **text;
    } known[] = {
        {"firewall-backend", &options->firewall_backend},
        {"userns-remap", &options->userns_remap},
        {"config-file", &options->config},
    };

    if (len == 4 && strncmp(name, "host", len) == 0)
        add_text(&options->hosts, &options->n_hosts, value);
    else if (len == 3 && strncmp(name, "dns", len) == 0)
        add_text(&options->dns, &options->n_dns, value);
    else {
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
            if (strlen(known[i].name) == len && strncmp(known[i].name, name, len) == 0) {
                set_text(known[i].text, value);
                return true;
            }
        return false;
    }
    return true;
}

/* "false", "0", "f" and so on, as Go's strconv.ParseBool() reads them. */
static enum option_state state_of(const char *value)
{
    return strchr("0fF", value[0]) ? OPTION_OFF : OPTION_ON;
}

/* Returns how many words it took besides this one. */
static size_t read_long(struct dockerd_options *options, const char *option, const char *next)
{
    size_t len = strcspn(option, "=");
    const char *value = option[len] ? option + len + 1 : NULL;
    enum option_state *state = find_switch(options, option, len);

    if (state)
        *state = value ? state_of(value) : OPTION_ON;
    else if (value)
        take_value(options, option, len, value);
    else if (next && take_value(options, option, len, next))
        return 1;
    return 0;
}

void dockerd_options_read_args(struct dockerd_options *options, char *const *args, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const char *next = i + 1 < n ? args[i + 1] : NULL;

        if (strncmp(args[i], "--", 2) == 0)
            i += read_long(options, args[i] + 2, next);
        else if (strncmp(args[i], "-H", 2) == 0 && (args[i][2] || next))
            add_text(&options->hosts, &options->n_hosts,
                     args[i][2] ? args[i] + 2 + (args[i][2] == '=') : args[++i]);
    }
}

/* ---- daemon.json -------------------------------------------------------------------------------------- */

static void read_list(const json_t *json, const char *key, char ***list, size_t *n)
{
    const json_t *item;
    size_t i;

    json_array_foreach (answer_array(json, key), i, item)
        if (json_string_value(item))
            add_text(list, n, json_string_value(item));
}

int dockerd_options_read_config(struct dockerd_options *options, const char *bytes, size_t len,
                                struct diags *diags)
{
    _cleanup_json_ json_t *json = answer_parse(bytes, len, ANSWER_OBJECT, "daemon.json", diags);
    const char *key;
    json_t *value;

    if (!json)
        return -EBADMSG;
    read_list(json, "hosts", &options->hosts, &options->n_hosts);
    read_list(json, "dns", &options->dns, &options->n_dns);
    json_object_foreach (json, key, value) {
        enum option_state *state = find_switch(options, key, strlen(key));

        if (state && json_is_boolean(value))
            *state = json_is_true(value) ? OPTION_ON : OPTION_OFF;
        else if (json_is_string(value) && strcmp(key, "config-file") != 0)
            take_value(options, key, strlen(key), json_string_value(value));
    }
    return 0;
}

/* ---- sockets ------------------------------------------------------------------------------------------ */

#define TCP_LISTEN 0x0a /* of include/net/tcp_states.h */

/* The words of an address are in network byte order each, printed as numbers of the host's. */
static struct ip ip_of_words(const uint32_t *words, enum ip_family family)
{
    uint8_t bytes[16];

    memcpy(bytes, words, ip_size(family));
    return ip_from_bytes(family, bytes);
}

bool listener_read(const char *line, enum ip_family family, struct listener *ret)
{
    unsigned port, state;
    unsigned long inode;
    uint32_t words[4] = {0};
    int n;

    if (family == IP4)
        n = sscanf(line, " %*u: %8" SCNx32 ":%4x %*8[0-9A-F]:%*4x %2x %*s %*s %*s %*u %*u %lu", &words[0],
                   &port, &state, &inode) +
            3;
    else
        n = sscanf(line,
                   " %*u: %8" SCNx32 "%8" SCNx32 "%8" SCNx32 "%8" SCNx32
                   ":%4x %*32[0-9A-F]:%*4x %2x %*s %*s %*s %*u %*u %lu",
                   &words[0], &words[1], &words[2], &words[3], &port, &state, &inode);
    if (n != 7 || state != TCP_LISTEN)
        return false;
    *ret = (struct listener){.ip = ip_of_words(words, family), .port = port, .inode = inode};
    return true;
}
