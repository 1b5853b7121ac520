/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cofferdamd: options, settings, and the loop. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "control/protocol.h"
#include "daemon.h"
#include "files/files.h"

static const char usage[] =
    "Usage: cofferdamd [OPTION]...\n"
    "Isolates the containers of this host's Docker Engine: none has any network but what the policies grant.\n"
    "\n"
    "  --config FILE     the host's settings (default: " SETTINGS_FILE ")\n"
    "  --docker SOCKET   the Engine's socket\n"
    "  --policies DIR    the policies\n"
    "  --state DIR       what is kept from one start to the next\n"
    "  --control SOCKET  where the commands of cofferdam(1) are answered\n"
    "  -h, --help        shows this and exits\n"
    "  --version         shows the version and exits\n"
    "\n"
    "Each of the options overrides the setting of the same name. SIGHUP reads the "
    "policies again; SIGTERM ends the\n"
    "daemon and leaves the rules in force.\n";

enum option_id { OPT_CONFIG = 256, OPT_DOCKER, OPT_POLICIES, OPT_STATE, OPT_CONTROL, OPT_HELP, OPT_VERSION };

struct options {
    const char *config, *docker, *policies, *state, *control;
};

/* -1: go on; otherwise the exit status. */
static int parse_options(int argc, char **argv, struct options *ret)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, OPT_CONFIG},     {"docker", required_argument, NULL, OPT_DOCKER},
        {"policies", required_argument, NULL, OPT_POLICIES}, {"state", required_argument, NULL, OPT_STATE},
        {"control", required_argument, NULL, OPT_CONTROL},   {"help", no_argument, NULL, OPT_HELP},
        {"version", no_argument, NULL, OPT_VERSION},         {0},
    };
    static char program[] = "cofferdamd";
    struct options options = {0};
    const char **const texts[] = {&options.config, &options.docker, &options.policies, &options.state,
                                  &options.control};

    argv[0] = program; /* for the messages of getopt_long() */
    for (int id; (id = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        if (id == OPT_HELP || id == 'h') {
            fputs(usage, stdout);
            return STATUS_OK;
        }
        if (id == OPT_VERSION) {
            puts("cofferdamd " COFFERDAM_VERSION);
            return STATUS_OK;
        }
        if (id < OPT_CONFIG) { /* getopt_long() has said what is wrong */
            fputs("see cofferdamd --help\n", stderr);
            return STATUS_USAGE;
        }
        *texts[id - OPT_CONFIG] = optarg;
    }
    if (optind < argc) {
        fprintf(stderr, "%s: unexpected argument '%s'\nsee cofferdamd --help\n", program, argv[optind]);
        return STATUS_USAGE;
    }
    *ret = options;
    return -1;
}

static void override(char **setting, const char *option)
{
    if (!option)
        return;
    free(*setting);
    *setting = xstrdup(option);
}

static struct settings *load_settings(const struct options *options)
{
    _cleanup_diags_ struct diags diags = {0};
    struct settings *settings = settings_new();
    const char *config = options->config ? options->config : SETTINGS_FILE;
    /* A file that was named must be there: a slip must not replace the host's settings by the defaults. */
    int r = files_load_settings(config, !options->config, settings, &diags);

    log_diags(&diags);
    if (r < 0) {
        log_text(LOG_ERR, "the settings in %s cannot be used; what the kernel holds stays as it is", config);
        return settings_free(settings);
    }
    override(&settings->docker, options->docker);
    override(&settings->policies, options->policies);
    override(&settings->state, options->state);
    override(&settings->control, options->control);
    return settings;
}

int main(int argc, char **argv)
{
    struct daemon daemon = {.state_lock = -1, .namespace_lock = -1, .records.file.fd = -1};
    struct options options;
    int status = parse_options(argc, argv, &options);

    if (status >= 0)
        return status;
    log_open();
    daemon.settings = load_settings(&options);
    if (!daemon.settings)
        return STATUS_ERROR;
    log_text(LOG_INFO, "cofferdamd " COFFERDAM_VERSION " starts");
    int r = daemon_start(&daemon);
    if (r >= 0) {
        daemon_touch(&daemon);
        r = sd_event_loop(daemon.event);
        if (r < 0)
            log_text(LOG_ERR, "the event loop failed: %s; the rules stay in force", strerror(-r));
    }
    daemon_clear(&daemon);
    return r < 0 ? STATUS_ERROR : STATUS_OK;
}
