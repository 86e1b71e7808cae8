"""The live script in Chromium, with htmx 2 and htmx 4."""
