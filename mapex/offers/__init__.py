"""What is on sale: offers, products, recalls, appraisals, sales."""
