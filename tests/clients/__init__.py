"""The trackers themselves: what their clients send over loopback is what eventlib reads."""
