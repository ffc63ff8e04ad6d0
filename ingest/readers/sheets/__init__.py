"""The reader of tables as text (CSV): which columns are the place, the id and the kind is proposed, or stated by the seller."""
