"""The report of a run, read from its files: metrics, a summary table and an HTML page. Needs neither torch nor verl."""
