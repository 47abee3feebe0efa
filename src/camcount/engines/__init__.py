"""One file per runtime that can run a model: each is an `camcount.protocols.Engine`."""
