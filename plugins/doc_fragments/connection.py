# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  login_user:
    description:
      - Database account to log in as.
      - If not given, it is taken from O(config_file); if that has none, it is the Unix account that runs the module.
    type: str
  login_password:
    description:
      - Password of O(login_user).
      - If not given, it is taken from O(config_file); if that has none, no password is sent.
        Debian's C(root) needs none over the Unix socket.
    type: str
  login_host:
    description:
      - Database servers, in the order in which they are tried. The first that can be reached is used, so name only
        servers that accept writes, for example the nodes of one cluster.
      - V(localhost) means the Unix socket O(login_unix_socket), as for MariaDB's own clients. Every other value is a
        host name or an address and is reached over TCP.
      - A server that refuses the login or whose certificate does not verify ends the search with an error.
      - If not given, the host is taken from O(config_file); if that has none, it is V(localhost).
    type: list
    elements: str
    default: []
  login_port:
    description:
      - TCP port of the servers, from 1 to 65535.
      - If not given, it is taken from O(config_file); if that has none, it is V(3306).
    type: int
  login_unix_socket:
    description:
      - Path of the server's Unix socket, used for V(localhost) only.
      - If not given, it is taken from O(config_file); if that has none, it is V(/run/mysqld/mysqld.sock).
    type: path
  login_db:
    description:
      - Name of the database that holds the tables.
    type: str
    default: provider
  config_file:
    description:
      - Option file of MariaDB's clients on the managed host. The values C(user), C(password), C(host), C(port),
        C(socket), C(ssl-ca), C(ssl-cert), C(ssl-key) and C(ssl-verify-server-cert) of its groups C([client]),
        C([client-server]) and C([client-mariadb]) are used where the module's own option is not given.
      - If not given, C(~/.my.cnf) is read if it exists. An empty string reads no file.
    type: path
  ca_cert:
    description:
      - PEM file on the managed host with the certificate of the authority that signed the servers' certificates.
      - Given, connections over TCP use TLS and nothing else, and the server's certificate is verified.
    type: path
    aliases: [ssl_ca]
  client_cert:
    description:
      - PEM file on the managed host with the client's certificate, for accounts that require one. Turns TLS on for
        connections over TCP.
    type: path
    aliases: [ssl_cert]
  client_key:
    description:
      - PEM file on the managed host with the private key of O(client_cert).
    type: path
    aliases: [ssl_key]
  check_hostname:
    description:
      - Whether the server's certificate must name the host as it is written in O(login_host).
      - If not given, it does where TLS is used. V(true) turns TLS on for connections over TCP by itself, verified
        against the system's authorities if O(ca_cert) is not given. V(false) leaves out the comparison of the name,
        never the verification of the certificate.
    type: bool
  connect_timeout:
    description:
      - Seconds to wait for one server to accept and greet before the next is tried.
    type: int
    default: 10
requirements:
  - PyMySQL 1.0.2 or later on the managed host (on Debian the package C(python3-pymysql))
notes:
  - Over TCP a password should travel with TLS only; give O(ca_cert).
"""
