#!/bin/sh
# As the usual image: root hands over to the user rabbitmq (999); RABBITMQ_DEFAULT_USER, _PASS and _VHOST are read by
# the server itself.
set -e
case "${1:-}" in rabbitmq*)
    if [ "$(id -u)" = 0 ]; then
        find /var/lib/rabbitmq \! -user rabbitmq -exec chown rabbitmq:rabbitmq {} +
        exec setpriv --reuid=999 --regid=999 --clear-groups -- "$0" "$@"
    fi ;;
esac
exec "$@"
