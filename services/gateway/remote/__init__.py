"""Simulations on jobs: a server elsewhere, its answers forwarded, its recordings brought home."""
