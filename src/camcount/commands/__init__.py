"""One file per command: flags to settings, results to the screen. What a run does is in `camcount.app`."""
