"""How the starting models that the package brings were made."""
