gone "$(sudoers_file)"
if [ -n "$(field 3)" ]; then
    if [ "$(field 3)" = 0 ]; then
        fail "$NAME has the rights of root and is not removed"
    fi
    if has userdel; then
        # What still runs as it keeps its number, and is no reason to keep the user.
        if [ "$REMOVE_HOME" = yes ]; then userdel -f -r "$NAME" 2>&1; else userdel -f "$NAME" 2>&1; fi || :
    elif [ "$REMOVE_HOME" = yes ]; then
        deluser --remove-home "$NAME"
    else
        deluser "$NAME"
    fi
    if [ -n "$(field 3)" ]; then
        fail "$NAME could not be removed"
    fi
    changed "removed the user $NAME"
fi
