"""Which tokens VEPO selected: responses with every token coloured by its score, beside the two images.

Reads `tokens/{step}.jsonl` of a run (below `trainer.record_dir`, written by `verl_plugins.methods.vepo.token_records`).
"""

from html import escape
from pathlib import Path

from verl_plugins.report.metrics import first_and_last_step, read_json_lines
from verl_plugins.report.run_summary import number

CARDS = 4  # of the first and of the last recorded step

LEGEND = (
    '<p class="legend">A darker ground is a higher score; <span class="token kept">framed</span> tokens were kept and '
    "got gradient. Hover over a token for its score, JSD, entropy H and entropy gap ΔH, in nats.</p>"
)


def tokens_section(run_dir: Path, last_step: int) -> str:
    """The section's HTML; empty if the run recorded no tokens. Steps after `last_step` were thrown away by a resume."""
    shown = first_and_last_step(run_dir / "tokens", last_step)
    if not shown:
        return ""
    parts = ["<h2>What was selected, token by token</h2>", LEGEND]
    for step, path in shown:
        records = read_json_lines(path)[0]
        chosen = _one_of_each_group(records)[:CARDS]
        parts.append(
            f'<p class="quiet">Step {step}: the first response to each of {len(chosen)} prompts out of the '
            f"{len(records)} responses recorded.</p>"
        )
        parts.append('<div class="cards">' + "".join(_card(record) for record in chosen) + "</div>")
    return "\n".join(parts)


def _one_of_each_group(records: list[dict]) -> list[dict]:
    """The first record of each prompt, those with a picture before the others."""
    first: dict[int, dict] = {}
    for record in sorted(records, key=lambda record: "picture" not in record):
        first.setdefault(record["group"], record)
    return sorted(first.values(), key=lambda record: "picture" not in record)


def _card(record: dict) -> str:
    pictures = "".join(
        f'<figure><img alt="{name}" src="data:image/png;base64,{record[key]}"><figcaption>{name}</figcaption></figure>'
        for key, name in (("picture", "clean image"), ("perturbed_picture", "perturbed image"))
        if record.get(key)
    )
    spans = "".join(_token(record, place) for place in range(len(record["tokens"])))
    kept = f"{sum(weight > 0 for weight in record['kept'])} of {len(record['tokens'])} tokens kept"
    return (
        f'<article class="card"><p class="rank">{escape(record["prompt"].strip())}</p>'
        f'<div class="pair pictures">{pictures}</div><p class="tokens">{spans}</p>'
        f'<p class="rank">Reward {number(record["reward"])}; {kept}.</p></article>'
    )


def _token(record: dict, place: int) -> str:
    score, entropy = record["score"][place], record["entropy"][place]
    facts = [f"score {score:.3f}", f"H {entropy:.3f}"]
    if "jsd" in record:
        gap = record["perturbed_entropy"][place] - entropy
        facts[1:1] = [f"JSD {record['jsd'][place]:.4f}"]
        facts.append(f"ΔH {gap:+.3f}")
    style = "token kept" if record["kept"][place] > 0 else "token"
    shade = round(100 * min(max(score, 0.0), 1.0))
    text = escape(record["tokens"][place]).replace("\n", "↵\n")
    return f'<span class="{style}" style="--score:{shade}%" title="{escape(", ".join(facts))}">{text}</span>'
