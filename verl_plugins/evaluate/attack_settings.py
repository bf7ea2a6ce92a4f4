"""Which attack changes the images of an evaluation, how strongly, and what the results say about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from verl_plugins.evaluate.store import Line

NOISES = ("gaussian", "random")
LEVELS = 255


@dataclass(frozen=True)
class AttackSettings:
    """An attack on the images, at the size to which the model's processor resizes them.

    Args:
        name: "gaussian" for N(0, strength^2) on every value; "random" for +strength or -strength, each with probability
            1/2; or a method with an attack along the model's own gradient (``Method.attack``).
        strength: in 8-bit levels. Whole but for "gaussian". 0 changes no image.
        steps: number of steps along the gradient, each of ``strength``; 1 for a noise.

    Raises:
        SystemExit: an unknown name, or a value out of range.
    """

    name: str
    strength: float
    steps: int = 1

    def __post_init__(self) -> None:
        names = (*NOISES, *gradient_attacks())
        if self.name not in names:
            raise SystemExit(f"--attack: got {self.name!r}, expected one of {', '.join(names)}")
        is_number = math.isfinite(self.strength) and 0 <= self.strength <= LEVELS
        if self.name == "gaussian":
            if not is_number:
                raise SystemExit(
                    f"--strength: got {self.strength}, expected the noise's standard deviation in 8-bit levels, "
                    f"0 to {LEVELS}"
                )
        elif not (is_number and self.strength == int(self.strength)):
            raise SystemExit(
                f"--strength: got {self.strength}, expected a whole number of 8-bit levels, 0 to {LEVELS}, for "
                f"--attack {self.name}"
            )
        if self.steps < 1:
            raise SystemExit(f"--attack-steps: got {self.steps}, expected at least 1")
        if self.steps > 1 and not self.follows_gradient:
            raise SystemExit(
                f"--attack-steps: got {self.steps} with --attack {self.name}, expected 1 (only an attack along the "
                "model's gradient takes several)"
            )

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that decide how the images change, for the hash of the code."""
        if not self.follows_gradient:
            return ("verl_plugins.evaluate.image_noise",)
        return "verl_plugins.evaluate.gradient_attack", gradient_attacks()[self.name].partition(":")[0]

    @property
    def follows_gradient(self) -> bool:
        """Whether the model's own gradient decides how the images change."""
        return self.name not in NOISES

    def facts(self) -> dict[str, Any]:
        """Return what `evaluation.json` and `summary.json` record."""
        strength = int(self.strength) if self.strength == int(self.strength) else self.strength
        return {"name": self.name, "strength": strength, **({"steps": self.steps} if self.follows_gradient else {})}


def gradient_attacks() -> dict[str, str]:
    """Return the methods that attack along the model's gradient, and the path of each attack's class."""
    from verl_plugins.methods import METHODS, load_installed_methods

    load_installed_methods()
    return {name: method.attack for name, method in METHODS.items() if method.attack}


def attack_label(facts: dict[str, Any] | None) -> str:
    """Describe an attack by what `AttackSettings.facts` recorded of it; None is no attack."""
    if facts is None:
        return "none"
    steps = f", {facts['steps']} steps" if facts.get("steps", 1) > 1 else ""
    return f"{facts['name']}, strength {facts['strength']:g} of {LEVELS} levels{steps}"


def attack_summary(facts: dict[str, Any], lines: list[Line], attacked: list[Line]) -> dict[str, Any]:
    """Summarise an attack as JSON.

    Args:
        facts: what `AttackSettings.facts` recorded.
        lines: lines of results. Those of rows with images have `pixel_change`.
        attacked: lines of an attack along the gradient (`gradient_attack`), which have the entropy that it raises.

    Returns:
        `facts`; `rows`, how many were attacked; `pixel_change`, the mean over them of the mean absolute change of their
        pixels, in 8-bit levels, None if there are none; and the means of `entropy_before` and `entropy_after`, in nats,
        if there are such lines.
    """
    change = [line["pixel_change"] for line in lines if "pixel_change" in line]
    numbers = {**facts, "rows": len(change), "pixel_change": _mean(change)}
    for name in ("entropy_before", "entropy_after"):
        values = [line[name] for line in attacked if name in line]
        numbers |= {name: _mean(values)} if values else {}
    return numbers


def attack_sentence(numbers: dict[str, Any]) -> str:
    """Describe what `attack_summary` returned."""
    text = f"{attack_label(numbers)}; {numbers['rows']:,} rows attacked"
    if numbers["pixel_change"] is not None:
        text += f", mean pixel change {numbers['pixel_change']:.3f} levels"
    if "entropy_before" in numbers:
        text += f", entropy that it raises {numbers['entropy_before']:.4f} to {numbers['entropy_after']:.4f} nats"
    return text


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
