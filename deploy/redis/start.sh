#!/bin/sh
# Starts Redis with one user for workers and API and one for Flower, each with what it needs and no more.
# The passwords come from the environment; they reach neither a command line nor a disk: the users' file holds hashes.
set -eu
umask 077
here=$(dirname "$0")
users=${USERS_FILE:-/tmp/users.acl}
hash() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }
sed -e "s/AFTERWORD_HASH/$(hash "${REDIS_PASSWORD:?}")/" -e "s/FLOWER_HASH/$(hash "${FLOWER_REDIS_PASSWORD:?}")/" \
  "$here/users.acl" > "$users"
unset REDIS_PASSWORD FLOWER_REDIS_PASSWORD
exec "${REDIS_SERVER:-redis-server}" "$here/redis.conf" --aclfile "$users" "$@"
