"""Video files: decoding, and finding out what is wrong with them."""
