"""How right it is: detections, tracks and counts against truth files."""
