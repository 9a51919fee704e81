#!/bin/sh
# certificates.sh FOLDER SERVICE HOST...
# A private certificate authority for a fleet (FOLDER/ca.pem, FOLDER/ca.key) and, for each HOST, a pair FOLDER/HOST.pem and
# FOLDER/HOST.key that is valid for the HOST's name and for the name SERVICE, which all of them share. What is there
# already is kept: to replace a pair, remove its .pem first.
set -eu

folder=$1 service=$2
shift 2
days=825
umask 077
mkdir -p "$folder"
key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc'

# A file gets its name when it is complete.
if ! [ -e "$folder/ca.pem" ]; then
  # shellcheck disable=SC2086
  openssl req -x509 $key -days 3650 -subj "/CN=Authority of $service" -addext keyUsage=critical,keyCertSign,cRLSign \
    -keyout "$folder/ca.key" -out "$folder/ca.new"
  mv "$folder/ca.new" "$folder/ca.pem"
fi
for host; do
  [ -e "$folder/$host.pem" ] && continue
  # shellcheck disable=SC2086
  openssl req -new $key -subj "/CN=$host" -keyout "$folder/$host.key" -out "$folder/$host.csr"
  printf '%s\n' "subjectAltName=DNS:$host,DNS:$service" basicConstraints=critical,CA:FALSE extendedKeyUsage=serverAuth \
    subjectKeyIdentifier=hash authorityKeyIdentifier=keyid > "$folder/$host.ext"
  openssl x509 -req -in "$folder/$host.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -days "$days" \
    -extfile "$folder/$host.ext" -out "$folder/$host.new"
  rm "$folder/$host.csr" "$folder/$host.ext"
  mv "$folder/$host.new" "$folder/$host.pem"
done
