"""The client: takes pixel variations from the queue, reconstructs them, sends the fits back."""
