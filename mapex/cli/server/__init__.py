"""The processes behind `mapex serve` and `mapex worker`, and their health."""
