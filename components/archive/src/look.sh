if is_there "$SHA256"; then
    echo 'all is there'
else
    echo 'it is not there'
fi
