#!/bin/sh
# Starts Redis with a user for each who needs it, with what he needs and no more; one whose password isn't set is off.
# The passwords come from the environment; they reach neither a command line nor a disk: the users' file holds hashes.
set -eu
umask 077
here=$(dirname "$0")
users=${USERS_FILE:-/tmp/users.acl}
hash() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }
given() { if [ -n "$2" ]; then echo "s/#$1_HASH/#$(hash "$2")/"; else echo "s/on #$1_HASH/off/"; fi; }
sed -e "$(given AFTERWORD "${REDIS_PASSWORD:?}")" -e "$(given FLOWER "${FLOWER_REDIS_PASSWORD:?}")" \
  -e "$(given API "${API_REDIS_PASSWORD:-}")" -e "$(given PRODUCER "${PRODUCER_REDIS_PASSWORD:-}")" \
  -e "$(given READER "${READER_REDIS_PASSWORD:-}")" "$here/users.acl" > "$users"
unset REDIS_PASSWORD FLOWER_REDIS_PASSWORD API_REDIS_PASSWORD PRODUCER_REDIS_PASSWORD READER_REDIS_PASSWORD
exec "${REDIS_SERVER:-redis-server}" "$here/redis.conf" --aclfile "$users" "$@"
