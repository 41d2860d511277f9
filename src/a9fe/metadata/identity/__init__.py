"""Identity documents and tokens of instances, and the life of the keys that sign them."""
