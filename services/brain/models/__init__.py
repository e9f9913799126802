"""Brain models shipped with the platform, one package each; services/brain/shipped.py finds them."""
