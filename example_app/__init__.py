"""A shared task board: what one person changes, everybody on the same board sees at once."""
