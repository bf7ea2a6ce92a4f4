"""Variants that `make evidence` trains: every method and its controls, with equal numbers of responses per step."""

from __future__ import annotations

from dataclasses import dataclass

HEADLINE, OTHER = 5, 3  # seeds
STEPS = 120
_ACTOR = "actor_rollout_ref.actor"
COMMON = {
    "grounding": (),
    # Two updates a step, so that what clips or penalises the ratio to the old policy can act. At a constant rate GRPO
    # loses after some forty steps a part of what it has learned, or all of it at higher rates; a falling one keeps it.
    "reasoning": (
        f"{_ACTOR}.ppo_mini_batch_size=4",
        f"{_ACTOR}.optim.lr=0.0002",
        f"{_ACTOR}.optim.lr_scheduler_type=cosine",
    ),
}
"""Overrides of every run of a task."""


@dataclass(frozen=True)
class Variant:
    """One line of the tables.

    Args:
        name: its name in the tables.
        task: task of the demo.
        method: value of `+method`.
        overrides: further Hydra overrides.
        seeds: number of its runs; those with seed 1 to `seeds`.
        part: "methods", or the ablation that it belongs to.
    """

    name: str
    task: str
    method: str
    overrides: tuple[str, ...] = ()
    seeds: int = OTHER
    part: str = "methods"

    @property
    def settings(self) -> list[str]:
        """Hydra overrides of its runs."""
        return [*COMMON[self.task], *self.overrides]

    @property
    def attacked(self) -> bool:
        """Whether its held-out images are attacked after training, too: what SaEI claims is about reasoning."""
        return self.task == "reasoning"

    @property
    def keeps_tokens(self) -> bool:
        """Whether the tokens of its first and last step are kept: those of VEPO, to see what it selects."""
        return self.name == "VEPO"

    @property
    def options(self) -> list[str]:
        """Options with which `verl-plugins demo` trains the same."""
        return [f"--task={self.task}", f"--method={self.method}", *self.settings]

    @property
    def key(self) -> str:
        """Task and name in a form for file names."""
        name = self.name.lower().replace(" -", " minus ")
        return f"{self.task}_" + "_".join("".join(c if c.isalnum() else " " for c in name).split())


def _with(method: str, *knobs: str) -> tuple[str, tuple[str, ...]]:
    return method, tuple(f"algorithm.{method}.{knob}" for knob in knobs)


BASELINE = "GRPO"
VARIANTS = [
    Variant(BASELINE, "grounding", "grpo", seeds=HEADLINE),
    Variant("ECVGPO, r0 = 10", "grounding", *_with("ecvgpo", "r0=10"), seeds=HEADLINE),
    Variant("ECVGPO, r0 = -50", "grounding", *_with("ecvgpo", "r0=-50"), seeds=HEADLINE),
    # The tiny model's tokens carry so little self-information that S / 10 is 1% of an advantage; S / 0.5 is a fifth.
    Variant("ECVGPO, r0 = 0.5", "grounding", *_with("ecvgpo", "r0=0.5")),
    Variant("ECVGPO, r0 = -0.5", "grounding", *_with("ecvgpo", "r0=-0.5")),
    Variant(
        "ECVGPO, r0 adaptive",
        "grounding",
        # The defaults of gain and r0_min suit a slower fall of the entropy: here 1 / r0 soon reached its limit.
        *_with("ecvgpo", "r0=adaptive", "target_slope=0", "gain=200", "r0_min=0.1"),
    ),
    # Where the controller stands in most steps: what it brings beside a constant is the difference to this.
    Variant("ECVGPO, r0 = -0.1", "grounding", *_with("ecvgpo", "r0=-0.1")),
    Variant(BASELINE, "reasoning", "grpo", seeds=HEADLINE),
    Variant("VEPO", "reasoning", "vepo", seeds=HEADLINE),
    Variant("random 20%", "reasoning", *_with("vepo", "select=random")),
    # A response has 7 uncertain tokens, and a fifth of it is 14: with or without the image's part in the score, all of
    # them are kept. 7% are as many tokens as read the image.
    Variant("VEPO, 7%", "reasoning", *_with("vepo", "fraction=0.07"), seeds=HEADLINE),
    Variant("top 7% by entropy", "reasoning", *_with("vepo", "fraction=0.07", "score=entropy"), seeds=HEADLINE),
    Variant("SaEI", "reasoning", "saei", seeds=HEADLINE),
    Variant("SaEI, random signs", "reasoning", *_with("saei", "direction=random"), seeds=HEADLINE),
    Variant("NoisyRollout", "reasoning", "noisyrollout"),
    Variant("VPPO", "reasoning", "vppo"),
    Variant("VEPO + SaEI", "reasoning", "[vepo,saei]"),
    Variant("clip-higher", "reasoning", "grpo", (f"{_ACTOR}.clip_ratio_high=0.28",)),
    Variant(
        "KL-Cov",
        "reasoning",
        "grpo",
        (f"{_ACTOR}.policy_loss.loss_mode=kl_cov", f"{_ACTOR}.policy_loss.kl_cov_ratio=0.002"),
    ),
    Variant("entropy bonus", "reasoning", "grpo", (f"{_ACTOR}.entropy_coeff=0.001",)),
    *(
        Variant(f"ECVGPO, delta = {delta}", "grounding", *_with("ecvgpo", "r0=-0.5", f"delta={delta}"), part="delta")
        for delta in (0.05, 0.2)
    ),
    Variant("VEPO, sigma = 6.93", "reasoning", *_with("vepo", "strength=6.93"), part="perturbation"),
    Variant("SaEI, alpha = 16", "reasoning", *_with("saei", "alpha=16"), part="attack"),
    Variant("SaEI, 4 steps", "reasoning", *_with("saei", "steps=4"), part="attack"),
    # The middle third of these responses carries no entropy; all that is uncertain lies in the upper third.
    Variant("SaEI, upper third", "reasoning", *_with("saei", "band=top"), part="attack"),
]
PAIRS = {
    "grounding": [
        ("ECVGPO, r0 = 10", "ECVGPO, r0 = -50"),
        ("ECVGPO, r0 = 0.5", "ECVGPO, r0 = -0.5"),
        ("ECVGPO, r0 adaptive", "ECVGPO, r0 = 10"),
        ("ECVGPO, r0 adaptive", "ECVGPO, r0 = -50"),
        ("ECVGPO, r0 adaptive", "ECVGPO, r0 = -0.1"),
    ],
    "reasoning": [
        ("VEPO", "random 20%"),
        ("VEPO, 7%", "VEPO"),
        ("VEPO, 7%", "top 7% by entropy"),
        ("SaEI", "SaEI, random signs"),
        ("SaEI", "NoisyRollout"),
        ("VEPO + SaEI", "VEPO"),
        ("VEPO + SaEI", "SaEI"),
    ],
}
"""Comparisons of the papers beside those with the baseline: a method and its control."""


