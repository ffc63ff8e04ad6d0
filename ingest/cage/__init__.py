"""The boundary of the cage: how a caged process is started, limited and watched, and how its answer is checked outside."""
