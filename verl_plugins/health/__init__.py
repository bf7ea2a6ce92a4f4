"""Health checks: named alarms on the metrics of each step. Pure Python, without torch, verl or ray."""