@dataclass(frozen=True)
class Ablation:
    """A part whose variants change one setting of a method.

    Args:
        heading: heading of its tables.
        default: name of the variant that they depart from.
        setting: value of the setting in the default.
        effects: metrics that show the direct effect of the setting, beside reward, entropy and validation.
    """

    heading: str
    default: str
    setting: str
    effects: tuple[str, ...]


ABLATIONS = {
    "delta": Ablation(
        "ECVGPO: the gate", "ECVGPO, r0 = -0.5", "delta = 0.1", ("ecvgpo/gated_groups", "ecvgpo/reshaped_tokens")
    ),
    "perturbation": Ablation(
        "VEPO: the authors' noise",
        "VEPO",
        "sigma = 2",
        ("vepo/jsd", "vepo/entropy_gap", "vepo/kept_missed_by_entropy"),
    ),
    "attack": Ablation(
        "SaEI: the attack",
        "SaEI",
        "alpha = 2, 1 step, middle third",
        (
            "saei/pixel_change",
            "saei/self_information_clean",
            "saei/self_information_adversarial",
            "saei/reward_clean",
            "saei/reward_adversarial",
        ),
    ),
}


@dataclass(frozen=True)
class Claim:
    """A comparison that was named before the runs.

    Args:
        text: what a paper says.
        task: the task.
        names: the two variants; the difference is of the first minus the second.
        measure: name of the measure, a key of `evidence.page.MEASURES`.
    """

    text: str
    task: str
    names: tuple[str, str]
    measure: str


CLAIMS = [
    Claim("r0 > 0 lowers the entropy", "grounding", ("ECVGPO, r0 = 10", BASELINE), "entropy, nats"),
    Claim("r0 < 0 raises the entropy", "grounding", ("ECVGPO, r0 = -50", BASELINE), "entropy, nats"),
    Claim("a controller can hold the entropy", "grounding", ("ECVGPO, r0 adaptive", BASELINE), "entropy, nats"),
    Claim("ECVGPO grounds better than GRPO", "grounding", ("ECVGPO, r0 = 10", BASELINE), "validation"),
    Claim("held entropy pays at the end", "grounding", ("ECVGPO, r0 = -50", "ECVGPO, r0 = 10"), "validation"),
    Claim("a strong r0 > 0 lowers the entropy", "grounding", ("ECVGPO, r0 = 0.5", BASELINE), "entropy, nats"),
    Claim("a strong r0 < 0 raises the entropy", "grounding", ("ECVGPO, r0 = -0.5", BASELINE), "entropy, nats"),
    Claim("strongly held entropy pays", "grounding", ("ECVGPO, r0 = -0.5", "ECVGPO, r0 = 0.5"), "validation"),
    Claim("VEPO reasons better than GRPO", "reasoning", ("VEPO", BASELINE), "validation"),
    Claim("the image's part in the score helps", "reasoning", ("VEPO, 7%", "top 7% by entropy"), "validation"),
    Claim("the selected tokens teach more than others", "reasoning", ("VEPO", "random 20%"), "validation"),
    Claim("SaEI keeps the entropy", "reasoning", ("SaEI", BASELINE), "entropy, nats"),
    Claim("SaEI reasons better than GRPO", "reasoning", ("SaEI", BASELINE), "validation"),
    Claim("the gradient's direction matters", "reasoning", ("SaEI", "SaEI, random signs"), "validation"),
    Claim("SaEI carries over to other pictures", "reasoning", ("SaEI", BASELINE), "out of domain"),
    Claim("SaEI stands attacks", "reasoning", ("SaEI", BASELINE), "under attack"),
    Claim("VEPO and SaEI add up", "reasoning", ("VEPO + SaEI", "VEPO"), "validation"),
]
