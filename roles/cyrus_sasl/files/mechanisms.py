# Copyright: (c) 2026, mailfleet
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the SASL mechanisms that the submission port of this host offers."""

import smtplib
import ssl

# The host asks itself: what is proved is the offer, not the certificate.
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE

with smtplib.SMTP_SSL("127.0.0.1", 465, local_hostname="localhost", timeout=30, context=context) as session:
    session.ehlo()
    print(session.esmtp_features.get("auth", ""))
