"""Where frames come from and where they go: sources, buffering, overlay and writer."""
