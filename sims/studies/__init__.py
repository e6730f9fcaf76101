"""Studies, one a file: what to vary, what to measure."""
