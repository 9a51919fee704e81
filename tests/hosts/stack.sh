#!/bin/sh
# Runs inside a base image: current package lists, and the packages named as
# arguments downloaded into apt's cache, so that a test host fetches nothing.
set -eu
export DEBIAN_FRONTEND=noninteractive
# Mirrors hiccup.
echo 'Acquire::Retries "5";' >/etc/apt/apt.conf.d/80-retries
# The archives of debootstrap itself are installed already.
apt-get clean
apt-get -qq update
apt-get -qq -y --no-install-recommends dist-upgrade
apt-get clean
apt-get -qq -y --no-install-recommends --download-only install "$@"
# The kernel's messages are those of the machine, not of the host.
mkdir -p /etc/systemd/journald.conf.d
printf '[Journal]\nReadKMsg=no\n' >/etc/systemd/journald.conf.d/no-kernel.conf
