#!/usr/bin/env bash
# Bookinfo on real proxies: a sandbox with a data plane, Istio's own charts, and the page through the gateway.
# Run by `make demo-traffic`. Nothing is downloaded but what builds the programs, once.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

run() {
  printf '\n$ %s\n' "$*"
  "$@"
}

status() {
  nksmesh sandbox status --name traffic -o json | python3 -c "import json, sys
[sandbox] = json.load(sys.stdin)['data']['sandboxes']
print($1)"
}

run nksmesh sandbox up --name traffic --kubernetes 1.34 --data-plane
run nksmesh sandbox charts "$folder/charts" --samples
KUBECONFIG=$(status 'sandbox["kubeconfig"]')
export KUBECONFIG
version=$(ls "$folder/charts" | sed -n 's/^istiod-\(.*\)\.tgz$/\1/p')
run nksmesh install --version "$version" --charts "$folder/charts" --profile demo \
  --hub docker.io/istio --no-check-images --yes
run nksmesh inject enable default --yes
begun=$SECONDS
run nksmesh sample deploy bookinfo --samples "$folder/charts/samples" --no-check-images --yes
run nksmesh sample verify bookinfo
echo "Bookinfo answered through the gateway $((SECONDS - begun)) s after its install began."

run nksmesh sandbox status --name traffic
address=$(status '[r["relay"] for r in sandbox["data_plane"]["relays"] if r["address"].endswith(":80")][0]')
printf '\n$ curl http://%s/productpage\n' "$address"
python3 -c 'import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())' "http://$address/productpage" |
  grep -o '<title>.*</title>\|William Shakespeare\|slapstick humour\|reviews-v[123][a-z0-9-]*' | sort -u
echo "End it with: nksmesh sandbox delete --name traffic"
