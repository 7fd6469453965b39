# Below a root of its own nothing is told to the running kernel. Where the file is bound
# over by whoever runs this instance it can't be replaced, only written.
if [ "$(cat "$ROOT/etc/hostname" 2>/dev/null)" != "$NAME" ]; then
    printf '%s\n' "$NAME" >"$ROOT/etc/hostname"
    changed "wrote $ROOT/etc/hostname"
fi
if [ -z "$ROOT" ] && [ "$(cat /proc/sys/kernel/hostname)" != "$NAME" ]; then
    if { printf '%s\n' "$NAME" >/proc/sys/kernel/hostname; } 2>/dev/null || hostname "$NAME" 2>/dev/null; then
        changed "the running machine is $NAME"
    else
        echo 'the running kernel keeps its host name; the file counts at the next boot'
    fi
fi

# The name must be found without a network: sudo and others look it up. The line of
# Debian's own installer is 127.0.1.1, and ours replaces it.
line="127.0.1.1 $NAME"
case $NAME in
    *.*) line="$line ${NAME%%.*}" ;;
esac
hosts=$(cat "$ROOT/etc/hosts" 2>/dev/null || :)
rest=$(printf '%s\n' "$hosts" | grep -v '^127\.0\.1\.1[[:space:]]' || :)
wanted=$(printf '%s\n%s' "$rest" "$line")
if ! printf '%s\n' "$hosts" | grep -Fqx -- "$line"; then
    printf '%s\n' "$wanted" >"$ROOT/etc/hosts"
    changed "wrote $ROOT/etc/hosts"
fi

if [ -d "$ROOT/etc/cloud" ]; then
    file=$ROOT/etc/cloud/cloud.cfg.d/99-darkroom-hostname.cfg
    if [ "$KEEP" = yes ]; then
        put "$file" 'preserve_hostname: true
'
    else
        gone "$file"
    fi
fi
