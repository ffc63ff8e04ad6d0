"""What everybody may look at before buying: the catalogue, a dataset, a seller."""
