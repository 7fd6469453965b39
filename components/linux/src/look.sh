# What this machine knows of its block devices and mounts, and of the files that /etc/fstab
# below $ROOT names. Reads only. Each line is a word and its value; fstab.rs judges.
FSTAB="$ROOT/etc/fstab"
if [ -f "$FSTAB" ] && [ ! -L "$FSTAB" ]; then
    while read -r spec rest || [ -n "$spec" ]; do
        case $spec in
            /dev/*) ;;
            # Escaped blanks: taken as there, rather than looked for under a wrong name.
            *\\*) printf 'file %s\n' "$spec" ;;
            /*) if [ -e "$ROOT$spec" ]; then printf 'file %s\n' "$spec"; fi ;;
        esac
    done <"$FSTAB"
fi
find /dev \( -type b -o -type l \) -print 2>/dev/null | while IFS= read -r node; do
    if [ -b "$node" ]; then printf 'node %s\n' "$node"; fi
done
PATH="$PATH:/usr/sbin:/sbin"
if command -v blkid >/dev/null 2>&1; then
    blkid -c /dev/null -o export 2>/dev/null | while IFS= read -r tag; do
        if [ -n "$tag" ]; then printf 'tag %s\n' "$tag"; fi
    done
fi
while read -r id parent device subroot point rest; do
    printf 'mount %s %s\n' "$point" "${rest##* - }"
done </proc/self/mountinfo
exit 0
