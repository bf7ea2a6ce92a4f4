"""Commands that look at converted files: `inspect` and `check`."""
