"""Methods for verl-plugins, in a package of their own."""
