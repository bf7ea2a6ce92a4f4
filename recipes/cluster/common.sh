#!/usr/bin/env bash
# Shared by the cluster scripts. Sourced, not run.

# Each machine's environment: that of this shell, which srun and ssh.sh carry to the others; ACTIVATE is a file to source
# first (modules, a virtual environment), CONTAINER a command that runs another one in a container.
if [[ -n "${ACTIVATE:-}" ]]; then
    set +u # such files often read variables that are not set
    # shellcheck disable=SC1090 # the user's file
    source "$ACTIVATE"
    set -u
fi
read -r -a within <<<"${CONTAINER:-}"

RAY_PORT=${RAY_PORT:-6379}
export GPUS=${GPUS:-8} # per machine

# Ray refuses nodes and drivers without the cluster's token. It is made for the run, and never appears on a command line.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=${RAY_AUTH_TOKEN:-$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')}
export RAY_AUTH_TOKEN

# Workers inherit the environment of `ray start`. With this variable, a process of verl that lacks the plugin ends.
export VERL_USE_EXTERNAL_MODULES=verl_plugins.register

wait_for_nodes() { # COUNT: wait until that many machines have joined; verl itself does not wait
    "${within[@]}" python3 - "$1" <<'PYTHON'
import sys, time
import ray

expected, deadline = int(sys.argv[1]), time.monotonic() + 300
ray.init(address="auto", log_to_driver=False)
while (alive := sum(node["Alive"] for node in ray.nodes())) < expected:
    if time.monotonic() > deadline:
        sys.exit(f"got {alive} machines after 300 s, expected {expected}; see the output of `ray start` on the others")
    time.sleep(2)
PYTHON
}
