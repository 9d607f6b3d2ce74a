"""Video files: decoding, and the detection of broken ones."""
