finish_interrupted
refresh
get upgrade --with-new-pkgs
