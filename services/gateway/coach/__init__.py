"""The interface of the published Virtual Coach."""
