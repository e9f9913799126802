"""rosbridge: topics of simulations as the published page reads them."""
