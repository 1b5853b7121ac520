/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files: the state directory, and what the host says of itself. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"
#include "daemon/state.h"
#include "files/files.h"
#include "resolv.h"
#include "util/fd.h"

/* ---- the state directory ------------------------------------------------------------------------------- */

char *state_load(const char *directory)
{
    _cleanup_free_ char *path = xasprintf("%s/" STATE_FILE, directory);

    char *text = NULL;

    return files_read(path, STATE_MAX, &text, NULL) == 0 ? text : NULL;
}

int state_lock(const char *directory, int *ret_fd, struct diags *diags)
{
    _cleanup_free_ char *path = xasprintf("%s/" STATE_LOCK, directory);
    int fd, r = 0;

    if (mkdir(directory, 0700) < 0 && errno != EEXIST) {
        r = -errno;
        diag_add(diags, DIAG_ERROR, NULL, NULL, "cannot make the state directory %s: %s", directory,
                 strerror(-r));
        return r;
    }
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
        r = -errno;
        if (r == -EWOULDBLOCK)
            diag_add(diags, DIAG_ERROR, NULL, NULL, "another cofferdamd uses the state directory %s",
                     directory);
        else
            diag_add(diags, DIAG_ERROR, NULL, NULL, "cannot lock %s: %s", path, strerror(-r));
        if (fd >= 0)
            close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

/* ---- one daemon per kernel ---------------------------------------------------------------------------- */

/*
 * Abstract names belong to the network namespace, exactly as our tables do, and go with their process. But
 * anybody may take one, so a name that is taken is not enough to keep the daemon, and with it the rules, away.
 */
#define LOCK_NAME "cofferdamd"
#define LOCK_TRIES 5
#define LOCK_QUEUE 16 /* daemons that ask at the same time */
#define PROC_STATUS_MAX (64 * 1024)
#define LOCK_PAUSE_NS 20000000 /* between its owner's bind() and its listen(), or until its end */

static socklen_t lock_address(struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path + 1, LOCK_NAME, strlen(LOCK_NAME));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(LOCK_NAME));
}

/* Only what can change our tables is a daemon to make way for. One that cannot be looked at counts as one. */
static bool may_be_daemon(const struct ucred *peer)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/status", (int)peer->pid), *text = NULL;
    unsigned long long effective;

    if (peer->uid != 0)
        return false;
    if (peer->pid == 0 || files_read(path, PROC_STATUS_MAX, &text, NULL) < 0)
        return true;
    const char *line = strstr(text, "\nCapEff:");
    return !line || sscanf(line, "\nCapEff: %llx", &effective) != 1 || effective >> CAP_NET_ADMIN & 1;
}

/* False: nobody listens (yet), or not to us. */
static bool ask_owner(struct ucred *ret)
{
    struct sockaddr_un address;
    socklen_t len = lock_address(&address), size = sizeof(*ret);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool found = fd >= 0 && connect(fd, (struct sockaddr *)&address, len) == 0 &&
                 getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &size) == 0;

    if (fd >= 0)
        close(fd);
    return found;
}

static int try_lock(int fd)
{
    struct sockaddr_un address;
    socklen_t len = lock_address(&address);

    return bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, LOCK_QUEUE) < 0 ? -errno : 0;
}

int namespace_lock(int *ret_fd, struct diags *diags)
{
    static const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r = fd < 0 ? -errno : -EADDRINUSE;
    struct ucred owner = {0};

    for (int i = 0; fd >= 0 && r == -EADDRINUSE && i < LOCK_TRIES; i++) {
        if (i > 0)
            nanosleep(&pause, NULL);
        r = try_lock(fd);
        if (r == -EADDRINUSE && ask_owner(&owner) && may_be_daemon(&owner)) {
            diag_add(
                diags, DIAG_ERROR, NULL, NULL,
                "another cofferdamd (process %d) runs in this network namespace; the rules in the kernel "
                "are its, whatever state directory and control socket this one was given",
                (int)owner.pid);
            close(fd);
            return r;
        }
    }
    if (r < 0) {
        log_text(LOG_WARNING,
                 "cannot take the name @" LOCK_NAME " (%s)%s: two daemons would not notice each other",
                 strerror(-r), owner.pid ? ", which no cofferdamd has" : "");
        if (fd >= 0)
            close(fd);
        return 0;
    }
    *ret_fd = fd;
    return 0;
}

/* ---- the host ----------------------------------------------------------------------------------------- */

/* As the Engine does it: systemd-resolved's stub stands for the servers behind it. */
static void refresh_name_servers(struct daemon *daemon)
{
    struct name_servers servers = {0};
    _cleanup_free_ char *text = NULL;
    bool loopback_only;

    if (files_read("/etc/resolv.conf", RESOLV_CONF_MAX, &text, NULL) == 0)
        name_servers_parse(text, &servers);
    loopback_only = servers.has_loopback && servers.n == 0;
    if (servers.is_stub) {
        _cleanup_free_ char *real = NULL;
        if (files_read("/run/systemd/resolve/resolv.conf", RESOLV_CONF_MAX, &real, NULL) == 0) {
            name_servers_clear(&servers);
            name_servers_parse(real, &servers);
        }
    }
    brain_set_name_servers(daemon->brain, servers.v, servers.n, loopback_only);
    name_servers_clear(&servers);
}

void host_refresh(struct daemon *daemon)
{
    _cleanup_free_ struct ip *addresses = NULL;
    size_t n = 0;
    int r = link_host_addresses(daemon->links, &addresses, &n);

    if (r < 0)
        log_text(LOG_WARNING, "cannot list the host's addresses: %s", strerror(-r));
    else
        brain_set_host_addresses(daemon->brain, addresses, n);
    refresh_name_servers(daemon);
}
