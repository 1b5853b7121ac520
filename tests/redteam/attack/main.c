/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "attack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define OPTIONS_MAX 32

static struct option {
    const char *key, *value;
    bool used;
} options[OPTIONS_MAX];
static size_t n_options;

void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("attack: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void read_options(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');

        if (!value || n_options == OPTIONS_MAX)
            die("'%s': KEY=VALUE expected, at most %d times", argv[i], OPTIONS_MAX);
        *value++ = '\0';
        options[n_options++] = (struct option){.key = argv[i], .value = value};
    }
}

static void refuse_unused_options(void)
{
    for (size_t i = 0; i < n_options; i++)
        if (!options[i].used)
            die("the command knows no key %s", options[i].key);
}

const char *option_text(const char *key, const char *otherwise)
{
    for (size_t i = 0; i < n_options; i++) {
        if (strcmp(options[i].key, key) == 0) {
            options[i].used = true;
            return options[i].value;
        }
    }
    return otherwise;
}

uint32_t option_number(const char *key, uint32_t otherwise)
{
    const char *text = option_text(key, NULL);
    char *end;
    unsigned long value;

    if (!text)
        return otherwise;
    value = strtoul(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
    if (!*text || *end || value > UINT32_MAX)
        die("%s=%s: a number expected", key, text);
    return (uint32_t)value;
}

void mac_parse(const char *text, uint8_t ret[MAC_LEN])
{
    unsigned part[MAC_LEN];
    char rest;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &part[0], &part[1], &part[2], &part[3], &part[4], &part[5],
               &rest) != MAC_LEN)
        die("'%s' is no MAC address", text);
    for (size_t i = 0; i < MAC_LEN; i++)
        ret[i] = (uint8_t)part[i];
}

void address_parse(const char *text, struct address *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->is_ipv6 = strchr(text, ':') != NULL;
    if (inet_pton(ret->is_ipv6 ? AF_INET6 : AF_INET, text, ret->bytes) != 1)
        die("'%s' is no address", text);
}

size_t address_size(const struct address *address)
{
    return address->is_ipv6 ? 16 : 4;
}

bool option_mac(const char *key, uint8_t ret[MAC_LEN])
{
    const char *text = option_text(key, NULL);

    if (text)
        mac_parse(text, ret);
    return text;
}

bool option_address(const char *key, struct address *ret)
{
    const char *text = option_text(key, NULL);

    if (text)
        address_parse(text, ret);
    return text;
}

static void read_interface(struct request *request, const char *name)
{
    struct ifreq ifreq = {0};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    snprintf(ifreq.ifr_name, sizeof ifreq.ifr_name, "%s", name);
    if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &ifreq) < 0)
        die("interface %s: %s", name, strerror(errno));
    memcpy(request->mac, ifreq.ifr_hwaddr.sa_data, MAC_LEN);
    close(fd);
    request->ifindex = if_nametoindex(name);
}

static struct request read_request(void)
{
    struct request request = {.mark = option_text("mark", "")};
    bool from;

    read_interface(&request, option_text("dev", "eth0"));
    memcpy(request.smac, request.mac, MAC_LEN);
    memset(request.dmac, 0xff, MAC_LEN);
    option_mac("smac", request.smac);
    option_mac("dmac", request.dmac);
    from = option_address("from", &request.src);
    if (option_address("to", &request.dst) && from && request.src.is_ipv6 != request.dst.is_ipv6)
        die("from= and to= of different families");
    request.sport = (uint16_t)option_number("sport", 40000);
    request.dport = (uint16_t)option_number("dport", 9999);
    request.hops = (uint8_t)option_number("hops", 64);
    request.count = option_number("count", 3);
    return request;
}

static const struct {
    const char *name;
    void (*run)(const struct request *request);
} commands[] = {
    {"udp", attack_udp},
    {"tcp", attack_tcp},
    {"fragments", attack_fragments},
    {"icmp", attack_icmp},
    {"header", attack_header},
    {"packet", attack_packet},
    {"tunnel", attack_tunnel},
    {"connect", attack_connect},
    {"arp", attack_arp},
    {"discovery", attack_discovery},
    {"igmp", attack_igmp},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            read_options(argc - 2, argv + 2);
            struct request request = read_request();
            commands[i].run(&request);
            refuse_unused_options();
            return 0;
        }
    }
    die("usage: attack COMMAND [KEY=VALUE]...");
}
