"""Results of a finished evaluation in the formats of other evaluation suites: one file per suite."""
