"""What TOFU does not ask: does the forgetting hold under other questions, fewer bits, relearning?

One attack a file; `measure` runs those of a scale (`attacks`) on one method.
"""
