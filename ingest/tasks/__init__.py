"""What runs inside the cage: convert, inspect, preview, recount, and the program that starts them."""
