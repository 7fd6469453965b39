# init: prints the init system that starts services here.
init() {
    if command -v systemctl >/dev/null 2>&1; then
        echo systemd
    elif command -v rc-update >/dev/null 2>&1; then
        echo openrc
    else
        echo none
    fi
}

# state UNIT: how systemd would start it: enabled, disabled, static, masked, ...; nothing
# where it does not know the unit.
state() {
    systemctl is-enabled -- "$1" 2>/dev/null || :
}

# enlisted NAME: whether OpenRC starts it in a run level.
enlisted() {
    rc-update show 2>/dev/null | sed 's/^ *//; s/ *|.*//' | grep -Fqx -- "$1"
}
