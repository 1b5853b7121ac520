/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program that the end-to-end tests put into their containers: it echoes, and it asks. It shares no code
 * with what it tests, and links nothing but libc, statically.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum proto { PROTO_TCP, PROTO_UDP, PROTO_SCTP, PROTO_ICMP, PROTO_ICMP_TIMESTAMP };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* What a burst's packets begin with, then "ID TARGET NUMBER"; and those of who answers one, then "ID ...". */
#define BURST_MARK "cofferdam-burst "
#define PEER_MARK "cofferdam-peer "

bool proto_parse(const char *text, enum proto *ret_proto);

/* An IPv4 or IPv6 address in text and a port; false for anything else. */
bool address_parse(const char *text, uint16_t port, union address *ret_address);
socklen_t address_length(const union address *address);

/* Writes "ADDRESS PORT"; an IPv4-mapped IPv6 address as the IPv4 one that it is. */
void address_print(const union address *address, char *text, size_t size);

/* Writes the address alone, in the same way. */
void address_print_host(const union address *address, char *text, size_t size);

/* A monotonic clock, in milliseconds. */
int64_t now_ms(void);

/* Ends the program with a message on stderr. */
void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...);

int serve(int argc, char **argv); /* PORT/PROTO... */
int ask(int argc, char **argv);   /* [TIMEOUT_MS] */
int talk(int argc, char **argv);  /* PROTO ADDRESS PORT */
int shout(int argc, char **argv); /* ADDRESS PORT COUNT GAP_US [COMMAND...] */
int burst(int argc, char **argv); /* ID FAST_MS STAY_MS GAP_US FILE SPEC... */
int count(int argc, char **argv); /* wire INTERFACE | udp PORT... */
int pour(int argc, char **argv);  /* STYLE ADDRESS PORT GAP_US FLOW */
int drain(int argc, char **argv); /* [--sockets] PORT/PROTO... */
int flood(int argc, char **argv); /* GAP_US PROTO,ADDRESS,PORT... */
int stream(int argc, char **argv); /* GAP_US STYLE,FD,FD,NUMBER... */
