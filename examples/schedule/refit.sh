#!/bin/sh
# refit.sh MODEL SERVICE, in the project's folder: trains MODEL on the rows there are now with what
# its last accepted search found, and asks to promote what passes its gates. For cron or another
# scheduler. Ends with 0 (done, nothing to do, or a person is asked), 75 (try again later: sysexits'
# EX_TEMPFAIL), or the exit code of `heddle` (docs/schedule.md).
set -u
model=$1
service=$2
result=$(mktemp)
trap 'rm -f "$result"' EXIT

heddle run --refit --model "$model" --json > "$result"
code=$?
case $code in
  0) ;;
  7) echo "another run of this project goes on"; exit 75 ;;
  9 | 10 | 11) exit 75 ;;
  *) exit $code ;;
esac
if grep -q '"ran": 0,' "$result"; then
  echo "no new rows, nothing to do"
  exit 0
fi
# What the policy leaves to a person waits for them: `heddle approval list`.
heddle release promote "$service"
