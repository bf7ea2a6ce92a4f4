"""NoisyRollout: part of a group's responses are sampled on a noisy image, all are trained on the clean one.

arXiv 2504.13055. Of each prompt's responses, n1 are sampled on the image I and n2 on

    I~ = sqrt(abar) I + sqrt(1 - abar) e,   e ~ N(0, 1),   abar at diffusion step alpha_t,

pixels in [0, 1], clamped and rounded to 8 bits. All n1 + n2 responses form one GRPO group, and the update conditions
each on I: old, reference and current log-probabilities. The noise is annealed over the t_max steps of the run,

    alpha_t = alpha_0 (1 - sigmoid(lambda (t - gamma) / t_max))

Diverse perception early, on-policy training late. alpha_0 = 0 is GRPO with the same samples, bit for bit.

Where the released code (github.com/NUS-TRAIL/NoisyRollout, commit 09347dd) differs: it takes the floor of alpha_t
where ``diffusion_at`` rounds, cuts 8-bit pixels off where this rounds, adds the noise before the processor resizes to
multiples of its patch (here afterwards, to the pixels that the model sees), and draws it unseeded. As in it, the noisy
responses to a prompt share one draw, each of its images has its own, and steps count from 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from verl_plugins.methods.knobs import require
from verl_plugins.seeds import seed_of
from verl_plugins.vision.perturb import Perturbation, diffuse

KEY = "algorithm.noisyrollout"


@dataclass(frozen=True)
class NoisyRolloutConfig:
    """Settings of NoisyRollout; the defaults are the authors' for Geometry3K.

    Args:
        n1, n2: responses sampled on the clean and on the noisy image; ``rollout.n`` is their sum.
        strength: alpha_0, step of a diffusion of 1,000 steps; 0 adds no noise (GRPO).
        schedule: "sigmoid", or "constant" for a strength that is not annealed.
        schedule_midpoint: gamma / t_max, the share of the run after which half of the strength is left.
        schedule_steepness: lambda, the steepness of "sigmoid" per whole run.

    Raises:
        ValueError: a value out of range.
    """

    n1: int = 6
    n2: int = 6
    strength: float = 500.0
    schedule: str = "sigmoid"
    schedule_midpoint: float = 2 / 3
    schedule_steepness: float = 30.0

    def __post_init__(self) -> None:
        require(KEY, self, "n1", "a whole number >= 1", lambda n1: n1 >= 1)
        require(KEY, self, "n2", "a whole number >= 1", lambda n2: n2 >= 1)
        require(KEY, self, "strength", "a diffusion step in [0, 999]", lambda step: 0 <= step <= 999)
        require(KEY, self, "schedule", "'sigmoid' or 'constant'", lambda name: name in ("sigmoid", "constant"))
        require(KEY, self, "schedule_midpoint", "a number in [0, 1]", lambda midpoint: 0 <= midpoint <= 1)
        require(KEY, self, "schedule_steepness", "a number in (0, 500]", lambda steepness: 0 < steepness <= 500)

    def strength_at(self, step: int, total_steps: int) -> float:
        """Return alpha_t at ``step`` (from 1) of a run of ``total_steps``."""
        noise = Perturbation("diffusion", self.strength, self.schedule, self.schedule_midpoint, self.schedule_steepness)
        return noise.strength_at(min(step / max(1, total_steps), 1.0))


def noisy_pictures(pictures: list[Tensor], strength: float, key: tuple[int | str, ...]) -> list[Tensor]:
    """Add diffusion noise to the images of one prompt.

    Args:
        pictures: (3, H, W) uint8 each, as the model's processor resizes them.
        strength: diffusion step.
        key: of the noise: the run's seed, the step and the prompt's index; the number of the image is appended to it,
            as for the perturbations of ``verl_plugins.vision.perturb``.

    Returns:
        (3, H, W) uint8 each.
    """
    noisy = (
        diffuse(picture[None].float() / 255, strength, seed_of(*key, number))[0]
        for number, picture in enumerate(pictures)
    )
    return [(picture * 255).round().to(torch.uint8) for picture in noisy]
