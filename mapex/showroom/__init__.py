"""What is looked at before buying: what sellers say, attributes, the catalogue, sellers, samples, and what is asked."""
