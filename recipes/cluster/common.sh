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

# The address of this machine for the others: HEAD_ADDRESS, or its first IPv4 address that is not its own loop. Set it on
# a machine with several network cards (NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME name the card), or with IPv6 alone.
# The machine's name is asked for first, which Debian's /etc/hosts has as 127.0.1.1, and then its cards.
head_ip() {
    local address
    if [[ -n "${HEAD_ADDRESS:-}" ]]; then
        echo "$HEAD_ADDRESS"
        return
    fi
    for address in $(hostname --ip-address || true) $(hostname --all-ip-addresses || true); do
        if [[ "$address" == *.*.*.* && "$address" != *:* && "$address" != 127.* && "$address" != 169.254.* ]]; then
            echo "$address"
            return
        fi
    done
    echo "HEAD_ADDRESS: got nothing, and this machine has no IPv4 address that others reach; set HEAD_ADDRESS" >&2
    return 1
}

with_port() { # ADDRESS: with Ray's port; an IPv6 address in brackets
    if [[ "$1" == *:* ]]; then
        echo "[$1]:$RAY_PORT"
    else
        echo "$1:$RAY_PORT"
    fi
}

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
