"""Entropy control: a PI controller on u = 1 / r0 of ECVGPO that holds the policy's entropy at a target.

Not in the paper, which sets r0 by hand. ECVGPO subtracts u S_t from the advantages of good samples' tokens, so the
effect is linear in u: u > 0 lowers the entropy, u < 0 raises it, and u = 0 is GRPO, where r0 would jump from +infinity
to -infinity. With the entropy H_k measured before the updates of step k, and its error e_k = H_k - H*_k,

    I_k = I_{k-1} + K e_k / N,      u_k = K e_k + I_k, clipped to [-1 / r0_min, 1 / r0_min];   K = gain, N = 100 steps

Stability. The entropy accumulates the effects of the updates: H_{k+1} = H_k + d - g u_k, with GRPO's own drift d and an
effect g > 0 per step, which grows with the learning rate and the share of reshaped tokens. On this plant, proportional
control alone leaves an error of d / (g K), and integral control alone oscillates forever. Together they have the
characteristic polynomial z^2 - (2 - gK(1 + 1/N)) z + 1 - gK, whose roots are inside the unit circle for every
0 < gK < 4 / (2 + 1/N), slightly less than 2, and a constant d leaves no error. Above about gK = 4 / N the roots are
real and nothing oscillates. On the demo g was 0.004 to 0.011 nats per step: the default gain gives gK = 0.02 to 0.055,
a factor of 36 below the limit.

g > 0 requires a policy that is certain of most tokens, as language models are: S then separates the improbable tokens
of a good sample from the others. If all tokens are equally improbable, as under a uniform policy, S / r0 is one number
for the whole sample; it only scales the credit of good samples against bad ones, and the effect is reversed (a test
shows both).

While u is clipped, the integral is held, so it never exceeds the limit: no wind-up. A target that needs more than
|u| = 1 / r0_min, or a gate that never opens, is not reached; ``ecvgpo/r0_saturated`` is then 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from verl_plugins.methods.ecvgpo.maths import ECVGPOConfig

INTEGRAL_STEPS = 100
"""N: steps after which a constant error makes the integral as large as the proportional part. Longer than the few steps
needed to average noise, shorter than training."""

NO_TERM = 1e6
"""|r0| used in place of infinity where u = 0: S / r0 is then below the rounding error of an advantage."""


@dataclass(frozen=True)
class ControlState:
    """State of the controller after a step; plain numbers, for a checkpoint.

    Args:
        steps: steps measured so far.
        origin: entropy of the first step, in nats per token; None before it.
        integral: I, in the unit of u.
        u: 1 / r0 of this step.
        target, error: H* and e of this step, in nats per token.
        saturated: whether u was clipped.
    """

    steps: int = 0
    origin: float | None = None
    integral: float = 0.0
    u: float = 0.0
    target: float = 0.0
    error: float = 0.0
    saturated: bool = False

    @property
    def r0(self) -> float:
        return 1 / self.u if abs(self.u) > 1 / NO_TERM else NO_TERM

    def metrics(self) -> dict[str, float]:
        """Return the metrics ``ecvgpo/*`` of the controller."""
        return {
            "ecvgpo/r0": self.r0,
            "ecvgpo/r0_inverse": self.u,
            "ecvgpo/r0_integral": self.integral,
            "ecvgpo/r0_saturated": float(self.saturated),
            "ecvgpo/target_entropy": self.target,
            "ecvgpo/entropy_error": self.error,
        }


def control(state: ControlState, entropy: float, config: ECVGPOConfig) -> ControlState:
    """Take one step of the controller (module docstring).

    Args:
        state: state after the previous step; ``ControlState()`` before the first.
        entropy: mean entropy of the old policy over the response tokens, in nats.
        config: config with ``r0 = "adaptive"``.

    Returns:
        The state with this step's ``u``. An entropy that is not finite leaves u unchanged; the health checks report it.
    """
    if not math.isfinite(entropy):
        return replace(state, steps=state.steps + 1)
    origin = entropy if state.origin is None else state.origin
    if config.target_entropy is not None:
        target = config.target_entropy
    else:
        target = max(origin + (config.target_slope or 0.0) * state.steps, 0.0)
    error, limit = entropy - target, 1 / config.r0_min
    integral = state.integral + config.gain * error / INTEGRAL_STEPS
    unclipped = config.gain * error + integral
    if abs(unclipped) > limit:
        integral = state.integral
    return ControlState(
        steps=state.steps + 1,
        origin=origin,
        integral=min(max(integral, -limit), limit),  # it can exceed the limit only after a resume with a larger r0_min
        u=min(max(unclipped, -limit), limit),
        target=target,
        error=error,
        saturated=abs(unclipped) > limit,
    )
