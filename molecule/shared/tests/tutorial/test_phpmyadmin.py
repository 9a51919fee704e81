# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""phpMyAdmin on the side: over HTTPS, for the addresses that the operator names, with a database account's password."""

from __future__ import annotations

import http.cookiejar
import os
import pathlib
import re
import ssl
import urllib.parse
import urllib.request

import testinfra.host
from ansible_collections.mailfleet.ispmail.plugins.module_utils import conversation

PORT = 8443


def _browser(ca_file: str) -> urllib.request.OpenerDirector:
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = False  # the host is called by its address
    return urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
    )


def _log_in(mail_host: conversation.MailHost, ca_file: str, user: str, password: str) -> str:
    """Fill in the login form, and return the page that follows."""
    browser, page = _browser(ca_file), f"https://{mail_host.address}:{PORT}/index.php"
    with browser.open(page, timeout=30) as reply:
        form = reply.read().decode()
    fields = {name: re.search(rf'name="{name}" value="([^"]*)"', form) for name in ("token", "set_session")}
    values = {name: match[1] for name, match in fields.items() if match}
    assert values.keys() == fields.keys(), form
    values |= {"pma_username": user, "pma_password": password, "server": "1", "route": "/"}
    with browser.open(page, urllib.parse.urlencode(values).encode(), timeout=30) as reply:
        return reply.read().decode()


def test_an_account_of_the_database_can_log_in(mail_host: conversation.MailHost, ca_file: str) -> None:
    password = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "ispmail").read_text().strip()
    assert 'name="pma_username"' not in _log_in(mail_host, ca_file, "ispmail", password)
    assert 'name="pma_username"' in _log_in(mail_host, ca_file, "ispmail", password + "x")


def test_other_addresses_are_refused(host: testinfra.host.Host) -> None:
    script = (
        "import ssl, urllib.request, urllib.error\n"
        f"try: urllib.request.urlopen('https://127.0.0.1:{PORT}/', context=ssl._create_unverified_context())\n"
        "except urllib.error.HTTPError as error: print(error.code)\n"
    )
    assert host.check_output("python3 -c %s", script) == "403"
