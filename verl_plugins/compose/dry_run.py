"""Whether a training script can be run for its config without training, read from its text before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

NAME_THE_COMMAND = "name the command that it runs instead: -- python -m verl.trainer.main_ppo KEY=VALUE ..."

_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*$")
_FUNCTION = re.compile(
    r"(?ms)^([ \t]*)(?:function\s+[\w-]+\s*(?:\(\))?|[\w-]+\s*\(\))\s*\{(?:[^\n]*\}[ \t]*$|.*?^\1\})"
)
_ARGUMENTS = r"\$\{?[@*]"
_KEPT_ARGUMENTS = re.compile(rf"(\w+)\+?=\(?[^\n]*{_ARGUMENTS}")
_SCRIPT = re.compile(r"[\w./-]+\.sh\b")


def check_dry_run(script: Path) -> None:
    """Check that a script heeds ``DRY_RUN=1``, or hands the arguments that it gets to the command that trains.

    Neither holds of a script that would simply train. The scripts that it sources or calls by a name ending in .sh
    count as its own text, as far as they are found; comments do not.

    Raises:
        ValueError: the script would train.
    """
    texts = list(_texts(script, set()))
    if any(re.search(r"\bDRY_RUN\b", text) for text in texts):
        return
    trains = [line for text in texts for line in text.splitlines() if "main_ppo" in line]
    kept = {name for text in texts for name in _KEPT_ARGUMENTS.findall(text)}
    passes_on = re.compile("|".join([_ARGUMENTS, *(rf"\$\{{?{name}\b" for name in kept)]))
    if passes_on.search(_FUNCTION.sub("", texts[0])) and all(passes_on.search(line) for line in trains):
        return
    raise ValueError(
        f"{script}: got a script that neither reads DRY_RUN nor passes its arguments on, so that it would train, "
        f'expected DRY_RUN=1 to print its config, or "$@" behind verl.trainer.main_ppo; {NAME_THE_COMMAND}'
    )


def _texts(script: Path, seen: set[Path]) -> Iterator[str]:
    """Yield the text of a script and then of those that it names, without comments, a command a line."""
    seen.add(script.resolve())
    text = _COMMENT.sub("", script.read_text(encoding="utf-8", errors="replace")).replace("\\\n", " ")
    yield text
    for name in _SCRIPT.findall(text):
        places = (Path(name), script.parent / name.lstrip("/"))  # of "$folder/name.sh", /name.sh is what is known
        found = next((place for place in places if place.is_file()), None)
        if found and found.resolve() not in seen:
            yield from _texts(found, seen)
