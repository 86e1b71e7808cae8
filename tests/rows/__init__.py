"""Lists that are updated row by row, in browsers."""
