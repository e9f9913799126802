"""REST: routes of our own interface."""
