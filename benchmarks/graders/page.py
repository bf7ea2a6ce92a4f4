"""The trial as a page of Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from graders.mutations import ATTEMPTS
from graders.trial import Count, Trial


def page(trial: Trial, names: Iterable[str], examples: int) -> str:
    """Return the tables, and for each row up to `examples` pairs at which the first grader failed."""
    names = tuple(names)
    changed = {key: count for key, count in trial.accepted_by_mutation.items() if key not in ATTEMPTS}
    attempts = {key: count for key, count in trial.accepted_by_mutation.items() if key in ATTEMPTS}
    parts = [
        "## Wrong answers accepted: one thing changed\n",
        table("mutation", changed, names),
        "## Wrong answers accepted: attempts to be paid without an answer\n",
        table("attempt", attempts, names),
        "## Right answers refused\n",
        table("writing", trial.refused_by_writing, names),
        "## By kind of gold: wrong answers accepted\n",
        table("kind", trial.accepted_by_kind, names),
        "## By kind of gold: right answers refused\n",
        table("kind", trial.refused_by_kind, names),
        "## Seconds per thousand pairs\n",
        f"{row('pairs', *names)}{row(*['---'] * (1 + len(names)))}"
        + row(f"{trial.pairs:,}", *(f"{1000 * trial.seconds[name] / trial.pairs:.1f}" for name in names)),
    ]
    if examples:
        parts += [f"## Examples: {names[0]}\n", *_examples(trial, names[0], examples)]
    return "\n".join(parts)


def table(title: str, counts: Mapping[str, Count], names: tuple[str, ...]) -> str:
    """Return a row for each count, and one of their sums."""
    lines = [row(title, "pairs", *names), row(*["---"] * (2 + len(names)))]
    for key, count in sorted(counts.items(), key=lambda item: (-item[1].failed[names[0]], item[0])):
        lines.append(row(key, f"{count.pairs:,}", *(str(count.failed[name]) for name in names)))
    total = sum((count.failed for count in counts.values()), Counter())
    pairs = sum(count.pairs for count in counts.values())
    lines.append(row("**all**", f"**{pairs:,}**", *(f"**{total[name]}**" for name in names)))
    return "".join(lines)


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _examples(trial: Trial, name: str, limit: int) -> Iterable[str]:
    for verdict, counts in (("accepted", trial.accepted_by_kind), ("refused", trial.refused_by_kind)):
        for kind, count in sorted(counts.items()):
            for gold, answer in count.examples[name][:limit]:
                yield f"- {kind}, {verdict}: `{gold}` ← `{answer}`"
