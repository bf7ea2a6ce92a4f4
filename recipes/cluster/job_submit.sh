#!/usr/bin/env bash
# Runs a recipe as a job on an existing Ray cluster, such as one of KubeRay:
#
#   RAY_API_SERVER_ADDRESS=http://... NNODES=2 GPUS=8 DATA_DIR=/... OUT=/... \
#       recipes/cluster/job_submit.sh recipes/run_qwen2_5_vl_7b_vepo.sh [overrides]
#
# The recipes travel with the job; the package must be installed on every machine of the cluster, and DATA_DIR and OUT
# must be folders that all of them see. The same command goes on from the last checkpoint. docs/cluster.md shows a session.
#
#   RAY_API_SERVER_ADDRESS   address of the cluster's dashboard, http://HOST:8265
#   RAY_AUTH_TOKEN           the token of a cluster that needs one
#   NNODES, GPUS             machines, and GPUs of each (1, 8)
#   DRY_RUN=1                the job prints what the recipe would train with, and ends
#
# The recipe's own variables (MODEL_PATH, TP, ...) are in recipes/README.md; they, HF_HOME and HF_HUB_OFFLINE travel along.
# The cluster's image is the environment; what its network needs (NCCL_SOCKET_IFNAME, ...) belongs to its pods.
set -euo pipefail
if [[ "${1:---help}" == --help ]]; then
    awk 'NR == 1 || /^#SBATCH/ { next } !/^#/ { exit } { sub(/^# ?/, ""); print }' "$0"
    exit $(($# ? 0 : 2)) # nothing to run is an error
fi

recipe=$1
shift
folder=$(dirname "$(realpath "$recipe")")
for name in DATA_DIR OUT; do
    if [[ "${!name:-}" != /* ]]; then
        echo "$name: got '${!name:-}', expected an absolute path that all machines of the cluster see; set $name" >&2
        exit 2
    fi
done
export NNODES=${NNODES:-1} GPUS=${GPUS:-8}

# Variables that recipes read, if they are set here. Credentials (WANDB_API_KEY, HF_TOKEN) belong to the cluster.
environment=$(python3 - <<'PYTHON'
import json, os

names = "NNODES GPUS TP MAX_TOKENS GPU_MEMORY_UTILIZATION EXPERIMENT DATA_DIR OUT TRAIN_FILES VAL_FILES DATASET EPOCHS"
names += " MODEL_PATH R0 BASELINE BASE FORM LOGGER DRY_RUN HF_HOME HF_HUB_OFFLINE"
print(json.dumps({"env_vars": {name: os.environ[name] for name in names.split() if name in os.environ}}))
PYTHON
)
exec ray job submit --working-dir "$folder" --runtime-env-json "$environment" -- bash "$(basename "$recipe")" "$@"
