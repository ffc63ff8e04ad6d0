"""The API of sellers: uploads, jobs, datasets, offers, sales."""
