// SPDX-License-Identifier: GPL-2.0-or-later
/* /proc/sys, the files from which it is filled, rtnetlink, and iptables-legacy's list of tables. */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "doctor/collect.h"
#include "files/files.h"

#define NET "/proc/sys/net/"
#define SMALL_MAX 4096 /* bytes, of what /proc tells in one line */
#define SYSCTL_FILE_MAX (256 * 1024)
#define SYSCTL_FILES_MAX 1024 /* in one folder */

static struct fact_number read_number(const char *path)
{
    _cleanup_free_ char *text = NULL;
    struct fact_number number = {.error = files_read(path, SMALL_MAX, &text, NULL)};
    char *end;

    if (number.error)
        return number;
    errno = 0;
    number.value = strtoll(text, &end, 10);
    if (end == text || errno)
        return (struct fact_number){.error = -EBADMSG};
    return number;
}

/* "all", or an interface: its name cannot hold a slash. */
static void read_device(const char *name, struct fact_number *ret)
{
    static const struct {
        const char *family, *key;
    } files[DEVICE_SYSCTLS] = {
        [DEV_ROUTE_LOCALNET] = {"ipv4", "route_localnet"},
        [DEV_SOURCE_ROUTE] = {"ipv4", "accept_source_route"},
        [DEV_SEG6] = {"ipv6", "seg6_enabled"},
        [DEV_PROXY_ARP] = {"ipv4", "proxy_arp"},
        [DEV_RP_FILTER] = {"ipv4", "rp_filter"},
        [DEV_ACCEPT_RA] = {"ipv6", "accept_ra"},
        [DEV_FORWARDING6] = {"ipv6", "forwarding"},
    };

    for (size_t i = 0; i < DEVICE_SYSCTLS; i++) {
        _cleanup_free_ char *path = xasprintf(NET "%s/conf/%s/%s", files[i].family, name, files[i].key);

        ret[i] = read_number(path);
    }
}

static void read_host(struct fact_number *ret)
{
    static const char *const files[HOST_SYSCTLS] = {
        [HOST_IP_FORWARD] = NET "ipv4/ip_forward",
        [HOST_CALL_IPTABLES] = NET "bridge/bridge-nf-call-iptables",
        [HOST_CALL_IP6TABLES] = NET "bridge/bridge-nf-call-ip6tables",
        [HOST_CALL_ARPTABLES] = NET "bridge/bridge-nf-call-arptables",
        [HOST_CT_TCP_LOOSE] = NET "netfilter/nf_conntrack_tcp_loose",
        [HOST_CT_TCP_LIBERAL] = NET "netfilter/nf_conntrack_tcp_be_liberal",
        [HOST_CT_MAX] = NET "netfilter/nf_conntrack_max",
        [HOST_CT_COUNT] = NET "netfilter/nf_conntrack_count",
        [HOST_CT_BUCKETS] = NET "netfilter/nf_conntrack_buckets",
        [HOST_CT_EVENTS] = NET "netfilter/nf_conntrack_events",
        [HOST_CT_HELPER] = NET "netfilter/nf_conntrack_helper",
    };

    for (size_t i = 0; i < HOST_SYSCTLS; i++)
        ret[i] = read_number(files[i]);
}

/* ---- interfaces --------------------------------------------------------------------------------------- */

static void add_link(const struct link *link, bool gone, void *userdata)
{
    struct fact_kernel *kernel = userdata;

    if (!gone)
        ARRAY_ADD(kernel->devices, kernel->n_devices)->link = *link;
}

static void collect_devices(struct fact_kernel *kernel)
{
    struct link_monitor *monitor = NULL;

    kernel->devices_error = link_monitor_open(NULL, add_link, NULL, kernel, &monitor);
    link_monitor_close(monitor);
    for (size_t i = 0; i < kernel->n_devices; i++)
        read_device(kernel->devices[i].link.name, kernel->devices[i].sysctl);
}

/* ---- who turns forwarding on -------------------------------------------------------------------------- */

/* "net.ipv4.ip_forward = 1", with slashes or dots, and a dash in front where errors are to be passed over. */
static bool sets_forward(const char *line)
{
    char key[64], value[8];

    if (sscanf(line, " %63[^= \t] = %7[0-9]", key, value) != 2)
        return false;
    for (char *p = key; *p; p++)
        if (*p == '/')
            *p = '.';
    return strcmp(key[0] == '-' ? key + 1 : key, "net.ipv4.ip_forward") == 0 && strtol(value, NULL, 10) == 1;
}

static bool file_sets_forward(const char *path)
{
    _cleanup_free_ char *text = NULL;
    char *save = NULL;

    if (files_read(path, SYSCTL_FILE_MAX, &text, NULL) < 0)
        return false;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (sets_forward(line))
            return true;
    return false;
}

/* The path of the first file in the folder that does; the caller frees it. */
static char *folder_sets_forward(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    char *found = NULL;

    for (size_t i = 0; dir && !found && i < SYSCTL_FILES_MAX && (entry = readdir(dir)); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", folder, entry->d_name);

        if (fnmatch("*.conf", entry->d_name, 0) == 0 && file_sets_forward(path))
            found = STEAL(path);
    }
    if (dir)
        closedir(dir);
    return found;
}

static char *find_forward_file(void)
{
    static const char *const folders[] = {"/etc/sysctl.d", "/run/sysctl.d", "/usr/lib/sysctl.d",
                                          "/lib/sysctl.d"};
    char *found = file_sets_forward("/etc/sysctl.conf") ? xstrdup("/etc/sysctl.conf") : NULL;

    for (size_t i = 0; !found && i < ARRAY_SIZE(folders); i++)
        found = folder_sets_forward(folders[i]);
    return found;
}

/* ---- iptables-legacy ---------------------------------------------------------------------------------- */

/* Adds the lines of a list of tables, with a space between. No such file: no such tables. */
static int read_tables(const char *path, char **list)
{
    _cleanup_free_ char *text = NULL;
    char *save = NULL;
    int r = files_read(path, SMALL_MAX, &text, NULL);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    for (const char *name = strtok_r(text, "\n", &save); name; name = strtok_r(NULL, "\n", &save)) {
        char *joined = xasprintf("%s%s%s", *list ? *list : "", *list ? " " : "", name);

        free(*list);
        *list = joined;
    }
    return 0;
}

static void collect_legacy(struct fact_kernel *kernel)
{
    int r = read_tables("/proc/net/ip_tables_names", &kernel->legacy_tables);

    if (r == 0)
        r = read_tables("/proc/net/ip6_tables_names", &kernel->legacy_tables);
    kernel->legacy_error = r;
    if (access("/sys/module/ebtable_filter", F_OK) == 0 || access("/sys/module/ebtable_nat", F_OK) == 0)
        kernel->legacy_ebtables = xstrdup("ebtable_filter or ebtable_nat");
}

void collect_kernel(struct fact_kernel *ret)
{
    *ret = (struct fact_kernel){0};
    read_host(ret->sysctl);
    read_device("all", ret->all);
    collect_devices(ret);
    ret->forward_file = find_forward_file();
    collect_legacy(ret);
}
