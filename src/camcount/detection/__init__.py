"""Pictures to detections: letterbox, decoders per model family, NMS, labels and `ModelDetector`."""
