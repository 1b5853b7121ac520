/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolv.h"

#include <string.h>

#include "util/mem.h"

#define NAME_SERVERS_MAX 32

static bool is_loopback(struct ip ip)
{
    return ip.family == IP4 ? (uint32_t)ip.num >> 24 == 127 : ip.num == 1;
}

/* The address of a line "nameserver ADDRESS", or false. */
static bool parse_line(const char *line, size_t len, struct ip *ret)
{
    static const char word[] = "nameserver";
    char address[IP_TEXT_MAX];

    if (len <= sizeof(word) - 1 || memcmp(line, word, sizeof(word) - 1) != 0 ||
        !strchr(" \t", line[sizeof(word) - 1]))
        return false;
    line += sizeof(word);
    len -= sizeof(word);
    while (len > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    size_t n = 0;
    while (n < len && !strchr(" \t\r#;", line[n]))
        n++;
    if (n == 0 || n >= sizeof(address))
        return false;
    memcpy(address, line, n);
    address[n] = '\0';
    return ip_parse(address, ret) == 0;
}

void name_servers_parse(const char *text, struct name_servers *ret)
{
    struct name_servers servers = {0};
    struct ip ip, stub;
    size_t n_seen = 0;

    ip_parse("127.0.0.53", &stub);
    while (*text && servers.n < NAME_SERVERS_MAX) {
        size_t len = strcspn(text, "\n");
        if (parse_line(text, len, &ip)) {
            servers.is_stub = n_seen++ == 0 ? ip_equal(ip, stub) : false;
            if (is_loopback(ip))
                servers.has_loopback = true;
            else
                *ARRAY_ADD(servers.v, servers.n) = ip;
        }
        text += len;
        if (*text)
            text++;
    }
    *ret = servers;
}

void name_servers_clear(struct name_servers *servers)
{
    free(servers->v);
    *servers = (struct name_servers){0};
}
