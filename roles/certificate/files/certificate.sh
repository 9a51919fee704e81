#!/bin/sh
# certificate.sh match|test|make CERTIFICATE KEY GROUP DAYS NAME...
#   match  succeeds when the pair belongs together, names every NAME and stays valid for DAYS more days
#   test   the same, and the key is readable by root and GROUP only
#   make   replaces the pair by a self-signed one for the NAMEs, valid for DAYS days
set -eu

action=$1 certificate=$2 key=$3 group=$4 days=$5
shift 5

case $action in
match | test)
  [ "$action" = match ] || test "$(stat -c '%a %U %G' "$key")" = "640 root $group"
  openssl x509 -in "$certificate" -noout -checkend "$((days * 86400))"
  for name; do
    openssl x509 -in "$certificate" -noout -checkhost "$name" | grep -q 'does match'
  done
  test "$(openssl x509 -in "$certificate" -noout -pubkey)" = "$(openssl pkey -in "$key" -pubout)"
  ;;
make)
  # Made beside their places, so that both arrive by a rename; a kill between the two leaves a pair
  # that fails the test above, and the next run makes it again.
  trap 'rm -f "$certificate.new" "$key.new"' EXIT
  mkdir -p "$(dirname "$certificate")" "$(dirname "$key")"
  names=$(printf ',DNS:%s' "$@")
  (
    umask 077
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days "$days" \
      -subj "/CN=$1" -addext "subjectAltName=${names#,}" -addext 'basicConstraints=critical,CA:FALSE' \
      -addext 'extendedKeyUsage=serverAuth' -keyout "$key.new" -out "$certificate.new"
  )
  chgrp "$group" "$key.new"
  chmod 0640 "$key.new"
  chmod 0644 "$certificate.new"
  mv "$key.new" "$key"
  mv "$certificate.new" "$certificate"
  ;;
esac
