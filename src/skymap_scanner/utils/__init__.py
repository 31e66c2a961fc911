"""Import names that users know from the field; everything here lives elsewhere."""
