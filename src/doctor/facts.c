// SPDX-License-Identifier: GPL-2.0-or-later
#include "doctor/facts.h"

#include <stdlib.h>

static void clear_dockerd(struct fact_dockerd *dockerd)
{
    dockerd_options_clear(&dockerd->options);
    free(dockerd->config);
    free(dockerd->config_error);
    free(dockerd->listeners);
}

static void clear_engine(struct fact_engine *engine)
{
    free(engine->socket);
    free(engine->error);
    free(engine->version);
    docker_info_clear(&engine->info);
    network_list_clear(&engine->networks);
    for (size_t i = 0; i < engine->n_powers; i++) {
        free(engine->powers[i].name);
        docker_powers_clear(&engine->powers[i].powers);
    }
    free(engine->powers);
    for (size_t i = 0; i < engine->n_dockerds; i++)
        clear_dockerd(&engine->dockerds[i]);
    free(engine->dockerds);
}

static void clear_self(struct fact_self *self)
{
    settings_free(self->settings);
    free(self->settings_error);
    free(self->policies_error);
    for (size_t i = 0; i < self->n_files; i++)
        free(self->files[i].path);
    free(self->files);
    free(self->daemon_refused);
    free(self->daemon_version);
    for (size_t i = 0; i < self->n_unenforced; i++) {
        free(self->unenforced[i].name);
        free(self->unenforced[i].reason);
    }
    free(self->unenforced);
    for (size_t i = 0; i < self->n_problems; i++)
        free(self->problems[i]);
    free(self->problems);
}

void host_facts_clear(struct host_facts *facts)
{
    clear_engine(&facts->engine);
    free(facts->kernel.forward_file);
    free(facts->kernel.devices);
    free(facts->kernel.legacy_tables);
    free(facts->kernel.legacy_ebtables);
    nft_survey_clear(&facts->firewall.survey);
    free(facts->firewall.trial_refused);
    free(facts->firewall.trial_help);
    clear_self(&facts->self);
    *facts = (struct host_facts){0};
}
