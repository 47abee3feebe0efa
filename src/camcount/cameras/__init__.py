"""Live cameras: from a source that comes and goes to durable counts."""
