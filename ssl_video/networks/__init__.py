"""Networks and algorithms: built from a specification, placed on a device, counted."""
