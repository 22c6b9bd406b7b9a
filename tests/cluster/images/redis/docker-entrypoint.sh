#!/bin/sh
# As the usual image: options alone mean redis-server, and root hands over to the user redis (999).
set -e
case "${1:-}" in -* | *.conf) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    chown redis:redis .
    exec setpriv --reuid=999 --regid=999 --clear-groups -- "$0" "$@"
fi
exec "$@"
