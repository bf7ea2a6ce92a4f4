"""Readers of raw files: folders and zip archives, JSON, parquet and pickles."""
