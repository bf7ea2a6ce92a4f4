#!/usr/bin/env bash
# What the cluster scripts share. Sourced, not run.

RAY_PORT=${RAY_PORT:-6379}
export GPUS=${GPUS:-8} # of each machine

# Ray refuses nodes and drivers that lack the cluster's token. It is made for the run and never on a command line.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=${RAY_AUTH_TOKEN:-$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')}
export RAY_AUTH_TOKEN

# Workers inherit the environment of `ray start`: a process of verl without the plugin is to end, not to go without.
export VERL_USE_EXTERNAL_MODULES=verl_plugins.register

wait_for_nodes() { # COUNT: until that many machines have joined; verl itself does not wait
    python3 - "$1" <<'PYTHON'
import sys, time
import ray

wanted, ends = int(sys.argv[1]), time.monotonic() + 300
ray.init(address="auto", log_to_driver=False)
while (alive := sum(node["Alive"] for node in ray.nodes())) < wanted:
    if time.monotonic() > ends:
        sys.exit(f"got {alive} machines after 300 s, expected {wanted}; see the output of `ray start` on the others")
    time.sleep(2)
PYTHON
}
