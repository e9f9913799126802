#!/bin/bash
# The reverse tunnel of a job: as long as this script runs, LISTEN on the loopback of the site's machine leads to
# HOST:PORT here. A tunnel that breaks is opened again, after 1 s, 2 s, 4 s ... at most 30 s.
#
#   tunnel.sh STATE LISTEN HOST PORT USER@SITE SSH_PORT KEY KNOWN_HOSTS
#
# STATE is a file with one word: opening, open, or broken. What ssh says is in STATE.log, its last words only.
# Ends, and ssh with it, at SIGTERM.
set -u

state=$1 listen=$2 host=$3 port=$4 site=$5 ssh_port=$6 key=$7 known_hosts=$8
longest_wait=30
child=

tell() { printf '%s\n' "$1" >"$state.new" && mv "$state.new" "$state"; }

leave() {
    [ -z "$child" ] || kill "$child" 2>/dev/null
    exit 0
}
trap leave TERM INT HUP

# ssh says nothing when a tunnel stands; its local command is the sign that the site has let us in.
# -F none: nothing of the user's own settings, which may hold other forwards.
open() {
    ssh -F none -N -T -i "$key" -p "$ssh_port" -R "127.0.0.1:$listen:$host:$port" \
        -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile="$known_hosts" \
        -o GlobalKnownHostsFile=/dev/null -o ExitOnForwardFailure=yes -o ConnectTimeout=10 \
        -o ServerAliveInterval=5 -o ServerAliveCountMax=3 -o TCPKeepAlive=yes -o ControlMaster=no -o ControlPath=none \
        -o PermitLocalCommand=yes -o LocalCommand="printf 'open\n' >'$state.new' && mv '$state.new' '$state'" \
        "$site" >"$state.log" 2>&1 </dev/null &
    child=$!
    wait "$child"
}

pause=1
tell opening
while :; do
    began=$SECONDS
    open
    printf '%s tunnel: ssh ended: %s\n' "$(date +%T)" "$(tail -n 1 "$state.log" | tr -d '\000-\037')"
    tell broken
    [ $((SECONDS - began)) -lt 60 ] || pause=1
    sleep "$pause" &
    child=$!
    wait "$child"
    pause=$((pause * 2 > longest_wait ? longest_wait : pause * 2))
done
