#!/usr/bin/env bash
# A current Istio from one's own registry, on a sandbox of Kubernetes 1.34: mirror, install, check, status.
# Run by `make demo-current`; VERSION and CHARTS (a folder with Istio's charts) can be given.
set -euo pipefail

version=${VERSION:-1.30.2}
charts=()
extra=()
if [ -n "${CHARTS:-}" ]; then
  charts=(--charts "$CHARTS")
elif ! nksmesh charts fetch "$version" --quiet >/dev/null 2>&1; then
  echo "The official charts cannot be reached from here: this installs the small ones of examples/charts, of Istio 1.20.0."
  version=1.20.0
  charts=(--charts examples/charts)
  extra=(--force-version)  # 1.20 is too old for Kubernetes 1.34
fi

run() {
  printf '\n$ %s\n' "$*"
  "$@"
}

run nksmesh sandbox up --name current --kubernetes 1.34 --registry
eval "$(nksmesh sandbox status --name current -o json | python3 -c '
import json, shlex, sys
[sandbox] = json.load(sys.stdin)["data"]["sandboxes"]
print("export KUBECONFIG=" + shlex.quote(sandbox["kubeconfig"]))
print("export DOCKER_CONFIG=" + shlex.quote(sandbox["docker_config"]))
print("registry=" + sandbox["registry"])
')"
printf '\n$ export KUBECONFIG=%s DOCKER_CONFIG=%s\n' "$KUBECONFIG" "$DOCKER_CONFIG"

echo
echo "Small images stand in for Istio's, which need Docker Hub: they are pushed to $registry/docker-hub/istio."
nksmesh images list --hub "$registry/docker-hub/istio" --version "$version" "${charts[@]}" "${extra[@]}" --quiet |
  python3 examples/small_images.py

run nksmesh images mirror --from "$registry/docker-hub/istio" --to "$registry/istio" --version "$version" "${charts[@]}" "${extra[@]}"
run nksmesh install --hub "$registry/istio" --version "$version" "${charts[@]}" "${extra[@]}" --create-pull-secret --from-login --yes
run nksmesh check -q
run nksmesh status
