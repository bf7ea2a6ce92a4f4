"""Pure functions from the fields of a raw row to a row of the parquet file."""
