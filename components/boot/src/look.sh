# How the machine has come up. Reads only; each line is a word and its value, and lib.rs
# judges. Programs that are not there leave their lines out.
LC_ALL=C
export LC_ALL

# systemd: its state, once it has one that stays; 'offline' where another init runs.
if command -v systemctl >/dev/null 2>&1; then
    left=$WAIT
    while :; do
        state=$(systemctl is-system-running 2>/dev/null) || :
        case $state in
            '' | initializing | starting) ;;
            *) break ;;
        esac
        if [ "$left" -le 0 ]; then break; fi
        left=$((left - 1))
        sleep 1
    done
    printf 'state %s\n' "${state:-unknown}"
    systemctl list-jobs --no-legend --plain 2>/dev/null | while read -r number unit rest; do
        printf 'job %s\n' "$unit"
    done
    systemctl list-units --failed --all --no-legend --plain --full 2>/dev/null |
        while read -r unit rest; do printf 'failed %s\n' "$unit"; done
fi
if command -v systemd-analyze >/dev/null 2>&1; then
    printf 'time %s\n' "$(systemd-analyze time 2>&1 | head -n 1)"
fi

# The last mount of a folder is the one that counts; its options, then its file system's.
while read -r id parent device subroot point options rest; do
    if [ "$point" = / ]; then root="$options,${rest##* }"; fi
done </proc/self/mountinfo
printf 'root %s\n' "$root"

# The arguments are folders.
for folder; do
    space=$(df -Pk -- "$folder" 2>/dev/null | awk 'NR == 2 { print $4 }')
    inodes=$(df -Pi -- "$folder" 2>/dev/null | awk 'NR == 2 { print $4 }')
    printf 'free %s %s %s\n' "${space:--}" "${inodes:--}" "$folder"
done

# In a container the kernel and its messages are another machine's.
if systemd-detect-virt --container --quiet 2>/dev/null; then
    echo 'kernel another'
elif command -v journalctl >/dev/null 2>&1 && journalctl --dmesg --boot -n 1 >/dev/null 2>&1; then
    echo 'kernel read'
    journalctl --dmesg --boot --priority=err --output=cat --no-pager 2>/dev/null |
        head -n 200 | sed 's/^/error /'
elif command -v dmesg >/dev/null 2>&1 && dmesg >/dev/null 2>&1; then
    echo 'kernel read'
    { dmesg --notime --level=emerg,alert,crit,err 2>/dev/null || :; } |
        head -n 200 | sed 's/^/error /'
fi
exit 0
