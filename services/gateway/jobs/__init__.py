"""Jobs on a cluster: what one asks for, its script, its folder, what is known of it."""
