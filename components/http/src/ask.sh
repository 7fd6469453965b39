# Asks until the answer has the wanted status, or until the time is over, and prints the
# last answer: its head, an empty line and its body. With curl, or where there is none a
# plain GET with wget or bash. What went wrong is said in a last line that begins with
# `http.error: `, or with `http.can't: ` where no program here can ask so. Writes no file.
request() {
    if command -v curl >/dev/null 2>&1; then
        set -- -sS --noproxy '*' --http1.1 --max-time "$TIMEOUT" -i -X "$METHOD" --url "$URL"
        if [ "$METHOD" = HEAD ]; then set -- "$@" --head; fi
        if [ "$REDIRECTS" -gt 0 ]; then set -- "$@" --location --max-redirs "$REDIRECTS"; fi
        if [ -n "$CONNECT" ]; then set -- "$@" --connect-to "::$CONNECT:"; fi
        if [ -n "$INSECURE" ]; then set -- "$@" --insecure; fi
        if [ -n "$AUTHORITY" ]; then set -- "$@" --cacert "$AUTHORITY"; fi
        if [ -n "$TLS" ]; then set -- "$@" "--tlsv$TLS"; fi
        if [ -n "$BODY" ]; then set -- "$@" --data-raw "$BODY"; fi
        while IFS= read -r header; do
            if [ -n "$header" ]; then set -- "$@" -H "$header"; fi
        done <<END
$HEADERS
END
        error=$( { curl "$@" >&3; } 2>&1) 3>&1 && return 0
        printf '\nhttp.error: %s\n' "${error:-it failed}"
        return 0
    fi
    if [ -n "$SPECIAL" ]; then
        printf "\nhttp.can't: there is no curl here, which %s needs\n" "$SPECIAL"
        return 0
    fi
    if command -v wget >/dev/null 2>&1; then
        head=$(wget -q -S --no-proxy --tries=1 --timeout="$TIMEOUT" --max-redirect=0 -O /dev/null -- "$URL" 2>&1)
        printf '%s\n' "$head" | sed -n 's/^ *\(HTTP\/.*\)$/\1/p; s/^  *\([A-Za-z-]*: .*\)$/\1/p'
        echo
        case $head in *HTTP/*) ;; *) printf '\nhttp.error: %s\n' "$head"; return 0 ;; esac
        wget -q --no-proxy --tries=1 --timeout="$TIMEOUT" --max-redirect=0 --content-on-error -O - -- "$URL" 2>/dev/null || :
        return 0
    fi
    if command -v bash >/dev/null 2>&1; then
        HOST=$HOST PORT=$PORT PAGE=$PAGE timeout "$TIMEOUT" bash -c 'exec 3<>"/dev/tcp/$HOST/$PORT" &&
            printf "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" "$PAGE" "$HOST" >&3 && cat <&3' 2>/dev/null && return 0
        printf '\nhttp.error: nothing answers at %s port %s\n' "$HOST" "$PORT"
        return 0
    fi
    printf "\nhttp.can't: this image has neither curl nor wget nor bash\n"
}
# The heads of redirects come before the last one.
status() {
    if [ "$REDIRECTS" -gt 0 ]; then
        grep -a '^HTTP/' | tail -n 1
    else
        head -n 1
    fi | sed -n 's|^HTTP/[0-9.]* \([0-9]*\).*|\1|p'
}
left=$WAIT
while :; do
    answer=$(request | head -c 1000000 | tr -d '\000')
    case $answer in *"http.can't: "*) break ;; esac
    if [ "$(printf '%s\n' "$answer" | status)" = "$STATUS" ] || [ "$left" -le 0 ]; then break; fi
    left=$((left - 1))
    sleep 1
done
printf '%s\n' "$answer"
