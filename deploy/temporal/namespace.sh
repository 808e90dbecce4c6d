#!/bin/sh
# Registers the namespace and the search attributes by which jobs are found.
# Can be run again at any time.
set -eu

# Where and which: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE.
RETENTION=${RETENTION:-72h}
PATIENCE=60

# A new namespace is known to all parts of the server some seconds later.
again() {
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    if [ "$tries" -ge "$PATIENCE" ]; then
      echo "gave up after $tries tries: $*" >&2
      return 1
    fi
    sleep 1
  done
}

namespace() {
  temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
}

attributes() {
  temporal operator search-attribute create \
    --name JobOwner --type Keyword \
    --name JobStatus --type Keyword \
    --name CycleId --type Int \
    --name ReportId --type Int
}

again temporal operator cluster health
again namespace
again attributes
