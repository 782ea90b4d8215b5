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
run nksmesh install --version "$version" --charts "$folder/charts" --hub docker.io/istio --no-check-images --yes
run nksmesh inject enable default --yes

# The sample as it is, but for the port: the gateway's Service leads port 80 to 80, and the sample opens 8080.
samples="$folder/charts/samples/bookinfo"
mkdir -p "$folder/bookinfo/templates"
printf 'apiVersion: v2\nname: bookinfo\nversion: 1.0.0\n' >"$folder/bookinfo/Chart.yaml"
cp "$samples/platform/kube/bookinfo.yaml" "$folder/bookinfo/templates/"
sed 's/number: 8080/number: 80/' "$samples/networking/bookinfo-gateway.yaml" >"$folder/bookinfo/templates/gateway.yaml"
begun=$SECONDS
run helm upgrade --install bookinfo "$folder/bookinfo" --namespace default --wait --timeout 120s

run nksmesh sandbox status --name traffic
address=$(status '[r["relay"] for r in sandbox["data_plane"]["relays"] if r["address"].endswith(":80")][0]')
printf '\n$ curl http://%s/productpage\n' "$address"
for _ in $(seq 100); do
  page=$(python3 -c 'import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())' "http://$address/productpage" 2>/dev/null || true)
  grep -q 'slapstick humour' <<<"$page" && break
  sleep 0.2
done
grep -o '<title>.*</title>\|William Shakespeare\|slapstick humour\|reviews-v[123][a-z0-9-]*' <<<"$page" | sort -u
echo "Bookinfo answered through the gateway $((SECONDS - begun)) s after its install began."
echo "End it with: nksmesh sandbox delete --name traffic"
