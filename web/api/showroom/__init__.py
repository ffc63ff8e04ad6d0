"""What is looked at before buying: the catalogue, sample tiles, questions to sellers."""
