#!/usr/bin/env bash
# Runs a recipe on this machine and HOSTS: starts Ray on all of them over ssh, trains, and stops Ray.
#
#   HOSTS="node2 node3" GPUS=8 recipes/cluster/ssh.sh recipes/run_qwen2_5_vl_7b_vepo.sh [overrides]
#
# Each host must be reachable by ssh without a password, have the same installation and folder, and see DATA_DIR and OUT.
# The same command goes on from the last checkpoint. docs/cluster.md shows a session.
#
#   HOSTS          the other machines
#   HEAD_ADDRESS   this machine's address, as the others reach it, where it is not found rightly
#   GPUS           GPUs of each machine (8)
#   ACTIVATE       a file to source first: module load ..., source .../bin/activate. PATH, LD_LIBRARY_PATH, PYTHONPATH,
#                  VIRTUAL_ENV, CUDA_HOME and CONDA_*, GLOO_*, HF_*, NCCL_*, RAY_*, VERL_*, VLLM_* go to the others
#   CONTAINER      a command that runs another in a container: "apptainer exec --nv --bind /shared /shared/verl.sif"
#   RAY_PORT       port of Ray's head (6379)
#   RAY_AUTH_TOKEN Ray's token, to ask Ray during the run (made anew)
#   DRY_RUN=1      print what the recipe would train with, and stop
#
# The recipe's own variables (OUT, DATA_DIR, MODEL_PATH, TP, ...) are in recipes/README.md.
set -euo pipefail
if [[ "${1:---help}" == --help ]]; then
    awk 'NR == 1 || /^#SBATCH/ { next } !/^#/ { exit } { sub(/^# ?/, ""); print }' "$0"
    exit $(($# ? 0 : 2)) # nothing to run is an error
fi
# shellcheck source=recipes/cluster/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

read -r -a hosts <<<"${HOSTS:?names of the other machines, separated by spaces}"
export NNODES=$((1 + ${#hosts[@]}))
if [[ "${DRY_RUN:-0}" == 1 ]]; then
    exec "${within[@]}" bash "$@"
fi
head=$(head_ip)
head_address=$(with_port "$head")

carried="PATH|LD_LIBRARY_PATH|PYTHONPATH|VIRTUAL_ENV|CUDA_HOME|(CONDA|GLOO|HF|NCCL|RAY|VERL|VLLM)_.*"
remote() { # HOST COMMAND...: run in this folder and environment, which is sent on stdin, so that no process list shows it
    local host=$1 name
    shift
    {
        printf 'cd %q\n' "$PWD"
        for name in $(compgen -e | grep -E "^($carried)\$"); do
            printf 'export %s=%q\n' "$name" "${!name}"
        done
        printf '%q ' "$@"
        printf '\n'
    } | ssh "$host" bash -s
}

stop() {
    "${within[@]}" ray stop || true
    for host in "${hosts[@]}"; do
        remote "$host" "${within[@]}" ray stop || true
    done
}

"${within[@]}" verl-plugins doctor --no-ray --gpus "$GPUS"
for host in "${hosts[@]}"; do
    remote "$host" "${within[@]}" verl-plugins doctor --no-ray --gpus "$GPUS" || {
        echo "$host: not ready to train; see the lines above" >&2
        exit 1
    }
done
trap stop EXIT
"${within[@]}" ray start --head --node-ip-address="$head" --port="$RAY_PORT" --num-gpus="$GPUS" --disable-usage-stats
for host in "${hosts[@]}"; do
    remote "$host" "${within[@]}" ray start --address="$head_address" --num-gpus="$GPUS" --disable-usage-stats
done
wait_for_nodes "$NNODES"
RAY_ADDRESS=$head_address "${within[@]}" bash "$@"
