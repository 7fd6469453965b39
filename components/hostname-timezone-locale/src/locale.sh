# known LOCALE: whether the machine has it. The C library writes `utf8` where people write
# `UTF-8`; C and POSIX are always there.
known() {
    case $1 in C | POSIX) return 0 ;; esac
    locale -a 2>/dev/null | plain | grep -Fqx -- "$(printf '%s\n' "$1" | plain)"
}

plain() {
    tr '[:upper:]' '[:lower:]' | sed 's/-//g'
}

# Debian makes locales of what /etc/locale.gen lists.
make_locale() {
    case $1 in
        *.*) charset=${1#*.} charset=${charset%@*} ;;
        *) charset=ISO-8859-1 ;;
    esac
    if [ ! -e "$ROOT/etc/locale.gen" ] || ! has locale-gen; then
        fail "this machine does not have the locale $1: install the package locales first"
    fi
    if ! grep -Fqx -- "$1 $charset" "$ROOT/etc/locale.gen"; then
        printf '%s %s\n' "$1" "$charset" >>"$ROOT/etc/locale.gen"
    fi
    locale-gen
    if ! known "$1"; then
        fail "locale-gen can't make the locale $1"
    fi
    changed "made the locale $1"
}

family=$(family)
set -f
IFS='
'
for one in $WANTED; do
    # The C library of Alpine has no locales to make: it takes every name.
    if [ "$family" = alpine ] || known "$one"; then
        continue
    fi
    case $family in
        debian) make_locale "$one" ;;
        rhel) fail "this machine does not have the locale $one: install the package glibc-langpack-${one%%_*} first" ;;
        *) fail "this machine does not have the locale $one: install the package glibc-locale first" ;;
    esac
done
unset IFS

# setting FILE BEFORE: the line LANG= of the file is ours, and nothing else of it.
setting() {
    line="$2LANG=$DEFAULT"
    if [ -e "$1" ]; then
        file=$(readlink -f "$1")
    else
        file=$1
    fi
    rest=$(grep -v "^$2LANG=" "$file" 2>/dev/null || :)
    put "$file" "$line
${rest:+$rest
}"
}

if [ -n "$DEFAULT" ]; then
    case $family in
        debian) setting "$ROOT/etc/default/locale" '' ;;
        alpine) setting "$ROOT/etc/profile.d/20locale.sh" 'export ' ;;
        *) setting "$ROOT/etc/locale.conf" '' ;;
    esac
fi
