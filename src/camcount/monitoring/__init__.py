"""What is measured of requests, told to Prometheus, logs, traces and whoever asks how a model does."""
