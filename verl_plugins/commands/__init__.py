"""Commands of ``verl-plugins`` that are one file each; the others have a folder."""
