#!/bin/sh
# Gate: the approvers' page is sealed: its documents and SHA256SUMS name the parts that are there.
exec "$(dirname "$0")/../clients/approve/seal.sh" --check
