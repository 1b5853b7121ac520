/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The meters that count what is denied (struct meter), for who reads them. */
#pragma once

#define METER_SIZE 65536
#define METER_TIMEOUT 60 /* seconds after the last packet */
#define METER_PAUSE 10   /* seconds between two packets of one connection that are logged */

/* Table inet, of what comes from managed bridges: source, destination, protocol and the second two bytes of the transport
 * header (the port), or, of what has no ports, the first two (ICMP: type and code); and the source alone. */
#define METER_DENIED4 "denied4"
#define METER_DENIED6 "denied6"
#define METER_DENIERS4 "deniers4"
#define METER_DENIERS6 "deniers6"
/* The same of all else, where sources are whatever somebody says. */
#define METER_OUTSIDE_DENIED4 "outside_denied4"
#define METER_OUTSIDE_DENIED6 "outside_denied6"
#define METER_OUTSIDE_DENIERS4 "outside_deniers4"
#define METER_OUTSIDE_DENIERS6 "outside_deniers6"
#define METER_OUTSIDE "outside" /* the interface alone */

/* Table bridge: port, source and destination; of other frames port, ether type and the sender's hardware address; and
 * the port alone. */
#define METER_FRAMES4 "frames4"
#define METER_FRAMES6 "frames6"
#define METER_FRAMES "frames"
#define METER_SENDERS "senders"
