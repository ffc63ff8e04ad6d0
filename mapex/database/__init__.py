"""Tables, connections, migrations, and what opens a database."""
