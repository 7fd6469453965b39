if [ ! -f "$FROM" ]; then
    fail "there is no file $FROM"
fi
digest=$(sha256sum <"$FROM")
digest=${digest%% *}
if [ -n "$SHA256" ] && [ "$digest" != "$SHA256" ]; then
    fail "$FROM has the digest $digest, not $SHA256"
fi

# needs PROGRAM PACKAGE
needs() {
    if ! has "$1"; then
        fail "this machine has no $1 to unpack with: install the package $2 first"
    fi
}

# as_tar: the archive without its compression.
as_tar() {
    case $FORMAT in
        tar.gz) gzip -dc <"$FROM" ;;
        tar.xz) xz -dc <"$FROM" ;;
        tar.zst) zstd -dcq <"$FROM" ;;
        tar.bz2) bzip2 -dc <"$FROM" ;;
        *) cat "$FROM" ;;
    esac
}

refuse_names() {
    if grep -Eq '^/|(^|/)\.\.(/|$)'; then
        fail 'the archive has a name that leads out of its place: nothing was unpacked'
    fi
}

# Unpacks into a folder that nobody else can reach. What a program drops or changes of a
# bad name is its business; we refuse the archive.
extract() {
    case $FORMAT in
        tar.gz) needs gzip gzip ;;
        tar.xz) needs xz xz-utils ;;
        tar.zst) needs zstd zstd ;;
        tar.bz2) needs bzip2 bzip2 ;;
    esac
    if [ "$FORMAT" = zip ]; then
        needs unzip unzip
        # busybox's unzip has no list of names alone; the last column is the name.
        { unzip -Z1 "$FROM" 2>/dev/null || unzip -l "$FROM" | sed 's/^.*:[0-9][0-9]  *//'; } | refuse_names
        unzip -q -o "$FROM" -d "$1" </dev/null
    else
        needs tar tar
        as_tar >"$1.tar"
        tar -tf "$1.tar" | refuse_names
        tar -C "$1" -xf "$1.tar" --no-same-owner
        rm -f "$1.tar"
    fi
}

# strip FROM TO: moves what is below the leading folders.
strip() {
    find "$1" -mindepth $((STRIP + 1)) -maxdepth $((STRIP + 1)) -exec sh -c '
        to=$1
        shift
        for one in "$@"; do
            if [ -e "$to/${one##*/}" ] || [ -L "$to/${one##*/}" ]; then
                echo "two folders of the archive hold ${one##*/}: take a smaller \`strip\`" >&2
                exit 255
            fi
            mv -- "$one" "$to/"
        done' sh "$2" {} +
}

# Refuses devices and links that lead out of the place, wherever a link is in it.
refuse_content() {
    odd=$(find "$1" ! -type f ! -type d ! -type l -print | head -n 1)
    if [ -n "$odd" ]; then
        fail "the archive has a device, a pipe or a socket (${odd#"$1"/}): nothing was unpacked"
    fi
    (
        cd "$1"
        find . -type l -exec sh -c '
            for link in "$@"; do
                target=$(readlink "$link")
                depth=$(printf %s "${link#./}" | tr -cd / | wc -c)
                case $target in /*) depth=-1 ;; esac
                left=$target/
                while [ -n "$left" ] && [ "$depth" -ge 0 ]; do
                    part=${left%%/*}
                    left=${left#*/}
                    case $part in
                        "" | .) ;;
                        ..) depth=$((depth - 1)) ;;
                        *) depth=$((depth + 1)) ;;
                    esac
                done
                if [ "$depth" -lt 0 ]; then
                    printf "the archive has a link that leads out of its place (%s): nothing was unpacked\n" "${link#./}" >&2
                    exit 255
                fi
            done' sh {} +
    ) || exit 1
}

# forget_others: takes away what other archives of this place brought and this one does
# not bring, files first, then folders that are empty.
forget_others() {
    for old in "$NOTES"/"${place_id%"${place_id#????????????????}"}"-*; do
        if [ ! -f "$old" ] || [ "$old" = "$note" ]; then
            continue
        fi
        tail -n +2 "$old" | (
            cd "$TO"
            xargs -0 sh -c 'for name in "$@"; do if [ ! -d "$name" ] || [ -L "$name" ]; then rm -f "$name"; fi; done' sh
        )
        tail -n +2 "$old" | tr '\0\n' '\n\1' | sort -r | tr '\1\n' '\n\0' | (
            cd "$TO"
            xargs -0 sh -c 'for name in "$@"; do if [ -d "$name" ]; then rmdir "$name" 2>/dev/null || :; fi; done' sh
        )
        rm -f "$old"
        echo 'took away what was unpacked there before'
    done
}

note=$(note_of "$digest")
if is_there "$digest"; then
    echo 'all is there'
else
    parent=${TO%/*}
    mkdir -p "${parent:-/}" "$NOTES"
    # What an attempt left that a power cut ended.
    rm -rf "$parent"/.darkroom-archive.*
    work=$(mktemp -d "$parent/.darkroom-archive.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    chmod 0700 "$work"
    mkdir "$work/all" "$work/content"
    extract "$work/all"
    strip "$work/all" "$work/content"
    refuse_content "$work/content"
    find "$work/content" -type f -perm /6000 -exec chmod ug-s {} +
    chown -R -h "$OWNER" "$work/content"
    (cd "$work/content" && find . -mindepth 1 -print0) >"$work/names"
    if [ ! -s "$work/names" ]; then
        fail 'the archive holds nothing there: take a smaller `strip`'
    fi
    if [ ! -d "$TO" ]; then
        mkdir -p "$TO"
        chown "$OWNER" "$TO"
    fi
    if [ "$CLEAN" = yes ]; then
        forget_others
    fi
    # The note goes first: what was begun is forgotten by a later archive too. It counts
    # only when all that it names is there.
    { told && cat "$work/names"; } >"$work/note"
    mv -f "$work/note" "$note"
    find "$work/content" -mindepth 1 -maxdepth 1 -exec cp -a {} "$TO/" \;
    if has restorecon; then
        restorecon -R "$TO" 2>/dev/null || :
    fi
    rm -rf "$work"
    trap - EXIT
    changed "unpacked $FROM into $TO"
fi
if [ "$BROUGHT" = yes ]; then
    rm -f "$FROM"
fi
