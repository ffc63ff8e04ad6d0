"""The tables, by what they are about; `mapex.database.schema` has them all."""
