"""Sessions: many programs judged on one device, and what they found."""
