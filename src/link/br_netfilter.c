// SPDX-License-Identifier: GPL-2.0-or-later
#include "link/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/mem.h"

#define SYSCTL_DIR "/proc/sys/net/bridge/"

static const char *const sysctls[] = {
    SYSCTL_DIR "bridge-nf-call-iptables",
    SYSCTL_DIR "bridge-nf-call-ip6tables",
    SYSCTL_DIR "bridge-nf-call-arptables",
};

static bool is_present(void)
{
    return access(sysctls[0], F_OK) == 0;
}

/*
 * Asking for an interface that does not exist makes the kernel load the module of that name (dev_load() in
 * net/core/dev_ioctl.c, for those with CAP_SYS_MODULE). The answer is always "no such device".
 */
static int load_module(void)
{
    struct ifreq request = {.ifr_name = "br_netfilter"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    (void)ioctl(fd, SIOCGIFINDEX, &request);
    close(fd);
    return is_present() ? 0 : -EOPNOTSUPP;
}

static int write_zero(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int r;

    if (fd < 0)
        return -errno;
    r = write(fd, "0\n", 2) == 2 ? 0 : -errno;
    close(fd);
    return r;
}

int link_require_br_netfilter(void)
{
    int r;

    if (is_present())
        return 0;
    r = load_module();
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(sysctls); i++)
        r = write_zero(sysctls[i]);
    return r;
}
