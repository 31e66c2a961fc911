"""Simulated events with truth, in the same realtime format as real ones."""
