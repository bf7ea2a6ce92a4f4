"""One line of the doctor's table."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "FAIL"


@dataclass(frozen=True)
class DoctorCheck:
    """Result of one check.

    Args:
        what: what was checked.
        line: the whole text. What keeps a run from working says what, got, expected and how to mend it, in the words of
            the preflight where it has the same check.
        level: ``ok``; ``FAIL``: a run would not work; ``warn``: it may be meant so, or cannot be known here.
    """

    what: str
    line: str
    level: str = OK

    @property
    def failed(self) -> bool:
        return self.level == FAIL

    def __str__(self) -> str:
        """Format the line: ``ok    verl: 0.9.1`` or ``FAIL  verl: got 0.8.0, expected 0.9.1; install ...``."""
        return f"{self.level:<5} {self.line}"


def compared(what: str, got: str, expected: str, fix: str = "", level: str = FAIL) -> DoctorCheck:
    """Return the check of a value against what is expected; it passed if ``fix`` is ""."""
    if not fix:
        return DoctorCheck(what, f"{what}: {got}")
    return DoctorCheck(what, f"{what}: got {got}, expected {expected}; {fix}", level)


def problem(line: str, level: str = FAIL) -> DoctorCheck:
    """Return the check that found this problem: what, got, expected, how to mend it."""
    return DoctorCheck(line.partition(":")[0], line, level)
