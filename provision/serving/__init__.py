"""What runs on a fleet: models, the engines that serve them, and what fits together."""
