"""Schedulers of clusters: each speaks to one kind, all answer in the same few words (scheduler.py)."""
