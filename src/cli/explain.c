/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "cli/cli.h"
#include "policy/parse.h"

static const struct cli_verb verb = {
    .name = "explain",
    .arguments = "FROM TO [PORT/PROTO]",
    .takes = TAKES_CONTROL,
    .min_args = 2,
    .max_args = 3,
    .about =
        "Says whether FROM may open a connection to TO, which policy and rule (with file and line), or the\n"
        "absence of one, decides it, and what would allow it. FROM and TO are each a container (name, ID or\n"
        "unique ID prefix), `host` for this host, or an IPv4 or IPv6 address. The port is the one that the\n"
        "container sees: for a published port 8080:80 it is 80/tcp; from outside and from the host, 8080/tcp\n"
        "is followed to it. Without a port, all that are allowed are listed.\n",
    .examples = "Examples:\n"
                "  cofferdam explain web db 5432/tcp\n"
                "  cofferdam explain 203.0.113.7 web 80/tcp    from outside, to a published port\n"
                "  cofferdam explain db 8.8.8.8                anything at all?\n"
                "\n"
                "Exit status: 0 allowed, 3 denied, 1 error (no such container, no daemon), 64 wrong usage.\n",
};

/* The first line says it in one word; colour that. */
static void print_text(const char *text, bool allowed)
{
    const char *end = strchrnul(text, '\n'), *colon = memrchr(text, ':', (size_t)(end - text));
    bool colour = cli_colour(stdout);

    if (!colon) {
        cli_print_styled(stdout, false, STYLE_NONE, text);
        return;
    }
    _cleanup_free_ char *who = xstrndup(text, (size_t)(colon + 1 - text));
    _cleanup_free_ char *verdict = xstrndup(colon + 1, (size_t)(end - colon - 1));
    cli_print_styled(stdout, colour, STYLE_HEAD, who);
    cli_print_styled(stdout, colour, allowed ? STYLE_GOOD : STYLE_BAD, verdict);
    cli_print_styled(stdout, false, STYLE_NONE, end);
}

static void print(const struct cli_options *options, const json_t *result, int exit_status)
{
    const char *verdict = json_string_value(json_object_get(result, "verdict"));
    const char *text = json_string_value(json_object_get(result, "text"));

    (void)options, (void)exit_status;
    print_text(text ?: "", verdict && strcmp(verdict, "allowed") == 0);
}

static bool check_port(const char *text)
{
    struct port port;
    const char *why = NULL;

    if (port_parse(text, &port, &why) == 0)
        return true;
    cli_error("explain: '%s' is no port: %s\n  write it as 5432/tcp, 53/udp or icmp/echo-request", text,
              why ?: "not understood");
    return false;
}

static int fill(const struct cli_options *options, const struct settings *settings, json_t *request)
{
    json_t *from = json_string(options->args[0]), *to = json_string(options->args[1]);

    (void)settings;
    if (!from || !to)
        cli_error("explain: the names must be UTF-8");
    json_object_set_new(request, "from", from);
    json_object_set_new(request, "to", to);
    if (options->n_args == 3)
        json_object_set_new(request, "port", json_string(options->args[2]));
    return from && to && (options->n_args < 3 || check_port(options->args[2])) ? STATUS_OK : STATUS_USAGE;
}

int cli_explain(int argc, char **argv)
{
    return cli_ask(&verb, argc, argv, fill, print);
}
