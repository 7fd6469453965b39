zones=/usr/share/zoneinfo
if [ ! -f "$ROOT$zones/$ZONE" ]; then
    if [ -d "$ROOT$zones" ]; then
        fail "there is no time zone $ZONE in $zones"
    fi
    fail 'this machine has no time zones: install the package tzdata first'
fi
# A relative link, as systemd makes it, so that it holds below any root.
if [ "$(readlink "$ROOT/etc/localtime" 2>/dev/null)" != "..$zones/$ZONE" ] &&
    [ "$(readlink "$ROOT/etc/localtime" 2>/dev/null)" != "$zones/$ZONE" ]; then
    ln -s "..$zones/$ZONE" "$ROOT/etc/localtime.darkroom"
    if [ -d "$ROOT/etc/localtime" ]; then
        rm -f "$ROOT/etc/localtime.darkroom"
        fail '/etc/localtime is a folder'
    fi
    mv -f "$ROOT/etc/localtime.darkroom" "$ROOT/etc/localtime"
    changed "the time zone is $ZONE"
fi
# Debian's tzdata believes this file more than the link.
if [ -e "$ROOT/etc/timezone" ] || [ -e "$ROOT/etc/debian_version" ]; then
    put "$ROOT/etc/timezone" "$ZONE
"
fi
