"""math-verify's own grader, unchanged, beside ours: `grader=math_verify` of `reward_fns.math` compares the two.

It runs in the worker process of `reward_fns.algebra_worker`, within the same limits.
"""


def compare(gold: str, answer: str) -> str:
    r"""Compare two final answers; return "equal", "different", "bad_gold" or "error".

    Both are boxed first, as verl's `math_verify` reward boxes the gold, so that the whole text is read.
    Source: math-verify 0.9.0, whose own time limits need the main thread of the reward's process.
    """
    from math_verify import parse, verify

    true_values = parse(f"\\boxed{{{gold}}}", parsing_timeout=None)  # pyright: ignore[reportArgumentType]
    if not true_values:
        return "bad_gold"
    values = parse(f"\\boxed{{{answer}}}", parsing_timeout=None)  # pyright: ignore[reportArgumentType]
    try:
        return "equal" if verify(true_values, values, timeout_seconds=None) else "different"
    except Exception:  # of SymPy, on two valid expressions: an error, not a wrong answer
        return "error"
