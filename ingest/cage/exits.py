"""Exit statuses of the program in the cage, as its parent reads them."""

EXIT_FAILED, EXIT_MEMORY, EXIT_OUTPUT, EXIT_BUG = 3, 4, 5, 6
