"${manager}_prepare"
refresh
before=$("${manager}_inventory")
"${manager}_upgrade"
if [ "$("${manager}_inventory")" = "$before" ]; then
    echo 'all packages were new'
else
    changed 'upgraded packages'
fi
