"""Tracks to crossings, dwell, occupancy, flows and intervals."""
