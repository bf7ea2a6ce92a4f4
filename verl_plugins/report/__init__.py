"""What a run did, read from its files: metrics, a summary table, and one HTML report. Needs neither torch nor verl."""
