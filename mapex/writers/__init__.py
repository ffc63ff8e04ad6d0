"""Files of features in the formats of other tools: a table of formats, and a module for each."""
