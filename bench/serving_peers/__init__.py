"""The job in other servers, each in the settings that were fastest for it."""
