"""Holding a policy's entropy at a target: a PI controller on u = 1 / r0 of ECVGPO. Ours; the paper sets r0 by hand.

ECVGPO takes u S_t from the advantages of good samples' tokens, so u is what to control: the effect is linear in it,
u > 0 lowers the entropy, u < 0 raises it, and u = 0 is GRPO, where r0 would jump from +infinity to -infinity. With the
entropy H_k measured before update k, and its error e_k = H_k - H*_k,

    I_k = I_{k-1} + K e_k / N,      u_k = K e_k + I_k, cut off at -1 / r0_min and 1 / r0_min;   K = gain, N = 100 steps

Stability. Entropy adds up what is done to it: H_{k+1} = H_k + d - g u_k, with GRPO's own drift d and an effect g > 0 a
step that grows with the learning rate and the share of reshaped tokens. On such a plant the proportional part alone
rests at an error of d / (g K), and the integral alone would swing for ever. Both together have the characteristic
polynomial z^2 - (2 - gK(1 + 1/N)) z + 1 - gK, whose roots are inside the unit circle for every 0 < gK < 4 / (2 + 1/N),
hardly less than 2: a constant d leaves no error. Above gK = 4 / N or so the roots are real and nothing swings. On the
demo g was 0.004 to 0.011 nats a step: the default gain gives gK = 0.02 to 0.055, a factor of 36 below the limit.

g > 0 wants a policy that is certain of most tokens, as language models are: then S tells the surprising ones of a good
sample from the others. Where all tokens surprise alike, as under a uniform policy, S / r0 is one number for the whole
sample, only scales the credit of good samples against bad ones, and acts the other way round (a test shows both).

At the cut-off the integral rests, so it never exceeds the cut-off and needs no time to come back: no wind-up. A target
that needs more than |u| = 1 / r0_min, or a gate that never opens, is not reached; ``ecvgpo/r0_saturated`` is then 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from verl_plugins.methods.ecvgpo.maths import ECVGPOConfig

INTEGRAL_STEPS = 100
"""N: after so many steps of one error the integral is as large as the proportional part. Longer than the mean of a
few steps that noise needs, shorter than training."""

NO_TERM = 1e6
"""|r0| in place of infinity, where u = 0: S / r0 is below the rounding error of an advantage."""


@dataclass(frozen=True)
class ControlState:
    """What the controller knows after a step; plain numbers, for a checkpoint.

    Args:
        steps: measured so far.
        origin: entropy of the first of them, in nats a token; None before it.
        integral: I, in the unit of u.
        u: 1 / r0 of this step.
        target, error: H* and e of this step, in nats a token.
        saturated: whether u was cut off.
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
        """The metrics ``ecvgpo/*`` of the controller."""
        return {
            "ecvgpo/r0": self.r0,
            "ecvgpo/r0_inverse": self.u,
            "ecvgpo/r0_integral": self.integral,
            "ecvgpo/r0_saturated": float(self.saturated),
            "ecvgpo/target_entropy": self.target,
            "ecvgpo/entropy_error": self.error,
        }


def control(state: ControlState, entropy: float, config: ECVGPOConfig) -> ControlState:
    """One step of the controller (module docstring).

    Args:
        state: after the step before; ``ControlState()`` before the first.
        entropy: of the policy that is about to be updated, mean over its response tokens, in nats.
        config: with ``r0 = "adaptive"``.

    Returns:
        The state with this step's ``u``. An entropy that is not a number leaves u as it was: the health checks tell.
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
    wanted = config.gain * error + integral
    if abs(wanted) > limit:
        integral = state.integral
    return ControlState(
        steps=state.steps + 1,
        origin=origin,
        integral=min(max(integral, -limit), limit),  # beyond only after a resume with a larger r0_min
        u=min(max(wanted, -limit), limit),
        target=target,
        error=error,
        saturated=abs(wanted) > limit,
    )
