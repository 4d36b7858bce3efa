#!/bin/sh
# Writes to a journal ten times a second that it runs, and starts a child that does the same. $1: what SIGTERM does, $2: the journal
if [ "$1" = ignores ]; then trap '' TERM; else trap 'echo stopping; exit 0' TERM; fi
beat() { while :; do echo "$LEADER_ELECTION_IDENTITY $LEADER_ELECTION_TERM $(cut -d ' ' -f 1 /proc/uptime)" >> "$2"; sleep 0.1; done; }
beat "$@" &
echo "runs in term $LEADER_ELECTION_TERM as $LEADER_ELECTION_IDENTITY"
while :; do sleep 0.1; done
