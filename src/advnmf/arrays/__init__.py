"""What every room stands on: arrays of any library, and robust sizes of them."""
