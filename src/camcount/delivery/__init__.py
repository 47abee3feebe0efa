"""Events out: to listeners of this process, MQTT, webhooks and Redis streams."""
