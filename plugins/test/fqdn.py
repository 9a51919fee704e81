# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a text can be the name that a mail host calls itself."""

from __future__ import annotations

from typing import Any

from ansible_collections.mailfleet.ispmail.plugins.module_utils.addresses import AddressError, parse_domain

DOCUMENTATION = r"""
name: fqdn
short_description: Whether a text is a fully qualified host name
description:
  - True for a host name of at least two labels (RFC 5321, section 4.1.2, and 2.3.5), in any case and in the form that
    goes over the wire. An internationalised name has to be written with A-labels (V(xn--...)).
  - An address, a name of one label, a name with a final dot and one whose last label is a single character or begins
    with a digit are none.
version_added: 0.1.0
author: mailfleet (@mailfleet)
options:
  _input:
    description: What may be a host name.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Check that the host name is fully qualified
  ansible.builtin.assert:
    that: ansible_facts['fqdn'] is mailfleet.ispmail.fqdn
"""

RETURN = r"""
_value:
  description: Whether it is one.
  type: bool
"""


def fqdn(text: Any) -> bool:
    """Whether ``text`` is a fully qualified host name as it is written in the SMTP dialogue."""
    try:
        name = parse_domain(text)
    except AddressError:
        return False
    _rest, dot, top = name.rpartition(".")
    return name == text.lower() and bool(dot) and len(top) > 1 and top[0].isalpha()


class TestModule:
    """The collection's test for host names."""

    def tests(self):
        return {"fqdn": fqdn}
