"""One line of the doctor's table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DoctorCheck:
    """Result of one check: what was checked, what it found, what it expected, and how to fix it ("" if it passed)."""

    what: str
    got: str
    expected: str
    fix: str = ""

    @property
    def failed(self) -> bool:
        return self.fix != ""

    def __str__(self) -> str:
        """Format the line: ``ok    verl: 0.9.1`` or ``FAIL  verl: got 0.8.0, expected 0.9.1; install ...``."""
        if not self.failed:
            return f"ok    {self.what}: {self.got}"
        return f"FAIL  {self.what}: got {self.got}, expected {self.expected}; {self.fix}"
