#!/usr/bin/env bash
# Runs a recipe as a job on an existing Ray cluster, such as one of KubeRay:
#
#   RAY_API_SERVER_ADDRESS=http://... NNODES=2 GPUS=8 DATA_DIR=/... OUT=/... \
#       recipes/cluster/job_submit.sh recipes/run_qwen2_5_vl_7b_vepo.sh [overrides]
#
# The recipes travel with the job; the package must be installed on every machine of the cluster, and DATA_DIR and OUT
# must be folders that all of them see. RAY_AUTH_TOKEN holds the token of a cluster that needs one.
set -euo pipefail

recipe=${1:?a recipe}
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
names += " MODEL_PATH R0 BASELINE BASE FORM LOGGER DRY_RUN HF_HOME"
print(json.dumps({"env_vars": {name: os.environ[name] for name in names.split() if name in os.environ}}))
PYTHON
)
exec ray job submit --working-dir "$folder" --runtime-env-json "$environment" -- bash "$(basename "$recipe")" "$@"
