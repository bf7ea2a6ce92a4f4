"""What `make evidence` trains: every method and its controls on the demo's tasks, with as many responses a step."""

from __future__ import annotations

from typing import NamedTuple


class Variant(NamedTuple):
    """One line of the tables.

    Args:
        name: in the tables.
        task: of the demo.
        part: "methods", or the ablation that it belongs to.
        options: of `verl-plugins demo`.
    """

    name: str
    task: str
    part: str
    options: tuple[str, ...]

    @property
    def key(self) -> str:
        """In names of files."""
        name = self.name.lower().replace(" -", " minus ")
        return f"{self.task}_" + "_".join("".join(c if c.isalnum() else " " for c in name).split())


def _ecvgpo(*options: str) -> tuple[str, ...]:
    return ("--method=ecvgpo", *(f"algorithm.ecvgpo.{option}" for option in options))


def _vepo(*options: str) -> tuple[str, ...]:
    return ("--method=vepo", *(f"algorithm.vepo.{option}" for option in options))


def _saei(*options: str) -> tuple[str, ...]:
    return ("--method=saei", *(f"algorithm.saei.{option}" for option in options))


BASELINE = "GRPO"
VARIANTS = [
    Variant(BASELINE, "grounding", "methods", ("--method=grpo",)),
    Variant("ECVGPO, r0 = 10", "grounding", "methods", _ecvgpo("r0=10", "delta=1")),
    Variant("ECVGPO, r0 = -50", "grounding", "methods", _ecvgpo("r0=-50", "delta=1")),
    Variant("ECVGPO, r0 adaptive", "grounding", "methods", _ecvgpo("r0=adaptive", "target_slope=0", "delta=1")),
    Variant("SaEI", "grounding", "methods", _saei()),
    Variant("SaEI, random signs", "grounding", "methods", _saei("direction=random")),
    Variant(BASELINE, "reasoning", "methods", ("--method=grpo",)),
    Variant("entropy-only top 20%", "reasoning", "methods", _vepo("score=entropy")),
    Variant("VEPO, score D", "reasoning", "methods", _vepo("score=D")),
    Variant("VEPO, score E", "reasoning", "methods", _vepo("score=E")),
    Variant("VEPO, score F", "reasoning", "methods", _vepo("score=F")),
    Variant("VEPO, score G", "reasoning", "methods", _vepo("score=G")),
    Variant("SaEI", "reasoning", "methods", _saei()),
    Variant("SaEI, random signs", "reasoning", "methods", _saei("direction=random")),
    Variant("VEPO + SaEI", "reasoning", "methods", ("--method=[vepo,saei]",)),
    *(Variant(f"ECVGPO, delta = {d}", "grounding", "delta", _ecvgpo("r0=10", f"delta={d}")) for d in (0.05, 0.1, 0.2)),
    *(
        Variant(f"SaEI, {steps} x {alpha}/255", "reasoning", "attack", _saei(f"alpha={alpha}", f"steps={steps}"))
        for alpha, steps in ((8, 1), (2, 4), (8, 4))
    ),
    *(
        Variant(f"SaEI, {band} tokens", "reasoning", "band", _saei(f"band={band}"))
        for band in ("top", "bottom", "random", "all")
    ),
    *(
        Variant(f"VEPO, gaussian {strength}", "reasoning", "perturbation", _vepo(f"strength={strength}"))
        for strength in (0.5, 1.0, 4.0)
    ),
    *(
        Variant(f"VEPO, {kind}", "reasoning", "perturbation", _vepo(f"perturbation={kind}"))
        for kind in ("patch", "zero", "diffusion")
    ),
]
