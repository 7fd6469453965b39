# Waits until every wanted port is in the kernel's tables, then prints the tables. No tool
# is needed. The arguments are `tcp:0050` and the like, ports in hexadecimal digits.
# 0A is TCP's state LISTEN; a UDP socket without a peer waits for packets.
tables() {
    for kind in tcp udp; do
        state=07
        if [ "$kind" = tcp ]; then state=0A; fi
        for table in "/proc/net/$kind" "/proc/net/${kind}6"; do
            if [ -r "$table" ]; then
                while read -r number address peer is queue timer retries user timeout inode rest; do
                    if [ "$is" = "$state" ]; then printf '%s %s %s\n' "$kind" "$address" "$inode"; fi
                done <"$table"
            fi
        done
    done
}
there() {
    now=$(tables)
    for port; do
        printf '%s\n' "$now" | grep -q "^${port%:*} [0-9A-F]*:${port#*:} " || return 1
    done
}
left=$WAIT
until there "$@" || [ "$left" -le 0 ]; do
    left=$((left - 1))
    sleep 1
done
now=$(tables)
printf '%s\n' "$now"

# Which process holds which socket, where somebody asks. Names as in /proc/PID/comm.
if [ -n "$PROCESSES" ]; then
    for socket in /proc/[0-9]*/fd/*; do
        target=$(readlink "$socket" 2>/dev/null) || continue
        case $target in
            socket:*)
                inode=${target#socket:?}
                inode=${inode%?}
                case "$now
" in
                    *" $inode
"*) printf 'process %s %s\n' "$inode" "$(cat "${socket%/fd/*}/comm" 2>/dev/null)" ;;
                esac
                ;;
        esac
    done
fi
exit 0
