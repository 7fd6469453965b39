# Waits until something listens on the TCP port. The kernel's own tables are read, so
# that no tool is needed; 0A is the state LISTEN.
hex=$(printf '%04X' "$PORT")
listening() {
    for table in /proc/net/tcp /proc/net/tcp6; do
        if [ -r "$table" ]; then
            while read -r number address peer state rest; do
                if [ "$state" = 0A ] && [ "${address##*:}" = "$hex" ]; then return 0; fi
            done <"$table"
        fi
    done
    return 1
}
left=$WAIT
until listening; do
    if [ "$left" -le 0 ]; then
        printf 'nothing listens on port %s\n' "$PORT"
        exit 1
    fi
    left=$((left - 1))
    sleep 1
done
printf 'port %s is open\n' "$PORT"
