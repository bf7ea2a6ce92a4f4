#!/usr/bin/env bash
# Runs a recipe on this machine and HOSTS: starts Ray on all of them over ssh, trains, and stops Ray.
#
#   HOSTS="node2 node3" GPUS=8 recipes/cluster/ssh.sh recipes/run_qwen2_5_vl_7b_vepo.sh [overrides]
#
# Each host must be reachable by ssh without a password, have the same installation and folder, and see DATA_DIR and OUT.
# HEAD_ADDRESS is this machine's address if it is not found rightly, such as with several network cards.
set -euo pipefail
# shellcheck source=recipes/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

read -r -a hosts <<<"${HOSTS:?names of the other machines, separated by spaces}"
export NNODES=$((1 + ${#hosts[@]}))
if [[ "${DRY_RUN:-0}" == 1 ]]; then
    exec bash "$@"
fi
head=$(head_ip)
head_address=$(with_port "$head")

remote() { # HOST COMMAND...: run in this folder and environment, which is sent on stdin, so that no process list shows it
    local host=$1 name
    shift
    {
        printf 'cd %q\n' "$PWD"
        for name in $(compgen -e | grep -E '^(PATH|LD_LIBRARY_PATH|PYTHONPATH|VIRTUAL_ENV|(GLOO|HF|NCCL|RAY|VERL|VLLM)_.*)$'); do
            printf 'export %s=%q\n' "$name" "${!name}"
        done
        printf '%q ' "$@"
        printf '\n'
    } | ssh "$host" bash -s
}

stop() {
    ray stop || true
    for host in "${hosts[@]}"; do
        remote "$host" ray stop || true
    done
}

verl-plugins doctor --no-ray --gpus "$GPUS"
for host in "${hosts[@]}"; do
    remote "$host" verl-plugins doctor --no-ray --gpus "$GPUS" || {
        echo "$host: not ready to train; see the lines above" >&2
        exit 1
    }
done
trap stop EXIT
ray start --head --node-ip-address="$head" --port="$RAY_PORT" --num-gpus="$GPUS" --disable-usage-stats
for host in "${hosts[@]}"; do
    remote "$host" ray start --address="$head_address" --num-gpus="$GPUS" --disable-usage-stats
done
wait_for_nodes "$NNODES"
RAY_ADDRESS=$head_address bash "$@"
