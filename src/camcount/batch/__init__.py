"""Many files counted in one go, now or at set times."""
