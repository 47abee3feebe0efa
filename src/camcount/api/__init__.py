"""The doors: each translates its protocol to requests of the data plane and the answers back, and decides nothing."""
