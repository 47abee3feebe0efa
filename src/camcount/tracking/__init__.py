"""Detections of successive frames to tracks."""
