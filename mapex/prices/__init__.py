"""What a region costs: estimates, quotes, demand, saved areas."""
