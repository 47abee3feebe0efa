"""Models as packages: what a package says of itself, how it is opened, prepared, signed, registered and loaded."""
