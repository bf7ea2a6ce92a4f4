"""The command ``verl-plugins doctor``: checks of the installation, of a run and of its data."""
