"""Verdicts of a language model behind an OpenAI-compatible endpoint, beside the rules' results and never mixed in.

Only answers in words or formulas are judged, never boxes. Verdicts are kept in `judged.jsonl`, and their numbers in
`summary.json` under `judge`. A request that fails is sent again the next time the same command is run.
"""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.atomic import write_atomically
from verl_plugins.evaluate import intervals
from verl_plugins.evaluate.results_folder import read_json, read_lines
from verl_plugins.evaluate.scoring import REJECTED, Line
from verl_plugins.evaluate.store import key_of
from verl_plugins.evaluate.summary import by_group

KEY_VARIABLE = "JUDGE_API_KEY"
CONCURRENT = 8  # requests
TIMEOUT_S = 120.0
_LONGEST = 4000  # characters of a response that are sent, from its end, where the answer is
_PROMPT = """\
Question:
{question}

Correct answer: {gold}

A student's response, its end if it is long:
{response}

Does the student's final answer mean the same as the correct answer? Reply with one word: CORRECT or INCORRECT."""
_VERDICT = re.compile(r"\b(INCORRECT|CORRECT)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Judge:
    """A judge.

    Args:
        url: address of the endpoint, without `/chat/completions`.
        model: name of the model there.
        sources: data sources to judge; all if empty.
    """

    url: str
    model: str
    sources: tuple[str, ...] = ()

    def wants(self, line: Line) -> bool:
        """Tell whether a line of results is to be judged."""
        if line["status"] == REJECTED or line["kind"] != "answer" or not line["gold"]:
            return False
        return not self.sources or line["data_source"] in self.sources

    def ask(self, line: Line) -> dict[str, Any] | str:
        """Return the verdict on an answer (`correct` or `incorrect`) and the reply, or why there is none, as text."""
        prompt = _PROMPT.format(question=line["question"], gold=line["gold"], response=line["response"][-_LONGEST:])
        body = {"model": self.model, "messages": [{"role": "user", "content": prompt}], "temperature": 0}
        headers = {"Content-Type": "application/json"}
        if os.environ.get(KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {os.environ[KEY_VARIABLE]}"
        request = urllib.request.Request(
            f"{self.url.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                reply = json.loads(answer.read())["choices"][0]["message"]["content"]
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            return f"{type(error).__name__}: {error}"
        verdicts = _VERDICT.findall(reply or "")
        if not verdicts:
            return f"got the reply {str(reply)[:80]!r}, expected CORRECT or INCORRECT"
        return {"verdict": verdicts[-1].lower(), "reply": reply}


def judge_lines(judge: Judge, folder: Path, lines: Sequence[Line]) -> dict[str, Any]:
    """Judge the lines that have no verdict yet, and return the judge's and the rule's numbers by data source.

    Raises:
        SystemExit: the folder holds verdicts of another judge.
    """
    header, kept = folder / "judge.json", folder / "judged.jsonl"
    facts = {"url": judge.url, "model": judge.model}
    if header.is_file() and read_json(header) != facts:
        raise SystemExit(
            f"--judge {judge.url} --judge-model {judge.model}: {header} names another judge; remove it and "
            "judged.jsonl, or name that one"
        )
    write_atomically(header, json.dumps(facts) + "\n")
    known = {key_of(verdict): verdict for verdict in read_lines(kept)}
    write_atomically(kept, "".join(json.dumps(verdict, ensure_ascii=False) + "\n" for verdict in known.values()))
    lines_to_judge = [line for line in lines if judge.wants(line)]
    open_lines = [line for line in lines_to_judge if key_of(line) not in known]
    failures: list[str] = []
    with ThreadPoolExecutor(CONCURRENT) as threads, kept.open("a", encoding="utf-8") as file:
        for line, answer in zip(open_lines, threads.map(judge.ask, open_lines), strict=True):
            if isinstance(answer, str):
                failures.append(answer)
                continue
            known[key_of(line)] = {"file": line["file"], "row": line["row"], **answer}
            file.write(json.dumps(known[key_of(line)], ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
    return {
        **facts,
        "groups": _numbers(lines_to_judge, known),
        "failed": len(failures),
        "first_failure": (failures or [""])[0],
    }


def _numbers(lines: Sequence[Line], verdicts: dict[Any, Line]) -> dict[str, Any]:
    numbers = {}
    for name, group in by_group(lines, lambda line: line["data_source"]).items():
        judged = [line for line in group if key_of(line) in verdicts]
        by_judge = [verdicts[key_of(line)]["verdict"] == "correct" for line in judged]
        by_rule = [line["accuracy"] == 1.0 for line in judged]
        numbers[name] = {
            "n": len(judged),
            "judge": intervals.proportion(by_judge).as_json(),
            "rule": intervals.proportion(by_rule).as_json(),
            "agree": sum(a == b for a, b in zip(by_judge, by_rule, strict=True)),
        }
    return numbers
