"""Detection requests: queued, shared among replicas, cached, and answered whatever fails."""
