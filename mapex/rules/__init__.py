"""Pure rules: prices, licences, quality. No database, no network."""
