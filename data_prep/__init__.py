"""Converters from raw data sets to the parquet rows that verl reads. Imports neither torch nor verl."""
