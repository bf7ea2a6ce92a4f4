"""Variants that `make evidence` trains: every method and its controls, with equal numbers of responses per step."""

from __future__ import annotations

from typing import NamedTuple


class Variant(NamedTuple):
    """One line of the tables.

    Args:
        name: its name in the tables.
        task: task of the demo.
        part: "methods", or the ablation that it belongs to.
        method: value of `+method`.
        overrides: further Hydra overrides.
    """

    name: str
    task: str
    part: str
    method: str
    overrides: tuple[str, ...] = ()

    @property
    def seeds(self) -> range:
        """Seeds of its runs."""
        return range(1, 6 if self.name in HEADLINES[self.task] else 4)

    @property
    def options(self) -> list[str]:
        """Options with which `verl-plugins demo` trains the same."""
        return [f"--task={self.task}", f"--method={self.method}", *self.overrides]

    @property
    def key(self) -> str:
        """Task and name in a form for file names."""
        name = self.name.lower().replace(" -", " minus ")
        return f"{self.task}_" + "_".join("".join(c if c.isalnum() else " " for c in name).split())


def _with(method: str, *knobs: str) -> tuple[str, tuple[str, ...]]:
    return method, tuple(f"algorithm.{method}.{knob}" for knob in knobs)


BASELINE = "GRPO"
HEADLINES = {
    "grounding": (BASELINE, "ECVGPO, r0 = 10", "ECVGPO, r0 = -50"),
    "reasoning": (BASELINE, "entropy-only top 20%", "VEPO, score D", "SaEI"),
}
"""Variants about which the papers make claims, which get more seeds."""
PAIRS = {
    "grounding": [("ECVGPO, r0 = 10", "ECVGPO, r0 = -50"), ("SaEI", "SaEI, random signs")],
    "reasoning": [
        ("VEPO, score D", "entropy-only top 20%"),
        ("VEPO, score D", "VEPO, score E"),
        ("VEPO, score D", "VEPO, score F"),
        ("VEPO, score D", "VEPO, score G"),
        ("SaEI", "SaEI, random signs"),
        ("VEPO + SaEI", "VEPO, score D"),
    ],
}
"""Comparisons of the papers beside those with the baseline: a method and its control."""


class Ablation(NamedTuple):
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


_ATTACK = ("selective_entropy_clean", "selective_entropy_adversarial", "raised_prompts", "pixel_change")
_SAEI = tuple(f"saei/{name}" for name in (*_ATTACK, "reward_adversarial"))
ABLATIONS = {
    "delta": Ablation(
        "ECVGPO: the gate", "ECVGPO, r0 = 10", "delta = 1", ("ecvgpo/gated_groups", "ecvgpo/reshaped_tokens")
    ),
    "attack": Ablation("SaEI: strength of the attack", "SaEI", "1 x 2/255, middle tokens", _SAEI),
    "band": Ablation("SaEI: which tokens the attack raises", "SaEI", "middle tokens", _SAEI),
    "perturbation": Ablation(
        "VEPO: the perturbed image",
        "VEPO, score D",
        "gaussian 2.0",
        ("vepo/jsd", "vepo/entropy_gap", "vepo/kept_missed_by_entropy"),
    ),
}
VARIANTS = [
    Variant(BASELINE, "grounding", "methods", "grpo"),
    Variant("ECVGPO, r0 = 10", "grounding", "methods", *_with("ecvgpo", "r0=10", "delta=1")),
    Variant("ECVGPO, r0 = -50", "grounding", "methods", *_with("ecvgpo", "r0=-50", "delta=1")),
    Variant(
        "ECVGPO, r0 adaptive", "grounding", "methods", *_with("ecvgpo", "r0=adaptive", "target_slope=0", "delta=1")
    ),
    Variant("SaEI", "grounding", "methods", "saei"),
    Variant("SaEI, random signs", "grounding", "methods", *_with("saei", "direction=random")),
    Variant(BASELINE, "reasoning", "methods", "grpo"),
    Variant("entropy-only top 20%", "reasoning", "methods", *_with("vepo", "score=entropy")),
    Variant("VEPO, score D", "reasoning", "methods", *_with("vepo", "score=D")),
    Variant("VEPO, score E", "reasoning", "methods", *_with("vepo", "score=E")),
    Variant("VEPO, score F", "reasoning", "methods", *_with("vepo", "score=F")),
    Variant("VEPO, score G", "reasoning", "methods", *_with("vepo", "score=G")),
    Variant("SaEI", "reasoning", "methods", "saei"),
    Variant("SaEI, random signs", "reasoning", "methods", *_with("saei", "direction=random")),
    Variant("VEPO + SaEI", "reasoning", "methods", "[vepo,saei]"),
    *(
        Variant(f"ECVGPO, delta = {d}", "grounding", "delta", *_with("ecvgpo", "r0=10", f"delta={d}"))
        for d in (0.05, 0.1, 0.2, 0.3)
    ),
    *(
        Variant(
            f"SaEI, {steps} x {alpha}/255", "reasoning", "attack", *_with("saei", f"alpha={alpha}", f"steps={steps}")
        )
        for alpha, steps in ((8, 1), (2, 4), (8, 4))
    ),
    Variant("SaEI, all tokens, 4 x 8/255", "reasoning", "attack", *_with("saei", "band=all", "alpha=8", "steps=4")),
    *(
        Variant(f"SaEI, {band} tokens", "reasoning", "band", *_with("saei", f"band={band}"))
        for band in ("top", "bottom", "random", "all")
    ),
    *(
        Variant(f"VEPO, gaussian {strength}", "reasoning", "perturbation", *_with("vepo", f"strength={strength}"))
        for strength in (0.5, 1.0, 4.0)
    ),
    *(
        Variant(f"VEPO, {kind}", "reasoning", "perturbation", *_with("vepo", f"perturbation={kind}"))
        for kind in ("patch", "zero", "diffusion")
    ),
]
