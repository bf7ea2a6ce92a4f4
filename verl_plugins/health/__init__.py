"""Whether a run can be trusted: named alarms over each step's metrics. Pure Python: no torch, verl or ray."""
