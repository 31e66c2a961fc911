"""What to send next, what a result means, when it is over: events in, instructions out (pure)."""
